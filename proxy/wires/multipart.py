"""Multipart: forms with files (RFC 7578), read strictly: what two parsers might read differently is
refused, so that nobody holds for one form and is billed for another. A file is never copied."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from proxy.errors import Invalid

PART_LIMIT = 256
HEAD_LIMIT = 8 << 10
"""Bytes of the headers of one part."""

_ALLOWED_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_HEADER = re.compile(
    rb'([a-z/-]+)((?:\s*;\s*[a-z]+\*?=(?:"(?:[^"\\]|\\.)*"|[^\s";]+))*)\s*', re.IGNORECASE
)
_PARAMETER = re.compile(rb';\s*([a-z]+\*?)=(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))', re.IGNORECASE)
_PLAIN_NAME = re.compile(r"[^\x00-\x1f\x7f\"%\\]+")
"""A name that needs no unescaping, of which there are several kinds."""
_AS_IT_IS = {b"", b"7bit", b"8bit", b"binary"}


@dataclass(frozen=True, slots=True)
class Part:
    """start, end: where its value is in the body. is_file: it came with a file's name."""

    name: str
    is_file: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Form:
    """A body, and where its parts are."""

    body: bytes
    parts: tuple[Part, ...]

    def part(self, name: str) -> Part | None:
        """None if there is none. Raises Invalid if there are two: each host would take another."""
        found = [one for one in self.parts if one.name == name]
        if len(found) > 1:
            raise Invalid(f"{name} is there twice", param=name, code="invalid_type")
        return found[0] if found else None

    def text(self, name: str) -> str | None:
        """The value of a field. Raises Invalid if it is a file, or not UTF-8."""
        part = self.part(name)
        if part is None:
            return None
        if part.is_file:
            raise Invalid(f"{name} is a file: send it as text", param=name, code="invalid_type")
        try:
            return self.body[part.start : part.end].decode()
        except UnicodeDecodeError:
            raise Invalid(f"{name} is not UTF-8", param=name, code="invalid_type") from None

    def with_text(self, name: str, value: str) -> bytes:
        """The body with another value of a field that it has; every other byte as it was."""
        part = self.part(name)
        if part is None:
            raise AssertionError(f"there is no {name} to be replaced")
        view = memoryview(self.body)
        return b"".join((view[: part.start], value.encode(), view[part.end :]))

    def refuse_lookalikes(self, ours: Collection[str]) -> None:
        """As `proxy.wires.body.fields_of` does for JSON."""
        for part in self.parts:
            if part.name not in ours and part.name.lower() in ours:
                name = part.name[:50]
                why = f"{name} is written {name.lower()}"
                raise Invalid(why, param=name, code="invalid_type")


def read_form(body: bytes, content_type: str) -> Form:
    """Raises Invalid, saying what is wrong with it."""
    boundary = _boundary_of(content_type)
    if not body.startswith(b"--" + boundary):
        raise _invalid("it does not begin with its boundary")
    delimiter = b"\r\n--" + boundary
    parts: list[Part] = []
    at = len(delimiter) - 2
    while not body.startswith(b"--", at):
        if not body.startswith(b"\r\n", at):
            raise _invalid(f"its boundary is not alone on its line, at byte {at}")
        head_end = body.find(b"\r\n\r\n", at, at + HEAD_LIMIT)
        if head_end < 0:
            raise _invalid(f"the headers of a part do not end within {HEAD_LIMIT} bytes, at {at}")
        start = head_end + 4
        end = body.find(delimiter, start)
        if end < 0:
            raise _invalid("it ends before its last boundary: it may have been cut")
        parts.append(_part(body[at + 2 : head_end], start, end))
        if len(parts) > PART_LIMIT:
            raise _invalid(f"it has more than {PART_LIMIT} parts")
        at = end + len(delimiter)
    if body[at + 2 : at + 5] not in (b"", b"\r\n"):
        raise _invalid("something follows its last boundary")
    return Form(body, tuple(parts))


def _boundary_of(content_type: str) -> bytes:
    given = _parameters(b"multipart/form-data", content_type.strip().encode(errors="replace"))
    boundary = b"" if given is None else given.get(b"boundary", b"")
    if not _ALLOWED_BOUNDARY.fullmatch(boundary):
        said = content_type[:100] or "nothing"
        raise _invalid(f"its content type is {said!r}, not multipart/form-data with a boundary")
    return boundary


def _part(head: bytes, start: int, end: int) -> Part:
    disposition: bytes | None = None
    for line in head.split(b"\r\n"):
        header, colon, value = line.partition(b":")
        if not colon or header != header.strip() or b"\n" in line or b"\r" in line:
            raise _invalid(f"a part has a line among its headers that is none: {line[:50]!r}")
        match header.lower():
            case b"content-disposition":
                if disposition is not None:
                    raise _invalid("a part has two Content-Disposition headers")
                disposition = value.strip()
            case b"content-transfer-encoding" if value.strip().lower() not in _AS_IT_IS:
                raise _invalid("a part has a Content-Transfer-Encoding: send it as it is")
    if disposition is None:
        raise _invalid("a part has no Content-Disposition header")
    given = _parameters(b"form-data", disposition)
    if given is None:
        raise _invalid(f"a part's Content-Disposition is {disposition[:50]!r}, which not all read")
    try:
        name = given.get(b"name", b"").decode()
    except UnicodeDecodeError:
        name = ""
    if not _PLAIN_NAME.fullmatch(name):
        raise _invalid("a part has no name, or one with a quote, a backslash or a percent sign")
    return Part(name, is_file=b"filename" in given or b"filename*" in given, start=start, end=end)


def _parameters(kind: bytes, value: bytes) -> dict[bytes, bytes] | None:
    """Of a header of this kind; None if it is of another, or says a parameter twice."""
    found = _HEADER.fullmatch(value)
    if found is None or found[1].lower() != kind:
        return None
    given: dict[bytes, bytes] = {}
    for parameter in _PARAMETER.finditer(found[2]):
        key = parameter[1].lower()
        if key in given or key == b"name*":
            return None
        given[key] = parameter[3] if parameter[2] is None else parameter[2]
    return given


def _invalid(why: str) -> Invalid:
    return Invalid(f"the body is no form with files: {why}", code="invalid_form")

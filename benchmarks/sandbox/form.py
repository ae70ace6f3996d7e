"""Form: a multipart body, taken apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import Message

from benchmarks.sandbox.refusal import Refusal, wrong

MAX_PARTS = 100


@dataclass(frozen=True, slots=True)
class Upload:
    filename: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Form:
    """texts: every value that a field was given, in order."""

    texts: dict[str, list[str]]
    files: dict[str, Upload]

    def text(self, name: str) -> str | None:
        """The last value of a field; None if it was not given."""
        return self.texts[name][-1] if name in self.texts else None


def read_form(body: bytes, content_type: str) -> Form | Refusal:
    """A form by RFC 7578, or why it is none."""
    boundary = _head({"content-type": content_type}).get_boundary()
    if boundary is None:
        return Refusal(400, "This endpoint takes multipart/form-data, with a boundary.")
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if not parts or not parts.pop().startswith(b"--"):
        return Refusal(400, "The multipart body has no end.")
    if len(parts) > MAX_PARTS:
        return Refusal(400, f"The multipart body has more than {MAX_PARTS} parts.")
    form = Form({}, {})
    for part in parts:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = (line.partition(":") for line in head.decode(errors="replace").split("\r\n"))
        named = _head({name.strip(): value.strip() for name, _, value in lines if name.strip()})
        name = named.get_param("name", header="content-disposition")
        if not isinstance(name, str):
            return Refusal(400, "A part of the multipart body has no name.")
        filename = named.get_filename()
        if filename is not None:
            form.files[name] = Upload(filename, content)
            continue
        try:
            form.texts.setdefault(name, []).append(content.decode())
        except UnicodeDecodeError:
            return wrong(name, "it is not UTF-8")
    return form


def _head(fields: dict[str, str]) -> Message:
    head = Message()
    for name, value in fields.items():
        head[name] = value
    return head

"""Upload: a form with a file, written to disk as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import BinaryIO, TypeVar

from aiohttp import BodyPartReader, MultipartReader, web

from proxy.batches.file_store import BATCH, BATCH_KEPT_S, PURPOSES, FileStore, StoredFile
from proxy.errors import FilesUnavailable, Invalid, TooLarge, TooSlow

T = TypeVar("T")

CHUNK_BYTES = 256 << 10
FIELD_BYTES = 1024
MOST_PARTS = 16
FORM_BYTES = 64 << 10
"""What the form around a file takes at most."""
FILENAME_CHARS = 255
LEAST_KEPT_S, MOST_KEPT_S = 3600, 30 * 86_400


@dataclass(slots=True)
class _Form:
    """What has come of the form so far. size: of the file; None while there is none."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str = ""
    size: int | None = None


async def receive(
    request: web.Request, files: FileStore, *, file_id: str, owner: str, now_s: int
) -> StoredFile:
    """Take a file in. Raises Invalid, TooLarge, TooSlow; then, and if the client leaves in the
    middle, nothing of it is kept."""
    most = files.limits.max_bytes_per_file
    if (request.content_length or 0) > most + FORM_BYTES:
        raise _too_large(most)
    form, part = _Form(), files.part(file_id)
    await files.measure()
    try:
        await _read(request, files, form, part)
        file = _described(form, file_id, owner, now_s)
        await files.add(file)
    except BaseException:
        await asyncio.to_thread(files.drop, file_id)
        raise
    finally:
        files.give_room(form.size or 0)
    return file


async def _read(request: web.Request, files: FileStore, form: _Form, path: Path) -> None:
    if request.content_type != "multipart/form-data":
        raise _odd("send it as multipart/form-data with the parts `purpose` and `file`")
    try:
        reader = await request.multipart()
        for _ in range(MOST_PARTS):
            part = await _within(reader.next(), files)
            if part is None:
                return
            if isinstance(part, MultipartReader):
                raise _odd("a part of it is a form itself")
            await _read_part(part, files, form, path)
    except ValueError as error:  # how aiohttp says that it is no form
        raise _odd(str(error)) from None
    except web.RequestPayloadError as error:
        raise ConnectionResetError("the upload broke off") from error
    raise _odd(f"it has more than {MOST_PARTS} parts")


async def _read_part(part: BodyPartReader, files: FileStore, form: _Form, path: Path) -> None:
    name, filename = _named(part)
    if part.headers.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit"):
        raise _odd("a part has a Content-Transfer-Encoding: send it as it is")
    if name in form.fields or (name == "file" and form.size is not None):
        raise _odd(f"{name[:50]} is there twice", name)
    if name == "file":
        form.filename = (filename or "upload")[:FILENAME_CHARS]
        form.size = 0
        await _write(part, files, form, path)
        return
    value = b""
    while data := await _within(part.read_chunk(CHUNK_BYTES), files):
        value += data
        if len(value) > FIELD_BYTES:
            raise _odd(f"{name[:50]} is longer than {FIELD_BYTES} bytes", name)
    form.fields[name] = value.decode(errors="replace")


async def _write(part: BodyPartReader, files: FileStore, form: _Form, path: Path) -> None:
    most = files.limits.max_bytes_per_file
    out: BinaryIO = await asyncio.to_thread(path.open, "wb")
    try:
        while data := await _within(part.read_chunk(CHUNK_BYTES), files):
            size = (form.size or 0) + len(data)
            if size > most:
                raise _too_large(most)
            files.take_room(len(data))
            form.size = size
            await asyncio.shield(asyncio.to_thread(_written, out, data))
    finally:
        await asyncio.shield(asyncio.to_thread(out.close))


async def _within(reading: Awaitable[T], files: FileStore) -> T:
    """What comes next, if it comes in time."""
    limit_s = files.limits.idle_timeout_s
    try:
        async with asyncio.timeout(limit_s):
            return await reading
    except TimeoutError:
        raise TooSlow(
            f"nothing of the file came for {limit_s:g} s: send it faster, or raise"
            " server.body_timeout in the configuration"
        ) from None


def _written(out: BinaryIO, data: bytes) -> None:
    try:
        out.write(data)
    except OSError as error:  # before it looks like a client that has left
        raise FilesUnavailable(f"the file cannot be written now: {error.strerror}") from error


def _named(part: BodyPartReader) -> tuple[str, str | None]:
    said = Message()
    said["Content-Disposition"] = part.headers.get("Content-Disposition", "")
    name = said.get_param("name", "", "content-disposition")
    return (name if isinstance(name, str) else name[2]), said.get_filename()


def _described(form: _Form, file_id: str, owner: str, now_s: int) -> StoredFile:
    """Raises Invalid for what is missing or makes no sense."""
    purpose = form.fields.get("purpose")
    if form.size is None:
        raise _odd("the part `file` is missing", "file")
    if purpose is None:
        raise _odd("the part `purpose` is missing", "purpose")
    if purpose not in PURPOSES:
        raise _odd(f"purpose {purpose[:50]!r} is none of {', '.join(PURPOSES)}", "purpose")
    kept_s = _kept_s(form.fields)
    if kept_s is None and purpose == BATCH:
        kept_s = BATCH_KEPT_S
    expires_at = None if kept_s is None else now_s + kept_s
    return StoredFile(file_id, owner, form.filename, purpose, form.size, now_s, expires_at)


def _kept_s(fields: dict[str, str]) -> int | None:
    anchor, seconds = (fields.get(f"expires_after[{one}]") for one in ("anchor", "seconds"))
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise _odd("expires_after[anchor] is `created_at`, always", "expires_after")
    return kept_s(seconds, "expires_after")


def kept_s(seconds: object, param: str) -> int:
    """How long a file is kept. Raises Invalid."""
    text = str(seconds)
    if isinstance(seconds, bool) or not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise _odd(f"{param} has no whole number of seconds", param)
    if not LEAST_KEPT_S <= int(text) <= MOST_KEPT_S:
        raise _odd(f"{param} has {text} seconds, not {LEAST_KEPT_S} to {MOST_KEPT_S}", param)
    return int(text)


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"the file has more than {most} bytes: split it, or raise files.max_bytes_per_file in the"
        " configuration",
        param="file",
    )


def _odd(why: str, param: str | None = None) -> Invalid:
    return Invalid(f"this is no upload: {why}", param=param, code="invalid_form")

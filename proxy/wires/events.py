"""Server-sent events: taken apart, put together, and the errors that they carry."""

from __future__ import annotations

import msgspec

from proxy.wires.body import UNREADABLE

MESSAGE_LIMIT = 1000
"""Characters of a provider's error that are passed on."""


class _Error(msgspec.Struct, gc=False):
    message: str = ""


class _ErrorEvent(msgspec.Struct, gc=False):
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Error).decode
_decode_event = msgspec.json.Decoder(_ErrorEvent).decode


def taken_apart(event: bytes) -> tuple[bytes, bytes] | None:
    """The name and the data of an event whose lines end with \\n; None for one without data."""
    if event.startswith(b"data:") and b"\n" not in event:  # nearly all are so
        return b"", event[5:].lstrip(b" ")
    name, data = b"", []
    for line in event.split(b"\n"):
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif line.startswith(b"event:"):
            name = line[6:].strip()
    return (name, b"\n".join(data)) if data else None


def framed(data: bytes, name: bytes = b"") -> bytes:
    """An event as it goes out."""
    head = b"event: " + name + b"\n" if name else b""
    return head + b"data: " + data.replace(b"\n", b"\ndata: ") + b"\n\n"


def message_of(error: bytes) -> str:
    """The words of a JSON error object; the object itself if it has none."""
    try:
        message = _decode(error).message
    except UNREADABLE:
        message = ""
    return (message or error.decode(errors="replace"))[:MESSAGE_LIMIT]


def error_in(data: bytes) -> str:
    """The words of an error event: the error is in it, or is it."""
    try:
        inner = bytes(_decode_event(data).error)
    except UNREADABLE:
        inner = b""
    return message_of(inner or data)

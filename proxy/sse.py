"""StreamRelay: a provider's events to the client, and what they say on the way. No I/O.

The events that close a stream (usage, [DONE]) are kept back until the charge is in the books; what
the client gets last carries its cost. An answer that was cut never looks finished.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ledger.money import Money
from ledger.usage import TokenUsage
from proxy.dialects.openai import Usage, with_cost
from proxy.errors import ProxyError

EVENT_LIMIT = 4 << 20
"""Bytes of one event; a longer one is nonsense."""
DONE = b"data: [DONE]\n\n"


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] = []
    usage: Usage | None = None
    error: msgspec.Raw = msgspec.Raw()


class _Error(msgspec.Struct, gc=False):
    message: str = ""


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_error = msgspec.json.Decoder(_Error).decode


class StreamRelay:
    """Feed it bytes as they come; it returns the bytes to pass on now.

    fault: set once the provider ended the answer with an error, or sent what is no event; nothing
    that comes after it is passed on.
    """

    def __init__(self, wants_usage: bool) -> None:
        self._wants_usage = wants_usage
        self._buffer = b""
        self._kept: list[_Kept] = []
        self._finished = 0
        self._done = False
        self.fault: str | None = None
        self.usage: TokenUsage | None = None
        self.text_bytes = 0
        self.pieces = 0

    @property
    def complete(self) -> bool:
        """True once the provider has said that the answer is whole."""
        return self.fault is None and (self._done or self._finished > 0)

    def feed(self, data: bytes) -> bytes:
        self._buffer += data
        *events, self._buffer = self._buffer.replace(b"\r\n", b"\n").split(b"\n\n")
        passed = b"".join([self._event(event) for event in events])
        if len(self._buffer) > EVENT_LIMIT:
            self.fault = f"an event is longer than {EVENT_LIMIT} bytes"
        return passed

    def _event(self, event: bytes) -> bytes:
        text = _data_of(event)
        if text is None or self.fault is not None:
            return b""  # comments and empty events are the transport's own affair
        if text == b"[DONE]":
            self._done = True
            return b""
        try:
            chunk = _decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            self.fault = f"an event is no chunk of a chat completion: {error}"
            return b""
        if bytes(chunk.error) not in (b"", b"null"):
            self.fault = _message_of(chunk.error)
            return b""
        self.pieces += bool(chunk.choices)
        for choice in chunk.choices:
            self.text_bytes += len(((choice.delta and choice.delta.content) or "").encode())
            self._finished += choice.finish_reason is not None
        # Usage that was kept back was not the last after all: what came after it follows it.
        earlier, self._kept = self._kept, []
        passed = b"".join([_framed(one.text) for one in earlier if one.has_choices])
        if chunk.usage is not None:
            self.usage = chunk.usage.counted() or self.usage
            self._kept = [_Kept(text, bool(chunk.choices))]
            return passed
        return passed + _framed(text)

    def close(self, cost: Money) -> bytes:
        """The end of a complete answer: usage with its cost if it was asked for, then [DONE]."""
        last = b""
        for kept in self._kept:
            if self._wants_usage:
                last += _framed(with_cost(kept.text, cost))
            elif kept.has_choices:
                last += _framed(kept.text)
        return last + DONE

    @staticmethod
    def broken(error: ProxyError) -> bytes:
        """The end of an answer that was cut: an error where clients look for one, and no [DONE]."""
        end = b'"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}'
        return _framed(error.body()[:-1] + b"," + end)


@dataclass(frozen=True, slots=True)
class _Kept:
    text: bytes
    has_choices: bool


def _framed(text: bytes) -> bytes:
    return b"data: " + text + b"\n\n"


def _data_of(event: bytes) -> bytes | None:
    lines = [line[5:].lstrip(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None


def _message_of(error: msgspec.Raw) -> str:
    try:
        return _decode_error(error).message or bytes(error).decode(errors="replace")
    except msgspec.DecodeError:
        return bytes(error).decode(errors="replace")

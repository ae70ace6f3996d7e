"""StreamRelay: a provider's events to the client, and what they say on the way. No I/O.

The events that close a stream (usage, [DONE]) are kept back until the charge is in the books; what
the client gets last carries its cost. An answer that was cut never looks finished.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from ledger.money import Money
from ledger.usage import TokenUsage
from proxy.dialects.openai import Written, usage_in, with_cost
from proxy.errors import ProxyError
from proxy.meter import estimate_delivered

EVENT_LIMIT = 4 << 20
"""Bytes of one event; a longer one is nonsense."""
DONE = b"data: [DONE]\n\n"
MESSAGE_LIMIT = 1000
"""Characters of a provider's error that are passed on."""


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: Written | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] = []
    usage: msgspec.Raw = msgspec.Raw()
    object: str = ""
    error: msgspec.Raw = msgspec.Raw()


class _Error(msgspec.Struct, gc=False):
    message: str = ""


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_error = msgspec.json.Decoder(_Error).decode


class StreamRelay:
    """Feed it bytes as they come; it returns the bytes to pass on now.

    fault: set once the provider ended the answer with an error, or sent what is no event; nothing
    that comes after it is passed on.
    done: set once it has sent [DONE]; nothing that comes after it is passed on either.
    """

    def __init__(self, wants_usage: bool, choices: int = 1) -> None:
        self._wants_usage = wants_usage
        self._choices = choices
        self._buffer = b""
        self._kept: list[_Kept] = []
        self._finished: set[int] = set()
        self._usage_is_old = False
        self.fault: str | None = None
        self.done = False
        self.usage: TokenUsage | None = None
        self.text_bytes = 0
        self.pieces = 0
        self.events = 0

    @property
    def complete(self) -> bool:
        """True once the provider has said that the answer is whole: all of its choices."""
        return self.fault is None and (self.done or len(self._finished) >= self._choices)

    def used(self, prompt_tokens: int) -> tuple[TokenUsage, bool]:
        """What was used, and whether that is an estimate, by what has come.

        Text that came after the last usage was not counted in it, and is billed all the same.
        """
        seen = estimate_delivered(prompt_tokens, self.text_bytes, self.pieces)
        if self.usage is None:
            return seen, True
        if self._usage_is_old:
            most = max(seen.completion or 0, self.usage.completion or 0)
            return replace(self.usage, completion=most), True
        return self.usage, False

    def feed(self, data: bytes) -> bytes:
        self._buffer += data
        *events, self._buffer = self._buffer.replace(b"\r\n", b"\n").split(b"\n\n")
        passed = b"".join([self._event(event) for event in events])
        if len(self._buffer) > EVENT_LIMIT:
            self.fault = f"an event is longer than {EVENT_LIMIT} bytes"
        return passed

    def _event(self, event: bytes) -> bytes:
        text = _data_of(event)
        if text is None or self.fault is not None or self.done:
            return b""  # comments and empty events are the transport's own affair
        self.events += 1
        if text == b"[DONE]":
            self.done = True
            return b""
        try:
            chunk = _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.fault = f"an event is no chunk of a chat completion: {error}"
            return b""
        if bytes(chunk.error) not in (b"", b"null", b"false"):
            self.fault = _message_of(bytes(chunk.error))
            return b""
        if chunk.object == "error" or (not event.startswith(b"data:") and _is_error(event)):
            self.fault = _message_of(text)
            return b""
        earlier_bytes = self.text_bytes
        self.pieces += bool(chunk.choices)
        for choice in chunk.choices:
            if choice.delta is not None:
                self.text_bytes += choice.delta.text_bytes
            if choice.finish_reason is not None:
                self._finished.add(choice.index)
        says_usage = bytes(chunk.usage) not in (b"", b"null")
        has_grown = self.text_bytes > earlier_bytes
        self._usage_is_old = not says_usage and (self._usage_is_old or has_grown)
        # Usage that was kept back was not the last after all: what came after it follows it.
        earlier, self._kept = self._kept, []
        passed = b"".join([_framed(one.text) for one in earlier if one.has_choices])
        if says_usage:
            self.usage = usage_in(chunk.usage) or self.usage
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
    return b"data: " + text.replace(b"\n", b"\ndata: ") + b"\n\n"


def _data_of(event: bytes) -> bytes | None:
    lines = [line[5:].lstrip(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None


def _is_error(event: bytes) -> bool:
    return any(line in (b"event: error", b"event:error") for line in event.split(b"\n"))


def _message_of(error: bytes) -> str:
    try:
        message = _decode_error(error).message
    except (msgspec.DecodeError, UnicodeDecodeError):
        message = ""
    return (message or error.decode(errors="replace"))[:MESSAGE_LIMIT]

"""StreamRelay: a provider's events to the client, and what they say on the way. No I/O.

The events that close a stream (usage, [DONE]) are kept back until the charge is in the books; what
the client gets last carries its cost. An answer that was cut never looks finished.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import msgspec

from ledger.money import Money
from ledger.usage import TokenUsage
from proxy.errors import ProxyError, UpstreamFailed
from proxy.meter import estimate_delivered
from proxy.wires.events import taken_apart
from proxy.wires.wire import Reader

EVENT_LIMIT = 4 << 20
"""Bytes of one event; a longer one is nonsense."""
MALFORMED_LIMIT = 16
"""Events of one stream that may make no sense: the rest is sound, they are passed over."""


class Teller(Protocol):
    """How the client is told: the provider's events as they are, or in the client's own wire."""

    def event(self, name: bytes, data: bytes) -> bytes:
        """What goes out for one event; b"" if nothing does yet."""

    def close(self) -> bytes:
        """The end of a whole answer."""

    def broken(self, error: ProxyError) -> bytes:
        """The end of an answer that was cut: an error where clients look for one."""


class _Kept(msgspec.Struct, gc=False):
    name: bytes
    data: bytes
    only_usage: bool


class StreamRelay:
    """Feed it bytes as they come; it returns the bytes to pass on now.

    fault: set once the provider ended the answer with an error, or sent what is no event, or what
    the client cannot be told in its own wire; nothing that comes after it is passed on.
    done: set once the provider has said its last word; nothing that comes after is passed on.
    """

    def __init__(self, reader: Reader, teller: Teller, *, wants_usage: bool) -> None:
        self.teller = teller
        self._reader = reader
        self._wants_usage = wants_usage
        self._buffer = b""
        self._kept: list[_Kept] = []
        self._usage_is_old = False
        self._malformed = 0
        self.fault: str | None = None
        self.done = False
        self.usage: TokenUsage | None = None
        self.tier: str | None = None
        self.text_bytes = 0
        self.pieces = 0
        self.events = 0

    @property
    def complete(self) -> bool:
        """True once the provider has said that the answer is whole: all of its choices."""
        return self.fault is None and self._reader.complete

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
        return self.usage, not self.complete  # what is cut may be billed for more

    def feed(self, data: bytes) -> bytes:
        self._buffer += data
        *events, self._buffer = self._buffer.replace(b"\r\n", b"\n").split(b"\n\n")
        passed = b"".join([self._event(event) for event in events])
        if len(self._buffer) > EVENT_LIMIT:
            self.fault = f"an event is longer than {EVENT_LIMIT} bytes"
        return passed

    def _event(self, event: bytes) -> bytes:
        parts = taken_apart(event)
        if parts is None or self.fault is not None or self.done:
            return b""  # comments and empty events are the transport's own affair
        name, data = parts
        heard = self._reader.read(name, data)
        if heard is None:
            self._malformed += 1
            if self._malformed > MALFORMED_LIMIT:
                self.fault = f"more than {MALFORMED_LIMIT} of its events make no sense"
            return b""
        self.events += 1
        if heard.fault is not None:
            self.fault = heard.fault
            return b""
        self.done = heard.ends
        self.pieces += heard.pieces
        self.text_bytes += heard.text_bytes
        says_usage = heard.usage is not None
        self.usage = heard.usage or self.usage
        self.tier = heard.tier or self.tier
        self._usage_is_old = not says_usage and (self._usage_is_old or heard.text_bytes > 0)
        if heard.ends:
            self._kept.append(_Kept(name, data, heard.only_usage))
            return b""
        # Usage that was kept back was not the last after all: what came after it follows it.
        now, self._kept = [one for one in self._kept if not one.only_usage], []
        this = _Kept(name, data, heard.only_usage)
        if heard.keeps:
            self._kept.append(this)
        else:
            now.append(this)
        try:
            return b"".join([self.teller.event(one.name, one.data) for one in now])
        except UpstreamFailed as untold:
            self.fault = untold.message
            return b""

    def close(self, cost: Money) -> bytes:
        """The end of a whole answer, with its cost in its usage if that was asked for."""
        last = b""
        if not self.done and self._reader.ending is not None:  # whole, but for its last word
            self._kept.append(_Kept(*self._reader.ending, only_usage=True))
        for kept in self._kept:
            if self._wants_usage or not kept.only_usage:
                data = self._reader.with_cost(kept.data, cost) if self._wants_usage else kept.data
                last += self.teller.event(kept.name, data)
        return last + self.teller.close()

    def broken(self, error: ProxyError) -> bytes:
        """The end of an answer that was cut."""
        return self.teller.broken(error)

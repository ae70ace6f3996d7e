"""Tally: what a sandbox provider served and would bill."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from multidict import CIMultiDictProxy

from benchmarks.sandbox.behaviour import Draws, Fault

KEPT_EXCHANGES = 100


@dataclass(slots=True)
class Exchange:
    """One chat request as it came in, and what became of it.

    status is None until an answer begins, and stays so after a reset or a hang. The three counts
    are what is billed so far; None means nothing is, cached_tokens are part of prompt_tokens.
    """

    number: int
    draws: Draws
    headers: CIMultiDictProxy[str] = field(repr=False)
    body: bytes = field(repr=False)
    fault: Fault | None = None
    streamed: bool = False
    status: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(slots=True)
class Tally:
    """Running totals over all chat requests, and the last KEPT_EXCHANGES of them.

    A count is there before the bytes that it is about leave: whoever has read an answer to its end
    finds it counted. requests = the sum of by_status + those never answered.
    disconnects counts clients that left before their answer was complete.
    """

    requests: int = 0
    by_status: Counter[int] = field(default_factory=Counter)
    disconnects: int = 0
    billed_requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    exchanges: deque[Exchange] = field(default_factory=lambda: deque(maxlen=KEPT_EXCHANGES))

    _changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False, compare=False)

    def arrived(self, exchange: Exchange) -> None:
        self.requests += 1
        self.exchanges.append(exchange)
        self._wake()

    def answered(self, exchange: Exchange, status: int) -> None:
        exchange.status = status
        self.by_status[status] += 1
        self._wake()

    def left(self) -> None:
        self.disconnects += 1
        self._wake()

    def bill_prompt(self, exchange: Exchange, tokens: int, cached: int) -> None:
        exchange.prompt_tokens, exchange.cached_tokens = tokens, cached
        exchange.completion_tokens = 0
        self.billed_requests += 1
        self.prompt_tokens += tokens
        self.cached_tokens += cached
        self._wake()

    def bill_completion(self, exchange: Exchange, tokens: int) -> None:
        """Adds to a bill that `bill_prompt` has opened."""
        exchange.completion_tokens = (exchange.completion_tokens or 0) + tokens
        self.completion_tokens += tokens
        self._wake()

    async def until(self, condition: Callable[[Tally], bool]) -> None:
        """Waits, in the provider's event loop, for the first change after which it holds."""
        while not condition(self):
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

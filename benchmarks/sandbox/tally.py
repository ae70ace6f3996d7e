"""Tally: what a sandbox provider served and would bill."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from multidict import CIMultiDict, CIMultiDictProxy

from benchmarks.sandbox.behaviour import Draws
from benchmarks.sandbox.bill import Bill, Billed, Unit
from benchmarks.sandbox.faults import Fault

KEPT_EXCHANGES = 100
KEPT_BYTES = 64 * 1024 * 1024
NO_HEADERS: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())


@dataclass(slots=True)
class Exchange:
    """One request for work as it came in, and what became of it.

    batch: it was a line of a batch; it has no headers then, and a number among lines.
    status is None until an answer begins, and stays so after a reset or a hang. The counts are
    what is billed so far; None means nothing is. cached_tokens and cache_write_tokens are part of
    prompt_tokens. units: of what is sold by another unit than tokens.
    """

    number: int
    draws: Draws
    headers: CIMultiDictProxy[str] = field(repr=False)
    body: bytes = field(repr=False)
    endpoint: str = "chat/completions"
    batch: bool = False
    fault: Fault | None = None
    streamed: bool = False
    status: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    completion_tokens: int | None = None
    units: int | None = None
    unit: Unit | None = None


@dataclass(slots=True)
class Tally:
    """Running totals over all requests for work, and the last of them: KEPT_EXCHANGES, or fewer
    if their bodies are large. Models, files and the state of batches are no work.

    A count is there before the bytes that it is about leave: whoever has read an answer to its end
    finds it counted. requests = the sum of by_status + those never answered; lines of batches are
    not among them, but counted as batch_lines.
    disconnects counts clients that left before their answer was complete.
    billed: all that would be billed; batched: the part of it that came in batches, at the price of
    batches.
    """

    requests: int = 0
    batch_lines: int = 0
    by_status: Counter[int] = field(default_factory=Counter)
    disconnects: int = 0
    billed: Billed = field(default_factory=Billed)
    batched: Billed = field(default_factory=Billed)
    exchanges: deque[Exchange] = field(default_factory=deque)

    _kept_bytes: int = field(default=0, repr=False, compare=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False, compare=False)

    @property
    def billed_requests(self) -> int:
        return self.billed.requests

    @property
    def prompt_tokens(self) -> int:
        return self.billed.prompt_tokens

    @property
    def cached_tokens(self) -> int:
        return self.billed.cached_tokens

    @property
    def cache_write_tokens(self) -> int:
        return self.billed.cache_write_tokens

    @property
    def completion_tokens(self) -> int:
        return self.billed.completion_tokens

    @property
    def units(self) -> Counter[str]:
        return self.billed.units

    def arrived(self, exchange: Exchange) -> None:
        if exchange.batch:
            self.batch_lines += 1
        else:
            self.requests += 1
        self.exchanges.append(exchange)
        self._kept_bytes += len(exchange.body)
        while len(self.exchanges) > KEPT_EXCHANGES or self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= len(self.exchanges.popleft().body)
        self._wake()

    def answered(self, exchange: Exchange, status: int) -> None:
        exchange.status = status
        if not exchange.batch:
            self.by_status[status] += 1
        self._wake()

    def left(self) -> None:
        self.disconnects += 1
        self._wake()

    def bill(self, exchange: Exchange, bill: Bill) -> None:
        exchange.prompt_tokens, exchange.completion_tokens = bill.prompt_tokens, 0
        exchange.cached_tokens = bill.cached_tokens
        exchange.cache_write_tokens = bill.cache_write_tokens
        if bill.unit is not None:
            exchange.units, exchange.unit = bill.units, bill.unit
        self.billed.add(bill)
        if exchange.batch:
            self.batched.add(bill)
        self._wake()

    def bill_completion(self, exchange: Exchange, tokens: int) -> None:
        """Adds to a bill that `bill` has opened."""
        exchange.completion_tokens = (exchange.completion_tokens or 0) + tokens
        self.billed.completion_tokens += tokens
        if exchange.batch:
            self.batched.completion_tokens += tokens
        self._wake()

    async def until(self, condition: Callable[[Tally], bool]) -> None:
        """Waits, in the provider's event loop, for the first change after which it holds."""
        while not condition(self):
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

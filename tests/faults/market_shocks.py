"""Shocks in a sandbox market: how soon traffic has moved, what was lost, how soon it is back.

`python -m tests.faults.market_shocks` prints the table. All of it is real but the time: requests go
one after the other over HTTP through the whole proxy, and the clock moves on by their pauses and by
the providers' own delays alone. So a run takes seconds, and the numbers are those of any machine.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from benchmarks.market import Quoted
from benchmarks.quality import Quality
from benchmarks.sandbox import Behaviour, Fault
from benchmarks.traffic.observations import Observation
from benchmarks.traffic.observations import Outcome as Answer
from hedgerow.app import REBUILD_S
from hedgerow.printing import table
from ledger.rates import RateCard
from tests.serving import MODEL, UPSTREAM_MODEL, Gate, ManualClock, Proxy, serving

PAUSE_S = 0.2
"""From the end of a request to the next; with an answer of a quarter of a second, two in one."""
CALM_HOURS, CALM_REQUESTS = 6, 60
SHOCK_S, PATIENCE_S = 60, 900
IN_A_ROW, MOST_STRAYS = 20, 2
"""Of so many in a row, so many may go where the others do not: offers are explored, and tried."""
STEADY = Behaviour(
    models=(UPSTREAM_MODEL,),
    ttft_ms_median=200.0,
    ttft_sigma=0.3,
    inter_token_ms=5.0,
    output_tokens_median=8,
)


class _Passing(Gate):
    """The providers' sleeps move the clock on, and take no time."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(open_for=0)
        self._clock = clock

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: when, who answered it (None: nobody), after how many attempts, and whether a
    was among those that were asked."""

    at_s: float
    provider: str | None
    attempts: int
    asked_a: bool
    took_ms: float


@dataclass(slots=True)
class Market:
    """A proxy in front of three providers of which `a` is the best, and a clock."""

    proxy: Proxy
    clock: ManualClock
    asked: list[Asked] = field(default_factory=list)
    _rebuilt_s: float = 0.0

    @property
    def now_s(self) -> float:
        return self.clock.monotonic_s()

    async def ask(self) -> Asked:
        """The next request, in its time."""
        self.clock.advance(PAUSE_S)
        if self.now_s - self._rebuilt_s >= REBUILD_S:
            self._rebuilt_s = self.now_s
            self.proxy.server.house.market.rebuild(datetime.fromtimestamp(self.now_s, UTC))
        began_s, asked_a = self.now_s, self.proxy.a.tally.requests
        reply = await self.proxy.ask(stream=True)
        is_whole = reply.status == 200 and reply.events[-1] == "[DONE]"
        self.asked.append(
            Asked(
                began_s,
                reply.headers["x-hedgerow-provider"] if is_whole else None,
                int(reply.headers["x-hedgerow-attempts"]) if is_whole else 0,
                self.proxy.a.tally.requests > asked_a,
                1000 * (self.now_s - began_s),
            )
        )
        return self.asked[-1]

    async def until(self, settled: Callable[[Asked], bool], patience_s: float) -> float | None:
        """Ask until nearly all requests are as they should be; how long it took until then."""
        began_s, last = self.now_s, deque[Asked](maxlen=IN_A_ROW)
        while self.now_s - began_s < patience_s:
            last.append(await self.ask())
            strays = sum(not settled(one) for one in last)
            if len(last) == IN_A_ROW and strays <= MOST_STRAYS and settled(last[0]):
                return max(0.0, last[0].at_s - began_s)
        return None

    def remember_calm_hours(self) -> None:
        """Of all offers, as their traffic would have told the market."""
        market = self.proxy.server.house.market
        for ago_s in range(CALM_HOURS * 3600, 0, -10):
            seen = Observation(self.now_s - ago_s, Answer.ANSWERED, STEADY.ttft_ms_median)
            for one in market.snapshot.models[MODEL]:
                market.note(one.offer.id, seen)

    def requote(self, change: Callable[[Quoted], Quoted], *, every: bool = False) -> None:
        """Other prices, or another quality, at a; as a feed, or an eval, would have it."""
        market = self.proxy.server.house.market
        listings = market.snapshot.models[MODEL]
        quoted = [Quoted(one.offer, one.quote, one.stats, one.quality) for one in listings]
        changed = [change(one) if every or one.offer.provider == "a" else one for one in quoted]
        market.requote({MODEL: tuple(changed)})


@asynccontextmanager
async def market() -> AsyncIterator[Market]:
    """One that has seen some traffic."""
    clock = ManualClock()
    with tempfile.TemporaryDirectory(prefix="shocks-") as folder:
        async with serving(
            Path(folder),
            names=("a", "b", "c"),
            behaviour=STEADY,
            gate=_Passing(clock),
            clock=clock,
            own_routing="{}\n    quality: {benchmark: ours, at_least: 0.7}",
            honest=False,
        ) as proxy:
            proxy.server.house.draw = random.Random(7).random
            here = Market(proxy, clock)
            here.requote(_worth(0.9), every=True)
            here.remember_calm_hours()
            for _ in range(CALM_REQUESTS):
                await here.ask()
            yield here


def _worth(score: float) -> Callable[[Quoted], Quoted]:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    ours = Quality("ours", score, score - 0.05, score + 0.05, 100, at, "eval 2026-11-01T00:00Z")
    return lambda one: replace(one, quality={"ours": ours})


def _priced(input_usd: str, output_usd: str) -> Callable[[Quoted], Quoted]:
    card = RateCard.of(Decimal(input_usd), Decimal(output_usd))

    def priced(one: Quoted) -> Quoted:
        assert one.quote is not None
        return replace(one, quote=replace(one.quote, rates=card))

    return priced


def _fault(fault: Fault | None) -> Callable[[Market], None]:
    def happens(here: Market) -> None:
        here.proxy.a.fault = fault

    return happens


def _behaves(behaviour: Behaviour) -> Callable[[Market], None]:
    def happens(here: Market) -> None:
        here.proxy.a.behaviour = behaviour

    return happens


def _quoted(change: Callable[[Quoted], Quoted]) -> Callable[[Market], None]:
    return lambda here: here.requote(change)


@dataclass(frozen=True, slots=True)
class Shock:
    """Something happens at the best provider, and later is over. is_told: the market says so; else
    only traffic can find it out, and that it is over."""

    name: str
    begins: Callable[[Market], None]
    ends: Callable[[Market], None]
    is_told: bool = False


SHOCKS = (
    Shock(
        "ten times as dear", _quoted(_priced("10", "20")), _quoted(_priced("1", "2")), is_told=True
    ),
    Shock("quality below the floor", _quoted(_worth(0.5)), _quoted(_worth(0.9)), is_told=True),
    Shock("outage (resets)", _fault(Fault.RESET), _fault(None)),
    Shock("outage (500)", _fault(Fault.HTTP_500), _fault(None)),
    Shock("429 storm", _fault(Fault.HTTP_429), _fault(None)),
    Shock(
        "slow: 5 s to the first token",
        _behaves(replace(STEADY, ttft_ms_median=5000.0)),
        _behaves(STEADY),
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a shock. moved_s: from its beginning until nearly nothing went to a; back_s:
    from its end until a answered nearly all; None: not in that time. lost: requests without a whole
    answer. failed: attempts that were made in vain. late: requests that took over LATE_MS."""

    shock: str
    requests: int
    lost: int
    moved_s: float | None
    back_s: float | None
    failed: int
    late: int


async def outcome(
    shock: Shock, shock_s: float = SHOCK_S, patience_s: float = PATIENCE_S
) -> Outcome:
    """shock_s: how long it lasts at least. patience_s: how long traffic may take to be back."""
    async with market() as here:
        before = len(here.asked)
        shock.begins(here)
        began_s = here.now_s
        moved_s = await here.until(lambda one: not one.asked_a, PATIENCE_S)
        while here.now_s - began_s < shock_s:
            await here.ask()
        shock.ends(here)
        back_s = await here.until(lambda one: one.provider == "a", patience_s)
        since = here.asked[before:]
        return Outcome(
            shock.name,
            len(since),
            sum(one.provider is None for one in since),
            moved_s,
            back_s,
            sum(max(0, one.attempts - 1) for one in since),
            sum(one.took_ms > LATE_MS for one in since),
        )


LATE_MS = 2000.0
"""The limit on the first token that requests have if nothing else is said."""


def rows() -> Iterator[tuple[str, ...]]:
    for shock in SHOCKS:
        one = asyncio.run(outcome(shock))
        yield (
            one.shock,
            str(one.requests),
            str(one.lost),
            _seconds(one.moved_s),
            _seconds(one.back_s),
            str(one.failed),
            str(one.late),
        )


def _seconds(value: float | None) -> str:
    return f"> {PATIENCE_S}" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    heads = ("shock", "requests", "lost", "moved after s", "back after s", "failed", "late")
    print(table(heads, list(rows())))

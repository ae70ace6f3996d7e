"""Workers that share the books see one market: what one saw, the other knows a moment later."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.market import Market, Quoted
from benchmarks.offers import Offer
from benchmarks.traffic.observations import Observation, Observations, Outcome, Published
from hedgerow.books import opened_sql
from hedgerow.config import Ledger
from hedgerow.market.sharing import AT_ONCE, sharing
from hedgerow.router.standing import Standing, told
from ledger.money import ZERO
from proxy.clock import SystemClock
from routing.learned import Learned
from tests.books import opened_store

PATIENCE_S = 20.0
SLOW = Offer("slow", "oak")


def market() -> Market:
    return Market({"oak": (Quoted(SLOW, None),)}, datetime.now(UTC), {"oak": 1000.0})


def attempts(one: Market) -> int:
    one.rebuild(datetime.now(UTC))
    return one.snapshot.models["oak"][0].seen.attempts


def note(one: Market, clock: SystemClock) -> None:
    one.note(SLOW.id, Observation(clock.now_ns() / 1e9, Outcome.ANSWERED, 5000.0, 10.0))


async def heard(one: Market, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while attempts(one) < count:
            await asyncio.to_thread(attempts, one)  # the loop is free meanwhile


async def test_what_one_worker_sees_the_other_knows(tmp_path: Path) -> None:
    """Attempts of both count in the percentiles and the chances of either; one that starts again
    knows what it saw before."""
    ledger = Ledger("", tmp_path / "books.db", tmp_path / "books.journal", "process")
    await asyncio.to_thread(lambda: opened_store(tmp_path / "books.db").close())
    clock, one, two = SystemClock(), market(), market()
    async with (
        sharing(ledger, "one", one, Learned(), clock),
        sharing(ledger, "two", two, Learned(), clock),
    ):
        for _ in range(30):
            note(one, clock)
        await heard(two, 30)
        note(two, clock)
        await heard(one, 31)
        chances = [each.snapshot.models["oak"][0].chances for each in (one, two)]
        assert all(each.on_time < 0.5 for each in chances)
    again = market()
    async with sharing(ledger, "one", again, Learned(), clock):
        await heard(again, 31)


async def test_what_was_seen_last_is_told_at_the_end(tmp_path: Path) -> None:
    """A worker that ends tells what it has not told yet."""
    ledger = Ledger("", tmp_path / "books.db", tmp_path / "books.journal", "process")
    await asyncio.to_thread(lambda: opened_store(tmp_path / "books.db").close())
    clock, one, two = SystemClock(), market(), market()
    async with sharing(ledger, "one", one, Learned(), clock):
        note(one, clock)
    async with sharing(ledger, "two", two, Learned(), clock):
        await heard(two, 1)


class Turns(Observations):
    """Notes in which turn of the loop each word was taken in."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.taken: list[int] = []

    def absorb(self, worker: str, told: Published) -> None:
        self.taken.append(self.now)
        super().absorb(worker, told)


async def test_requests_have_their_turn_while_much_is_heard(tmp_path: Path) -> None:
    """What many workers saw of many offers is not taken in at one go."""
    ledger = Ledger("", tmp_path / "books.db", tmp_path / "books.journal", "process")
    await asyncio.to_thread(lambda: opened_store(tmp_path / "books.db").close())
    clock, one, two = SystemClock(), market(), market()
    many = 4 * AT_ONCE
    for number in range(many):
        one.note(f"o{number}/oak", Observation(clock.now_ns() / 1e9, Outcome.ANSWERED, 1.0))
    async with sharing(ledger, "one", one, Learned(), clock):
        pass
    two.observations = turns = Turns()
    async with sharing(ledger, "two", two, Learned(), clock), asyncio.timeout(PATIENCE_S):
        while len(turns.taken) < many:
            await asyncio.sleep(0)
            turns.now += 1
    assert max(Counter(turns.taken[:many]).values()) <= AT_ONCE


async def test_how_a_router_stands_is_told(tmp_path: Path) -> None:
    """What a worker's router holds in memory is in the books a moment later, where all others find
    it; what it does next is told in its place."""
    ledger = Ledger("", tmp_path / "books.db", tmp_path / "books.journal", "process")
    await asyncio.to_thread(lambda: opened_store(tmp_path / "books.db").close())
    clock = SystemClock()
    stood = [0]

    def stands() -> Standing:
        return Standing("one", clock.now_ns(), (), (), stood[0], 0, 0, 0, ZERO)

    def asked() -> list[int]:
        with closing(opened_sql(ledger, create=False)) as sql:
            return [one.second_asked for one in told(sql, clock.now_ns())]

    async with sharing(ledger, "one", market(), Learned(), clock, stands):
        stood[0] = 7
    assert await asyncio.to_thread(asked) == [7]

"""Standing: what a worker's router holds in memory, as all others are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.sandbox.faults import Fault
from benchmarks.tables.database import open_market
from benchmarks.tables.latest import Latest, Word
from hedgerow.router.standing import (
    AGAIN_S,
    FRESH_S,
    Rest,
    Standing,
    is_news,
    rests_by_offer,
    standing,
    tell,
    told,
    with_own,
)
from ledger.databases.sql import Sql
from ledger.money import Money
from routing.breaker import FAILURES_TO_OPEN, Health
from tests.serving import ManualClock, serving

S_NS = 1_000_000_000
NOW_NS = 1_785_600_000 * S_NS
OPEN = Rest("a/x", Health.OPEN, 3, NOW_NS + 2 * S_NS)
QUIET = Rest("b/x", Health.CLOSED, 1, None)


def of(worker: str, *rests: Rest, at_ns: int = NOW_NS) -> Standing:
    return Standing(worker, at_ns, rests, (), 0, 0, 0, 0, Money(0))


async def test_of_a_server(tmp_path: Path) -> None:
    """Failures count until the breaker opens; then the offer rests, for as long as it says; what an
    account may take is told where it is limited."""
    async with serving(
        tmp_path, names=("a", "b"), clock=ManualClock(), honest=False, routing="{attempts: 1}"
    ) as proxy:
        house = proxy.server.house
        proxy.a.fault = Fault.HTTP_500
        for failures in range(1, FAILURES_TO_OPEN):
            await proxy.ask()
            (rest,) = standing(house).rests
            assert rest == Rest("a/oak-70b", Health.CLOSED, failures, None)
        await proxy.ask()
        now = standing(house)
        (rest,) = now.rests
        assert (rest.health, rest.failures) == (Health.OPEN, FAILURES_TO_OPEN)
        assert rest.until_ns is not None
        assert abs(rest.until_ns - house.clock.now_ns() - S_NS) < S_NS / 10
        assert {one.provider for one in now.rooms} == {"a", "b"}
        assert now.worker == house.called != ""


def test_all_workers_are_told(sql: Sql) -> None:
    """The last word of each that told lately; its own word gives way to what it knows now."""
    open_market(sql)
    late_ns = NOW_NS - int(FRESH_S * S_NS) - 1
    with sql.transaction():
        for one in (of("gone", at_ns=late_ns), of("one", QUIET), of("two")):
            tell(sql, one)
        tell(sql, of("two", OPEN))
        Latest(sql, "router").put(Word("newer", NOW_NS, b"\x93\x01\x02\x03"))
    others = told(sql, NOW_NS)
    assert others == [of("one", QUIET), of("two", OPEN)]
    own = of("two")
    assert with_own(others, own) == (own, of("one", QUIET))


def test_rests_that_are_over() -> None:
    """A rest that is over by now makes its offer half-open; breakers that are closed are not
    told."""
    every = (of("one", OPEN, QUIET), of("two", OPEN))
    assert rests_by_offer(every, NOW_NS) == {"a/x": (OPEN, OPEN)}
    later_ns = NOW_NS + 3 * S_NS
    found = rests_by_offer(every, later_ns)["a/x"]
    assert {one.health for one in found} == {Health.HALF_OPEN}


def test_what_is_worth_telling() -> None:
    """A change at once; that nothing has changed, now and then."""
    first = of("one", OPEN)
    again = replace(first, at_ns=NOW_NS + 2 * S_NS)
    assert is_news(first, None)
    assert not is_news(again, first)
    assert is_news(replace(again, purse=Money(1)), first)
    assert is_news(replace(first, at_ns=NOW_NS + int(AGAIN_S * S_NS)), first)

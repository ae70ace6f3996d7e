"""Hours: minutes that workers told, added up before they are forgotten."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.tables.database import open_market
from benchmarks.traffic.hours import (
    HOUR_S,
    HOURS_KEPT,
    MOST_STEPS,
    Counts,
    add_up,
    history,
    totals,
)
from benchmarks.traffic.observations import MINUTE_S, Observation, Observations, Outcome
from benchmarks.traffic.observed import tell
from ledger.databases.sql import Sql
from ledger.databases.sqlite_file import SqliteFile

S_NS = 1_000_000_000
START_S = 1_785_600_000
HOUR_NS = HOUR_S * S_NS
OFFERS = ("acme/elm", "acme/elm@eu", "zeta/oak")
WORKERS = ("one", "two")

Event = tuple[int, str, str, Outcome, float]
"""Seconds after the start, worker, offer, how it ended, milliseconds to the first token."""

events = st.lists(
    st.tuples(
        st.integers(0, 3 * HOUR_S),
        st.sampled_from(WORKERS),
        st.sampled_from(OFFERS),
        st.sampled_from(list(Outcome)),
        st.floats(1, 1000, width=32),
    ),
    max_size=60,
)


def live(sql: Sql, happened: list[Event], every_s: int) -> None:
    """Workers that see what happens and tell it, and a leader that adds it up, until the end."""
    workers = {name: Observations() for name in WORKERS}
    left = sorted(happened, key=lambda one: one[0])
    for at_s in range(0, 3 * HOUR_S + 10 * MINUTE_S, every_s):
        while left and left[0][0] <= at_s:
            when_s, worker, offer, outcome, ttft_ms = left.pop(0)
            workers[worker].note(offer, Observation(START_S + when_s, outcome, ttft_ms))
        now_ns = (START_S + at_s) * S_NS
        with sql.transaction():
            for name, one in workers.items():
                tell(sql, name, one.published(), now_ns)
        add_up(sql, now_ns)


@settings(max_examples=25)
@given(events, st.sampled_from([20, 60, 110]))
def test_every_attempt_counts_once_in_its_hour(happened: list[Event], every_s: int) -> None:
    """Whatever workers tell in pieces, again and again: an hour has what happened in it, by how it
    ended, and the percentiles of all its times."""
    sql = SqliteFile.open(Path(":memory:"))
    open_market(sql)
    live(sql, happened, every_s)
    counts: dict[tuple[str, int], Counter[Outcome]] = defaultdict(Counter)
    times: dict[tuple[str, int], list[float]] = defaultdict(list)
    for when_s, _, offer, outcome, ttft_ms in happened:
        key = offer, (START_S + when_s) // HOUR_S
        counts[key][outcome] += 1
        times[key].append(ttft_ms)
    first_ns = START_S // HOUR_S * HOUR_NS
    found = {
        (offer, step.since_ns // HOUR_NS): step
        for offer in OFFERS
        for step in history(sql, offer, first_ns, first_ns + 5 * HOUR_NS)
    }
    assert found.keys() == counts.keys()
    for key, step in found.items():
        assert step.counts == Counts(*(counts[key][one] for one in IN_ORDER))
        p50 = step.seen.ttft_ms_p50
        assert p50 is not None
        assert sum(one <= p50 for one in times[key]) * 2 >= len(times[key])
    for offer, total in totals(sql, first_ns, first_ns + 5 * HOUR_NS).items():
        assert total.attempts == sum(one[2] == offer for one in happened)
    sql.close()


IN_ORDER = (
    Outcome.ANSWERED,
    Outcome.FAILED,
    Outcome.RATE_LIMITED,
    Outcome.TRUNCATED,
    Outcome.OVERTAKEN,
)


def saw(sql: Sql, hour: int, times_ms: list[float]) -> None:
    """One hour's minutes, told and added up."""
    seen = Observations()
    at_s = hour * HOUR_S
    for one in times_ms:
        seen.note("a/m", Observation(at_s, Outcome.ANSWERED, one))
    now_ns = (at_s + 5 * MINUTE_S) * S_NS
    with sql.transaction():
        tell(sql, "w", seen.published(), now_ns)
    assert add_up(sql, now_ns) == 1
    assert add_up(sql, now_ns) == 0


def test_long_spans_in_few_steps(sql: Sql) -> None:
    """However long a span is, its history has no more than MOST_STEPS, and all attempts."""
    open_market(sql)
    random, hours = Random(1), range(500_000, 500_000 + HOURS_KEPT - 1)
    for hour in hours[::7]:
        saw(sql, hour, [random.uniform(1, 100) for _ in range(3)])
    steps = history(sql, "a/m", hours[0] * HOUR_NS, (hours[-1] + 1) * HOUR_NS)
    assert len(steps) <= MOST_STEPS
    assert sum(one.counts.attempts for one in steps) == 3 * len(hours[::7])
    assert all(one.until_ns - one.since_ns == 2 * HOUR_NS for one in steps)


def test_old_hours_go(sql: Sql) -> None:
    """What is older than HOURS_KEPT is forgotten, so that the table does not grow for ever."""
    open_market(sql)
    saw(sql, 500_000, [1.0])
    saw(sql, 500_000 + HOURS_KEPT + 1, [2.0])
    assert [one.seen.ttft_ms_p50 for one in history(sql, "a/m", 0, 600_000 * HOUR_NS)] == [2.0]


def test_nothing_seen(sql: Sql) -> None:
    """Without traffic there are no hours."""
    open_market(sql)
    assert add_up(sql, START_S * S_NS) == 0
    assert history(sql, "a/m", 0, START_S * S_NS) == []
    assert totals(sql, 0, START_S * S_NS) == {}

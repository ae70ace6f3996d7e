"""A history holds every row once, by the hour, or says why it cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.errors import DemandInvalid, DemandTooShort
from hedge.scenarios.history import MIN_DAYS, DemandHistory, Used
from hedge.scenarios.workload import Workload
from ledger.money import Money
from tests.hedge.scenarios.histories import made

SINCE = datetime(2026, 10, 1, tzinfo=UTC)
DAYS = 14
UNTIL = SINCE + timedelta(days=DAYS)
WORKLOADS = (Workload("chat", ("a", "b")), Workload("code", ("c",)))
rows = st.builds(
    Used,
    st.integers(0, DAYS * 86_400 - 1).map(lambda seconds: SINCE + timedelta(seconds=seconds)),
    st.sampled_from("abc"),
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(1, 10**9).map(Money),
    st.integers(1, 50),
)


def row(at: datetime, model: str = "a") -> Used:
    return Used(at, model, 10, 0, 5, Money(7))


@given(st.lists(rows, min_size=1, max_size=30))
def test_every_row_counts_once(used: list[Used]) -> None:
    """Totals are the rows' totals, each in its own hour and workload; shapes have mean 1."""
    history = DemandHistory.of(WORKLOADS, used, SINCE, UNTIL)
    assert history.list_cost == sum(one.list_cost for one in used)
    assert sum(one.list_cost for one in history.spend) == history.list_cost
    assert history.amounts.sum(axis=(0, 1, 2)).tolist() == [
        sum(one.prompt for one in used),
        sum(one.cached for one in used),
        sum(one.completion for one in used),
        sum(one.requests for one in used),
    ]
    first = used[0]
    workload = 0 if first.model in "ab" else 1
    together = [
        one.list_cost
        for one in used
        if (one.at.date(), one.at.hour) == (first.at.date(), first.at.hour)
        and (one.model in "ab") == (first.model in "ab")
    ]
    day = (first.at - SINCE).days
    assert history.list_nanos[day, first.at.hour, workload] == sum(together)
    assert history.slices.mean(axis=1) == pytest.approx(np.ones(2))
    assert (np.diff(history.slices, axis=1) <= 1e-12).all()


def test_an_even_hour_is_even_and_a_burst_is_not() -> None:
    """A row every minute of an hour gives all ones; one row in it gives it all to one slice; a
    workload that was never used is even."""
    even = [row(SINCE + timedelta(minutes=minute)) for minute in range(60)]
    shape = DemandHistory.of(WORKLOADS, even, SINCE, UNTIL).slices
    assert shape == pytest.approx(np.ones((2, 12)))
    burst = DemandHistory.of(WORKLOADS, even[30:31], SINCE, UNTIL).slices
    assert burst[0] == pytest.approx(np.array([12.0] + [0.0] * 11))


def test_time_zones_meet_in_utc() -> None:
    """A row at 01:30 in Berlin's summer belongs to 23:00 UTC the day before."""
    berlin = timezone(timedelta(hours=2))
    used = [row(datetime(2026, 10, 2, 1, 30, tzinfo=berlin))]
    history = DemandHistory.of(WORKLOADS, used, SINCE, UNTIL)
    assert history.amounts[0, 23, 0, 0] == 10


def test_too_few_days_are_refused() -> None:
    """The error says how many there are and how many it takes; so it does for a part of one."""
    with pytest.raises(DemandTooShort, match=rf"has 1 whole days, a plan needs {MIN_DAYS}"):
        DemandHistory.of(WORKLOADS, [row(SINCE)], SINCE, SINCE + timedelta(days=1))
    with pytest.raises(DemandTooShort, match="has 2 whole days"):
        made(5).between(3, 9)


@pytest.mark.parametrize(
    ("used", "why"),
    [
        ([], "nothing to hedge"),
        ([Used(SINCE, "a", 0, 0, 0, Money(5))], "used no tokens"),
        ([row(SINCE.replace(tzinfo=None))], "no time zone"),
        ([row(UNTIL)], "outside the history"),
        ([row(SINCE - timedelta(seconds=1))], "outside the history"),
        ([row(SINCE)._replace(cached=-1)], "negative count"),
        ([row(SINCE)._replace(list_cost=Money(-1))], "negative count"),
        ([row(SINCE)._replace(prompt=10**40)], "absurd"),
        ([row(SINCE)._replace(list_cost=Money(2**62))], "absurd"),
        ([row(SINCE)._replace(list_cost=Money(9 * 10**15))] * 2, "no plan believes more than"),
        ([row(SINCE, "unheard-of")], "no workload has model unheard-of"),
    ],
)
def test_what_is_no_usage_is_refused(used: list[Used], why: str) -> None:
    """Negative, absurd, misplaced or missing usage is named, not planned upon."""
    with pytest.raises(DemandInvalid, match=why):
        DemandHistory.of(WORKLOADS, used, SINCE, UNTIL)


@pytest.mark.parametrize(
    ("workloads", "why"),
    [
        ((), "no workloads"),
        ((Workload("x", ("a",)), Workload("y", ("a",))), "leave it in one"),
        ((Workload("x", ("a",)), Workload("x", ("b",))), "one name"),
    ],
)
def test_workloads_that_overlap_are_refused(workloads: tuple[Workload, ...], why: str) -> None:
    """Each model belongs to one workload, each workload has a name of its own."""
    with pytest.raises(DemandInvalid, match=why):
        DemandHistory.of(workloads, [row(SINCE)], SINCE, UNTIL)


def test_a_window_that_is_no_days_is_refused() -> None:
    """A history has whole UTC days."""
    with pytest.raises(DemandInvalid, match="no UTC midnight"):
        DemandHistory.of(WORKLOADS, [row(SINCE)], SINCE + timedelta(hours=1), UNTIL)


def test_the_hash_sees_every_number() -> None:
    """Equal histories have equal hashes; one token more, and it is another."""
    assert made(14).sha256() == made(14).sha256()
    other = made(14)
    other.amounts[3, 4, 0, 0] += 1
    assert other.sha256() != made(14).sha256()

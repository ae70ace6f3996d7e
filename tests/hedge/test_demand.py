"""A history holds every row once, by the hour, or says why it cannot."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.errors import DemandInvalid, DemandTooShort
from hedge.month.demand import MIN_DAYS, DemandHistory, Used
from ledger.money import Money
from tests.hedge.months import MODEL, SINCE

DAYS = 14
UNTIL = SINCE + timedelta(days=DAYS)
rows = st.builds(
    Used,
    st.integers(0, DAYS * 86_400 - 1).map(lambda seconds: SINCE + timedelta(seconds=seconds)),
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.integers(1, 10**9).map(Money),
)


def row(at: datetime) -> Used:
    return Used(at, 10, 5, Money(7))


@given(st.lists(rows, min_size=1, max_size=30))
def test_every_row_counts_once(used: list[Used]) -> None:
    """Totals are the rows' totals, each in its own hour; the shape of an hour has mean 1."""
    history = DemandHistory.of(MODEL, used, SINCE, UNTIL)
    assert history.tokens == sum(one.prompt + one.completion for one in used)
    assert history.list_cost == sum(one.list_cost for one in used)
    first = used[0].at
    in_its_hour = sum(
        one.list_cost for one in used if (one.at.date(), one.at.hour) == (first.date(), first.hour)
    )
    assert history.list_nanos[(first - SINCE).days, first.hour] == in_its_hour
    assert history.slices.mean() == pytest.approx(1)
    assert (np.diff(history.slices) <= 1e-12).all()


def test_an_even_hour_is_even_and_a_burst_is_not() -> None:
    """A row every minute of an hour gives all ones; one row in it gives it all to one slice."""
    even = [row(SINCE + timedelta(minutes=minute)) for minute in range(60)]
    assert DemandHistory.of(MODEL, even, SINCE, UNTIL).slices == pytest.approx(np.ones(12))
    burst = DemandHistory.of(MODEL, even[30:31], SINCE, UNTIL).slices
    assert burst == pytest.approx(np.array([12.0] + [0.0] * 11))


def test_time_zones_meet_in_utc() -> None:
    """A row at 01:30 in Berlin's summer belongs to 23:00 UTC the day before."""
    berlin = timezone(timedelta(hours=2))
    history = DemandHistory.of(
        MODEL, [row(datetime(2026, 10, 2, 1, 30, tzinfo=berlin))], SINCE, UNTIL
    )
    assert history.prompt[0, 23] == 10


def test_too_few_days_are_refused() -> None:
    """The error says how many there are and how many it takes."""
    with pytest.raises(DemandTooShort, match=rf"has 1 whole days, a plan needs {MIN_DAYS}"):
        DemandHistory.of(MODEL, [row(SINCE)], SINCE, SINCE + timedelta(days=1))


@pytest.mark.parametrize(
    ("used", "said"),
    [
        ([], "cost nothing"),
        ([Used(SINCE, 0, 0, Money(1))], "no tokens"),
        ([row(UNTIL)], "outside the history"),
        ([row(SINCE - timedelta(seconds=1))], "outside the history"),
        ([row(datetime(2026, 10, 2))], "no time zone"),  # noqa: DTZ001 - that is the point
        ([Used(SINCE, -1, 0, Money(1))], "negative"),
    ],
)
def test_rows_that_are_no_history_are_refused(used: list[Used], said: str) -> None:
    """Nothing is dropped silently."""
    with pytest.raises(DemandInvalid, match=said):
        DemandHistory.of(MODEL, used, SINCE, UNTIL)


@pytest.mark.parametrize("since", [SINCE + timedelta(hours=1), SINCE.replace(tzinfo=None)])
def test_a_window_is_of_whole_utc_days(since: datetime) -> None:
    """A part of a day would look like a quiet one."""
    with pytest.raises(DemandInvalid, match="no UTC midnight"):
        DemandHistory.of(MODEL, [row(SINCE)], since, UNTIL)

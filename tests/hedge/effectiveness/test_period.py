"""The month of a report, as far as it has come."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.effectiveness.period import Period
from ledger.instants import day_ns
from tests.hedge.book.contracts import at

MOMENTS = st.integers(day_ns(date(2024, 1, 1)), day_ns(date(2031, 1, 1)))


@given(st.dates(date(2024, 1, 1), date(2030, 12, 31)), MOMENTS)
def test_a_month_as_far_as_it_has_come(day: date, now_ns: int) -> None:
    """It lies within its month and ends by now; its days are those that have begun, and of those
    all are over but the last, at most."""
    found = Period.of(day, now_ns)
    assert found.month <= day < found.ends
    assert day_ns(found.month) == found.since_ns <= found.until_ns <= day_ns(found.ends)
    assert found.until_ns <= max(found.since_ns, found.at_ns)
    assert found.is_over == (found.until_ns == day_ns(found.ends))
    assert found.month <= found.last_day < found.ends
    assert found.whole_until <= found.last_day + timedelta(days=1)
    assert day_ns(found.whole_until) <= found.until_ns
    if found.has_begun:
        assert day_ns(found.last_day) < found.until_ns
    before = found.before()
    assert before.ends == found.month
    assert before.until_ns <= found.since_ns
    if found.is_over:
        assert before.until_ns == found.since_ns
    else:
        so_far = found.until_ns - found.since_ns
        assert before.until_ns - before.since_ns == min(so_far, found.since_ns - before.since_ns)


@pytest.mark.parametrize(
    ("when", "until", "before"),
    [
        ("2026-03-12T12:00", "2026-03-12T12:00", "2026-02-12T12:00"),
        ("2026-03-30T12:00", "2026-03-30T12:00", "2026-03-01"),  # February is shorter
        ("2026-04-01", "2026-04-01", "2026-03-01"),
        ("2026-09-09", "2026-04-01", "2026-03-01"),
        ("2026-02-27", "2026-03-01", "2026-02-01"),
    ],
)
def test_what_march_is_held_against(when: str, until: str, before: str) -> None:
    """As much of February; all of it when March is over; nothing before March has begun."""
    march = Period.of(date(2026, 3, 17), at(when))
    assert (march.until_ns, march.before().until_ns) == (at(until), at(before))

"""Business days are those of the published calendars."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ledger.business_days import (
    business_days,
    business_days_of_month,
    federal_holidays,
    is_business_day,
)

PUBLISHED = {
    2021: "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31",
    2026: "01-01 01-19 02-16 05-25 06-19 07-03 09-07 10-12 11-11 11-26 12-25",
    2027: "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31",
    2028: "01-17 02-21 05-29 06-19 07-04 09-04 10-09 11-10 11-23 12-25",
}
"""As the Office of Personnel Management lists them: the days on which they are observed."""


def test_holidays_as_published() -> None:
    """Fixed days move off weekends, New Year's Day into the old year if need be."""
    for year, days in PUBLISHED.items():
        assert [f"{day:%m-%d}" for day in federal_holidays(year)] == days.split()


def test_months_as_published() -> None:
    """November 2026 has 19 business days, July 2027 has 21, December 2027 has 21."""
    months = [(2026, 11), (2027, 7), (2027, 12)]
    assert [len(business_days_of_month(*month)) for month in months] == [19, 21, 21]


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(0, 800))
def test_a_span_is_its_days(first: date, days: int) -> None:
    """The days of a span are those of it that are business days, one by one."""
    every = [first + timedelta(days=day) for day in range(days)]
    found = business_days(first, first + timedelta(days=days))
    assert found == tuple(day for day in every if is_business_day(day))

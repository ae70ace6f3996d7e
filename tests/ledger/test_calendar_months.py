"""Months later: dates that a calendar has."""

from __future__ import annotations

from datetime import date

from ledger.calendar_months import month_after, months_later


def test_months_later() -> None:
    """The same day, or the month's last; back as well as on, over the year's end."""
    assert months_later(date(2026, 1, 31), 1) == date(2026, 2, 28)
    assert months_later(date(2025, 12, 15), 1) == date(2026, 1, 15)
    assert months_later(date(2026, 1, 1), -3) == date(2025, 10, 1)
    assert months_later(date(2026, 11, 30), 13) == date(2027, 12, 30)
    assert months_later(date(2026, 2, 28), 0) == date(2026, 2, 28)


def test_the_month_after() -> None:
    """Its first day, over the year's end as well."""
    assert month_after(date(2026, 12, 31)) == date(2027, 1, 1)
    assert month_after(date(2026, 1, 1)) == date(2026, 2, 1)

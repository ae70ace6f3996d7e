"""Months of the calendar: the first day of the next one, and the same day of a later one."""

from __future__ import annotations

from calendar import monthrange
from datetime import date


def month_after(day: date) -> date:
    """The first day of the month after that of `day`."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def months_later(day: date, months: int) -> date:
    """The same day of a later month (below zero: an earlier one), or its last one."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))

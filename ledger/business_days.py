"""Business days in the United States: what is no weekend and no federal holiday (5 U.S.C. 6103)."""

from __future__ import annotations

from datetime import date, timedelta

from ledger.calendar_months import month_after

_DAY = timedelta(days=1)
_MONDAY, _THURSDAY, _SATURDAY, _SUNDAY = 0, 3, 5, 6
_JUNETEENTH_SINCE = 2021


def federal_holidays(year: int) -> tuple[date, ...]:
    """The days of `year` on which a federal holiday is observed, in order.

    One on a Saturday is observed the Friday before, one on a Sunday the Monday after: New Year's
    Day of the next year may fall into this one.
    """
    fixed = [(year, 1, 1), (year, 7, 4), (year, 11, 11), (year, 12, 25), (year + 1, 1, 1)]
    if year >= _JUNETEENTH_SINCE:
        fixed.append((year, 6, 19))
    floating = [
        _nth(year, 1, _MONDAY, 3),
        _nth(year, 2, _MONDAY, 3),
        _last_monday_of_may(year),
        _nth(year, 9, _MONDAY, 1),
        _nth(year, 10, _MONDAY, 2),
        _nth(year, 11, _THURSDAY, 4),
    ]
    observed = [*(_observed(date(*day)) for day in fixed), *floating]
    return tuple(sorted(day for day in observed if day.year == year))


def is_business_day(day: date) -> bool:
    return day.weekday() < _SATURDAY and day not in federal_holidays(day.year)


def business_days(first: date, until: date) -> tuple[date, ...]:
    """Those from `first` on and before `until`."""
    holidays = {day for year in range(first.year, until.year + 1) for day in federal_holidays(year)}
    every = (first + timedelta(days=place) for place in range((until - first).days))
    return tuple(day for day in every if day.weekday() < _SATURDAY and day not in holidays)


def business_days_of_month(year: int, month: int) -> tuple[date, ...]:
    return business_days(date(year, month, 1), month_after(date(year, month, 1)))


def _observed(day: date) -> date:
    return day + _DAY * {_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0)


def _nth(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(days=last.weekday())

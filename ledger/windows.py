"""Windows: the span of time that a budget counts over, as a pure function of (window, zone, now).

There is no job that resets anything: a new window is a new account, and its first hold opens it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo


class Window(StrEnum):
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    LIFETIME = "lifetime"


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open `[start, end)` in UTC; a lifetime has no end."""

    start: datetime
    end: datetime | None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIXED = {Window.MINUTE: timedelta(minutes=1), Window.HOUR: timedelta(hours=1)}


def span_of(window: Window, zone: ZoneInfo, now: datetime) -> Span:
    """The one span of `window` that contains `now` (an aware datetime).

    Days and longer begin at local midnight (weeks on Monday), so a day may last 23 or 25 hours.
    Minutes and hours are those of UTC: a clock change cannot stretch or repeat them.
    """
    if window is Window.LIFETIME:
        return Span(_EPOCH, None)
    if window in _FIXED:
        step = _FIXED[window]
        start = _EPOCH + (now - _EPOCH) // step * step
        return Span(start, start + step)
    return _span_of_day(window, zone, now.astimezone(zone).date())


@lru_cache(maxsize=4096)
def _span_of_day(window: Window, zone: ZoneInfo, day: date) -> Span:
    """Asked for with every request, and the same for a whole day."""
    first = _first_day(window, day)
    return Span(_midnight(first, zone), _midnight(_next_first_day(window, first), zone))


def _first_day(window: Window, day: date) -> date:
    if window is Window.WEEK:
        return day - timedelta(days=day.weekday())
    if window is Window.MONTH:
        return day.replace(day=1)
    if window is Window.QUARTER:
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    if window is Window.YEAR:
        return day.replace(month=1, day=1)
    return day


def _next_first_day(window: Window, first: date) -> date:
    if window is Window.DAY:
        return first + timedelta(days=1)
    if window is Window.WEEK:
        return first + timedelta(days=7)
    months = {Window.MONTH: 1, Window.QUARTER: 3, Window.YEAR: 12}[window]
    years, month = divmod(first.month - 1 + months, 12)
    return first.replace(year=first.year + years, month=month + 1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    # Where midnight is skipped or happens twice, fold=0 is the instant at which the new day begins.
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)

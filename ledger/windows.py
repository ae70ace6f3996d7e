"""Windows: the span of time that a budget counts over, as a pure function of (window, zone, now).

There is no job that resets anything: a new window is a new account, and its first hold opens it.
A rolling window has an account for each of its buckets, and counts those that it touches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

from ledger.errors import NotAWindow


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
class Rolling:
    """The last so many minutes, hours or days, in whole buckets.

    A bucket that lies partly outside still counts, so that the true window never holds more than
    the cap. `text`: as it is written, `rolling:30d`. Buckets begin at whole multiples in UTC.
    """

    text: str
    length: timedelta

    @property
    def bucket(self) -> timedelta:
        """The largest of the usual steps of which the window has at least 24: a bucket more than
        the true window is counted, so that 4% at most are refused too early."""
        return next((one for one in _BUCKETS if one * _LEAST_BUCKETS <= self.length), _BUCKETS[-1])

    def __str__(self) -> str:
        return self.text


AnyWindow: TypeAlias = Window | Rolling

_BUCKETS = tuple(
    timedelta(seconds=one)
    for one in (86_400, 43_200, 21_600, 10_800, 3_600, 1_800, 900, 300, 60, 30, 10, 5, 1)
)
_LEAST_BUCKETS = 24
_ROLLING = re.compile(r"rolling:([1-9][0-9]{0,3})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def window_of(text: str) -> AnyWindow:
    """A window by its name: `month`, `rolling:30d`, `rolling:90m`. Raises NotAWindow."""
    if found := _ROLLING.fullmatch(text):
        return Rolling(text, int(found[1]) * _UNITS[found[2]])
    try:
        return Window(text)
    except ValueError:
        names = ", ".join(Window)
        raise NotAWindow(
            f"{text!r} is no window: write one of {names}, or rolling:30d (m, h or d)"
        ) from None


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open `[start, end)` in UTC; a lifetime has no end.

    counted_since: from which start on spans count together with this one: its own, but for a
    bucket of a rolling window.
    """

    start: datetime
    end: datetime | None
    counted_since: datetime


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIXED = {Window.MINUTE: timedelta(minutes=1), Window.HOUR: timedelta(hours=1)}


def span_of(window: AnyWindow, zone: ZoneInfo, now: datetime) -> Span:
    """The one span of `window` that contains `now` (an aware datetime).

    Days and longer begin at local midnight (weeks on Monday), so a day may last 23 or 25 hours.
    Minutes and hours are those of UTC: a clock change cannot stretch or repeat them.
    """
    if isinstance(window, Rolling):
        start = _step_before(now, window.bucket)
        # Every bucket that the window touches, wherever in the last one it ends.
        buckets = -(-window.length // window.bucket)
        return Span(start, start + window.bucket, start - buckets * window.bucket)
    if window is Window.LIFETIME:
        return Span(_EPOCH, None, _EPOCH)
    if window in _FIXED:
        start = _step_before(now, _FIXED[window])
        return Span(start, start + _FIXED[window], start)
    return _span_of_day(window, zone, now.astimezone(zone).date())


def _step_before(at: datetime, step: timedelta) -> datetime:
    return _EPOCH + (at - _EPOCH) // step * step


@lru_cache(maxsize=4096)
def _span_of_day(window: Window, zone: ZoneInfo, day: date) -> Span:
    """Asked for with every request, and the same for a whole day."""
    first = _first_day(window, day)
    start = _midnight(first, zone)
    return Span(start, _midnight(_next_first_day(window, first), zone), start)


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

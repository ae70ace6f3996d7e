"""The hours at which LiteLLM's price file has other prices of a model.

    {"windows": [{"hours_utc": ["00:00-01:00", "10:00-00:00"], "weekdays": [1, 2, 3, 4, 5]},
                 {"hours_utc": "00:00-00:00", "weekdays": [6, 7]}],
     "weekday_timezone": "Asia/Shanghai", …prices}

The days of the week are those of another place, maybe, while the hours are of UTC: so the week is
laid out minute by minute, and read again by its days in UTC.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks.quotes import DAY_MINUTES, UtcHours

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_DAYS = range(1, 8)
_WINTER, _SUMMER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Window:
    """Minutes of a day in UTC; weekdays: those of the place, None for all of them."""

    start: int
    end: int
    weekdays: frozenset[int] | None

    def has(self, minute: int, weekday: int) -> bool:
        if self.start < self.end:
            inside = self.start <= minute < self.end
        else:
            inside = minute >= self.start or minute < self.end
        return inside and (self.weekdays is None or weekday in self.weekdays)


def off_peak_hours(written: object) -> tuple[UtcHours, ...] | None:
    """None for what cannot be understood, or is no time at all."""
    if not isinstance(written, dict) or not isinstance(written.get("windows"), list):
        return None
    ahead = _ahead_minutes(written.get("weekday_timezone"))
    windows = [found for one in written["windows"] for found in _windows(one)]
    if ahead is None or None in windows:
        return None
    known = [one for one in windows if one is not None]
    days_of: defaultdict[tuple[tuple[int, int], ...], set[int]] = defaultdict(set)
    for day in _DAYS:
        inside = [
            any(one.has(minute, _weekday(day, minute + ahead)) for one in known)
            for minute in range(DAY_MINUTES)
        ]
        days_of[tuple(_runs(inside))].add(day)
    found = [
        UtcHours(start, end, None if len(days) == len(_DAYS) else frozenset(days))
        for runs, days in days_of.items()
        for start, end in runs
    ]
    return tuple(found) or None


def _weekday(day: int, minute: int) -> int:
    return (day - 1 + minute // DAY_MINUTES) % 7 + 1


def _runs(inside: list[bool]) -> Iterator[tuple[int, int]]:
    """Where it is true without a gap: from, until before."""
    start: int | None = None
    for minute, one in enumerate([*inside, False]):
        if one and start is None:
            start = minute
        elif not one and start is not None:
            yield start, minute
            start = None


def _windows(written: Any) -> Iterator[_Window | None]:
    hours = written.get("hours_utc") if isinstance(written, dict) else None
    days = written.get("weekdays") if isinstance(written, dict) else None
    weekdays: frozenset[int] | None = None
    if isinstance(days, list) and days and all(one in _DAYS for one in days):
        weekdays = frozenset(days)
    elif days is not None:
        hours = None
    spans = [hours] if isinstance(hours, str) else hours
    if not isinstance(spans, list) or not spans:
        yield None
        return
    for one in spans:
        times = _HOURS.fullmatch(one) if isinstance(one, str) else None
        if times is None:
            yield None
            continue
        start, end = int(times[1]) * 60 + int(times[2]), int(times[3]) * 60 + int(times[4])
        end = end or DAY_MINUTES
        # Over midnight, nobody says of which of the two days it is.
        is_clear = start < end or (start > end and weekdays is None)
        yield _Window(start, end, weekdays) if is_clear else None


def _ahead_minutes(zone: object) -> int | None:
    """How far ahead of UTC a place is; None if that changes with the season, or nobody knows it."""
    if zone is None:
        return 0
    try:
        place = ZoneInfo(str(zone))
    except (KeyError, ValueError, OSError):  # an unknown name, none at all, a folder's
        return None
    offsets = {one.astimezone(place).utcoffset() for one in (_WINTER, _SUMMER)}
    offset = offsets.pop()
    return None if offsets or offset is None else offset // timedelta(minutes=1)

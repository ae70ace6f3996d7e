"""Windows: every moment is in exactly one span, and spans begin where people say they do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.windows import Span, Window, span_of

ZONES = sorted(available_timezones())
ODD_ZONES = [
    "Africa/Cairo",  # midnight is skipped
    "America/Santiago",
    "America/Havana",  # midnight happens twice
    "America/Scoresbysund",
    "Antarctica/Casey",  # jumps of three hours
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Pyongyang",  # half an hour, over midnight
    "Asia/Tehran",
    "Australia/Lord_Howe",  # half an hour
    "Pacific/Apia",
    "Pacific/Chatham",
]
FIRST, LAST = datetime(2015, 1, 1, tzinfo=UTC), datetime(2035, 12, 31, tzinfo=UTC)
TICK = timedelta(microseconds=1)
CALENDAR = [Window.DAY, Window.WEEK, Window.MONTH, Window.QUARTER, Window.YEAR]
ENDING = [one for one in Window if one is not Window.LIFETIME]

moments = st.datetimes(
    FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None), timezones=st.just(UTC)
)


def period(window: Window, local: datetime) -> tuple[int, ...]:
    """What people call the window that a local time is in."""
    return {
        Window.DAY: (local.year, local.month, local.day),
        Window.WEEK: tuple(local.isocalendar()[:2]),
        Window.MONTH: (local.year, local.month),
        Window.QUARTER: (local.year, (local.month - 1) // 3),
        Window.YEAR: (local.year,),
    }[window]


def check(window: Window, zone: ZoneInfo, now: datetime) -> Span:
    span = span_of(window, zone, now)
    assert span.end is not None
    assert span.start <= now < span.end
    assert span_of(window, zone, span.start) == span
    assert span_of(window, zone, span.end - TICK) == span
    assert span_of(window, zone, span.end).start == span.end
    assert span.start.microsecond == 0
    if window in CALENDAR:
        name = period(window, now.astimezone(zone))
        assert period(window, span.start.astimezone(zone)) == name
        assert period(window, (span.end - TICK).astimezone(zone)) == name
        assert period(window, (span.start - TICK).astimezone(zone)) < name
        assert period(window, span.end.astimezone(zone)) > name
    return span


@settings(max_examples=400)
@given(st.sampled_from(ENDING), st.sampled_from(ZONES), moments)
@example(Window.WEEK, "Europe/Berlin", datetime(2024, 12, 31, 23, 30, tzinfo=UTC))
def test_spans_tile_time(window: Window, zone: str, now: datetime) -> None:
    """A span holds the moment it was made for, its neighbours touch it, and it is named rightly."""
    check(window, ZoneInfo(zone), now)


def changes_of(zone: ZoneInfo) -> list[datetime]:
    """Every change of a zone's offset, to the second."""
    found, at, step = [], FIRST, timedelta(days=1)
    while at < LAST:
        low, high = at, at + step
        before = low.astimezone(zone).utcoffset()
        if high.astimezone(zone).utcoffset() != before:
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                middle = middle.replace(microsecond=0)
                if middle.astimezone(zone).utcoffset() == before:
                    low = middle
                else:
                    high = middle
            found.append(high)
        at += step
    return found


@pytest.mark.parametrize("name", ODD_ZONES)
def test_spans_tile_time_where_clocks_change(name: str) -> None:
    """Around every change of the clock from 2015 to 2035, in the zones that do it strangely."""
    zone = ZoneInfo(name)
    for change in changes_of(zone):
        for minutes in (-1440, -181, -60, -30, -1, 0, 1, 30, 60, 181, 1440):
            now = change + timedelta(minutes=minutes)
            for window in (Window.DAY, Window.WEEK, Window.MONTH):
                check(window, zone, now)


@pytest.mark.parametrize(
    ("zone", "now", "start", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T12:00+00:00", "2026-03-28T23:00+00:00", 23),
        ("Europe/Berlin", "2026-10-25T12:00+00:00", "2026-10-24T22:00+00:00", 25),
        ("America/Santiago", "2024-09-08T12:00+00:00", "2024-09-08T04:00+00:00", 23),
        ("Asia/Beirut", "2025-03-30T12:00+00:00", "2025-03-29T22:00+00:00", 23),
        ("America/Havana", "2025-11-02T12:00+00:00", "2025-11-02T04:00+00:00", 25),
        ("Australia/Lord_Howe", "2026-04-05T12:00+00:00", "2026-04-04T13:00+00:00", 24.5),
        ("Asia/Kathmandu", "2026-03-29T12:00+00:00", "2026-03-28T18:15+00:00", 24),
        ("Pacific/Apia", "2026-03-29T12:00+00:00", "2026-03-29T11:00+00:00", 24),
    ],
)
def test_known_days(zone: str, now: str, start: str, hours: float) -> None:
    """Days that clock changes make shorter or longer, and where they begin."""
    span = span_of(Window.DAY, ZoneInfo(zone), datetime.fromisoformat(now))
    begin = datetime.fromisoformat(start)
    assert span == Span(begin, begin + timedelta(hours=hours), begin)


@given(st.sampled_from(ZONES), moments, moments)
def test_a_lifetime_never_resets(zone: str, one: datetime, other: datetime) -> None:
    """A lifetime is the same span at every moment, without an end."""
    span = span_of(Window.LIFETIME, ZoneInfo(zone), one)
    assert span == span_of(Window.LIFETIME, ZoneInfo(zone), other)
    assert span.end is None


@given(st.sampled_from(ZONES), moments, st.sampled_from(ZONES))
def test_minutes_and_hours_know_no_zone(zone: str, now: datetime, other: str) -> None:
    """A minute has 60 seconds and an hour 3600 in every zone, whatever the clock does."""
    for window, seconds in ((Window.MINUTE, 60), (Window.HOUR, 3600)):
        span = span_of(window, ZoneInfo(zone), now)
        assert span == span_of(window, ZoneInfo(other), now.astimezone(ZoneInfo(other)))
        assert span.end == span.start + timedelta(seconds=seconds)
        assert span.start.timestamp() % seconds == 0

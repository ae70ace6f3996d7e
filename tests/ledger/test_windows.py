"""Windows: every moment is in exactly one span, and spans begin where people say they do."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.errors import NotAWindow
from ledger.windows import Rolling, Span, Window, span_of, window_of

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


def test_quarters_and_years_end_where_people_say() -> None:
    """In local time, leap years and summer time included."""
    berlin = ZoneInfo("Europe/Berlin")
    leap_day = datetime(2028, 2, 29, 12, tzinfo=UTC)
    for window, start, end in (
        (Window.MONTH, (2028, 2, 1), (2028, 3, 1)),
        (Window.QUARTER, (2028, 1, 1), (2028, 4, 1)),
        (Window.YEAR, (2028, 1, 1), (2029, 1, 1)),
    ):
        span = span_of(window, berlin, leap_day)
        assert span.start == datetime(*start, tzinfo=berlin)
        assert span.end == datetime(*end, tzinfo=berlin)


@settings(max_examples=200)
@given(st.sampled_from(CALENDAR), st.sampled_from(ZONES), st.integers(2015, 2034), st.data())
def test_spans_tile_time_where_months_end(
    window: Window, zone: str, year: int, data: st.DataObject
) -> None:
    """Around local midnight of every month's first and last day, each leap day among them."""
    month = data.draw(st.integers(1, 12))
    first = datetime(year, month, 1, tzinfo=ZoneInfo(zone))
    for hours in (-48, -24, -1, 0, 1, 24):
        for tick in (-TICK, timedelta(0), TICK):
            check(window, ZoneInfo(zone), first.astimezone(UTC) + timedelta(hours=hours) + tick)


rolling_texts = st.builds(
    lambda count, unit: f"rolling:{count}{unit}", st.integers(1, 9999), st.sampled_from("mhd")
)


@settings(max_examples=400)
@given(rolling_texts, st.sampled_from(ZONES), moments, st.data())
def test_a_rolling_window_counts_all_that_is_in_it(
    text: str, zone: str, now: datetime, data: st.DataObject
) -> None:
    """Whatever was spent since now less its length counts, at most one bucket more does, and the
    zone is nobody's concern."""
    window = window_of(text)
    assert isinstance(window, Rolling)
    span = span_of(window, ZoneInfo(zone), now)
    # Where a spend may lie, most of all at the edges of what is counted.
    edges = [now, now - window.length, span.counted_since, span.start]
    then = data.draw(st.sampled_from(edges)) + data.draw(
        st.timedeltas(-2 * window.bucket, 2 * window.bucket) | st.sampled_from([-TICK, TICK])
    )
    began = span_of(window, ZoneInfo("UTC"), then).start
    is_counted = span.counted_since <= began <= span.start
    if now - window.length <= then <= now:
        assert is_counted
    if then < now - window.length - 2 * window.bucket:
        assert not is_counted
    assert span.start - span.counted_since < window.length + window.bucket


def test_rolling_against_brute_force() -> None:
    """Spends at random are summed by buckets and one by one: the buckets never have less, and
    never what is older than the window by two buckets."""
    draws, zone = random.Random(7), ZoneInfo("UTC")
    for text in ("rolling:7m", "rolling:127m", "rolling:36h", "rolling:30d"):
        window = window_of(text)
        assert isinstance(window, Rolling)
        begin = datetime(2026, 3, 1, tzinfo=UTC)
        spends = [
            (begin + draws.random() * 4 * window.length, draws.randrange(1000)) for _ in range(300)
        ]
        buckets: dict[datetime, int] = {}
        for at, amount in spends:
            start = span_of(window, zone, at).start
            buckets[start] = buckets.get(start, 0) + amount
        for now, _ in spends:
            span = span_of(window, zone, now)
            in_it = [one for one in buckets if span.counted_since <= one <= span.start]
            counted = sum(buckets[one] for one in in_it)
            true = sum(amount for at, amount in spends if now - window.length <= at <= now)
            oldest = span.counted_since
            assert now - oldest < window.length + 2 * window.bucket
            most = sum(amount for at, amount in spends if oldest <= at < span.start + window.bucket)
            assert true <= counted == most


@given(rolling_texts)
def test_a_bucket_is_a_small_part_of_its_window(text: str) -> None:
    """Of every window there are at least 24 whole buckets; a day is the largest bucket."""
    window = window_of(text)
    assert isinstance(window, Rolling)
    assert window.length >= 24 * window.bucket
    assert timedelta(seconds=1) <= window.bucket <= timedelta(days=1)
    assert str(window) == text


@pytest.mark.parametrize(
    "text", ["fortnight", "Month", "", "rolling", "rolling:", "rolling:0d", "rolling:030d",
             "rolling:10000d", "rolling:30w", "rolling:1.5h", "rolling:30d ", "rolling:٣d"],
)  # fmt: skip
def test_what_is_no_window(text: str) -> None:
    """It is refused, with all that there are."""
    with pytest.raises(NotAWindow, match="minute, hour, day, week, month, quarter, year, lifetime"):
        window_of(text)

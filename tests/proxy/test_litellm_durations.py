"""Durations in LiteLLM's words. Where they are spans of the calendar, LiteLLM itself is the judge:
tests/clients/test_litellm_sdk.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.windows import Rolling, Window
from proxy.admin.litellm.durations import duration_of_window, expiry_of, window_of_duration
from proxy.errors import Invalid

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
NOW_NS = int(datetime(2027, 1, 31, 12, tzinfo=UTC).timestamp()) * 10**9


@given(st.integers(1, 999_999), st.sampled_from(sorted(SECONDS)))
def test_a_window_is_as_long_as_it_is_written(number: int, unit: str) -> None:
    """A rolling window has the length to the second; a span of the calendar has it, or is the
    month of thirty days. What cannot be counted is refused, never rounded."""
    length = timedelta(seconds=number * SECONDS[unit])
    try:
        found = window_of_duration(f"{number}{unit}", "budget_duration")
    except Invalid:
        steps = [timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)]
        assert not any(length % one == timedelta(0) and length // one <= 9999 for one in steps)
        return
    if isinstance(found, Rolling):
        assert found.length == length
    else:
        spans = {
            Window.MINUTE: timedelta(minutes=1),
            Window.HOUR: timedelta(hours=1),
            Window.DAY: timedelta(days=1),
            Window.WEEK: timedelta(days=7),
            Window.MONTH: timedelta(days=30),
        }
        assert spans[found] == length
    shown = duration_of_window(found)
    assert shown is not None
    assert window_of_duration(shown, "budget_duration") == found


@given(st.integers(1, 9999), st.sampled_from(sorted(SECONDS)))
def test_what_lasts_so_long_is_over_then(number: int, unit: str) -> None:
    """To the second from now on."""
    assert expiry_of(f"{number}{unit}", NOW_NS, "duration") == (
        NOW_NS + number * SECONDS[unit] * 10**9
    )


def test_months_end_where_they_can() -> None:
    """A month from the last of January is the last of February; never is never."""
    (february,) = {expiry_of(one, NOW_NS, "duration") for one in ("1mo", "monthly")}
    assert february == int(datetime(2027, 2, 28, 12, tzinfo=UTC).timestamp()) * 10**9
    assert expiry_of("1y", NOW_NS, "duration") == (
        int(datetime(2028, 1, 31, 12, tzinfo=UTC).timestamp()) * 10**9
    )
    assert expiry_of(None, NOW_NS, "duration") is expiry_of("-1", NOW_NS, "duration") is None


@pytest.mark.parametrize("text", ["", "d", "1", "-1d", "1.5h", "0d", "1d ago", "30sec", "٣d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Half a duration is not taken for a whole one."""
    with pytest.raises(Invalid, match="budget_duration"):
        window_of_duration(text, "budget_duration")


@pytest.mark.parametrize("text", ["999999y", "999999mo"])
def test_longer_than_the_calendar(text: str) -> None:
    """What the books cannot hold is said, too."""
    with pytest.raises(Invalid, match="duration"):
        expiry_of(text, NOW_NS, "duration")

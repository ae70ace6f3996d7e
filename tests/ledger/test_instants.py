"""Instants: exact, whatever the time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from ledger.instants import as_ns, instant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LATEST = datetime(9999, 1, 1, tzinfo=UTC)


@given(st.integers(0, (LATEST - EPOCH) // MICROSECOND), st.integers(-14 * 60, 14 * 60))
def test_there_and_back(micros: int, minutes_east: int) -> None:
    """No microsecond is lost or won."""
    at = (EPOCH + micros * MICROSECOND).astimezone(timezone(timedelta(minutes=minutes_east)))
    assert as_ns(at) == micros * 1000
    assert instant(as_ns(at)) == at


@given(st.integers(0, 2**62))
def test_the_microsecond_before(at_ns: int) -> None:
    """So that the last nanosecond of a window is not the first of the next."""
    assert as_ns(instant(at_ns)) == at_ns - at_ns % 1000

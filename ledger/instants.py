"""Instants: moments as datetimes of UTC, and as whole nanoseconds since 1970.

Never by way of a float: one of today is wrong by some hundred nanoseconds, and rounds a moment into
the next window.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time


def as_ns(at: datetime) -> int:
    return int(at.replace(microsecond=0).timestamp()) * 1_000_000_000 + at.microsecond * 1000


def day_ns(day: date) -> int:
    """The beginning of a day of UTC."""
    return as_ns(datetime.combine(day, time(), UTC))


def instant(at_ns: int) -> datetime:
    """To the microsecond before."""
    seconds, nanos = divmod(at_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanos // 1000)

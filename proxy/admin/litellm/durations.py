"""Durations as LiteLLM writes them: `30s`, `30m`, `1h`, `7d`, `1mo`."""

from __future__ import annotations

import re
from calendar import monthrange
from contextlib import suppress
from datetime import timedelta

from ledger.errors import NotAWindow
from ledger.instants import instant
from ledger.windows import AnyWindow, Window, window_of
from proxy.admin.asked import invalid, nanos_of

_WORDS = {"hourly": "1h", "daily": "1d", "weekly": "7d", "monthly": "1mo"}
_DURATION = re.compile(r"([1-9][0-9]{0,5})(mo|[smhdwy])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

_CALENDAR = {
    60: Window.MINUTE,
    3600: Window.HOUR,
    86_400: Window.DAY,
    7 * 86_400: Window.WEEK,
    # LiteLLM's `30d` resets on the first of the month, too.
    30 * 86_400: Window.MONTH,
}
"""Lengths in seconds that are spans of the calendar, as they are there."""

_NAMES = {
    Window.MINUTE: "1m",
    Window.HOUR: "1h",
    Window.DAY: "1d",
    Window.WEEK: "7d",
    Window.MONTH: "1mo",
    Window.QUARTER: "3mo",
    Window.YEAR: "1y",
}


def window_of_duration(text: str, param: str) -> AnyWindow:
    """What a budget of this `budget_duration` counts over, in UTC. Raises Invalid.

    A length that is no span of the calendar becomes a rolling window: in no stretch of that length
    is more spent than the budget, wherever it begins.
    """
    number, unit = _parsed(text, param)
    if unit in ("mo", "y"):
        spans = {(1, "mo"): Window.MONTH, (3, "mo"): Window.QUARTER, (12, "mo"): Window.YEAR}
        found = spans.get((number, unit), Window.YEAR if (number, unit) == (1, "y") else None)
        if found is None:
            raise invalid(f"{param} is {text}: write 1mo, 3mo, 1y, or a number of days", param)
        return found
    seconds = number * _SECONDS[unit]
    if seconds in _CALENDAR:
        return _CALENDAR[seconds]
    for letter, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % length == 0:
            with suppress(NotAWindow):
                return window_of(f"rolling:{seconds // length}{letter}")
    raise invalid(f"{param} is {text}: write whole minutes, hours or days, 9999 at most", param)


def duration_of_window(window: AnyWindow) -> str | None:
    """The inverse; None for a lifetime."""
    if isinstance(window, Window):
        return _NAMES.get(window)
    return str(window).removeprefix("rolling:")


def expiry_of(text: str | None, now_ns: int, param: str) -> int | None:
    """When something that lasts so long from now on is over; None, and `-1`, are never."""
    if text is None or text == "-1":
        return None
    number, unit = _parsed(text, param)
    now = instant(now_ns)
    try:
        if unit in ("mo", "y"):
            months = now.month - 1 + number * (12 if unit == "y" else 1)
            year, month = now.year + months // 12, months % 12 + 1
            day = min(now.day, monthrange(year, month)[1])
            return nanos_of(now.replace(year=year, month=month, day=day), param)
        return nanos_of(now + timedelta(seconds=number * _SECONDS[unit]), param)
    except (ValueError, OverflowError):
        raise invalid(f"{param} is {text}: that is too long", param) from None


def _parsed(text: str, param: str) -> tuple[int, str]:
    found = _DURATION.fullmatch(_WORDS.get(text.strip().lower(), text.strip()))
    if found is None:
        raise invalid(
            f"{param} is {text[:40]!r}: write a number and s, m, h, d, w, mo or y, as in 30d", param
        )
    return int(found[1]), found[2]

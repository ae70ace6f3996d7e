"""Period: the time that a page looks at, as its URL says it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ledger.instants import as_ns, instant
from ledger.money import MAX_NANOS
from ledger.windows import Span, Window, span_of
from proxy.admin.asked import Asked, invalid, zone_named

THIS_MONTH = "month"
ALL = "all"
CUSTOM = "custom"
_MONTHS_BACK = 6
_DAYS = {"today": 1, "7d": 7, "30d": 30, "90d": 90}
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_YEARS = range(1970, 2262)
"""Whose days the books can hold, all of them and in every zone."""


@dataclass(frozen=True, slots=True)
class Period:
    """since_ns, until_ns: half-open; MAX_NANOS where it goes on. ends_ns: when it is over, however
    far that is ahead; None for what has no end. choice: what the URL calls it."""

    choice: str
    title: str
    since_ns: int
    until_ns: int
    ends_ns: int | None
    zone: ZoneInfo

    @property
    def is_running(self) -> bool:
        return self.until_ns == MAX_NANOS

    @property
    def query(self) -> dict[str, str]:
        """What names it in a URL; nothing for the usual one."""
        told = {} if self.choice in (THIS_MONTH, CUSTOM) else {"period": self.choice}
        if self.choice == CUSTOM:
            first = instant(self.since_ns).astimezone(self.zone)
            told["from"] = first.date().isoformat()
            if not self.is_running:
                last = instant(self.until_ns).astimezone(self.zone) - timedelta(days=1)
                told["to"] = last.date().isoformat()
        if self.zone.key != "UTC":
            told["zone"] = self.zone.key
        return told


def period_of(asked: Asked, now_ns: int) -> Period:
    """By `period`, or `from` and `to` (days, both of them counted), and `zone`. Reads the zone from
    disk: not on the event loop. Raises Invalid."""
    zone = zone_named(asked.query("zone") or "UTC", "zone")
    now = instant(now_ns)
    since, to = asked.query("from") or None, asked.query("to") or None
    if since is not None or to is not None:
        return _custom(since, to, zone, now)
    choice = asked.query("period") or THIS_MONTH
    if choice == THIS_MONTH:
        choice, month = THIS_MONTH, now
    elif choice == ALL:
        return Period(ALL, "Since the beginning", 0, MAX_NANOS, None, zone)
    elif choice in _DAYS:
        days = _DAYS[choice]
        span = span_of(Window.DAY, zone, now)
        first = span_of(Window.DAY, zone, span.start - timedelta(days=days - 1, hours=-12)).start
        title = "Today" if days == 1 else f"Last {days} days"
        return Period(choice, title, as_ns(first), MAX_NANOS, _end(span.end), zone)
    elif _MONTH.fullmatch(choice) and int(choice[:4]) in _YEARS:
        month = datetime.fromisoformat(f"{choice}-15T12:00:00").replace(tzinfo=UTC)
    else:
        known = ", ".join((THIS_MONTH, *_DAYS, ALL))
        raise invalid(f"period is one of {known}, or a month as in 2027-01", "period")
    span = span_of(Window.MONTH, zone, month)
    ends_ns, since_ns = _end(span.end), as_ns(span.start)
    until_ns = MAX_NANOS if ends_ns is None or ends_ns > now_ns else ends_ns
    title = f"{span.start.astimezone(zone):%B %Y}"
    return Period(choice, title, since_ns, until_ns, ends_ns, zone)


def _end(end: datetime | None) -> int | None:
    return None if end is None else as_ns(end)


def _custom(since: str | None, to: str | None, zone: ZoneInfo, now: datetime) -> Period:
    since_ns = 0 if since is None else as_ns(_day(since, "from", zone).start)
    ends_ns = _end(_day(to, "to", zone).end) if to is not None else None
    if ends_ns is not None and ends_ns <= since_ns:
        raise invalid("to is before from", "to")
    until_ns = MAX_NANOS if ends_ns is None or ends_ns > as_ns(now) else ends_ns
    title = f"{since or 'the beginning'} to {to or 'now'}"
    return Period(CUSTOM, title, since_ns, until_ns, ends_ns, zone)


def _day(text: str, name: str, zone: ZoneInfo) -> Span:
    try:
        at = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)
    except ValueError:
        raise invalid(f"{name} is no day: write it as 2027-01-31", name) from None
    if at.year not in _YEARS:
        raise invalid(f"{name} is a day of {_YEARS[0]} to {_YEARS[-1]}", name)
    return span_of(Window.DAY, zone, at + timedelta(hours=12))


def choices(now_ns: int, zone: ZoneInfo) -> list[tuple[str, str]]:
    """What can be chosen, with what it is called: the newest months, and days."""
    month = instant(now_ns).astimezone(zone).replace(day=15)
    found = [(THIS_MONTH, f"This month ({month:%B})")]
    found += [("today", "Today"), *((f"{one}d", f"Last {one} days") for one in (7, 30, 90))]
    for _ in range(_MONTHS_BACK):
        month = (month - timedelta(days=30)).replace(day=15)
        found.append((f"{month:%Y-%m}", f"{month:%B %Y}"))
    return [*found, (ALL, "Since the beginning")]


def day_period(day: str) -> Period:
    """One day of UTC, as 2027-01-31."""
    utc = ZoneInfo("UTC")
    span = _day(day, "from", utc)
    ends_ns = _end(span.end)
    return Period(CUSTOM, day, as_ns(span.start), ends_ns or MAX_NANOS, ends_ns, utc)

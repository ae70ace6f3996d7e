"""Period: the month that a report is about, as far as it has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from ledger.calendar_months import months_later
from ledger.instants import day_ns, instant

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """A calendar month (UTC), half-open. month: its first day. until_ns: its end, or `at_ns` while
    it runs; never before `since_ns`. at_ns: the moment of which the report tells."""

    month: date
    since_ns: int
    until_ns: int
    at_ns: int

    @classmethod
    def of(cls, month: date, at_ns: int) -> Period:
        """month: any day of it."""
        first = month.replace(day=1)
        since_ns, ends_ns = day_ns(first), day_ns(months_later(first, 1))
        return cls(first, since_ns, max(since_ns, min(ends_ns, at_ns)), at_ns)

    @property
    def ends(self) -> date:
        """The day after its last one."""
        return months_later(self.month, 1)

    @property
    def is_over(self) -> bool:
        return self.at_ns >= day_ns(self.ends)

    @property
    def has_begun(self) -> bool:
        return self.at_ns > self.since_ns

    @property
    def whole_until(self) -> date:
        """The day after the last one that is over: so far fees are an expense."""
        return min(self.ends, instant(self.until_ns).date())

    @property
    def last_day(self) -> date:
        """The last one that has begun: so far records count."""
        return min(self.ends - _DAY, instant(max(self.since_ns, self.until_ns - 1)).date())

    def before(self) -> Period:
        """The month before; as much of it as this one has, while it runs."""
        first = months_later(self.month, -1)
        since_ns = day_ns(first)
        if self.is_over:
            return Period(first, since_ns, self.since_ns, self.at_ns)
        so_far_ns = self.until_ns - self.since_ns
        return Period(first, since_ns, min(self.since_ns, since_ns + so_far_ns), self.at_ns)

"""Span: the stretch of time that a page tells of, chosen by a link, and how finely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from hedgerow.web.visits import Visit
from ledger.instants import instant

_QUARTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Length:
    """name: in the address. title: on the page. step: of sums over time."""

    name: str
    title: str
    length: timedelta
    step: timedelta


LENGTHS: Mapping[str, Length] = {
    one.name: one
    for one in (
        Length("24h", "24 hours", timedelta(days=1), _QUARTER),
        Length("7d", "7 days", timedelta(days=7), timedelta(hours=3)),
        Length("30d", "30 days", timedelta(days=30), timedelta(days=1)),
        Length("90d", "90 days", timedelta(days=90), timedelta(days=1)),
    )
}


@dataclass(frozen=True, slots=True)
class Span:
    """`[since, until)`; since is at the beginning of a step (UTC)."""

    chosen: Length
    since: datetime
    until: datetime

    @property
    def step_ns(self) -> int:
        return int(self.chosen.step.total_seconds()) * 1_000_000_000

    @classmethod
    def of(cls, visit: Visit, usual: str) -> Span:
        """What the address says. Raises Invalid."""
        return cls.until_now(LENGTHS[visit.asked.choice("span", LENGTHS, usual)], visit.now_ns)

    @classmethod
    def until_now(cls, chosen: Length, now_ns: int) -> Span:
        until = instant(now_ns)
        since = (until - chosen.length).timestamp()
        step_s = chosen.step.total_seconds()
        return cls(chosen, datetime.fromtimestamp(since - since % step_s, until.tzinfo), until)

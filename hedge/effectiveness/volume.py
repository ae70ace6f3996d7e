"""VolumeTest: whether the purchases that are hedged are still probable."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, localcontext
from enum import StrEnum
from statistics import stdev

from hedge.book.facts import Designation
from hedge.effectiveness.bought import bought
from ledger.calendar_months import months_later
from ledger.databases.sql import Sql
from ledger.instants import day_ns
from ledger.tables.fixings import FixingTable

_DAY = timedelta(days=1)
_RUN_DAYS, _LEAST_DAYS = 28, 7
_NORMAL_95 = 1.6448536269514722
_LOOK_BACK = timedelta(days=31)


class Forecast(StrEnum):
    PROBABLE = "probable"
    """Even the low end of the interval reaches the designated volume."""
    WATCH = "watch"
    """The expected volume reaches it, the low end does not."""
    NOT_PROBABLE = "not probable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class VolumeTest:
    """Of the item's month, in `unit`. actual: bought so far. low, expected, high: of all of the
    month, by the run rate of the days before, an interval of 90%; None: why_not says why."""

    month: date
    unit: str
    designated: Decimal
    actual: Decimal | None
    low: Decimal | None
    expected: Decimal | None
    high: Decimal | None
    forecast: Forecast
    says: str
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class Volumes:
    """What was bought of a hedged item, by day, in its unit. by_day: None: unknown, and why_not
    says why. first: the first day on which anything was."""

    unit: str
    by_day: dict[date, Decimal] | None
    why_not: str | None = None

    @property
    def first(self) -> date | None:
        return min(self.by_day, default=None) if self.by_day else None

    def sum(self, since: date, until: date) -> Decimal | None:
        if self.by_day is None:
            return None
        return sum((at for day, at in self.by_day.items() if since <= day < until), Decimal(0))


def volume_unit(index: str | None) -> str:
    return "million tokens" if index is None else f"units of {index}"


def volumes_of(sql: Sql, item: Designation, until: date, known_ns: int) -> Volumes:
    """Of an index: beta × what was spent ÷ the fixing of the day."""
    unit = volume_unit(item.index)
    since = item.item_month - _DAY * _RUN_DAYS
    since = min(since, until - _DAY * _RUN_DAYS)
    if item.index is not None and item.beta is None:
        return Volumes(
            unit,
            None,
            f"neither the designation nor the contract has a beta: how much of what is spent"
            f" follows {item.index} is not known",
        )
    days = bought(sql, item.models, item.providers, since, until)
    if item.index is None or item.beta is None:
        return Volumes(unit, {one.day: one.mtok for one in days})
    table = FixingTable(sql)
    known = table.known(item.index, known_ns, day_ns(since - _LOOK_BACK), day_ns(until))
    if not known:
        return Volumes(unit, None, f"{item.index} has no fixings: import them with --prices")
    at = [one.at_ns for one in known]
    by_day = dict[date, Decimal]()
    with localcontext(prec=28):
        for one in days:
            place = bisect_left(at, day_ns(one.day + _DAY)) - 1
            by_day[one.day] = item.beta * one.usd / known[max(0, place)].value
    return Volumes(unit, by_day)


def volume_test(designated: Decimal, month: date, volumes: Volumes, until: date) -> VolumeTest:
    """until: the first day that is not counted."""
    end = months_later(month, 1)
    actual = volumes.sum(month, min(until, end))
    if volumes.by_day is None or actual is None:
        return VolumeTest(
            *(month, volumes.unit, designated, None, None, None, None, Forecast.UNKNOWN),
            says="how much of it is bought cannot be told",
            why_not=volumes.why_not,
        )
    if until >= end:
        is_reached = actual >= designated
        return VolumeTest(
            *(month, volumes.unit, designated, actual, actual, actual, actual),
            Forecast.PROBABLE if is_reached else Forecast.NOT_PROBABLE,
            f"the month is over: {'all' if is_reached else 'not all'} of the designated volume"
            " was bought",
        )
    first = until if volumes.first is None else volumes.first
    days = min(_RUN_DAYS, (until - first).days)
    if days < _LEAST_DAYS:
        return VolumeTest(
            *(month, volumes.unit, designated, actual, None, None, None, Forecast.UNKNOWN),
            says="the run rate of the days to come cannot be told yet",
            why_not=f"the ledger has {days} days of it, {_LEAST_DAYS} are needed",
        )
    daily = [float(volumes.by_day.get(until - _DAY * at, Decimal(0))) for at in range(1, days + 1)]
    left = (end - max(until, month)).days
    mean, spread = sum(daily) / days, stdev(daily)
    ahead, width = mean * left, _NORMAL_95 * spread * (left + left**2 / days) ** 0.5
    expected = actual + _units(ahead)
    low = actual + _units(max(0.0, ahead - width))
    forecast = (
        Forecast.PROBABLE
        if low >= designated
        else Forecast.WATCH
        if expected >= designated
        else Forecast.NOT_PROBABLE
    )
    return VolumeTest(
        *(month, volumes.unit, designated, actual, low, expected, actual + _units(ahead + width)),
        forecast,
        f"as if the {left} days to come were like the last {days}, each by itself: 90% of such"
        " months lie between low and high",
    )


def _units(of: float) -> Decimal:
    return Decimal(of).quantize(Decimal("0.000001"))

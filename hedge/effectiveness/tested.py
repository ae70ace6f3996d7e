"""Tested: the changes of item and hedge out of the books, put to the tests of effectiveness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from hedge.book.book import PositionKey
from hedge.book.lots import per_lot
from hedge.book.settling import series_of
from hedge.contracts.contract import DerivativeContract
from hedge.effectiveness.assessment import Assessment, assessed
from hedge.effectiveness.bought import bought, usd_per_mtok
from hedge.effectiveness.month_end import MonthEnd
from hedge.effectiveness.relation import Every, Tested
from hedge.effectiveness.series import Changes, Series, joined
from hedge.errors import NothingToRegress
from ledger.business_days import business_days
from ledger.calendar_months import months_later
from ledger.instants import day_ns, instant
from ledger.tables.fixings import FixingTable

_DAY = timedelta(days=1)
LOOK_BACK_MONTHS = 36


@dataclass(frozen=True, slots=True)
class Measured:
    """What is measured. index: None: by the ledger's price of `models` and `providers`."""

    contract: DerivativeContract
    key: PositionKey
    lots: int
    index: str | None
    volume: Decimal
    models: tuple[str, ...]
    providers: tuple[str, ...]


def tested(end: MonthEnd, of: Measured, since: date) -> Iterator[Tested]:
    """since: the day of the designation, or of the trade."""
    hedge, item = _hedge(end, of), _item(end, of)
    for every in Every:
        for is_since in (True, False):
            first = since if is_since else None
            yield _tested(every, is_since, _from(item, first), _from(hedge, first))


Levels = Mapping[date, float]


def _from(levels: Levels, first: date | None) -> Levels:
    return {day: at for day, at in levels.items() if first is None or day >= first}


def _hedge(end: MonthEnd, of: Measured) -> Levels:
    """What the designated lots are worth, by day: the contract's own price."""
    held = of.lots * float(per_lot(of.contract))
    return {day: held * at for day, at in _prices(end, series_of(of.key)).items()}


def _item(end: MonthEnd, of: Measured) -> Levels:
    """What the hedged purchases cost, by day."""
    volume = float(of.volume)
    if of.index is not None:
        return {day: volume * at for day, at in _prices(end, of.index).items()}
    since = months_later(end.month, -LOOK_BACK_MONTHS)
    found = bought(end.sql, of.models, of.providers, since, end.whole_until)
    prices = {one.day: usd_per_mtok([one]) for one in found}
    return {day: volume * float(at) for day, at in prices.items() if at is not None}


def _prices(end: MonthEnd, series: str) -> dict[date, float]:
    """The last price of each day."""
    since_ns = day_ns(months_later(end.month, -LOOK_BACK_MONTHS))
    known = FixingTable(end.sql).known(series, end.known_ns, since_ns, day_ns(end.until))
    return {instant(one.at_ns).date(): float(one.value) for one in known}


def _tested(every: Every, is_since: bool, item: Levels, hedge: Levels) -> Tested:
    both = sorted(item.keys() & hedge.keys())
    kept = set({_period(every, day): day for day in both}.values())
    if every is Every.DAY:
        changes = joined(Series("item", item, True), Series("hedge", hedge, True))
    else:
        changes = joined(
            Series("item", {day: item[day] for day in sorted(kept)}, True),
            Series("hedge", {day: hedge[day] for day in sorted(kept)}, True),
        )
    found, why_not = _assessed(changes)
    return Tested(every, is_since, changes, tuple(_missing(every, both)), found, why_not)


def _assessed(changes: Changes) -> tuple[Assessment | None, str | None]:
    if not len(changes):
        return None, "there are no two periods of which both prices are known"
    try:
        return assessed(changes, 1.0), None
    except NothingToRegress as nothing:
        return None, str(nothing)


def _period(every: Every, day: date) -> date:
    """By its first day."""
    match every:
        case Every.DAY:
            return day
        case Every.WEEK:
            return day - _DAY * day.weekday()
        case Every.MONTH:
            return day.replace(day=1)


def _missing(every: Every, both: list[date]) -> Iterator[date]:
    """By their first days."""
    if not both:
        return
    there = {_period(every, day) for day in both}
    at, last = _period(every, both[0]), _period(every, both[-1])
    if every is Every.DAY:
        yield from (day for day in business_days(at, last) if day not in there)
        return
    while at < last:
        if at not in there:
            yield at
        at = months_later(at, 1) if every is Every.MONTH else at + 7 * _DAY

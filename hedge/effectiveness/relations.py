"""Relations: of every trade of derivatives, what was designated of it, and what was not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction

from hedge.book.designated import Designated, Said
from hedge.book.facts import Dedesignation, Rebalancing
from hedge.book.lots import nanos, per_lot
from hedge.book.settling import series_of
from hedge.effectiveness.gains import total
from hedge.effectiveness.hedged_price import HedgedPrice, by_contract, by_index, by_ledger
from hedge.effectiveness.memos import RATIO_DIGITS, memo_of
from hedge.effectiveness.month_end import MonthEnd
from hedge.effectiveness.relation import Relation, State
from hedge.effectiveness.requirements import asc815_requirements, ifrs9_requirements
from hedge.effectiveness.reserve import NOTHING, Moment, Passed, asc815, ifrs9, not_designated
from hedge.effectiveness.tested import Measured, tested
from hedge.effectiveness.trades import Trade, trades
from hedge.effectiveness.volume import volume_test, volume_unit, volumes_of
from ledger.calendar_months import months_later
from ledger.money import Money

_DAY = timedelta(days=1)


def relations(end: MonthEnd) -> Iterator[Relation]:
    """Those that were open in the month, or have a gain or a reserve in it: designated ones first,
    in the order of their trades."""
    found = [one for trade in trades(end) for one in _of_trade(end, trade)]
    yield from (one for one in found if one.memo is not None)
    yield from (one for one in found if one.memo is None)


def _of_trade(end: MonthEnd, trade: Trade) -> Iterator[Relation]:
    gains = list(end.gains.of(trade.id, trade.key))
    opening, closing = total(gains, None, end.month), total(gains, None, end.until)
    open_lots = end.gains.lots(trade.id, trade.key, end.until)
    was_open = trade.traded_on >= end.month or end.gains.lots(trade.id, trade.key, end.month)
    left, before, after = open_lots, opening, closing
    for one in trade.designated(end):
        path = _Path(end, trade, one)
        first, last = path.moment(end.month), path.moment(end.until)
        before, after = Money(before - first.gain), Money(after - last.gain)
        if path.ends >= end.until:
            left -= one.fact.lots
        is_of_month = path.ends > end.month and (was_open or opening != closing)
        if is_of_month or _moves(first, last):
            yield _designated(end, trade, one, path, first, last)
    undesignated = not trade.designated(end) or (
        left and open_lots and (left > 0) == (open_lots > 0)
    )
    if (was_open and undesignated) or before != after:
        yield _undesignated(end, trade, left, before, after)


def _moves(first: Moment, last: Moment) -> bool:
    moved = ifrs9(first, last).reserve, asc815(first, last).reserve
    return any(one.opening or one.closing for one in moved)


# -- designated


class _Path:
    """A designation, moment by moment."""

    def __init__(self, end: MonthEnd, trade: Trade, of: Designated) -> None:
        self._trade, self._of, self._fact = trade, of, of.fact
        gains = list(end.gains.of(trade.id, trade.key))
        # On the day of its trade all of it counts; not twice, if another ended on that day.
        others = (one.ended for one in trade.designated(end) if one.id != of.id)
        ended = {one.day for one in others if one is not None}
        is_from_trade = of.day == trade.traded_on and of.day not in ended
        self.starts = of.day if is_from_trade else of.day + _DAY
        # With its purchases, at the latest: what it gains later hedges nothing.
        self.ends = months_later(of.fact.item_month, 1)
        if of.ended is not None:
            self.ends = min(self.ends, of.ended.day + _DAY)
        self._gains = [one for one in gains if one.day >= self.starts]
        self.closed_on = end.gains.closed_on(trade.id, trade.key)
        self.price = _price(end, trade, of)
        by_entry = is_from_trade and self._fact.index == trade.contract.settlement.index
        self._first = trade.fill.price_usd if by_entry else self.price.before(of.day + _DAY)
        self.volumes = volumes_of(end.sql, self._fact, end.whole_until, end.known_ns)

    def segments(self, until: date) -> list[tuple[date, Decimal]]:
        """The volume that is hedged since a day's beginning."""
        found = [(self._of.day + _DAY, self._fact.volume)]
        return found + [
            (one.day + _DAY, one.fact.volume)
            for one in self._of.later
            if isinstance(one.fact, Rebalancing) and one.day < until
        ]

    def moment(self, day: date) -> Moment:
        if day <= self._of.day:
            return NOTHING
        stop = min(day, self.ends)
        gained = total(self._gains, None, stop)
        share = Fraction(abs(self._fact.lots), abs(self._trade.fill.units))
        return Moment(Money(round(gained * share)), self._item(stop), self._passed(day))

    def _item(self, day: date) -> Money | None:
        """Less the dearer the purchases got; until the derivative was closed."""
        if self.closed_on is not None:
            day = min(day, self.closed_on + _DAY)
        segments = self.segments(day)
        bounds = [start for start, _ in segments[1:]] + [day]
        price, changed = self._first, Decimal(0)
        for (_, volume), until in zip(segments, bounds, strict=True):
            later = self.price.before(until)
            if price is None or later is None:
                return None
            with localcontext(prec=60):
                changed += volume * (later - price)
            price = later
        return nanos(-changed)

    def _passed(self, day: date) -> Passed:
        expensed = self._expensed(day)
        is_over = day >= months_later(self._fact.item_month, 1)
        ended = self._of.ended
        if ended is not None and day > ended.day and not _is_expected(ended):
            was = self._expensed(ended.day + _DAY)
            return Passed(was, 1 - was)
        return Passed(expensed, 1 - expensed if is_over else Fraction(0))

    def _expensed(self, day: date) -> Fraction:
        """Of the designated volume; where that is unknown, of the days of the month."""
        month, end = self._fact.item_month, months_later(self._fact.item_month, 1)
        if day <= month:
            return Fraction(0)
        bought = self.volumes.sum(month, min(day, end))
        if bought is None:
            return Fraction((min(day, end) - month).days, (end - month).days)
        return min(Fraction(1), Fraction(bought) / Fraction(self._of.volume))


def _is_expected(ended: Said) -> bool:
    return isinstance(ended.fact, Dedesignation) and ended.fact.still_expected


def _price(end: MonthEnd, trade: Trade, of: Designated) -> HedgedPrice:
    item, contract = of.fact, trade.contract
    if item.index is None:
        return by_ledger(end.sql, item.models, item.providers, item.item_month)
    if item.index == contract.settlement.index:
        return by_contract(end.gains, trade, item.index)
    return by_index(end.sql, contract, item.index, item.item_month, end.known_ns)


def _designated(
    end: MonthEnd, trade: Trade, of: Designated, path: _Path, first: Moment, last: Moment
) -> Relation:
    item, memo = of.fact, memo_of(end.book, of, trade.fill, trade.contract)
    with localcontext(prec=RATIO_DIGITS):
        ratio = abs(item.lots) * per_lot(trade.contract) / of.volume
    measured = Measured(
        trade.contract, trade.key, item.lots, item.index, of.volume, item.models, item.providers
    )
    tests = tuple(tested(end, measured, of.day))
    volume = volume_test(of.volume, item.item_month, path.volumes, end.whole_until)
    held = end.gains.lots(trade.id, trade.key, end.until)
    return Relation(
        trade=trade.name,
        fill=trade.id,
        hypothetical=of.id,
        contract=trade.contract.name,
        month=trade.key[1],
        state=State.DESIGNATED if of.is_live else State.ENDED,
        lots=item.lots,
        volume_hedged=of.volume,
        volume_unit=volume_unit(item.index),
        ratio=ratio,
        item_says=path.price.says,
        hedge_says=_hedge_says(trade),
        memo=memo,
        tests=tests,
        volume=volume,
        ifrs9=ifrs9(first, last),
        asc815=asc815(first, last),
        ifrs9_requirements=ifrs9_requirements(memo, trade.contract, tests, volume, held),
        asc815_requirements=asc815_requirements(memo, tests, volume),
    )


def _hedge_says(trade: Trade) -> str:
    return (
        f"{trade.fill.units} lots of {series_of(trade.key)} at {trade.fill.price_usd} USD, valued"
        " by its marks and its settlement in the book"
    )


# -- not designated


def _undesignated(end: MonthEnd, trade: Trade, left: int, before: Money, after: Money) -> Relation:
    contract = trade.contract
    lots, index = left or trade.fill.units, contract.settlement.index
    volume = abs(lots) * per_lot(contract)
    measured = Measured(contract, trade.key, lots, index, volume, (), ())
    treatment = not_designated(before, after)
    return Relation(
        trade=trade.name,
        fill=trade.id,
        hypothetical=None,
        contract=contract.name,
        month=trade.key[1],
        state=State.NOT_DESIGNATED,
        lots=lots,
        volume_hedged=volume,
        volume_unit=volume_unit(index),
        ratio=Decimal(1),
        item_says=f"not designated: the purchases that it is held for, as {index} prices them",
        hedge_says=_hedge_says(trade),
        memo=None,
        tests=tuple(tested(end, measured, trade.traded_on)),
        volume=None,
        ifrs9=treatment,
        asc815=treatment,
        ifrs9_requirements=ifrs9_requirements(None, contract, (), None, lots),
        asc815_requirements=asc815_requirements(None, (), None),
    )

"""Gains: what each trade of a derivative gained, by the day and the month that it settles in.

The book has its lines about trades; a swap's trade has many months, which have relations of their
own. So its records are gone through once more, by position. The sums are those of the book.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from hedge.book.book import HedgeBook, PositionKey, position_keys
from hedge.book.facts import Correction, Fill, Mark, Settled, fact_of
from hedge.book.lots import Position
from hedge.book.settling import paid_per_lot
from hedge.contracts.derivatives import Derivative
from ledger.accounting import GlAccount, Line, Record
from ledger.money import Money

RESULTS = (GlAccount.REALISED_RESULT, GlAccount.UNREALISED_RESULT)
"""The accounts of a derivative's gains. Funding and fees are apart, and never in a reserve."""


@dataclass(frozen=True, slots=True)
class Gain:
    """Of one trade by one record; nano-USD, losses below zero. key: contract and month."""

    record: str
    day: date
    trade: str
    key: PositionKey
    amount: Money


@dataclass(frozen=True, slots=True)
class Price:
    """At which a position was valued: per index unit (of an event: per lot). trade: that alone,
    which was closed at it."""

    day: date
    usd: Decimal
    trade: str | None = None


@dataclass(frozen=True, slots=True)
class Gains:
    """all: in the order of the records. prices: of each position, by day. open_lots: of each trade
    and position, as (day, lots), whenever they change."""

    all: tuple[Gain, ...]
    prices: dict[PositionKey, tuple[Price, ...]]
    open_lots: dict[tuple[str, PositionKey], tuple[tuple[date, int], ...]]

    def of(self, trade: str, key: PositionKey) -> Iterator[Gain]:
        return (one for one in self.all if one.trade == trade and one.key == key)

    def lots(self, trade: str, key: PositionKey, before: date) -> int:
        """Open at the beginning of a day."""
        found = 0
        for day, lots in self.open_lots.get((trade, key), ()):
            if day < before:
                found = lots
        return found

    def price(self, trade: str, key: PositionKey, since: date, before: date) -> Decimal | None:
        """The last one of a trade, of days from `since` on, and before another."""
        found = None
        for one in self.prices.get(key, ()):
            if since <= one.day < before and one.trade in (None, trade):
                found = one.usd
        return found

    def closed_on(self, trade: str, key: PositionKey) -> date | None:
        """The day on which nothing was left of it; None while something is."""
        history = self.open_lots.get((trade, key), ())
        return history[-1][0] if history and not history[-1][1] else None


def total(gains: Iterable[Gain], since: date | None, until: date) -> Money:
    """Of days from `since` on, and before `until`."""
    return Money(
        sum(one.amount for one in gains if one.day < until and (since is None or one.day >= since))
    )


def gains_of(book: HedgeBook, records: Iterable[Record]) -> Gains:
    """Of the records of a book, in their order."""
    walk = _Walk(book)
    for record in records:
        walk.take(record)
    prices = {
        key: tuple(sorted(found, key=lambda one: one.day)) for key, found in walk.prices.items()
    }
    history = {
        key: tuple(sorted(found, key=lambda one: one[0])) for key, found in walk.open_lots.items()
    }
    return Gains(tuple(walk.gains), prices, history)


class _Walk:
    def __init__(self, book: HedgeBook) -> None:
        self.gains: list[Gain] = []
        self.prices: defaultdict[PositionKey, list[Price]] = defaultdict(list)
        self.open_lots: defaultdict[tuple[str, PositionKey], list[tuple[date, int]]] = defaultdict(
            list
        )
        self._book = book
        self._positions: dict[PositionKey, Position] = {}

    def take(self, record: Record) -> None:
        fact = fact_of(record)
        match fact:
            case Fill():
                contract = self._book.contract(fact)
                if isinstance(contract, Derivative):
                    for key in position_keys(fact, contract):
                        before = self._positions.get(key, Position(contract, key[1]))
                        after, lines, _ = before.traded(
                            record.id, fact.units, fact.price_usd, fact.at_ns
                        )
                        self.prices[key] += [
                            Price(record.day, fact.price_usd, lot.fill)
                            for lot in before.lots
                            if all(other.fill != lot.fill for other in after.lots)
                        ]
                        self._moved(record, key, before, after, lines)
            case Mark():
                key = (fact.contract, fact.month)
                before = self._positions[key]
                after, lines = before.marked(fact.price_usd, fact.at_ns)
                self.prices[key].append(Price(record.day, fact.price_usd))
                self._moved(record, key, before, after, lines)
            case Settled():
                key = (fact.contract, fact.month)
                before = self._positions[key]
                paid_usd = paid_per_lot(before.contract, fact.price_usd)
                after, lines, _ = before.traded("", -before.units, paid_usd, record.at_ns)
                self.prices[key].append(Price(record.day, paid_usd))
                self._moved(record, key, before, after, lines)
            case Correction():
                self._correct(record, fact.of)
            case _:
                pass

    def _moved(
        self,
        record: Record,
        key: PositionKey,
        before: Position,
        after: Position,
        lines: Iterable[Line],
    ) -> None:
        sums: dict[str, int] = {}
        for line in lines:
            if line.account in RESULTS:
                sums[line.about] = sums.get(line.about, 0) - line.amount
        self.gains += [
            Gain(record.id, record.day, trade, key, Money(amount))
            for trade, amount in sums.items()
            if amount
        ]
        self._positions[key] = after
        had = {lot.fill: lot.units for lot in before.lots}
        has = {lot.fill: lot.units for lot in after.lots}
        for trade in {**had, **has}:
            if had.get(trade) != has.get(trade):
                self.open_lots[trade, key].append((record.day, has.get(trade, 0)))

    def _correct(self, record: Record, of: str) -> None:
        for key, before in list(self._positions.items()):
            kept = tuple(lot for lot in before.lots if lot.fill != of)
            if len(kept) < len(before.lots):
                sum_so_far = sum(
                    one.amount for one in self.gains if one.trade == of and one.key == key
                )
                if sum_so_far:
                    self.gains.append(Gain(record.id, record.day, of, key, Money(-sum_so_far)))
                self._positions[key] = replace(before, lots=kept)
                self.open_lots[of, key].append((record.day, 0))

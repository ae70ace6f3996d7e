"""Trades: every fill of a derivative, by the month that it settles in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from hedge.book.book import PositionKey, position_keys
from hedge.book.designated import Designated
from hedge.book.facts import Fill
from hedge.contracts.contract import DerivativeContract
from hedge.contracts.derivatives import Derivative
from hedge.effectiveness.month_end import MonthEnd
from ledger.instants import instant


@dataclass(frozen=True, slots=True)
class Trade:
    """A fill of a derivative, in one month that it settles in."""

    id: str
    fill: Fill
    contract: DerivativeContract
    key: PositionKey
    has_more: bool
    """It settles in other months, too."""

    @property
    def name(self) -> str:
        month = self.key[1]
        return f"{self.id} {month:%Y-%m}" if self.has_more and month is not None else self.id

    @property
    def traded_on(self) -> date:
        return instant(self.fill.at_ns).date()

    def designated(self, end: MonthEnd) -> list[Designated]:
        return [
            one
            for one in end.book.designations.values()
            if one.fact.fill == self.id and one.fact.month == self.key[1]
        ]


def trades(end: MonthEnd) -> Iterator[Trade]:
    """Also those that were corrected: their gains were reversed."""
    for record in end.records:
        fact = end.book.fact(record.id)
        if isinstance(fact, Fill):
            contract = end.book.contract(fact)
            if isinstance(contract, Derivative):
                keys = position_keys(fact, contract)
                for key in keys:
                    yield Trade(record.id, fact, contract, key, len(keys) > 1)

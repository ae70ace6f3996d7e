"""Executable: what can be bought and sold of a contract at a venue, level by level.

A plan never takes the middle of a price, nor more lots than stand there: it walks the book.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum

from hedge.errors import QuoteRefused


class Side(IntEnum):
    """What we do. The sign of the lots that we then hold."""

    BUY = 1
    SELL = -1


@dataclass(frozen=True, slots=True)
class Level:
    """So many lots at a price: USD per index unit (of an event: per lot)."""

    price: Decimal
    lots: int


@dataclass(frozen=True, slots=True)
class Fill:
    """What `lots` would be had at: `average` over all of them, `worst` for the last."""

    lots: int
    average: Decimal
    worst: Decimal


@dataclass(frozen=True, slots=True)
class Executable:
    """A book of one contract and month.

    month: its first day; None for what has no expiry. at: when it was quoted. valid_until: None
    where the venue says nothing. bids, asks: best first. source: where it stands.
    """

    contract: str
    month: date | None
    at: datetime
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    source: str
    valid_until: datetime | None = None

    def levels(self, side: Side) -> tuple[Level, ...]:
        """What we trade against: asks when buying."""
        return self.asks if side is Side.BUY else self.bids

    def lots(self, side: Side) -> int:
        """As many as stand there."""
        return sum(level.lots for level in self.levels(side))

    def fill(self, side: Side, lots: int) -> Fill | None:
        """What so many lots would be had at; None if so many are not there."""
        if lots < 1 or lots > self.lots(side):
            return None
        left, paid, worst = lots, Decimal(0), Decimal(0)
        for level in self.levels(side):
            taken = min(left, level.lots)
            paid += taken * level.price
            worst = level.price
            left -= taken
            if not left:
                break
        return Fill(lots, paid / lots, worst)

    def refuse_unless_usable(self, now: datetime, max_age: timedelta) -> None:
        """Raises QuoteRefused with a sentence that says what is wrong, and what to do."""
        called = f"{self.source}: {self.name}"
        if self.at > now:
            raise QuoteRefused(f"{called} is quoted at {self.at:%Y-%m-%d %H:%M}, which is to come")
        if self.valid_until is not None and self.valid_until <= now:
            raise QuoteRefused(
                f"{called} was good until {self.valid_until:%Y-%m-%d %H:%M}: ask the venue again"
            )
        if now - self.at > max_age:
            raise QuoteRefused(
                f"{called} is of {self.at:%Y-%m-%d %H:%M}, older than {_hours(max_age)}:"
                " ask the venue again"
            )
        if self.month is not None and (self.month.year, self.month.month) < (now.year, now.month):
            raise QuoteRefused(f"{called} has expired: take it out")
        if self.bids and self.asks and self.bids[0].price > self.asks[0].price:
            raise QuoteRefused(
                f"{called} is crossed: a bid of {self.bids[0].price} above an ask of"
                f" {self.asks[0].price}; ask the venue again"
            )

    @property
    def name(self) -> str:
        return self.contract if self.month is None else f"{self.contract} {self.month:%Y-%m}"


def usable(
    books: Sequence[Executable], now: datetime, max_age: timedelta
) -> tuple[tuple[Executable, ...], tuple[str, ...]]:
    """Those that a plan may use, and a sentence for each other."""
    good, refused = [], []
    for book in books:
        try:
            book.refuse_unless_usable(now, max_age)
        except QuoteRefused as error:
            refused.append(str(error))
        else:
            good.append(book)
    return tuple(good), tuple(refused)


def _hours(age: timedelta) -> str:
    return f"{age.total_seconds() / 3600:g} h"

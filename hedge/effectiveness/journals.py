"""Journals: proposals of entries for the month, which balance to the nano-USD.

Those of the book stand for its own records, so that together they are the change of its trial
balance. Those of the reserve are for one standard or the other, never for both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from ledger.money import Money


@dataclass(frozen=True, slots=True)
class JournalLine:
    """account: of the book's (`derivative_assets`), or of the reserve's proposals. One of both
    amounts is zero."""

    account: str
    debit: Money
    credit: Money


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """id: unique in its month, as J07. day: that it is dated. records: of the book, that it stands
    for. says: what happened, in a sentence."""

    id: str
    title: str
    day: date
    lines: tuple[JournalLine, ...]
    records: tuple[str, ...]
    says: str

    @property
    def debit(self) -> Money:
        return _sum(line.debit for line in self.lines)

    @property
    def credit(self) -> Money:
        return _sum(line.credit for line in self.lines)


@dataclass(frozen=True, slots=True)
class TrialLine:
    """Of an account: debits above zero, credits below. opening: at the beginning of the month."""

    account: str
    opening: Money
    change: Money

    @property
    def closing(self) -> Money:
        return Money(self.opening + self.change)


@dataclass(frozen=True, slots=True)
class Journals:
    """book: what the book did in the month. ifrs9, asc815: what moves gains into the reserve and
    out of it, in addition, if the controller applies hedge accounting by that standard. trial: the
    trial balance, whose change is the sum of `book`."""

    book: tuple[JournalEntry, ...]
    ifrs9: tuple[JournalEntry, ...]
    asc815: tuple[JournalEntry, ...]
    trial: tuple[TrialLine, ...]


def _sum(amounts: Iterable[int]) -> Money:
    return Money(sum(amounts))

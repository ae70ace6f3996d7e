"""Disclosures: the tables that notes to the accounts ask for, out of the books.

Which standard asks for which of them, and in what words, is the controller's to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ledger.money import Money


@dataclass(frozen=True, slots=True)
class NominalRow:
    """Open lots of a contract that settle in one month (None: it never expires). average_usd: the
    mean entry price per index unit, by lots."""

    contract: str
    month: date | None
    lots: int
    index_units: Decimal
    average_usd: Decimal
    notional: Money


@dataclass(frozen=True, slots=True)
class CarryingRow:
    """line: of the balance sheet, as the book calls it. amount: debits above zero."""

    line: str
    amount: Money


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """Minimum payments for commitments that fall due in a calendar year, of terms that run now:
    payable: due and not paid yet. later: not due yet. Renewals are in neither."""

    year: int
    payable: Money
    later: Money

    @property
    def total(self) -> Money:
        return Money(self.payable + self.later)


@dataclass(frozen=True, slots=True)
class Disclosures:
    """strategy: of each designation, once. ineffective: of the month, gains above zero, under IFRS
    9; effective: what went into the reserve; reclassified: what left it. bought_before: payments of
    commitments by the year in which they fall due."""

    strategy: tuple[str, ...]
    nominal: tuple[NominalRow, ...]
    carrying: tuple[CarryingRow, ...]
    effective: Money
    ineffective: Money
    reclassified: Money
    payments: tuple[PaymentRow, ...]

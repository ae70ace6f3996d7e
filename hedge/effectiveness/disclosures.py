"""Disclosures: the tables that notes to the accounts ask for, out of the books.

Which standard asks for which of them, and in what words, is the controller's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext

from hedge.book.lots import Position, notional, per_lot
from hedge.effectiveness.month_end import MonthEnd
from hedge.effectiveness.positions import unbilled
from hedge.effectiveness.relation import Relation
from hedge.effectiveness.reserve import RollForward
from ledger.accounting import GlAccount
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
    9; effective: what went into the reserve; reclassified: what left it."""

    strategy: tuple[str, ...]
    nominal: tuple[NominalRow, ...]
    carrying: tuple[CarryingRow, ...]
    effective: Money
    ineffective: Money
    reclassified: Money
    payments: tuple[PaymentRow, ...]


def disclosures(end: MonthEnd, relations: Iterable[Relation], reserve: RollForward) -> Disclosures:
    found = list(relations)
    memos = [one.memo for one in found if one.memo is not None]
    return Disclosures(
        strategy=tuple(dict.fromkeys(f"{one.objective}; {one.strategy}" for one in memos)),
        nominal=tuple(_nominal(key[1], one) for key, one in end.book.open_positions()),
        carrying=tuple(
            CarryingRow(str(account), end.book.balance(account))
            for account in GlAccount
            if account in _CARRIED and end.book.balance(account)
        ),
        effective=reserve.effective,
        ineffective=Money(sum(one.ifrs9.ineffective for one in found)),
        reclassified=reserve.reclassified,
        payments=tuple(_payments(end)),
    )


_CARRIED = {
    GlAccount.DERIVATIVE_ASSETS,
    GlAccount.DERIVATIVE_LIABILITIES,
    GlAccount.MARGIN_DEPOSITS,
    GlAccount.PREPAID_COMMITMENTS,
    GlAccount.COMMITMENT_PAYABLE,
    GlAccount.TEAMS_RECEIVABLE,
}


def _nominal(month: date | None, position: Position) -> NominalRow:
    contract = position.contract
    gross = sum(abs(lot.units) for lot in position.lots)
    with localcontext(prec=28):
        paid = sum((lot.entry_usd * abs(lot.units) for lot in position.lots), Decimal(0))
        average_usd = paid / gross
    return NominalRow(
        contract=contract.name,
        month=month,
        lots=position.units,
        index_units=position.units * per_lot(contract),
        average_usd=average_usd,
        notional=Money(sum(notional(contract, lot.units, lot.entry_usd) for lot in position.lots)),
    )


def _payments(end: MonthEnd) -> Iterator[PaymentRow]:
    """Of a day that is over and has no bill yet, in the year of the report."""
    this_year = end.month.year
    later: dict[int, int] = {}
    for holding in end.book.holdings.values():
        for day, amount in unbilled(end, holding):
            year = max(day.year, this_year)
            later[year] = later.get(year, 0) + amount
    payable = -end.book.balance(GlAccount.COMMITMENT_PAYABLE)
    for year in sorted({*later, *([this_year] if payable else [])}):
        yield PaymentRow(
            year, Money(payable if year == this_year else 0), Money(later.get(year, 0))
        )

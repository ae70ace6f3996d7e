"""Journals: proposals of entries for the month, which balance to the nano-USD.

Those of the book stand for its own records, so that together they are the change of its trial
balance. Those of the reserve are for one standard or the other, never for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from hedge.effectiveness.month_end import MonthEnd
from hedge.effectiveness.relation import Relation
from hedge.effectiveness.reserve import Treatment
from ledger.accounting import GlAccount, Line, Record
from ledger.money import Money

_DAY = timedelta(days=1)
RESERVE = "cash_flow_hedge_reserve"
"""Other comprehensive income, before tax: deferred tax is the controller's to add."""
RESULT = "derivative_result"
"""The book's realised_result and unrealised_result together."""
EXPENSE = "compute_expense"
"""What the hedged purchases are an expense in."""


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


def journals(end: MonthEnd, relations: Iterable[Relation]) -> Journals:
    found = list(relations)
    return Journals(
        book=tuple(_of_book(end)),
        ifrs9=tuple(_of_reserve(end, "R", [(one, one.ifrs9) for one in found])),
        asc815=tuple(_of_reserve(end, "U", [(one, one.asc815) for one in found])),
        trial=_trial(end),
    )


# -- the book's


def _of_book(end: MonthEnd) -> Iterator[JournalEntry]:
    """One for all records of a kind; none for those that cancel out."""
    by_kind: dict[str, list[Record]] = {}
    for record in end.of_month:
        if record.lines:
            by_kind.setdefault(record.kind, []).append(record)
    kinds = [kind for kind in _SAYS if kind in by_kind]
    kinds += sorted(by_kind.keys() - _SAYS.keys())
    number = 0
    for kind in kinds:
        records = by_kind[kind]
        lines = _lines(_sums(line for one in records for line in one.lines))
        if not lines:
            continue
        number += 1
        title, says = _SAYS.get(kind, (kind, "records of the book"))
        yield JournalEntry(
            id=f"J{number:02}",
            title=title,
            day=max(one.day for one in records),
            lines=lines,
            records=tuple(one.id for one in records),
            says=says,
        )


_SAYS = {
    "bill": ("Fees that fell due", "fees of commitments are payable, and prepaid until their days"),
    "expense": ("Days of commitments", "what was prepaid is the expense of the days it was for"),
    "payment": ("Payments of fees", "what was payable was paid"),
    "resale": ("Capacity sold on", "what was prepaid of it leaves, its proceeds come in"),
    "fill": ("Trades of derivatives", "what closing lots brought, trade fees, events paid for"),
    "mark": ("Marks", "open derivatives at their last prices"),
    "settlement": ("Settlements", "months of derivatives that are over, with their fees"),
    "funding": ("Funding of perpetuals", "paid or received at the end of each period"),
    "deposit": ("Margin deposits", "put down or taken back"),
    "fee_bill": ("Fixed fees of teams", "charged instead of what was metered; the rest is ours"),
    "correction": ("Corrections", "records that were reversed"),
}
"""Title and sentence by kind of record, in the order of the statements."""


def _sums(lines: Iterable[Line]) -> dict[str, int]:
    sums = dict.fromkeys(map(str, GlAccount), 0)
    for line in lines:
        sums[str(line.account)] += line.amount
    return sums


def _lines(sums: Mapping[str, int]) -> tuple[JournalLine, ...]:
    """Debits first, as journals are written."""
    moved = [(account, amount) for account, amount in sums.items() if amount]
    moved.sort(key=lambda one: one[1] < 0)
    return tuple(
        JournalLine(account, Money(max(amount, 0)), Money(max(-amount, 0)))
        for account, amount in moved
    )


def _trial(end: MonthEnd) -> tuple[TrialLine, ...]:
    """Of accounts that were ever moved."""
    before = _sums(line for one in end.records if one.day < end.month for line in one.lines)
    change = _sums(line for one in end.of_month for line in one.lines)
    moved = {str(line.account) for one in end.records for line in one.lines}
    return tuple(
        TrialLine(account, Money(before[account]), Money(change[account]))
        for account in before
        if account in moved
    )


# -- the reserve's


def _of_reserve(
    end: MonthEnd, letter: str, found: list[tuple[Relation, Treatment]]
) -> Iterator[JournalEntry]:
    number = 0
    for relation, treatment in found:
        reserve = treatment.reserve
        for amount, account, title, says in (
            (reserve.effective, RESULT, "Into the reserve", "the effective part of the gain"),
            (
                Money(-reserve.expensed),
                EXPENSE,
                "Out of the reserve",
                "the hedged purchases were expenses",
            ),
            (
                Money(-reserve.failed),
                RESULT,
                "Out of the reserve, early",
                "the hedged purchases are not expected any more",
            ),
        ):
            if not amount:
                continue
            number += 1
            yield JournalEntry(
                id=f"{letter}{number:02}",
                title=f"{title}: {relation.hypothetical or relation.trade}",
                day=end.until - _DAY,
                lines=_lines({account: amount, RESERVE: -amount}),
                records=tuple(_gained(end, relation)),
                says=f"{says}, of {relation.trade}",
            )


def _gained(end: MonthEnd, relation: Relation) -> Iterator[str]:
    """The designation, and the records of the month that the gain is of."""
    if relation.hypothetical is not None:
        yield relation.hypothetical
    key = (relation.contract, relation.month)
    for one in end.gains.of(relation.fill, key):
        if one.day >= end.month:
            yield one.record


def _sum(amounts: Iterable[int]) -> Money:
    return Money(sum(amounts))

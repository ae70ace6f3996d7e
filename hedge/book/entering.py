"""Entering: what somebody writes into the book by hand, or as a line of a statement.

Both are an Entry, so that both are held to the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from hedge.book.book import HedgeBook
from hedge.book.designating import (
    Memo,
    enter_dedesignation,
    enter_designation,
    enter_rebalancing,
)
from hedge.book.entries import (
    enter_correction,
    enter_deposit,
    enter_notice,
    enter_payment,
    enter_resale,
)
from hedge.book.facts import (
    Correction,
    Dedesignation,
    Deposit,
    Fill,
    Method,
    Notice,
    Payment,
    Rebalancing,
    Resale,
)
from hedge.book.fills import enter_fill
from hedge.errors import EntryRefused
from ledger.instants import instant
from ledger.money import Money

T = TypeVar("T")


class EntryKind(StrEnum):
    FILL = "fill"
    PAYMENT = "payment"
    """Of fees that are payable."""
    DEPOSIT = "deposit"
    """Of margin; below zero what was taken back."""
    NOTICE = "notice"
    """That a commitment is not to renew itself."""
    RESALE = "resale"
    """Of capacity, from the day of `at` on."""
    CORRECTION = "correction"
    DESIGNATION = "designation"
    """Of a derivative's fill as the hedge of purchases to come: the inception memo."""
    REBALANCING = "rebalancing"
    """Another volume for a designation."""
    DEDESIGNATION = "dedesignation"


@dataclass(frozen=True, slots=True)
class Entry:
    """line: what the venue, the bank or we call it; an entry of the same line is the same entry.

    fill: the id of the fill (or designation) that it is of. reason: of a correction, of units over
    what was approved, of what is done to a designation. expected: whether the purchases still are
    when a designation ends. The others are as in the facts that are made of them; an entry needs
    those of its kind, and has no others.
    """

    line: str
    kind: EntryKind
    at_ns: int
    plan: str | None = None
    contract: str | None = None
    units: int | None = None
    price_usd: Decimal | None = None
    month: date | None = None
    months: int | None = None
    starts: date | None = None
    roll: str | None = None
    team_rate: Money | None = None
    fill: str | None = None
    counterparty: str | None = None
    amount: Money | None = None
    reason: str | None = None
    objective: str | None = None
    probability: Decimal | None = None
    models: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None
    index: str | None = None
    volume: Decimal | None = None
    beta: Decimal | None = None
    method: Method | None = None
    risk: str | None = None
    strategy: str | None = None
    sources: tuple[str, ...] | None = None
    expected: bool | None = None

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.line}"

    @property
    def record(self) -> str:
        """The record that it becomes: a correction is called after what it corrects."""
        is_correction = self.kind is EntryKind.CORRECTION
        return f"{self.kind}:{self.fill}" if is_correction else self.id

    def needed(self, name: str, value: T | None) -> T:
        if value is None:
            raise EntryRefused(f"a {self.kind} needs {_WORDS.get(name, name)}")
        return value


_WORDS = {
    "price_usd": "a price",
    "amount": "an amount of USD (usd)",
    "counterparty": "a counterparty",
    "objective": "an objective: what risk management wants of it",
    "probability": "a probability that so much will be bought, as 0.95",
    "volume": "the volume that is hedged from now on",
    "reason": "a reason",
    "fill": "what it is of: a fill, a record or a designation",
    "expected": "to say whether the purchases are still expected: yes or no",
}
_OF_KIND: dict[EntryKind, frozenset[str]] = {
    EntryKind.FILL: frozenset(
        {
            *("plan", "contract", "units", "price_usd", "month", "months", "starts", "roll"),
            *("team_rate", "reason"),
        }
    ),
    EntryKind.PAYMENT: frozenset({"fill", "amount"}),
    EntryKind.DEPOSIT: frozenset({"counterparty", "amount"}),
    EntryKind.NOTICE: frozenset({"fill"}),
    EntryKind.RESALE: frozenset({"fill", "units", "amount"}),
    EntryKind.CORRECTION: frozenset({"fill", "reason"}),
    EntryKind.DESIGNATION: frozenset(
        {
            *("fill", "units", "month", "objective", "probability", "models", "providers"),
            *("index", "volume", "beta", "method", "risk", "strategy", "sources"),
        }
    ),
    EntryKind.REBALANCING: frozenset({"fill", "volume", "reason"}),
    EntryKind.DEDESIGNATION: frozenset({"fill", "expected", "reason"}),
}
_FIELDS = frozenset().union(*_OF_KIND.values())


def enter(book: HedgeBook, entry: Entry, who: str) -> bool:
    """Take an entry into the book; False if it is there already.

    Raises BookRefused, with a sentence that says what is wrong with it.
    """
    strange = [
        name for name in sorted(_FIELDS - _OF_KIND[entry.kind]) if getattr(entry, name) is not None
    ]
    if strange:
        raise EntryRefused(f"a {entry.kind} has no {strange[0]}: leave it out")
    day = instant(entry.at_ns).date()
    match entry.kind:
        case EntryKind.FILL:
            return enter_fill(book, entry.id, _fill(book, entry), who)
        case EntryKind.PAYMENT:
            fact = Payment(_of(entry), entry.needed("amount", entry.amount))
            return enter_payment(book, entry.id, fact, day, who)
        case EntryKind.DEPOSIT:
            counterparty = entry.needed("counterparty", entry.counterparty)
            deposit = Deposit(counterparty, entry.needed("amount", entry.amount))
            return enter_deposit(book, entry.id, deposit, day, who)
        case EntryKind.NOTICE:
            return enter_notice(book, entry.id, Notice(_of(entry)), day, who)
        case EntryKind.RESALE:
            units = entry.needed("units", entry.units)
            resale = Resale(_of(entry), units, entry.needed("amount", entry.amount))
            return enter_resale(book, entry.id, resale, day, who)
        case EntryKind.CORRECTION:
            correction = Correction(_of(entry), entry.needed("reason", entry.reason))
            return enter_correction(book, correction, day, who)
        case EntryKind.DESIGNATION:
            return enter_designation(
                book,
                entry.id,
                _memo(entry),
                day,
                who,
                fill_id=_of(entry),
                lots=entry.units,
                month=entry.month,
            )
        case EntryKind.REBALANCING:
            volume = entry.needed("volume", entry.volume)
            rebalancing = Rebalancing(_of(entry), volume, entry.needed("reason", entry.reason))
            return enter_rebalancing(book, entry.id, rebalancing, day, who)
        case EntryKind.DEDESIGNATION:
            expected = entry.needed("expected", entry.expected)
            ending = Dedesignation(_of(entry), expected, entry.needed("reason", entry.reason))
            return enter_dedesignation(book, entry.id, ending, day, who)


def _of(entry: Entry) -> str:
    return entry.needed("fill", entry.fill)


def _fill(book: HedgeBook, entry: Entry) -> Fill:
    return Fill(
        plan=book.plan(entry.needed("plan", entry.plan)).id,
        contract=entry.needed("contract", entry.contract),
        units=entry.needed("units", entry.units),
        price_usd=entry.needed("price_usd", entry.price_usd),
        at_ns=entry.at_ns,
        month=entry.month,
        months=entry.months,
        starts=entry.starts,
        over=entry.reason,
        roll=entry.roll,
        team_rate=entry.team_rate,
    )


def _memo(entry: Entry) -> Memo:
    return Memo(
        objective=entry.needed("objective", entry.objective),
        probability=entry.needed("probability", entry.probability),
        models=entry.models or (),
        providers=entry.providers or (),
        index=entry.index,
        volume=entry.volume,
        beta=entry.beta,
        method=entry.method,
        risk=entry.risk,
        strategy=entry.strategy,
        sources=entry.sources or (),
    )

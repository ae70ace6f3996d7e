"""Facts: what the records of the book say, each kind in a form of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, TypeAlias, TypeVar

import msgspec

from ledger.accounting import Line, Record
from ledger.fixed_fees import Bill as TeamBill
from ledger.fixed_fees import FixedFee
from ledger.money import Money


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """A plan with the terms of the contracts that it was offered, as they were. sha256: of both,
    and what an approval names."""

    sha256: str
    plan: msgspec.Raw
    contracts: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Approval:
    """Fills may be made of the plan until it expires. sha256: the plan's."""

    plan: str
    sha256: str
    expires_at_ns: int
    note: str | None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    plan: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Fill:
    """What was bought or sold. Nothing here was sent to anybody: it tells what has happened.

    units: of capacity, or lots; negative ones were sold. price_usd: per unit and month of capacity;
    per index unit of a derivative; per lot of an event. at_ns: of the trade. month: the first that
    a derivative settles in, by its first day; None of a perpetual. months: the term of capacity,
    from the day `starts` on. over: why it is more than was approved. roll: what two fills have in
    common of which one closes a month and the other opens the next. team_rate: what teams are
    charged per million capacity units.
    """

    plan: str
    contract: str
    units: int
    price_usd: Decimal
    at_ns: int
    month: date | None = None
    months: int | None = None
    starts: date | None = None
    over: str | None = None
    roll: str | None = None
    team_rate: Money | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """Brings to zero all that a record moved. of: its id."""

    of: str
    reason: str


@dataclass(frozen=True, slots=True)
class Bill:
    """The fee of a fill that is due on the day of the record."""

    fill: str


@dataclass(frozen=True, slots=True)
class Expense:
    """A day's share of a fill's fee."""

    fill: str


@dataclass(frozen=True, slots=True)
class Payment:
    """Of what is payable for a fill."""

    fill: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Deposit:
    """Margin that was put down; below zero: that was taken back."""

    counterparty: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Notice:
    """A fill's contract does not renew itself at the end of its term."""

    fill: str


@dataclass(frozen=True, slots=True)
class Resale:
    """Units of a fill that were sold on; all that is theirs from the day of the record on is
    somebody else's. proceeds: of all of them, net."""

    fill: str
    units: int
    proceeds: Money


@dataclass(frozen=True, slots=True)
class Mark:
    """A price of a contract's own by which its open lots are valued, those of its time."""

    contract: str
    month: date | None
    price_usd: Decimal
    at_ns: int


@dataclass(frozen=True, slots=True)
class Funding:
    """A perpetual's funding at the end of a period. rate: (mark - underlying) / underlying, before
    it is clamped; None where the contract leaves a period without prices out."""

    contract: str
    until_ns: int
    rate: Decimal | None
    amount: Money


@dataclass(frozen=True, slots=True)
class Used:
    """A fixing of a series as a settlement used it. day: that it stood for."""

    series: str
    day: date
    at_ns: int
    value: Decimal


@dataclass(frozen=True, slots=True)
class Settled:
    """A month's final price, the fixings behind it, and what the contract's fallback did where one
    was missing."""

    contract: str
    month: date
    price_usd: Decimal
    lots: int
    gain: Money
    fee: Money
    fixings: tuple[Used, ...]
    fallbacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MarginCall:
    """Deposits with the counterparty have to reach `level` by then; `amount` was missing."""

    counterparty: str
    amount: Money
    level: Money
    due_at_ns: int


@dataclass(frozen=True, slots=True)
class QuotedFee:
    """A fixed fee that a team may take until it expires. models: of each workload; those that no
    workload names are `others`. inputs_sha256: of the history that it was made of."""

    fee: FixedFee
    models: dict[str, tuple[str, ...]]
    others: str | None
    expires_at_ns: int
    inputs_sha256: str
    seed: int


@dataclass(frozen=True, slots=True)
class AcceptedFee:
    quote: str
    note: str | None


@dataclass(frozen=True, slots=True)
class BilledFee:
    """A team's month, by its first day."""

    quote: str
    month: date
    bill: TeamBill


Method = Literal["regression", "dollar_offset"]


@dataclass(frozen=True, slots=True)
class Designation:
    """A derivative documented as the hedge of purchases to come: the inception memo. It counts from
    the day of its record on, which is the day on which it was written.

    fill, month: the trade, and the month that it settles in; None of what never expires. lots: of
    the fill that are designated. item_month: in which the purchases are made. models, providers: of
    them; empty: all. index: by whose fixings their price is measured; None: by what the ledger paid
    for a million tokens. volume: that is hedged, in units of the index (or in million tokens).
    beta: by how many percent their price moves when the index moves by one. probability: that so
    much will be bought. derived: fields that nobody stated, but that follow from plan, fill and
    terms.
    """

    fill: str
    month: date | None
    lots: int
    item_month: date
    models: tuple[str, ...]
    providers: tuple[str, ...]
    index: str | None
    volume: Decimal
    beta: Decimal | None
    method: Method
    risk: str
    objective: str
    strategy: str
    sources: tuple[str, ...]
    probability: Decimal
    derived: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rebalancing:
    """Another volume for a designation, so that its ratio is again the one that is really used."""

    designation: str
    volume: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class Dedesignation:
    """still_expected: whether the purchases are; if not, what waits in equity is a result now."""

    designation: str
    still_expected: bool
    reason: str


Fact: TypeAlias = (
    KeptPlan
    | Approval
    | Withdrawal
    | Fill
    | Correction
    | Bill
    | Expense
    | Payment
    | Deposit
    | Notice
    | Resale
    | Mark
    | Funding
    | Settled
    | MarginCall
    | QuotedFee
    | AcceptedFee
    | BilledFee
    | Designation
    | Rebalancing
    | Dedesignation
)

KINDS: dict[str, type[Fact]] = {
    "plan": KeptPlan,
    "approval": Approval,
    "withdrawal": Withdrawal,
    "fill": Fill,
    "correction": Correction,
    "bill": Bill,
    "expense": Expense,
    "payment": Payment,
    "deposit": Deposit,
    "notice": Notice,
    "resale": Resale,
    "mark": Mark,
    "funding": Funding,
    "settlement": Settled,
    "margin_call": MarginCall,
    "fee_quote": QuotedFee,
    "fee_acceptance": AcceptedFee,
    "fee_bill": BilledFee,
    "designation": Designation,
    "rebalancing": Rebalancing,
    "dedesignation": Dedesignation,
}
_NAMES: dict[type[Fact], str] = {type_: name for name, type_ in KINDS.items()}

T = TypeVar("T")


def record_of(
    record_id: str,
    fact: Fact,
    day: date,
    *,
    at_ns: int,
    who: str,
    lines: tuple[Line, ...] = (),
) -> Record:
    body = msgspec.json.encode(fact).decode()
    return Record(record_id, _NAMES[type(fact)], day, at_ns, who, body, lines)


def fact_of(record: Record) -> Fact:
    """Raises msgspec.DecodeError for a body that was not written here."""
    return msgspec.json.decode(record.body, type=KINDS[record.kind])

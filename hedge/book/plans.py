"""Plans that are kept, and who approved them: always somebody else than who made them."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

import msgspec

from hedge.book.facts import Approval, KeptPlan
from hedge.contracts.contract import CapacityContract, DerivativeContract, contracts_of
from hedge.errors import ApprovalRefused, PlanUnknown
from ledger.commitments import MICRO
from ledger.instants import instant
from ledger.money import MAX_NANOS, NANOS_PER_USD, Money

NANOS_PER_DAY = 86_400_000_000_000
VALID_DAYS = 14
"""How long an approval holds unless it says otherwise: prices move."""

AnyContract = CapacityContract | DerivativeContract


@dataclass(frozen=True, slots=True)
class PlannedUnits:
    """What a position of a plan says of what to buy now. None: of any term, of any month."""

    contract: str
    units: int
    term_months: int | None = None
    month: date | None = None
    utilisation: float | None = None

    def covers(self, contract: str, term_months: int | None, month: date | None) -> bool:
        return (
            self.contract == contract
            and self.term_months in (None, term_months)
            and self.month in (None, month)
        )


@dataclass(frozen=True, slots=True)
class _PlannedBid:
    contract: str
    usd_per_unit: float


@dataclass(frozen=True, slots=True)
class _Planned:
    """What the book reads of a plan; the rest of it is kept, for people."""

    positions: tuple[PlannedUnits, ...]
    status: str
    inputs_sha256: str
    seed: int
    bid_prices: tuple[_PlannedBid, ...] = ()


@dataclass(frozen=True, slots=True)
class Approved:
    """An approval, as long as it holds. ends_ns: when it expires, or was withdrawn."""

    who: str
    at_ns: int
    ends_ns: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A kept plan. contracts: their terms as they were when it was made, by name. bids: what a
    million capacity units of those that it buys are worth, by contract."""

    id: str
    sha256: str
    inputs_sha256: str
    seed: int
    status: str
    made_by: str
    at_ns: int
    positions: tuple[PlannedUnits, ...]
    contracts: dict[str, AnyContract]
    bids: dict[str, Money]
    text: bytes = field(repr=False)
    approvals: tuple[Approved, ...] = ()

    def state(self, now_ns: int) -> Literal["proposed", "approved", "expired or withdrawn"]:
        if self.approved_at(now_ns):
            return "approved"
        return "expired or withdrawn" if self.approvals else "proposed"

    def approved_at(self, at_ns: int) -> bool:
        return any(one.at_ns <= at_ns < one.ends_ns for one in self.approvals)

    def position(
        self, contract: str, term_months: int | None, month: date | None
    ) -> PlannedUnits | None:
        """The one that a fill is of."""
        found = (one for one in self.positions if one.covers(contract, term_months, month))
        return next(found, None)

    def with_approval(self, who: str, at_ns: int, approval: Approval) -> Plan:
        one = Approved(who, at_ns, approval.expires_at_ns)
        return replace(self, approvals=(*self.approvals, one))

    def withdrawn(self, at_ns: int) -> Plan:
        ended = tuple(replace(one, ends_ns=min(one.ends_ns, at_ns)) for one in self.approvals)
        return replace(self, approvals=ended)


def kept_plan(plan: bytes, contracts: bytes) -> tuple[str, KeptPlan]:
    """A plan as it is kept, and its id, which is made of what it says: the same plan with the same
    terms is the same one. plan: as `hedge plan --json` prints it. contracts: their terms, a JSON
    array."""
    sha256 = hashlib.sha256(plan + b"\n" + contracts).hexdigest()
    return f"plan-{sha256[:12]}", KeptPlan(sha256, msgspec.Raw(plan), msgspec.Raw(contracts))


def plan_of(plan_id: str, made_by: str, at_ns: int, kept: KeptPlan) -> Plan:
    """Raises ContractInvalid, and PlanUnknown for what is no plan."""
    try:
        said = msgspec.json.decode(kept.plan, type=_Planned)
        terms = msgspec.json.decode(kept.contracts)
    except msgspec.DecodeError as error:
        raise PlanUnknown(f"{plan_id} is no plan: {error}") from error
    contracts = contracts_of(terms, f"terms of {plan_id}")
    return Plan(
        id=plan_id,
        sha256=kept.sha256,
        inputs_sha256=said.inputs_sha256,
        seed=said.seed,
        status=said.status,
        made_by=made_by,
        at_ns=at_ns,
        positions=said.positions,
        contracts={one.name: one for one in contracts},
        bids={one.contract: _rate(one.usd_per_unit) for one in said.bid_prices},
        text=bytes(kept.plan),
    )


def _rate(usd_per_unit: float) -> Money:
    """Of a million units, to the nano-USD: it is an estimate. Below zero is nothing."""
    return Money(min(MAX_NANOS, max(0, round(usd_per_unit * NANOS_PER_USD * MICRO))))


def approval_of(
    plan: Plan, who: str, now_ns: int, note: str | None, valid_days: int = VALID_DAYS
) -> Approval:
    """Raises ApprovalRefused."""
    if same_person(who, plan.made_by):
        raise ApprovalRefused(
            f"{plan.id} was made by {plan.made_by}, who cannot approve it: ask a second person"
        )
    for one in plan.approvals:
        if one.at_ns <= now_ns < one.ends_ns:
            raise ApprovalRefused(
                f"{plan.id} is approved already, by {one.who} until"
                f" {instant(one.ends_ns):%Y-%m-%d %H:%M} UTC"
            )
    if not any(one.units for one in plan.positions):
        raise ApprovalRefused(f"{plan.id} buys nothing: there is nothing to approve")
    if plan.status == "cap_unreachable" and note is None:
        raise ApprovalRefused(
            f"{plan.id} does not keep its cap: say with --note why it is bought all the same"
        )
    return Approval(plan.id, plan.sha256, now_ns + valid_days * NANOS_PER_DAY, note)


def same_person(one: str, other: str) -> bool:
    """Whether two names are one: spaces, dots, accents and capitals make no other person."""
    return _letters(one) == _letters(other)


def _letters(name: str) -> str:
    """What tells names apart; all of a name without any letter or digit."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(one for one in plain if one.isalnum()) or name


def terms_json(contracts: Iterable[AnyContract]) -> bytes:
    """Contracts as a kept plan has them: what was stated of them, and nothing that was not."""
    said = [
        {"kind": one.kind, **one.model_dump(mode="json", exclude_unset=True)} for one in contracts
    ]
    return msgspec.json.encode(said)

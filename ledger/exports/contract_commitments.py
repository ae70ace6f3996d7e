"""ContractCommitment: FOCUS 1.4's dataset of what was committed to, a row for each commitment.

The cost and usage of a commitment stand in Cost and Usage; here are its terms. What the books do
not know (whether terms were public or negotiated) is a column less, not a guess.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from operator import attrgetter

from ledger.allowances import account_name, allowance
from ledger.calendar_months import months_later
from ledger.commitment_fees import Ending, Fees, capacity_between
from ledger.commitments import MICRO, Commitment, CommitmentKind
from ledger.databases.sql import Sql
from ledger.exports.columns import Column, Kind, Row
from ledger.exports.commitments import TYPES
from ledger.instants import instant
from ledger.measures import Measure
from ledger.money import NANOS_PER_USD, as_usd
from ledger.tables.commitment_fees import FeeTable
from ledger.tables.commitments import CommitmentTable

_NANOS_PER_S = 1_000_000_000
_DAY_S = 86_400
_MOST_MONTHS = 1200
_PLACES = Decimal(1).scaleb(-21)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractCommitment:
    """Each field is the column of that name; moments in nanoseconds since 1970, ends exclusive."""

    billing_currency: str
    contract_commitment_applicability: str
    contract_commitment_benefit_category: str
    contract_commitment_category: str
    contract_commitment_cost: Decimal
    contract_commitment_created: int
    contract_commitment_description: str
    contract_commitment_discount_percentage: Decimal | None
    contract_commitment_duration_type: str
    contract_commitment_fulfillment_interval: str
    contract_commitment_id: str
    contract_commitment_last_updated: int
    contract_commitment_lifecycle_status: str
    contract_commitment_model: str
    contract_commitment_payment_interval: str
    contract_commitment_payment_model: str
    contract_commitment_payment_upfront_percentage: Decimal
    contract_commitment_period_end: int
    contract_commitment_period_start: int
    contract_commitment_quantity: Decimal | None
    contract_commitment_type: str
    contract_commitment_unit: str | None
    contract_id: str
    contract_period_end: int
    contract_period_start: int
    invoice_issuer_name: str
    service_provider_name: str


_MOMENTS = ("Created", "LastUpdated", "PeriodEnd", "PeriodStart")
_NUMBERS = ("Cost", "DiscountPercentage", "UpfrontPercentage", "Quantity")
_NAMES = tuple(
    "".join(part.capitalize() for part in name.split("_"))
    for name in ContractCommitment.__dataclass_fields__
)


def _kind(name: str) -> Kind:
    if name.endswith(_MOMENTS):
        return Kind.SECOND
    return Kind.FINEST if name.endswith(_NUMBERS) else Kind.LABEL


CONTRACT_COMMITMENT_COLUMNS = tuple(Column(name, _kind(name)) for name in _NAMES)
"""In the order of the specification."""

contract_commitment_cells: Callable[[ContractCommitment], Row] = attrgetter(
    *ContractCommitment.__dataclass_fields__
)


def contract_commitments(
    sql: Sql, since_ns: int, until_ns: int, now_ns: int
) -> Iterator[ContractCommitment]:
    """Those whose term, as it was bought, has some of `[since, until)`, as they stand at a moment.
    Within a `view`."""
    commitments, table = CommitmentTable(sql), FeeTable(sql)
    held = {one.id: one for one in commitments.all()}
    first, now, written = table.first(), table.all(), table.written()
    for one in commitments.bought():
        if one.ends_ns <= since_ns or one.starts_ns >= until_ns or one.id not in now:
            continue
        created_ns, updated_ns = written[one.id]
        status = _status(sql, one, held.get(one.id), now[one.id], now_ns)
        yield _row(one, first[one.id], status, created_ns, updated_ns)


def _row(
    one: Commitment, fees: Fees, status: str, created_ns: int, updated_ns: int
) -> ContractCommitment:
    is_spend = one.kind is CommitmentKind.SPEND
    units = Decimal(capacity_between(one, one.starts_ns, one.ends_ns)) / MICRO
    model, interval = _model(one)
    payment, paid_every, upfront = _payment(fees)
    return ContractCommitment(
        billing_currency="USD",
        contract_commitment_applicability=_applicability(one),
        contract_commitment_benefit_category=_benefit(one),
        contract_commitment_category="Spend" if is_spend else "Usage",
        contract_commitment_cost=as_usd(one.fee),
        contract_commitment_created=created_ns // _NANOS_PER_S * _NANOS_PER_S,
        contract_commitment_description=f"{one.contract}: {one.units} units of"
        f" {one.capacity_units} {_per(one)} at {one.provider}",
        contract_commitment_discount_percentage=_discount(one, units) if is_spend else None,
        contract_commitment_duration_type=_duration(one),
        contract_commitment_fulfillment_interval=interval,
        contract_commitment_id=one.id,
        contract_commitment_last_updated=updated_ns // _NANOS_PER_S * _NANOS_PER_S,
        contract_commitment_lifecycle_status=status,
        contract_commitment_model=model,
        contract_commitment_payment_interval=paid_every,
        contract_commitment_payment_model=payment,
        contract_commitment_payment_upfront_percentage=upfront,
        contract_commitment_period_end=one.ends_ns,
        contract_commitment_period_start=one.starts_ns,
        contract_commitment_quantity=None if is_spend else units,
        contract_commitment_type=TYPES[one.kind],
        contract_commitment_unit=None if is_spend else "Capacity Units",
        contract_id=one.id,
        contract_period_end=one.ends_ns,
        contract_period_start=one.starts_ns,
        invoice_issuer_name=one.provider,
        service_provider_name=one.provider,
    )


def _per(one: Commitment) -> str:
    what = "USD at pay-as-you-go" if one.kind is CommitmentKind.SPEND else "capacity units"
    if one.kind is CommitmentKind.THROUGHPUT:
        return f"{what} a minute"
    return f"{what} a month" if one.is_monthly else f"{what} in its term"


def _applicability(one: Commitment) -> str:
    """By the SkuId of our Cost and Usage rows, which begins with provider and model."""
    values = [
        f"{cover.provider}/" if cover.model is None else f"{cover.provider}/{cover.model}/"
        for cover in one.covers
    ]
    rule = {"Dimension": "SkuId", "Operator": "StartsWith", "Values": values}
    scope = {"InclusionOperator": "Or", "Inclusions": [rule]}
    return json.dumps(scope, ensure_ascii=False, separators=(",", ":"))


def _benefit(one: Commitment) -> str:
    """Of a quota it is neither a price nor a promise of room: of the values that the specification
    has, none says so."""
    if one.kind is CommitmentKind.THROUGHPUT:
        return "Availability"
    return "Discount" if one.kind is CommitmentKind.SPEND else "Other"


def _discount(one: Commitment, usd_covered: Decimal) -> Decimal:
    """What the usage that it covers costs less than at pay-as-you-go, if all of it is used."""
    if not usd_covered:
        return Decimal(0)
    off = 1 - Decimal(one.fee) / NANOS_PER_USD / usd_covered
    return min(max(off, Decimal(0)), Decimal(1)).quantize(_PLACES)


def _model(one: Commitment) -> tuple[str, str]:
    """How it is used, and when what is left of it perishes: capacity by the minute has no value of
    its own there."""
    if one.kind is CommitmentKind.THROUGHPUT:
        return "Continuous", "Custom"
    return "Discontinuous", "Monthly" if one.is_monthly else "Full Period"


def _payment(fees: Fees) -> tuple[str, str, Decimal]:
    """The model, how often, and the part that is due in advance: what the first bill has beyond the
    next one."""
    amounts = [due.amount for due in fees.dues]
    if len(amounts) == 1:
        return "All Upfront", "One-Time", Decimal(1)
    ahead = amounts[0] - amounts[1] if amounts else 0
    if ahead <= 1:  # what does not come out even is a nano-USD
        return "No Upfront", "Monthly", Decimal(0)
    return "Partial Upfront", "Monthly", (Decimal(ahead) / sum(amounts)).quantize(_PLACES)


def _duration(one: Commitment) -> str:
    """In whole months, or years, if its term is of them; else in days, counted up."""
    first, last = instant(one.starts_ns).date(), instant(one.ends_ns).date()
    months = _whole_months(first, last)
    if months is None:
        days = -(-(one.ends_ns - one.starts_ns) // (_DAY_S * _NANOS_PER_S))
        return _counted(days, "Day")
    return _counted(months // 12, "Year") if months % 12 == 0 else _counted(months, "Month")


def _whole_months(first: date, last: date) -> int | None:
    months = (last.year - first.year) * 12 + last.month - first.month
    if 0 < months <= _MOST_MONTHS and months_later(first, months) == last:
        return months
    return None


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _status(sql: Sql, one: Commitment, held: Commitment | None, fees: Fees, now_ns: int) -> str:
    gone = fees.given_up
    if gone is not None:
        return "Superseded" if gone.ending is Ending.PART_SOLD else "Canceled"
    if held is None:
        return "Canceled"
    if now_ns < one.starts_ns:
        return "Pending"
    if now_ns >= held.ends_ns:
        return "Expired"
    return "Exhausted" if _is_used_up(sql, one, now_ns) else "Active"


def _is_used_up(sql: Sql, one: Commitment, now_ns: int) -> bool:
    """Whether nothing is left of the running window of a quota. A minute's capacity comes again."""
    if one.kind is CommitmentKind.THROUGHPUT:
        return False
    its = allowance(one, now_ns)
    row = sql.execute(
        "SELECT posted FROM accounts WHERE budget = ? AND measure = ? AND member = ''"
        " AND time_window = ? AND window_start_ns = ?",
        (
            account_name(one.id),
            Measure.UNITS.value,
            its.capacity.window,
            its.capacity.window_start_ns,
        ),
    ).fetchone()
    return row is not None and row[0] >= its.micro_units > 0

"""Commitments: what was bought ahead, as FOCUS's Purchase rows and their Used and Unused usage.

The fee is billed once and costs nothing by itself; what it covers is billed nothing. A use costs
what its team was charged, at the rate that was fixed in advance; what no use took up costs its part
of the fee; and what is then left of the fee, or was charged beyond it, is the platform's, a row of
its own. So for each period the effective cost of all its rows is the billed cost of its purchase,
exactly, and used and unused quantities are what was bought.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from ledger.allowances import capacity_in
from ledger.charges import ChargeRow, charge_rows
from ledger.commitments import MICRO, Commitment, CommitmentKind
from ledger.databases.sql import Sql
from ledger.exports.focus import billing_period, shared_of, whole_seconds
from ledger.exports.focus_row import FocusRow
from ledger.instants import as_ns, instant
from ledger.money import Money, as_usd
from ledger.tables.commitments import CommitmentTable
from ledger.windows import Span, Window, span_of

_NOTHING = Decimal(0)
_UTC = ZoneInfo("UTC")
_MINUTE_NS = 60_000_000_000
_TYPES = {
    CommitmentKind.QUOTA: "Prepaid Quota",
    CommitmentKind.THROUGHPUT: "Provisioned Throughput",
    CommitmentKind.SPEND: "Spend Commitment",
}


@dataclass(frozen=True, slots=True)
class Period:
    """A part of a commitment's term, half-open: a month of it (UTC), or all of a quota that lasts
    for the whole term. fee: its share, by time. micro_units: what could be used."""

    commitment: Commitment
    start_ns: int
    end_ns: int
    fee: Money
    micro_units: int


def periods(one: Commitment) -> Iterator[Period]:
    """Of its term, without a gap. Their fees add up to its fee."""
    if one.kind is not CommitmentKind.THROUGHPUT and not one.is_monthly:
        yield Period(one, one.starts_ns, one.ends_ns, one.fee, one.micro_units)
        return
    start_ns = one.starts_ns
    while start_ns < one.ends_ns:
        month = span_of(Window.MONTH, _UTC, instant(start_ns))
        end_ns = min(one.ends_ns, as_ns(_end(month)))
        fee = Money(_due(one, end_ns) - _due(one, start_ns))
        yield Period(one, start_ns, end_ns, fee, _capacity(one, month, start_ns, end_ns))
        start_ns = end_ns


def _end(month: Span) -> datetime:
    return month.end or datetime.max.replace(tzinfo=UTC)


def _due(one: Commitment, until_ns: int) -> int:
    """The fee up to a moment."""
    return one.fee * (until_ns - one.starts_ns) // (one.ends_ns - one.starts_ns)


def _capacity(one: Commitment, month: Span, start_ns: int, end_ns: int) -> int:
    if one.kind is CommitmentKind.THROUGHPUT:
        return one.micro_units * (end_ns - start_ns) // _MINUTE_NS
    return capacity_in(one, month)


def commitment_rows(sql: Sql, since_ns: int, until_ns: int) -> Iterator[FocusRow]:
    """What began, was used and ended in `[since, until)`: exports of one span after the other tell
    each row once. To be read within one `view`."""
    for one in CommitmentTable(sql).all():
        for period in periods(one):
            if period.end_ns <= since_ns or period.start_ns >= until_ns:
                continue
            ends = period.end_ns <= until_ns
            first_ns = period.start_ns if ends else max(since_ns, period.start_ns)
            uses = (
                use
                for use in charge_rows(sql, first_ns, min(until_ns, period.end_ns), one.id)
                if use.is_drawn
            )
            for row, at_ns in period_rows(period, uses, is_over=ends):
                if since_ns <= at_ns < until_ns or at_ns == period.end_ns == until_ns:
                    yield row


def period_rows(
    period: Period, uses: Iterable[ChargeRow], *, is_over: bool = True
) -> Iterator[tuple[FocusRow, int]]:
    """The purchase, each use, and if it is over what was left; each with its moment."""
    shared, name = _shared(period.commitment), period.commitment.contract
    fee = as_usd(period.fee)
    whole = _times(period.start_ns, period.end_ns, period.start_ns)
    yield (
        FocusRow(
            charge_category="Purchase",
            charge_description=name,
            charge_frequency="Recurring",
            billed_cost=fee,
            effective_cost=_NOTHING,
            pricing_category="Standard",
            commitment_discount_quantity=_units(period.micro_units),
            **_priced(fee, fee, "Units"),
            **shared | whole,
        ),
        period.start_ns,
    )
    charged, left = 0, period.micro_units
    for use in uses:
        taken = min(left, use.micro_units)  # what providers count above holds was not there to use
        charged, left = charged + use.effective, left - taken
        yield _used(use, name, taken, shared), use.at_ns
    if not is_over:
        return
    unused = Money(period.fee * left // period.micro_units if period.micro_units else period.fee)
    ending = _times(period.start_ns, period.end_ns, period.end_ns - 1)
    if left:
        row = FocusRow(
            charge_category="Usage",
            charge_description=f"{name}, not used",
            charge_frequency="Usage-Based",
            billed_cost=_NOTHING,
            effective_cost=as_usd(unused),
            pricing_category="Committed",
            commitment_discount_quantity=_units(left),
            commitment_discount_status="Unused",
            **_priced(_NOTHING, _NOTHING, "Units"),
            **shared | ending,
        )
        yield row, period.end_ns
    variance = Money(period.fee - charged - (unused if left else 0))
    if variance:
        what = "not charged to teams" if variance > 0 else "charged to teams beyond the fee"
        row = FocusRow(
            charge_category="Adjustment",
            charge_description=f"{name}, {what}",
            charge_frequency="Usage-Based",
            billed_cost=_NOTHING,
            effective_cost=as_usd(variance),
            contracted_cost=_NOTHING,
            list_cost=_NOTHING,
            **shared | ending,
        )
        yield row, period.end_ns


def _used(use: ChargeRow, name: str, micro_units: int, shared: dict[str, Any]) -> FocusRow:
    tokens = (use.usage.prompt or 0) + (use.usage.completion or 0)
    return FocusRow(
        charge_category="Usage",
        charge_description=f"{use.upstream_model}, covered by {name}",
        billed_cost=_NOTHING,
        effective_cost=as_usd(use.effective),
        pricing_category="Committed",
        consumed_quantity=Decimal(tokens),
        consumed_unit="Tokens",
        commitment_discount_quantity=_units(micro_units),
        commitment_discount_status="Used",
        **_priced(as_usd(use.contracted), as_usd(use.list), "Requests"),
        **shared_of(use) | shared,
    )


def _units(micro_units: int) -> Decimal:
    return Decimal(micro_units) / MICRO


def _shared(one: Commitment) -> dict[str, Any]:
    kind = _TYPES[one.kind]
    is_spend = one.kind is CommitmentKind.SPEND
    sku = f"{one.provider}/{kind}"
    return {
        "billing_account_id": one.provider,
        "billing_account_name": one.provider,
        "provider_name": one.provider,
        "sku_id": sku,
        "sku_meter": kind,
        "sku_price_id": f"{sku}/{one.id}",
        "commitment_discount_category": "Spend" if is_spend else "Usage",
        "commitment_discount_id": one.id,
        "commitment_discount_name": one.contract,
        "commitment_discount_type": kind,
        "commitment_discount_unit": "USD" if is_spend else "Capacity Units",
    }


def _times(start_ns: int, end_ns: int, billed_at_ns: int) -> dict[str, Any]:
    month_start_ns, month_end_ns = billing_period(billed_at_ns)
    start_ns, end_ns = whole_seconds(start_ns, end_ns)
    return {
        "charge_period_start": start_ns,
        "charge_period_end": end_ns,
        "billing_period_start": month_start_ns,
        "billing_period_end": month_end_ns,
    }


def _priced(contracted: Decimal, listed: Decimal, unit: str) -> dict[str, Any]:
    """One unit, whose price is the cost."""
    return {
        "pricing_quantity": Decimal(1),
        "pricing_unit": unit,
        "contracted_unit_price": contracted,
        "contracted_cost": contracted,
        "list_unit_price": listed,
        "list_cost": listed,
    }

"""Commitments: what was bought ahead, as FOCUS's Purchase rows and their Used and Unused usage.

A fee is billed on the days on which it is due, and costs nothing by itself; what it covers is
billed nothing. A use costs what its team was charged, at the rate that was fixed in advance; what
no use took up costs its part of the fee; and what is then left of what the month costs of the fee,
or was charged beyond it, is the platform's, a row of its own. So in each month the effective cost
of all its rows is what the hedge's book expenses, and over a term what was billed, exactly; used
and unused quantities are what was bought.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from ledger.charges import ChargeRow, charge_rows
from ledger.commitment_fees import Due, Ending, GivenUp, capacity_between
from ledger.commitment_periods import Period, bought, taken
from ledger.commitments import MICRO, Commitment, CommitmentKind
from ledger.databases.sql import Sql
from ledger.exports.focus import billing_period, shared_of, whole_seconds
from ledger.exports.focus_row import FocusRow
from ledger.instants import day_ns
from ledger.money import Money, as_usd

_NOTHING = Decimal(0)
_DAY_NS = 86_400_000_000_000
TYPES = {
    CommitmentKind.QUOTA: "Prepaid Quota",
    CommitmentKind.THROUGHPUT: "Provisioned Throughput",
    CommitmentKind.SPEND: "Spend Commitment",
}
_ENDINGS = {
    Ending.SOLD: "sold on, the fee of its days to come",
    Ending.PART_SOLD: "sold on in part, the fee of those units' days to come",
    Ending.TAKEN_BACK: "entered by mistake and reversed",
}


def commitment_rows(sql: Sql, since_ns: int, until_ns: int) -> Iterator[FocusRow]:
    """What was billed, used and ended in `[since, until)`: exports of one span after the other tell
    each row once. To be read within one `view`."""
    for one in bought(sql):
        told = (
            *purchase_rows(one.as_bought, one.fees.dues, is_once=one.is_due_once),
            *_given_up(one.as_bought, one.fees.given_up),
        )
        yield from (row for row, at_ns in told if since_ns <= at_ns < until_ns)
        for period in one.periods():
            yield from _of_period(sql, period, since_ns, until_ns)


def _of_period(sql: Sql, period: Period, since_ns: int, until_ns: int) -> Iterator[FocusRow]:
    if period.end_ns <= since_ns or period.start_ns >= until_ns:
        return
    ends = period.end_ns <= until_ns
    first_ns = period.start_ns if ends else max(since_ns, period.start_ns)
    last_ns = min(until_ns, period.end_ns)
    name = period.commitment.id
    uses = (use for use in charge_rows(sql, first_ns, last_ns, name) if use.is_drawn)
    earlier = taken(sql, name, period.window_start_ns, first_ns)
    for row, at_ns in period_rows(period, uses, earlier, is_over=ends):
        if since_ns <= at_ns < until_ns or at_ns == period.end_ns == until_ns:
            yield row


def purchase_rows(
    one: Commitment, dues: Iterable[Due], *, is_once: bool
) -> Iterator[tuple[FocusRow, int]]:
    """What is billed on each day on which some of the fee is due, with its moment. Quantities are
    of the days that it pays for. is_once: nothing more was to be due than one amount."""
    shared = _shared(one)
    for due in dues:
        at_ns = max(one.starts_ns, day_ns(due.day))
        until_ns = min(one.ends_ns, day_ns(due.until))
        amount = as_usd(due.amount)
        row = FocusRow(
            charge_category="Purchase",
            charge_description=one.contract,
            charge_frequency="One-Time" if is_once else "Recurring",
            billed_cost=amount,
            effective_cost=_NOTHING,
            pricing_category="Standard",
            commitment_discount_quantity=_units(capacity_between(one, at_ns, until_ns)),
            **_priced(amount, amount, "Units"),
            **shared | _times(at_ns, until_ns, at_ns),
        )
        yield row, at_ns


def _given_up(one: Commitment, gone: GivenUp | None) -> Iterator[tuple[FocusRow, int]]:
    if gone is None or not (gone.billed or gone.cost):
        return
    at_ns = day_ns(gone.day)
    row = FocusRow(
        charge_category="Adjustment",
        charge_description=f"{one.contract}, {_ENDINGS[gone.ending]}",
        charge_frequency="One-Time",
        billed_cost=as_usd(gone.billed),
        effective_cost=as_usd(gone.cost),
        contracted_cost=_NOTHING,
        list_cost=_NOTHING,
        **_shared(one) | _times(at_ns, at_ns + _DAY_NS, at_ns),
    )
    yield row, at_ns


def period_rows(
    period: Period, uses: Iterable[ChargeRow], earlier_micro: int = 0, *, is_over: bool = True
) -> Iterator[tuple[FocusRow, int]]:
    """Each use, and if it is over what was left; each with its moment. earlier_micro: what was
    drawn of the window before the first of the uses."""
    shared, name = _shared(period.commitment), period.commitment.contract
    charged, drawn = 0, earlier_micro
    for use in uses:
        # What providers count above holds was not there to use.
        there = max(0, min(use.micro_units, period.micro_units - drawn))
        charged, drawn = charged + use.effective, drawn + use.micro_units
        yield _used(use, name, there, shared), use.at_ns
    if not is_over:
        return
    left = period.left_over(drawn, Money(charged))
    ending = _times(period.start_ns, period.end_ns, period.end_ns - 1)
    if left.micro_units:
        row = FocusRow(
            charge_category="Usage",
            charge_description=f"{name}, not used",
            charge_frequency="Usage-Based",
            billed_cost=_NOTHING,
            effective_cost=as_usd(left.unused),
            pricing_category="Committed",
            commitment_discount_quantity=_units(left.micro_units),
            commitment_discount_status="Unused",
            **_priced(_NOTHING, _NOTHING, "Units"),
            **shared | ending,
        )
        yield row, period.end_ns
    if left.variance:
        what = "not charged to teams" if left.variance > 0 else "charged to teams beyond the fee"
        row = FocusRow(
            charge_category="Adjustment",
            charge_description=f"{name}, {what}",
            charge_frequency="Usage-Based",
            billed_cost=_NOTHING,
            effective_cost=as_usd(left.variance),
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
    kind = TYPES[one.kind]
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

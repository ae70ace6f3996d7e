"""Commitments: what was bought ahead, as FOCUS's Purchase rows and their Used and Unused usage.

The fee is billed once and costs nothing by itself; what it covers is billed nothing and costs its
share of the fee. So for each commitment the effective cost of its usage is the billed cost of its
purchase, exactly: what no use took up is what is left unused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ledger.errors import CommitmentOverdrawn
from ledger.exports.focus import billing_period, whole_seconds
from ledger.exports.focus_row import FocusRow
from ledger.money import Money, as_usd

_NOTHING = Decimal(0)


class CommitmentCategory(StrEnum):
    SPEND = "Spend"
    USAGE = "Usage"


@dataclass(frozen=True, slots=True)
class CommitmentUse:
    """What one charge took of a commitment; `focus_rows` is not given that charge, too.

    effective: its share of the fee. quantity: of the commitment's unit. list, contracted: what it
    would have cost without the commitment, at the public and at the agreed price.
    """

    start_ns: int
    end_ns: int
    upstream_model: str
    effective: Money
    contracted: Money
    list: Money
    quantity: Decimal
    tokens: int
    team: str | None = None
    attempt_id: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class CommitmentRow:
    """A commitment in one period, all of it within a month.

    type: the provider's word for it, as in `Provisioned Throughput`. fee: of this period.
    quantity, unit: how much may be used of what, in FOCUS's unit format; USD if it is of spend.
    """

    id: str
    name: str
    type: str
    category: CommitmentCategory
    provider: str
    fee: Money
    start_ns: int
    end_ns: int
    quantity: Decimal
    unit: str


def commitment_rows(commitment: CommitmentRow, uses: Iterable[CommitmentUse]) -> Iterator[FocusRow]:
    """The purchase, each use, and what is left unused.

    Raises CommitmentOverdrawn if the uses take more than the fee or the quantity: their shares are
    wrong, and the sums would be.
    """
    fee = as_usd(commitment.fee)
    shared = _shared(commitment)
    yield FocusRow(
        charge_category="Purchase",
        charge_description=commitment.name,
        charge_frequency="Recurring",
        billed_cost=fee,
        effective_cost=_NOTHING,
        **_period(commitment.start_ns, commitment.end_ns),
        **_priced(fee, fee, "Units"),
        pricing_category="Standard",
        commitment_discount_quantity=commitment.quantity,
        **shared,
    )
    left, quantity = commitment.fee, commitment.quantity
    for use in uses:
        left, quantity = Money(left - use.effective), quantity - use.quantity
        if left < 0 or quantity < 0:
            raise CommitmentOverdrawn(
                f"commitment {commitment.id}: its uses, up to attempt {use.attempt_id}, take more"
                f" than its fee of {fee} USD or its {commitment.quantity} {commitment.unit}:"
                " share the fee anew"
            )
        yield FocusRow(
            charge_category="Usage",
            charge_description=f"{use.upstream_model}, covered by {commitment.name}",
            charge_frequency="Usage-Based",
            billed_cost=_NOTHING,
            effective_cost=as_usd(use.effective),
            **_period(use.start_ns, use.end_ns),
            **_priced(as_usd(use.contracted), as_usd(use.list), "Requests"),
            pricing_category="Committed",
            consumed_quantity=Decimal(use.tokens),
            consumed_unit="Tokens",
            commitment_discount_quantity=use.quantity,
            commitment_discount_status="Used",
            sub_account_id=use.team and f"team/{use.team}",
            sub_account_name=use.team,
            sub_account_type=use.team and "Team",
            x_attempt_id=use.attempt_id,
            x_request_id=use.request_id,
            x_team=use.team,
            **shared,
        )
    if left or quantity:
        yield FocusRow(
            charge_category="Usage",
            charge_description=f"{commitment.name}, not used",
            charge_frequency="Usage-Based",
            billed_cost=_NOTHING,
            effective_cost=as_usd(left),
            **_period(commitment.start_ns, commitment.end_ns),
            **_priced(_NOTHING, _NOTHING, "Units"),
            pricing_category="Committed",
            commitment_discount_quantity=quantity,
            commitment_discount_status="Unused",
            **shared,
        )


def _shared(commitment: CommitmentRow) -> dict[str, Any]:
    sku = f"{commitment.provider}/{commitment.type}"
    return {
        "billing_account_id": commitment.provider,
        "billing_account_name": commitment.provider,
        "provider_name": commitment.provider,
        "sku_id": sku,
        "sku_meter": commitment.type,
        "sku_price_id": f"{sku}/{commitment.id}",
        "commitment_discount_category": commitment.category.value,
        "commitment_discount_id": commitment.id,
        "commitment_discount_name": commitment.name,
        "commitment_discount_type": commitment.type,
        "commitment_discount_unit": commitment.unit,
    }


def _period(start_ns: int, end_ns: int) -> dict[str, Any]:
    month_start_ns, month_end_ns = billing_period(start_ns)
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

"""Focus: charges as FOCUS Cost and Usage, a row for each meter of each attempt.

ConsumedQuantity is what was counted (tokens one by one), PricingQuantity the same in the unit that
has a price (millions of tokens), and PricingQuantity × unit price is the cost, exactly: costs have
as many decimals as that takes. A charge is rounded up to whole nano-USD once; what that adds is a
row of its own, an Adjustment, so that the rows of an attempt add up to its charge.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from ledger.charges import ChargeRow
from ledger.exports.focus_row import FocusRow
from ledger.meters import EXACT, Metered, Rounding, metering

_NANOS_PER_S = 1_000_000_000


def focus_rows(charges: Iterable[ChargeRow]) -> Iterator[FocusRow]:
    """The rows of all charges, those of an attempt one after the other; without those of draws,
    which are told with what they were drawn on."""
    for charge in charges:
        if charge.is_drawn:
            continue
        parts = metering(charge)
        shared = shared_of(charge)
        for one in parts.meters:
            yield _usage(charge, one, shared)
        if parts.rounding:
            yield _rounding(charge, parts.rounding, shared)


def _usage(charge: ChargeRow, one: Metered, shared: dict[str, Any]) -> FocusRow:
    meter = one.meter
    sku = f"{charge.provider}/{charge.upstream_model}/{meter.value}"
    quantity = Decimal(one.quantity)
    return FocusRow(
        charge_category="Usage",
        charge_description=f"{meter.value} of {charge.upstream_model} at {charge.provider}",
        billed_cost=one.billed.cost,
        effective_cost=one.effective.cost,
        contracted_cost=one.contracted.cost,
        list_cost=one.list.cost,
        contracted_unit_price=one.contracted.price,
        list_unit_price=one.list.price,
        pricing_category="Standard",
        pricing_quantity=EXACT.divide(quantity, Decimal(meter.per)),
        pricing_unit=f"{meter.per} {meter.unit}" if meter.per > 1 else meter.unit,
        consumed_quantity=quantity,
        consumed_unit=meter.unit,
        sku_id=sku,
        sku_meter=meter.value,
        sku_price_id=f"{sku}/{charge.rate_card}",
        sku_price_details=_details(charge.upstream_model, charge.rate_card),
        **shared,
    )


def _rounding(charge: ChargeRow, rounding: Rounding, shared: dict[str, Any]) -> FocusRow:
    return FocusRow(
        charge_category="Adjustment",
        charge_description=f"Rounding of {charge.attempt_id} up to whole nano-USD",
        billed_cost=rounding.billed,
        effective_cost=rounding.effective,
        contracted_cost=rounding.contracted,
        list_cost=rounding.list,
        **shared,
    )


def shared_of(charge: ChargeRow) -> dict[str, Any]:
    """What all rows of an attempt have alike."""
    start_ns, end_ns = whole_seconds(charge.at_ns, charge.ended_at_ns)
    month_start_ns, month_end_ns = billing_period(charge.at_ns)
    provider, account = charge.provider, charge.account
    return {
        "charge_frequency": "Usage-Based",
        "charge_period_start": start_ns,
        "charge_period_end": end_ns,
        "billing_period_start": month_start_ns,
        "billing_period_end": month_end_ns,
        "billing_account_id": charge.provider
        if account is None
        else f"{charge.provider}/{account}",
        "billing_account_name": account or provider,
        "provider_name": provider,
        "sub_account_id": charge.team and f"team/{charge.team}",
        "sub_account_name": charge.team,
        "sub_account_type": charge.team and "Team",
        "tags": _tags(charge.tags),
        "x_request_id": charge.request_id,
        "x_attempt_id": charge.attempt_id,
        "x_estimated": charge.estimated,
        "x_model": charge.model,
        "x_org": charge.org,
        "x_team": charge.team,
        "x_project": charge.project,
        "x_user": charge.user,
        "x_key_id": charge.key_id,
        "x_batch_id": charge.batch,
        "x_rate_card": charge.rate_card,
    }


def whole_seconds(start_ns: int, end_ns: int) -> tuple[int, int]:
    """The whole seconds that a time lies in, its end exclusive: FOCUS knows no part of one."""
    start_s, end_s = start_ns // _NANOS_PER_S, -(-end_ns // _NANOS_PER_S)
    return start_s * _NANOS_PER_S, max(end_s, start_s + 1) * _NANOS_PER_S


@lru_cache(1000)
def _month(year: int, month: int) -> tuple[int, int]:
    start = datetime(year, month, 1, tzinfo=UTC)
    after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return int(start.timestamp()) * _NANOS_PER_S, int(after.timestamp()) * _NANOS_PER_S


def billing_period(at_ns: int) -> tuple[int, int]:
    """The UTC month of a moment, its end exclusive, in nanoseconds since 1970."""
    at = datetime.fromtimestamp(at_ns // _NANOS_PER_S, UTC)
    return _month(at.year, at.month)


@lru_cache(10_000)
def _tags(tags: tuple[str, ...]) -> str:
    """A tag without a value is true, as FOCUS has it."""
    return json.dumps(dict.fromkeys(tags, True), ensure_ascii=False)


@lru_cache(10_000)
def _details(model: str, rate_card: str) -> str:
    return json.dumps({"Model": model, "RateCard": rate_card}, ensure_ascii=False)

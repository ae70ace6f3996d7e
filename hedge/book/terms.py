"""Terms: what a fill of capacity buys: its price, its term, and the commitment that it makes."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

from hedge.book.facts import Fill
from hedge.book.schedule import Schedule
from hedge.contracts.capacity import FlatPlan, GpuBlock, PrepaidQuota, SpendCommitment
from hedge.contracts.contract import CapacityContract
from hedge.contracts.terms import Price
from hedge.errors import FillRefused
from ledger.calendar_months import months_later
from ledger.commitments import MICRO, Commitment, CommitmentKind, Covered
from ledger.instants import day_ns, instant
from ledger.money import MAX_NANOS, Money, usd, usd_text

_CENT = Decimal("0.01")
_DAYS_PER_YEAR = 365
_ROUNDING = Decimal("0.001")
"""Of what a token takes, or a unit brings: more than this is not lost in counting it whole."""
_NANOS_PER_MINUTE = 60_000_000_000


def price_of(fill: Fill, contract: CapacityContract) -> Price:
    """Raises FillRefused for a term that is not on offer."""
    found = next((one for one in contract.prices if one.months == fill.months), None)
    if found is None:
        offered = ", ".join(str(one.months) for one in contract.prices)
        raise FillRefused(
            f"{contract.name} has no term of {fill.months} months: write --months, one of {offered}"
        )
    return found


def per_unit_usd(price: Price) -> Decimal:
    """What a fill is priced by: a unit and month; a unit and term, where that is shorter."""
    if price.term_days is None:
        return price.usd_per_month
    of_term = price.usd_per_month * price.term_days * 12 / _DAYS_PER_YEAR
    return of_term.quantize(_CENT, ROUND_HALF_UP)


def schedule_of(fill: Fill, contract: CapacityContract) -> Schedule:
    """When its fee is due. Raises FillRefused for a term that is not on offer, and for a fee that
    the books cannot hold."""
    price = price_of(fill, contract)
    starts = fill.starts or instant(fill.at_ns).date()
    if isinstance(contract, GpuBlock):
        bounds = [contract.starts, contract.ends + timedelta(days=1)]
    elif price.term_days is not None:
        bounds = [starts, starts + timedelta(days=price.term_days)]
    else:
        bounds = [months_later(starts, at) for at in range(price.months + 1)]
    fee = Money(usd(fill.price_usd) * fill.units * (len(bounds) - 1))
    if fee > MAX_NANOS:
        raise FillRefused(
            f"a fee of {usd_text(fee, 2)} USD is more than the books can hold (9.2 billion USD)"
        )
    return Schedule.of(fee, price.upfront, bounds)


def commitment_of(
    fill_id: str, fill: Fill, contract: CapacityContract, utilisation: float | None
) -> Commitment:
    """What the router draws on. utilisation: the part of it that the plan expects to be used, by
    which a team's rate covers the fee; None: all of it. Raises FillRefused."""
    schedule = schedule_of(fill, contract)
    starts_ns, ends_ns = day_ns(schedule.starts), day_ns(schedule.ends)
    takes = contract.burndown
    kind, of_unit, windows = _capacity(contract, fill.months or 1, ends_ns - starts_ns)
    capacity_units = int(of_unit)
    is_cut = kind is not CommitmentKind.SPEND and of_unit - capacity_units > _ROUNDING * of_unit
    if not capacity_units or is_cut:
        raise FillRefused(
            f"{contract.name} brings {of_unit} capacity units, and they are counted whole: count"
            " them in smaller ones"
        )
    fee = Money(sum(schedule.expenses))
    expected = capacity_units * fill.units * windows
    expected = max(1, int(expected * (utilisation or 1.0)))
    over = contract.overage.usd_per_unit
    return Commitment(
        id=fill_id,
        contract=contract.name,
        provider=contract.provider,
        kind=kind,
        covers=tuple(Covered(one.provider, one.model) for one in contract.covers),
        units=fill.units,
        capacity_units=capacity_units,
        micro_units_per_prompt=_micro(takes.prompt),
        micro_units_per_cached=_micro(takes.cached),
        micro_units_per_completion=_micro(takes.completion),
        micro_units_per_request=_micro(takes.request),
        starts_ns=starts_ns,
        ends_ns=ends_ns,
        is_monthly=kind is not CommitmentKind.THROUGHPUT and not isinstance(contract, PrepaidQuota),
        fee=fee,
        team_rate=Money(fee * MICRO // expected) if fill.team_rate is None else fill.team_rate,
        overage_rate=None if over is None else Money(usd(over) * MICRO),
        apply_order=contract.apply_order,
    )


def _capacity(
    contract: CapacityContract, months: int, term_ns: int
) -> tuple[CommitmentKind, Decimal, int]:
    """Its kind, the capacity of a unit in a window, and how many windows there are."""
    match contract:
        case FlatPlan():
            return CommitmentKind.QUOTA, contract.quota_units, months
        case PrepaidQuota():
            return CommitmentKind.QUOTA, contract.quota_units, 1
        case SpendCommitment():
            price = next(one for one in contract.prices if one.months == months)
            return CommitmentKind.SPEND, price.usd_per_month / (1 - contract.discount), months
        case _:
            minutes = term_ns // _NANOS_PER_MINUTE
            return CommitmentKind.THROUGHPUT, contract.units_per_minute, minutes


def _micro(units: Decimal) -> int:
    """Millionths of a unit. Raises FillRefused where rounding to them would miscount."""
    micro = (units * MICRO).to_integral_value(ROUND_HALF_UP)
    if abs(micro - units * MICRO) > _ROUNDING * units * MICRO:
        raise FillRefused(
            f"{units} capacity units for a token cannot be counted in millionths: count the"
            " contract's capacity in smaller units, as tokens"
        )
    return int(micro)

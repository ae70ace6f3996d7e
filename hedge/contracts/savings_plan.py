"""Savings plans: how promises to spend apply to an hour's usage, in the order that AWS does it.

What is reserved outright is used first. Then plans in their order; each takes the usage on which it
saves the largest share first, of equal ones that with its lowest rate, until its hour is spent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from hedge.errors import ContractInvalid
from ledger.money import NANOS_PER_USD, Money, usd


@dataclass(frozen=True, slots=True)
class UsageLine:
    """An hour's use of one thing. rates: USD per unit by plan; a plan that is not there does not
    cover it. reserved: units that a reservation covers before any plan."""

    name: str
    quantity: Decimal
    on_demand: Decimal
    rates: Mapping[str, Decimal]
    reserved: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class SavingsPlan:
    """committed_usd: of each hour. apply_order: lower ones first, as those for one family."""

    name: str
    committed_usd: Decimal
    apply_order: int = 0


@dataclass(frozen=True, slots=True)
class PlanUse:
    """used + unused = committed, exactly."""

    plan: str
    committed: Money
    used: Money
    unused: Money


@dataclass(frozen=True, slots=True)
class Applied:
    on_demand: Money
    plans: tuple[PlanUse, ...]


def applied(lines: Sequence[UsageLine], plans: Sequence[SavingsPlan]) -> Applied:
    """An hour's bill under plans. What is left of a line costs its on-demand price, summed exactly
    and rounded once, to the nearest nano-USD.

    Raises ContractInvalid for a rate above on demand, negative quantities, and plans of one name.
    """
    _refuse_contradictions(lines, plans)
    left = [max(Fraction(0), Fraction(line.quantity) - Fraction(line.reserved)) for line in lines]
    used: dict[str, PlanUse] = {}
    for plan in sorted(plans, key=lambda plan: plan.apply_order):
        hour = Fraction(plan.committed_usd)
        rest = hour
        for at in _best_first(lines, plan.name):
            rate = Fraction(lines[at].rates[plan.name])
            taken = left[at] if rate == 0 else min(left[at], rest / rate)
            left[at] -= taken
            rest -= taken * rate
        committed = usd(plan.committed_usd)
        spent = _nearest(hour - rest)
        used[plan.name] = PlanUse(plan.name, committed, spent, Money(committed - spent))
    on_demand = sum(
        (Fraction(line.on_demand) * rest for line, rest in zip(lines, left, strict=True)),
        Fraction(0),
    )
    return Applied(_nearest(on_demand), tuple(used[plan.name] for plan in plans))


def _best_first(lines: Sequence[UsageLine], plan: str) -> list[int]:
    covered = [at for at, line in enumerate(lines) if plan in line.rates]
    return sorted(covered, key=lambda at: (-_saved(lines[at], plan), lines[at].rates[plan]))


def _saved(line: UsageLine, plan: str) -> Fraction:
    """The share of its on-demand price."""
    if line.on_demand == 0:
        return Fraction(0)
    return 1 - Fraction(line.rates[plan]) / Fraction(line.on_demand)


def _nearest(amount_usd: Fraction) -> Money:
    return Money(round(amount_usd * NANOS_PER_USD))


def _refuse_contradictions(lines: Sequence[UsageLine], plans: Sequence[SavingsPlan]) -> None:
    if len({plan.name for plan in plans}) < len(plans):
        raise ContractInvalid("two savings plans have one name: rename one")
    for line in lines:
        if min(line.quantity, line.on_demand, line.reserved, *line.rates.values()) < 0:
            raise ContractInvalid(f"{line.name}: a negative quantity or price: write 0 or more")
        if any(rate > line.on_demand for rate in line.rates.values()):
            raise ContractInvalid(f"{line.name}: a plan's rate is above on demand: swap them")

"""NoTradeBand: how far a holding may lie from the plan's before it is worth to trade."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from hedge.contracts.contract import CapacityContract, DerivativeContract
from hedge.planning.plan import NoTradeBand, PlannedPosition
from hedge.planning.reasons import Case

TOLD_APART = 1e-3
"""Of what all months cost: less than that the program does not tell apart."""
DOUBLINGS = 5
LARGEST = 3
"""Purchases that are given a band."""


def with_bands(
    case: Case, positions: Sequence[PlannedPosition], cap_usd: float
) -> tuple[PlannedPosition, ...]:
    """The positions, the largest purchases of capacity with their bands."""
    places = {(lot.contract, lot.term_months): k for k, lot in enumerate(case.world.menu.lots)}
    bought = [one for one in positions if one.units and one.term_months is not None]
    largest = sorted(bought, key=lambda one: -one.cost_usd)[:LARGEST]
    banded = []
    for one in positions:
        contract = case.offered[one.contract]
        if one in largest and not isinstance(contract, DerivativeContract):
            place = places[one.contract, one.term_months or 0]
            banded.append(replace(one, no_trade=no_trade(case, place, contract, cap_usd)))
        else:
            banded.append(one)
    return tuple(banded)


def no_trade(case: Case, place: int, contract: CapacityContract, cap_usd: float) -> NoTradeBand:
    """Of one lot that the plan buys now.

    low: topping up to the plan's units saves less than the program can tell apart, and the cap is
    kept without. high: selling down to them saves less than what resale loses; where nobody buys
    them back, all that can be held.
    """
    lot, starts = case.world.menu.lots[place], case.choice.starts[place]
    units = round(float(starts[0]))
    fee_usd = float(lot.fee_usd[0].sum())
    blur_usd = TOLD_APART * case.outcome.expected_usd
    kept_usd = max(cap_usd, float(case.outcome.cvar_usd(case.confidence).max()))

    def costs_more(other: int) -> tuple[float, bool]:
        """By how much, and whether the cap is kept."""
        tried = case.choice.starts.copy()
        tried[place, 0] = other
        found = case.world.outcome(case.choice.with_starts(tried))
        keeps = float(found.cvar_usd(case.confidence).max()) <= kept_usd + blur_usd
        return found.expected_usd - case.outcome.expected_usd, keeps

    def may_be_fewer(steps: int) -> bool:
        other = units - steps * lot.step
        if other < lot.min_units and other != 0:
            return False
        more_usd, keeps = costs_more(other)
        return keeps and more_usd <= blur_usd

    def may_be_more(steps: int) -> bool:
        more_usd, _ = costs_more(units + steps * lot.step)
        haircut = 1.0 if contract.resale is None else float(contract.resale.haircut)
        return more_usd <= haircut * steps * lot.step * fee_usd + blur_usd

    fewer = _most_steps(may_be_fewer, units // lot.step)
    if contract.resale is None:
        return NoTradeBand(units - fewer * lot.step, lot.max_units)
    more = _most_steps(may_be_more, (lot.max_units - units) // lot.step)
    return NoTradeBand(units - fewer * lot.step, units + more * lot.step)


def _most_steps(holds: Callable[[int], bool], at_most: int) -> int:
    """The most steps for which it holds: found by doubling, so that some less may be told."""
    found, step = 0, 1
    for _ in range(DOUBLINGS):
        if found + step > at_most or not holds(found + step):
            break
        found += step
        step *= 2
    return found

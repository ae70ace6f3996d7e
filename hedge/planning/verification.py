"""Verification: a plan's numbers worked out again from the menu, without a solver.

What may be bought, what it costs, how the months are then served, and what follows for the cap. The
way a person would check it; nothing here knows how the plan was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from hedge.errors import PlanDoesNotVerify
from hedge.planning.evaluation import Choice, Outcome, World, capacity_of, outcome_of
from hedge.planning.plan import CENT, HedgePlan, Judged, cents
from hedge.planning.serving import FEASIBLE, check_serving
from hedge.program.holding import Dispatch
from hedge.program.menu import Lot, Menu
from hedge.risk import Floats

RELATIVE = Decimal("0.00001")
"""Sums of floats, rounded to cents."""
SERVING_GAP = 2e-3
"""Of pay-as-you-go: how far the way that a month is served may lie above the cheapest one."""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A world, and how it is served at a plan's capacity."""

    world: World
    how: Dispatch

    def outcome(self, choice: Choice) -> Outcome:
        """What its months cost, served in this way."""
        return outcome_of(self.world, choice, self.how.cost_usd)


def verify(
    plan: HedgePlan, choice: Choice, made_on: Served, fresh: Served, *, whole_months: int
) -> None:
    """Works the plan out again. whole_months: in how many starts have to be whole.

    Raises PlanDoesNotVerify, naming the number, for sizes that are not sold, limits that are not
    kept, fees, costs, CVaR and chances that are not those of the holding, and for a CVaR above the
    cap that the plan does not own up to.
    """
    menu = made_on.world.menu
    for lot, starts in zip(menu.lots, choice.starts, strict=True):
        check_sizes(lot, starts, whole_months)
    _check_lines(menu, choice)
    _check_limits(menu, choice)
    _check_positions(plan, menu, choice)
    cap_usd = float(plan.cap_usd)
    for what, served, judged in (
        ("in sample", made_on, plan.in_sample),
        ("on fresh scenarios", fresh, plan.fresh),
    ):
        world = served.world
        capacity = capacity_of(world.menu, choice)
        check_serving(world.menu, world.months, capacity, served.how, SERVING_GAP)
        found = served.outcome(choice)
        _check_judged(what, judged, found.judged(plan.confidence, cap_usd))
        if served is made_on:
            _check_months(plan, found)
    if (plan.p_within_cap, plan.p_interval) != (plan.fresh.p_within_cap, plan.fresh.p_interval):
        raise PlanDoesNotVerify("the plan's chance is not that on fresh scenarios")
    if plan.status == "optimal" and plan.cvar_usd > plan.cap_usd + _tolerance(plan.cap_usd):
        raise PlanDoesNotVerify(f"CVaR {plan.cvar_usd} USD is above the cap {plan.cap_usd} USD")


def check_sizes(lot: Lot, starts: Floats, whole_months: int) -> None:
    """Raises PlanDoesNotVerify unless every purchase is of a size that is sold."""
    name = f"{lot.contract} for {lot.term_months} months"
    if starts.min(initial=0.0) < -FEASIBLE:
        raise PlanDoesNotVerify(f"{name}: fewer than no units")
    for month, units in enumerate(starts):
        if units <= FEASIBLE:
            continue
        if not lot.brings[month].any():
            raise PlanDoesNotVerify(f"{name} cannot be bought in month {month + 1}")
        steps = (units - lot.min_units) / lot.step
        if month < whole_months and (steps < -FEASIBLE or abs(steps - round(steps)) > FEASIBLE):
            raise PlanDoesNotVerify(f"{units:g} units of {name} cannot be bought at once")
    held = starts @ (lot.brings > 0)
    if held.max(initial=0.0) > lot.max_units * (1 + FEASIBLE):
        raise PlanDoesNotVerify(f"{name}: {held.max():g} units at once, {lot.max_units} are sold")


def _check_lines(menu: Menu, choice: Choice) -> None:
    for line, lots in zip(menu.lines, choice.lines, strict=True):
        if not -FEASIBLE <= lots <= line.max_lots + FEASIBLE:
            raise PlanDoesNotVerify(
                f"{lots:g} lots of {line.contract}: {line.max_lots} can be executed or held"
            )
        if line.is_whole and abs(lots - round(lots)) > FEASIBLE:
            raise PlanDoesNotVerify(f"{lots:g} lots of {line.contract} are not whole")
    for exposure in menu.exposures:
        hedged = np.zeros_like(exposure.most_units)
        for line, lots in zip(menu.lines, choice.lines, strict=True):
            if line.index == exposure.index:
                hedged = hedged + lots * line.exposure_units
        slack = FEASIBLE * max(1.0, float(np.abs(exposure.most_units).max(initial=0.0)))
        if (hedged < -slack).any() or (hedged > exposure.most_units + slack).any():
            raise PlanDoesNotVerify(
                f"more of {exposure.index} is hedged than is sure to be used, or less than nothing"
            )


def _check_limits(menu: Menu, choice: Choice) -> None:
    for limit in menu.limits:
        used = sum(
            float(choice.starts[place] @ per_unit) for place, per_unit in limit.per_unit.items()
        )
        if used > limit.at_most + FEASIBLE * max(1.0, abs(limit.at_most)):
            raise PlanDoesNotVerify(
                f"{limit.name}: the plan takes {used:,.2f}, {limit.at_most:,.2f} are allowed"
            )


def _check_positions(plan: HedgePlan, menu: Menu, choice: Choice) -> None:
    """Every purchase of the first month stands among the positions, at its fees, and no other."""
    bought = {
        (lot.contract, lot.term_months): (round(float(starts[0])), float(lot.fee_usd[0].sum()))
        for lot, starts in zip(menu.lots, choice.starts, strict=True)
        if round(float(starts[0]))
    }
    stated = {
        (one.contract, one.term_months): one
        for one in plan.positions
        if one.units and one.term_months is not None
    }
    if bought.keys() != stated.keys():
        raise PlanDoesNotVerify("the plan's positions are not what it was worked out for")
    for key, (units, fee_usd) in bought.items():
        if stated[key].units != units:
            raise PlanDoesNotVerify(f"{key[0]}: {stated[key].units} units stated, {units} held")
        _agree(f"fees of {key[0]}", stated[key].cost_usd, cents(units * fee_usd))
    lots: dict[tuple[str, int], int] = {}
    for line, held in zip(menu.lines, choice.lines, strict=True):
        if round(float(held)):
            key = (line.contract, line.month)
            lots[key] = lots.get(key, 0) + line.side * round(float(held))
    months = [one.month for one in plan.months]
    said = {
        (one.contract, months.index(one.month)): one.units
        for one in plan.positions
        if one.month is not None and one.units
    }
    if {key: net for key, net in lots.items() if net} != said:
        raise PlanDoesNotVerify("the plan's lots of derivatives are not what it was worked out for")


def _check_judged(what: str, stated: Judged, mine: Judged) -> None:
    _agree(f"expected cost {what}", stated.expected_usd, mine.expected_usd)
    _agree(f"CVaR {what}", stated.cvar_usd, mine.cvar_usd)
    for name in ("scenarios", "p_within_cap", "p_interval", "p_all_within_cap"):
        if getattr(stated, name) != getattr(mine, name):
            raise PlanDoesNotVerify(
                f"{name} {what} is {getattr(mine, name)}, the plan says {getattr(stated, name)}"
            )


def _check_months(plan: HedgePlan, found: Outcome) -> None:
    expected = found.cost_usd.mean(axis=0)
    tails = found.cvar_usd(plan.confidence)
    for place, month in enumerate(plan.months):
        name = f"{month.month:%Y-%m}"
        _agree(f"expected cost of {name}", month.expected_usd, cents(float(expected[place])))
        _agree(f"CVaR of {name}", month.cvar_usd, cents(float(tails[place])))
        _agree(f"fees of {name}", month.fees_usd, cents(float(found.fees_usd[place])))
        over = max(Decimal(0), month.cvar_usd - plan.cap_usd)
        _agree(f"slack of {name}", month.slack_usd, over)
    _agree("expected cost", plan.expected_usd, cents(found.total_usd / len(plan.months)))
    _agree("expected cost of all months", plan.total_expected_usd, cents(found.total_usd))
    _agree("end value", plan.end_value_usd, cents(found.end_value_usd))
    _agree("CVaR", plan.cvar_usd, cents(float(tails.max())))


def _tolerance(amount_usd: Decimal) -> Decimal:
    return 2 * CENT + RELATIVE * abs(amount_usd)


def _agree(what: str, stated_usd: Decimal, recomputed_usd: Decimal) -> None:
    if abs(stated_usd - recomputed_usd) > _tolerance(recomputed_usd):
        raise PlanDoesNotVerify(
            f"the plan states a {what} of {stated_usd} USD, plain arithmetic arrives at "
            f"{recomputed_usd} USD: do not act on this plan, and report it"
        )

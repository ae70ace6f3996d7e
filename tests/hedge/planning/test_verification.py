"""Whoever alters a plan, or how its months are served, is caught by plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import cache

import numpy as np
import pytest

from hedge.errors import PlanDoesNotVerify
from hedge.planning.evaluation import Choice, capacity_of
from hedge.planning.plan import HedgePlan
from hedge.planning.planning import Planned, planned_months
from hedge.planning.serving import check_serving
from hedge.planning.verification import check_sizes, verify
from hedge.program.holding import Dispatch
from tests.hedge.planning.worlds import lot, question


@cache
def planned() -> Planned:
    return planned_months(question("420", is_traded=True), is_shaken=False)


def first(plan: HedgePlan, **changed: object) -> HedgePlan:
    """The plan with its first purchase altered."""
    place = next(k for k, one in enumerate(plan.positions) if one.units and one.term_months)
    positions = list(plan.positions)
    positions[place] = replace(positions[place], **changed)  # type: ignore[arg-type]
    return replace(plan, positions=tuple(positions))


def month(plan: HedgePlan, **changed: Decimal) -> HedgePlan:
    return replace(plan, months=(replace(plan.months[0], **changed), *plan.months[1:]))  # type: ignore[arg-type]


def test_the_plan_as_it_is_verifies() -> None:
    """What was made verifies again."""
    one = planned()
    verify(one.plan, one.choice, one.made_on, one.fresh, whole_months=3)


@pytest.mark.parametrize(
    ("said", "tampered"),
    [
        ("expected cost", lambda plan: replace(plan, expected_usd=plan.expected_usd - 1)),
        ("all months", lambda p: replace(p, total_expected_usd=p.total_expected_usd - 1)),
        ("end value", lambda plan: replace(plan, end_value_usd=plan.end_value_usd + 1)),
        ("CVaR", lambda plan: replace(plan, cvar_usd=plan.cvar_usd - 1)),
        ("fresh", lambda plan: replace(plan, p_within_cap=plan.p_within_cap + 0.004)),
        ("fresh", lambda plan: replace(plan, p_interval=(0.0, 1.0))),
        (
            "p_within_cap on fresh scenarios",
            lambda p: replace(p, fresh=replace(p.fresh, p_within_cap=1.0)),
        ),
        (
            "expected cost in sample",
            lambda p: replace(p, in_sample=replace(p.in_sample, expected_usd=Decimal(1))),
        ),
        ("positions", lambda plan: replace(plan, positions=plan.positions[-1:])),
        ("units stated", lambda plan: first(plan, units=1)),
        ("fees of", lambda plan: first(plan, cost_usd=Decimal(1))),
        ("fees of 2026-12", lambda plan: month(plan, fees_usd=Decimal(1))),
        ("CVaR of 2026-12", lambda plan: month(plan, cvar_usd=Decimal(1))),
        ("slack of 2026-12", lambda plan: month(plan, slack_usd=Decimal(5))),
    ],
)
def test_an_altered_plan_does_not_verify(
    said: str, tampered: Callable[[HedgePlan], HedgePlan]
) -> None:
    """Every number that a reader would act on is worked out again, and the error names it."""
    one = planned()
    with pytest.raises(PlanDoesNotVerify, match=said):
        verify(tampered(one.plan), one.choice, one.made_on, one.fresh, whole_months=3)


def test_another_holding_does_not_verify() -> None:
    """A unit more or less than the plan says changes its costs."""
    one = planned()
    starts = one.choice.starts.copy()
    place = int(np.argmax(starts[:, 0]))
    starts[place, 0] += one.made_on.world.menu.lots[place].step
    with pytest.raises(PlanDoesNotVerify):
        verify(one.plan, Choice(starts, one.choice.lines), one.made_on, one.fresh, whole_months=3)


def how() -> Dispatch:
    return planned().made_on.how


def serving(**changed: object) -> Dispatch:
    return replace(how(), **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "altered"),
    [
        ("served more than once", lambda: serving(served=how().served + 1.0)),
        ("less than not at all", lambda: serving(served=how().served - 0.5)),
        ("cost of serving", lambda: serving(cost_usd=how().cost_usd * 0.99)),
        ("negative price", lambda: serving(unit_usd=how().unit_usd - 1.0)),
        ("could be served for", lambda: serving(unit_usd=how().unit_usd * 0.0)),
        ("overage is neg", lambda: serving(overage_units=how().overage_units - 9.0)),
    ],
)
def test_a_way_of_serving_that_cannot_be_is_caught(
    said: str, altered: Callable[[], Dispatch]
) -> None:
    """Shares, capacity, costs and prices are each held against the menu."""
    world = planned().made_on.world
    capacity = capacity_of(world.menu, planned().choice)
    check_serving(world.menu, world.months, capacity, how(), 1e-3)
    with pytest.raises(PlanDoesNotVerify, match=said):
        check_serving(world.menu, world.months, capacity, altered(), 1e-3)


def test_less_capacity_than_is_used_is_caught() -> None:
    """The shares of a larger holding do not fit a smaller one."""
    world = planned().made_on.world
    capacity = capacity_of(world.menu, planned().choice) * 0.5
    with pytest.raises(PlanDoesNotVerify, match=r"units more than there are|beyond what its"):
        check_serving(world.menu, world.months, capacity, how(), 1e-3)


@pytest.mark.parametrize(
    ("said", "starts"),
    [
        ("cannot be bought at once", [3.0, 0, 0, 0]),
        ("cannot be bought at once", [1.0, 0, 0, 0]),
        ("cannot be bought at once", [2.5, 0, 0, 0]),
        ("fewer than no units", [-2.0, 0, 0, 0]),
        ("8 are sold", [4.0, 4.0, 2.0, 0]),
    ],
)
def test_sizes_that_are_not_sold_are_caught(said: str, starts: list[float]) -> None:
    """Minimum, step, and how many may be held at once over overlapping terms."""
    sold = lot("x", 0, 4, fee=1.0, units=1.0, term=3, least=2, step=2, most=8)
    check_sizes(sold, np.array([4.0, 0, 4.0, 0]), 3)
    check_sizes(sold, np.array([0, 0, 0, 2.7]), 3)
    with pytest.raises(PlanDoesNotVerify, match=said):
        check_sizes(sold, np.array(starts), 3)

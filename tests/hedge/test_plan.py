"""A plan is the same for the same inputs, explains itself, and catches whoever alters it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import cache

import numpy as np
import pytest

from hedge.errors import CapUnreachable, ConfidenceOutOfRange, ContractInvalid, PlanDoesNotVerify
from hedge.month.bills import bills
from hedge.month.loads import Loads
from hedge.month.plan import HedgePlan
from hedge.month.planning import plan_month
from hedge.month.sample import demo_plan, sample
from hedge.month.scenarios import Floats, Outlook, Scenarios, draw
from hedge.risk import clopper_pearson
from ledger.money import usd
from tests.hedge.months import MODEL, flat, hourly_history, throughput

bundled = cache(sample)


@cache
def planned() -> HedgePlan:
    return demo_plan(None, 0.95, 1)


@cache
def scenarios() -> Scenarios:
    return draw(bundled().history, Outlook(), seed=1)


def billed(plan: HedgePlan, months: Scenarios) -> Floats:
    units = np.array([one.units for one in plan.positions], dtype=np.float64)
    return bills(Loads.of(bundled().contracts, months), months.minutes, units).total_usd


def test_the_demo_plan_verifies_and_holds_both_contracts() -> None:
    """The sample's cap binds, so the decision is not trivial: both are bought, both explained."""
    plan = planned()
    plan.verify(bundled().contracts, scenarios())
    assert all(one.units > 0 for one in plan.positions)
    assert all("breaks even at" in one.why for one in plan.positions)
    assert any("price of certainty" in one.why for one in plan.positions)
    assert plan.min_reachable_cap_usd <= plan.cvar_usd <= plan.cap_usd
    assert plan.frontier[-1].expected_usd < plan.expected_usd
    assert plan.p_interval[0] < plan.p_within_cap < plan.p_interval[1]


def test_the_chance_holds_on_months_that_the_plan_never_saw() -> None:
    """Of 1,000 fresh months of the same generator, those within the cap fit the plan's interval."""
    fresh = billed(planned(), draw(bundled().history, Outlook(), seed=99, count=1000))
    seen = float((fresh <= float(planned().cap_usd)).mean())
    assert planned().p_interval[0] <= seen <= planned().p_interval[1]


def test_one_seed_gives_one_plan() -> None:
    """Equal inputs give equal plans but for the solver's seconds; seed and cap matter."""

    def plan(cap_usd: int, seed: int) -> HedgePlan:
        contracts = (throughput(fee="400", per_minute=10_000), flat(fee="80", quota="100"))
        return plan_month(
            hourly_history(), contracts, usd(cap_usd), confidence=0.9, seed=seed, outlook=Outlook()
        )

    one = plan(10_000, 1)
    assert plan(10_000, 1) == one
    assert plan(10_000, 2).expected_usd != one.expected_usd
    assert plan(10_000, 2).inputs_sha256 == one.inputs_sha256
    assert plan(11_000, 1).inputs_sha256 != one.inputs_sha256


def test_the_frontier_runs_from_the_lowest_cap_to_where_it_no_longer_binds() -> None:
    """Caps rise, expected cost falls, CVaR stays under its cap."""
    points = planned().frontier
    assert points[0].cap_usd == planned().min_reachable_cap_usd
    assert [point.cap_usd for point in points] == sorted(point.cap_usd for point in points)
    costs = [point.expected_usd for point in points]
    assert costs == sorted(costs, reverse=True)
    assert all(point.cvar_usd <= point.cap_usd + Decimal("0.05") for point in points)


def holding(plan: HedgePlan, units: int, fee_usd: int) -> HedgePlan:
    first, *rest = plan.positions
    return replace(
        plan, positions=(replace(first, units=units, cost_usd=Decimal(fee_usd * units)), *rest)
    )


def under_a_lower_cap(plan: HedgePlan) -> HedgePlan:
    cap = plan.cvar_usd - 100
    within = int((billed(plan, scenarios()) <= float(cap)).sum())
    return replace(
        plan,
        cap_usd=cap,
        p_within_cap=within / scenarios().count,
        p_interval=clopper_pearson(within, scenarios().count),
    )


@pytest.mark.parametrize(
    ("said", "tampered"),
    [
        ("expected cost", lambda plan: replace(plan, expected_usd=plan.expected_usd - 1)),
        ("CVaR", lambda plan: replace(plan, cvar_usd=plan.cvar_usd - 1)),
        ("scenarios", lambda plan: replace(plan, p_within_cap=plan.p_within_cap + 0.004)),
        ("interval", lambda plan: replace(plan, p_interval=(0.0, 1.0))),
        ("above the cap", under_a_lower_cap),
        ("expected cost", lambda plan: holding(plan, plan.positions[0].units - 1, 1275)),
        ("fees of", lambda plan: holding(plan, plan.positions[0].units, 1274)),
        ("cannot be bought", lambda plan: holding(plan, 41, 1275)),
        ("positions", lambda plan: replace(plan, positions=plan.positions[:1])),
    ],
)
def test_an_altered_plan_does_not_verify(
    said: str, tampered: Callable[[HedgePlan], HedgePlan]
) -> None:
    """Every number that a reader would act on is worked out again."""
    with pytest.raises(PlanDoesNotVerify, match=said):
        tampered(planned()).verify(bundled().contracts, scenarios())


def test_buying_nothing_is_an_explained_answer() -> None:
    """At the price of pay-as-you-go nothing is bought; each contract says why, and p is certain."""
    history = hourly_history()
    contracts = (
        flat("dear", fee="150", quota="100"),
        throughput("idle", fee="44", per_minute=1000),
    )
    plan = plan_month(history, contracts, usd(10_000), confidence=0.9, seed=1)
    assert [one.units for one in plan.positions] == [0, 0]
    assert plan.p_within_cap == 1.0
    assert len(plan.frontier) > 0
    dear, idle = (one.why for one in plan.positions)
    assert dear.startswith("Even fully used, a unit costs 14")
    assert "Not bought: it would raise the expected month" in dear
    assert "Not bought" in idle


def test_no_contracts_is_a_plan_too() -> None:
    """Nothing to buy: the plan is the unhedged month, and the lowest cap its CVaR."""
    plan = plan_month(hourly_history(), (), usd(10_000), confidence=0.9, seed=1)
    assert plan.positions == ()
    assert 0 <= plan.min_reachable_cap_usd - plan.cvar_usd <= Decimal("0.01")
    with pytest.raises(CapUnreachable):
        plan_month(hourly_history(), (), usd(1), confidence=0.9, seed=1)


def test_a_contract_for_another_model_is_refused() -> None:
    """The error names both models."""
    other = throughput().model_copy(update={"models": ("other",)})
    with pytest.raises(ContractInvalid, match=f"covers other, the demand is for {MODEL}"):
        plan_month(hourly_history(), (other,), usd(10_000), confidence=0.9, seed=1)


def test_more_confidence_draws_more_months() -> None:
    """At 99% the tail still holds five months, and the reachable cap is no lower."""
    surer = demo_plan(usd(60_000), 0.99, 1)
    assert surer.min_reachable_cap_usd > planned().min_reachable_cap_usd
    assert round(surer.p_within_cap * 500, 6).is_integer()
    assert surer.p_interval[0] == pytest.approx(0.025 ** (1 / 500))


@pytest.mark.parametrize("confidence", [0.4, 0.999, 1.0])
def test_a_confidence_without_a_tail_is_refused(confidence: float) -> None:
    """Neither a coin toss nor certainty can be planned for."""
    with pytest.raises(ConfidenceOutOfRange):
        plan_month(hourly_history(), (), usd(10_000), confidence=confidence, seed=1)

"""Planning: from what was used and what can be bought to a plan that has been checked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from hedge.errors import ContractInvalid
from hedge.month.contracts import Contract
from hedge.month.demand import DemandHistory
from hedge.month.plan import FrontierPoint, HedgePlan, PlannedPosition, cents
from hedge.month.program import Holding, Program, cap_over
from hedge.month.reasons import reasons
from hedge.month.scenarios import Outlook, Scenarios, draw
from hedge.risk import clopper_pearson, scenarios_for
from ledger.money import NANOS_PER_USD, Money, as_usd

SCENARIOS, MOST_SCENARIOS = 250, 1000
"""As many as it takes to see the tail: above 98% confidence more than the first, up to 99.5%."""
FRONTIER_POINTS = 5


def plan_month(
    history: DemandHistory,
    contracts: Sequence[Contract],
    cap: Money,
    *,
    confidence: float,
    seed: int,
    outlook: Outlook | None = None,
) -> HedgePlan:
    """The units to hold in the month after `history`, verified.

    Raises ContractInvalid for a contract that does not cover the history's model, CapUnreachable
    with the lowest reachable cap, ConfidenceOutOfRange, SolverFailed and PlanDoesNotVerify.
    """
    for contract in contracts:
        if history.model not in contract.models:
            raise ContractInvalid(
                f"contract {contract.name} covers {', '.join(contract.models)}, "
                f"the demand is for {history.model}: leave it out, or plan that model"
            )
    outlook = outlook or Outlook()
    count = scenarios_for(confidence, SCENARIOS, MOST_SCENARIOS)
    scenarios = draw(history, outlook, seed=seed, count=count)
    program = Program(contracts, scenarios, confidence)
    chosen = program.cheapest(cap)
    within = int((chosen.cost_usd <= cap / NANOS_PER_USD).sum())
    why = reasons(contracts, scenarios, chosen.units, confidence)
    plan = HedgePlan(
        status="optimal",
        cap_usd=as_usd(cap),
        confidence=confidence,
        expected_usd=cents(chosen.expected_usd),
        cvar_usd=cents(chosen.cvar_usd),
        p_within_cap=within / scenarios.count,
        p_interval=clopper_pearson(within, scenarios.count),
        min_reachable_cap_usd=as_usd(program.lowest_cap()),
        positions=tuple(
            PlannedPosition(one.name, int(units), as_usd(Money(one.fee * int(units))), reason)
            for one, units, reason in zip(contracts, chosen.units, why, strict=True)
        ),
        frontier=_frontier(program),
        bid_prices=(),
        attempts=tuple(program.attempts),
        inputs_sha256=_inputs(history, contracts, outlook, scenarios, cap, confidence),
        seed=seed,
    )
    plan.verify(contracts, scenarios)
    return plan


def _frontier(program: Program) -> tuple[FrontierPoint, ...]:
    """Caps from the lowest reachable to where a cap no longer binds, evenly apart."""
    free = program.cheapest()
    lowest = program.lowest_cap()
    loosest = max(lowest, cap_over(free.cvar_usd))
    caps = [
        Money(lowest + (loosest - lowest) * point // (FRONTIER_POINTS - 1))
        for point in range(FRONTIER_POINTS)
    ]
    if lowest == loosest:
        return (_point(lowest, free),)
    return tuple(_point(cap, program.cheapest(cap)) for cap in caps)


def _point(cap: Money, holding: Holding) -> FrontierPoint:
    return FrontierPoint(
        cents(cap / NANOS_PER_USD), cents(holding.expected_usd), cents(holding.cvar_usd)
    )


def _inputs(
    history: DemandHistory,
    contracts: Sequence[Contract],
    outlook: Outlook,
    scenarios: Scenarios,
    cap: Money,
    confidence: float,
) -> str:
    told = [
        history.sha256(),
        *(contract.model_dump_json() for contract in contracts),
        repr(outlook),
        f"{scenarios.count} {np.size(scenarios.minutes)} {cap} {confidence}",
    ]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()

"""ApprovedPlan: what the plan that was approved for a month said of the months, as it was kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import msgspec

from hedge.book.plans import Plan
from hedge.errors import PlanUnknown
from hedge.planning.plan import FrontierPoint


@dataclass(frozen=True, slots=True)
class PlannedAhead:
    """A month of the plan. cvar_usd: the mean of its worst scenarios."""

    month: date
    expected_usd: Decimal
    cvar_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ApprovedPlan:
    """id: in the hedge book. frontier: by cap; empty in plans that were kept without one."""

    id: str
    seed: int
    inputs_sha256: str
    frontier: tuple[FrontierPoint, ...]
    months: tuple[PlannedAhead, ...]


@dataclass(frozen=True, slots=True)
class _Ahead:
    frontier: tuple[FrontierPoint, ...] = ()
    months: tuple[PlannedAhead, ...] = ()


def approved_plan(plan: Plan) -> ApprovedPlan:
    """Raises PlanUnknown for one whose months cannot be read."""
    try:
        said = msgspec.json.decode(plan.text, type=_Ahead)
    except msgspec.DecodeError as error:
        raise PlanUnknown(
            f"the months of {plan.id} cannot be read: {error}; make the plan anew"
        ) from error
    frontier = tuple(sorted(said.frontier, key=lambda one: one.cap_usd))
    return ApprovedPlan(plan.id, plan.seed, plan.inputs_sha256, frontier, said.months)

"""Pools: contracts that are perfect substitutes once they are there, put together."""

from __future__ import annotations

import math
from calendar import monthrange
from dataclasses import dataclass
from datetime import date

import numpy as np

from hedge.contracts.capacity import (
    FlatPlan,
    GpuBlock,
    PrepaidQuota,
    Serving,
    SpendCommitment,
)
from hedge.contracts.contract import CapacityContract
from hedge.contracts.delivery import Delivery
from hedge.contracts.eligibility import why_not
from hedge.contracts.offered import Offered
from hedge.program.menu import Pool, Tranche
from hedge.risk import Floats


@dataclass(frozen=True, slots=True)
class Substance:
    """What makes capacity of two contracts the same: the pool's identity.

    owed_by: where it may not be delivered, by whom; "" where it always is.
    """

    perishes: bool
    takes: tuple[float, float, float, float]
    takes_list_usd: float
    serves: tuple[bool, ...]
    overage: tuple[Tranche, ...]
    owed_by: str

    def pool(self, name: str, delivery: Delivery | None) -> Pool:
        return Pool(
            name=name,
            perishes=self.perishes,
            takes=np.array(self.takes),
            serves=np.array(self.serves),
            takes_list_usd=self.takes_list_usd,
            delivered=None if delivery is None else delivery.delivered,
            overage=self.overage,
        )


def substance_of(
    contract: CapacityContract,
    offered: Offered,
    workloads: tuple[str, ...],
    *,
    quota_per_month: float,
    is_at_risk: bool,
) -> Substance:
    """quota_per_month: capacity of a unit that is held, by which overage limits are counted."""
    spends = isinstance(contract, SpendCommitment)
    burn = contract.burndown
    takes = (burn.prompt, burn.cached, burn.completion, burn.request)
    return Substance(
        perishes=perishes(contract),
        takes=(0.0,) * 4 if spends else tuple(map(float, takes)),  # type: ignore[arg-type]
        takes_list_usd=1.0 if spends else 0.0,
        serves=tuple(why_not(contract, offered.workload(name)) is None for name in workloads),
        overage=_tranches(contract, quota_per_month),
        owed_by=contract.owed_by if is_at_risk else "",
    )


def perishes(contract: CapacityContract) -> bool:
    """Whether what is not used is lost with its minute, not with its month."""
    if isinstance(contract, SpendCommitment):
        return contract.per == "hour"
    return not isinstance(contract, FlatPlan | PrepaidQuota)


def unit_brings(
    contract: CapacityContract, usd_per_month: float, term_months: int, minutes: Floats
) -> Floats:
    """Capacity of one unit in each month in which it is there: per minute if it perishes, else of
    the month. minutes: of each month."""
    match contract:
        case SpendCommitment():
            covered = usd_per_month / (1 - float(contract.discount))
            return covered / minutes if perishes(contract) else np.full(len(minutes), covered)
        case FlatPlan():
            return np.full(len(minutes), float(contract.quota_units))
        case PrepaidQuota():
            return np.full(len(minutes), float(contract.quota_units) / term_months)
        case _:
            return np.full(len(minutes), float(contract.units_per_minute))


def block_share(contract: GpuBlock, first: date, minutes: float) -> float:
    """The part of a month's minutes in which a block is there. first: the month's first day."""
    last = first.replace(day=monthrange(first.year, first.month)[1])
    days = (min(contract.ends, last) - max(contract.starts, first)).days + 1
    return min(1.0, max(0, days) * 24 * 60 / minutes)


def _tranches(contract: Serving, quota_per_month: float) -> tuple[Tranche, ...]:
    overage = contract.overage
    if overage.usd_per_unit is None:
        return ()
    limit = math.inf if overage.limit_units is None else float(overage.limit_units)
    return (Tranche(float(overage.usd_per_unit), limit / quota_per_month),)

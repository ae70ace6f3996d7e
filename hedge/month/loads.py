"""Loads: contracts and scenarios as the arrays that both the program and the bills work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedge.month.contracts import Contract, FlatPlan, ThroughputUnit
from hedge.month.scenarios import Floats, Scenarios
from ledger.money import NANOS_PER_USD


@dataclass(frozen=True, slots=True)
class Tranche:
    """Tokens that one unit of a flat plan brings at one price: its quota at 0, or its overage."""

    contract: int
    mtok: float
    usd_per_mtok: float


@dataclass(frozen=True, slots=True, eq=False)
class Loads:
    """What a holding can do in each scenario, per unit held.

    fee_usd: per unit [contracts].
    share: the part of a block's load that one unit of throughput carries, 0 for a flat plan; it may
        exceed 1 [contracts, scenarios, blocks].
    tranches: cheapest first.
    mtok, list_usd: each block's tokens and what they cost at pay-as-you-go [scenarios, blocks].
    dearest_first: order of each scenario's blocks by price per token [scenarios, blocks].
    """

    fee_usd: Floats
    share: Floats
    tranches: tuple[Tranche, ...]
    mtok: Floats
    list_usd: Floats
    usd_per_mtok: Floats
    dearest_first: NDArray[np.int64]

    @classmethod
    def of(cls, contracts: Sequence[Contract], scenarios: Scenarios) -> Loads:
        share = np.zeros((len(contracts), *scenarios.list_usd.shape))
        tranches = []
        for k, contract in enumerate(contracts):
            match contract:
                case ThroughputUnit():
                    load = capacity_load(contract, scenarios)
                    np.divide(contract.tokens_per_minute, load, out=share[k], where=load > 0)
                case FlatPlan(quota_mtok=quota, overage=overage):
                    tranches.append(Tranche(k, float(quota), 0.0))
                    if overage is not None:
                        limit, price = float(overage.limit_mtok), float(overage.usd_per_mtok)
                        tranches.append(Tranche(k, limit, price))
        mtok = scenarios.mtok
        usd_per_mtok = np.divide(scenarios.list_usd, mtok, out=np.zeros_like(mtok), where=mtok > 0)
        return cls(
            np.array([contract.fee / NANOS_PER_USD for contract in contracts]),
            share,
            tuple(sorted(tranches, key=lambda tranche: tranche.usd_per_mtok)),
            mtok,
            scenarios.list_usd,
            usd_per_mtok,
            np.argsort(-usd_per_mtok, axis=1, kind="stable"),
        )


def capacity_load(contract: ThroughputUnit, scenarios: Scenarios) -> Floats:
    """Each block's load in the contract's own tokens per minute [scenarios, blocks]."""
    burndown = float(contract.output_burndown)
    load: Floats = scenarios.prompt_per_minute + burndown * scenarios.completion_per_minute
    return load

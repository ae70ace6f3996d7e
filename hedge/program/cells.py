"""Cells: what contracts may serve, as arrays: a cell is one workload in one block of one month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hedge.program.menu import Menu, Pool
from hedge.risk import Floats
from hedge.scenarios.months import Months


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Workloads before blocks, so that a month's blocks lie side by side in memory.

    pools: in the menu's order. minutes: of each block [months, blocks].
    list_usd: of a whole cell at pay-as-you-go [scenarios, months, workloads, blocks].
    takes: capacity units that serving the whole cell takes from each pool; inf where it may not
        serve it, or where there is nothing that it could count [pools, scenarios, months,
        workloads, blocks].
    """

    pools: tuple[Pool, ...]
    minutes: Floats
    list_usd: Floats
    takes: Floats

    @classmethod
    def of(cls, menu: Menu, months: Months, scenarios: slice = slice(None)) -> Cells:
        list_usd = np.ascontiguousarray(months.list_usd[scenarios].transpose(0, 1, 3, 2))
        amounts = months.amounts[scenarios].transpose(4, 0, 1, 3, 2)
        takes = np.full((len(menu.pools), *list_usd.shape), np.inf)
        for p, pool in enumerate(menu.pools):
            whole = pool.takes_list_usd * list_usd
            for kind, units in enumerate(pool.takes):
                if units:
                    whole = whole + units * amounts[kind]
            served = (whole > 0) & np.asarray(pool.serves, dtype=bool)[:, None]
            np.copyto(takes[p], whole, where=served)
        return cls(menu.pools, months.minutes, list_usd, takes)

    @property
    def count(self) -> int:
        """Of scenarios."""
        return len(self.list_usd)

    def perishing(self) -> list[int]:
        return [p for p, pool in enumerate(self.pools) if pool.perishes]

    def quotas(self) -> list[int]:
        return [p for p, pool in enumerate(self.pools) if not pool.perishes]


def delivered(pools: Sequence[Pool], capacity: Floats, scenarios: slice) -> list[Floats]:
    """Of each pool's capacity [pools, months], what is there: [scenarios or 1, months]."""
    return [
        capacity[p][None, :] if pool.delivered is None else capacity[p] * pool.delivered[scenarios]
        for p, pool in enumerate(pools)
    ]

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
        serve it, where there is nothing that it could count or save [pools, scenarios, months,
        workloads, blocks].
    overage: of each pool, price and units per unit held, without an end to none.
    """

    pools: tuple[Pool, ...]
    minutes: Floats
    list_usd: Floats
    takes: Floats
    overage: tuple[tuple[tuple[float, float], ...], ...]

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
            # What costs nothing, or is paid for being used, is not taken away from pay-as-you-go.
            served = (whole > 0) & (list_usd > 0) & np.asarray(pool.serves, dtype=bool)[:, None]
            np.copyto(takes[p], whole, where=served)
        overage = tuple(
            tuple(
                (one.usd_per_unit, min(one.units, _enough(menu, months, p))) for one in pool.overage
            )
            for p, pool in enumerate(menu.pools)
        )
        return cls(menu.pools, months.minutes, list_usd, takes, overage)

    @property
    def count(self) -> int:
        """Of scenarios."""
        return len(self.list_usd)

    def perishing(self) -> list[int]:
        return [p for p, pool in enumerate(self.pools) if pool.perishes]

    def quotas(self) -> list[int]:
        return [p for p, pool in enumerate(self.pools) if not pool.perishes]


def _enough(menu: Menu, months: Months, pool: int) -> float:
    """Units of overage per unit held that leave nothing over, from the least that can be held."""
    sold = [lot.brings * lot.min_units for lot in menu.lots if lot.pool == pool]
    brought = np.concatenate([menu.held[pool].ravel(), *(one.ravel() for one in sold)])
    least = brought[brought > 0].min(initial=np.inf)
    one = menu.pools[pool]
    asked = months.amounts @ one.takes + one.takes_list_usd * months.list_usd
    return float(asked.sum(axis=(2, 3)).max(initial=0.0) / least)


def delivered(pools: Sequence[Pool], capacity: Floats, scenarios: slice) -> list[Floats]:
    """Of each pool's capacity [pools, months], what is there: [scenarios or 1, months]."""
    return [
        capacity[p][None, :] if pool.delivered is None else capacity[p] * pool.delivered[scenarios]
        for p, pool in enumerate(pools)
    ]

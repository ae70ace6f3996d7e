"""Waiting: recourse in which capacity can still be bought later, once demand is known.

A program of two stages fixes all purchases today, and so takes the long and cheap terms for
granted: in months in which demand is gone, they are paid for nothing. Who buys by the month instead
sees what comes first. So where a menu says what a unit costs for a month if it is bought then
(`Menu.later_usd`), a scenario may buy it in the months in which it is worth its fee:

    cost(c) = min over x >= 0 of  later . x + recourse(c + x).

A unit that is held saves at most `later`, which is all that a long term can be worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from hedge.program.cells import Cells
from hedge.program.merit import Costs
from hedge.risk import Floats

HALVINGS, MORE_HALVINGS = 18, 8
"""Of the range that is searched for the capacity up to which buying pays: with one pool that is
done once; with more it depends on what is held of the others."""


class _Plain(Protocol):
    def costs(self, capacity: list[Floats], *, exact: bool = True) -> Costs: ...


class Waiting:
    """later_usd: of a unit that is there, for one month [pools, months]; inf where it is not sold.

    Costs are proved from below, as plain recourse's are: the capacity that is bought is raised
    until no pool is worth more than its fee, and the linearisation there, which no slope makes
    steeper than that fee, holds at every capacity.
    """

    is_exact = False

    def __init__(self, plain: _Plain, cells: Cells, later_usd: Floats) -> None:
        self._plain = plain
        self._later_usd = later_usd
        shape = cells.list_usd.shape[:2]
        self._most = [
            np.broadcast_to(_most(cells, p), shape).copy() for p in range(len(cells.pools))
        ]
        self._floor: Floats | None = None
        if len(cells.pools) == 1:
            nothing = [np.zeros(shape)]
            self._floor = self._worthwhile(nothing, 0, HALVINGS)

    def costs(self, capacity: list[Floats], *, exact: bool = True) -> Costs:
        """As `Recourse.costs`; unit_usd is that of the last unit bought, where one is."""
        shape = self._most[0].shape
        held = [np.broadcast_to(one, shape) for one in capacity]
        reached = list(held)
        for p in range(len(held)):
            floor = self._floor
            if floor is None:
                floor = self._worthwhile(reached, p, MORE_HALVINGS)
            reached[p] = np.maximum(held[p], floor)
        costs = self._plain.costs(reached, exact=exact)
        short = np.stack([a - b for a, b in zip(held, reached, strict=True)], axis=2)
        slope = np.maximum(costs.slope_usd, -self._later_usd.T)
        return Costs(costs.cost_usd + (slope * short).sum(axis=2), costs.unit_usd, slope)

    def _worthwhile(self, capacity: Sequence[Floats], pool: int, halvings: int) -> Floats:
        """Up to where one more unit saves more than its fee, rounded up [scenarios, months]."""
        fee = self._later_usd[pool]
        low, high = np.zeros_like(self._most[pool]), self._most[pool]
        tried = list(capacity)
        for _ in range(halvings):
            tried[pool] = (low + high) / 2
            pays = -self._plain.costs(tried, exact=False).slope_usd[:, :, pool] > fee
            low, high = np.where(pays, tried[pool], low), np.where(pays, high, tried[pool])
        return np.where(np.isfinite(fee), high, 0.0)


def _most(cells: Cells, pool: int) -> Floats:
    """More than a month could use of the pool [scenarios, months]."""
    takes = np.where(np.isfinite(cells.takes[pool]), cells.takes[pool], 0.0).sum(axis=2)
    if cells.pools[pool].perishes:
        return np.asarray((takes / cells.minutes).max(axis=2) * 1.001)
    return np.asarray(takes.sum(axis=2) * 1.001)

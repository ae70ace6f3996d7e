"""Waiting: recourse in which capacity can still be bought later, once demand is known.

A program of two stages fixes all purchases today, and so takes long and cheap terms for granted: in
months in which demand is gone, they are paid for nothing. Who buys by the month instead sees
what comes first. So where a menu says what a unit costs for a month if it is bought then
(`Menu.later_usd`), a scenario may buy it in the months in which it is worth its fee:

    cost(c) = min over x >= 0 of  later . x + recourse(c + x).

A unit that is held saves at most `later`, which is all that a long term can be worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from hedge.program.cells import Cells
from hedge.program.menu import Menu
from hedge.program.merit import Costs
from hedge.risk import Floats

HALVINGS, MORE_HALVINGS = 18, 8
"""Of the range that is searched for the capacity up to which buying pays: with one pool that is
done once; with more it depends on what is held of the others."""


class _Plain(Protocol):
    def costs(self, capacity: list[Floats], *, exact: bool = True) -> Costs: ...


class Waiting:
    """later_usd: of a unit that is there, for one month [pools, months]; inf where it is not sold.

    Costs are proved from below, as plain recourse's are. With one pool, up to where buying pays
    does not depend on what is held: it is found once, and to hold less costs the fee of what is
    missing. With more, capacity is raised until no pool is worth more than its fee; the
    linearisation there, which no slope makes steeper than that fee, holds at every capacity.
    """

    is_exact = False

    def __init__(self, plain: _Plain, cells: Cells, later_usd: Floats) -> None:
        self._plain = plain
        self._later_usd = later_usd
        shape = cells.list_usd.shape[:2]
        self._most = [
            np.broadcast_to(_most(cells, p), shape).copy() for p in range(len(cells.pools))
        ]
        self._worth: tuple[Floats, Floats] | None = None
        if len(cells.pools) == 1:
            self._worth = self._worthwhile([np.zeros(shape)], 0, HALVINGS)

    def costs(self, capacity: list[Floats], *, exact: bool = True) -> Costs:
        """As `Recourse.costs`; unit_usd is that of the last unit bought, where one is."""
        shape = self._most[0].shape
        held = [np.broadcast_to(one, shape) for one in capacity]
        if self._worth is not None:
            return self._one(held[0], *self._worth, exact=exact)
        reached = list(held)
        for p in range(len(held)):
            _, enough = self._worthwhile(reached, p, MORE_HALVINGS)
            reached[p] = np.maximum(held[p], enough)
        costs = self._plain.costs(reached, exact=exact)
        short = np.stack([a - b for a, b in zip(held, reached, strict=True)], axis=2)
        slope = np.maximum(costs.slope_usd, -self._later_usd.T)
        return Costs(costs.cost_usd + (slope * short).sum(axis=2), costs.unit_usd, slope)

    def _one(self, held: Floats, pays: Floats, enough: Floats, *, exact: bool) -> Costs:
        """Buying pays up to `pays` at least, `enough` at most: below, a unit is worth its fee."""
        costs = self._plain.costs([np.maximum(held, enough)], exact=exact)
        is_short = held < pays
        fee = np.where(np.isfinite(self._later_usd[0]), self._later_usd[0], 0.0)
        slope = np.where(is_short, -fee, np.maximum(costs.slope_usd[:, :, 0], -self._later_usd[0]))
        missing = np.where(is_short, (pays - held) * fee, 0.0)
        return Costs(costs.cost_usd + missing, costs.unit_usd, slope[:, :, None])

    def _worthwhile(
        self, capacity: Sequence[Floats], pool: int, halvings: int
    ) -> tuple[Floats, Floats]:
        """Up to where one more unit saves more than its fee: between these [scenarios, months]."""
        fee = self._later_usd[pool]
        low, high = np.zeros_like(self._most[pool]), self._most[pool]
        tried = list(capacity)
        for _ in range(halvings):
            tried[pool] = (low + high) / 2
            pays = -self._plain.costs(tried).slope_usd[:, :, pool] > fee
            low, high = np.where(pays, tried[pool], low), np.where(pays, high, tried[pool])
        sold = np.isfinite(fee)
        return np.where(sold, low, 0.0), np.where(sold, high, 0.0)


def later_usd(menu: Menu) -> Floats:
    """What a menu's own lots say of it [pools, months]: in each month the cheapest term that is no
    longer than the wait until then. To wait and see for three months, and then to buy three, is a
    choice; a year cannot be tried out first within the year."""
    pools, months = menu.held.shape
    later = np.full((pools, months), np.inf)
    for lot in menu.lots:
        brings = lot.brings[0, : lot.term_months].sum()
        if brings > 0:
            usd = lot.fee_usd[0].sum() / brings
            after = np.arange(months) >= lot.term_months
            later[lot.pool] = np.where(after, np.minimum(later[lot.pool], usd), later[lot.pool])
    return later


def _most(cells: Cells, pool: int) -> Floats:
    """More than a month could use of the pool [scenarios, months]."""
    takes = np.where(np.isfinite(cells.takes[pool]), cells.takes[pool], 0.0).sum(axis=2)
    if cells.pools[pool].perishes:
        return np.asarray((takes / cells.minutes).max(axis=2) * 1.001)
    return np.asarray(takes.sum(axis=2) * 1.001)

"""Ascent: the least that months can cost at fixed capacity, whatever pools take and may serve.

Give a unit of each pool a price: λ where it perishes, one for each block, ξ for a quota, one for
the month. Then a cell costs no more than the cheapest of what it may use, and

    cost(C) >= Σ cells min(list, takes_p λ_p, takes_q ξ_q) - Σ C λ - Σ C (ξ + Σ_j u_j (ξ - π_j)+)

for any prices >= 0, where a unit of quota lets u_j more be used at π_j: so any prices cut, and the
best ones are exact. The right side is concave, and in the logs of the prices it only asks which
pools rise or fall together: where no set of pools that is scaled by one factor gains, nothing does
(its slope is the Lovász extension of a supermodular set function). So sets take turns. The best
factor for a set of λ is a weighted quantile of its cells' break-even factors. For a set of ξ the λ
follow, so that its factor is searched, up and down by steps that shrink; each month of each
scenario has its own, and begins at the prices of the question before.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from hedge.program.cells import Cells
from hedge.program.merit import Costs
from hedge.risk import Floats

MOST_SWEEPS = 12
SETTLED = 1e-8
"""Of the month's cost: what another sweep would have to gain."""
FIRST_STEP, ROUGH_STEP, LAST_STEP = 0.1, 0.03, 1e-3
"""Of the log of a quota's price."""
SHRINK, GROW = 0.35, 1.6
MOST_TRIALS = 40
MOST_TURNS, TURNED = 6, 1e-5
"""Of sets of quotas; of the month's cost, what another turn would have to gain."""
FLOOR, AWAKE = 1e-10, 1e-3
"""Of the dearest cell's worth: a price of 0 that can still be scaled; where a search begins."""


class Ascent:
    """Prices are kept from one question to the next: the next one is near, mostly."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._serves = np.isfinite(cells.takes)
        self._takes = np.where(self._serves, cells.takes, 0.0)
        self._never = np.where(self._serves, 0.0, np.inf)
        self._scale = np.maximum(cells.list_usd.sum(axis=(2, 3)), 1e-300)
        worth = np.divide(
            cells.list_usd, self._takes, out=np.zeros_like(self._takes), where=self._takes > 0
        )
        self._dearest = {p: worth[p].max(axis=2) for p in cells.perishing()}
        self._dearest |= {q: worth[q].max(axis=(2, 3)) for q in cells.quotas()}
        self._price = {p: most.copy() for p, most in self._dearest.items()}
        self._was_asked = False

    is_exact = False

    def costs(self, capacity: list[Floats], *, exact: bool = True) -> Costs:
        cells = self._cells
        minutes = cells.minutes
        room = {p: capacity[p][..., None] * minutes for p in cells.perishing()}
        quota = {q: np.broadcast_to(capacity[q], self._scale.shape) for q in cells.quotas()}
        for p, price in self._price.items():
            # Too small a price gains nothing by a step, and would stay.
            least = FLOOR if p in room else AWAKE
            np.maximum(price, least * self._dearest[p], out=price)
        value = self._served(self._price, room) - self._paid(self._price, quota)
        last_step = LAST_STEP if exact else ROUGH_STEP
        for _ in range(MOST_TURNS if exact and len(quota) > 1 else 1):
            before = value
            for together in _groups(list(quota)):
                value = self._search(together, value, room, quota, last_step)
            if (value - before <= TURNED * self._scale).all():
                break
        self._was_asked = True
        unit_usd, slope = [], np.zeros((*self._scale.shape, len(capacity)))
        for p in range(len(capacity)):
            price = self._price[p].copy()
            if p in room:
                slope[..., p] = -(price * minutes).sum(axis=2)
                unit_usd.append(price)
            else:
                slope[..., p] = -price
                for usd_per_unit, units in cells.overage[p]:
                    slope[..., p] -= units * np.maximum(price - usd_per_unit, 0.0)
                unit_usd.append(price[..., None])
        return Costs(value, tuple(unit_usd), slope)

    def _search(
        self,
        together: Sequence[int],
        value: Floats,
        room: dict[int, Floats],
        quota: dict[int, Floats],
        last_step: float,
    ) -> Floats:
        """One factor for these quotas' prices in each month, up or down by shrinking steps."""
        step = np.full(self._scale.shape, FIRST_STEP if self._was_asked else 1.0)
        up = True
        gained_last = np.zeros(step.shape, dtype=bool)
        for _ in range(MOST_TRIALS):
            if step.max() <= last_step:
                break
            trial = {p: price.copy() for p, price in self._price.items()}
            factor = np.exp(step if up else -step)
            for q in together:
                trial[q] = np.maximum(trial[q] * factor, FLOOR * self._dearest[q])
            found = self._served(trial, room) - self._paid(trial, quota)
            better = found > value + SETTLED * self._scale
            for p, price in trial.items():
                wide = better[..., None] if p in room else better
                np.copyto(self._price[p], price, where=wide)
            value = np.where(better, found, value)
            if up:
                gained_last = better
            else:
                moved = better | gained_last
                step = np.where(moved, np.minimum(step * GROW, 2.0), step * SHRINK)
            up = not up
        return value

    def _paid(self, price: dict[int, Floats], quota: dict[int, Floats]) -> Floats:
        paid = np.zeros(self._scale.shape)
        for q, units in quota.items():
            paid += units * price[q]
            for usd_per_unit, more in self._cells.overage[q]:
                paid += units * more * np.maximum(price[q] - usd_per_unit, 0.0)
        return paid

    def _served(self, price: dict[int, Floats], room: dict[int, Floats]) -> Floats:
        """What cells cost, less what their room is worth, at the best λ for these ξ: `price` is
        changed to them [scenarios, months]."""
        least = self._cells.list_usd
        for q in self._cells.quotas():
            least = np.minimum(least, self._takes[q] * price[q][..., None, None] + self._never[q])
        if not room:
            return np.asarray(least.sum(axis=(2, 3)))
        cost = {p: self._takes[p] * price[p][:, :, None, :] + self._never[p] for p in room}
        value = np.full(self._scale.shape, -np.inf)
        for _ in range(1 if len(room) == 1 else MOST_SWEEPS):
            for together in _groups(list(room)):
                self._scaled(together, least, cost, price, room)
            before, value = value, self._value(least, cost, price, room)
            if (value - before <= SETTLED * self._scale).all():
                break
        return value

    def _value(
        self,
        least: Floats,
        cost: dict[int, Floats],
        price: dict[int, Floats],
        room: dict[int, Floats],
    ) -> Floats:
        for one in cost.values():
            least = np.minimum(least, one)
        worth = sum(price[p] * units for p, units in room.items())
        return np.asarray((least.sum(axis=2) - worth).sum(axis=2), dtype=np.float64)

    def _scaled(
        self,
        together: Sequence[int],
        least: Floats,
        cost: dict[int, Floats],
        price: dict[int, Floats],
        room: dict[int, Floats],
    ) -> None:
        """The λ of these pools by their best factor in each block."""
        other = least
        for p, one in cost.items():
            if p not in together:
                other = np.minimum(other, one)
        own = cost[together[0]]
        for p in together[1:]:
            own = np.minimum(own, cost[p])
        asked = np.where(np.isfinite(own), own, 0.0)
        even = np.divide(other, own, out=np.zeros_like(other), where=own > 0)
        brought = sum(price[p] * room[p] for p in together)
        factor = np.zeros(price[together[0]].shape)
        for w in range(even.shape[2]):
            at = even[:, :, w]
            dearer = (asked * (even >= at[:, :, None])).sum(axis=2)
            factor = np.where(dearer >= brought, np.maximum(factor, at), factor)
        for p in together:
            scaled = np.maximum(price[p] * factor, FLOOR * self._dearest[p])
            np.copyto(price[p], scaled)
            cost[p] = self._takes[p] * price[p][:, :, None, :] + self._never[p]


def _groups(of: list[int]) -> list[tuple[int, ...]]:
    """Every set but the empty one, small ones first."""
    return [some for size in range(1, len(of) + 1) for some in combinations(of, size)]

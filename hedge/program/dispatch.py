"""Dispatch: who serves what at fixed capacity, and the prices that prove that it is cheapest.

The prices say who may serve a cell: those that cost it least. Along these, cells are pushed to
pools by augmenting paths, first those that have to be served, then what fills the rest; a quota
takes the dearest cells that are left. What comes out is feasible however good the prices are, and
its cost is never below what they prove: where the two meet, both are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from hedge.program.cells import Cells, delivered
from hedge.program.holding import Dispatch
from hedge.program.menu import Menu
from hedge.program.merit import Costs
from hedge.program.recourse import recourse_of
from hedge.risk import Floats
from hedge.scenarios.months import Months

AT_ONCE = 256
"""Scenarios: what is held in memory."""
TIGHT = 1e-6
"""How far a price may lie above the least and still count as it."""
TINY = 1e-12
MOST_PASSES = 3
MOST_PATHS = 2_000

Rows = NDArray[np.bool_]


def dispatch(menu: Menu, months: Months, capacity: Floats) -> Dispatch:
    """capacity: of each pool in each month [pools, months], as bought: what is not delivered of it
    is taken off."""
    scenarios, horizon, blocks, workloads = months.list_usd.shape
    pools = len(menu.pools)
    whole = Dispatch(
        served=np.zeros((scenarios, horizon, blocks, workloads, pools)),
        overage_units=np.zeros((scenarios, horizon, pools)),
        cost_usd=np.zeros((scenarios, horizon)),
        proved_usd=np.zeros((scenarios, horizon)),
        unit_usd=np.zeros((scenarios, horizon, blocks, pools)),
    )
    for first in range(0, scenarios, AT_ONCE):
        some = slice(first, min(first + AT_ONCE, scenarios))
        cells = Cells.of(menu, months, some)
        there = delivered(menu.pools, capacity, some)
        costs = recourse_of(cells).costs(there)
        _Serving(cells, there, costs).into(whole, some)
    return whole


class _Serving:
    def __init__(self, cells: Cells, capacity: list[Floats], costs: Costs) -> None:
        self._cells = cells
        self._proved_usd = costs.cost_usd
        shape = cells.list_usd.shape
        self._list = cells.list_usd
        self._can = np.isfinite(cells.takes)
        self._takes = np.where(self._can, cells.takes, 1.0)
        self._share = np.zeros(cells.takes.shape)
        self._left = np.ones(shape)
        by_block = (shape[0], shape[1], shape[3])
        self._price = [np.broadcast_to(usd, by_block) for usd in costs.unit_usd]
        self._room = {
            p: np.broadcast_to(capacity[p][..., None] * cells.minutes, by_block).copy()
            for p in cells.perishing()
        }
        self._quota = {q: np.broadcast_to(capacity[q], shape[:2]).copy() for q in cells.quotas()}
        self._over = {
            q: [(usd, units * self._quota[q]) for usd, units in sorted(cells.overage[q])]
            for q in cells.quotas()
        }
        self._overage = np.zeros((*shape[:2], len(capacity)))
        self._overage_usd = np.zeros(shape[:2])
        self._run()

    def into(self, whole: Dispatch, some: slice) -> None:
        whole.served[some] = self._share.transpose(1, 2, 4, 3, 0)
        whole.overage_units[some] = self._overage
        paid = (self._list * self._left).sum(axis=(2, 3))
        whole.cost_usd[some] = paid + self._overage_usd
        whole.proved_usd[some] = self._proved_usd
        whole.unit_usd[some] = np.stack(self._price, axis=-1) if self._price else 0.0

    def _run(self) -> None:
        cost = np.array(
            [
                np.where(can, takes * price[:, :, None, :], np.inf)
                for can, takes, price in zip(self._can, self._takes, self._price, strict=True)
            ]
        ).reshape(len(self._price), *self._list.shape)
        perishing, quotas = list(self._room), list(self._quota)
        by_block = cost[perishing].min(axis=0, initial=np.inf)
        by_month = cost[quotas].min(axis=0, initial=np.inf)
        least = np.minimum(np.minimum(self._list, by_month), by_block) * (1 + TIGHT)
        tight = cost <= least
        other = np.minimum(self._list, by_month)
        has_to = by_block * (1 + TIGHT) < other
        elsewhere = ~has_to & (by_month <= other) & (other < self._list * (1 - TIGHT))
        for wanted in (has_to, elsewhere, np.ones_like(has_to)):
            self._flow(wanted, tight)
        self._flow(np.ones_like(has_to), self._can)
        quotas.sort(key=lambda q: int(self._can[q].any(axis=(0, 1, 3)).sum()))
        dear = least < self._list
        anything = np.ones_like(dear)
        for wanted, edges in ((dear, tight), (anything, tight), (anything, self._can)):
            for q in quotas:
                self._fill(q, wanted & edges[q], self._quota[q])
            for q in quotas:
                self._give_way(q, wanted, edges)
        for q in quotas:
            for usd_per_unit, room in self._over[q]:
                worth = self._can[q] & (self._list > usd_per_unit * self._takes[q])
                used = self._fill(q, worth, room)
                self._overage[..., q] += used
                self._overage_usd += used * usd_per_unit

    def _flow(self, wanted: Rows, edges: Rows) -> None:
        """Push what is wanted and left along `edges` into room that is left, shortest first."""
        paths = list(self._paths())
        for _ in range(MOST_PASSES):
            moved = False
            for path in paths:
                moved |= self._push(path, wanted, edges)
            if not moved:
                return

    def _paths(self) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Workloads and pools in turn: w0 goes to p0, w1 from p0 to p1, and so on."""
        count, workloads = 0, range(self._list.shape[2])
        for length in range(1, min(len(self._room), len(workloads)) + 1):
            ways = product(permutations(workloads, length), permutations(self._room, length))
            for some, pools in ways:
                if all(
                    self._may(pool, some[i]) and (i + 1 == length or self._may(pool, some[i + 1]))
                    for i, pool in enumerate(pools)
                ):
                    count += 1
                    if count > MOST_PATHS:
                        return
                    yield some, pools

    def _may(self, pool: int, workload: int) -> bool:
        return bool(self._cells.pools[pool].serves[workload])

    def _push(
        self, path: tuple[tuple[int, ...], tuple[int, ...]], wanted: Rows, edges: Rows
    ) -> bool:
        workloads, pools = path
        first, last = workloads[0], pools[-1]
        rows = wanted[:, :, first] & (self._left[:, :, first] > TINY) & edges[pools[0], :, :, first]
        rows = rows & (self._room[last] > TINY)
        for i, w in enumerate(workloads[1:]):
            rows = rows & (self._share[pools[i]][:, :, w] > TINY) & edges[pools[i + 1], :, :, w]
        at = np.nonzero(rows)
        if not len(at[0]):
            return False
        # Shares of cells, in units of the pool that a cell leaves.
        pushed = self._left[:, :, first][at]
        rates = [np.ones(len(pushed))]
        for i, w in enumerate(workloads[1:]):
            into = self._takes[pools[i]]
            rate = rates[-1] * into[:, :, workloads[i]][at] / into[:, :, w][at]
            pushed = np.minimum(pushed, self._share[pools[i]][:, :, w][at] / rate)
            rates.append(rate)
        taken = rates[-1] * self._takes[last][:, :, workloads[-1]][at]
        pushed = np.minimum(pushed, self._room[last][at] / taken)
        self._left[:, :, first][at] -= pushed
        for i, w in enumerate(workloads):
            self._share[pools[i]][:, :, w][at] += pushed * rates[i]
            if i:
                self._share[pools[i - 1]][:, :, w][at] -= pushed * rates[i]
        self._room[last][at] = np.maximum(self._room[last][at] - pushed * taken, 0.0)
        return bool(pushed.max() > 1e-9)

    def _fill(self, quota: int, cells: Rows, room: Floats) -> Floats:
        """The dearest cells that are left, while there is room; the units that they took."""
        takes = self._takes[quota]
        asked = np.where(cells, self._left * takes, 0.0)
        if not room.any() or not asked.any():
            return np.zeros_like(room)
        flat = asked.reshape(*room.shape, -1)
        order = np.argsort(-(self._list / takes).reshape(flat.shape), axis=2, kind="stable")
        by_worth = np.take_along_axis(flat, order, axis=2)
        before = np.cumsum(by_worth, axis=2) - by_worth
        given = np.clip(room[..., None] - before, 0.0, by_worth)
        units = np.empty_like(given)
        np.put_along_axis(units, order, given, axis=2)
        share = np.minimum(units.reshape(asked.shape) / takes, self._left)
        self._share[quota] += share
        self._left -= share
        used = given.sum(axis=2)
        np.maximum(room - used, 0.0, out=room)
        return np.asarray(used)

    def _give_way(self, quota: int, wanted: Rows, edges: Rows) -> None:
        """What is left takes the place of cells at a pool that the quota serves as well."""
        workloads = range(self._list.shape[2])
        room = self._quota[quota]
        for pool, first, second in product(self._room, workloads, workloads):
            may = self._may(pool, first) and self._may(pool, second) and self._may(quota, second)
            if first == second or not may:
                continue
            into, onto = self._takes[pool], self._takes[quota][:, :, second]
            can = edges[pool][:, :, first] & edges[quota][:, :, second] & wanted[:, :, first]
            rate = into[:, :, first] / into[:, :, second]
            pushed = np.where(can, self._left[:, :, first], 0.0)
            pushed = np.minimum(pushed, self._share[pool][:, :, second] / rate)
            asked = pushed * rate * onto
            if not (asked > TINY).any():
                continue
            before = np.cumsum(asked, axis=2) - asked
            given = np.clip(room[..., None] - before, 0.0, asked)
            pushed = given / (rate * onto)
            self._left[:, :, first] -= pushed
            self._share[pool][:, :, first] += pushed
            self._share[pool][:, :, second] -= pushed * rate
            self._share[quota][:, :, second] += pushed * rate
            np.maximum(room - given.sum(axis=2), 0.0, out=room)

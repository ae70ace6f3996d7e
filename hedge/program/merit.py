"""MeritOrder: the least that months can cost at fixed capacity, when capacity has one measure.

Let the pools' takes be proportional: serving a cell takes `scale[pool] * size[cell]` units. Then
what pools can carry together, as a set of cells, is the flow from cells to pools, a polymatroid,
and to serve the dearest cells per unit first is exact, whichever pool may serve which workload.
With the cells of a month by falling worth v of a unit, and F(k) the most that can be carried of the
first k of them,

    saved = sum over k of (v_k - v_k+1) F(k),

and by the cut of Gale and Hall F(k) is the least, over the sets of pools that could be full, of
what these pools carry and what the other cells, those that a pool outside the set may serve, ask
for. Capacity that perishes is full or not in each block; a quota in the whole month. So F is the
least of functions that are linear in the capacities, and the pools of the least give the slope.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, combinations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hedge.program.cells import Cells
from hedge.risk import Floats

T = TypeVar("T")

PROPORTIONAL = 1e-9
"""How far logs of takes may lie off, which is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """At some capacity, or nowhere above: every price >= 0 proves `cost_usd`.

    cost_usd: [scenarios, months].
    unit_usd: by pool, what one more unit would have saved in each block [scenarios, months,
        blocks]; of a quota, in the month [scenarios, months, 1].
    slope_usd: of cost_usd in the pools' capacity [scenarios, months, pools]; never above 0.
    """

    cost_usd: Floats
    unit_usd: tuple[Floats, ...]
    slope_usd: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Full:
    """One set of quotas that are full, with each set of perishing pools that could be full with it.

    asked: what cells outside ask for, summed dearest first in each block [sets][scenarios, months,
    rank, blocks].
    """

    quotas: frozenset[int]
    pools: tuple[frozenset[int], ...]
    asked: tuple[Floats, ...]


class MeritOrder:
    """Of cells whose takes are proportional: `of` says whether they are."""

    is_exact = True

    def __init__(self, cells: Cells, scale: list[Floats], size: Floats) -> None:
        """scale: of each pool, broadcast over [scenarios, months, blocks]. size: of each cell."""
        self._cells = cells
        self._scale = scale
        self._unserved_usd = cells.list_usd.sum(axis=(2, 3))
        worth = np.divide(cells.list_usd, size, out=np.zeros_like(size), where=size > 0)
        self._dearest = np.argsort(-worth, axis=2, kind="stable")
        self._worth = np.take_along_axis(worth, self._dearest, axis=2)
        self._size = np.take_along_axis(size, self._dearest, axis=2)
        self._step = -np.diff(self._worth, axis=2, append=0.0)
        self._fulls = tuple(self._full(frozenset(chosen)) for chosen in _subsets(cells.quotas()))
        if cells.quotas():
            flat = self._worth.reshape(*self._worth.shape[:2], -1)
            # Stable: within a block, the ranks keep their order.
            self._order = np.argsort(-flat, axis=2, kind="stable")
            self._rank = np.argsort(self._order, axis=2)
            by_worth = np.take_along_axis(flat, self._order, axis=2)
            self._month_step = -np.diff(by_worth, axis=2, append=0.0)

    @classmethod
    def of(cls, cells: Cells) -> MeritOrder | None:
        """None where takes are not proportional, or a quota has overage."""
        if any(pool.overage for pool in cells.pools):
            return None
        found = _proportions(cells)
        return None if found is None else cls(cells, *found)

    def costs(self, capacity: list[Floats], *, exact: bool = True) -> Costs:  # noqa: ARG002
        """At these units of each pool [scenarios or 1, months]."""
        if self._cells.quotas():
            return self._with_quotas(capacity)
        full = self._fulls[0]
        carried, which = self._carried(full, capacity)
        saved = np.einsum("strb,strb->st", self._step, carried)
        unit_usd = [self._price(full, which, self._step, p) for p in range(len(capacity))]
        return self._costs(saved, unit_usd)

    def _with_quotas(self, capacity: list[Floats]) -> Costs:
        shape = self._worth.shape
        least = np.full(self._order.shape, np.inf)
        chosen = np.zeros(self._order.shape, dtype=np.int8)
        # Of a quota that is empty, to count it as full is never more: half the sets need no look.
        empty = {q for q in self._cells.quotas() if not capacity[q].any()}
        fulls = [full for full in self._fulls if full.quotas >= empty]
        found = []
        for number, full in enumerate(fulls):
            carried, which = self._carried(full, capacity)
            more = np.diff(carried, axis=2, prepend=0.0).reshape(*shape[:2], -1)
            flow = np.cumsum(np.take_along_axis(more, self._order, axis=2), axis=2)
            for q in full.quotas:
                flow += (capacity[q] / self._scale[q][..., 0])[..., None]
            found.append(which)
            np.copyto(chosen, number, where=flow < least)
            np.minimum(least, flow, out=least)
        saved = np.einsum("stk,stk->st", self._month_step, least)
        unit_usd = [np.zeros((1, 1, 1)) for _ in capacity]
        for number, full in enumerate(fulls):
            step = np.where(chosen == number, self._month_step, 0.0)
            # A block's set counts from its cell's place in the month to that of the block's next.
            rest = np.cumsum(step[..., ::-1], axis=2)[..., ::-1]
            by_cell = np.take_along_axis(rest, self._rank, axis=2).reshape(shape)
            share = -np.diff(by_cell, axis=2, append=0.0)
            for p in self._cells.perishing():
                unit_usd[p] = unit_usd[p] + self._price(full, found[number], share, p)
            for q in full.quotas:
                unit_usd[q] = unit_usd[q] + rest[..., :1] / self._scale[q][..., :1]
        return self._costs(saved, unit_usd)

    def _costs(self, saved: Floats, unit_usd: list[Floats]) -> Costs:
        scenarios, months = saved.shape
        slope = np.zeros((scenarios, months, len(unit_usd)))
        for p, pool in enumerate(self._cells.pools):
            brought = self._cells.minutes if pool.perishes else 1.0
            slope[..., p] = -(unit_usd[p] * brought).sum(axis=2)
        return Costs(self._unserved_usd - saved, tuple(unit_usd), slope)

    def _carried(self, full: _Full, capacity: list[Floats]) -> tuple[Floats, NDArray[np.int8]]:
        """The most of each block's first cells, quotas not counted; which set says so."""
        minutes = self._cells.minutes
        least = np.full(self._worth.shape, np.inf)
        which = np.zeros(self._worth.shape, dtype=np.int8)
        for number, (pools, asked) in enumerate(zip(full.pools, full.asked, strict=True)):
            bound = asked
            if pools:
                room = sum(capacity[p][..., None] * minutes / self._scale[p] for p in pools)
                bound = asked + np.asarray(room)[:, :, None, :]
            np.copyto(which, number, where=bound < least)
            np.minimum(least, bound, out=least)
        return least, which

    def _price(self, full: _Full, which: NDArray[np.int8], step: Floats, pool: int) -> Floats:
        member = np.array([pool in pools for pools in full.pools], dtype=np.float64)
        if not member.any():
            return np.zeros((1, 1, 1))
        price: Floats = np.einsum("strb,strb->stb", member[which], step) / self._scale[pool]
        return price

    def _full(self, quotas: frozenset[int]) -> _Full:
        cells = self._cells
        by_workload = [
            frozenset(p for p, pool in enumerate(cells.pools) if pool.serves[w])
            for w in range(cells.list_usd.shape[2])
        ]
        perishing = frozenset(cells.perishing())
        inside = [pools for pools in by_workload if pools - perishing <= quotas]
        sets = sorted(
            {frozenset(chain(*some)) & perishing for some in _subsets(inside)}, key=sorted
        )
        asked = []
        for pools in sets:
            outside = np.array([not one <= pools | quotas for one in by_workload], dtype=np.float64)
            asked.append(np.cumsum(self._size * outside[self._dearest], axis=2))
        return _Full(quotas, tuple(sets), tuple(asked))


def _subsets(of: Iterable[T]) -> Iterable[tuple[T, ...]]:
    some = list(of)
    return chain.from_iterable(combinations(some, size) for size in range(len(some) + 1))


def _proportions(cells: Cells) -> tuple[list[Floats], Floats] | None:
    """Scales of the pools and sizes of the cells whose products are the takes; None if none are.

    A least-squares fit of their logs, exact where it leaves nothing over.
    """
    there = np.isfinite(cells.takes)
    size = np.zeros_like(cells.list_usd)
    pairs = [
        (p, w)
        for p, pool in enumerate(cells.pools)
        for w in range(size.shape[2])
        if pool.serves[w] and there[p, :, :, w].any()
    ]
    ones = [np.ones((1, 1, 1)) for _ in cells.pools]
    if not pairs:
        return ones, size
    served = {w: [p for p, other in pairs if other == w] for _, w in pairs}
    for w, by in served.items():
        if any((there[p, :, :, w] != there[by[0], :, :, w]).any() for p in by):
            return None
    # An empty cell fits anything; the mean lets it fit what the others do.
    shape = (size.shape[0], size.shape[1], size.shape[3])
    logs = np.empty((len(pairs), *shape))
    for row, (p, w) in enumerate(pairs):
        finite = there[p, :, :, w]
        log = np.log(np.where(finite, cells.takes[p, :, :, w], 1.0))
        logs[row] = np.where(finite, log, log[finite].mean())
    groups = _groups(pairs)
    design = np.zeros((len(pairs), len(cells.pools) + size.shape[2]))
    for row, (p, w) in enumerate(pairs):
        design[row, p] = design[row, len(cells.pools) + w] = 1.0
    fit = np.tensordot(np.linalg.pinv(design), logs, axes=1)
    if np.abs(np.tensordot(design, fit, axes=1) - logs).max() > PROPORTIONAL:
        return None
    log_scale, log_size = fit[: len(cells.pools)], fit[len(cells.pools) :]
    for pools, workloads in groups:
        # One measure for all blocks of a month: the first quota's, else the first pool's.
        first = min(pools, key=lambda p: (cells.pools[p].perishes, p))
        gauge = log_scale[first].copy()
        log_scale[pools] -= gauge
        log_size[workloads] += gauge
    for q in cells.quotas():
        if np.ptp(log_scale[q], axis=2).max() > PROPORTIONAL:
            return None
    for w, by in served.items():
        size[:, :, w] = np.where(there[by[0], :, :, w], np.exp(log_size[w]), 0.0)
    scale = [
        np.full((1, 1, 1), float(np.exp(one.flat[0])))
        if np.ptp(one) <= PROPORTIONAL
        else np.exp(one)
        for one in log_scale
    ]
    return scale, size


def _groups(pairs: list[tuple[int, int]]) -> list[tuple[list[int], list[int]]]:
    """Pools and workloads that hang together."""
    groups: list[tuple[set[int], set[int]]] = []
    for p, w in pairs:
        joined = ({p}, {w})
        apart = []
        for group in groups:
            if p in group[0] or w in group[1]:
                joined = (joined[0] | group[0], joined[1] | group[1])
            else:
                apart.append(group)
        groups = [*apart, joined]
    return [(sorted(pools), sorted(workloads)) for pools, workloads in groups]

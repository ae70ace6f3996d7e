"""DurationCurves: months of drawn days as load-duration curves, in blocks of equal length.

A reservation's capacity perishes each minute, so what it serves depends on how long each load
lasts, not on when. Each workload's slices of five minutes are sorted by load and cut into blocks;
which blocks of the workloads fall together is told by cutting the slices of all of them together,
along a walk on which like loads are neighbours, and comparing ranks (a Schaake shuffle). So what
serves one workload sees its own curve, and what serves several sees how they fall together.

Sorting thousands of months would take a minute. So slices are put into narrow cells once, for every
day that can be drawn; a month is the sum of its days' cells, cut where blocks end, and a cell is
split in proportion.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hedge.risk import Floats
from hedge.scenarios.calendar import Span
from hedge.scenarios.demand import DemandPaths, Variants
from hedge.scenarios.history import (
    DAY_SLICES,
    HOURS,
    KINDS,
    LOAD,
    SLICES,
    DemandHistory,
)
from hedge.scenarios.walk import Places, Walk

CELLS, OWN_CELLS = 128, 64
_AT_ONCE, _IN_CACHE = 200, 8


class DurationCurves:
    """Of one history, brought to today's level.

    list_factors: list prices over the history's, by hour [24, workloads].
    """

    def __init__(
        self,
        history: DemandHistory,
        to_today: Floats,
        variants: Variants,
        list_factors: Floats,
    ) -> None:
        shape = history.slices.T / SLICES
        base = history.amounts * to_today[:, None, :, None]
        usd = history.hourly_usd() * to_today[:, None, :] * list_factors
        hours = np.concatenate([base, usd[..., None]], axis=3)
        slices = hours[:, :, None] * shape[:, :, None]
        slices = slices.reshape(-1, *slices.shape[3:])
        load = (slices[..., :KINDS] @ LOAD) * history.load_usd()
        # Between by money, which would overlook small workloads, and each alike.
        scale = np.sqrt(np.maximum(load.mean(axis=0), 1e-12))
        self._together = _Cells(load / scale, load, CELLS, variants)
        self._own = tuple(
            _Cells(load[:, w : w + 1], slices[:, w], OWN_CELLS, variants)
            for w in range(load.shape[1])
        )

    def blocks(
        self, paths: DemandPaths, spans: Sequence[Span], blocks: int
    ) -> tuple[Floats, Floats, Floats]:
        """Of each month: length of blocks in minutes [months, blocks], and by scenario amounts
        [scenarios, months, blocks, workloads, 4] and list cost in USD [.., workloads]."""
        count, width = len(paths.drawn), len(self._own)
        minutes = np.array([[one.days * HOURS * 60 / blocks] * blocks for one in spans])
        cells = np.empty((count, len(spans), blocks, width, KINDS + 1))
        first = 0
        for m, span in enumerate(spans):
            drawn = paths.drawn[:, first : first + span.days]
            for some in range(0, count, _AT_ONCE):
                part = slice(some, some + _AT_ONCE)
                cells[part, m] = self._month(drawn[part], blocks)
            first += span.days
        cells *= paths.level[:, :, None, :, None]
        busiest = np.argsort(-cells[..., KINDS].sum(axis=3), axis=2, kind="stable")
        cells = np.take_along_axis(cells, busiest[..., None, None], axis=2)
        return minutes, cells[..., :KINDS], cells[..., KINDS]

    def _month(self, drawn: Places, blocks: int) -> Floats:
        """[scenarios, blocks, workloads, kinds and list cost]."""
        count = len(drawn)
        together = self._together.cut(drawn, blocks)
        month = np.empty((count, blocks, len(self._own), KINDS + 1))
        for w, own in enumerate(self._own):
            rank = ranks(together[:, :, w])
            cut = own.cut(drawn, blocks)
            month[:, :, w] = np.take_along_axis(cut, rank[:, :, None], axis=1)
        return month


def ranks(load: Floats) -> Places:
    """Of each block among those of its month, busiest first [scenarios, blocks]."""
    order = np.argsort(-load, axis=1, kind="stable")
    return np.asarray(np.argsort(order, axis=1), dtype=np.int64)


class _Cells:
    """Sums of `columns` [slices, columns] over the cells of a walk through `load`, for each day
    that may be drawn."""

    def __init__(self, load: Floats, columns: Floats, cells: int, variants: Variants) -> None:
        walk = Walk.through(load, cells)
        days, width = len(load) // DAY_SLICES, columns.shape[1]
        self._sums = np.zeros((len(variants.day), walk.cells, 1 + width))
        first = np.repeat(np.arange(days) * walk.cells, DAY_SLICES)
        for multiple in np.unique(variants.multiple):
            at = first + walk.cell(load * multiple)
            sums = np.empty((days * walk.cells, 1 + width))
            sums[:, 0] = np.bincount(at, minlength=len(sums))
            for column in range(width):
                sums[:, 1 + column] = np.bincount(at, columns[:, column] * multiple, len(sums))
            of_it = np.flatnonzero(variants.multiple == multiple)
            self._sums[of_it] = sums.reshape(days, walk.cells, -1)[variants.day[of_it]]

    def cut(self, drawn: Places, blocks: int) -> Floats:
        """What falls into each block of equal length [scenarios, blocks, columns], for the days
        that are drawn [scenarios, days]."""
        count, days = drawn.shape
        running = np.empty((count, *self._sums.shape[1:]))
        for some in range(0, count, _IN_CACHE):
            # Not as a product of matrices: threads for such small ones cost more than they bring.
            sums = self._sums[drawn[some : some + _IN_CACHE]].sum(axis=1)
            np.cumsum(sums, axis=1, out=running[some : some + _IN_CACHE])
        lasting, running = running[:, :, 0], running[:, :, 1:]
        ends = days * DAY_SLICES * np.arange(1, blocks) / blocks
        at = (lasting[:, :, None] <= ends).sum(axis=1)  # the cell that each block ends in
        here = np.arange(count)[:, None]
        before = np.maximum(at - 1, 0)
        start = np.where(at > 0, lasting[here, before], 0.0)
        share = (ends - start) / (lasting[here, at] - start)
        low = np.where((at > 0)[..., None], running[here, before], 0.0)
        inner = low + share[..., None] * (running[here, at] - low)
        whole = np.concatenate([inner, running[:, -1:]], axis=1)
        return np.asarray(np.diff(whole, axis=1, prepend=0.0))

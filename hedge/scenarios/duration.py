"""DurationCurve: months of drawn days as load-duration curves, busiest block first.

A reservation's capacity perishes each minute, so what it serves depends on how long each load
lasts, not on when. A month's slices of five minutes are sorted by total load and cut into blocks.
Sorting each of thousands of months would take a minute; so slices are put into narrow bands of
load once, for every day that can be drawn. A month is then the sum of its days' bands, cut where
blocks end; a band is split in proportion.
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

BANDS, SURGE_BANDS = 120, 16
SLICE_MINUTES = 5
_AT_ONCE = 200


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
        self._width = len(history.workloads)
        shape = history.slices.T / SLICES
        base = history.amounts * to_today[:, None, :, None]
        usd = history.hourly_usd() * to_today[:, None, :] * list_factors
        hours = np.concatenate([base.reshape(*base.shape[:2], -1), usd], axis=2)
        each = np.concatenate([np.repeat(shape, KINDS, axis=1), shape], axis=1)
        slices = (hours[:, :, None, :] * each).reshape(history.days, DAY_SLICES, -1)
        price = _prices(history)
        load = ((base @ LOAD)[:, :, None, :] * shape) @ price
        self._bands = _banded(load.reshape(history.days, DAY_SLICES), slices, variants)

    def blocks(
        self, paths: DemandPaths, spans: Sequence[Span], blocks: int
    ) -> tuple[Floats, Floats, Floats]:
        """Of each month: length of blocks in minutes [months, blocks], and by scenario amounts
        [scenarios, months, blocks, workloads, 4] and list cost in USD [.., workloads]."""
        count, width = len(paths.drawn), self._width
        minutes = np.array([[one.days * HOURS * 60 / blocks] * blocks for one in spans])
        cells = np.empty((count, len(spans), blocks, width * (KINDS + 1)))
        first = 0
        for m, span in enumerate(spans):
            drawn = paths.drawn[:, first : first + span.days]
            for some in range(0, count, _AT_ONCE):
                part = slice(some, some + _AT_ONCE)
                cells[part, m] = self._cut(drawn[part], blocks)
            first += span.days
        amounts = cells[..., : width * KINDS].reshape(*cells.shape[:3], width, KINDS)
        amounts *= paths.level[:, :, None, :, None]
        return minutes, amounts, cells[..., width * KINDS :] * paths.level[:, :, None, :]

    def _cut(self, drawn: np.ndarray[tuple[int, ...], np.dtype[np.int64]], blocks: int) -> Floats:
        """[scenarios, blocks, columns] of one month."""
        count, days = drawn.shape
        variants, bands, columns = self._bands.shape
        which = drawn + variants * np.arange(count)[:, None]
        times = np.bincount(which.ravel(), minlength=count * variants).reshape(count, variants)
        used = np.flatnonzero(times.any(axis=0))
        sums = times[:, used].astype(np.float64) @ self._bands[used].reshape(len(used), -1)
        running = np.cumsum(sums.reshape(count, bands, columns), axis=1)
        lasting, running = running[:, :, 0], running[:, :, 1:]
        ends = days * DAY_SLICES * np.arange(1, blocks) / blocks
        at = (lasting[:, :, None] <= ends).sum(axis=1)  # the band that each block ends in
        here = np.arange(count)[:, None]
        before = np.maximum(at - 1, 0)
        start = np.where(at > 0, lasting[here, before], 0.0)
        share = (ends - start) / (lasting[here, at] - start)
        low = np.where((at > 0)[..., None], running[here, before], 0.0)
        cut = low + share[..., None] * (running[here, at] - low)
        whole = np.concatenate([cut, running[:, -1:]], axis=1)
        return np.asarray(np.diff(whole, axis=1, prepend=0.0))


def _prices(history: DemandHistory) -> Floats:
    """USD per unit of load of each workload, at its mean price."""
    weighed = (history.amounts @ LOAD).sum(axis=(0, 1))
    usd = history.hourly_usd().sum(axis=(0, 1))
    return np.asarray(np.divide(usd, weighed, out=np.zeros_like(usd), where=weighed > 0))


def _banded(load: Floats, slices: Floats, variants: Variants) -> Floats:
    """[variants, bands, 1 + columns], busiest band first: how many slices, and their sums."""
    edges = np.quantile(load, np.linspace(0, 1, BANDS)[1:])
    top = max(float(edges[-1]), 1e-12)
    surges = np.geomspace(top, top * max(variants.multiple.max(), 1.01), SURGE_BANDS)[1:]
    edges = np.unique(np.concatenate([edges, surges]))
    bands = len(edges) + 1
    days, columns = len(load), slices.shape[2]
    banded = np.zeros((len(variants.day), bands, 1 + columns))
    place = np.arange(days)[:, None] * bands
    for multiple in np.unique(variants.multiple):
        at = place + bands - 1 - np.searchsorted(edges, load * multiple, side="left")
        sums = np.stack(
            [np.bincount(at.ravel(), minlength=days * bands)]
            + [
                np.bincount(at.ravel(), slices[:, :, column].ravel() * multiple, days * bands)
                for column in range(columns)
            ],
            axis=1,
        ).reshape(days, bands, 1 + columns)
        of_it = np.flatnonzero(variants.multiple == multiple)
        banded[of_it] = sums[variants.day[of_it]]
    return banded

"""Other: a different generator of months, to see what a plan's confidence is worth when the world
does not follow the planning generator.

The level is a multiplicative random walk, day by day, whose drift and volatility switch between
calm, boom and bust; hours are a log-autoregression around the week's mean shape; bursts are Pareto,
of single slices. Nothing is drawn from the history's days, nothing reverts. The only things that it
shares with `draw` are the mean shape of the week, the mix of tokens and the prices of the history.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from hedge.risk import Floats
from hedge.scenarios.calendar import Span, month_spans
from hedge.scenarios.chances import stream
from hedge.scenarios.draw import BLOCKS, MONTHS
from hedge.scenarios.duration import CELLS, ranks
from hedge.scenarios.history import DAY_SLICES, HOURS, LOAD, SLICES, DemandHistory
from hedge.scenarios.months import Months
from hedge.scenarios.trend import to_today
from hedge.scenarios.walk import Walk
from ledger.calendar_months import month_after

STAY = np.array([0.98, 0.95, 0.95])
"""Chance that calm, boom and bust go on for another day; from calm either follows, else calm."""
DRIFT = np.array([0.0, 0.008, -0.008])
DAY_SD = np.array([0.015, 0.03, 0.03])
"""Logs, per day."""
HOUR_KEPT, HOUR_SD = 0.8, 0.12
SLICE_SD = 0.15
BURST_CHANCE, BURST_TAIL, BURST_MOST = 0.002, 2.0, 10.0
PRICE_SD = 0.06
"""Log of a workload's price, per month."""
_AT_ONCE = 50


def other(
    history: DemandHistory,
    *,
    seed: int,
    count: int,
    months: int = MONTHS,
    blocks: int = BLOCKS,
    first: date | None = None,
) -> Months:
    """As `draw`, from another world. No indices."""
    today = history.until.date()
    spans = month_spans(first or (today if today.day == 1 else month_after(today)), months)
    shape, per_load, usd_per_load = _week(history)
    level = _levels(history, spans, seed, count)
    width = len(history.workloads)
    load = np.empty((count, months, blocks, width))
    past = np.zeros((count, width))
    start = (spans[0].first - today).days
    for m, span in enumerate(spans):
        weekday = (span.first.weekday() + np.arange(span.days)) % 7
        days = level[:, start : start + span.days]
        hours = shape[weekday].reshape(1, -1, width) * np.repeat(days, HOURS, axis=1)
        noise = _hourly(stream(seed, "other hours", str(m)), hours.shape, past)
        past = noise[:, -1]
        hours *= np.exp(noise - HOUR_SD**2 / 2)
        slices = stream(seed, "other slices", str(m))
        for some in range(0, count, _AT_ONCE):
            load[some : some + _AT_ONCE, m] = _blocks(
                _sliced(hours[some : some + _AT_ONCE], slices), blocks
            )
        start += span.days
    walk = stream(seed, "other prices").standard_normal((count, months, width)) * PRICE_SD
    price = np.exp(np.cumsum(walk, axis=1))[:, :, None]
    list_usd = load * usd_per_load * price
    busiest = np.argsort(-list_usd.sum(axis=3), axis=2, kind="stable")[..., None]
    return Months(
        workloads=history.names,
        firsts=tuple(span.first for span in spans),
        minutes=np.array([[span.days * HOURS * 60 / blocks] * blocks for span in spans]),
        amounts=np.take_along_axis(load, busiest, axis=2)[..., None] * per_load,
        list_usd=np.take_along_axis(list_usd, busiest, axis=2),
    )


def _week(history: DemandHistory) -> tuple[Floats, Floats, Floats]:
    """Mean load by weekday and hour, today [7, 24, workloads], and what a unit of it has in tokens
    and requests [workloads, 4] and costs [workloads]."""
    daily = to_today(history)[:, None]
    load = (history.amounts @ LOAD) * daily
    weekday = (history.since.weekday() + np.arange(history.days)) % 7
    mean = load.mean(axis=0)
    shape = np.stack(
        [load[weekday == k].mean(axis=0) if (weekday == k).any() else mean for k in range(7)]
    )
    total = (history.amounts @ LOAD).sum(axis=(0, 1))
    safe = np.where(total > 0, total, 1.0)
    per_load = history.amounts.sum(axis=(0, 1)) / safe[:, None]
    return shape, per_load, history.load_usd()


def _levels(history: DemandHistory, spans: tuple[Span, ...], seed: int, count: int) -> Floats:
    """Of each day from today on [scenarios, days, workloads]: half common, half their own."""
    days = (spans[-1].until - history.until.date()).days
    width = len(history.workloads)
    change = stream(seed, "other regime").random((count, days))
    way = stream(seed, "other way").integers(1, 3, (count, days))
    common = stream(seed, "other common").standard_normal((count, days))
    own = stream(seed, "other own").standard_normal((count, days, width))
    shock = np.sqrt(0.5) * (common[:, :, None] + own)
    regime = np.zeros(count, dtype=np.int64)
    steps = np.empty((count, days, width))
    for day in range(days):
        leaves = change[:, day] >= STAY[regime]
        regime = np.where(leaves, np.where(regime == 0, way[:, day], 0), regime)
        steps[:, day] = DRIFT[regime, None] + DAY_SD[regime, None] * shock[:, day]
    return np.asarray(np.exp(np.cumsum(steps, axis=1)))


def _hourly(rng: np.random.Generator, shape: tuple[int, ...], past: Floats) -> Floats:
    """A log-autoregression that goes on where it was [scenarios, hours, workloads]."""
    noise: Floats = rng.standard_normal(shape) * HOUR_SD * np.sqrt(1 - HOUR_KEPT**2)
    for hour in range(shape[1]):
        past = HOUR_KEPT * past + noise[:, hour]
        noise[:, hour] = past
    return noise


def _sliced(hours: Floats, rng: np.random.Generator) -> Floats:
    """Load of each slice [scenarios, slices, workloads]."""
    count, width = len(hours), hours.shape[2]
    shape = (count, hours.shape[1], SLICES, width)
    noise = np.exp(rng.standard_normal(shape) * SLICE_SD - SLICE_SD**2 / 2)
    burst = rng.random(shape)
    is_burst = burst < BURST_CHANCE
    noise[is_burst] *= np.minimum((burst[is_burst] / BURST_CHANCE) ** (-1 / BURST_TAIL), BURST_MOST)
    return np.asarray((hours[:, :, None] / SLICES * noise).reshape(count, -1, width))


def _blocks(slices: Floats, blocks: int) -> Floats:
    """Each workload's own duration curve, put together as all of them fall together."""
    count, length, width = slices.shape
    scale = np.sqrt(np.maximum(slices.mean(axis=(0, 1)), 1e-12))
    walk = Walk.through((slices[0] / scale)[:: max(1, length // (30 * DAY_SLICES))], CELLS)
    cell = walk.cell((slices / scale).reshape(-1, width)).reshape(count, length)
    order = np.argsort(cell, axis=1, kind="stable")
    together = _cut(np.take_along_axis(slices, order[:, :, None], axis=1), blocks)
    own = _cut(-np.sort(-slices, axis=1), blocks)
    return np.stack(
        [np.take_along_axis(own[:, :, w], ranks(together[:, :, w]), axis=1) for w in range(width)],
        axis=2,
    )


def _cut(ordered: Floats, blocks: int) -> Floats:
    """Sums over blocks of equal length, in this order [scenarios, blocks, workloads]."""
    length = ordered.shape[1]
    running = np.concatenate([np.zeros_like(ordered[:, :1]), np.cumsum(ordered, axis=1)], axis=1)
    ends: NDArray[np.float64] = length * np.arange(blocks + 1) / blocks
    whole = np.minimum(ends.astype(np.int64), length - 1)
    rest = (ends - whole)[None, :, None]
    at = running[:, whole] + rest * (running[:, whole + 1] - running[:, whole])
    return np.asarray(np.diff(at, axis=1))

"""Demand: which days of the history the days to come are like, and at what level.

Days are drawn in whole weeks (a block bootstrap: what follows on what stays so, and workloads and
kinds of tokens move as they did), each brought to today's level first. A level per workload and
month carries what the history cannot repeat: growth and its error, changes for good, heavy-tailed
drift, scarcity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedge.risk import Floats
from hedge.scenarios.calendar import Span, ahead_months
from hedge.scenarios.chances import stream
from hedge.scenarios.history import DemandHistory
from hedge.scenarios.outlook import MONTH_DAYS, DemandOutlook, Outlook, Scarcity

Rows = NDArray[np.int64]

WEEKS_FROM_DAYS = 14
"""With fewer, days are drawn one by one."""
RECENT_WEEKS = 26
"""Older ones tell of another mix."""
SURGES = (1.5, 2.2, 3.3, 5.0, 8.0)
"""How many times a day's usual demand a surge is: steps of its Pareto tail."""
_WEEKEND = 5


@dataclass(frozen=True, slots=True)
class Shocks:
    """What moves demand and prices alike, by scenario and span.

    common: standard normal [scenarios, spans]. scarce: is this one of scarcity [scenarios, spans].
    """

    common: Floats
    scarce: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Variants:
    """Days that may be drawn: a day of the history, times something [variants]."""

    day: Rows
    multiple: Floats


@dataclass(frozen=True, slots=True, eq=False)
class DemandPaths:
    """drawn: for each day of the spans, one after the other, a place in `variants` [scenarios,
    days]. level: by which each span's days are multiplied [scenarios, spans, workloads]."""

    variants: Variants
    drawn: Rows
    level: Floats


def shocks(scarcity: Scarcity, spans: int, *, seed: int, count: int) -> Shocks:
    """Today is not scarce: the history has its own scarcity in it."""
    common = stream(seed, "common").standard_normal((count, spans))
    change = stream(seed, "scarcity").random((count, spans))
    scarce = np.zeros((count, spans), dtype=np.bool_)
    before = np.zeros(count, dtype=np.bool_)
    for span in range(spans):
        before = np.where(
            before, change[:, span] >= scarcity.ends, change[:, span] < scarcity.begins
        )
        scarce[:, span] = before
    return Shocks(common, scarce)


def demand_paths(
    history: DemandHistory,
    outlook: Outlook,
    spans: Sequence[Span],
    both: Shocks,
    *,
    seed: int,
) -> DemandPaths:
    """As many as there are shocks."""
    variants, drawn = _days(history, outlook.demand, spans, seed, len(both.common))
    ahead = ahead_months(spans, history.until.date())
    return DemandPaths(variants, drawn, np.exp(_levels(history, outlook, ahead, both, seed)))


def _levels(
    history: DemandHistory, outlook: Outlook, ahead: Floats, both: Shocks, seed: int
) -> Floats:
    """Logs of the level over today's [scenarios, spans, workloads]."""
    demand = outlook.demand
    count, spans = both.common.shape
    elapsed = np.diff(ahead, prepend=0.0)
    lasting = (1 - demand.growth_kept**ahead) / -np.log(demand.growth_kept)
    drift = _drift(demand, elapsed, both, history.names, seed)
    logs = np.empty((count, spans, len(history.names)))
    for w, name in enumerate(history.names):
        believed = demand.of(name)
        error: Floats = stream(seed, "level", name).normal(0.0, believed.level_sd, (count,))
        growth: Floats = stream(seed, "growth", name).normal(0.0, believed.growth_sd, (count,))
        is_change = stream(seed, "change", name).random((count, spans)) < 1 - np.exp(
            -believed.changes_per_month * elapsed
        )
        size = stream(seed, "change size", name).standard_normal((count, spans))
        changes = np.cumsum(is_change * size * believed.change_sd, axis=1)
        logs[:, :, w] = (
            error[:, None]
            + (believed.growth + growth)[:, None] * lasting
            + changes
            + drift[:, :, w]
        )
    return np.asarray(logs + outlook.scarcity.demand * both.scarce[:, :, None])


def _drift(
    demand: DemandOutlook, elapsed: Floats, both: Shocks, names: Sequence[str], seed: int
) -> Floats:
    """A level that wanders off and comes back [scenarios, spans, workloads]."""
    count, spans = both.common.shape
    freedom = demand.tail_freedom
    tail = np.sqrt((freedom - 2) / stream(seed, "tail").chisquare(freedom, (count, spans)))
    kept = np.power(demand.drift_kept, elapsed)
    sd: Floats = demand.drift_sd * np.sqrt((1 - kept**2) / (1 - demand.drift_kept**2))
    paths = np.empty((count, spans, len(names)))
    for w, name in enumerate(names):
        own = stream(seed, "drift", name).standard_normal((count, spans))
        mixed = np.sqrt(demand.common) * both.common + np.sqrt(1 - demand.common) * own
        level = np.zeros(count)
        for span in range(spans):
            level = kept[span] * level + sd[span] * tail[:, span] * mixed[:, span]
            paths[:, span, w] = level
    return paths


def _days(
    history: DemandHistory, demand: DemandOutlook, spans: Sequence[Span], seed: int, count: int
) -> tuple[Variants, Rows]:
    weekday = (history.since.weekday() + np.arange(history.days)) % 7
    coming = np.concatenate([one.first.weekday() + np.arange(one.days) for one in spans]) % 7
    if history.days >= WEEKS_FROM_DAYS:
        rows, missing = _by_weeks(weekday, spans, seed, count), None
    else:
        rows, missing = _by_days(weekday, coming, seed, count)
    multiples = np.array([1.0, *SURGES, demand.weekend])
    days = np.arange(history.days)
    variants = Variants(np.tile(days, len(multiples)), np.repeat(multiples, history.days))
    chance = 1 - np.exp(-demand.surges_per_month / MONTH_DAYS)
    surge = stream(seed, "surge").random((count, len(coming)))
    # The share of a Pareto tail from one multiple to the next, beyond the first.
    beyond = chance * (np.array(SURGES) / SURGES[0]) ** -demand.surge_tail
    which = (surge[:, :, None] < beyond).sum(axis=2)
    if missing is not None:
        which = np.where((which == 0) & missing, len(multiples) - 1, which)
    return variants, which * history.days + rows


def _by_weeks(weekday: Rows, spans: Sequence[Span], seed: int, count: int) -> Rows:
    """Rows of the history for each day to come [count, days]: weeks from Monday on, each from one
    stretch of seven days that ends a whole number of weeks before the history does."""
    stretches = min(len(weekday) // 7, RECENT_WEEKS)
    start = len(weekday) - 7 * (1 + np.arange(stretches))
    row_of = start[:, None] + (np.arange(7) - weekday[start][:, None]) % 7
    day = np.concatenate([one.first.toordinal() + np.arange(one.days) for one in spans])
    week = (day - 1) // 7  # ordinal 1 was a Monday
    week -= week.min()
    chosen = stream(seed, "days").integers(0, stretches, (count, int(week.max()) + 1))
    return np.asarray(row_of[chosen[:, week], (day - 1) % 7])


def _by_days(weekday: Rows, coming: Rows, seed: int, count: int) -> tuple[Rows, NDArray[np.bool_]]:
    """The same for a short history: any workday for a workday. Second, which days to come are
    weekends without one to draw from [days]."""
    chance = stream(seed, "days").random((count, len(coming)))
    weekends, is_weekend = np.flatnonzero(weekday >= _WEEKEND), coming >= _WEEKEND
    workdays = np.flatnonzero(weekday < _WEEKEND)
    rows = np.empty(chance.shape, dtype=np.int64)
    for at, found in (
        (is_weekend, weekends if len(weekends) else workdays),
        (~is_weekend, workdays),  # three days in a row have one
    ):
        rows[:, at] = found[(chance[:, at] * len(found)).astype(np.int64)]
    return rows, is_weekend & (len(weekends) == 0)

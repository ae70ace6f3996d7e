"""GPU indices: daily paths of what a GPU-hour costs, and what futures settle at.

ln S = mean reversion + random walk with drift + launches of the next chip + spikes. GPU-hours
cannot be stored, so nothing ties a future to today's price but what is believed of tomorrow's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from hedge.risk import Floats
from hedge.scenarios.calendar import Span
from hedge.scenarios.chances import stream
from hedge.scenarios.demand import Shocks
from hedge.scenarios.months import IndexPaths
from hedge.scenarios.outlook import MONTH_DAYS, Basis, IndexOutlook, Outlook
from ledger.business_days import business_days

Places = NDArray[np.int64]

SHARED = 0.3
"""Correlation of indices' daily shocks: .20 to .38 was seen across GPUs."""


def index_paths(
    outlook: Outlook, today: date, spans: Sequence[Span], both: Shocks, *, seed: int
) -> Mapping[str, IndexPaths]:
    """Of each index, and of what providers charge over it (`Basis.name`)."""
    if not outlook.indices:
        return {}
    count = len(both.common)
    days = (spans[-1].until - today).days
    span_of = _span_of_day(today, days, spans)
    shared = stream(seed, "index").standard_normal((count, days))
    lift = _lift(outlook, both, span_of)
    logs = {
        one.index: _index(one, outlook, shared, lift, both.common, span_of, seed)
        for one in outlook.indices
    }
    for basis in outlook.bases:
        logs[basis.name] = logs[basis.index] + _basis(basis, (count, days), seed)
    fixings = [business_days(one.first, one.until) for one in spans]
    checks = _checks(today, spans[-1].until)
    return {
        name: IndexPaths(
            np.stack([level[:, _places(month, today)].mean(axis=1) for month in fixings], axis=1),
            checks,
            level[:, _places(checks, today)],
        )
        for name, level in ((name, np.exp(log)) for name, log in logs.items())
    }


def _index(
    one: IndexOutlook,
    outlook: Outlook,
    shared: Floats,
    lift: Floats,
    common: Floats,
    span_of: Places,
    seed: int,
) -> Floats:
    """Logs of its level at the end of each day [scenarios, days]."""
    count, days = shared.shape
    own = stream(seed, "index walk", one.index).standard_normal((count, days))
    swings = stream(seed, "index swing", one.index).standard_normal((count, days))
    # A month's part of the shock that demand has too, spread over its days.
    bound = outlook.scarcity.dependence
    length = np.bincount(span_of, minlength=common.shape[1])[span_of]
    walk = np.sqrt(1 - SHARED) * own + np.sqrt(SHARED) * shared
    walk = np.sqrt(1 - bound**2) * walk + bound * common[:, span_of] / np.sqrt(length)
    launch = stream(seed, "launch", one.index).random((count, days)) < _daily(
        one.launches_per_month
    )
    launch_size = stream(seed, "launch size", one.index).standard_normal((count, days))
    steps = (
        one.drift_per_month / MONTH_DAYS
        + one.walk_sd * walk
        + launch * (one.launch_mean + one.launch_sd * launch_size)
    )
    spike = stream(seed, "spike", one.index).random((count, days)) < _daily(one.spikes_per_month)
    size = stream(seed, "spike size", one.index).standard_exponential((count, days))
    gap = _decaying(swings * one.swing_sd, 1 - one.reversion_per_day, one.gap) - one.gap
    spikes = _decaying(spike * size * one.spike_mean, one.spike_kept, 0.0)
    return np.asarray(np.log(one.level_usd) + np.cumsum(steps, axis=1) + gap + spikes + lift)


def _lift(outlook: Outlook, both: Shocks, span_of: Places) -> Floats:
    """What scarcity adds: a little each day that it lasts, and as quickly gone
    [scenarios, days]."""
    scarce = both.scarce[:, span_of]
    daily = outlook.scarcity.index_per_month / MONTH_DAYS
    level = np.zeros(len(scarce))
    lift = np.empty(scarce.shape)
    for day in range(scarce.shape[1]):
        level = np.where(scarce[:, day], level + daily, np.maximum(level - daily, 0.0))
        lift[:, day] = level
    return lift


def _basis(one: Basis, shape: tuple[int, int], seed: int) -> Floats:
    shock = stream(seed, "basis", one.name).standard_normal(shape) * one.sd
    jump = stream(seed, "basis jump", one.name).random(shape) < _daily(one.jumps_per_month)
    size = stream(seed, "basis jump size", one.name).standard_normal(shape) * one.jump_sd
    return one.mean + _decaying(shock + jump * size, one.kept_per_day, one.today - one.mean)


def _decaying(shocks: Floats, kept: float, start: float) -> Floats:
    """Each day what is kept of the day before, and its shock [scenarios, days]."""
    level = np.full(len(shocks), start)
    path = np.empty(shocks.shape)
    for day in range(shocks.shape[1]):
        level = kept * level + shocks[:, day]
        path[:, day] = level
    return path


def _daily(per_month: float) -> float:
    return float(1 - np.exp(-per_month / MONTH_DAYS))


def _span_of_day(today: date, days: int, spans: Sequence[Span]) -> Places:
    """Days before the first span count as its own."""
    ends = [(one.until - today).days for one in spans]
    return np.searchsorted(ends, np.arange(days), side="right").astype(np.int64)


def _places(days: Sequence[date], today: date) -> list[int]:
    return [(day - today).days for day in days]


def _checks(today: date, until: date) -> tuple[date, ...]:
    """The last business day of each week from `today` on."""
    days = business_days(today, until)
    return tuple(
        day
        for day, after in zip(days, (*days[1:], until + timedelta(days=7)), strict=True)
        if after.isocalendar()[:2] != day.isocalendar()[:2]
    )

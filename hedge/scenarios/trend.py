"""Trend: where demand stands today, how it came there, and how sure that is.

The log of each workload's daily load is a level, growth, weekdays and a few change points, found
one by one while they explain more than chance would (forward selection with a BIC penalty). Growth
and changes are shrunk towards none: two weeks of history say little of a year's growth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedge.risk import Floats
from hedge.scenarios.history import DemandHistory
from hedge.scenarios.outlook import MONTH_DAYS

MAX_CHANGES = 8
CHANGE_DAYS = 7
"""A change point has so many days on either side: less is a surge."""
WEEKDAYS_FROM_DAYS = 14
"""Each weekday twice: before that, weekdays cannot be told from noise."""
_LEAST = 0.02
"""Of a workload's mean: an idle day has no log."""
_GROWTH, _GROWTH_SD = 0.02, 0.05
_CHANGE_SD = 0.3
_WEEKDAY_SD = 0.5
_PENALTY = 3.0
_SURGE = 4.0
_SEARCH_AR, _MOST_AR = 0.5, 0.9
"""While changes are looked for, what lasts is rather one of them."""


@dataclass(frozen=True, slots=True, eq=False)
class WorkloadTrend:
    """Logs of one workload's daily load.

    level: without weekdays and noise [days]. growth: per month, and its error. level_sd: error of
    the last day's level. changes: how far it changed for good, each. noise_sd: of a day, and
    `noise_ar`, how much of it the next day has.
    """

    level: Floats
    growth: float
    growth_sd: float
    level_sd: float
    changes: tuple[float, ...]
    noise_sd: float
    noise_ar: float


def trends(history: DemandHistory) -> tuple[WorkloadTrend, ...]:
    """Of each workload."""
    daily = history.load().sum(axis=1)
    first = history.since.weekday()
    return tuple(_trend(daily[:, w], first) for w in range(daily.shape[1]))


def to_today(history: DemandHistory) -> Floats:
    """What each day's demand has to be multiplied by to stand at today's level [days, workloads];
    at most fivefold, either way."""
    logs = np.stack([one.level[-1] - one.level for one in trends(history)], axis=1)
    return np.asarray(np.exp(np.clip(logs, -np.log(5), np.log(5))))


def _trend(daily: Floats, first_weekday: int) -> WorkloadTrend:
    days = len(daily)
    if not daily.any():
        return WorkloadTrend(np.zeros(days), _GROWTH, _GROWTH_SD, 0.0, (), 0.0, 0.0)
    ages = (np.arange(days) - (days - 1)) / MONTH_DAYS
    # What the data say of growth counts against the usual one.
    logs = np.log(np.maximum(daily, _LEAST * daily.mean())) - _GROWTH * ages
    columns = [np.ones(days), ages]
    precision = [0.0, _GROWTH_SD**-2]
    if days >= WEEKDAYS_FROM_DAYS:
        weekday = (first_weekday + np.arange(days)) % 7
        columns += [(weekday == k) - 1 / 7 for k in range(7)]
        precision += [_WEEKDAY_SD**-2] * 7
    base = len(columns)
    noise = _noise(logs, columns, precision, _SEARCH_AR)
    while len(columns) - base < MAX_CHANGES and (step := _step(logs, columns, noise)):
        columns.append(
            np.asarray(np.arange(days) >= step, dtype=np.float64) - 1
        )  # 0 today: the first column is today's
        precision.append(_CHANGE_SD**-2)
        noise = _noise(logs, columns, precision, _SEARCH_AR)
    noise = _noise(logs, columns, precision, _MOST_AR)
    design = np.stack(columns, axis=1)
    mean, covariance = _posterior(logs, design, precision, noise.variance)
    trending = [0, 1, *range(base, len(columns))]
    return WorkloadTrend(
        level=np.asarray(design[:, trending] @ mean[trending] + _GROWTH * ages),
        growth=_GROWTH + float(mean[1]),
        growth_sd=float(np.sqrt(covariance[1, 1])),
        level_sd=float(np.sqrt(covariance[0, 0])),
        changes=tuple(mean[base:].tolist()),
        noise_sd=noise.sd,
        noise_ar=noise.ar,
    )


@dataclass(frozen=True, slots=True)
class _Noise:
    sd: float
    ar: float

    @property
    def variance(self) -> float:
        """Of independent days that would say as little as these."""
        return float(max(self.sd, 0.01) ** 2 * (1 + self.ar) / (1 - self.ar))


def _noise(logs: Floats, columns: list[Floats], precision: list[float], most_ar: float) -> _Noise:
    design = np.stack(columns, axis=1)
    mean, _ = _posterior(logs, design, precision, 0.05)
    rest = logs - design @ mean
    # From one day to the next, and by the median: neither a change point that is yet to be found
    # nor a surge, which the bootstrap repeats, shall pass for noise.
    moves = np.diff(rest)
    step = 1.4826 * float(np.median(np.abs(moves)))
    bounded = np.clip(rest, -3 * step, 3 * step)
    power = float(bounded @ bounded)
    ar = float(bounded[1:] @ bounded[:-1]) / power if power else 0.0
    ar = min(max(ar, 0.0), most_ar)
    return _Noise(step / float(np.sqrt(2 * (1 - ar))), ar)


def _posterior(
    logs: Floats, design: Floats, precision: list[float], variance: float
) -> tuple[Floats, Floats]:
    covariance = np.linalg.inv(design.T @ design / variance + np.diag(precision))
    return np.asarray(covariance @ (design.T @ logs) / variance), np.asarray(covariance)


def _step(logs: Floats, columns: list[Floats], noise: _Noise) -> int | None:
    """The day of the change that explains most, if that is more than chance would."""
    days = len(logs)
    found = np.arange(CHANGE_DAYS, days - CHANGE_DAYS + 1)
    if not len(found):
        return None
    basis, _ = np.linalg.qr(np.stack(columns, axis=1))
    steps = (np.arange(days)[:, None] >= found).astype(np.float64)
    steps -= basis @ (basis.T @ steps)
    rest = logs - basis @ (basis.T @ logs)
    rest = np.clip(rest, -_SURGE * noise.sd, _SURGE * noise.sd)  # a surge is no change for good
    power = np.einsum("dk,dk->k", steps, steps)
    gain = np.divide(
        (steps.T @ rest) ** 2, power, out=np.zeros(len(found)), where=power > 1e-3 * days
    )
    best = int(gain.argmax())
    return int(found[best]) if gain[best] > _PENALTY * np.log(days) * noise.variance else None

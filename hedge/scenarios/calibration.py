"""Calibration: beliefs moved from their priors as far as the data carry.

Each number is a prior that counts as so much data, and the data. What little moved, or nothing, is
told as a prior, with why: a plan on two weeks of history rests on beliefs, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import combinations

import numpy as np

from hedge.risk import Floats
from hedge.scenarios.demand import SURGES, WEEKS_FROM_DAYS
from hedge.scenarios.history import DemandHistory
from hedge.scenarios.market_moves import IndexSeries, PriceRecord
from hedge.scenarios.outlook import (
    MONTH_DAYS,
    Basis,
    DemandOutlook,
    Estimate,
    IndexOutlook,
    Outlook,
    Prior,
    TokenPriceOutlook,
    WorkloadOutlook,
)
from hedge.scenarios.trend import WorkloadTrend, trends

PRIOR_MONTHS = 12.0
"""So many months without data say as much as a prior rate does."""
PRIOR_CHANGES = 5.0
PRIOR_WEEKS = 6.0
PRIOR_DAYS = 90.0
MOST_GROWTH = 0.15
"""Per month, in logs: more is a start-up's first weeks, not its year."""
_SHORT_LEVEL_SD = 0.15
_DRIFT_SD = 0.04
_LARGE_MOVE = 0.4
"""Of a week, in logs: more is a change for good, and counted there."""
_RESTATED = 0.5


def calibrated(
    history: DemandHistory,
    *,
    prices: Sequence[PriceRecord] = (),
    series: Sequence[IndexSeries] = (),
    bases: Sequence[Basis] = (),
    prior: Outlook | None = None,
) -> Outlook:
    """The outlook on what follows this history.

    prices: how list prices moved; series: indices to draw paths of. prior: what is believed
    without data, by default `Outlook()`; what it says of hours, retirements and bases stays.
    """
    prior = prior or Outlook()
    notes = _Notes()
    return replace(
        prior,
        demand=_demand(history, prior.demand, notes),
        prices=_prices(prices, prior.prices, notes),
        indices=(*prior.indices, *(_index(one, notes) for one in series)),
        bases=(*prior.bases, *bases),
        estimates=(*prior.estimates, *notes.estimates),
        priors=(*prior.priors, *notes.priors),
    )


class _Notes:
    def __init__(self) -> None:
        self.estimates: list[Estimate] = []
        self.priors: list[Prior] = []

    def estimate(self, name: str, value: float, data: str) -> None:
        self.estimates.append(Estimate(name, value, data))

    def prior(self, name: str, value: float, why: str) -> None:
        self.priors.append(Prior(name, value, why))


# -- demand


def _demand(history: DemandHistory, prior: DemandOutlook, notes: _Notes) -> DemandOutlook:
    months = history.days / MONTH_DAYS
    found = trends(history)
    days = f"{history.days} days"
    weekly = _weekly_moves(history)
    workloads = tuple(
        _workload(name, one, months, prior.of(name), days, notes)
        for name, one in zip(history.names, found, strict=True)
    )
    if history.days < WEEKS_FROM_DAYS:
        why = f"{days} have each weekday less than twice: days are drawn one by one"
        notes.prior("weekend", prior.weekend, why)
    return replace(
        prior,
        workloads=workloads,
        drift_sd=_drift(weekly, prior.drift_sd, notes),
        common=_common(weekly, prior.common, notes),
        surges_per_month=_surges(history, found, prior.surges_per_month, notes),
    )


def _workload(
    name: str,
    found: WorkloadTrend,
    months: float,
    prior: WorkloadOutlook,
    days: str,
    notes: _Notes,
) -> WorkloadOutlook:
    rate = (prior.changes_per_month * PRIOR_MONTHS + len(found.changes)) / (PRIOR_MONTHS + months)
    power = PRIOR_CHANGES * prior.change_sd**2 + sum(one**2 for one in found.changes)
    change_sd = math.sqrt(power / (PRIOR_CHANGES + len(found.changes)))
    if months * MONTH_DAYS < WEEKS_FROM_DAYS:
        why = f"{days} are too few to tell growth from noise"
        notes.prior(f"growth of {name} per month", prior.growth, why)
        return replace(
            prior, workload=name, level_sd=max(found.level_sd, _SHORT_LEVEL_SD, prior.level_sd)
        )
    growth = float(np.clip(found.growth, -MOST_GROWTH, MOST_GROWTH))
    notes.estimate(f"growth of {name} per month", growth, f"{days}, ±{found.growth_sd:.3f}")
    changes = f"{days}, {len(found.changes)} changes"
    notes.estimate(f"level changes of {name} per month", rate, changes)
    return WorkloadOutlook(
        name, growth, found.growth_sd, max(found.level_sd, 0.01), rate, change_sd
    )


def _weekly_moves(history: DemandHistory) -> Floats:
    """How the log of each workload's load moved from one week to the next [weeks - 1, workloads];
    workloads that did not move are left out."""
    weeks = history.days // 7
    daily = history.load().sum(axis=1)
    least = 0.14 * daily.mean(axis=0) + 1e-12
    weekly = daily[history.days - 7 * weeks :].reshape(weeks, 7, daily.shape[1])
    moves = np.diff(np.log(np.maximum(weekly.sum(axis=1), least)), axis=0)
    return np.asarray(moves[:, moves.any(axis=0)])


def _drift(weekly: Floats, prior: float, notes: _Notes) -> float:
    """The shock of a month, as weeks have it: of a level that wanders, with noise on top of it, the
    noise comes back the week after, and the rest does not (moments of a local level model)."""
    if len(weekly) < 3 or not weekly.shape[1]:
        notes.prior("drift_sd", prior, f"{len(weekly)} changes of weeks tell no drift from noise")
        return prior
    moves = np.clip(weekly - weekly.mean(axis=0), -_LARGE_MOVE, _LARGE_MOVE)
    back = (moves[1:] * moves[:-1]).mean()
    seen = max(float((moves**2).mean() + 2 * back), 0.0) * MONTH_DAYS / 7
    drift = math.sqrt(_shrunk(seen, len(weekly), prior**2, PRIOR_WEEKS))
    notes.estimate("drift_sd", drift, f"{len(weekly)} changes of weeks")
    return drift


def _common(weekly: Floats, prior: float, notes: _Notes) -> float:
    """How much of their wanderings workloads share."""
    moves, width = weekly.shape
    if width < 2 or moves < 5:
        what = f"{moves} changes of weeks of {width} workloads"
        notes.prior("common", prior, f"{what} cannot tell how they move together")
        return prior
    correlations = np.asarray(np.corrcoef(weekly.T))
    seen = float(np.mean([correlations[pair] for pair in combinations(range(width), 2)]))
    share = min(_shrunk(max(seen, 0.0), moves, prior, PRIOR_WEEKS), 1.0)
    notes.estimate("common", share, f"{moves} changes of weeks of {width} workloads")
    return share


def _surges(
    history: DemandHistory, found: Sequence[WorkloadTrend], prior: float, notes: _Notes
) -> float:
    """Beyond those of the history, which come again when its days are drawn."""
    months = history.days / MONTH_DAYS
    daily = history.load().sum(axis=1)
    level = np.exp(np.stack([one.level for one in found], axis=1)).sum(axis=1)
    seen = int((daily.sum(axis=1) > SURGES[0] * level).sum()) if level.any() else 0
    believed = (prior * PRIOR_MONTHS + seen) / (PRIOR_MONTHS + months)
    rate = max(believed - seen / months, 0.0)
    notes.prior("surges_per_month", rate, f"days of a multiple of the usual; {seen} were seen")
    return rate


# -- prices


def _prices(
    records: Sequence[PriceRecord], prior: TokenPriceOutlook, notes: _Notes
) -> TokenPriceOutlook:
    months = sum(one.months for one in records)
    steps = [step.log for one in records for step in one.steps]
    rate = (prior.changes_per_month * PRIOR_MONTHS + len(steps)) / (PRIOR_MONTHS + months)
    if len(steps) < PRIOR_CHANGES:
        why = f"{len(steps)} changes of list prices were seen in {months:.1f} months of models"
        notes.prior("price changes_per_month", rate, why)
        notes.prior("price rise_share", prior.rise_share, why)
        notes.prior("price size", prior.size, why)
        return replace(prior, changes_per_month=rate)
    weight = PRIOR_CHANGES + len(steps)
    rises = sum(step > 0 for step in steps)
    # A hundredfold step is a wrong unit, put right later.
    sizes = np.minimum(np.abs(steps), math.log(8))
    size = (PRIOR_CHANGES * prior.size + float(sizes.sum())) / weight
    spread = PRIOR_CHANGES * prior.size_sd**2 + float(((sizes - size) ** 2).sum())
    rise_share = (PRIOR_CHANGES * prior.rise_share + rises) / weight
    data = f"{len(steps)} changes in {months:.1f} months of models"
    notes.estimate("price changes_per_month", rate, data)
    notes.estimate("price rise_share", rise_share, data)
    notes.estimate("price size", size, data)
    return replace(
        prior,
        changes_per_month=rate,
        rise_share=rise_share,
        size=size,
        size_sd=math.sqrt(spread / weight),
    )


# -- indices


def _index(one: IndexSeries, notes: _Notes) -> IndexOutlook:
    prior = IndexOutlook(one.index, one.usd[-1])
    logs, gaps = np.log(np.array(one.usd)), np.diff([day.toordinal() for day in one.days])
    name = f"index {one.index}"
    why = f"{len(one.days)} prints of spot alone cannot part trend, reversion and launches"
    notes.prior(f"{name} reversion_per_day", prior.reversion_per_day, why)
    notes.prior(f"{name} launches_per_month", prior.launches_per_month, why)
    if len(one.days) < 30:
        notes.prior(f"{name} walk_sd", prior.walk_sd, f"{len(one.days)} prints are too few")
        return prior
    scaled = np.clip(np.diff(logs) / np.sqrt(gaps), -_RESTATED, _RESTATED)
    span = (one.days[-1] - one.days[0]).days
    believed = prior.walk_sd**2 + prior.swing_sd**2
    daily = _shrunk(float(scaled @ scaled) / len(scaled), len(scaled), believed, PRIOR_DAYS)
    # Changes over four weeks: their days are not independent, and root-time scaling of daily
    # volatility understates a month's risk. Overlapping, so a span counts for its months only.
    monthly = _monthly(one, logs)
    walk = prior.walk_sd**2
    if len(monthly):
        variance = float(monthly @ monthly) / len(monthly) / 28
        walk = _shrunk(variance, span / MONTH_DAYS, walk, PRIOR_MONTHS)
    months = max(span / MONTH_DAYS, 0.1)
    trend = float(logs[-1] - logs[0]) / months
    error = walk * MONTH_DAYS / months
    drift = prior.drift_per_month + (trend - prior.drift_per_month) / (1 + error / _DRIFT_SD**2)
    gap = 0.5 * float(logs[-1] - logs[-90:].mean())
    data = f"{len(one.days)} prints from {one.days[0]} to {one.days[-1]}"
    notes.estimate(f"{name} walk_sd", math.sqrt(walk), data)
    notes.estimate(f"{name} drift_per_month", drift, f"{data}, shrunk")
    return replace(
        prior,
        walk_sd=math.sqrt(walk),
        swing_sd=math.sqrt(max(daily - walk, (0.2 * prior.swing_sd) ** 2)),
        drift_per_month=drift,
        gap=gap,
    )


def _monthly(one: IndexSeries, logs: Floats) -> Floats:
    at = dict(zip(one.days, logs.tolist(), strict=True))
    pairs = [(at[day], at.get(day - timedelta(days=28))) for day in one.days]
    return np.array([now - then for now, then in pairs if then is not None])


def _shrunk(seen: float, data: float, prior: float, worth: float) -> float:
    return (seen * data + prior * worth) / (data + worth)

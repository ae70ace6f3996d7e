"""Token prices: list prices as steps at unforeseen moments, both ways, and retirements.

A price holds until somebody changes it: changes of one model come as a Poisson process with marks.
In scarcity rises are more frequent, and falls rarer; otherwise a shock that lifts demand makes a
change more likely to be a rise (Gaussian copula), without there being more changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from hedge.risk import Floats
from hedge.scenarios.calendar import Span
from hedge.scenarios.chances import stream
from hedge.scenarios.demand import Shocks
from hedge.scenarios.history import HOURS, DemandHistory, places
from hedge.scenarios.outlook import MONTH_DAYS, Outlook, Retirement


def price_levels(
    history: DemandHistory, outlook: Outlook, spans: Sequence[Span], both: Shocks, *, seed: int
) -> Floats:
    """Each workload's list price over the history's, mean over the span [scenarios, spans,
    workloads]: its models' by what each costs."""
    shares = _shares(history)
    count, width = both.common.shape
    levels = np.zeros((count, width, len(history.workloads)))
    for model, w, share in shares:
        levels[:, :, w] += share * _model(model, history, outlook, spans, both, seed)
    return levels


def hour_factors(history: DemandHistory, outlook: Outlook) -> Floats:
    """Of list prices, by the hour of the day [24, workloads]; 1 where nothing is said."""
    said = {one.model: np.array(one.factors) for one in outlook.prices.hours}
    factors = np.zeros((HOURS, len(history.workloads)))
    for model, w, share in _shares(history):
        factors[:, w] += share * said.get(model, np.ones(HOURS))
    return factors


def _shares(history: DemandHistory) -> list[tuple[str, int, float]]:
    """Model, its workload, and its part of what that costs; for each workload at least one."""
    place = places(history.workloads)
    total = [0] * len(history.workloads)
    for one in history.spend:
        total[place[one.model]] += one.list_cost
    shares = [
        (one.model, place[one.model], one.list_cost / total[place[one.model]])
        for one in history.spend
        if one.list_cost
    ]
    idle = [w for w, cost in enumerate(total) if not cost]
    return shares + [(history.workloads[w].models[0], w, 1.0) for w in idle]


def _model(
    model: str,
    history: DemandHistory,
    outlook: Outlook,
    spans: Sequence[Span],
    both: Shocks,
    seed: int,
) -> Floats:
    """One model's price over the history's, mean over each span [scenarios, spans]."""
    prices, scarcity = outlook.prices, outlook.scarcity
    count, width = both.common.shape
    elapsed = _elapsed_months(history, spans)
    rises = prices.changes_per_month * prices.rise_share
    falls = prices.changes_per_month - rises
    more = np.where(both.scarce, scarcity.price_rises, 1.0)
    hazard = rises * more + falls / more
    sold = history.sold_as(model)
    is_change = stream(seed, "price", sold).random((count, width)) < 1 - np.exp(-hazard * elapsed)
    own = stream(seed, "price way", sold).standard_normal((count, width))
    way = scarcity.dependence * both.common + np.sqrt(1 - scarcity.dependence**2) * own
    is_rise = way > _threshold(rises * more / hazard if prices.changes_per_month else more * 0)
    size = stream(seed, "price size", sold).standard_normal((count, width))
    step = np.abs(prices.size + prices.size_sd * size) * np.where(is_rise, 1.0, -1.0) * is_change
    # When in the span the step comes; before it, the price of the spans before holds.
    after = stream(seed, "price day", sold).random((count, width))
    reached = np.exp(np.cumsum(step, axis=1))
    before = reached / np.exp(step)
    levels = before * (1 - after) + reached * after
    for gone in prices.retirements:
        if gone.model == model:
            levels *= _migrated(gone, sold, spans, seed, count)
    return np.asarray(levels)


def _threshold(rise_share: Floats) -> Floats:
    """What a standard normal exceeds with these chances."""
    shares, place = np.unique(rise_share, return_inverse=True)
    inverse = NormalDist().inv_cdf
    found = [
        np.inf if share <= 0 else -np.inf if share >= 1 else -inverse(share) for share in shares
    ]
    return np.asarray(np.array(found)[place].reshape(rise_share.shape))


def _migrated(gone: Retirement, sold: str, spans: Sequence[Span], seed: int, count: int) -> Floats:
    """What the successor costs over the model, for the part of each span after the retirement."""
    after = np.array(
        [min(max((one.until - gone.on).days, 0), one.days) / one.days for one in spans]
    )
    error = stream(seed, "retirement", sold).standard_normal(count)
    ratio = np.exp(gone.log_ratio + gone.log_ratio_sd * error)
    return np.asarray(1 - after + ratio[:, None] * after)


def _elapsed_months(history: DemandHistory, spans: Sequence[Span]) -> Floats:
    """From the history's end to the end of each span, step by step; chances count from there."""
    ends = [0, *((one.until - history.until.date()).days for one in spans)]
    return np.asarray(np.diff(ends) / MONTH_DAYS, dtype=np.float64)

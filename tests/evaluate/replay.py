"""Replay: the same requests by every rule, and what came of them in expectation.

A cell is one model in one window; all rules choose among the same offers of it. An attempt fails
with the window's share of failures, at once and at no cost, and the next of three is made; an
answer costs its price, and its first token is late with the window's share of late ones. Weights
are the window's requests. Nothing is drawn: what is added up are expectations.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from benchmarks.traffic.estimates import share_within
from tests.evaluate.histories import Floats, History

Places = NDArray[np.intp]

ATTEMPTS = 3
NOBODY = -1
"""In a row of a cell with fewer offers than attempts."""
LIMIT_OF_MEDIAN = 1.5
LEAST_REQUESTS = 20
"""In a window, of an offer: of fewer, shares and percentiles are mostly chance."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What nobody knows before a window ends, per window and endpoint; NaN: not seen.

    success: share of attempts that were answered. on_time: share of first tokens within the
    model's limit. costs: of the model's request, by the prices that are charged.
    """

    success: Floats
    on_time: Floats
    list_costs: Floats
    costs: Floats
    judged: NDArray[np.bool_]


def limits_ms(history: History) -> Floats:
    """Per endpoint: 1.5 times the median, over its model's offers and windows, of their medians."""
    found = np.full(len(history.endpoints), np.nan)
    for places in models(history).values():
        known = history.seen.ttft_ms_p50[:, places]
        if np.isfinite(known).any():
            found[places] = LIMIT_OF_MEDIAN * np.nanmedian(known)
    return found


def models(history: History) -> dict[str, Places]:
    """The offers of each model that is sold by two or more, free ones aside."""
    found = defaultdict[str, list[int]](list)
    for at, one in enumerate(history.endpoints):
        if one.variant == "standard" and not one.is_free and one.model in history.sizes:
            found[one.model].append(at)
    return {model: np.array(places) for model, places in found.items() if len(places) > 1}


def on_time(history: History) -> Floats:
    """The share of first tokens within the limit, read off each window's percentiles."""
    seen, limits = history.seen, limits_ms(history)
    found = np.full(seen.ttft_ms_p50.shape, np.nan)
    known = np.isfinite(seen.ttft_ms_p50) & np.isfinite(limits) & (seen.ttft_ms_p50 > 0)
    for at, endpoint in zip(*known.nonzero(), strict=True):
        points = (
            (0.50, seen.ttft_ms_p50[at, endpoint]),
            (0.90, seen.ttft_ms_p90[at, endpoint]),
            (0.99, seen.ttft_ms_p99[at, endpoint]),
        )
        found[at, endpoint] = share_within(limits[endpoint], points)
    return found


def facts(
    history: History, shares: Floats, is_effective: bool, least: float = LEAST_REQUESTS
) -> Facts:
    """shares: `on_time`, which takes a second. is_effective: charged after caching."""
    seen = history.seen
    attempts = seen.attempts
    with np.errstate(invalid="ignore"):
        success = seen.answered / np.maximum(attempts, 1)
    list_costs = history.cost(history.charged)
    costs = list_costs
    if is_effective:
        today = [(day - history.effective_since).days for day in history.days]
        costs = list_costs * history.effective[today]
    judged = (attempts >= least) & (seen.requests >= least) & np.isfinite(shares)
    judged &= (costs > 0) & (list_costs > 0) & (history.cost(history.before) > 0)
    return Facts(success, shares, list_costs, costs, judged)


@dataclass(frozen=True, slots=True)
class Cells:
    """One row per cell, one column per offer of it; `there` says which columns are offers.

    model_numbers: the same models, counted. windows, offers: where a cell's numbers stand in a
    history's arrays. units: the model's median list cost of its request. weights: requests.
    """

    models: tuple[str, ...]
    days: tuple[date, ...]
    model_numbers: Places
    windows: Places
    offers: Places
    there: NDArray[np.bool_]
    success: Floats
    on_time: Floats
    costs: Floats
    units: Floats
    weights: Floats

    def take(self, values: Floats) -> Floats:
        """A history's array, by cell and offer."""
        return values[self.windows[:, None], self.offers]

    def __len__(self) -> int:
        return len(self.windows)


def cells(history: History, facts_: Facts) -> Cells:
    """Every model and window with two offers or more that can be judged."""
    chosen = [
        (model, at, places[facts_.judged[at, places]])
        for model, places in models(history).items()
        for at in range(len(history.ends_s))
        if facts_.judged[at, places].sum() > 1
    ]
    most = max(len(places) for _, _, places in chosen)
    offers = np.zeros((len(chosen), most), dtype=np.intp)
    there = np.zeros(offers.shape, dtype=np.bool_)
    for row, (_, _, places) in enumerate(chosen):
        offers[row, : len(places)], there[row, : len(places)] = places, True
    windows = np.array([at for _, at, _ in chosen])
    at = (windows[:, None], offers)
    return Cells(
        models=tuple(model for model, _, _ in chosen),
        days=tuple(history.days[at] for _, at, _ in chosen),
        model_numbers=np.unique([model for model, _, _ in chosen], return_inverse=True)[1],
        windows=windows,
        offers=offers,
        there=there,
        success=np.where(there, facts_.success[at], 0.0),
        on_time=np.where(there, facts_.on_time[at], 0.0),
        costs=np.where(there, facts_.costs[at], 0.0),
        units=np.nanmedian(np.where(there, facts_.list_costs[at], np.nan), axis=1),
        weights=np.where(there, history.seen.requests[at], 0).sum(axis=1),
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """Per cell, weighed by requests: costs in units, answers, answers in time, requests."""

    costs: Floats
    answered: Floats
    in_time: Floats
    requests: Floats

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.costs + other.costs,
            self.answered + other.answered,
            self.in_time + other.in_time,
            self.requests + other.requests,
        )


def play(cells_: Cells, rows: Places) -> Tally:
    """rows: per cell the columns to try, in order; NOBODY ends a row."""
    each = np.arange(len(cells_))
    reached = np.ones(len(cells_))
    costs, answered, in_time = (np.zeros(len(cells_)) for _ in range(3))
    for attempt in range(rows.shape[1]):
        column = rows[:, attempt]
        answers = np.where(column == NOBODY, 0.0, reached * cells_.success[each, column])
        costs += answers * cells_.costs[each, column] / cells_.units
        answered += answers
        in_time += answers * cells_.on_time[each, column]
        reached -= answers
    weights = cells_.weights
    return Tally(weights * costs, weights * answered, weights * in_time, weights)

"""Knowledge: what the product's estimators would have said as each window began.

Walk-forward: the windows are told in order, each only to estimates of windows that begin when it
has ended or later. Effective prices of a day are known when the day is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from benchmarks.stats import Stats
from benchmarks.traffic.estimates import (
    DAY_S,
    LIKELY_ON_TIME,
    ON_TIME,
    SUCCESS,
    Chance,
    Decayed,
    Memory,
    Prior,
    pooled,
    success_prior,
)
from tests.evaluate.histories import WINDOW_S, Floats, History
from tests.evaluate.replay import models

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Per window and endpoint, as of the window's start; NaN: nothing is known of it yet.

    last: the window that was last seen before, -1 for none: what rules that look at the last
    half hour know.
    """

    success: Floats
    on_time: Floats
    last: np.typing.NDArray[np.intp]


def known_windows(history: History) -> list[int]:
    """For each window, how many of all windows have ended when it begins."""
    starts_s = history.ends_s - WINDOW_S
    found: list[int] = np.searchsorted(history.ends_s, starts_s, side="right").tolist()
    return found


def learn(
    history: History,
    shares_on_time: Floats,
    memory_on_time: Memory = ON_TIME,
    memory_success: Memory = SUCCESS,
) -> Knowledge:
    seen, shape = history.seen, shares_on_time.shape
    success, on_time = np.full(shape, np.nan), np.full(shape, np.nan)
    last = np.full(shape, -1, dtype=np.intp)
    answers = [Chance(memory_success) for _ in history.endpoints]
    in_time = [Chance(memory_on_time) for _ in history.endpoints]
    attempts, seen_last = seen.attempts, np.full(len(history.endpoints), -1, dtype=np.intp)
    told = 0
    for at, known in enumerate(known_windows(history)):
        for window in range(told, known):
            end_s = float(history.ends_s[window])
            for one in np.flatnonzero(attempts[window] > 0):
                of = float(seen.answered[window, one])
                answers[one].window(end_s, of, float(attempts[window, one]), WINDOW_S)
            for one in np.flatnonzero(np.isfinite(shares_on_time[window])):
                count = float(seen.requests[window, one])
                share = float(shares_on_time[window, one])
                in_time[one].window(end_s, share * count, count, WINDOW_S)
                seen_last[one] = window
        told = max(told, known)
        start_s = float(history.ends_s[at]) - WINDOW_S
        last[at] = seen_last
        for places in models(history).values():
            chances = [in_time[one] for one in places]
            prior = pooled(chances, start_s, Prior(LIKELY_ON_TIME, 20.0))
            for one in places:
                stats = _stats(float(history.status_before[at, one]), start_s)
                on_time[at, one] = in_time[one].probability(start_s, prior)
                success[at, one] = answers[one].probability(start_s, success_prior(stats))
    return Knowledge(success, on_time, last)


def expected_costs(history: History, is_effective: bool) -> Floats:
    """List prices as each window begins; or times what the days before paid of them.

    An offer of which no day is known yet pays what its model's others do, at the median.
    """
    costs = history.cost(history.before)
    if not is_effective:
        return costs
    ratios = [Decayed(DAY_S) for _ in history.endpoints]
    since_s = (history.effective_since - _EPOCH.date()).total_seconds()
    groups, told = list(models(history).values()), 0
    expected = np.empty_like(costs)
    for at, end_s in enumerate(history.ends_s.tolist()):
        start_s = end_s - WINDOW_S
        days_over = min(int((start_s - since_s) // DAY_S), len(history.effective))
        for day in range(told, days_over):
            for one in np.flatnonzero(history.effective[day] > 0):
                ratio = float(history.effective[day, one])
                ratios[one].add(since_s + (day + 1) * DAY_S, ratio, 1.0)
        told = max(told, days_over)
        sums = np.array([one.read(start_s) for one in ratios])
        known = np.divide(
            sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0
        )
        for places in groups:
            of_model = known[places]
            if np.isfinite(of_model).any():
                of_model[np.isnan(of_model)] = np.nanmedian(of_model)
                known[places] = of_model
        expected[at] = costs[at] * np.where(np.isnan(known), 1.0, known)
    return expected


def _stats(status: float, at_s: float) -> Stats | None:
    if np.isnan(status):
        return None
    return Stats(datetime.fromtimestamp(at_s, UTC), "openrouter", status=int(status))

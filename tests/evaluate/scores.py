"""Scores: J and its parts, of all requests, of some, and how sure they are.

The cost of an answer is per model (all that its requests cost over all its answers, in units of
the model's median list cost), then the mean over models by requests. Were it one ratio for all
models, a rule could gain by leaving the requests of dear models unanswered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tests.evaluate.histories import Floats
from tests.evaluate.replay import Cells, Tally

RESAMPLES = 2000
SEED = 20260720


@dataclass(frozen=True, slots=True)
class Score:
    """cost: per answer, in units. misses: share of requests without a first token in time."""

    cost: float
    misses: float

    def j(self, miss_weight: float) -> float:
        return self.cost + miss_weight * self.misses


class Book:
    """The cells' sums by day and model: what every score and every resample is made of."""

    def __init__(self, cells: Cells) -> None:
        self.days: list[date] = sorted(set(cells.days))
        self.models: list[str] = sorted(set(cells.models))
        day = np.array([self.days.index(one) for one in cells.days])
        self._at = day * len(self.models) + cells.model_numbers

    def sums(self, tally: Tally) -> Floats:
        """By day, model and part."""
        shape = (len(self.days), len(self.models))
        parts = (tally.costs, tally.answered, tally.in_time, tally.requests)
        count = shape[0] * shape[1]
        return np.stack(
            [np.bincount(self._at, part, count).reshape(shape) for part in parts], axis=-1
        )

    def score(self, tally: Tally, days: Callable[[date], bool] = lambda _: True) -> Score:
        chosen = [days(one) for one in self.days]
        return _score(self.sums(tally)[chosen].sum(axis=0))

    def by_model(self, tally: Tally) -> dict[str, Score]:
        sums = self.sums(tally).sum(axis=0)
        return {model: _score(sums[[at]]) for at, model in enumerate(self.models)}

    def by_day(self, tally: Tally) -> dict[date, Score]:
        sums = self.sums(tally)
        return {day: _score(sums[at]) for at, day in enumerate(self.days)}

    def interval(
        self, tallies: Sequence[Tally], measure: Callable[[list[Score]], float]
    ) -> tuple[float, float]:
        """The middle 90% of a measure of several rules' scores when days are drawn anew: whole
        days, the same for all rules, since windows of one day share their luck."""
        count = len(self.days)
        draws = np.random.default_rng(SEED).integers(0, count, (RESAMPLES, count))
        times = np.stack([(draws == day).sum(axis=1) for day in range(count)], axis=-1)
        drawn = [np.tensordot(times, self.sums(tally), axes=1) for tally in tallies]
        measured = [measure([_score(one[at]) for one in drawn]) for at in range(RESAMPLES)]
        low, high = np.percentile(measured, (5, 95))
        return float(low), float(high)


def _score(sums: Floats) -> Score:
    """sums: by model and part. A model without any answer costs its unit: it has no price."""
    costs, answered, in_time, requests = sums.T
    nobody: NDArray[np.bool_] = answered <= 0
    per_answer = np.where(nobody, 1.0, costs / np.where(nobody, 1.0, answered))
    total = requests.sum()
    return Score(float((per_answer * requests).sum() / total), float(1 - in_time.sum() / total))

"""Traffic that wants capacity that is owned: requests, what they take of it, what they cost
elsewhere.

Sizes have heavy tails, and how long an answer gets is not known before. What a request costs
elsewhere depends on its model and on the moment: prices of offers move about within the hour.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOUR_S, DAY_S, WEEK_HOURS = 3600.0, 86_400.0, 168
MONDAY_S = 4 * DAY_S
"""The first of 1970."""
COMPLETION_UNITS = 4.0
"""Capacity units that a token of an answer takes; one of a prompt takes 1."""
PRICE_STEP_S = 300.0


@dataclass(frozen=True, slots=True)
class Models:
    """What requests cost elsewhere. usd_mtok: of each model's prompt tokens; its answers' cost
    COMPLETION_UNITS times that, times `tilt`. shares: of the requests. sway: how far prices move
    about, a standard deviation of their logarithms; half_life_s: how soon they come back."""

    name: str
    usd_mtok: tuple[float, ...]
    shares: tuple[float, ...]
    sway: float = 0.0
    half_life_s: float = 2400.0
    tilt: tuple[float, ...] = (1,)


TWO = Models("two models, 1 and 0.15", (1.0, 0.15), (0.5, 0.5))
FOUR = Models(
    "four models, 1.6 to 0.2", (1.6, 0.8, 0.4, 0.2), (0.25,) * 4, 0.1, tilt=(1, 0.8, 1.3, 1)
)
NARROW = Models("three models that hardly differ", (1.2, 0.8, 0.5), (0.4, 0.3, 0.3), 0.2)
ALIKE = Models("one model whose price moves", (1.0,), (1.0,), 0.2)
EQUAL = Models("equal alternatives", (1.0,), (1.0,))


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """at_s: sorted. Tokens, and what was expected of the answers."""

    at_s: Floats
    prompt: Floats
    completion: Floats
    expected: Floats

    def __len__(self) -> int:
        return len(self.at_s)


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """By request: when, capacity units (as they turned out, and at most), and nano-USD elsewhere:
    as expected, and as they turned out. foreseen_units: as expected."""

    at_s: Floats
    units: Floats
    most_units: Floats
    foreseen_units: Floats
    foreseen_nanos: Floats
    nanos: Floats

    def __len__(self) -> int:
        return len(self.at_s)

    def since(self, at_s: float) -> Requests:
        return self._those(self.at_s >= at_s)

    def until(self, at_s: float) -> Requests:
        return self._those(self.at_s < at_s)

    def _those(self, chosen: NDArray[np.bool_]) -> Requests:
        return Requests(
            *(self.at_s[chosen], self.units[chosen], self.most_units[chosen]),
            *(self.foreseen_units[chosen], self.foreseen_nanos[chosen], self.nanos[chosen]),
        )

    def spread_within_hours(self) -> float:
        """P90 / P10 of what a unit costs elsewhere: the median over hours."""
        value, hour = self.nanos / self.units, (self.at_s // HOUR_S).astype(int)
        ratios = [
            float(np.quantile(value[hour == one], 0.9) / np.quantile(value[hour == one], 0.1))
            for one in np.unique(hour)
            if (hour == one).sum() >= 10
        ]
        return float(np.median(ratios))


def week_profile() -> Floats:
    """Requests by hour of the week, of a mean hour: office hours, and quiet weekends [168]."""
    hour = np.arange(WEEK_HOURS)
    day = 1 + 0.8 * np.sin((hour % 24 - 8) / 24 * 2 * np.pi)
    profile = day * np.where(hour // 24 >= 5, 0.4, 1.0)
    return np.asarray(profile / profile.mean())


def poisson(
    draws: np.random.Generator, per_minute: float, days: float, levels: Sequence[float] = (1.0,)
) -> Arrivals:
    """By the profile of the week, from a Monday. levels: of equal parts of the time, in order."""
    seconds = days * DAY_S
    count = draws.poisson(per_minute * seconds / 60 * max(levels) * 2.2)
    at_s = np.sort(draws.uniform(0, seconds, count))
    level = np.asarray(levels)[(at_s / seconds * len(levels)).astype(int)]
    kept = (
        draws.uniform(0, max(levels) * 2.2, count)
        < level * week_profile()[(at_s // HOUR_S).astype(int) % WEEK_HOURS]
    )
    return sized(draws, MONDAY_S + at_s[kept])


def steady(
    draws: np.random.Generator, per_minute: float, hours: float, tail: float = 1.0
) -> Arrivals:
    """By chance, at a rate that goes up and down by a third within hours."""
    seconds = hours * HOUR_S
    count = draws.poisson(per_minute * seconds / 60 * 4 / 3)
    at_s = np.sort(draws.uniform(0, seconds, count))
    rate = 1 + np.sin(at_s / HOUR_S * 2 * np.pi / 3) / 3
    return sized(draws, MONDAY_S + at_s[draws.uniform(0, 4 / 3, count) < rate], tail)


def sized(draws: np.random.Generator, at_s: Floats, tail: float = 1.0) -> Arrivals:
    """Sizes by chance. tail: 0 makes all expect the same."""
    count = len(at_s)
    prompt = np.maximum(1, draws.lognormal(6.5, tail, count).round())
    expected = np.maximum(1, draws.lognormal(5.0, tail, count).round())
    completion = np.maximum(1, (expected * draws.lognormal(-0.125, 0.5, count)).round())
    return Arrivals(at_s, prompt, np.minimum(completion, 2 * expected), expected)


def traced(path: Path) -> Arrivals:
    """An Azure trace as it came. What was expected of an answer: twice the trace's mean at most."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [
            (float(row["t_seconds"]), float(row["input_tokens"]), float(row["output_tokens"]))
            for row in csv.DictReader(file)
        ]
    at_s, prompt, completion = np.array(rows).T
    completion = np.maximum(completion, 1.0)
    expected = np.full(len(at_s), completion.mean())
    return Arrivals(MONDAY_S + at_s, np.maximum(prompt, 1.0), completion, expected)


def of_windows(draws: np.random.Generator, path: Path, per_minute: float) -> Arrivals:
    """A ServeGen trace: its rates by ten minutes, scaled to a mean rate; arrivals by chance."""
    rates: dict[float, float] = defaultdict(float)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rates[float(row["t_seconds"])] += float(row["requests_per_s"])
    starts = np.array(sorted(rates))
    rate = np.array([rates[one] for one in starts.tolist()])
    counts = draws.poisson(rate / rate.mean() * per_minute * 10)
    at_s = np.sort(np.repeat(starts, counts) + draws.uniform(0, 600.0, counts.sum()))
    return sized(draws, MONDAY_S + at_s)


def priced(draws: np.random.Generator, arrivals: Arrivals, models: Models) -> Requests:
    """What each request takes, and costs elsewhere."""
    at_s = arrivals.at_s
    model = draws.choice(len(models.shares), len(at_s), p=models.shares)
    steps = ((at_s - at_s[0]) / PRICE_STEP_S).astype(int)
    sways = np.exp(_sways(draws, models, int(steps[-1]) + 1))[steps, model]
    prompt_nanos = np.asarray(models.usd_mtok)[model] * 1000 * sways
    tilts = np.broadcast_to(np.asarray(models.tilt, dtype=np.float64), len(models.shares))
    answer_nanos = prompt_nanos * COMPLETION_UNITS * tilts[model]

    def units(completion: Floats) -> Floats:
        return np.asarray(arrivals.prompt + COMPLETION_UNITS * completion)

    def nanos(completion: Floats) -> Floats:
        return np.asarray(arrivals.prompt * prompt_nanos + completion * answer_nanos)

    most = np.maximum(2 * arrivals.expected, arrivals.completion)
    return Requests(
        at_s,
        units(arrivals.completion),
        units(most),
        units(arrivals.expected),
        nanos(arrivals.expected),
        nanos(arrivals.completion),
    )


def _sways(draws: np.random.Generator, models: Models, steps: int) -> Floats:
    """Logarithms of how prices stand to their means: AR(1) [steps, models]."""
    keep = 0.5 ** (PRICE_STEP_S / models.half_life_s)
    shocks = draws.normal(0, models.sway * np.sqrt(1 - keep * keep), (steps, len(models.shares)))
    now = draws.normal(0, models.sway, len(models.shares))
    found = np.empty_like(shocks)
    for step in range(steps):
        now = found[step] = keep * now + shocks[step]
    return found

"""Validation: what the outlook would have said of weeks that have come, beside what came.

Walk-forward: at the end of each of the latest weeks the demand is calibrated on the days before it,
and only on those, and the next week and the next four are drawn. A forecast is calibrated if what
came lies anywhere in it equally often (PIT), so that an interval of 80% has 80% of it; and it is
worth having if its energy score beats that of simply taking the latest weeks again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from hedge.risk import Floats, clopper_pearson
from hedge.scenarios.calendar import Span
from hedge.scenarios.calibration import calibrated
from hedge.scenarios.chances import stream
from hedge.scenarios.demand import demand_paths, shocks
from hedge.scenarios.history import DemandHistory
from hedge.scenarios.outlook import Outlook
from hedge.scenarios.trend import to_today

INTERVALS = (0.5, 0.8, 0.95)
BINS = 10
TRAINING_DAYS = 14
MOST_WEEKS = 26
MONTH_WEEKS = 4
NAIVE_WEEKS = 4
_COUNT = 400


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often what came lay within an interval that should hold it `nominal` of the time."""

    nominal: float
    hits: int
    trials: int

    @property
    def seen(self) -> float:
        return self.hits / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share may lie, at 95%, were the trials independent."""
        return clopper_pearson(self.hits, self.trials)


@dataclass(frozen=True, slots=True)
class Validation:
    """Of demand in all, unless said otherwise.

    days: of the history. weeks: how many were forecast a week ahead.
    week: coverage of these, which do not overlap. month: of four weeks in sum, from each of them
        on, which do: they say less than so many would.
    pit: how often what came fell into each tenth of its forecast. pit_p: chance that a calibrated
        forecast gives as uneven a histogram (Kolmogorov and Smirnov).
    energy_score, naive_score: of all workloads' week together, as a share of the mean week; smaller
        is better. The naive forecast is the latest four weeks, equally likely.
    """

    days: int
    weeks: int
    week: tuple[Coverage, ...]
    month: tuple[Coverage, ...]
    pit: tuple[int, ...]
    pit_p: float
    energy_score: float
    naive_score: float

    def sentence(self) -> str:
        """For whoever reads the plan."""
        said = [f"calibrated on {self.days} days", f"{self.weeks} weeks forecast from those before"]
        wide = self.week[1]
        said.append(f"{wide.hits} of them within their {wide.nominal:.0%} interval")
        if self.month:
            four = self.month[1]
            said.append(f"of four weeks in sum {four.hits} of {four.trials}")
        gain = 1 - self.energy_score / self.naive_score if self.naive_score else 0.0
        better = f"{abs(gain):.0%} {'better' if gain >= 0 else 'worse'}"
        said.append(f"energy score {better} than the latest weeks again")
        return "; ".join(said)


def validated(
    history: DemandHistory, *, seed: int, prior: Outlook | None = None
) -> Validation | None:
    """None for a history of less than three weeks: nothing is left to hold back."""
    weeks = min((history.days - TRAINING_DAYS) // 7, MOST_WEEKS)
    if weeks < 1:
        return None
    load = _load(history)
    pits, months, scores, naives = [], [], [], []
    for week in range(weeks, 0, -1):
        now = history.days - 7 * week
        drawn = _forecast(history.between(now - 364, now), load[:now], prior, seed, week)
        came = load[now : now + 7 * MONTH_WEEKS]
        next_week = came[:7].sum(axis=0)
        pits.append(_pit(drawn[:, 0].sum(axis=1), float(next_week.sum()), seed, week))
        if week >= MONTH_WEEKS:
            months.append(_pit(drawn.sum(axis=(1, 2)), float(came.sum()), seed, week + weeks))
        scores.append(energy_score(drawn[:, 0], next_week))
        naives.append(energy_score(_latest_weeks(load[:now]), next_week))
    mean_week = float(load.sum(axis=1).mean()) * 7
    return Validation(
        days=history.days,
        weeks=weeks,
        week=_coverage(pits),
        month=_coverage(months) if months else (),
        pit=tuple(np.histogram(pits, BINS, (0, 1))[0].tolist()),
        pit_p=_kolmogorov(pits),
        energy_score=float(np.mean(scores)) / mean_week,
        naive_score=float(np.mean(naives)) / mean_week,
    )


def energy_score(drawn: Floats, came: Floats) -> float:
    """E|X - y| - E|X - X'| / 2 of draws [draws, axes] for what came [axes]: smaller is better, and
    the true distribution has the smallest (Gneiting and Raftery 2007)."""
    apart = float(np.linalg.norm(drawn - came, axis=1).mean())
    squares = (drawn**2).sum(axis=1)
    between = squares[:, None] + squares[None, :] - 2 * drawn @ drawn.T
    spread = float(np.sqrt(np.maximum(between, 0)).mean())
    return apart - spread / 2


def _load(history: DemandHistory) -> Floats:
    """Daily, in USD at mean prices of the whole history, so that all weeks have one measure."""
    return np.asarray(history.load().sum(axis=1))


def _forecast(
    seen: DemandHistory, load: Floats, prior: Outlook | None, seed: int, week: int
) -> Floats:
    """The next four weeks [draws, weeks, workloads], in the measure of `load`."""
    outlook = calibrated(seen, prior=prior)
    today = seen.until.date()
    spans = [Span(today + timedelta(days=7 * ahead), 7) for ahead in range(MONTH_WEEKS)]
    both = shocks(outlook.scarcity, len(spans), seed=seed + week, count=_COUNT)
    paths = demand_paths(seen, outlook, spans, both, seed=seed + week)
    daily = load[-seen.days :] * to_today(seen)
    drawn = daily[paths.variants.day[paths.drawn]]
    drawn *= paths.variants.multiple[paths.drawn][:, :, None]
    weekly = drawn.reshape(_COUNT, MONTH_WEEKS, 7, -1).sum(axis=2)
    return np.asarray(weekly * paths.level)


def _latest_weeks(load: Floats) -> Floats:
    weeks = min(len(load) // 7, NAIVE_WEEKS)
    return np.asarray(load[len(load) - 7 * weeks :].reshape(weeks, 7, -1).sum(axis=1))


def _pit(drawn: Floats, came: float, seed: int, which: int) -> float:
    """Where in its forecast what came lies, 0 to 1."""
    chance = float(stream(seed, "pit", str(which)).random())
    return float(((drawn < came).sum() + chance) / (len(drawn) + 1))


def _coverage(pits: Sequence[float]) -> tuple[Coverage, ...]:
    off = np.abs(np.array(pits) - 0.5)
    return tuple(Coverage(one, int((off <= one / 2).sum()), len(pits)) for one in INTERVALS)


def _kolmogorov(pits: Sequence[float]) -> float:
    """Chance that uniform numbers lie as far from their expected order (Stephens 1970)."""
    ordered, count = np.sort(pits), len(pits)
    steps = np.arange(count + 1) / count
    gap = float(np.max(np.maximum(steps[1:] - ordered, ordered - steps[:-1])))
    root = math.sqrt(count)
    scaled = (root + 0.12 + 0.11 / root) * gap
    terms = (math.exp(-2 * (k * scaled) ** 2) * (1 if k % 2 else -1) for k in range(1, 101))
    return min(max(2 * sum(terms), 0.0), 1.0)

"""Drift: whether an offer has become worse, silently: quantized, cut down, replaced.

Scores are compared prompt by prompt, so that hard prompts and easy ones do not blur what changed:
the newest run of an offer with its own runs before, and with the newest runs of the other offers of
its model. If nothing had changed, each prompt's scores could as well have come in any other order:
that is the test, exact for 0s and 1s (with one on either side, it is McNemar's), and by drawing
orders for grades between them. Of all comparisons of one look, p-values are Holm's: the chance of
any false alarm in it is at most `alpha`.

A drop too small for one run shows over several: a CUSUM adds up how far each run is below all runs
before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np

ALPHA = 0.01
LEAST_DROP = 0.02
"""A smaller one alarms nobody, however certain it is."""
LEAST_PROMPTS = 8
"""Fewer in common say nothing."""
FEW_DRAWS, DRAWS = 1_000, 20_000
_PLAINLY = 0.2
"""A p-value by few draws that leaves no doubt that there is no drop."""
MOST_STEPS = 200_000
"""Of the exact distribution."""
SLACK = 0.5
"""Of the CUSUM: what a run may be below the others, in standard deviations, without being noted."""
LIMIT = 4.5
"""Where the CUSUM alarms: without any change about once in a thousand runs."""

Scores: TypeAlias = Mapping[str, Sequence[float]]
"""Of each prompt, by its hash."""
Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


class Against(StrEnum):
    """What a run was held against."""

    ITS_PAST = "its past"
    OTHERS = "the model's other offers"
    TREND = "its past, over several runs"


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of an offer."""

    at: datetime
    scores: Scores


@dataclass(frozen=True, slots=True)
class Comparison:
    """before, now: the mean scores on the prompts that both have. p: of no drop; exact or drawn.

    p_adjusted: Holm's, among all comparisons of one look. better, worse: prompts that changed.
    """

    offer: str
    against: Against
    prompts: int
    before: float
    now: float
    low: float
    high: float
    better: int
    worse: int
    p: float
    p_adjusted: float = 1.0

    @property
    def drop(self) -> float:
        """How much lower it is now; `low` and `high` are its 90% interval."""
        return self.before - self.now


@dataclass(frozen=True, slots=True)
class Trend:
    """The CUSUM of an offer's runs, in standard deviations; since: where its rise began."""

    offer: str
    runs: int
    cusum: float
    since: datetime | None
    drop: float


@dataclass(frozen=True, slots=True)
class QualityDrop:
    """An alarm. size: how much lower the score is. p: adjusted; None for a trend."""

    offer: str
    against: Against
    size: float
    p: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that was compared, and what of it is an alarm."""

    comparisons: tuple[Comparison, ...]
    trends: tuple[Trend, ...]
    alarms: tuple[QualityDrop, ...]


def look(
    runs: Mapping[str, Sequence[Measured]],
    same_model: Callable[[str], Sequence[str]],
    rng: np.random.Generator,
    alpha: float = ALPHA,
) -> Look:
    """Compare the newest run of every offer. runs: of one benchmark, by offer, oldest first.
    same_model: the offers of the same models as an offer, itself among them or not."""
    found: list[Comparison] = []
    for offer, own in runs.items():
        if not own:
            continue
        newest = own[-1].scores
        before = _together([one.scores for one in own[:-1]])
        others = [runs[one] for one in same_model(offer) if one != offer and runs.get(one)]
        beside = _together([one[-1].scores for one in others])
        for against, scores in ((Against.ITS_PAST, before), (Against.OTHERS, beside)):
            compared = compare(offer, against, scores, newest, rng)
            if compared is not None:
                found.append(compared)
    comparisons = holm(found)
    trends = tuple(one for offer, own in runs.items() if (one := trend(offer, own)) is not None)
    alarms = [
        QualityDrop(
            one.offer,
            one.against,
            one.drop,
            one.p_adjusted,
            f"{one.before:.3f} -> {one.now:.3f} on {one.prompts} prompts, against {one.against}"
            f" ({one.worse} worse, {one.better} better, p = {one.p_adjusted:.2g})",
        )
        for one in comparisons
        if one.p_adjusted <= alpha and one.drop >= LEAST_DROP
    ]
    alarms += [
        QualityDrop(
            one.offer,
            Against.TREND,
            one.drop,
            None,
            f"{one.drop:.3f} lower since {one.since:%Y-%m-%d %H:%M}: CUSUM {one.cusum:.1f} over"
            f" {LIMIT:g}, {one.runs} runs",
        )
        for one in trends
        if one.since is not None and one.cusum > LIMIT and one.drop >= LEAST_DROP
    ]
    return Look(comparisons, trends, tuple(alarms))


def compare(
    offer: str, against: Against, before: Scores, now: Scores, rng: np.random.Generator
) -> Comparison | None:
    """None where too few prompts are in both."""
    common = sorted(name for name in now if now[name] and before.get(name))
    if len(common) < LEAST_PROMPTS:
        return None
    olds = [np.asarray(before[name], float) for name in common]
    news = [np.asarray(now[name], float) for name in common]
    differences = np.array([new.mean() - old.mean() for old, new in zip(olds, news, strict=True)])
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    p = _exact(olds, news)
    if p is None:
        p = _drawn(olds, news, rng)
    drop, half = -float(differences.mean()), _half_width(differences)
    return Comparison(
        offer=offer,
        against=against,
        prompts=len(common),
        before=float(np.mean([one.mean() for one in olds])),
        now=float(np.mean([one.mean() for one in news])),
        low=drop - half,
        high=drop + half,
        better=better,
        worse=worse,
        p=p,
    )


def _exact(olds: Sequence[Array], news: Sequence[Array]) -> float | None:
    """The chance of at least such a drop, if each prompt's scores came in any order. None where
    there are other scores than 0 and 1, or too many different numbers of them."""
    if not all(set(scores) <= {0.0, 1.0} for scores in (*olds, *news)):
        return None
    # Of a prompt with `new` new scores and `old` old ones, a 1 more among the new ones lifts the
    # difference by 1/new + 1/old: in units of which all are whole numbers.
    unit = math.lcm(*(len(old) * len(new) for old, new in zip(olds, news, strict=True)))
    steps = [unit // len(new) + unit // len(old) for old, new in zip(olds, news, strict=True)]
    most = sum(step * len(new) for step, new in zip(steps, news, strict=True))
    if most > MOST_STEPS:
        return None
    chances, seen = np.ones(1), 0
    for step, old, new in zip(steps, olds, news, strict=True):
        ones, size = int(old.sum() + new.sum()), len(old) + len(new)
        seen += step * int(new.sum())
        grown = np.zeros(len(chances) + step * len(new))
        for count in range(len(new) + 1):
            ways = math.comb(ones, count) * math.comb(size - ones, len(new) - count)
            share = ways / math.comb(size, len(new))
            grown[step * count : step * count + len(chances)] += share * chances
        chances = grown
    return min(1.0, float(chances[: seen + 1].sum()))


def _drawn(olds: Sequence[Array], news: Sequence[Array], rng: np.random.Generator) -> float:
    """The same by drawing orders: a few, and many only where those are not enough to see that
    nothing has happened."""
    seen = sum(float(new.mean() - old.mean()) for old, new in zip(olds, news, strict=True))
    p = 1.0
    for draws in (FEW_DRAWS, DRAWS):
        drawn = np.zeros(draws)
        for old, new in zip(olds, news, strict=True):
            scores = np.concatenate((old, new))
            if np.ptp(scores) > 0:
                # Whichever of them would have been the new ones: their sum says all.
                places = rng.random((draws, len(scores))).argpartition(len(new) - 1, axis=1)
                total = scores[places[:, : len(new)]].sum(axis=1)
                drawn += total / len(new) - (scores.sum() - total) / len(old)
        p = float((1 + (drawn <= seen + 1e-9).sum()) / (draws + 1))
        if p > _PLAINLY:
            break
    return p


def holm(found: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """With the p-values by which the chance of any false alarm among them is kept."""
    adjusted: dict[int, float] = {}
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(found)), key=lambda one: found[one].p)):
        largest = max(largest, min(1.0, found[place].p * (len(found) - rank)))
        adjusted[place] = largest
    return tuple(replace(one, p_adjusted=adjusted[place]) for place, one in enumerate(found))


def trend(offer: str, runs: Sequence[Measured]) -> Trend | None:
    """Where the CUSUM of an offer stands. None where there are no two runs to compare."""
    path = cusum([one.scores for one in runs])
    if all(one is None for one in path):
        return None
    since: datetime | None = None
    now = 0.0
    for one, value in zip(runs, path, strict=True):
        if value is not None:
            since, now = (None if value == 0 else since or one.at), value
    return Trend(offer, len(runs), now, since, _lowered(runs, since))


def cusum(runs: Sequence[Scores]) -> list[float | None]:
    """The self-starting CUSUM after each run: each is held against all before it, prompt by prompt.
    None where they have too few prompts in common."""
    found: list[float | None] = []
    value = 0.0
    past: dict[str, tuple[float, int]] = {}
    for scores in runs:
        means = {name: math.fsum(some) / len(some) for name, some in scores.items() if some}
        differences = [
            mean - past[name][0] / past[name][1] for name, mean in means.items() if name in past
        ]
        if is_comparable := len(differences) >= LEAST_PROMPTS:
            value = max(0.0, value - _standardised(differences) - SLACK)
        found.append(value if is_comparable else None)
        for name, mean in means.items():
            total, count = past.get(name, (0.0, 0))
            past[name] = (total + mean, count + 1)
    return found


def _standardised(differences: Sequence[float]) -> float:
    """Their sum, in standard deviations of what it would be if each could as well be its
    opposite."""
    scale = math.sqrt(math.fsum(one * one for one in differences))
    return math.fsum(differences) / scale if scale else 0.0


def _lowered(runs: Sequence[Measured], since: datetime | None) -> float:
    """How much lower the mean is from `since` on, on prompts that are in both times."""
    if since is None:
        return 0.0
    before = _together([one.scores for one in runs if one.at < since])
    after = _together([one.scores for one in runs if one.at >= since])
    common = before.keys() & after.keys()
    drops = [float(np.mean(before[name]) - np.mean(after[name])) for name in common]
    return math.fsum(drops) / len(drops) if drops else 0.0


def _together(runs: Sequence[Scores]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for scores in runs:
        for name, some in scores.items():
            if some:
                found.setdefault(name, []).extend(some)
    return found


def _half_width(differences: Array) -> float:
    """Of the 90% interval of their mean."""
    if len(differences) < 2:
        return math.inf
    return 1.645 * float(differences.std(ddof=1)) / math.sqrt(len(differences))

"""Gain: how much of the way from the best random mixture of models to the oracle a choice closes.

All three are curves of quality over cost per prompt: the mixture draws a model without looking at
the prompt (the concave hull of the models), the oracle knows which model answers rightly and what
it costs, and a choice spends what a right answer is worth. The share is one of areas, between the
cost of the cheapest model and that of the best; at every point all three cost the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.predictor.outcomes import Floats, Ints

_STEPS = 200
_GRID = 101
_DRAWS = 400


@dataclass(frozen=True, slots=True)
class Curve:
    """Quality that can be had for a cost, by mixing neighbours; costs ascend."""

    costs: Floats
    qualities: Floats

    def at(self, costs: Floats) -> Floats:
        """Beyond its ends a curve is flat: nobody has to spend more."""
        return np.interp(costs, self.costs, self.qualities)


@dataclass(frozen=True, slots=True)
class Gain:
    """Share of the area closed, with its 90% interval (bootstrap over groups of duplicates).

    1 is the oracle, 0 the best mixture; 0 also where even the oracle would gain nothing.
    """

    closed: float
    low: float
    high: float

    @property
    def is_sure(self) -> bool:
        """The interval excludes that there is no gain."""
        return self.low > 0


def curve(costs: Floats, qualities: Floats) -> Curve:
    """Through points that are each the best for some worth of a right answer."""
    order = np.argsort(costs, kind="stable")
    return Curve(costs[order], qualities[order])


def hull(costs: Floats, qualities: Floats) -> Curve:
    """The best mixtures of these points: their upper concave hull, as far as it rises."""
    kept: list[tuple[float, float]] = []
    for cost, quality in sorted(zip(costs, qualities, strict=True), key=lambda it: (it[0], -it[1])):
        if kept and quality <= kept[-1][1]:
            continue
        while len(kept) > 1 and _is_below(kept[-2], kept[-1], (cost, quality)):
            kept.pop()
        kept.append((float(cost), float(quality)))
    return Curve(np.array([one for one, _ in kept]), np.array([one for _, one in kept]))


def _is_below(
    left: tuple[float, float], middle: tuple[float, float], right: tuple[float, float]
) -> bool:
    rise = (right[1] - left[1]) * (middle[0] - left[0])
    return (middle[1] - left[1]) * (right[0] - left[0]) <= rise


def picks(value: Floats, cost: Floats) -> Ints:
    """The model of each prompt (rows), for each worth of a right answer (columns, ascending).

    value is the chance of (or, for the oracle, the true) right answer of each model, cost what it
    is expected to cost. The worths are those at which choices change, thinned to some hundreds.
    """
    worths = _worths(value, cost)
    best = np.empty((len(value), len(worths)), np.int64)
    for at, worth in enumerate(worths):
        best[:, at] = np.argmax(worth * value - cost, axis=1)
    return best


def _worths(value: Floats, cost: Floats) -> Floats:
    turns = []
    for one in range(value.shape[1]):
        more = value - value[:, [one]]
        dearer = cost - cost[:, [one]]
        is_turn = (more > 0) & (dearer > 0)
        turns.append(dearer[is_turn] / more[is_turn])
    found = np.concatenate(turns)
    if not len(found):
        return np.zeros(1)
    steps = np.quantile(found, np.linspace(0, 1, _STEPS))
    return np.unique(np.concatenate([[0.0], steps, steps * (1 + 1e-9), [steps[-1] * 2]]))


def gain(value: Floats, expected: Floats, scores: Floats, costs: Floats, groups: Ints) -> Gain:
    """Of choosing by `value` and `expected` cost, judged by true scores and costs.

    All are prompts × models; no row of `value` may have been learned from its own group.
    """
    rows = np.arange(len(scores))[:, None]
    chosen, best = picks(value, expected), picks(scores, costs)
    tables = [
        (costs, scores),
        (costs[rows, chosen], scores[rows, chosen]),
        (costs[rows, best], scores[rows, best]),
    ]
    everyone = np.full((1, len(scores)), 1 / len(scores))
    closed = _closed(everyone, tables)[0]
    drawn = _closed(_resampled(groups), tables)
    low, high = np.quantile(drawn, [0.05, 0.95])
    return Gain(float(closed), float(low), float(high))


def curves(
    value: Floats, expected: Floats, scores: Floats, costs: Floats
) -> tuple[Curve, Curve, Curve]:
    """The mixture, the choice and the oracle, as `gain` compares them."""
    rows = np.arange(len(scores))[:, None]
    chosen, best = picks(value, expected), picks(scores, costs)
    return (
        hull(costs.mean(0), scores.mean(0)),
        curve(costs[rows, chosen].mean(0), scores[rows, chosen].mean(0)),
        curve(costs[rows, best].mean(0), scores[rows, best].mean(0)),
    )


def share_closed(
    mixture: Curve, choice: Curve, oracle: Curve, between: tuple[float, float]
) -> float:
    """Of the area between mixture and oracle over these costs; 0 where there is no area."""
    costs = np.linspace(*between, _GRID)
    floor = mixture.at(costs)
    possible = float(np.trapezoid(oracle.at(costs) - floor, costs))
    if possible <= 0:
        return 0.0
    return float(np.trapezoid(choice.at(costs) - floor, costs)) / possible


def _closed(weights: Floats, tables: list[tuple[Floats, Floats]]) -> Floats:
    """For each row of weights (which sum to one)."""
    means = [(weights @ costs, weights @ scores) for costs, scores in tables]
    shares = np.empty(len(weights))
    for at in range(len(weights)):
        mixture = hull(means[0][0][at], means[0][1][at])
        choice = curve(means[1][0][at], means[1][1][at])
        oracle = curve(means[2][0][at], means[2][1][at])
        between = (float(mixture.costs[0]), float(mixture.costs[-1]))
        shares[at] = share_closed(mixture, choice, oracle, between)
    return shares


def _resampled(groups: Ints) -> Floats:
    """Weights of the prompts in each draw of the bootstrap. Its seed is fixed: one answer."""
    chance = np.random.default_rng(0)
    count = int(groups.max()) + 1
    drawn = chance.multinomial(count, np.full(count, 1 / count), size=_DRAWS)
    weights = drawn[:, groups].astype(np.float64)
    return np.asarray(weights / weights.sum(1, keepdims=True))

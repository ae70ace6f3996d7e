"""Gain: 1 for the oracle, 0 for chance, and the arithmetic in between by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.predictor.gain import gain, hull, picks

COSTS = np.tile([1.0, 11.0], (400, 1))
GROUPS = np.arange(400)


def _scores(seed: int) -> npt.NDArray[np.float64]:
    chance = np.random.default_rng(seed)
    return (chance.random((400, 2)) < (0.5, 0.8)).astype(float)


def test_the_oracle_closes_all() -> None:
    """Choosing by the true scores is the oracle itself."""
    scores = _scores(1)
    assert gain(scores, COSTS, scores, COSTS, GROUPS).closed == pytest.approx(1.0)


def test_chance_closes_nothing() -> None:
    """Values that have nothing to do with the prompt: the interval holds 0, most of the time."""
    held = 0
    for seed in range(10):
        said = np.random.default_rng(seed + 100).uniform((0.4, 0.7), (0.6, 0.9), (400, 2))
        found = gain(said, COSTS, _scores(seed), COSTS, GROUPS)
        held += found.low <= 0 <= found.high
    assert held >= 7


def test_what_is_never_spent_buys_nothing() -> None:
    """A choice that stays with the cheap model is below the mixture, which does not."""
    said = np.tile([0.8, 0.5], (400, 1))
    assert gain(said, COSTS, _scores(1), COSTS, GROUPS).high < 0


def test_two_models_of_constant_cost_by_hand() -> None:
    """For two models it is the area under the ranking by difference of the values."""
    scores = _scores(2)
    said = np.clip(scores * 0.3 + np.random.default_rng(3).random((400, 2)), 0, 1)
    said[:, 1] += 0.8  # no negative difference: every share of calls is spent
    order = np.argsort(-(said[:, 1] - said[:, 0]))
    more = scores[:, 1] - scores[:, 0]
    taken = np.concatenate([[0], np.cumsum(more[order])])
    best = np.maximum.accumulate(np.concatenate([[0], np.cumsum(np.sort(more)[::-1])]))
    mixed = np.linspace(0, more.sum(), 401)
    by_hand = (taken - mixed).sum() / (best - mixed).sum()
    found = gain(said, COSTS, scores, COSTS, GROUPS).closed
    assert found == pytest.approx(by_hand, abs=0.02)


def test_duplicates_widen_the_interval() -> None:
    """Every prompt ten times over is no more evidence than once."""
    scores = _scores(4)[:80]
    said = np.clip(scores * 0.3 + np.random.default_rng(3).random((80, 2)), 0, 1)
    costs, groups = COSTS[:80], GROUPS[:80]
    once = gain(said, costs, scores, costs, groups)
    ten = [np.repeat(one, 10, axis=0) for one in (said, costs, scores, costs, groups)]
    often = gain(*ten)
    assert often.closed == pytest.approx(once.closed, abs=1e-9)
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 20)), min_size=1, max_size=8))
def test_the_hull_is_the_best_mixture_of_two(points: list[tuple[int, int]]) -> None:
    """At the cost of any point, no mixture of two points is better, and one is as good."""
    costs, qualities = np.array(points, float).T
    curve = hull(costs, qualities)
    for budget in range(int(costs.min()), 21):
        affordable = [quality for cost, quality in points if cost <= budget]
        mixed = [
            quality + (budget - cost) / (dearer - cost) * (better - quality)
            for (cost, quality), (dearer, better) in product(points, points)
            if cost <= budget < dearer
        ]
        found = float(curve.at(np.array([budget]))[0])
        assert found == pytest.approx(max(affordable + mixed))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_picks_hold_every_best_choice(seed: int, models: int) -> None:
    """For some worth each model that is best at it is picked; with none, the cheapest is."""
    chance = np.random.default_rng(seed)
    value, cost = chance.random((6, models)), chance.random((6, models)) + 0.1
    found = picks(value, cost)
    assert np.array_equal(found[:, 0], np.argmin(cost, axis=1))
    for worth in np.geomspace(0.01, 1000, 60):
        net = worth * value - cost
        for row in range(6):
            assert np.argmax(net[row]) in found[row]

"""Cascades: expectation by simulation, the frontier by brute force."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.cascade import Cascade, Verifier, expectation, frontier

Floats = npt.NDArray[np.float64]


def _market(seed: int, tasks: int, models: int) -> tuple[Floats, Floats]:
    chance = np.random.default_rng(seed)
    scores = (chance.random((tasks, models)) < chance.uniform(0.2, 0.9, models)).astype(float)
    return scores, chance.uniform(0.5, 2.0, (tasks, models)) * chance.uniform(0.1, 5, models)


def _played(
    cascade: Cascade, scores: Floats, costs: Floats, verifier: Verifier, rounds: int
) -> tuple[float, float]:
    chance = np.random.default_rng(0)
    right = cost = 0.0
    for _ in range(rounds):
        for task in range(len(scores)):
            given = scores[task, cascade.fallback]
            for model in cascade.models:
                cost += costs[task, model] + verifier.cost
                is_right = scores[task, model] == 1
                errs = verifier.false_reject if is_right else verifier.false_accept
                if is_right != (chance.random() < errs):
                    given = scores[task, model]
                    break
            right += given
    return right / rounds / len(scores), cost / rounds / len(scores)


@pytest.mark.parametrize("verifier", [Verifier(), Verifier(0.1, 0.1), Verifier(0.3, 0.05, 0.2)])
def test_the_expectation_is_what_happens_on_average(verifier: Verifier) -> None:
    """Played out many times, with the verifier's errors drawn."""
    scores, costs = _market(1, 20, 4)
    for cascade in (Cascade((2,), 2), Cascade((0, 3, 1), 3), Cascade((1, 2, 3, 0), 0)):
        of = expectation(cascade, scores, costs, verifier)
        quality, cost = _played(cascade, scores, costs, verifier, 1500)
        assert float(of.qualities.mean()) == pytest.approx(quality, abs=0.02)
        assert float(of.costs.mean()) == pytest.approx(cost, rel=0.02)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000), st.sampled_from([Verifier(), Verifier(0.1, 0.1), Verifier(0.4, 0.4)])
)
def test_the_frontier_is_that_of_all_cascades(seed: int, verifier: Verifier) -> None:
    """For every worth of a right answer, none of all cascades of four models is worth more."""
    scores, costs = _market(seed, 30, 4)
    accuracy = scores.mean(0)
    every = [
        Cascade(order, max(order, key=lambda one: (accuracy[one], -order.index(one))))
        for length in range(1, 5)
        for order in permutations(range(4), length)
    ]

    def means(one: Cascade) -> tuple[float, float]:
        of = expectation(one, scores, costs, verifier)
        return float(of.costs.mean()), float(of.qualities.mean())

    found = [means(one) for one in frontier(scores, costs, verifier)]
    assert found == sorted(found)
    assert [one for _, one in found] == sorted({one for _, one in found})
    truth = [means(one) for one in every]
    for worth in np.geomspace(0.01, 1000, 40):
        best = max(worth * quality - cost for cost, quality in truth)
        assert max(worth * quality - cost for cost, quality in found) >= best - 1e-9


def test_a_verifier_that_knows_nothing_buys_nothing() -> None:
    """It accepts right and wrong alike: no cascade is better than the best model alone."""
    scores, costs = _market(3, 200, 3)
    useless = Verifier(0.5, 0.5)
    best = float(scores.mean(0).max())
    for one in frontier(scores, costs, useless):
        assert float(expectation(one, scores, costs, useless).qualities.mean()) <= best + 1e-9


def test_a_check_that_costs_too_much_is_not_bought() -> None:
    """At moderate worths one model is asked; only those for whom a right answer is worth more
    than many checks ask more."""
    scores, costs = _market(4, 50, 3)
    dear = Verifier(cost=1000.0)
    lengths = [len(one.models) for one in frontier(scores, costs, dear)]
    assert lengths == sorted(lengths)
    assert lengths[0] == 1

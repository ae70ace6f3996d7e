"""Tail means and intervals against closed forms and definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.risk import clopper_pearson, cvar, highest_confidence, scenarios_for, tail_weights

costs = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40).map(np.array)
confidences = st.floats(0.5, 0.99)


def test_interval_of_the_published_case() -> None:
    """4 exceedances in 36 months: 3.1% to 26.1%."""
    low, high = clopper_pearson(4, 36)
    assert (round(low, 3), round(high, 3)) == (0.031, 0.261)


@given(st.integers(1, 300))
def test_interval_at_the_ends(trials: int) -> None:
    """Of none and of all, the interval has a closed form: 1 - 0.025 ** (1/n), and its mirror."""
    reach = 1 - 0.025 ** (1 / trials)
    assert clopper_pearson(0, trials) == pytest.approx((0.0, reach))
    assert clopper_pearson(trials, trials) == pytest.approx((1 - reach, 1.0))


@given(costs, confidences)
def test_cvar_is_the_least_of_rockafellar_and_uryasev(values: np.ndarray, beta: float) -> None:
    """CVaR = min over x of x + E[max(C - x, 0)] / (1 - beta); a scenario's cost attains it."""
    excess = np.maximum(values[None, :] - values[:, None], 0).mean(axis=1)
    least = (values + excess / (1 - beta)).min()
    assert cvar(values, beta) == pytest.approx(least, rel=1e-9, abs=1e-6)


@given(costs, confidences)
def test_tail_weights_are_chances(values: np.ndarray, beta: float) -> None:
    """They sum to 1, and none is above its share of the tail."""
    weights = tail_weights(values, beta)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0
    assert weights.max() <= 1 / (len(values) * (1 - beta)) + 1e-12


@given(costs, confidences, confidences)
def test_more_confidence_never_lowers_cvar(values: np.ndarray, one: float, two: float) -> None:
    """The tail of the higher confidence is the worse part of the other."""
    lower, higher = sorted((one, two))
    assert cvar(values, lower) <= cvar(values, higher) + 1e-6


def test_scenarios_for_fills_the_tail() -> None:
    """The number asked for just allows the confidence that it was asked for."""
    assert scenarios_for(0.95, 250, 1000) == 250
    assert scenarios_for(0.99, 250, 1000) == 500
    assert highest_confidence(scenarios_for(0.99, 250, 1000)) == pytest.approx(0.99)
    assert scenarios_for(1.0, 250, 1000) == scenarios_for(0.9999, 250, 1000) == 1000

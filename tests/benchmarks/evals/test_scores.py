"""Intervals of scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.evals.scores import LEVEL, by_prompt, interval, wilson


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_published(count: int, of: int, low: float, high: float) -> None:
    """Newcombe 1998, Statistics in Medicine 17, table I, method 3: 95%."""
    assert wilson(count / of, of, 1.959964)[0] == pytest.approx(low, abs=5e-5)
    assert wilson(count / of, of, 1.959964)[1] == pytest.approx(high, abs=5e-5)


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=200))
def test_of_right_and_wrong_it_is_wilson(values: list[float]) -> None:
    """For 0s and 1s there is no other rule."""
    found, mean = interval(values), math.fsum(values) / len(values)
    low, high = wilson(mean, len(values))
    assert found.low == pytest.approx(min(low, mean))
    assert found.high == pytest.approx(max(high, mean))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=100))
def test_it_is_around_its_mean(values: list[float]) -> None:
    """Within 0 and 1, around the mean, and of some width."""
    found = interval(values)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.low < found.high
    assert found.n == len(values)


@pytest.mark.parametrize("n", [20, 60, 200])
def test_the_truth_is_within_as_often_as_it_says(n: int) -> None:
    """By simulation: right or wrong, graded, and several answers to each prompt, whose prompts are
    what is drawn, at 90% (all in one look: no single case below 86%)."""
    rng = np.random.default_rng(n)
    many = 1000
    answers = {
        0.6: (rng.random((many, n)) < 0.6).astype(float),
        0.9: (rng.random((many, n)) < 0.9).astype(float),
        0.8: rng.beta(8, 2, (many, n)),
        0.75: rng.beta(0.3, 0.1, (many, n)),
        2 / 3: rng.binomial(5, rng.beta(2, 1, (many, n))) / 5,
    }
    shares = []
    for truth, drawn in answers.items():
        found = [interval(row.tolist()) for row in drawn]
        shares.append(sum(one.low <= truth <= one.high for one in found) / many)
    assert min(shares) > LEVEL - 0.04, shares
    assert sum(shares) / len(shares) > LEVEL - 0.01, shares


def test_grades_that_agree_are_not_certain() -> None:
    """Eleven grades of nearly 0.9 may be followed by another one."""
    found = interval([0.9] * 10 + [0.91])
    assert 0.08 < found.high - found.low < 0.15


def test_answers_to_one_prompt_are_one_value() -> None:
    """A thousand answers to one prompt say nothing of other prompts."""
    values = by_prompt({"a": [1.0] * 1000, "b": [0.0], "c": []})
    assert values == {"a": 1.0, "b": 0.0}
    assert interval(list(values.values())).n == 2


def test_nothing_is_no_score() -> None:
    """There is no mean of nothing, and it is not 0."""
    with pytest.raises(ValueError, match="no graded answer"):
        interval([])

"""Ordering: the fast rule finds what trying every row of offers finds."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from routing.ordering import TIE, Floats, Odds, Stakes, expected_burden, order

chances = st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1))
costs_ = st.one_of(st.just(1000.0), st.floats(1, 1e9))
offers = st.lists(st.tuples(costs_, chances, chances), min_size=1, max_size=6)
weights = st.one_of(st.just(0.0), st.floats(0, 50))


def market(
    some: list[tuple[float, float, float]], weight: float
) -> tuple[np.ndarray, Odds, Stakes]:
    costs, success, on_time = np.array(some, dtype=float).T
    return costs, Odds.of(success, on_time), Stakes.of(float(np.median(costs)), weight)


def best_of_all(costs: Floats, odds: Odds, stakes: Stakes, attempts: int) -> float:
    """What the best row of so many is expected to cost, by trying every one: the judge."""
    rows = permutations(range(len(costs)), min(attempts, len(costs)))
    return min(expected_burden(costs, odds, stakes, one) for one in rows)


@given(offers, weights)
@example([(1.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.5, 1.0)], 0.0)
def test_the_first_three_are_the_best_three(
    some: list[tuple[float, float, float]], weight: float
) -> None:
    """No row of three offers is expected to cost less than the fast rule's: it is not near, it is
    the best. (The rows may differ where they cost the same.)"""
    costs, odds, stakes = market(some, weight)
    found = tuple(order(costs, odds, stakes)[:3])
    judge = best_of_all(costs, odds, stakes, 3)
    assert expected_burden(costs, odds, stakes, found) == pytest.approx(judge, rel=1e-12)


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("steps", [1, 3, 1000], ids=["all equal", "many equal", "all different"])
@pytest.mark.parametrize("success", [(0.0, 1.0), (0.9, 1.0), (0.99, 1.0)], ids=str)
def test_who_is_left_out_has_no_place_in_the_best_row(
    success: tuple[float, float], steps: int, weight: float
) -> None:
    """The same of so many offers that most of them are not even looked at."""
    draw = np.random.default_rng(1)
    parts = [draw.integers(1, steps, 20, endpoint=True) / steps for _ in range(3)]
    low, high = success
    costs, odds = 1e6 * parts[0], Odds.of(low + (high - low) * parts[1], parts[2])
    stakes = Stakes.of(float(np.median(costs)), weight)
    found = tuple(order(costs, odds, stakes)[:3])
    judge = best_of_all(costs, odds, stakes, 3)
    assert expected_burden(costs, odds, stakes, found) == pytest.approx(judge, rel=1e-12)


@given(offers, weights, st.integers(1, 5))
def test_any_number_of_attempts(
    some: list[tuple[float, float, float]], weight: float, attempts: int
) -> None:
    """The same for one attempt and for more than three."""
    costs, odds, stakes = market(some, weight)
    row = tuple(order(costs, odds, stakes, attempts)[:attempts])
    judge = best_of_all(costs, odds, stakes, attempts)
    assert expected_burden(costs, odds, stakes, row) == pytest.approx(judge, rel=1e-12)


@given(offers, weights, st.integers(1, 5))
def test_every_offer_has_one_place(
    some: list[tuple[float, float, float]], weight: float, attempts: int
) -> None:
    """Who skips refused holds goes on through all offers, each once."""
    costs, odds, stakes = market(some, weight)
    assert sorted(order(costs, odds, stakes, attempts)) == list(range(len(some)))


@given(offers, weights, st.floats(1e-3, 1e3))
def test_the_currency_does_not_matter(
    some: list[tuple[float, float, float]], weight: float, rate: float
) -> None:
    """All money in another unit: a row that is as good."""
    costs, odds, stakes = market(some, weight)
    other = order(costs * rate, odds, Stakes(stakes.miss * rate, stakes.unserved * rate))
    one, two = (
        expected_burden(costs, odds, stakes, tuple(row[:3]))
        for row in (order(costs, odds, stakes), other)
    )
    assert one == pytest.approx(two, rel=1e-9)


def test_expected_burden_by_hand() -> None:
    """Two attempts: 0.8 · (10 + 0.5 · 20) + 0.2 · (0.9 · (30 + 0.1 · 20) + 0.1 · 100)."""
    odds = Odds.of(np.array([0.8, 0.9]), np.array([0.5, 0.9]))
    found = expected_burden(np.array([10.0, 30.0]), odds, Stakes(20.0, 100.0), (0, 1))
    assert found == pytest.approx(0.8 * 20 + 0.2 * (0.9 * 32 + 0.1 * 100), rel=10 * TIE)


def test_of_equal_costs_the_one_on_time() -> None:
    """Where misses cost nothing, they still decide between equal prices, and only there."""
    costs, stakes = np.array([5.0, 5.0, 4.99]), Stakes.of(5.0, 0.0)
    odds = Odds.of(np.ones(3), np.array([0.2, 0.9, 0.1]))
    assert order(costs, odds, stakes) == [2, 1, 0]


def test_a_cheap_offer_that_fails_is_worth_a_try() -> None:
    """A failure costs nothing: nine times in ten the cheap one fails, and it is still asked first,
    unless attempts are scarce."""
    costs, stakes = np.array([1.0, 10.0, 10.0]), Stakes.of(10.0, 1.0)
    odds = Odds.of(np.array([0.1, 0.8, 0.8]), np.ones(3))
    assert order(costs, odds, stakes)[0] == 0
    assert order(costs, odds, stakes, attempts=1)[0] != 0


def test_odds_of_some_offers() -> None:
    """Those that may serve a request keep their numbers."""
    odds = Odds.of(np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.5, 0.6])).at(np.array([2, 0]))
    assert odds.success.tolist() == [0.3, 0.1]
    assert odds.failure.tolist() == [0.7, 0.9]
    assert odds.late.tolist() == [0.4, 0.6]


def test_nothing_to_order() -> None:
    """No offer, no order; one offer is first, whatever it is worth."""
    none = np.array([])
    assert order(none, Odds.of(none, none), Stakes(1.0, 2.0)) == []
    assert order(none + 1, Odds.of(none, none), Stakes(1.0, 2.0)) == []
    one = np.array([7.0])
    assert order(one, Odds.of(one * 0, one * 0), Stakes(1.0, 2.0)) == [0]

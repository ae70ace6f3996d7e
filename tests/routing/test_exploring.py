"""Exploring: only what could win is tried, and what a trial costs is known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.exploring import hopefuls, surcharge, trial
from routing.ordering import Odds, Stakes, expected_burden, order

chances = st.floats(0.01, 0.99)
offers = st.lists(
    st.tuples(st.floats(1, 1e6), chances, chances, st.floats(0, 0.5)), min_size=1, max_size=8
)
weights = st.floats(0, 5)


@given(offers, weights)
def test_those_that_could_win(some: list[tuple[float, float, float, float]], weight: float) -> None:
    """Exactly those that, if all hopes for them come true, make the row cheaper from its front."""
    costs, success, on_time, hope = np.array(some).T
    odds, stakes = Odds.of(success, on_time), Stakes.of(float(np.median(costs)), weight)
    hopes = Odds.of(np.minimum(1, success + hope), np.minimum(1, on_time + hope))
    row = order(costs, odds, stakes)
    found = hopefuls(costs, odds, hopes, stakes, row)
    now = expected_burden(costs, odds, stakes, tuple(row[:3]))
    for place in set(range(len(some))) - {row[0]}:
        behind = expected_burden(costs, odds, stakes, tuple(row[:2]))
        burden = costs[place] + hopes.late[place] * stakes.miss
        then = hopes.success[place] * burden + hopes.failure[place] * behind
        if then != pytest.approx(now, rel=1e-4):
            assert (place in found) == (then < now)
    assert row[0] not in found


@given(offers, weights, st.data())
def test_a_trial_never_pays_in_expectation(
    some: list[tuple[float, float, float, float]], weight: float, data: st.DataObject
) -> None:
    """By what is known the row is the best: what a trial costs more is its price, never below 0."""
    costs, success, on_time, _ = np.array(some).T
    odds, stakes = Odds.of(success, on_time), Stakes.of(float(np.median(costs)), weight)
    row = order(costs, odds, stakes)
    place = data.draw(st.sampled_from(row))
    tried = trial(row, place)
    assert tried[0] == place
    assert sorted(tried) == sorted(row)
    costs_more = surcharge(costs, odds, stakes, row, place)
    assert costs_more >= -1e-9 * stakes.unserved
    assert surcharge(costs, odds, stakes, row, row[0]) == 0


def test_without_hope_nothing_is_tried() -> None:
    """What is known for certain needs no trial; a dear offer is not tried for being unknown."""
    costs = np.array([1.0, 2.0, 50.0])
    odds = Odds.of(np.full(3, 0.99), np.full(3, 0.9))
    stakes = Stakes.of(2.0, 1.0)
    row = order(costs, odds, stakes)
    assert hopefuls(costs, odds, odds, stakes, row) == []
    hopes = Odds.of(np.ones(3), np.ones(3))
    assert 2 not in hopefuls(costs, odds, hopes, stakes, row)

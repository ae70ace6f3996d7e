"""Exploring: only what could win is tried."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.ordering import Odds, Stakes, expected_burden, order
from tests.evaluate.exploring import hopefuls, least_known, trial

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


def test_without_hope_nothing_is_tried() -> None:
    """What is known for certain needs no trial; a dear offer is not tried for being unknown."""
    costs = np.array([1.0, 2.0, 50.0])
    odds = Odds.of(np.full(3, 0.99), np.full(3, 0.9))
    stakes = Stakes.of(2.0, 1.0)
    row = order(costs, odds, stakes)
    assert hopefuls(costs, odds, odds, stakes, row) == []
    hopes = Odds.of(np.ones(3), np.ones(3))
    assert 2 not in hopefuls(costs, odds, hopes, stakes, row)
    assert trial(row, 2) == [2, *(one for one in row if one != 2)]


def test_the_least_known() -> None:
    """Of those that cost less than the row, and are not known well, the one known least."""
    costs = np.array([5.0, 1.0, 1.0, 1.0, 50.0])
    odds = Odds.of(np.ones(5), np.array([1.0, 0.1, 0.1, 0.1, 1.0]))
    stakes = Stakes.of(5.0, 2.0)
    row = order(costs, odds, stakes)
    assert row[0] == 0
    assert least_known(costs, odds, stakes, row, [99.0, 7.0, 3.0, 99.0, 0.0]) == [2]
    assert least_known(costs, odds, stakes, row, [99.0, 99.0, 99.0, 99.0, 0.0]) == []

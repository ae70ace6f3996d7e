"""Hedging a floating price month by month."""

from __future__ import annotations

import numpy as np
import pytest

from hedge.backtest.futures import LEAST_MONTHS, walk_forward


def test_a_perfect_hedge_leaves_nothing() -> None:
    """What is 1.3 times the index is hedged whole, to the rounding of a double."""
    index = 2 + np.cumsum(np.random.default_rng(1).normal(0, 0.1, 40))
    found = walk_forward(1.3 * index, index, half_spread_usd=0.0)
    assert found.ratios == pytest.approx(1.3)
    assert found.variance_left == pytest.approx(0, abs=1e-12)


def test_what_does_not_follow_is_left() -> None:
    """Of prices that have nothing to do with the index, nearly none are hedged; of those that stand
    still, none, and nothing is paid."""
    rng = np.random.default_rng(2)
    index = 2 + np.cumsum(rng.normal(0, 0.1, 60))
    own = 2 + np.cumsum(rng.normal(0, 0.1, 60))
    assert (walk_forward(own, index, half_spread_usd=0.01).ratios > 0).mean() < 0.3
    still = walk_forward(np.full(60, 2.0), index, half_spread_usd=0.01)
    assert not still.ratios.any()
    assert not still.hedged_usd.any()


def test_no_month_sees_its_own() -> None:
    """The ratio of a month does not change with what that month or later ones bring."""
    rng = np.random.default_rng(3)
    index = 2 + np.cumsum(rng.normal(0, 0.1, 30))
    spot = index + rng.normal(0, 0.03, 30)
    found = walk_forward(spot, index, half_spread_usd=0.0, always=True)
    spot[20:] = 9.0
    again = walk_forward(spot, index, half_spread_usd=0.0, always=True)
    hedged = 20 - LEAST_MONTHS - 1
    assert (found.ratios[: hedged + 1] == again.ratios[: hedged + 1]).all()
    assert (found.ratios[hedged + 1 :] != again.ratios[hedged + 1 :]).any()

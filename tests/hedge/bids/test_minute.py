"""Prices within a minute, against a slow and simple dynamic program, and against all there is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.bids.minute import LEVELS, STEPS, MinutePrices, minute_prices


def naive(capacity: int, rate: float, values: list[float], seconds: float) -> list[float]:
    """What so many units left will save: requests of one unit, by chance, in tiny steps."""
    tiny = 4000
    chance = rate * seconds / tiny / len(values)
    kept = [0.0] * (capacity + 1)
    for _ in range(tiny):
        kept = [0.0] + [
            kept[left]
            + chance * sum(max(0.0, value - (kept[left] - kept[left - 1])) for value in values)
            for left in range(1, capacity + 1)
        ]
    return kept


@pytest.mark.parametrize(("rate", "values"), [(0.4, [1.0, 0.2]), (0.2, [3.0, 2.0, 1.0])])
def test_it_is_what_a_unit_will_save(rate: float, values: list[float]) -> None:
    """The price is what the last unit is expected to save later: Lee and Hersh's recursion, at a
    resolution where nothing is rounded."""
    prices = minute_prices(
        float(LEVELS), np.array([rate]), np.ones(len(values)), np.array(values)
    ).nanos_per_unit
    for seconds in (30, 60):
        kept = naive(30, rate, values, seconds)
        for left in (3, 8, 15):
            assert prices[seconds * STEPS // 60, left] == pytest.approx(
                kept[left] - kept[left - 1], rel=0.15, abs=0.03
            )


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(1, 1e5), st.floats(0.01, 1e4)), min_size=1, max_size=12),
    st.floats(0.001, 50),
    st.floats(0.2, 3),
)
def test_bounds_and_order(requests: list[tuple[float, float]], rate: float, share: float) -> None:
    """A unit is worth nothing when the minute is over and never more than the dearest request; with
    less time left never much more."""
    units, values = (np.array(one) for one in zip(*requests, strict=True))
    capacity = max(share * rate * 60 * float(units.mean()), float(units.max()))
    prices = minute_prices(capacity, np.array([rate]), units, values).nanos_per_unit
    assert prices.shape == (STEPS + 1, LEVELS + 1)
    assert (prices[0] == 0).all()
    assert (prices >= -1e-9 * values.max()).all()
    assert (prices < values.max()).all()
    assert (np.diff(prices, axis=0) >= -0.25 * values.max()).all()


def test_it_is_nothing_in_slack_and_all_in_a_flood() -> None:
    """Ten times the capacity that comes: free. A tenth: only the dearest draw."""
    units, values = np.full(40, 10.0), np.tile([1.0, 0.2], 20)
    slack = minute_prices(6000.0, np.array([1.0]), units, values)
    flood = minute_prices(60.0, np.array([1.0]), units, values)
    assert slack.price(6000.0, 0.0) == pytest.approx(0.0, abs=1e-6)
    assert 0.2 < flood.price(60.0, 0.0) < 1.0


def test_a_price_is_read_by_the_clock() -> None:
    """Minutes are those of the clock; what is left is clipped to what there is."""
    table = np.arange((STEPS + 1) * (LEVELS + 1), dtype=float).reshape(STEPS + 1, LEVELS + 1)
    prices = MinutePrices(100.0, table)
    assert prices.price(100.0, 120.0) == table[STEPS, LEVELS]
    assert prices.price(500.0, 150.0) == table[STEPS // 2, LEVELS]
    assert prices.price(-5.0, 179.999) == table[0, 0]

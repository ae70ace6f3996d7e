"""The price of a quota's unit, against what serving the dearest first makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.bids.quota import quota_price
from hedge.bids.values import BINS, PRICES, bin_of

CLASSES = st.dictionaries(st.floats(1e-3, 1e12), st.floats(0.1, 1e6), min_size=1, max_size=6)


def binned(classes: dict[float, float]) -> np.ndarray:
    to_come = np.zeros(BINS)
    for value, units in classes.items():
        to_come[bin_of(value)] += units
    return to_come


@given(st.floats(1e-6, 1e14))
def test_a_value_is_served_at_the_price_of_its_own_bin(value: float) -> None:
    """It is worth more than the price that lets its bin in, and not by more than a bin."""
    at = bin_of(value)
    assert PRICES[at] < value
    if 0 < at < BINS - 1:
        assert value < PRICES[at + 1] * (1 + 1e-5)


@given(CLASSES, st.floats(0.001, 1.5))
def test_it_is_the_value_at_the_edge_of_what_the_quota_serves(
    classes: dict[float, float], part: float
) -> None:
    """Served are the dearest classes until the quota is used up, the one at the edge in full and no
    cheaper one: the price is the dual of serving the dearest first, up to the gap between two."""
    to_come = binned(classes)
    left = part * float(to_come.sum())
    price = quota_price(left, to_come, 0.0)
    bins = sorted({bin_of(value) for value in classes}, reverse=True)
    dearest = to_come[::-1].cumsum()[::-1]
    lasts = dearest[bins[-1]] < left
    edge = 0 if lasts else next(one for one in bins if dearest[one] >= left)
    drawing = {one for one in classes if one > price}
    small = {one for one in classes if to_come[bin_of(one)] < 0.002 * to_come.sum()}
    assert drawing - small == {one for one in classes if bin_of(one) >= edge} - small


@given(CLASSES, st.floats(0, 2), st.floats(0, 2), st.floats(0, 1))
def test_less_left_is_never_cheaper(
    classes: dict[float, float], one: float, other: float, spread: float
) -> None:
    """The price falls, or stays, with what is left; with nothing to come it is nothing."""
    total, to_come = sum(classes.values()), binned(classes)
    less, more = sorted((one, other))
    assert quota_price(less * total, to_come, spread) >= quota_price(more * total, to_come, spread)
    assert quota_price(total, np.zeros(BINS), spread) == 0.0


def test_where_the_quota_may_last_the_price_lies_between() -> None:
    """Demand that is as likely to leave some as to take all: of nine amounts, each a standard
    deviation less than likely, one takes all."""
    to_come = binned({8.0: 100.0})
    price = quota_price(99.9, to_come, 0.2)
    assert price == pytest.approx(8 / 2 / 9, rel=1e-3)

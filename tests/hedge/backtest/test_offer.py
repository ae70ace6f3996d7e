"""Offers: which sizes are sold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hedge.backtest.offer import Offer


@given(
    st.floats(0, 500), st.integers(0, 200), st.integers(1, 30), st.integers(1, 10),
    st.integers(0, 200),
)  # fmt: skip
def test_the_nearest_size(units: float, held: int, least: int, step: int, room: int) -> None:
    """None, or the smallest and whole steps; within what may be held; and none is nearer."""
    offer = Offer({}, 1, least, step, least + room)
    sold = offer.sold(units, held)
    sizes = [n for n in range(least, least + room + 1, step) if held + n <= offer.max_units]
    assert sold in (0, *sizes)
    assert abs(sold - units) <= min(abs(n - units) for n in (0, *sizes)) + 1e-9

"""Offers: which sizes are sold, and dates months later."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from hedge.backtest.offer import Offer, after_months


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


def test_months_later() -> None:
    """The same day, or the month's last; back as well as on, over the year's end."""
    assert after_months(date(2026, 1, 31), 1) == date(2026, 2, 28)
    assert after_months(date(2025, 12, 15), 1) == date(2026, 1, 15)
    assert after_months(date(2026, 1, 1), -3) == date(2025, 10, 1)
    assert after_months(date(2026, 11, 30), 13) == date(2027, 12, 30)

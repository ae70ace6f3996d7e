"""What of a derivative's gain waits in equity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.cash_flow_hedge import lower_of
from ledger.money import Money

AMOUNTS = st.integers(min_value=-(10**15), max_value=10**15).map(Money)


@pytest.mark.parametrize(
    ("derivative", "item", "reserve", "result"),
    [(100, -90, 90, 10), (80, -90, 80, 0), (-100, 90, -90, -10), (100, 90, 0, 100), (0, -5, 0, 0)],
)
def test_the_lower_of_both(derivative: int, item: int, reserve: int, result: int) -> None:
    """A derivative of 100 beside an item of -90 leaves 90 in the reserve and 10 as a result; one of
    80 all of it in the reserve (IFRS 9 6.5.11)."""
    found = lower_of(Money(derivative), Money(item))
    assert (found.reserve, found.result) == (reserve, result)


@given(AMOUNTS, AMOUNTS)
def test_nothing_is_lost_and_the_reserve_is_covered(derivative: Money, item: Money) -> None:
    """Reserve and result are the derivative's gain; the reserve is never more than either."""
    found = lower_of(derivative, item)
    assert found.reserve + found.result == derivative
    assert abs(found.reserve) <= min(abs(derivative), abs(item))

"""Why a cost differs from its budget: parts that sum to the whole."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.attribution import attribute
from hedge.errors import AttributionOpen

AMOUNTS = st.decimals(min_value=0, max_value=10**9, places=9)
CHANGES = st.dictionaries(
    st.sampled_from(("index", "basis", "mix", "roll")),
    st.decimals(min_value=-(10**6), max_value=10**6, places=9),
)


def test_a_worked_example() -> None:
    """1,000 Mtok at 2.00 USD were planned; 1,200 came at 2.30, of which 0.20 the index and 0.10 the
    basis: volume 400, index 200, basis 100, both together 60, in all 760."""
    found = attribute(
        Decimal(1000),
        Decimal("2.00"),
        Decimal(1200),
        Decimal("2.30"),
        {"index": Decimal("0.20"), "basis": Decimal("0.10")},
    )
    assert (found.volume, found.cross, found.total) == tuple(map(Decimal, (400, 60, 760)))
    assert found.causes == {"index": 200, "basis": 100}


@given(AMOUNTS, AMOUNTS, AMOUNTS, CHANGES)
def test_the_parts_sum_to_the_difference(
    volume: Decimal, price: Decimal, actual: Decimal, changes: dict[str, Decimal]
) -> None:
    """Exactly, whatever the amounts."""
    actual_price = price + sum(changes.values(), Decimal(0))
    found = attribute(volume, price, actual, actual_price, changes)
    assert found.total == actual * actual_price - volume * price


def test_a_change_that_nobody_explains_is_refused() -> None:
    """With the amount that is missing."""
    with pytest.raises(AttributionOpen, match=r"other 0\.05 USD"):
        attribute(Decimal(1), Decimal(1), Decimal(1), Decimal("1.10"), {"index": Decimal("0.05")})

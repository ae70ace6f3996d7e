"""The point where costs pass a cap is found in a handful of questions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.planning.roots import ASKED_AT_MOST, NEAR, where_crosses


@given(st.floats(1.02, 9.5), st.floats(0.1, 1e6), st.floats(0.3, 4.0))
def test_a_rising_cost_is_found_where_it_passes_zero(at: float, scale: float, bend: float) -> None:
    """Convex, straight or concave: within the tolerance, on the side where it has passed, and in
    a bounded number of questions."""
    asked = []

    def over(multiple: float) -> float:
        asked.append(multiple)
        return float(scale * (multiple**bend - at**bend))

    found = where_crosses(over, 1.0, 10.0)
    assert found is not None
    assert over(found) >= 0
    assert found == pytest.approx(at, rel=4 * NEAR)
    assert len(asked) <= ASKED_AT_MOST + 3


def test_what_never_passes_is_none_and_what_has_passed_is_where_it_began() -> None:
    """No root is no number."""
    assert where_crosses(lambda multiple: multiple - 11, 1.0, 10.0) is None
    assert where_crosses(lambda multiple: multiple - 1, 1.0, 10.0) == 1.0
    assert where_crosses(lambda _: 5.0, 1.0, 10.0) == 1.0

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.effectiveness.exceedances import Exceedances


def test_four_of_thirty_six() -> None:
    """Four bad months of 36 do not refute 95%: p 0.104, interval 3.1 to 26.1% (computed)."""
    found = Exceedances(4, 36, 0.05)
    assert found.p == pytest.approx(0.1037, abs=1e-4)
    assert found.interval == pytest.approx((0.0311, 0.2606), abs=1e-4)
    assert "3.1% and 26.1%" in found.sentence()
    assert "does not prove it" in found.sentence()


@given(st.integers(1, 60), st.data(), st.sampled_from([0.01, 0.05, 0.1, 0.3]))
def test_the_chance_is_the_sum(periods: int, data: st.DataObject, promised: float) -> None:
    """p is the binomial tail, summed by hand; power is the tail of twice the chance beyond the
    first count that would be doubted."""

    def tail(least: int, chance: float) -> float:
        ways = range(least, periods + 1)
        return sum(comb(periods, k) * chance**k * (1 - chance) ** (periods - k) for k in ways)

    count = data.draw(st.integers(0, periods))
    found = Exceedances(count, periods, promised)
    assert found.p == pytest.approx(tail(count, promised))
    doubted = next((k for k in range(periods + 1) if tail(k, promised) < 0.05), periods + 1)
    assert found.power == pytest.approx(tail(doubted, 2 * promised), abs=1e-12)
    assert ("speaks against it" in found.sentence()) == (tail(count, promised) < 0.05)


def test_nothing_is_said_of_nothing() -> None:
    """Without a period, or without a promise, the sentence claims neither."""
    assert "nothing can be said" in Exceedances(0, 0, 0.05).sentence()
    found = Exceedances(1, 12, None)
    assert (found.p, found.power) == (None, None)
    assert "No approved plan promised" in found.sentence()

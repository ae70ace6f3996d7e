"""Closed forms against published and computed values, brute force and quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.closed_forms import (
    SkiRental,
    cvar_newsvendor,
    cvar_newsvendor_units,
    least_variance_weights,
    newsvendor,
    newsvendor_units,
    normal_tail,
)
from hedge.risk import cvar

demands = st.lists(st.integers(0, 60), min_size=1, max_size=40)


def test_newsvendors() -> None:
    """Demand of 100 ± 20, fee 2.4, price 3: computed values."""
    plain = newsvendor(100, 20, 2.4, 3)
    averse = cvar_newsvendor(100, 20, 2.4, 3, 0.95)
    assert (round(plain.units, 5), round(plain.cost, 5)) == (83.16758, 256.79772)
    assert (round(averse.units, 5), round(averse.cost, 5)) == (135.01372, 343.40853)
    assert 3 * normal_tail(100, 20, 0.95).cvar == pytest.approx(423.76277, abs=1e-5)


@given(demands, st.floats(0.01, 0.99), st.sampled_from([0.5, 0.8, 0.95]))
def test_newsvendors_of_samples(demand: list[int], share: float, confidence: float) -> None:
    """No size is cheaper, expected or in the tail, than the quantile: brute force over all."""
    seen = np.array(demand, dtype=float)

    def costs(units: float) -> np.ndarray:
        return share * units + np.maximum(seen - units, 0)

    sizes = range(62)
    best = newsvendor_units(seen, share, 1.0)
    assert costs(best).mean() <= min(costs(n).mean() for n in sizes) + 1e-9
    safest = cvar_newsvendor_units(seen, share, 1.0, confidence)
    assert cvar(costs(safest), confidence) <= min(cvar(costs(n), confidence) for n in sizes) + 1e-9


def test_ski_rental() -> None:
    """0.08 an hour, or 69 and 0.039: break-even and both bounds; the worst case is met exactly."""
    rent = SkiRental(0.08, 69, 0.039)
    assert rent.alpha == pytest.approx(0.4875)
    assert round(rent.break_even, 2) == 1682.93
    assert rent.worst == pytest.approx(1.5125)
    assert round(rent.bound, 5) == 1.23234
    just_over = rent.break_even * (1 + 1e-12)
    assert rent.cost(just_over, rent.break_even) / rent.least(just_over) == pytest.approx(1.5125)


@pytest.mark.parametrize("part", [0.3, 1.0, 1.7, 20.0])
def test_the_randomised_wait(part: float) -> None:
    """Averaged over its waits it costs the same share above the least for every need: the bound."""
    rent = SkiRental(0.08, 69, 0.039)
    hours = part * rent.break_even
    chances = (np.arange(20_000) + 0.5) / 20_000
    ratio = np.mean([rent.cost(hours, rent.wait(u)) for u in chances]) / rent.least(hours)
    assert ratio == pytest.approx(rent.bound, abs=3e-4)


def test_rockafellar_and_uryasev() -> None:
    """Their portfolio of three (2000, table 3), and VaR and CVaR at three confidences."""
    mean = np.array([0.0101110, 0.0043532, 0.0137058])
    upper = np.array(
        [[0.00324625, 0.00022983, 0.00420395], [0, 0.00049937, 0.00019247], [0, 0, 0.00764097]]
    )
    covariance = upper + np.triu(upper, 1).T
    weights = least_variance_weights(mean, covariance, 0.011)
    assert weights == pytest.approx([0.452013, 0.115573, 0.432414], abs=2e-6)
    sd = float(np.sqrt(weights @ covariance @ weights))
    for confidence, var, tail in (
        (0.90, 0.067847, 0.096975), (0.95, 0.090200, 0.115908), (0.99, 0.132128, 0.152977),
    ):  # fmt: skip
        found = normal_tail(-0.011, sd, confidence)
        assert (found.var, found.cvar) == pytest.approx((var, tail), abs=1e-6)

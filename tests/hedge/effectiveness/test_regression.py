from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.outliers_influence import OLSInfluence
from statsmodels.stats.stattools import durbin_watson

from hedge.effectiveness.regression import regressed
from hedge.errors import NothingToRegress
from hedge.risk import Floats

FUTURES = np.array(
    [21, 35, -46, 1, 44, -29, -26, -29, 48, -6, -36, -11, 19, -27, 29], dtype=np.float64
) / 1000  # fmt: skip
SPOT = np.array(
    [29, 20, -44, 8, 26, -19, -10, -7, 43, 11, -36, -18, 9, -32, 23], dtype=np.float64
) / 1000  # fmt: skip


def test_hulls_jet_fuel() -> None:
    """Hull, Options, Futures and Other Derivatives, example 3.5, and its regression."""
    found = regressed(SPOT, FUTURES)
    assert (round(found.sd_hedge, 4), round(found.sd_item, 4)) == (0.0313, 0.0263)
    assert (round(found.r2**0.5, 3), round(found.slope, 4)) == (0.928, 0.7777)
    assert (round(found.r2, 3), round(found.plain.t, 3)) == (0.862, 9.007)
    assert round(found.plain.f, 2) == 81.12
    assert found.plain.p == pytest.approx(5.97e-7, rel=1e-3)
    assert round(found.contracts(2e6, 42_000), 2) == 37.03


def drawn(seed: int, n: int, slope: float, leans: float) -> tuple[Floats, Floats]:
    """Item and hedge: residuals that lean on those before, and tails."""
    draws = np.random.default_rng(seed)
    hedge = draws.standard_t(4, n)
    noise = draws.standard_normal(n)
    for at in range(1, n):
        noise[at] += leans * noise[at - 1]
    return slope * hedge + noise + 0.3, hedge


@given(
    st.integers(0, 10_000),
    st.integers(4, 200),
    st.floats(-3, 3),
    st.floats(-0.9, 0.9),
    st.none() | st.integers(0, 3),
)
def test_statsmodels_is_the_judge(
    seed: int, n: int, slope: float, leans: float, lags: int | None
) -> None:
    """Every number of the regression, HAC errors and influence too, is statsmodels', to 1e-10."""
    item, hedge = drawn(seed, n, slope, leans)
    found = regressed(item, hedge, lags)
    plain = sm.OLS(item, sm.add_constant(hedge)).fit()
    hac = sm.OLS(item, sm.add_constant(hedge)).fit(
        cov_type="HAC", cov_kwds={"maxlags": found.lags, "use_correction": False}, use_t=True
    )
    ours = [
        *(found.intercept, found.slope, found.r2, found.plain.error, found.plain.t),
        *(found.plain.f, found.plain.p, found.hac.error, found.hac.t, found.hac.p),
        *(found.durbin_watson, *found.interval(), *found.interval(0.99)),
    ]
    theirs = [
        *(*plain.params, plain.rsquared, plain.bse[1], plain.tvalues[1]),
        *(plain.fvalue, plain.pvalues[1], hac.bse[1], hac.tvalues[1], hac.pvalues[1]),
        durbin_watson(plain.resid),
        *(*plain.conf_int(0.05)[1], *plain.conf_int(0.01)[1]),
    ]
    assert ours == pytest.approx(theirs, rel=1e-10, abs=1e-10)
    judge = OLSInfluence(plain)
    assert found.leverages == pytest.approx(judge.hat_matrix_diag, rel=1e-10)
    assert found.cooks_distances == pytest.approx(judge.cooks_distance[0], rel=1e-8)


@given(st.integers(0, 1000), st.floats(5, 40))
def test_far_out_p_is_not_zero(seed: int, slope: float) -> None:
    """A p of 1e-100 is told as such, where 1 - cdf would be 0: statsmodels' to a relative 1e-10."""
    item, hedge = drawn(seed, 120, slope, 0.0)
    theirs = sm.OLS(item, sm.add_constant(hedge)).fit().pvalues[1]
    found = regressed(item, hedge).plain.p
    assert 0 < found < 1e-40
    assert found == pytest.approx(theirs, rel=1e-10)


@given(st.integers(0, 1000), st.sampled_from([1e-9, 1e-3, 1e6]), st.sampled_from([1e-6, 1e5]))
def test_units_do_not_matter(seed: int, item_unit: float, hedge_unit: float) -> None:
    """In other units the slope scales, and every ratio and chance stays."""
    item, hedge = drawn(seed, 40, 0.8, 0.2)
    plain, other = regressed(item, hedge), regressed(item * item_unit, hedge * hedge_unit)
    assert other.slope * hedge_unit / item_unit == pytest.approx(plain.slope)
    assert (other.r2, other.plain.t, other.hac.p) == pytest.approx(
        (plain.r2, plain.plain.t, plain.hac.p)
    )


def test_a_perfect_hedge() -> None:
    """Of pairs that all lie on a line nothing is left: R² 1, p 0, no residual, no influence."""
    hedge = np.array([0.3, -0.1, 0.7, 0.2])
    found = regressed(2 * hedge + 1, hedge)
    assert (found.r2, found.plain.p, found.plain.t) == (1, 0, np.inf)
    assert not found.residuals.any()
    assert not found.cooks_distances.any()
    assert found.slope == pytest.approx(2)


@pytest.mark.parametrize(
    ("item", "hedge", "says"),
    [
        ([1.0, 2.0], [1.0, 2.0], "2 changes of the item"),
        ([1.0, 2.0, 3.0], [1.0, 2.0], "2 of the hedge"),
        ([1.0, 2.0, 3.0], [0.5, 0.5, 0.5], "the hedge changed by 0.5 in every period"),
        ([0.0, 0.0, 0.0], [0.1, 0.5, 0.5], "the item changed by 0 in every period"),
        ([1.0, 2.0, 4.0], [100.2 - 100.1, 100.3 - 100.2, 100.4 - 100.3], "the hedge changed by"),
        ([1e160, 2e160, 4e160], [1.0, 2.0, 3.0], "too large or too small"),
        ([1.0, 2.0, 4.0], [1e-200, 2e-200, 3e-200], "too large or too small"),
    ],
)
def test_nothing_to_regress(item: list[float], hedge: list[float], says: str) -> None:
    """Too few pairs, or a side that never moves, are refused in words: not NaN."""
    with pytest.raises(NothingToRegress, match=says):
        regressed(np.array(item), np.array(hedge))

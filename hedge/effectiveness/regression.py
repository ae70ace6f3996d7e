"""Regression: of changes of what is hedged on changes of what hedges it, an intercept in it.

Ordinary least squares; standard errors also as Newey and West (1987) estimate them, with Bartlett's
weights, because changes of prices often lean on those before.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, inf, sqrt

import numpy as np
from scipy.special import betainc, stdtrit

from hedge.errors import NothingToRegress
from hedge.risk import Floats

LEAST_PAIRS = 3


@dataclass(frozen=True, slots=True)
class Significance:
    """Of the slope. error: its standard error. t: slope / error. p: two-sided, by Student's
    distribution with n - 2 degrees of freedom."""

    error: float
    t: float
    p: float

    @property
    def f(self) -> float:
        """Fisher's statistic, of one regressor."""
        return self.t * self.t


@dataclass(frozen=True, slots=True)
class Regression:
    """item = intercept + slope × hedge + residual.

    slope: the hedge ratio that leaves the least variance (Ederington 1979). r2: the part of the
    item's variance that it takes away. plain, hac: with independent residuals, and with ones that
    lean on those up to `lags` periods before. autocorrelation: of residuals, one period apart;
    durbin_watson: about 2 without any. residuals, leverages, in the order of the pairs.
    """

    n: int
    sd_item: float
    sd_hedge: float
    slope: float
    intercept: float
    r2: float
    plain: Significance
    hac: Significance
    lags: int
    autocorrelation: float
    durbin_watson: float
    residuals: Floats
    leverages: Floats

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Of the slope, by its plain error."""
        wide = float(stdtrit(self.n - 2, 0.5 + confidence / 2)) * self.plain.error
        return self.slope - wide, self.slope + wide

    def contracts(self, exposure: float, size: float) -> float:
        """How many of `size` units hedge `exposure` units with the least variance."""
        return self.slope * exposure / size

    @property
    def cooks_distances(self) -> Floats:
        """How far each pair alone pulls the line (Cook 1977); zeros where the line fits whole."""
        spread = float(self.residuals @ self.residuals) / (self.n - 2)
        if not spread:
            return np.zeros(self.n)
        free = np.maximum(1 - self.leverages, np.finfo(float).eps)
        return np.asarray(self.residuals**2 * self.leverages / (2 * spread * free**2))


_SAME = 1e-12
"""Of the largest change: changes taken of values differ by so little through rounding alone."""


def regressed(item: Floats, hedge: Floats, lags: int | None = None) -> Regression:
    """Of changes in the same periods, oldest first. lags: of the HAC error; by default
    ⌊4 (n / 100)^(2/9)⌋, Newey and West's (1994).

    Raises NothingToRegress for fewer than three pairs, or a side that never changes alike.
    """
    n = len(item)
    if n != len(hedge) or n < LEAST_PAIRS:
        raise NothingToRegress(
            f"{n} changes of the item and {len(hedge)} of the hedge: a regression takes"
            f" {LEAST_PAIRS} pairs or more"
        )
    for name, side in (("item", item), ("hedge", hedge)):
        if np.ptp(side) <= np.abs(side).max() * _SAME:
            raise NothingToRegress(
                f"the {name} changed by {side[0]:g} in every period: there is nothing to regress"
            )
    x, y = hedge - hedge.mean(), item - item.mean()
    with np.errstate(over="ignore"):
        sxx, syy = float(x @ x), float(y @ y)
    if not all(0 < one < inf for one in (sxx, syy)):
        raise NothingToRegress(
            "the changes are too large or too small to be squared: give both in a unit in which"
            " they are neither"
        )
    slope = float(x @ y) / sxx
    residuals = y - slope * x
    sse = float(residuals @ residuals)
    if sse <= syy * (n * np.finfo(float).eps) ** 2:
        residuals, sse = np.zeros(n), 0.0
    lags = floor(4 * (n / 100) ** (2 / 9)) if lags is None else lags
    ahead, behind = residuals[1:], residuals[:-1]
    return Regression(
        n=n,
        sd_item=sqrt(syy / (n - 1)),
        sd_hedge=sqrt(sxx / (n - 1)),
        slope=slope,
        intercept=float(item.mean() - slope * hedge.mean()),
        r2=1 - sse / syy,
        plain=_significance(slope, sqrt(sse / (n - 2) / sxx), n),
        hac=_significance(slope, _hac_error(x, residuals, lags), n),
        lags=lags,
        autocorrelation=float(ahead @ behind) / sse if sse else 0.0,
        durbin_watson=float((ahead - behind) @ (ahead - behind)) / sse if sse else 2.0,
        residuals=residuals,
        leverages=1 / n + x * x / sxx,
    )


def _significance(slope: float, error: float, n: int) -> Significance:
    if not error:
        return Significance(0.0, inf if slope > 0 else -inf, 0.0)
    t, freedom = slope / error, n - 2
    # Student's two tails as an incomplete beta function: exact far out, where 1 - cdf is zero.
    return Significance(error, t, float(betainc(freedom / 2, 0.5, freedom / (freedom + t * t))))


def _hac_error(x: Floats, residuals: Floats, lags: int) -> float:
    """Of the slope: with an intercept, the scores of the slope are those of the centred hedge."""
    scores = x * residuals
    total = float(scores @ scores)
    for lag in range(1, min(lags, len(x) - 1) + 1):
        total += 2 * (1 - lag / (lags + 1)) * float(scores[lag:] @ scores[:-lag])
    return sqrt(max(total, 0.0)) / float(x @ x)

"""Futures: GPU-hours at a floating price, hedged by an index with the least variance.

One month at a time, at the index of the month before (a flat curve: nobody publishes a deep one),
with half a spread on the way in. What is hedged is decided from the months before alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedge.effectiveness.regression import regressed
from hedge.risk import Floats

LEAST_MONTHS = 12
"""Of changes, before a ratio is believed at all."""
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Futures:
    """Per GPU-hour of each hedged month. surprise_usd: what it cost above the month before,
    without futures; hedged_usd: with them. ratios: index hours bought per hour."""

    surprise_usd: Floats
    hedged_usd: Floats
    ratios: Floats

    @property
    def variance_left(self) -> float:
        """Of the surprises' variance; 1 where nothing was hedged, or nothing moved."""
        before = float(np.var(self.surprise_usd))
        return float(np.var(self.hedged_usd)) / before if before else 1.0


def walk_forward(
    spot_usd: Floats, index_usd: Floats, *, half_spread_usd: float, always: bool = False
) -> Futures:
    """By month. A ratio that is not significant, or below 0, is taken as none: buying futures
    against what does not follow their index is a bet; `always` bets."""
    months = range(LEAST_MONTHS + 1, len(spot_usd))
    spot, index = np.diff(spot_usd), np.diff(index_usd)
    ratios = np.array([_ratio(spot[: t - 1], index[: t - 1], always) for t in months])
    now = np.array(months) - 1
    gains = ratios * index[now] - np.abs(ratios) * half_spread_usd
    return Futures(spot[now], spot[now] - gains, ratios)


def _ratio(spot: Floats, index: Floats, always: bool) -> float:
    if np.ptp(spot) == 0 or np.ptp(index) == 0:
        return 0.0
    found = regressed(spot, index)
    believed = found.plain.p < SIGNIFICANT and found.slope > 0
    return found.slope if always or believed else 0.0

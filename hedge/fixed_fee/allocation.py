"""Allocation: each team's share of what the platform risks.

CVaR is positively homogeneous, so it is the sum of its marginal contributions (Euler): with the
weights that make the tail of the whole, a team's share is the weighted mean of its own cost
(Tasche 1999). A team whose dear months are not the platform's dear months adds little, and no share
is more than the team's CVaR alone.
"""

from __future__ import annotations

import numpy as np

from hedge.risk import Floats, tail_weights


def euler_shares(costs: Floats, confidence: float) -> Floats:
    """What each part adds to the CVaR of their sum [parts], of costs [parts, scenarios]. They sum
    to that CVaR."""
    return np.asarray(costs @ tail_weights(costs.sum(axis=0), confidence), dtype=np.float64)

"""What a unit of a quota is worth: the dual of serving what is left of its window.

With Q units left and D to come, the LP of the rest of the window serves the dearest Q of them; its
dual is the value at the edge. What is to come is uncertain, so the price is the mean of the duals
over likely amounts (the randomised linear program of Talluri and van Ryzin, 1999): where the quota
lasts in most of them and not in all, it is between nothing and the value at the edge. The two ways
to be wrong differ: a unit drawn too early costs the difference of two alternatives, one kept for
demand that does not come costs all of its own. So the amounts are a little less than likely ones.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hedge.bids.values import PRICES
from hedge.risk import Floats

Integers = NDArray[np.intp]

AMOUNTS = 9
PRUDENCE = 1.0
"""So many standard deviations less than likely is counted on."""
_DEVIATES = np.array([NormalDist().inv_cdf((k + 0.5) / AMOUNTS) - PRUDENCE for k in range(AMOUNTS)])
"""Middles of equally likely parts of a normal distribution."""
LEAST_CLASS = 1e-3
"""Of all units; what is less is no class."""


def quota_price(units_left: float, to_come: Floats, spread: float) -> float:
    """Nano-USD per capacity unit: a request whose alternative costs more draws.

    to_come: expected units until the window ends, by value bin [BINS]. spread: the standard
    deviation of all of them together, as a share. The class at the edge is served in full until
    the next price says otherwise: half of its requests, drawn by lot, would serve no more, and
    could leave quota unused.
    """
    from_dearest = to_come[::-1].cumsum()
    amounts = np.exp(spread * _DEVIATES - spread * spread / 2)
    at = np.searchsorted(from_dearest, units_left / amounts, side="left")
    last = len(to_come) - 1  # beyond the cheapest class the quota lasts
    classes = np.flatnonzero(to_come > LEAST_CLASS * from_dearest[-1])
    return sum(_below(last - one, classes) for one in at.tolist() if one <= last) / AMOUNTS


def _below(at: int, classes: Integers) -> float:
    """Between the class at the edge and the next cheaper one: the router takes offers of nearly
    the same cost by lot, and the class would draw in part."""
    edge = PRICES.item(at)
    cheaper = int(np.searchsorted(classes, at)) - 1
    if cheaper < 0:
        return edge / 2
    return math.sqrt(edge * PRICES.item(int(classes[cheaper]) + 1))

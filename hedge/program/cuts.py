"""Cuts: what has been learned of recourse, month by month: it costs at least constant + slope . c.

Recourse is convex in the capacity c of the pools, so that its linearisation anywhere bounds it from
below everywhere: its mean, and its mean under any weights of scenarios that sum to 1 and are none
above 1 / (1 - confidence) of an even one, which bounds its CVaR. Weights are kept with the cut,
since what lots lose and lines gain by scenario is linear and added when the master is built: so
cuts hold for other fees, caps, sizes and lines.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from hedge.program.merit import Costs
from hedge.risk import Floats

MOST_CUTS = 250
"""Of each kind and month. The first ones make room: they lie far from where the answer is."""


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """slope_usd: per capacity unit [pools]; of a whole horizon [months, pools]. weights: of the
    scenarios [scenarios]."""

    constant_usd: float
    slope_usd: Floats
    weights: Floats


def _kept() -> deque[Cut]:
    return deque(maxlen=MOST_CUTS)


@dataclass(slots=True)
class Cuts:
    """mean, tail: by month. horizon: of the sum of all months in its tail."""

    mean: tuple[deque[Cut], ...]
    tail: tuple[deque[Cut], ...]
    horizon: deque[Cut] = field(default_factory=_kept)

    @classmethod
    def none(cls, months: int) -> Cuts:
        return cls(tuple(_kept() for _ in range(months)), tuple(_kept() for _ in range(months)))

    def copy(self) -> Cuts:
        """What is learned by the one is not learned by the other."""
        return Cuts(
            tuple(one.copy() for one in self.mean),
            tuple(one.copy() for one in self.tail),
            self.horizon.copy(),
        )

    def add(self, capacity: Floats, costs: Costs, tail: Floats, horizon: Floats) -> None:
        """What `costs` at `capacity` [pools, months] say, in the tails of these weights: by month
        [scenarios, months], and of the horizon [scenarios]."""
        even = np.full(len(horizon), 1 / len(horizon))
        for t, (mean, worst) in enumerate(zip(self.mean, self.tail, strict=True)):
            for kept, weights in ((mean, even), (worst, tail[:, t])):
                slope = weights @ costs.slope_usd[:, t]
                value = float(weights @ costs.cost_usd[:, t])
                kept.append(Cut(value - float(slope @ capacity[:, t]), slope, weights))
        slope = np.einsum("s,stp->tp", horizon, costs.slope_usd)
        value = float(horizon @ costs.cost_usd.sum(axis=1))
        self.horizon.append(Cut(value - float((slope * capacity.T).sum()), slope, horizon))

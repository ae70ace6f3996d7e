"""Duals: what capacity is worth at a holding, and what a cap costs.

Whole units have no prices, so that the two come from two places. Capacity prices are those of
serving at the holding as it is. The price of a month's cap is that of the program without whole
units: with them the cap is mostly missed by a little, and would seem to cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedge.risk import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Duals:
    """unit_usd: what one more unit of a pool would have saved in a block; of a quota, the same in
    all of a month [scenarios, months, blocks, pools].
    cap_usd_per_usd: what a USD more of each month's cap would save [months].
    weights: a USD saved there is worth so much: its chance, and what it takes off a cap that costs
    something [scenarios, months]; of one month they sum to 1 + cap_usd_per_usd.
    more_usd: what one more unit in all of a month saves, in these weights, and fewer_usd what one
    fewer costs [pools, months]: where they differ, any price between is right.
    """

    unit_usd: Floats
    cap_usd_per_usd: Floats
    weights: Floats
    more_usd: Floats
    fewer_usd: Floats

    def worth_usd(self, scenarios: Floats | None = None) -> Floats:
        """A unit's value, risk-adjusted, in each month and block, for the router to weigh a request
        against [months, blocks, pools].

        scenarios: how much each of them counts [scenarios], as 0 where the load is not the one that
        is seen; None counts all. Months in which none counts are 0.
        """
        weights = self.weights if scenarios is None else self.weights * scenarios[:, None]
        total = weights.sum(axis=0)
        worth = np.einsum("st,stbp->tbp", weights, self.unit_usd)
        return np.asarray(worth / np.where(total > 0, total, 1.0)[:, None, None])

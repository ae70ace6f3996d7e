"""Recourse: the least that a month can cost once the units are held, and its slope in the units.

Per scenario it is a linear program: reserved throughput serves for nothing what fits into each
block, quota and overage serve tokens anywhere in the month at their price, pay-as-you-go serves the
rest. Its dual has a closed form. Let w be the price of a token of quota: the lowest at which what
the tranches below w bring covers the remaining demand that is dearer than w. Then a block that
throughput does not carry whole is worth min(pay-as-you-go, w) per token (what was paid for without
tokens, no contract can serve), and

    cost(n) >= sum over those blocks of worth * (1 - share . n) - sum over tranches of
               max(0, w - price) * tokens . n

for every n, with equality at the n that w and the blocks come from: value and subgradient at once,
which is what the L-shaped method asks for (Van Slyke and Wets 1969). The primal side is
`hedge.month.bills`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedge.month.loads import Loads
from hedge.month.scenarios import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Recourse:
    """cost_usd: without fees, at the units asked about [scenarios].

    slope_usd: a subgradient, per unit [scenarios, contracts]; never above 0.
    """

    cost_usd: Floats
    slope_usd: Floats


def recourse(loads: Loads, units: Floats) -> Recourse:
    carried = np.minimum(np.tensordot(units, loads.share, axes=1), 1.0)
    price = _quota_price(loads, units, carried)
    most_usd = np.where(loads.mtok > 0, price[:, None] * loads.mtok, np.inf)
    worth = np.minimum(loads.list_usd, most_usd) * (carried < 1)
    slope = -np.einsum("ksb,sb->sk", loads.share, worth)
    for tranche in loads.tranches:
        slope[:, tranche.contract] -= np.maximum(price - tranche.usd_per_mtok, 0) * tranche.mtok
    return Recourse(worth.sum(axis=1) + slope @ units, slope)


def _quota_price(loads: Loads, units: Floats, carried: Floats) -> Floats:
    """The price w of each scenario, USD per Mtok [scenarios]: where supply meets demand."""
    left = loads.mtok * (1 - carried)
    price = np.take_along_axis(loads.usd_per_mtok, loads.dearest_first, axis=1)
    left_dearest_first = np.take_along_axis(left, loads.dearest_first, axis=1)
    dearer = np.cumsum(left_dearest_first, axis=1) - left_dearest_first

    supply = np.zeros_like(dearer)
    for tranche in loads.tranches:
        supply += (tranche.usd_per_mtok <= price) * tranche.mtok * units[tranche.contract]
    clears: Floats = np.where(supply >= dearer, price, np.inf).min(axis=1)
    brought = 0.0
    for tranche in loads.tranches:
        brought += tranche.mtok * units[tranche.contract]
        demand = (left * (loads.usd_per_mtok > tranche.usd_per_mtok)).sum(axis=1)
        at_tranche = np.where(brought >= demand, tranche.usd_per_mtok, np.inf)
        clears = np.minimum(clears, at_tranche)
    return clears

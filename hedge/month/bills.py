"""Bills: what a holding would be billed in every scenario, by plain arithmetic.

The way a person would check it, and nothing that the program uses: reserved throughput first (it is
free and perishes), then the dearest tokens that are left go to the cheapest quota that is left, as
long as it is cheaper than pay-as-you-go.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedge.month.loads import Loads
from hedge.month.scenarios import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Bills:
    """total_usd: fees, overage and pay-as-you-go [scenarios].

    utilisation: mean used part of what each contract's units bring, 0 to 1, overage not counted;
        0 for a contract of which nothing is held [contracts].
    """

    total_usd: Floats
    utilisation: Floats


def bills(loads: Loads, minutes: Floats, units: Floats) -> Bills:
    scenarios, blocks = loads.mtok.shape
    months = np.arange(scenarios)
    offered = np.tensordot(units, loads.share, axes=1)
    left_mtok = loads.mtok * (1 - np.minimum(offered, 1.0))
    quota_left = [
        np.full(scenarios, tranche.mtok * units[tranche.contract]) for tranche in loads.tranches
    ]
    overage_usd = np.zeros(scenarios)

    for rank in range(blocks):
        block = loads.dearest_first[:, rank]
        price = loads.usd_per_mtok[months, block]
        for tranche, quota in zip(loads.tranches, quota_left, strict=True):
            cheaper = tranche.usd_per_mtok < price
            taken = np.where(cheaper, np.minimum(left_mtok[months, block], quota), 0.0)
            left_mtok[months, block] -= taken
            quota[:] -= taken
            overage_usd += taken * tranche.usd_per_mtok
    without_tokens_usd = np.where(loads.mtok > 0, 0.0, loads.list_usd)
    paid_usd = (left_mtok * loads.usd_per_mtok + without_tokens_usd).sum(axis=1)

    utilisation = np.zeros(len(units))
    held = units > 0
    for tranche, quota in zip(loads.tranches, quota_left, strict=True):
        if held[tranche.contract] and tranche.usd_per_mtok == 0:
            brought = tranche.mtok * units[tranche.contract]
            utilisation[tranche.contract] = 1 - quota.mean() / brought
    # What is offered beyond a block's load perishes; contracts of one pool share that loss alike.
    part_used = 1 / np.maximum(offered, 1.0)
    for k in np.flatnonzero(held & loads.share.any(axis=(1, 2))):
        busy = np.where(loads.share[k] > 0, part_used, 0.0)
        utilisation[k] = (busy @ minutes).mean() / minutes.sum()
    return Bills(float(units @ loads.fee_usd) + overage_usd + paid_usd, utilisation)

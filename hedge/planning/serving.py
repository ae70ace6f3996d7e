"""Serving: whether a dispatch can be, and is cheapest, by weak duality.

Any prices of capacity, none below 0, prove a lower bound on what a month costs: serve each block at
the cheaper of pay-as-you-go and of its capacity at those prices, less what all capacity is worth at
them. Where a way of serving that keeps within the capacity costs no more than that bound, nothing
is cheaper. No solver is needed to see it, and none is believed.
"""

from __future__ import annotations

import numpy as np

from hedge.errors import PlanDoesNotVerify
from hedge.program.holding import Dispatch
from hedge.program.menu import Menu, Pool
from hedge.risk import Floats
from hedge.scenarios.months import Months

FEASIBLE = 1e-6
"""Relative: shares and capacity are sums of floats."""


def takes(pool: Pool, months: Months) -> Floats:
    """Capacity units that a whole block would take of a pool [scenarios, months, blocks,
    workloads]."""
    return months.amounts @ pool.takes + pool.takes_list_usd * months.list_usd


def check_serving(
    menu: Menu, months: Months, capacity: Floats, served: Dispatch, tolerance: float
) -> None:
    """Raises PlanDoesNotVerify for shares that are none, capacity that is not there, a cost that is
    not theirs, and one above the lower bound by more than `tolerance` of pay-as-you-go."""
    shares, overage = served.served, served.overage_units
    if shares.size and (shares.min() < -FEASIBLE or shares.sum(axis=-1).max() > 1 + FEASIBLE):
        raise PlanDoesNotVerify("a block is served more than once, or less than not at all")
    if overage.size and overage.min() < -FEASIBLE:
        raise PlanDoesNotVerify("an overage is negative")

    cost = (months.list_usd * (1 - shares.sum(axis=-1))).sum(axis=(2, 3))
    cheapest = months.list_usd.copy()
    worth = np.zeros_like(cost)
    for place, pool in enumerate(menu.pools):
        taken = takes(pool, months)
        price = served.unit_usd[..., place]
        if price.size and price.min() < 0:
            raise PlanDoesNotVerify(f"capacity of {pool.name} has a negative price")
        price = _below_endless(pool, capacity[place], price)
        if (shares[..., np.logical_not(pool.serves), place] > FEASIBLE).any():
            raise PlanDoesNotVerify(f"{pool.name} serves what it may not")
        used = (taken * shares[..., place]).sum(axis=3)
        there = capacity[place][None, :] * (1.0 if pool.delivered is None else pool.delivered)
        if pool.perishes:
            in_block = there[:, :, None] * months.minutes[None, :, :]
            _within(pool, used, in_block)
            worth += (in_block * price).sum(axis=2)
        else:
            more = overage[..., place]
            _within(pool, used.sum(axis=2), there + more)
            cost += _overage_usd(pool, capacity[place], more)
            worth += there * price[..., 0] + _tranches_worth(pool, capacity[place], price[..., 0])
        at_price = np.where(pool.serves, taken * price[..., None], np.inf)
        np.minimum(cheapest, at_price, out=cheapest)

    _same("cost of serving", cost, served.cost_usd)
    bound = cheapest.sum(axis=(2, 3)) - worth
    whole_usd = float(months.list_usd.sum(axis=(1, 2, 3)).mean()) or 1.0
    over = float((cost - bound).sum(axis=1).mean()) / whole_usd
    if over > tolerance:
        raise PlanDoesNotVerify(
            f"the months could be served for {over:.2%} less than the plan serves them: "
            "do not act on this plan, and report it"
        )


def _within(pool: Pool, used: Floats, there: Floats) -> None:
    over = used - there
    if over.size and float(over.max()) > FEASIBLE * max(1.0, float(np.abs(used).max())):
        raise PlanDoesNotVerify(
            f"{pool.name} serves {float(over.max()):,.0f} units more than there are"
        )


def _overage_usd(pool: Pool, held: Floats, units: Floats) -> Floats:
    """What units beyond the quota cost, cheapest tranche first [scenarios, months]."""
    left, cost = units.copy(), np.zeros_like(units)
    for tranche in pool.overage:
        part = np.minimum(left, _room(tranche.units, held))
        cost += part * tranche.usd_per_unit
        left -= part
    if left.size and float(left.max()) > FEASIBLE * max(1.0, float(units.max())):
        raise PlanDoesNotVerify(f"{pool.name} is used beyond what its overage allows")
    return cost


def _tranches_worth(pool: Pool, held: Floats, price: Floats) -> Floats:
    """What the right to overage is worth at a price of its units [scenarios, months]."""
    worth = np.zeros_like(price)
    for tranche in pool.overage:
        gain = np.maximum(price - tranche.usd_per_unit, 0.0)
        room = np.broadcast_to(_room(tranche.units, held), gain.shape)
        worth += np.multiply(gain, room, out=np.zeros_like(gain), where=gain > 0)
    return worth


def _below_endless(pool: Pool, held: Floats, price: Floats) -> Floats:
    """Prices of a quota, none above an overage that has no end: no unit is worth more than that.

    Those that a search found may lie a little above it, and would then prove nothing at all.
    """
    endless = [one.usd_per_unit for one in pool.overage if np.isinf(one.units)]
    if not endless:
        return price
    most = np.where(held > 0, min(endless), np.inf)
    return np.asarray(np.minimum(price, most[None, :, None]))


def _room(units: float, held: Floats) -> Floats:
    """Of a tranche, in all that is held [1, months]; without an end where it has none."""
    if np.isinf(units):
        return np.where(held > 0, np.inf, 0.0)[None, :]
    return (units * held)[None, :]


def _same(what: str, mine: Floats, stated: Floats) -> None:
    off = np.abs(mine - stated)
    if off.size and float((off - FEASIBLE * np.abs(mine)).max()) > 0.01:
        raise PlanDoesNotVerify(
            f"the {what} is stated as {float(stated.mean()):,.2f} USD a month, plain arithmetic "
            f"arrives at {float(mine.mean()):,.2f}: do not act on this plan, and report it"
        )

"""Use: how much of a pool is used, and what a unit of it is worth at pay-as-you-go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedge.planning.serving import takes
from hedge.program.holding import Dispatch
from hedge.program.menu import Lot, Menu
from hedge.risk import Floats
from hedge.scenarios.months import Months


def units_used(menu: Menu, months: Months, served: Dispatch) -> Floats:
    """Mean capacity units that each pool serves in a month, overage included [pools, months]."""
    used = np.zeros((len(menu.pools), len(months.firsts)))
    for place, pool in enumerate(menu.pools):
        share = served.served[..., place]
        used[place] = (takes(pool, months) * share).sum(axis=(2, 3)).mean(axis=0)
    return used


def units_in_month(menu: Menu, months: Months, capacity: Floats) -> Floats:
    """Capacity units that a pool's capacity comes to in a whole month [pools, months]."""
    perishes = np.array([pool.perishes for pool in menu.pools], dtype=bool)[:, None]
    return np.asarray(np.where(perishes, capacity * months.minutes.sum(axis=1), capacity))


def usd_per_unit(menu: Menu, months: Months) -> Floats:
    """What the requests that a pool may serve cost at pay-as-you-go, per capacity unit that they
    would take of it, over all months; 0 for a pool that may serve nothing [pools]."""
    worth = np.zeros(len(menu.pools))
    for place, pool in enumerate(menu.pools):
        units = float(takes(pool, months)[..., pool.serves].sum())
        if units > 0:
            worth[place] = float(months.list_usd[..., pool.serves].sum()) / units
    return worth


@dataclass(frozen=True, slots=True)
class Use:
    """Of some units of a lot. part: that is expected to be used. break_even: that has to be, for
    the fee to equal what these units spare elsewhere; above 1 not even full use is enough."""

    part: float
    break_even: float


def use_of(
    lot: Lot,
    starts: Floats,
    menu: Menu,
    months: Months,
    *,
    used_units: float,
    spared_usd: float,
    usd_per_unit: float,
) -> Use | None:
    """starts: the units by month [months]. used_units: that they serve in all months. spared_usd:
    what the months cost less for it, fees aside. usd_per_unit: at pay-as-you-go, for a lot of which
    nothing is used. None where it can serve nothing."""
    owned = np.zeros((len(menu.pools), len(months.firsts)))
    owned[lot.pool] = starts @ lot.brings
    full = float(units_in_month(menu, months, owned)[lot.pool].sum())
    fee_usd = float((starts @ lot.fee_usd).sum() - starts @ lot.end_value_usd)
    is_used = used_units > 1e-6 * full and spared_usd > 0
    price = spared_usd / used_units if is_used else usd_per_unit
    if full <= 0 or price <= 0:
        return None
    return Use(max(0.0, used_units / full), fee_usd / (full * price))

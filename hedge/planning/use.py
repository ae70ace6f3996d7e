"""Use: how much of a pool is used, and what a unit of it is worth at pay-as-you-go."""

from __future__ import annotations

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


def break_even(lot: Lot, start: int, menu: Menu, months: Months, worth: Floats) -> float | None:
    """The part of a unit, bought to start in a month, that has to be used for its fee to equal
    pay-as-you-go. Above 1 pay-as-you-go is always cheaper. None where it can serve nothing."""
    owned = np.zeros((len(menu.pools), len(months.firsts)))
    owned[lot.pool] = lot.brings[start]
    full_usd = float(units_in_month(menu, months, owned)[lot.pool].sum() * worth[lot.pool])
    fee_usd = float(lot.fee_usd[start].sum() - lot.end_value_usd[start])
    return fee_usd / full_usd if full_usd > 0 else None

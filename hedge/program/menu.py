"""Menu: what can be bought, as arrays: the one form in which the program sees contracts.

Contracts that are perfect substitutes once they are there share a pool: they differ in what they
cost and for how long they last, not in what they serve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hedge.risk import Floats


@dataclass(frozen=True, slots=True)
class Tranche:
    """Units beyond what is prepaid, at a price each. units: per capacity unit held; inf: no end."""

    usd_per_unit: float
    units: float


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Capacity of one kind.

    perishes: True for capacity units per minute, False for a quota of units per month.
    takes: capacity units per token of each kind [4]; takes_list_usd: per USD at pay-as-you-go (a
        spend commitment's unit). serves: which workloads it may serve [workloads] bool.
    delivered: the part of what was bought that is there [scenarios, months]; None is all of it.
    overage: beyond a quota, cheapest first; a request for which it is dearer than pay-as-you-go
        goes there.
    """

    name: str
    perishes: bool
    takes: Floats
    serves: Floats
    takes_list_usd: float = 0.0
    delivered: Floats | None = None
    overage: tuple[Tranche, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Lot:
    """One contract at one term length.

    pool: its place in `Menu.pools`. min_units, step: of one purchase; max_units: held at any time.
    fee_usd: per unit that was bought to start in a month (row), what is due in each month (column)
        [months, months]. brings: capacity of the pool that such a unit brings in each month, per
        minute or per month [months, months]; 0 outside its term, and all 0 in a row in which it
        cannot be bought.
    loss_usd: what a prepaid unit loses when its counterparty fails, by scenario
        [scenarios, months, months] (start, month); None is nothing.
    end_value_usd: of the unexpired part of a unit after the last month, by start [months].
    """

    contract: str
    term_months: int
    pool: int
    min_units: int
    step: int
    max_units: int
    fee_usd: Floats
    brings: Floats
    end_value_usd: Floats
    loss_usd: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Lots of one derivative, bought (side 1) or sold (-1) now at what can be executed.

    gain_usd: what a lot pays in each month, entry and all fees in it [scenarios, months].
    marked_usd: gain or loss to each margin check [scenarios, checks]; margin_usd: initial, per lot.
    max_lots: that can be executed or held. exposure_units: index units that a lot stands for, with
        the sign of its side, by month [months], for `Exposure`.
    """

    contract: str
    month: int
    side: int
    max_lots: int
    gain_usd: Floats
    marked_usd: Floats
    margin_usd: float
    index: str
    exposure_units: Floats
    is_whole: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """No over-hedge: all lines of an index together stay between 0 and these units [months]."""

    index: str
    most_units: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """Σ lots × per_unit <= at_most: of a counterparty's prepayments in a month, of a provider.

    per_unit: by place in `Menu.lots`, for each start month [months].
    """

    name: str
    per_unit: Mapping[int, Floats]
    at_most: float


@dataclass(frozen=True, slots=True, eq=False)
class Menu:
    """held: capacity that existing commitments bring to each pool [pools, months]. held_fee_usd:
    what they cost in each month [months]; held_gain_usd: what existing positions pay [scenarios,
    months]. liquidity_usd: for initial margins and the CVaR of what margin calls take; None is
    no limit. later_usd: what a capacity unit costs for a month if it is bought then, once demand is
    known [pools, months], inf where it is not sold; None looks at no later purchase but those that
    are planned today."""

    pools: tuple[Pool, ...]
    lots: tuple[Lot, ...]
    held: Floats
    held_fee_usd: Floats
    lines: tuple[Line, ...] = ()
    exposures: tuple[Exposure, ...] = ()
    limits: tuple[Limit, ...] = ()
    liquidity_usd: float | None = None
    held_gain_usd: Floats | None = None
    later_usd: Floats | None = None
    notes: tuple[str, ...] = field(default=())

    def capacity(self, starts: Floats) -> Floats:
        """Of each pool in each month, held and bought [pools, months]; starts: [lots, months]."""
        total = self.held.astype(np.float64)
        for lot, units in zip(self.lots, starts, strict=True):
            total[lot.pool] += units @ lot.brings
        return total

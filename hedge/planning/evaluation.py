"""Evaluation: what months cost at a holding, of whatever scenarios and menu it is asked about.

The plan is made on few scenarios and judged on many; a stress is the same holding in other months;
what a contract adds is the same months at another holding. All are this one sum: fees, and
the cheapest way to serve what is needed, and what counterparties lose us, less what derivatives
pay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hedge.planning.plan import Judged, cents
from hedge.program.cells import Cells, delivered
from hedge.program.menu import Menu
from hedge.program.recourse import Recourse, recourse_of
from hedge.risk import Floats, clopper_pearson, cvar
from hedge.scenarios.months import Months


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What is held of a menu: starts [lots, months], lots of lines [lines]."""

    starts: Floats
    lines: Floats

    def with_starts(self, starts: Floats) -> Choice:
        return Choice(starts, self.lines)

    def without_lot(self, place: int) -> Choice:
        starts = self.starts.copy()
        starts[place] = 0
        return Choice(starts, self.lines)

    def with_lot(self, place: int, units: float) -> Choice:
        """The same, but so many units of a lot in the first month and none later."""
        starts = self.starts.copy()
        starts[place] = 0
        starts[place, 0] = units
        return Choice(starts, self.lines)

    def with_line(self, place: int, lots: float) -> Choice:
        lines = self.lines.copy()
        lines[place] = lots
        return Choice(self.starts, lines)

    @classmethod
    def nothing(cls, menu: Menu, months: Months) -> Choice:
        return cls(np.zeros((len(menu.lots), len(months.firsts))), np.zeros(len(menu.lines)))


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What months cost. fees_usd: of lots and of what is held already [months]. cost_usd: all of it
    [scenarios, months]. end_value_usd: of what lasts beyond the last month; it is no cash, so caps
    do not see it."""

    fees_usd: Floats
    cost_usd: Floats
    end_value_usd: float

    @property
    def total_usd(self) -> float:
        """What is expected to be paid in all months together."""
        return float(self.cost_usd.mean(axis=0).sum())

    @property
    def expected_usd(self) -> float:
        """The same less the end value: what plans are compared by."""
        return self.total_usd - self.end_value_usd

    def cvar_usd(self, confidence: float) -> Floats:
        """Of each month."""
        return np.array([cvar(month, confidence) for month in self.cost_usd.T])

    def within(self, cap_usd: float) -> tuple[int, ...]:
        """In how many scenarios each month stays within the cap."""
        return tuple(int(hits) for hits in (self.cost_usd <= cap_usd).sum(axis=0))

    def judged(self, confidence: float, cap_usd: float) -> Judged:
        scenarios, months = self.cost_usd.shape
        least = min(self.within(cap_usd))
        return Judged(
            scenarios=scenarios,
            expected_usd=cents(self.total_usd / months),
            cvar_usd=cents(float(self.cvar_usd(confidence).max())),
            p_within_cap=least / scenarios,
            p_interval=clopper_pearson(least, scenarios),
            p_all_within_cap=float((self.cost_usd <= cap_usd).all(axis=1).mean()),
        )


def capacity_of(menu: Menu, choice: Choice) -> Floats:
    """What is owned of each pool in each month [pools, months]."""
    return menu.capacity(choice.starts)


def fees_of(menu: Menu, choice: Choice) -> Floats:
    """What falls due in each month [months]."""
    fees = menu.held_fee_usd.astype(np.float64)
    for lot, starts in zip(menu.lots, choice.starts, strict=True):
        fees += starts @ lot.fee_usd
    return fees


def end_value_of(menu: Menu, choice: Choice) -> float:
    """What the unexpired parts of purchases are still worth after the last month."""
    return sum(
        float(starts @ lot.end_value_usd)
        for lot, starts in zip(menu.lots, choice.starts, strict=True)
    )


def luck_of(menu: Menu, choice: Choice, months: Months) -> Floats:
    """What counterparties lose us, less what derivatives pay [scenarios, months]."""
    luck = np.zeros((months.count, len(months.firsts)))
    for lot, starts in zip(menu.lots, choice.starts, strict=True):
        if lot.loss_usd is not None and starts.any():
            luck += np.tensordot(lot.loss_usd, starts, axes=([1], [0]))
    for line, lots in zip(menu.lines, choice.lines, strict=True):
        if lots:
            luck -= lots * line.gain_usd
    if menu.held_gain_usd is not None:
        luck -= menu.held_gain_usd
    return luck


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Scenarios and the menu for them, ready to be asked about many holdings."""

    months: Months
    menu: Menu
    recourse: Recourse

    @classmethod
    def of(cls, menu: Menu, months: Months) -> World:
        return cls(months, menu, recourse_of(Cells.of(menu, months)))

    def outcome(self, choice: Choice) -> Outcome:
        """What its months cost at a holding, served at the least cost."""
        capacity = capacity_of(self.menu, choice)
        there = delivered(self.menu.pools, capacity, slice(None))
        return outcome_of(self, choice, self.recourse.costs(there).cost_usd)

    def times(self, choice: Choice, demand: float = 1.0, price: float = 1.0) -> Outcome:
        """The same with so many times the demand and the price of pay-as-you-go in all months.

        What serving costs is proportional to demand and capacity together, and to all prices
        together: so no scenarios have to be put in order anew.
        """
        capacity = capacity_of(self.menu, choice) / demand
        by_spend = np.array([pool.takes_list_usd > 0 for pool in self.menu.pools], dtype=bool)
        capacity[by_spend] /= price
        recourse = self.recourse
        if price != 1.0 and any(
            pool.overage or (pool.takes_list_usd > 0 and pool.takes.any())
            for pool in self.menu.pools
        ):
            dearer = replace(self.months, list_usd=self.months.list_usd * price)
            recourse, price = recourse_of(Cells.of(self.menu, dearer)), 1.0
            capacity[by_spend] = capacity_of(self.menu, choice)[by_spend] / demand
        there = delivered(self.menu.pools, capacity, slice(None))
        return outcome_of(self, choice, recourse.costs(there).cost_usd * (demand * price))


def outcome_of(world: World, choice: Choice, served_usd: Floats) -> Outcome:
    """The same where it is known what serving costs [scenarios, months]."""
    fees = fees_of(world.menu, choice)
    cost = served_usd + fees[None, :] + luck_of(world.menu, choice, world.months)
    return Outcome(fees, cost, end_value_of(world.menu, choice))

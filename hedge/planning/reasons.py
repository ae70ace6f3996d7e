"""Reasons: why a plan holds what it holds, in sentences that a reader can check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hedge.contracts.contract import CapacityContract, DerivativeContract
from hedge.planning.evaluation import (
    Choice,
    Outcome,
    World,
    capacity_of,
    luck_of,
)
from hedge.planning.plan import Adds, LaterStart, PlannedPosition, cents
from hedge.planning.use import Use, units_used, usd_per_unit, use_of
from hedge.planning.verification import Served
from hedge.program.dispatch import dispatch
from hedge.program.menu import Menu
from hedge.risk import Floats

TRIFLE_UNITS = 0.005
LITTLE_USD = 0.5
"""What a sentence about months calls no change."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A plan that is to be explained: what was chosen, how the months are served with it, and what
    they then cost at the least. offered: the contracts, by name."""

    served: Served
    choice: Choice
    outcome: Outcome
    confidence: float
    offered: Mapping[str, CapacityContract | DerivativeContract]

    @property
    def world(self) -> World:
        return self.served.world

    @property
    def months(self) -> int:
        return len(self.world.months.firsts)

    def moved(self, other: Outcome) -> tuple[float, float]:
        """How much more this costs than another outcome: expected, and the sum of the months'
        CVaR."""
        tails = [float(one.cvar_usd(self.confidence).sum()) for one in (self.outcome, other)]
        return self.outcome.expected_usd - other.expected_usd, tails[0] - tails[1]


def positions(case: Case) -> tuple[PlannedPosition, ...]:
    """One for each purchase of the plan, and one for each contract of which it buys nothing."""
    worth = usd_per_unit(case.world.menu, case.world.months)
    told: list[PlannedPosition] = []
    for name in case.offered:
        lots = [k for k, lot in enumerate(case.world.menu.lots) if lot.contract == name]
        lines = [k for k, line in enumerate(case.world.menu.lines) if line.contract == name]
        bought = [k for k in lots if case.choice.starts[k].any()]
        traded = sorted({case.world.menu.lines[k].month for k in lines if case.choice.lines[k]})
        told.extend(_bought(case, k, worth) for k in bought)
        told.extend(_traded(case, name, month) for month in traded)
        if bought or traded:
            continue
        if lots:
            told.append(_not_bought(case, lots, worth))
        elif lines:
            told.append(_not_traded(case, name, lines))
        else:
            told.append(PlannedPosition(name, 0, cents(0), _left_out(case, name)))
    return tuple(told)


def _bought(case: Case, place: int, worth: Floats) -> PlannedPosition:
    months = case.world.months
    lot, starts = case.world.menu.lots[place], case.choice.starts[place]
    without = case.choice.without_lot(place)
    spared = case.world.outcome(without)
    use = _use(case, place, case.choice, without, worth)
    mean_usd, tail_usd = case.moved(spared)
    count = round(float(starts[0]))
    held = f"{count} units from now" if count else "the units that start later"
    why = f"{_even(use)} of {held} {_part(use)} is used. {_effect(case, mean_usd, tail_usd)}"
    if count == 0:
        first = months.firsts[int(np.flatnonzero(starts)[0])]
        why = f"Nothing now: the plan starts it in {first:%Y-%m}. {why}"
    return PlannedPosition(
        contract=lot.contract,
        units=count,
        cost_usd=cents(count * float(lot.fee_usd[0].sum())),
        why=why + _terms(case, lot.contract),
        term_months=lot.term_months,
        later=tuple(
            LaterStart(
                months.firsts[month],
                round(float(starts[month]), 2),
                cents(float(starts[month] * lot.fee_usd[month].sum())),
            )
            for month in np.flatnonzero(starts[1:] > TRIFLE_UNITS) + 1
        ),
        break_even=None if use is None else use.break_even,
        utilisation=None if use is None else use.part,
        adds=Adds(cents(mean_usd), cents(tail_usd)),
    )


def _not_bought(case: Case, lots: list[int], worth: Floats) -> PlannedPosition:
    """Why none, by the term that comes nearest to being bought, in the smallest size."""
    menu = case.world.menu
    name = menu.lots[lots[0]].contract
    now = [place for place in lots if menu.lots[place].brings[0].any()]
    tried = {place: case.choice.with_lot(place, menu.lots[place].min_units) for place in now}
    found = {place: case.world.outcome(choice) for place, choice in tried.items()}
    if not found:
        later = any(menu.lots[place].brings.any() for place in lots)
        why = (
            "It cannot be bought in the first month; the plan is made anew before it can."
            if later
            else "It cannot be bought in these months."
        )
        return PlannedPosition(name, 0, cents(0), why + _terms(case, name))
    place = min(found, key=lambda place: found[place].expected_usd)
    lot = menu.lots[place]
    mean_usd, tail_usd = case.moved(found[place])
    use = _use(case, place, tried[place], case.choice, worth)
    size = f"{lot.min_units} units" if lot.min_units > 1 else "one unit"
    effect = _effect(case, -mean_usd, -tail_usd, it="it would")
    why = f"{_even(use)} of {size} {_part(use)} would be used. Not bought: {effect}"
    return PlannedPosition(
        contract=name,
        units=0,
        cost_usd=cents(0),
        why=why + _terms(case, name),
        term_months=lot.term_months,
        break_even=None if use is None else use.break_even,
        utilisation=None if use is None else use.part,
        adds=Adds(cents(-mean_usd), cents(-tail_usd)),
    )


def _use(case: Case, place: int, held: Choice, without: Choice, worth: Floats) -> Use | None:
    """Of the units of a lot by which two choices differ, all others in place."""
    menu, months = case.world.menu, case.world.months
    pool = menu.lots[place].pool
    used, spared_usd = 0.0, 0.0
    for sign, choice in ((1, held), (-1, without)):
        how = case.served.how
        if choice is not case.choice:
            how = dispatch(menu, months, capacity_of(menu, choice))
        used += sign * float(units_used(menu, months, how)[pool].sum())
        spared_usd -= sign * float(how.cost_usd.mean(axis=0).sum())
    return use_of(
        menu.lots[place],
        held.starts[place] - without.starts[place],
        menu,
        months,
        used_units=used,
        spared_usd=spared_usd,
        usd_per_unit=float(worth[pool]),
    )


def _traded(case: Case, name: str, month: int) -> PlannedPosition:
    """Of one contract and month, over all the prices at which lots are had."""
    menu, months = case.world.menu, case.world.months
    own = [k for k, line in enumerate(menu.lines) if (line.contract, line.month) == (name, month)]
    lots = case.choice.lines.copy()
    net = round(float(sum(lots[k] * menu.lines[k].side for k in own)))
    cost_usd = -sum(float(lots[k] * menu.lines[k].gain_usd.mean(axis=0).sum()) for k in own)
    margin_usd = sum(float(lots[k] * menu.lines[k].margin_usd) for k in own)
    lots[own] = 0.0
    mean_usd, tail_usd = case.moved(_only_luck_differs(case, Choice(case.choice.starts, lots)))
    verb = "buys" if net > 0 else "sells"
    why = f"The plan {verb} {abs(net)} lots for {months.firsts[month]:%Y-%m} at what can be "
    why += f"executed. {_effect(case, mean_usd, tail_usd)}"
    if margin_usd > 0:
        why += f" Initial margin {margin_usd:,.0f} USD."
    return PlannedPosition(
        contract=name,
        units=net,
        cost_usd=cents(cost_usd),
        why=why + _terms(case, name),
        month=months.firsts[month],
        adds=Adds(cents(mean_usd), cents(tail_usd)),
    )


def _not_traded(case: Case, name: str, lines: list[int]) -> PlannedPosition:
    """Why none, by the lot that would take most off the bad months."""
    effects = []
    for place in [k for k in lines if _fits(case, k)] or lines:
        tried = case.choice.with_line(place, 1.0)
        mean_usd, tail_usd = case.moved(_only_luck_differs(case, tried))
        effects.append((-tail_usd, -mean_usd, place))
    tail_usd, mean_usd, place = min(effects)
    line = case.world.menu.lines[place]
    side = "bought" if line.side > 0 else "sold"
    month = case.world.months.firsts[line.month]
    if not any(line.max_lots for line in (case.world.menu.lines[k] for k in lines)):
        why = "Nothing of it can be executed, or nothing is exposed to its index: no lots."
    elif not _fits(case, place):
        why = _no_room(case, place)
    else:
        why = f"Not traded: one lot {side} for {month:%Y-%m} would" + _effect(
            case, mean_usd, tail_usd, it=""
        )
    noted = _noted(case.world.menu, name)
    if noted:
        why += f" It is to be known: {'; '.join(noted)}."
    return PlannedPosition(
        name,
        0,
        cents(0),
        why + _terms(case, name),
        month=month,
        adds=Adds(cents(mean_usd), cents(tail_usd)),
    )


def _fits(case: Case, place: int) -> bool:
    """Whether one lot more is no more than a hedge, and there is money for its margin."""
    menu = case.world.menu
    lots = case.choice.lines.copy()
    lots[place] += 1
    held = list(zip(menu.lines, lots, strict=True))
    for exposure in menu.exposures:
        units = sum(n * line.exposure_units for line, n in held if line.index == exposure.index)
        if (units < -TRIFLE_UNITS).any() or (units > exposure.most_units + TRIFLE_UNITS).any():
            return False
    margin_usd = sum(float(n * line.margin_usd) for line, n in held)
    return menu.liquidity_usd is None or margin_usd <= menu.liquidity_usd


def _no_room(case: Case, place: int) -> str:
    menu = case.world.menu
    line = menu.lines[place]
    most = [one.most_units[line.month] for one in menu.exposures if one.index == line.index]
    said = (
        f"No lot fits: one stands for {float(abs(line.exposure_units[line.month])):,.0f} units of"
        f" {line.index}, of which {float(min(most, default=0.0)):,.0f} may be hedged in"
        f" {case.world.months.firsts[line.month]:%Y-%m}; none is sold short"
    )
    if menu.liquidity_usd is None:
        return f"{said}."
    return f"{said}, and margins may take {menu.liquidity_usd:,.0f} USD."


def _left_out(case: Case, name: str) -> str:
    """Why a contract is not on the menu."""
    noted = _noted(case.world.menu, name)
    return f"Not offered: {'; '.join(noted)}." if noted else "Not offered: it is all held already."


def _noted(menu: Menu, name: str) -> list[str]:
    """What the menu's notes say of a contract."""
    start = f"{name}: "
    return [note.removeprefix(start) for note in menu.notes if note.startswith(start)]


def notes_left(menu: Menu, offered: Mapping[str, object]) -> tuple[str, ...]:
    """The menu's notes, but for those that are why a contract has no place on it."""
    placed = {lot.contract for lot in menu.lots} | {line.contract for line in menu.lines}
    named = [f"{name}: " for name in offered if name not in placed]
    return tuple(note for note in menu.notes if not note.startswith(tuple(named)))


def _only_luck_differs(case: Case, other: Choice) -> Outcome:
    """The outcome of a choice with other lots of lines: the months are served as they were."""
    menu, months = case.world.menu, case.world.months
    change = luck_of(menu, other, months) - luck_of(menu, case.choice, months)
    return replace(case.outcome, cost_usd=case.outcome.cost_usd + change)


def _effect(case: Case, mean_usd: float, tail_usd: float, it: str = "it") -> str:
    """What a position does, and the price of certainty where it has one."""
    over = "the month" if case.months == 1 else f"all {case.months} months"
    told = (
        f"{it} {_moved(it, f'the expected cost of {over}', mean_usd)} and "
        f"{_moved(it, 'what they cost when they are bad', tail_usd)}."
    )
    told = told if it == "it would" else told[:1].upper() + told[1:]
    if mean_usd > LITTLE_USD and tail_usd < -LITTLE_USD:
        told += (
            f" The price of certainty: {mean_usd / -tail_usd:.2f} USD for each USD off bad months."
        )
    return told


def _moved(it: str, what: str, by_usd: float) -> str:
    s = "s" if it == "it" else ""
    if abs(by_usd) < LITTLE_USD:
        return f"leave{s} {what} as it is"
    return f"{'raise' if by_usd > 0 else 'lower'}{s} {what} by {abs(by_usd):,.0f} USD"


def _even(use: Use | None) -> str:
    if use is None:
        return "It serves nothing that costs anything;"
    if use.break_even > 1:
        return f"Even fully used, a unit costs {use.break_even:.0%} of what it spares;"
    return f"A unit breaks even at {use.break_even:.0%} use;"


def _part(use: Use | None) -> str:
    return "nothing" if use is None else f"{use.part:.0%}"


def _terms(case: Case, name: str) -> str:
    assumed = case.offered[name].source.verification == "assumed"
    return " Its terms are assumed." if assumed else ""

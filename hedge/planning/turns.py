"""Turns: at which fee, demand or price the answer would be another one.

A fee turns where the program, asked again, buys a contract for the first time or drops it; demand
and prices where a contract's smallest purchase would pay for itself. Only for the contracts that
are nearest to it: what it takes ten times the demand to change is no news.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hedge.planning.evaluation import Choice, World
from hedge.planning.plan import Multiplied, PlannedPosition, Turn
from hedge.planning.roots import where_crosses
from hedge.planning.stress import MULTIPLIED, times
from hedge.program.menu import Lot, Menu
from hedge.program.program import Program
from hedge.risk import Floats

NEAREST = 3
"""Contracts that are looked at. A fee is told of one: it takes several programs."""
TOLD_TO = 0.04
"""How exactly a fee is told."""
DEARER, CHEAPER = 2.0, 0.5
MOST, LEAST = 3.0, 0.2


def turns(
    program: Program,
    world: World,
    choice: Choice,
    caps_usd: Floats,
    positions: Sequence[PlannedPosition],
) -> tuple[Turn, ...]:
    """What would change the plan, for the contracts nearest to it."""
    told: list[Turn] = []
    for place, position in _nearest(world.menu, positions):
        if not told:
            told.extend(_fee(program, choice, place, position, caps_usd))
        told.extend(
            turn
            for what in MULTIPLIED
            if (turn := _multiple(world, choice, place, what)) is not None
        )
    return tuple(told)


def _nearest(menu: Menu, positions: Sequence[PlannedPosition]) -> list[tuple[int, PlannedPosition]]:
    """Lots and their positions, those first whose use is nearest to break-even."""
    places = {(lot.contract, lot.term_months): place for place, lot in enumerate(menu.lots)}
    ranked = sorted(
        (abs(one.utilisation - one.break_even) / one.break_even, number)
        for number, one in enumerate(positions)
        if one.break_even and one.utilisation is not None
    )
    return [
        (places[one.contract, one.term_months or 0], one)
        for one in (positions[number] for _, number in ranked[:NEAREST])
    ]


def _fee(
    program: Program,
    choice: Choice,
    place: int,
    position: PlannedPosition,
    caps_usd: Floats,
) -> list[Turn]:
    """The fee at which the program first buys, or no longer does, by asking it again."""
    menu = program.menu
    lot = menu.lots[place]
    active = (lot.brings[0] > 0).sum()
    now_usd = float(lot.fee_usd[0].sum() / active)

    def buys(multiple: float) -> bool:
        changed = replace(
            lot, fee_usd=lot.fee_usd * multiple, end_value_usd=lot.end_value_usd * multiple
        )
        lots = (*menu.lots[:place], changed, *menu.lots[place + 1 :])
        holding = program.with_fees(replace(menu, lots=lots)).cheapest(caps_usd)
        return bool(holding.starts[place].any())

    held = bool(choice.starts[place].any())
    near = 1.0
    for far in _farther(position, held):
        if buys(far) != held:
            break
        near = far
    else:
        return []
    while abs(far - near) > TOLD_TO:
        middle = (near + far) / 2
        if buys(middle) == held:
            near = middle
        else:
            far = middle
    then_usd = now_usd * far
    verb = "would no longer be bought from" if held else "would be bought below"
    said = f"{_named(lot)} {verb} {then_usd:,.2f} USD a month (now {now_usd:,.2f})"
    return [Turn(lot.contract, lot.term_months, "fee", "usd_per_month", now_usd, then_usd, said)]


def _farther(position: PlannedPosition, held: bool) -> tuple[float, ...]:
    """Multiples of the fee at which the answer may have turned: a little beyond where the purchase
    would pay for itself, all else in place, and then as far as is worth telling."""
    even = 0.0
    if position.utilisation and position.break_even:
        even = position.utilisation / position.break_even
    if held:
        return (even * 1.1, DEARER) if 1 < even * 1.1 < DEARER else (DEARER,)
    return (even * 0.9, CHEAPER) if CHEAPER < even * 0.9 < 1 else (CHEAPER,)


def _multiple(world: World, choice: Choice, place: int, what: Multiplied) -> Turn | None:
    """How many times the demand or price it takes until the purchase pays, or no longer does."""
    lot = world.menu.lots[place]
    without = choice.without_lot(place)
    with_it = choice if choice.starts[place].any() else choice.with_lot(place, lot.min_units)

    def pays_usd(multiple: float) -> float:
        """What the purchase saves in expectation."""
        spared = times(world, without, what, multiple).expected_usd
        return spared - times(world, with_it, what, multiple).expected_usd

    if pays_usd(1.0) < 0:
        found = where_crosses(pays_usd, 1.0, MOST)
        verb = "would pay for itself from"
    else:
        below = where_crosses(lambda inverse: -pays_usd(1 / inverse), 1.0, 1 / LEAST)
        found = None if below is None else 1 / below
        verb = "would no longer pay for itself below"
    if found is None:
        return None
    said = f"{_named(lot)} {verb} {found:.2f} times the {what}"
    return Turn(lot.contract, lot.term_months, what, "times", 1.0, found, said)


def _named(lot: Lot) -> str:
    return f"{lot.contract} for {lot.term_months} month" + "s" * (lot.term_months > 1)

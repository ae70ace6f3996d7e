"""Stress: what becomes of a plan, as it is held, in worlds that it was not made for.

Each stress is the plan's own scenarios with one thing changed, so that nothing else differs. None
of them has a chance: they say what would happen, not how likely it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp

import numpy as np

from hedge.planning.evaluation import Choice, Outcome, World
from hedge.planning.plan import Breaking, Measured, Multiplied, Stressed
from hedge.planning.question import Offer
from hedge.planning.roots import where_crosses
from hedge.program.menu import Menu
from hedge.risk import Floats
from hedge.scenarios.months import IndexPaths, Months

SPIKE = 2.0
"""DeepSeek's output price rose 2.4 to 4.7 times in August 2026, a GPU index 1.9 times in ten
weeks."""
SURGE, SLUMP = 1.5, 0.5
SHORT = 0.2
RESTATED = 0.9
LAUNCH_INDEX = exp(-0.22)
"""A new chip generation takes a fifth off the rent of the one before."""
LAUNCH_TOKENS = 0.7
SEARCHED_TO = 10.0
MULTIPLIED: tuple[Multiplied, ...] = ("demand", "price")


@dataclass(frozen=True, slots=True)
class Shock:
    """months: the scenarios, changed; menu: what of the menu then is there; choice: what is held
    of it all the same."""

    name: str
    what: str
    months: Callable[[Months], Months]
    menu: Callable[[Menu], Menu] = lambda menu: menu
    choice: Callable[[Choice], Choice] = lambda choice: choice


def stressed(
    offer: Offer,
    months: Months,
    choice: Choice,
    confidence: float,
    cap_usd: float,
    providers: Mapping[str, str],
) -> tuple[Stressed, ...]:
    """The plan under each shock. providers: who delivers each contract of the menu."""
    told = []
    for shock in shocks(offer(months), months, choice, providers):
        changed = shock.months(months)
        found = World.of(shock.menu(offer(changed)), changed).outcome(shock.choice(choice))
        judged = found.judged(confidence, cap_usd)
        told.append(
            Stressed(
                shock.name,
                shock.what,
                judged.expected_usd,
                judged.cvar_usd,
                judged.p_within_cap,
                float(judged.cvar_usd) > cap_usd,
            )
        )
    return tuple(told)


def shocks(
    menu: Menu, months: Months, choice: Choice, providers: Mapping[str, str]
) -> Iterable[Shock]:
    count = months.count
    yield Shock(
        "price_spike",
        f"pay-as-you-go and GPU-hours cost {SPIKE:g} times as much in three months",
        lambda months: _priced(months, _window(months, SPIKE), _window(months, SPIKE)),
    )
    yield Shock(
        "demand_shock",
        f"{SURGE:g} times the demand from the second month on",
        lambda months: _more(months, _onward(months, 1, SURGE)),
    )
    yield Shock(
        "demand_slump",
        f"{SLUMP:g} times the demand from the second month on",
        lambda months: _more(months, _onward(months, 1, SLUMP)),
    )
    failing = _most_relied_on(menu, choice, providers)
    if failing is not None:
        lots = [k for k, lot in enumerate(menu.lots) if providers.get(lot.contract) == failing]
        pools = {menu.lots[k].pool for k in lots}
        yield Shock(
            "provider_failure",
            f"{failing} delivers nothing from the second month on; what has started is paid to its"
            " end, no more of it is started",
            lambda months: months,
            lambda menu: _delivering(menu, count, pools, first=1, part=0.0),
            lambda choice: _not_started(choice, lots, first=1),
        )
    yield Shock(
        "delivery_shortfall",
        f"all that is owned delivers {SHORT:.0%} less",
        lambda months: months,
        lambda menu: _delivering(menu, count, set(range(len(menu.pools))), first=0, part=1 - SHORT),
    )
    yield Shock(
        "index_restatement",
        f"indices settle at {RESTATED:.0%} of what GPU-hours cost us",
        lambda months: _priced(months, _onward(months, 0, 1.0), _onward(months, 0, RESTATED)),
    )
    yield Shock(
        "chip_generation",
        f"from the third month on pay-as-you-go costs {LAUNCH_TOKENS:.0%}, GPU-hours "
        f"{LAUNCH_INDEX:.0%}",
        lambda months: _priced(
            months, _onward(months, 2, LAUNCH_TOKENS), _onward(months, 2, LAUNCH_INDEX)
        ),
    )


def breaking(
    world: World, choice: Choice, confidence: float, cap_usd: float
) -> tuple[Breaking, ...]:
    """How many times the demand, or the price, it takes until the cap breaks: for the mean of the
    bad months, and for the expected month."""
    levels: dict[Measured, float | None] = {"cvar": confidence, "expected": None}
    return tuple(
        Breaking(what, of, _breaks_at(world, choice, level, cap_usd, what), SEARCHED_TO)
        for what in MULTIPLIED
        for of, level in levels.items()
    )


def times(world: World, choice: Choice, what: Multiplied, multiple: float) -> Outcome:
    """The outcome with so many times the demand, or the price, in all months."""
    if what == "demand":
        return world.times(choice, demand=multiple)
    return world.times(choice, price=multiple)


def _breaks_at(
    world: World, choice: Choice, confidence: float | None, cap_usd: float, what: Multiplied
) -> float | None:
    def over_usd(multiple: float) -> float:
        found = times(world, choice, what, multiple)
        by_month = found.cost_usd.mean(axis=0) if confidence is None else found.cvar_usd(confidence)
        return float(by_month.max()) - cap_usd

    return where_crosses(over_usd, 1.0, SEARCHED_TO)


def _more(months: Months, by_month: Floats) -> Months:
    """Tokens and what they cost, times a number for each month."""
    return replace(
        months,
        amounts=months.amounts * by_month[None, :, None, None, None],
        list_usd=months.list_usd * by_month[None, :, None, None],
    )


def _priced(months: Months, by_month: Floats, index_by_month: Floats) -> Months:
    """What pay-as-you-go and indices cost, times a number for each month."""
    return replace(
        months,
        list_usd=months.list_usd * by_month[None, :, None, None],
        indices={
            name: _index(months, paths, index_by_month) for name, paths in months.indices.items()
        },
    )


def _index(months: Months, paths: IndexPaths, by_month: Floats) -> IndexPaths:
    firsts = np.array([first.toordinal() for first in months.firsts])
    days = np.array([day.toordinal() for day in paths.check_days], dtype=np.int64)
    in_month = np.clip(np.searchsorted(firsts, days, side="right") - 1, 0, len(firsts) - 1)
    return replace(
        paths,
        fixing_usd=paths.fixing_usd * by_month[None, :],
        level_usd=paths.level_usd * by_month[in_month][None, :],
    )


def _onward(months: Months, first: int, by: float) -> Floats:
    """1 before a month and `by` from it on; from the last one if there are too few."""
    scale = np.ones(len(months.firsts))
    scale[min(first, len(scale) - 1) :] = by
    return scale


def _window(months: Months, by: float) -> Floats:
    """`by` in the three months after the first, 1 elsewhere."""
    scale = _onward(months, 1, by)
    scale[4:] = 1.0
    return scale


def _delivering(menu: Menu, count: int, pools: set[int], *, first: int, part: float) -> Menu:
    """The menu with only a part of some pools there, from a month on, in all scenarios."""
    delivers = np.ones((count, menu.held.shape[1]))
    delivers[:, min(first, menu.held.shape[1] - 1) :] = part
    return replace(
        menu,
        pools=tuple(
            replace(
                pool,
                delivered=delivers if pool.delivered is None else pool.delivered * delivers,
            )
            if place in pools
            else pool
            for place, pool in enumerate(menu.pools)
        ),
    )


def _not_started(choice: Choice, lots: Sequence[int], *, first: int) -> Choice:
    starts = choice.starts.copy()
    starts[list(lots), first:] = 0.0
    return choice.with_starts(starts)


def _most_relied_on(menu: Menu, choice: Choice, providers: Mapping[str, str]) -> str | None:
    """The provider to whom the plan pays most; None if it pays nobody."""
    paid: dict[str, float] = {}
    for lot, starts in zip(menu.lots, choice.starts, strict=True):
        fees_usd = float((starts @ lot.fee_usd).sum())
        if fees_usd > 0 and lot.contract in providers:
            name = providers[lot.contract]
            paid[name] = paid.get(name, 0.0) + fees_usd
    return max(paid, key=lambda name: (paid[name], name), default=None)

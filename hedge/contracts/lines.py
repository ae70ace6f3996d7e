"""Lines: lots of derivatives at what can be executed, a line for each level of a book.

Dearer levels are used after cheaper ones by themselves, since they differ in price alone: so the
book is walked exactly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from hedge.contracts.contract import DerivativeContract
from hedge.contracts.derivatives import Event, Forward, Future, Perpetual, Swap
from hedge.contracts.lots import Horizon, month_of
from hedge.contracts.offered import HeldLots, Offered
from hedge.errors import ContractInvalid
from hedge.program.menu import Exposure, Line
from hedge.risk import Floats
from hedge.scenarios.months import IndexPaths, Months
from hedge.venues.executable import Executable, Side

MOST_LEVELS = 10
"""Of each side of a book: what lies deeper is not counted on."""
HIGHLY_PROBABLE = 0.05
"""The quantile of the exposure that may be hedged: the least that 95% of scenarios have."""


@dataclass(frozen=True, slots=True, eq=False)
class Payoff:
    """One long lot, without fees. gain_usd: from a price on, by the month in which it is paid
    [scenarios, months]. marked_usd: while it is open [scenarios, checks]. settles: the months in
    which it does. exposure_units: index units that it stands for [months]."""

    gain_usd: Floats
    marked_usd: Floats
    settles: tuple[int, ...]
    exposure_units: Floats


def lines_of(
    contract: DerivativeContract, offered: Offered, months: Months, horizon: Horizon
) -> Iterator[Line]:
    """Every line of a contract whose index has scenarios."""
    paths = months.indices.get(contract.settlement.index)
    if paths is None:
        return
    for book in offered.books:
        if book.contract != contract.name:
            continue
        for side in Side:
            yield from _walked(contract, book, side, paths, horizon)


def without_view(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The same lots, with what settles moved so that their market is right on average: a lot then
    gains what it takes off bad months, and costs its spread and fees, whatever the scenarios
    believe of the index. A plan hedges; it does not bet on its own scenarios.

    The middle is that between what a long and a short lot at the best prices gain in the mean; of a
    book with one side, where that side gains nothing in the mean.
    """
    best: dict[tuple[str, int], dict[int, Floats]] = defaultdict(dict)
    for line in lines:
        best[line.contract, line.month].setdefault(line.side, line.gain_usd.mean(axis=0))
    views = {
        key: (sides[1] - sides[-1]) / 2 if len(sides) == len(Side) else _of_one(sides)
        for key, sides in best.items()
    }
    return tuple(
        replace(line, gain_usd=line.gain_usd - line.side * views[line.contract, line.month])
        for line in lines
    )


def _of_one(sides: Mapping[int, Floats]) -> Floats:
    ((side, gain),) = sides.items()
    return np.asarray(side * np.maximum(gain, 0.0))


def exposure_of(index: str, offered: Offered, months: Months, horizon: Horizon) -> Exposure | None:
    """How far contracts on an index may go: their smallest beta, of the highly probable spend, in
    index units, less what is held. None without scenarios of the index."""
    paths = months.indices.get(index)
    betas = [
        float(one.beta)
        for one in offered.derivatives
        if one.settlement.index == index and one.beta is not None
    ]
    if paths is None or not betas:
        return None
    units = months.month_usd() / np.maximum(paths.fixing_usd, np.finfo(float).tiny)
    likely = np.quantile(units, HIGHLY_PROBABLE, axis=0)
    most = likely * max(0.0, min(betas)) * float(offered.limits.hedge_ratio)
    for held in offered.held:
        contract = _held_contract(held, offered)
        if contract.settlement.index == index:
            most = (
                most - held.lots * _payoff(contract, held.month, 0.0, paths, horizon).exposure_units
            )
    return Exposure(index, np.maximum(most, 0.0))


def held_gain_usd(offered: Offered, months: Months, horizon: Horizon) -> Floats | None:
    """What positions pay from now on [scenarios, months]; None without any.

    Raises ContractInvalid for a position of no known contract, or on an index without scenarios:
    it may owe money that a plan would not see.
    """
    if not offered.held:
        return None
    gain_usd = np.zeros((months.count, horizon.count))
    for held in offered.held:
        contract = _held_contract(held, offered)
        paths = months.indices.get(contract.settlement.index)
        if paths is None:
            raise ContractInvalid(
                f"a position of {held.contract} settles on {contract.settlement.index}, of which"
                " no fixings are kept: take them in with `hedgerow hedge settle --prices FILE`"
            )
        payoff = _payoff(contract, held.month, float(held.since_usd), paths, horizon)
        settling = np.zeros(horizon.count)
        settling[list(payoff.settles)] = float(contract.fees.settle)
        gain_usd += held.lots * payoff.gain_usd - abs(held.lots) * settling
    return gain_usd


def _held_contract(held: HeldLots, offered: Offered) -> DerivativeContract:
    found = next((one for one in offered.derivatives if one.name == held.contract), None)
    if found is None:
        raise ContractInvalid(
            f"a position of {held.contract} is held, and no contract file has its terms: add them"
        )
    return found


def _walked(
    contract: DerivativeContract,
    book: Executable,
    side: Side,
    paths: IndexPaths,
    horizon: Horizon,
) -> Iterator[Line]:
    left = min(contract.size.max, contract.position_limit or contract.size.max)
    margin = contract.margin
    for level in book.levels(side)[:MOST_LEVELS]:
        lots = min(left, level.lots)
        price = float(level.price)
        payoff = _payoff(contract, book.month, price, paths, horizon)
        if lots < 1 or not payoff.settles:
            return
        left -= lots
        yield Line(
            contract=contract.name,
            month=payoff.settles[0],
            side=int(side),
            max_lots=lots,
            gain_usd=side * payoff.gain_usd - _fees_usd(contract, price, payoff, horizon),
            marked_usd=side * payoff.marked_usd,
            margin_usd=0.0 if margin is None else float(margin.initial),
            index=contract.settlement.index,
            exposure_units=side * payoff.exposure_units,
        )


def _fees_usd(
    contract: DerivativeContract, price: float, payoff: Payoff, horizon: Horizon
) -> Floats:
    """Of one lot [months]: the trade in the first month, each settlement in its own. What has no
    expiry is closed in the last month, at half the spread and the fee once more."""
    trade = float(contract.fees.trade)
    due = np.zeros(horizon.count)
    if isinstance(contract, Perpetual):
        trade += float(contract.taker_fee) * price * float(contract.multiplier)
        due[-1] += trade + float(contract.fees.half_spread)
    else:
        due[list(payoff.settles)] += float(contract.fees.settle)
    due[0] += trade
    return due


def _payoff(
    contract: DerivativeContract,
    month: date | None,
    since_usd: float,
    paths: IndexPaths,
    horizon: Horizon,
) -> Payoff:
    fixing = paths.fixing_usd
    multiplier = float(contract.multiplier)
    gain, exposure = np.zeros_like(fixing), np.zeros(horizon.count)
    first = None if month is None else month_of(month, horizon.firsts)
    settles: tuple[int, ...] = ()
    match contract:
        case Perpetual():
            settles = tuple(range(horizon.count))
            before = np.column_stack([np.full(len(fixing), since_usd), fixing[:, :-1]])
            gain = multiplier * (fixing - before)
            exposure[:] = multiplier
        case Swap() if first is not None:
            settles = tuple(range(first, min(first + contract.months, horizon.count)))
            gain[:, settles] = multiplier * (fixing[:, settles] - since_usd)
            exposure[list(settles)] = multiplier
        case Event() if first is not None:
            settles = (first,)
            final = fixing[:, first]
            is_above = final >= float(contract.strike)
            pays = is_above if contract.side == "above" else final <= float(contract.strike)
            gain[:, first] = float(contract.payout_usd) * pays - since_usd
            exposure[first] = float(contract.payout_usd) / float(contract.strike)
        case Future() | Forward() if first is not None:
            settles = (first,)
            gain[:, first] = multiplier * (fixing[:, first] - since_usd)
            exposure[first] = multiplier
        case _:
            pass
    return Payoff(gain, _marks(contract, since_usd, settles, paths, horizon), settles, exposure)


def _marks(
    contract: DerivativeContract,
    since_usd: float,
    settles: tuple[int, ...],
    paths: IndexPaths,
    horizon: Horizon,
) -> Floats:
    """Gain or loss to each check while it is open, at the index as the mark [scenarios, checks].
    A forward is not margined, an event is paid in full."""
    if isinstance(contract, Forward | Event) or not settles:
        return np.zeros_like(paths.level_usd)
    until = horizon.firsts[settles[-1]]
    is_open = [(day.year, day.month) <= (until.year, until.month) for day in paths.check_days]
    marked: Floats = np.where(
        is_open, float(contract.multiplier) * (paths.level_usd - since_usd), 0.0
    )
    return marked

"""Scenarios: next months, drawn from the history, small enough to optimise over.

A scenario is one month. Its days are whole days of the history with the same weekday (so the week
and the clock keep their shape), times one level for the month, at prices that may jump once, either
way. The month is then sorted by load and cut into blocks of equal length, its load-duration curve:
what a reservation of so many tokens per minute serves depends on nothing else, because its capacity
perishes each minute. The curve is made from five-minute slices, hour by hour, so that bursts within
an hour still count; within a block the load is taken as even, which flatters a reservation by well
under 1% for demand like the sample's (a test holds it there).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from hedge.month.demand import HOURS, MINUTES, SLICES, DemandHistory
from ledger.money import NANOS_PER_USD

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is believed about next month beyond the history. The defaults are priors, no estimates.

    growth, level_sd: mean and standard deviation of the log of the month's level, over the
        history's.
    price_jump_chance: that pay-as-you-go prices change at all within the month.
    price_rise_chance: that a change is a rise; list prices move both ways.
    price_jump_mean, price_jump_sd: of the size of a change, in logs.
    """

    growth: float = 0.03
    level_sd: float = 0.25
    price_jump_chance: float = 0.25
    price_rise_chance: float = 0.4
    price_jump_mean: float = 0.25
    price_jump_sd: float = 0.10


@dataclass(frozen=True, slots=True, eq=False)
class Scenarios:
    """Equally likely months, in blocks of even load, busiest block first.

    minutes: length of each block [blocks].
    prompt_per_minute, completion_per_minute: tokens [scenarios, blocks].
    list_usd: what a whole block costs at pay-as-you-go [scenarios, blocks].

    Amounts of USD are floats from here to the plan: they are estimates. Fees stay Money.
    """

    model: str
    minutes: Floats
    prompt_per_minute: Floats
    completion_per_minute: Floats
    list_usd: Floats

    @property
    def count(self) -> int:
        return len(self.list_usd)

    @property
    def mtok(self) -> Floats:
        """Million tokens of each block [scenarios, blocks]."""
        mtok: Floats = (self.prompt_per_minute + self.completion_per_minute) * self.minutes / 1e6
        return mtok


def draw(
    history: DemandHistory,
    outlook: Outlook,
    *,
    seed: int,
    count: int = 250,
    blocks: int = 24,
    days: int = 30,
) -> Scenarios:
    """`count` months of `days` days that follow on the history.

    Equal seeds give equal draws, and each source of chance has a stream of its own, so that
    changing one belief leaves the other draws as they were (common random numbers).
    """
    which_days, levels, prices = (np.random.default_rng(s) for s in _streams(seed))
    chosen = _days(history, which_days, count, days)
    level = np.exp(levels.normal(outlook.growth, outlook.level_sd, count))
    price = _prices(outlook, prices, count, days)

    curves = np.empty((3, count, blocks))
    for s in range(count):
        prompt, completion, list_usd = _slices(history, chosen[s], level[s], price[s])
        busiest_first = np.argsort(-(prompt + completion), kind="stable")
        for curve, values in zip(curves, (prompt, completion, list_usd), strict=True):
            parts = np.array_split(values[busiest_first], blocks)
            curve[s] = [part.sum() for part in parts]
    cells = days * HOURS * SLICES
    minutes = np.array([len(part) for part in np.array_split(np.empty(cells), blocks)]) * (
        MINUTES / SLICES
    )
    return Scenarios(history.model, minutes, curves[0] / minutes, curves[1] / minutes, curves[2])


def _streams(seed: int) -> list[np.random.SeedSequence]:
    return np.random.SeedSequence(seed).spawn(3)


def _days(
    history: DemandHistory, rng: np.random.Generator, count: int, days: int
) -> NDArray[np.int64]:
    """Rows of the history for each day of each month: same weekday, drawn with replacement."""
    weekday = (history.since.weekday() + np.arange(history.days)) % 7
    chosen = np.empty((count, days), dtype=np.int64)
    for day in range(days):
        same = np.flatnonzero(weekday == (history.until + timedelta(days=day)).weekday())
        chosen[:, day] = rng.choice(same, count)
    return chosen


def _prices(outlook: Outlook, rng: np.random.Generator, count: int, days: int) -> Floats:
    """Pay-as-you-go over the history's prices [count, days]: 1, and another level after a jump."""
    jumps = rng.random(count) < outlook.price_jump_chance
    sign = np.where(rng.random(count) < outlook.price_rise_chance, 1.0, -1.0)
    size = np.abs(rng.normal(outlook.price_jump_mean, outlook.price_jump_sd, count))
    first_day = rng.integers(0, days, count)
    after = np.arange(days)[None, :] >= first_day[:, None]
    prices: Floats = np.exp(np.where(after & jumps[:, None], (sign * size)[:, None], 0.0))
    return prices


def _slices(
    history: DemandHistory, days: NDArray[np.int64], level: float, price: Floats
) -> tuple[Floats, Floats, Floats]:
    """One month in five-minute slices: prompt and completion tokens, and USD at pay-as-you-go."""
    share = level * history.slices / SLICES
    prompt = history.prompt[days][:, :, None] * share
    completion = history.completion[days][:, :, None] * share
    list_usd = (history.list_nanos[days] / NANOS_PER_USD * price[:, None])[:, :, None] * share
    return prompt.ravel(), completion.ravel(), list_usd.ravel()

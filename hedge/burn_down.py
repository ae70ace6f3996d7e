"""BurnDown: how the rest of a budget's window may go, by the days that were.

Days that may come are drawn from those that were: a few at a time as they followed each other
(what happens on one day goes on on the next), each block beginning on a day of the same weekday,
recent days more often than older ones. From each seven days ahead to the next the level of a path
moves as much up or down as it did from one week to the next, either way with the same chance: that
the last weeks grew says how much the level moves, and not that it goes on growing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ledger.money import MAX_NANOS, Money

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.intp]

LEAST_DAYS = 7
"""With fewer there is no forecast: some weekday would never have been seen."""
MOST_DAYS = 56
"""Older days say nothing about this month any more."""
WEEKDAYS_FROM_DAYS = 28
"""From so many days on a day stands for its weekday alone; before, a workday for all workdays."""
BLOCK_DAYS = 3
HALF_LIFE_DAYS = 7
PATHS = 2_000
PARTS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The lines of the fan: so much of all paths stays below each."""
MOST_MOVE = 2.0
"""From week to week the level at most doubles or halves: that one week was a trial says no more."""
_WIDER = (3.84, 1.78, 1.43, 1.30, 1.22, 1.18, 1.15)
"""What few steps do not show of how far steps go: the 95% quantile of Student's t with as many
degrees of freedom, to that of a normal distribution."""
_SATURDAY = 5
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Past:
    """Days (UTC) that are over, one after the other. last: the newest, which is spent_nanos[-1].

    A day without a charge is 0; days before the first charge ever are not among them.
    """

    last: date
    spent_nanos: tuple[Money, ...]


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is to come: parts of days (UTC) one after the other from today on, each above 0 and at
    most 1. Only the first and the last can be less than whole: what is left of today, and what of
    the last day is before the end. A part of a day costs that part of what the day does.
    """

    first: date
    parts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Fan:
    """What will have been spent in all by the end of each day ahead, so much or less: in PARTS of
    all paths. USD in nanos."""

    part: float
    nanos: tuple[Money, ...]


@dataclass(frozen=True, slots=True)
class BurnDown:
    """The rest of a window.

    basis: what it is made of, for people. by: the days that the points of the fan stand at the end
    of. breach: the chance that more than the cap is spent by the end; None without a cap.
    likely: the day by which half of those paths that go over it have; None where none does.
    """

    basis: str
    by: tuple[date, ...]
    fans: tuple[Fan, ...]
    expected: Money
    breach: float | None
    likely: date | None

    def fan(self, part: float) -> Fan:
        return next(one for one in self.fans if one.part == part)


@dataclass(frozen=True, slots=True)
class NoForecast:
    """why: a sentence that says so, and what it takes."""

    why: str


def burn_down(
    past: Past, spent: Money, ahead: Ahead, cap: Money | None, seed: int, paths: int = PATHS
) -> BurnDown | NoForecast:
    """spent: in the window until now, which is where `ahead` begins."""
    days = np.array(past.spent_nanos[-MOST_DAYS:], dtype=np.float64)
    if len(days) < LEAST_DAYS:
        return NoForecast(
            f"no forecast yet: it takes {LEAST_DAYS} whole days since the first charge, and there"
            f" {'is' if len(days) == 1 else 'are'} {_days(len(days))}"
        )
    if not ahead.parts:
        return NoForecast("no forecast: this time is over")
    draw = np.random.default_rng(seed)
    steps = _steps(days)
    drawn = days[_drawn(_Calendar(past.last, len(days)), ahead, draw, paths)]
    drawn *= np.array(ahead.parts)
    drawn *= _levels(steps, len(ahead.parts), draw, paths)
    totals = float(spent) + np.cumsum(drawn, axis=1)
    by = tuple(ahead.first + timedelta(days=one) for one in range(len(ahead.parts)))
    over = None if cap is None else totals > float(cap)
    return BurnDown(
        _basis(len(days), len(steps)),
        by,
        tuple(
            Fan(part, tuple(map(_nanos, line)))
            for part, line in zip(PARTS, np.quantile(totals, PARTS, axis=0), strict=True)
        ),
        _nanos(totals[:, -1].mean()),
        None if over is None else float(over[:, -1].mean()),
        None if over is None else _likely(over, by),
    )


def _basis(days: int, steps: int) -> str:
    like = "weekday" if days >= WEEKDAYS_FROM_DAYS else "kind (workday or weekend)"
    basis = f"from {days} days; each day to come is drawn from those of its {like}"
    if steps:
        return basis
    return f"{basis}; how much weeks differ is not known yet, so that more can happen than is shown"


def _days(count: int) -> str:
    return f"{count} day{'' if count == 1 else 's'}"


def _nanos(amount: float) -> Money:
    return Money(min(round(amount), MAX_NANOS))


@dataclass(frozen=True, slots=True)
class _Calendar:
    """The days that were, by their number from the oldest on."""

    last: date
    count: int

    def kind(self, day: date) -> int:
        """Days of one kind stand for each other."""
        weekday = day.weekday()
        return weekday if self.count >= WEEKDAYS_FROM_DAYS else int(weekday >= _SATURDAY)

    def kinds(self) -> list[int]:
        first = self.last - timedelta(days=self.count - 1)
        return [self.kind(first + timedelta(days=one)) for one in range(self.count)]


def _drawn(calendar: _Calendar, ahead: Ahead, draw: np.random.Generator, paths: int) -> Indices:
    """For each path and day ahead, the number of the day that was in its place."""
    kinds = np.array(calendar.kinds())
    weights = 0.5 ** ((calendar.count - 1 - np.arange(calendar.count)) / HALF_LIFE_DAYS)
    found = np.empty((paths, len(ahead.parts)), dtype=np.intp)
    for place in range(len(ahead.parts)):
        kind = calendar.kind(ahead.first + timedelta(days=place))
        of_kind = np.flatnonzero(kinds == kind)
        upto = np.cumsum(weights[of_kind])
        fresh = of_kind[np.searchsorted(upto, draw.random(paths) * upto[-1], side="right")]
        if place % BLOCK_DAYS:
            following = found[:, place - 1] + 1
            goes_on = following < calendar.count
            goes_on &= kinds[np.minimum(following, calendar.count - 1)] == kind
            fresh = np.where(goes_on, following, fresh)
        found[:, place] = fresh
    return found


def _steps(days: Floats) -> Floats:
    """How much of the week before it each whole week was, counted back from the last day, and as
    much further as few of them do not show; weeks without a charge say nothing."""
    weeks = len(days) // _WEEK
    sums = days[len(days) - weeks * _WEEK :].reshape(weeks, _WEEK).sum(axis=1)
    before, after = sums[:-1], sums[1:]
    known = (before > 0) & (after > 0)
    ratios: Floats = after[known] / before[known]
    return np.clip(ratios ** _wider(len(ratios)), 1 / MOST_MOVE, MOST_MOVE)


def _wider(steps: int) -> float:
    return _WIDER[min(steps, len(_WIDER)) - 1] if steps else 1.0


def _levels(steps: Floats, days: int, draw: np.random.Generator, paths: int) -> Floats:
    """Of each path and day ahead: moved by a step for each seven days that have begun."""
    if not len(steps):
        return np.ones((paths, days))
    weeks = -(-days // _WEEK)
    moves = np.log(steps)[draw.integers(len(steps), size=(paths, weeks))]
    moves *= np.where(draw.random((paths, weeks)) < 0.5, 1.0, -1.0)
    levels: Floats = np.exp(np.cumsum(moves, axis=1))
    return np.repeat(levels, _WEEK, axis=1)[:, :days]


def _likely(over: NDArray[np.bool_], by: Sequence[date]) -> date | None:
    breaching = int(over[:, -1].sum())
    if not breaching:
        return None
    return by[int(np.argmax(over.sum(axis=0) * 2 >= breaching))]

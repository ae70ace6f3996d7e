"""Own traffic: the router as it is without anybody's histories, on what its own requests meet.

Each model has so many requests of ours in every window; only they are seen, and only when the
window is over. The feed, where there is one, says of each offer what the last window said: as a
prior, worth a few attempts.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from benchmarks.traffic.estimates import (
    LIKELY_ANSWERED,
    LIKELY_ON_TIME,
    ON_TIME,
    SUCCESS,
    Chance,
    Prior,
    pooled,
)
from routing.ordering import Odds, Stakes, order
from routing.ranking import EXPLORE_OFTEN
from tests.evaluate.exploring import hopefuls, least_known, trial
from tests.evaluate.histories import WINDOW_S, Floats, History
from tests.evaluate.knowledge import Knowledge
from tests.evaluate.ours import stakes_of
from tests.evaluate.replay import ATTEMPTS, NOBODY, Cells, Facts, Places, Tally, play

SEED = 20260720
THOMPSON_DRAWS = 4
"""Per cell; each is the row of an equal part of its requests."""
HOPE = 2.0
"""Deviations above the mean of a belief."""


class Trying(StrEnum):
    """How offers are tried that do not look best."""

    NEVER = "never"
    COULD_WIN = "2% of requests, among offers that could win"
    LEAST_KNOWN = "2% of requests, the least known of the cheap"
    THOMPSON = "Thompson"


@dataclass(frozen=True, slots=True)
class Setup:
    """requests: of ours, per model and window. feed_worth: attempts, 0 without a feed."""

    requests: int
    feed_worth: float
    trying: Trying


def run(
    setup: Setup,
    history: History,
    facts: Facts,
    knowledge: Knowledge,
    cells: Cells,
    costs: Floats,
    miss_weight: float,
) -> Tally:
    """costs: expected, by cell and offer."""
    draws = np.random.default_rng(SEED)
    router = _Router(setup, history, facts, knowledge)
    stakes = stakes_of(cells, miss_weight)
    shares = _shares(setup.trying)
    rows = np.full((len(shares), len(cells), ATTEMPTS), NOBODY, dtype=np.intp)
    for window in range(len(history.ends_s)):
        for cell in np.flatnonzero(cells.windows == window).tolist():
            count = int(cells.there[cell].sum())
            offers = cells.offers[cell, :count]
            beliefs = router.beliefs(window, offers)
            each = _rows(setup.trying, costs[cell, :count], beliefs, stakes[cell], draws)
            for at, row in enumerate(each):
                rows[at, cell, : min(ATTEMPTS, count)] = row[:ATTEMPTS]
        router.note(window, cells, rows, shares, draws)
    tallies = [play(cells, one) for one in rows]
    return Tally(
        *(
            sum((share * part for share, part in zip(shares, parts, strict=True)), np.zeros(1))
            for parts in zip(
                *((one.costs, one.answered, one.in_time, one.requests) for one in tallies),
                strict=True,
            )
        )
    )


def _shares(trying: Trying) -> list[float]:
    """Of the requests of a cell, by the row that they take."""
    match trying:
        case Trying.NEVER:
            return [1.0]
        case Trying.COULD_WIN | Trying.LEAST_KNOWN:
            return [1 - EXPLORE_OFTEN, EXPLORE_OFTEN]
        case Trying.THOMPSON:
            return [1 / THOMPSON_DRAWS] * THOMPSON_DRAWS


@dataclass(frozen=True, slots=True)
class _Beliefs:
    """Of some offers: the counts of Beta distributions, [success, on time] by offer.

    attempts: how many of ours the belief in its success stands on, by offer.
    """

    good: Floats
    bad: Floats
    attempts: list[float]

    @property
    def mean(self) -> Floats:
        return self.good / (self.good + self.bad)

    @property
    def hoped(self) -> Floats:
        count = self.good + self.bad
        deviation = np.sqrt(self.good * self.bad / (count + 1)) / count
        return np.minimum(1.0, self.mean + HOPE * deviation)


def _rows(
    trying: Trying, costs: Floats, beliefs: _Beliefs, stakes: Stakes, draws: np.random.Generator
) -> list[list[int]]:
    """One row for each of `_shares`."""
    if trying is Trying.THOMPSON:
        shape = (THOMPSON_DRAWS, *beliefs.good.shape)
        drawn = draws.beta(beliefs.good, beliefs.bad, shape)
        return [order(costs, Odds.of(*one), stakes) for one in drawn]
    odds = Odds.of(*beliefs.mean)
    row = order(costs, odds, stakes)
    if trying is Trying.NEVER:
        return [row]
    if trying is Trying.COULD_WIN:
        could = hopefuls(costs, odds, Odds.of(*beliefs.hoped), stakes, row)
    else:
        could = least_known(costs, odds, stakes, row, beliefs.attempts)
    return [row, trial(row, int(draws.choice(could))) if could else row]


class _Router:
    """What was seen of every offer, by our own requests."""

    def __init__(self, setup: Setup, history: History, facts: Facts, knowledge: Knowledge) -> None:
        self._setup, self._history, self._facts = setup, history, facts
        self._last = knowledge.last
        self._success = [Chance(SUCCESS) for _ in history.endpoints]
        self._on_time = [Chance(ON_TIME) for _ in history.endpoints]

    def beliefs(self, window: int, offers: Places) -> _Beliefs:
        """Of each offer as the window begins."""
        start_s = float(self._history.ends_s[window]) - WINDOW_S
        found = []
        for chances, known, likely in (
            (self._success, self._facts.success, LIKELY_ANSWERED),
            (self._on_time, self._facts.on_time, LIKELY_ON_TIME),
        ):
            prior = pooled((chances[one] for one in offers), start_s, Prior(likely, 20.0))
            each = [
                chances[one].belief(start_s, self._prior(known, window, one, prior))
                for one in offers
            ]
            found.append([(one.good, one.bad) for one in each])
        good, bad = np.moveaxis(np.array(found), -1, 0)
        return _Beliefs(good, bad, [self._success[one].counted(start_s)[1] for one in offers])

    def _prior(self, known: Floats, window: int, offer: int, else_: Prior) -> Prior:
        last = self._last[window, offer]
        if not self._setup.feed_worth or last < 0 or not np.isfinite(known[last, offer]):
            return else_
        # Nobody's last window was all good or all bad for certain.
        share = min(max(float(known[last, offer]), 0.01), 0.99)
        return Prior(share, self._setup.feed_worth)

    def note(
        self,
        window: int,
        cells: Cells,
        rows: Places,
        shares: list[float],
        draws: np.random.Generator,
    ) -> None:
        """Draw what our requests met in this window, and remember it."""
        end_s = float(self._history.ends_s[window])
        for cell in np.flatnonzero(cells.windows == window).tolist():
            parts = draws.multinomial(self._setup.requests, shares).tolist()
            for offer, met in _met(cells, cell, rows[:, cell], parts, draws).items():
                self._success[offer].window(end_s, met.answered, met.attempts, WINDOW_S)
                self._on_time[offer].window(end_s, met.in_time, met.answered, WINDOW_S)


@dataclass(slots=True)
class _Met:
    attempts: int = 0
    answered: int = 0
    in_time: int = 0


def _met(
    cells: Cells, cell: int, rows: Places, parts: list[int], draws: np.random.Generator
) -> dict[int, _Met]:
    """By offer, what the requests of a cell meet: so many of them by each row."""
    found = defaultdict[int, _Met](_Met)
    for row, requests in zip(rows.tolist(), parts, strict=True):
        left = requests
        for column in row:
            if column == NOBODY or not left:
                break
            met = found[int(cells.offers[cell, column])]
            answered = int(draws.binomial(left, cells.success[cell, column]))
            met.attempts += left
            met.answered += answered
            met.in_time += int(draws.binomial(answered, cells.on_time[cell, column]))
            left -= answered
    return found

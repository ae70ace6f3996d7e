"""Ordering: which offer to try first, second and third, so that the whole is cheapest.

An attempt that fails costs nothing and the next offer is tried; one that succeeds costs its price,
and a miss beside if its first token is late. So three offers in a row cost, in expectation,

    s1 g1 + (1 - s1) (s2 g2 + (1 - s2) (s3 g3 + (1 - s3) unserved)),   g = cost + late * miss_cost

Three facts make the best row fast to find. Whatever comes after two neighbours, they stand best in
ascending g: s cancels when they change places. The best row that begins at or after an offer in
that order is one step from the best shorter row behind it. And an offer has no place in it if three
others would be as good there, one of which is free: that are no dearer and fail no more often, or
that cost less, with nobody behind them, than it if it always answered. Hence one sort and a few
steps over its beginning find exactly what trying all rows finds (the tests hold both together).
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ATTEMPTS = 3
LEAST_SUCCESS = 0.01
TIE = 1e-6
"""A miss always weighs at least this share of `unserved`: of equal costs the one on time wins."""


@dataclass(frozen=True, slots=True)
class Odds:
    """What the snapshot knows of some offers, one place in each array per offer.

    success: the probability that an attempt is answered. failure: the rest.
    late: the probability that an answer's first token comes after the limit. retries: how many
    attempts fail, in expectation, before one is answered.
    """

    success: Floats
    failure: Floats
    late: Floats
    retries: Floats

    @classmethod
    def of(cls, success: Floats, on_time: Floats) -> Odds:
        """From P(answered) and P(first token in time, given that it is answered)."""
        failure = 1.0 - success
        return cls(success, failure, 1.0 - on_time, failure / np.maximum(success, LEAST_SUCCESS))

    @classmethod
    def joined(cls, each: Sequence[Odds]) -> Odds:
        """Of the offers of several models, one after the other."""
        return cls(
            np.concatenate([one.success for one in each]),
            np.concatenate([one.failure for one in each]),
            np.concatenate([one.late for one in each]),
            np.concatenate([one.retries for one in each]),
        )

    def at(self, places: NDArray[np.intp]) -> Odds:
        """Of the offers at these places: those that may serve the request at hand."""
        return Odds(
            self.success[places], self.failure[places], self.late[places], self.retries[places]
        )


@dataclass(frozen=True, slots=True)
class Stakes:
    """What going wrong costs, in the money of the costs (nano-USD as float: it only orders).

    miss: a first token after the limit. unserved: no answer after all attempts; more than any
    offer costs with a miss.
    """

    miss: float
    unserved: float

    @classmethod
    def of(cls, unit: float, weight: float) -> Stakes:
        """unit: the median list cost of this request over the model's offers. weight: what a miss
        is worth in units. A request without an answer is a miss, and its money's worth is lost."""
        return cls(weight * unit, (weight + 1.0) * unit)


def order(costs: Floats, odds: Odds, stakes: Stakes, attempts: int = ATTEMPTS) -> list[int]:
    """The places of all offers: first the best row of `attempts`, then the rest by cost and misses.

    costs: what this request is expected to cost at each offer, if it answers.
    """
    count = len(costs)
    if count < 2:
        return list(range(count))
    burden: list[float] = (costs + odds.late * (stakes.miss + TIE * stakes.unserved)).tolist()
    # Not `argsort`: that lets go of the interpreter, and a busy thread is slow to give it back.
    ordered = sorted(range(count), key=burden.__getitem__)
    front = _front(ordered, burden, odds, stakes.unserved, attempts)
    taken = _best_row(front, stakes.unserved, attempts)
    row = [ordered[one] for one in taken]
    for one in reversed(taken):
        del ordered[one]
    return row + ordered


def _front(
    ordered: Sequence[int], burden: Sequence[float], odds: Odds, unserved: float, attempts: int
) -> list[tuple[int, float, float]]:
    """Those of them that may be in the best row: which, what it gains (s g), and its failure.

    One by one: of so few numbers that is sooner done than by arrays.
    """
    front: list[tuple[int, float, float]] = []
    alone: list[float] = []
    failures: list[float] = []
    for at, place in enumerate(ordered):
        own = burden[place]
        if len(alone) >= attempts and alone[attempts - 1] <= min(own, unserved):
            break
        failure = odds.failure.item(place)
        if len(failures) >= attempts and failures[attempts - 1] <= failure and own <= unserved:
            continue
        gain = odds.success.item(place) * own
        front.append((at, gain, failure))
        insort(failures, failure)
        insort(alone, gain + failure * unserved)
    return front


def _best_row(
    front: Sequence[tuple[int, float, float]], unserved: float, attempts: int
) -> tuple[int, ...]:
    # best[a]: of the rows of `a` attempts that begin at or after an offer: its value, and itself.
    best: list[tuple[float, tuple[int, ...]]] = [(unserved, ())]
    for at, gain, failure in reversed(front):
        if len(best) <= attempts:
            best.append((math.inf, ()))
        for longer in range(len(best) - 1, 0, -1):
            behind, row = best[longer - 1]
            value = gain + failure * behind
            if value <= best[longer][0]:
                best[longer] = value, (at, *row)
    return best[-1][1]


def expected_burden(costs: Floats, odds: Odds, stakes: Stakes, row: tuple[int, ...]) -> float:
    """What trying these places one after the other costs in expectation, misses included."""
    value = stakes.unserved
    for place in reversed(row):
        burden = costs[place] + odds.late[place] * (stakes.miss + TIE * stakes.unserved)
        value = odds.success[place] * burden + odds.failure[place] * value
    return float(value)

"""Closed forms: what theory says in the cases in which it says it in one line; checks, and rules.

A newsvendor buys n units at `fee` each before demand is known, and what is asked for beyond them at
`price`. Amounts are in whatever currency they come in.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import e, inf, log1p
from statistics import NormalDist

import numpy as np

from hedge.risk import Floats

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Newsvendor:
    """units: to buy. cost: what is minimised, expected or CVaR."""

    units: float
    cost: float


def newsvendor(mean: float, sd: float, fee: float, price: float) -> Newsvendor:
    """The least expected cost when demand is normal and 0 < fee < price."""
    z = _NORMAL.inv_cdf(1 - fee / price)
    return Newsvendor(mean + sd * z, fee * mean + price * sd * _NORMAL.pdf(z))


def cvar_newsvendor(
    mean: float, sd: float, fee: float, price: float, confidence: float
) -> Newsvendor:
    """The least CVaR of the cost when demand is normal and 0 < fee < price."""
    tail = 1 - confidence
    z = _NORMAL.inv_cdf(1 - tail * fee / price)
    return Newsvendor(mean + sd * z, fee * mean + price * sd * _NORMAL.pdf(z) / tail)


def newsvendor_units(demand: Floats, fee: float, price: float) -> float:
    """Of equally likely demands: the least size whose next unit is needed too seldom."""
    return _least_above(demand, 1 - fee / price)


def cvar_newsvendor_units(demand: Floats, fee: float, price: float, confidence: float) -> float:
    """The same for the least CVaR of the cost."""
    return _least_above(demand, 1 - (1 - confidence) * fee / price)


def _least_above(demand: Floats, share: float) -> float:
    """0 where nothing is worth its fee."""
    place = int(np.ceil(round(share * len(demand), 9)))
    return float(np.sort(demand)[place - 1]) if place > 0 else 0.0


@dataclass(frozen=True, slots=True)
class SkiRental:
    """Pay `upfront` and then `discounted` an hour, or `on_demand` an hour.

    alpha: discounted / on_demand. break_even: hours after which upfront is worth it. worst: what
    waiting for them costs at most, relative to knowing the hours in advance (Wang, Li and Liang's
    deterministic rule). bound: the same, expected, if the wait is drawn at random, and the least
    that any rule can promise.
    """

    on_demand: float
    upfront: float
    discounted: float

    @property
    def alpha(self) -> float:
        return self.discounted / self.on_demand

    @property
    def break_even(self) -> float:
        return self.upfront / (self.on_demand - self.discounted)

    @property
    def worst(self) -> float:
        return 2 - self.alpha

    @property
    def bound(self) -> float:
        return e / (e - 1 + self.alpha)

    def cost(self, hours: float, wait: float) -> float:
        """Of who goes on demand for `wait` hours and then pays upfront, if so many are needed."""
        if hours <= wait:
            return self.on_demand * hours
        return self.on_demand * wait + self.upfront + self.discounted * (hours - wait)

    def least(self, hours: float) -> float:
        """Of who knows how many are needed."""
        return min(self.on_demand * hours, self.upfront + self.discounted * hours)

    def wait(self, chance: float) -> float:
        """The randomised rule's wait, for `chance` uniform on 0 to 1: z of break-even with density
        e^z / (e - 1 + alpha) up to 1, and else for ever. Then each need costs the same share above
        the least, on average."""
        z = log1p(chance * (e - 1 + self.alpha))
        return self.break_even * z if z <= 1 else inf


def least_variance_weights(mean: Floats, covariance: Floats, target: float) -> Floats:
    """Of a portfolio that is fully invested and returns `target` on average; may be below 0."""
    size = len(mean)
    sides = np.stack([mean, np.ones(size)])
    system = np.block([[covariance, sides.T], [sides, np.zeros((2, 2))]])
    return np.asarray(np.linalg.solve(system, [*np.zeros(size), target, 1.0])[:size])


@dataclass(frozen=True, slots=True)
class NormalTail:
    """Of a normal loss: what it exceeds with chance 1 - confidence, and its mean beyond that."""

    var: float
    cvar: float


def normal_tail(mean: float, sd: float, confidence: float) -> NormalTail:
    z = _NORMAL.inv_cdf(confidence)
    return NormalTail(mean + sd * z, mean + sd * _NORMAL.pdf(z) / (1 - confidence))

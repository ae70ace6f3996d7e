"""Rules: what a buyer could do instead of solving a program, each as it stands in its source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import e, log1p

import numpy as np

from hedge.backtest.layers import Layers
from hedge.backtest.offer import Offer
from hedge.backtest.path import Ints, Seen
from hedge.backtest.walk import NOTHING, Buys
from hedge.risk import Floats, cvar
from hedge.scenarios.months import Months
from ledger.calendar_months import months_later
from ledger.money import NANOS_PER_USD

SLICE_MINUTES = 5


@dataclass(frozen=True, slots=True)
class Never:
    name: str = "never"
    is_daily: bool = False

    def buys(self, seen: Seen) -> Buys:  # noqa: ARG002 - the shape of a rule
        return NOTHING


Size = Callable[[Layers, "Offer", int], float]
"""How many steps to hold over a term of so many months."""


def layers_of(months: Months, offer: Offer) -> Layers:
    step_tokens = offer.step * offer.slice_tokens / SLICE_MINUTES
    return Layers.of(months, step_tokens, offer.max_units // offer.step)


@dataclass(frozen=True, slots=True)
class Sized:
    """Keeps so many units by one term length, topped up on the first of each month."""

    name: str
    term: int
    size: Size
    is_daily: bool = False

    def buys(self, seen: Seen) -> Buys:
        if self.term not in seen.offer.fees or seen.forecast is None:
            return NOTHING
        held = int(seen.held[0])
        target = self.size(layers_of(seen.forecast, seen.offer), seen.offer, self.term)
        return {self.term: seen.offer.sold(target * seen.offer.step - held, held)}


def mean(layers: Layers, offer: Offer, term: int) -> float:  # noqa: ARG001 - the shape of a size
    return layers.mean(term)


def median(layers: Layers, offer: Offer, term: int) -> float:  # noqa: ARG001 - the same
    return layers.quantile(0.5, term)


def p95(layers: Layers, offer: Offer, term: int) -> float:  # noqa: ARG001 - the same
    return layers.quantile(0.95, term)


def newsvendor(layers: Layers, offer: Offer, term: int) -> float:
    """The size with the least expected cost over the term."""
    return float(np.argmin(_term_cost(layers, offer, term).mean(axis=0)))


def cvar_newsvendor(layers: Layers, offer: Offer, term: int, confidence: float = 0.95) -> float:
    """The size with the least mean of the worst 5% of costs over the term."""
    costs = _term_cost(layers, offer, term)
    return float(np.argmin([cvar(column, confidence) for column in costs.T]))


def _term_cost(layers: Layers, offer: Offer, term: int) -> Floats:
    """USD over the term, by scenario and steps held [scenarios, layers + 1]."""
    saved = layers.served_usd[:, :term].sum(axis=1)
    listed = layers.list_usd()[:, :term].sum(axis=1)
    fee = offer.fees[term] * offer.step * term / NANOS_PER_USD
    return np.asarray(listed[:, None] - saved + fee * np.arange(saved.shape[1]), dtype=np.float64)


@dataclass(slots=True)
class Profile:
    """What each step of capacity would have served, day by day; the rules of a path share it."""

    served_tokens: list[Ints] = field(default_factory=list)

    def learn(self, seen: Seen) -> None:
        step = seen.offer.step * seen.offer.slice_tokens
        edges = step * np.arange(seen.offer.max_units // seen.offer.step + 1)
        for day in range(len(self.served_tokens), len(seen.tokens)):
            served = np.minimum(seen.tokens[day][None, :], edges[:, None]).sum(axis=1)
            self.served_tokens.append(np.diff(served))


@dataclass(slots=True)
class BreakEven:
    """Wang, Li and Liang (arXiv 1305.5608): a step is reserved for a term once it would have saved
    `share` of the term's fee in the last such term. Steps bought count as if they had been there
    all that time, so that one past spend is not the reason for two purchases. With nothing to pay
    for use beside the fee, share 1 is their deterministic rule (never over twice the clairvoyant's
    cost), and a share drawn once from the density e^z / (e - 1) on [0, 1] their randomised one.
    """

    name: str
    term: int
    profile: Profile
    share: float = 1.0
    is_daily: bool = True
    _counted: list[int] = field(default_factory=list)
    """Steps that count as held on each day."""
    _held: int = 0

    def buys(self, seen: Seen) -> Buys:
        offer = seen.offer
        self.profile.learn(seen)
        days = len(seen.tokens)
        self._counted += [
            self._held if day == days - 1 else 0 for day in range(len(self._counted), days)
        ]
        self._held = int(seen.held[0]) // offer.step
        if self.term not in offer.fees:
            return NOTHING
        window = min(days, (seen.today - months_later(seen.today, -self.term)).days)
        served = np.array(self.profile.served_tokens[days - window : days])
        counted = np.array(self._counted[-window:])
        usd = seen.list_nanos[-window:].astype(float)
        fee = self.share * offer.fees[self.term] * offer.step * self.term
        bought, rows = 0, np.arange(window)
        while (self._held + bought + 1) * offer.step <= offer.max_units:
            layer = np.minimum(counted + bought, served.shape[1] - 1)
            if served[rows, layer] @ usd < fee:
                break
            bought += 1
        units = offer.sold(bought * offer.step, self._held * offer.step)
        for row in range(days - window, days):
            self._counted[row] += units // offer.step
        self._held += units // offer.step
        return {self.term: units}


def randomised_share(rng: np.random.Generator) -> float:
    """A draw from e^z / (e - 1) on [0, 1], by its inverse."""
    return float(log1p(rng.random() * (e - 1)))

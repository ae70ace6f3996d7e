"""Regret: what other sizes of what was bought would have cost, by the month that really came.

All that the offers of a commitment served is billed anew for each size that is sold, from nothing
to twice what was held: minute by minute for throughput, over its window for a quota. What fits is
paid for with the fee; of what does not, the same part of every request at what it costs at
pay-as-you-go there. Routing stays as it was: requests that went elsewhere, or drew on another
commitment, do so again. So hindsight is a bound on what a better size could have saved, not on what
another router would.
"""

from __future__ import annotations

from dataclasses import dataclass

from hedge.effectiveness.query import Query
from ledger.money import Money

SEARCHED = "0 to twice what was held"


@dataclass(frozen=True, slots=True)
class SizeCost:
    """The month with so many units: fee, and what is left to pay as it goes."""

    units: int
    fee: Money
    pay_as_you_go: Money

    @property
    def cost(self) -> Money:
        return Money(self.fee + self.pay_as_you_go)


@dataclass(frozen=True, slots=True)
class Regret:
    """Of one commitment, in its month or (a quota of the whole term) its term. sizes: those that
    were tried, ascending; the first is 0. held, best, never: three of them; of equal ones the best
    is the smallest. break_even: of who pays as they go until another lot of units would have paid
    for itself, and buys it then, for a whole fee."""

    commitment: str
    contract: str
    sizes: tuple[SizeCost, ...]
    held: SizeCost
    best: SizeCost
    break_even: Money
    query: Query

    @property
    def never(self) -> SizeCost:
        return self.sizes[0]

    @property
    def against_hindsight(self) -> Money:
        """What was held cost so much more than the best size; never below 0."""
        return Money(self.held.cost - self.best.cost)

    @property
    def against_never(self) -> Money:
        """Below 0, what was held was worth it."""
        return Money(self.held.cost - self.never.cost)

    @property
    def against_break_even(self) -> Money:
        """Below 0, buying ahead was better than waiting until it pays."""
        return Money(self.held.cost - self.break_even)


@dataclass(frozen=True, slots=True)
class NotJudged:
    """A commitment without a regret, and why."""

    commitment: str
    contract: str
    why: str


@dataclass(frozen=True, slots=True)
class Regrets:
    judged: tuple[Regret, ...]
    not_judged: tuple[NotJudged, ...]

"""Attribution: why a month cost more or less than the one before, in parts that sum to it exactly.

Of one model, with volume V0 at price P0 before and V1 at P1 now, where the price's change is a sum
of parts Δ with a cause each:

    V1 P1 - V0 P0  =  (V1 - V0) P0  +  Σ V0 Δ  +  (V1 - V0) ΣΔ
                      volume, mix      causes      cross

Volume is what all models together would have cost more at the mix of before; mix is the rest of
the first term. The cross term belongs to volume and price together and is shown, not shared out. A
model that is new has no price before, and one that is gone none now: nothing of theirs is price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from hedge.effectiveness.query import Query
from ledger.money import Money


class Cause(StrEnum):
    """In the order of a report."""

    VOLUME = "volume"
    MIX = "mix"
    INDEX = "index"
    """Of the price's change, what the settlement index explains by the designated beta."""
    PRICE = "price"
    """All of the price's change, where no index is designated."""
    BASIS = "basis"
    """The rest of the price's change, where an index is."""
    CROSS = "cross"
    ROUTING = "routing"
    """Usage at the prices of the offers that served it, less at the first-listed ones."""
    COMMITMENTS = "commitments"
    """Fees and overage, less what their draws would have cost at pay-as-you-go."""
    DERIVATIVES = "derivatives"
    ROLL = "roll"
    FEES = "fees"


class Measure(StrEnum):
    """What a model's volume is counted in."""

    TOKENS = "tokens"
    REQUESTS = "requests"
    """Of work without tokens, as images."""


@dataclass(frozen=True, slots=True)
class Work:
    """What was asked of a model in a period, at the first-listed offer's price."""

    requests: int
    tokens: int
    cost: Money


@dataclass(frozen=True, slots=True)
class ModelChange:
    """A model in both periods. volumes in `measure`. usd_per_m: USD per million tokens, or per
    million requests, at the first-listed offer; None of no volume. parts: of its change of cost, in
    nano-USD, to a fraction; they sum to it exactly."""

    model: str
    measure: Measure
    volume_before: int
    volume_now: int
    cost_before: Money
    cost_now: Money
    usd_per_m_before: Decimal | None
    usd_per_m_now: Decimal | None
    parts: Mapping[Cause, Fraction]


@dataclass(frozen=True, slots=True)
class IndexMove:
    """The mean of a settlement index in both periods. beta: by how many percent the price of usage
    moves when the index moves by one, as the derivative's contract states it."""

    contract: str
    index: str
    beta: Fraction
    before: Decimal
    now: Decimal

    @property
    def change(self) -> Fraction:
        """Of the price of usage, as a part of it."""
        return self.beta * (Fraction(self.now) / Fraction(self.before) - 1)


@dataclass(frozen=True, slots=True)
class Level:
    """What the cost of a period is made of; all of it sums to the all-in cost. works: usage at the
    first-listed offer, by model."""

    works: Mapping[str, Work]
    routing: Money
    commitments: Money
    derivatives: Money
    roll: Money
    fees: Money

    @property
    def total(self) -> Money:
        used = sum(one.cost for one in self.works.values())
        rest = self.routing + self.commitments + self.derivatives + self.roll + self.fees
        return Money(used + rest)


@dataclass(frozen=True, slots=True)
class Attributed:
    """One part. amount: above 0 it cost more than before."""

    cause: Cause
    amount: Money


@dataclass(frozen=True, slots=True)
class Attribution:
    """parts: of every cause that there is here; they sum to `total`, which is now less before, to
    the nano-USD: what a nano-USD cannot be cut into goes to the largest remainders. models:
    dearest change first. index: what the price's change is held against; None: index_why_not."""

    before: Money
    now: Money
    parts: tuple[Attributed, ...]
    models: tuple[ModelChange, ...]
    index: IndexMove | None
    index_why_not: str | None
    query_before: Query
    query_now: Query

    @property
    def total(self) -> Money:
        return Money(self.now - self.before)

    def part(self, cause: Cause) -> Money | None:
        """None where it is no cause here."""
        return next((one.amount for one in self.parts if one.cause is cause), None)


def whole(parts: Sequence[Fraction]) -> tuple[Money, ...]:
    """Amounts cut to whole nano-USD, by the largest remainders, so that they sum as before: their
    sum has to be whole."""
    floors = [part.__floor__() for part in parts]
    left = sum(parts, Fraction(0)) - sum(floors)
    if left.denominator != 1:
        raise AssertionError(f"parts sum to a fraction of a nano-USD: {left}")
    first = sorted(range(len(parts)), key=lambda at: (floors[at] - parts[at], at))
    for at in first[: int(left)]:
        floors[at] += 1
    return tuple(map(Money, floors))

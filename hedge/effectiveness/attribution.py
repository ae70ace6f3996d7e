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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType

from hedge.effectiveness.economics import CostLine
from hedge.effectiveness.query import Query
from ledger.money import ZERO, Money, as_usd


class Cause(StrEnum):
    """In the order of a report."""

    VOLUME = "volume"
    MIX = "mix"
    INDEX = "index"
    """Of the price's change, what the settlement index explains by the designated beta."""
    PRICE = "price"
    """All of the price's change, of models that no index is designated for."""
    BASIS = "basis"
    """The rest of the price's change, of models that one is."""
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
    moves when the index moves by one, as a designation of the contract says it, or (designation
    None) its terms. models: whose prices it is held against; empty: all."""

    contract: str
    index: str
    beta: Fraction
    before: Decimal
    now: Decimal
    models: frozenset[str] = frozenset()
    designation: str | None = None

    @property
    def change(self) -> Fraction:
        """Of the price of usage, as a part of it."""
        return self.beta * (Fraction(self.now) / Fraction(self.before) - 1)

    def is_of(self, model: str) -> bool:
        return not self.models or model in self.models


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
    dearest change first. index: what the price's change is held against; None: index_why_not.
    lines_before: of which `before` is the sum."""

    before: Money
    now: Money
    parts: tuple[Attributed, ...]
    models: tuple[ModelChange, ...]
    index: IndexMove | None
    index_why_not: str | None
    query_before: Query
    query_now: Query
    lines_before: tuple[CostLine, ...]

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


def attributed(
    before: Level, now: Level, index: IndexMove | None
) -> tuple[tuple[Attributed, ...], tuple[ModelChange, ...]]:
    """Parts that can be none here are left out: `index` and `basis` without an index, `price` with
    one of all models."""
    models = _models(before.works, now.works, index)
    sums = dict.fromkeys(_causes(index), Fraction(0))
    for one in models:
        for cause, part in one.parts.items():
            sums[cause] += part
    sums[Cause.ROUTING] += now.routing - before.routing
    sums[Cause.COMMITMENTS] += now.commitments - before.commitments
    sums[Cause.DERIVATIVES] += now.derivatives - before.derivatives
    sums[Cause.ROLL] += now.roll - before.roll
    sums[Cause.FEES] += now.fees - before.fees
    amounts = whole(list(sums.values()))
    dearest = sorted(models, key=lambda one: (-abs(one.cost_now - one.cost_before), one.model))
    return tuple(map(Attributed, sums, amounts)), tuple(dearest)


def _causes(index: IndexMove | None) -> Iterator[Cause]:
    without = set[Cause]()
    if index is None:
        without = {Cause.INDEX, Cause.BASIS}
    elif not index.models:
        without = {Cause.PRICE}
    return (one for one in Cause if one not in without)


def _models(
    before: Mapping[str, Work], now: Mapping[str, Work], index: IndexMove | None
) -> list[ModelChange]:
    """Volumes can be summed over models that are counted alike."""
    pairs = {
        name: (before.get(name, _NO_WORK), now.get(name, _NO_WORK))
        for name in sorted({*before, *now})
    }
    found = []
    for measure in Measure:
        alike = {name: pair for name, pair in pairs.items() if _measure(*pair) is measure}
        was = sum(_volume(one, measure) for one, _ in alike.values())
        more = sum(_volume(one, measure) for _, one in alike.values()) - was
        growth = Fraction(more, was) if was else None
        for name, (old, new) in alike.items():
            change = index.change if index is not None and index.is_of(name) else None
            found.append(_changed(name, measure, old, new, growth, change))
    return found


def _changed(
    model: str,
    measure: Measure,
    old: Work,
    new: Work,
    growth: Fraction | None,
    change: Fraction | None,
) -> ModelChange:
    """growth: of the volume of all models, as a part of what it was; None where that was nothing:
    then all that there is now is volume. change: of its price, what an index explains."""
    was, is_now = _volume(old, measure), _volume(new, measure)
    price_before = Fraction(old.cost, was) if was else Fraction(new.cost, is_now or 1)
    price_now = Fraction(new.cost, is_now) if is_now else price_before
    moved = price_now - price_before
    more = (is_now - was) * price_before
    volume = more if growth is None else old.cost * growth
    parts = {Cause.VOLUME: volume, Cause.MIX: more - volume, Cause.CROSS: (is_now - was) * moved}
    if change is None:
        parts[Cause.PRICE] = was * moved
    else:
        explained = was * price_before * change if is_now else Fraction(0)
        parts[Cause.INDEX] = explained
        parts[Cause.BASIS] = was * moved - explained
    return ModelChange(
        model=model,
        measure=measure,
        volume_before=was,
        volume_now=is_now,
        cost_before=old.cost,
        cost_now=new.cost,
        usd_per_m_before=_usd_per_m(old.cost, was),
        usd_per_m_now=_usd_per_m(new.cost, is_now),
        parts=MappingProxyType(parts),
    )


def _measure(old: Work, new: Work) -> Measure:
    """A cost without tokens is one of requests."""
    has_none = any(one.cost and not one.tokens for one in (old, new))
    return Measure.REQUESTS if has_none else Measure.TOKENS


def _volume(work: Work, measure: Measure) -> int:
    return work.tokens if measure is Measure.TOKENS else work.requests


def _usd_per_m(cost: Money, volume: int) -> Decimal | None:
    return None if not volume else (as_usd(cost) * 1_000_000 / volume).quantize(_SIX)


_NO_WORK = Work(0, 0, ZERO)
_SIX = Decimal("0.000001")

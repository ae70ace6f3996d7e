"""Meters: what a charge is made of, count by count, so that every part is price × quantity exactly.

A rate card charges an attempt as a whole and rounds up once. Here it is taken apart, in whole
numbers of FINEST USD, so that nothing is lost: the parts and their rounding are the charge again.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

from ledger.charges import ChargeRow
from ledger.money import Money
from ledger.rates import MOST_DECIMALS, RateCard
from ledger.usage import TokenUsage, Unit

FINEST_DECIMALS = MOST_DECIMALS + 6
"""A price per million tokens has fifteen decimals at most, so that of one token has six more."""
_PER_NANO = 10 ** (FINEST_DECIMALS - 9)
_PRICES_REMEMBERED = 10_000
EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])
"""Decimal's usual arithmetic rounds at 28 digits without a word; here it would raise."""


class Meter(StrEnum):
    """What is counted. The values are those of FOCUS's SkuMeter."""

    INPUT = "Input Tokens"
    """Tokens of the prompt that were neither read from a cache nor written to one."""
    CACHED_INPUT = "Cached Input Tokens"
    CACHE_WRITE = "Cache Write Tokens"
    CACHE_WRITE_1H = "Cache Write Tokens, 1 Hour"
    """Where they have a price of their own; else they are among the others."""
    OUTPUT = "Output Tokens"
    REASONING = "Reasoning Tokens"
    """As those that are cached for an hour."""
    REQUEST = "Requests"
    IMAGE = "Images"
    CHARACTER = "Characters"
    SECOND = "Seconds"
    SEARCH = "Searches"
    UNMETERED = "Unmetered Requests"
    """An attempt of which nobody knows the counts: its estimate is the price of the one request."""

    @property
    def is_of_tokens(self) -> bool:
        return self in _TOKENS

    @property
    def unit(self) -> str:
        """Of quantities, in FOCUS's unit format."""
        if self.is_of_tokens:
            return "Tokens"
        return "Requests" if self is Meter.UNMETERED else self.value

    @property
    def per(self) -> int:
        """How many of the unit one price is for."""
        return 1_000_000 if self.is_of_tokens else 1


_TOKENS = frozenset(
    (
        *(Meter.INPUT, Meter.CACHED_INPUT, Meter.CACHE_WRITE, Meter.CACHE_WRITE_1H),
        *(Meter.OUTPUT, Meter.REASONING),
    )
)
_OF_UNIT = {
    Unit.IMAGE: Meter.IMAGE,
    Unit.CHARACTER: Meter.CHARACTER,
    Unit.SECOND: Meter.SECOND,
    Unit.SEARCH: Meter.SEARCH,
}


@dataclass(frozen=True, slots=True)
class Part:
    """One of the four amounts of a meter: USD per `Meter.per`, and that times the quantity."""

    price: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Metered:
    """What one meter adds to a charge."""

    meter: Meter
    quantity: int
    billed: Part
    effective: Part
    contracted: Part
    list: Part


@dataclass(frozen=True, slots=True)
class Rounding:
    """What the four amounts of a charge have beyond the sum of their meters, in USD."""

    billed: Decimal
    effective: Decimal
    contracted: Decimal
    list: Decimal

    def __bool__(self) -> bool:
        return any((self.billed, self.effective, self.contracted, self.list))


@dataclass(frozen=True, slots=True)
class Metering:
    """A charge, taken apart. Never without a meter."""

    meters: tuple[Metered, ...]
    rounding: Rounding


Count = tuple[Meter, int, int]
"""A meter, its quantity, and the card's price in the finest unit of prices (1e-15 USD)."""


def metering(row: ChargeRow) -> Metering:
    """The parts of a charge. Their costs and the rounding add up to its amounts, exactly.

    An amount that is not the card's own charge (a list price, a discount) is spread over the meters
    at prices in proportion to the card's.
    """
    counts = _counts(row.usage, row.rates)
    whole = sum(price * quantity * _step(meter) for meter, quantity, price in counts)
    charge = -(-whole // _PER_NANO)
    known: dict[Money, tuple[list[Part], Decimal]] = {}
    for amount in (row.billed, row.effective, row.contracted, row.list):
        if amount not in known:
            prices = [price for *_, price in counts]
            if amount != charge:
                prices = _in_proportion(amount * _PER_NANO, counts, whole)
            known[amount] = _parts(amount * _PER_NANO, counts, prices)
    billed, effective, contracted, listed = (
        known[one] for one in (row.billed, row.effective, row.contracted, row.list)
    )
    return Metering(
        tuple(
            Metered(meter, quantity, *amounts)
            for (meter, quantity, _), *amounts in zip(
                counts, billed[0], effective[0], contracted[0], listed[0], strict=True
            )
        ),
        Rounding(billed[1], effective[1], contracted[1], listed[1]),
    )


def price_at(meter: Meter, rates: RateCard) -> Decimal | None:
    """What a card asks for `Meter.per` of a meter, in USD; None for what it does not price."""
    if meter in _OF_UNIT.values():
        return rates.unit if rates.per is not None and _OF_UNIT[rates.per] is meter else None
    prices = {
        Meter.INPUT: rates.input,
        Meter.CACHED_INPUT: rates.cache_read,
        Meter.CACHE_WRITE: rates.cache_write,
        Meter.CACHE_WRITE_1H: rates.cache_write_1h,
        Meter.OUTPUT: rates.output,
        Meter.REASONING: rates.reasoning,
        Meter.REQUEST: rates.request,
    }
    return prices.get(meter)


def _counts(usage: TokenUsage, rates: RateCard) -> list[Count]:
    """Every meter that counted something, with its price; never none, and as `RateCard.charge`."""
    of_tokens = any(price_at(one, rates) for one in _TOKENS)
    if usage.prompt is None or usage.completion is None:
        if rates.per is None or of_tokens or usage.units is None:
            return [(Meter.UNMETERED, 1, 0)]
        prompt = completion = 0
    elif rates.per is not None and usage.units is None:
        return [(Meter.UNMETERED, 1, 0)]
    else:
        prompt, completion = usage.prompt, usage.completion
    cached, written = usage.cached or 0, usage.cache_write or 0
    counts = [
        (Meter.INPUT, max(0, prompt - cached - written), _finest(rates.input)),
        (Meter.CACHED_INPUT, cached, _finest(rates.cache_read)),
        *_apart(
            *(Meter.CACHE_WRITE, written, rates.cache_write),
            *(Meter.CACHE_WRITE_1H, usage.cache_write_1h, rates.cache_write_1h),
        ),
        *_apart(
            *(Meter.OUTPUT, completion, rates.output),
            *(Meter.REASONING, usage.reasoning, rates.reasoning),
        ),
    ]
    if rates.per is not None:
        counts.append((_OF_UNIT[rates.per], usage.units or 0, _finest(rates.unit)))
    counted = [one for one in counts if one[1]]
    if rates.request or not counted:
        counted.append((Meter.REQUEST, 1, _finest(rates.request)))
    return counted


def _apart(
    whole_meter: Meter,
    whole: int,
    price: Decimal,
    part_meter: Meter,
    part: int | None,
    part_price: Decimal | None,
) -> list[Count]:
    """A count of which a part may have a price of its own; that of the whole, if it is dearer and
    nobody has counted the part."""
    if part_price is None:
        return [(whole_meter, whole, _finest(price))]
    if part is None:
        return [(whole_meter, whole, _finest(max(price, part_price)))]
    part = min(part, whole)
    return [
        (whole_meter, whole - part, _finest(price)),
        (part_meter, part, _finest(part_price)),
    ]


def _in_proportion(amount: int, counts: list[Count], whole: int) -> list[int]:
    """Prices at which the meters cost `amount` in all, as nearly as prices can be written."""
    if whole:
        return [round(Fraction(price * amount, whole)) for *_, price in counts]
    (meter, quantity, _), *others = counts
    return [round(Fraction(amount, quantity * _step(meter))), *(0 for _ in others)]


def _parts(amount: int, counts: list[Count], prices: list[int]) -> tuple[list[Part], Decimal]:
    costs = [
        price * quantity * _step(meter)
        for (meter, quantity, _), price in zip(counts, prices, strict=True)
    ]
    parts = [
        Part(_decimal(price, MOST_DECIMALS), _decimal(cost, FINEST_DECIMALS))
        for price, cost in zip(prices, costs, strict=True)
    ]
    return parts, _decimal(amount - sum(costs), FINEST_DECIMALS)


def _step(meter: Meter) -> int:
    """How many of the finest unit of costs a price in the finest unit of prices is for one."""
    return 10**6 // meter.per


@lru_cache(_PRICES_REMEMBERED)
def _finest(price: Decimal) -> int:
    return int(EXACT.scaleb(price, MOST_DECIMALS))


def _decimal(finest: int, places: int) -> Decimal:
    return EXACT.scaleb(Decimal(finest), -places)

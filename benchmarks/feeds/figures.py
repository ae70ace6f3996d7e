"""Figures as feeds write them: prices, counts and shares, believed or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from benchmarks.alarms import AlarmName
from ledger.errors import NotAPrice
from ledger.rates import RateCard

PER_TOKEN = Decimal(1_000_000)
PER_MTOK = Decimal(1)
_LAST_DECIMAL = Decimal("0.000001")
_LONGEST = 40


class NotBelieved(Exception):
    """A figure that is none. It stays within the readers, who make a Fault of it."""

    def __init__(self, name: AlarmName, value: str) -> None:
        super().__init__(f"{name}: {value}")
        self.name = name
        self.value = value


@dataclass(frozen=True, slots=True)
class Names:
    """How a feed calls the prices of a card, and what they are multiplied by to be USD per million
    tokens. request: in USD whatever the scale."""

    scale: Decimal
    input: str
    output: str
    cache_read: str = ""
    cache_write: str = ""
    cache_write_1h: str = ""
    reasoning: str = ""
    request: str = ""


def card(prices: Mapping[str, Any], names: Names, *, free_output: bool = False) -> RateCard:
    """The card of an entry. Input and output are needed; a price of zero is not believed: free
    models exist, but so do missing numbers. Where a cache's is zero there is none.

    free_output: there is none that a provider could bill. Raises NotBelieved.
    """
    plain = price(prices.get(names.input), names.input, names.scale)
    if free_output:
        output = optional(prices, names.output, names.scale) or Decimal(0)
    else:
        output = price(prices.get(names.output), names.output, names.scale)
    read = optional(prices, names.cache_read, names.scale)
    written = optional(prices, names.cache_write, names.scale)
    for_an_hour = optional(prices, names.cache_write_1h, names.scale)
    reasoning = optional(prices, names.reasoning, names.scale)
    request = optional(prices, names.request, Decimal(1)) or Decimal(0)
    try:
        return RateCard.of(
            plain,
            output,
            read,
            written,
            request,
            reasoning=reasoning,
            cache_write_1h=for_an_hour,
        )
    except NotAPrice as error:
        raise NotBelieved(AlarmName.IMPLAUSIBLE, str(error)) from error


def price(value: object, name: str, scale: Decimal) -> Decimal:
    """A price above zero. Raises NotBelieved."""
    if value is None:
        raise NotBelieved(AlarmName.MISSING, f"no {name}")
    number = _number(value, name)
    if number < 0:
        raise NotBelieved(AlarmName.NEGATIVE, f"{name} {_shown(value)}")
    # Feeds' numbers have gone through floats: 0.099999999999 per million is 0.1.
    exact = (number * scale).quantize(_LAST_DECIMAL).normalize() if number < 10**9 else number
    if not exact:
        raise NotBelieved(AlarmName.ZERO, f"{name} {_shown(value)}")
    return exact


def optional(prices: Mapping[str, Any], name: str, scale: Decimal) -> Decimal | None:
    """A price that need not be there. Raises NotBelieved for one that is there and is none."""
    value = prices.get(name)
    if value is None or _number(value, name) == 0:
        return None
    return price(value, name, scale)


def count(value: object) -> int | None:
    """A whole number above zero; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value <= 10**9 else None


def text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def texts(value: object) -> frozenset[str] | None:
    if not isinstance(value, list):
        return None
    return frozenset(one for one in value if isinstance(one, str))


def moment(value: object) -> datetime | None:
    """A day or a moment as text, in UTC where it does not say; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):  # at the ends of the calendar there is no other zone
        return None


def within(value: object, low: float, high: float) -> float | None:
    """A number from low to high; None where nothing is said. Raises NotBelieved."""
    if value is None:
        return None
    number = _number(value, "a measure")
    if not low <= number <= high:
        raise NotBelieved(AlarmName.IMPLAUSIBLE, f"{_shown(value)} is outside {low:g} to {high:g}")
    return float(number)


def _number(value: object, name: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise NotBelieved(AlarmName.NOT_A_NUMBER, f"{name} {_shown(value)}")
    if isinstance(value, str) and len(value) > _LONGEST:
        raise NotBelieved(AlarmName.NOT_A_NUMBER, f"{name} {_shown(value)}")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise NotBelieved(AlarmName.NOT_A_NUMBER, f"{name} {_shown(value)}") from None
    if not number.is_finite():
        raise NotBelieved(AlarmName.NOT_A_NUMBER, f"{name} {_shown(value)}")
    if not -18 <= number.adjusted() <= 12:
        if number:
            raise NotBelieved(AlarmName.IMPLAUSIBLE, f"{name} {_shown(value)}")
        number = Decimal(0)
    return number


def _shown(value: object) -> str:
    shown = repr(value) if isinstance(value, str) else str(value)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"

"""How a figure is written: the same in every format, so that what people compare is the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from hedgerow.reports.document import Figure, Tone, Unit

UNKNOWN = "not known"
WORDS = {Tone.GOOD: "in order", Tone.WARN: "watch", Tone.BAD: "act", Tone.NONE: ""}
_NANO = 9
_SIGNIFICANT, _MOST_DIGITS = 4, 20
_DOLLARS = (Unit.USD, Unit.USD_PER_MTOK, Unit.USD_PER_UNIT)


@dataclass(frozen=True, slots=True)
class Shape:
    """decimals: places shown after the point; of a PART, of its percentage."""

    unit: Unit
    decimals: int
    is_scientific: bool = False


def known(figure: Figure) -> Decimal | int | float | None:
    """The value; None where nothing is known, as where it is no finite number."""
    value = figure.value
    if isinstance(value, int):
        return value
    return value if value is not None and math.isfinite(value) else None


def why_not(figure: Figure) -> str:
    """Why nothing is known, as a sentence."""
    if figure.why_not:
        return figure.why_not
    return "No reason is given." if figure.value is None else "It is no finite number."


def exact(figure: Figure) -> str:
    """The value with all its digits, as `12.345678901`; empty where nothing is known."""
    value = known(figure)
    return "" if value is None else f"{_decimal(value):f}"


def shown(figure: Figure) -> str:
    """The value for people: `$12.35`, `-$0.0040`, `83.4%`, `1,234`, `0.9281`, `5.970E-7`."""
    value = known(figure)
    if value is None:
        return UNKNOWN
    amount, shape = _decimal(value), shape_of(value, figure.unit)
    style = "E" if shape.is_scientific else "f"
    if shape.unit is Unit.PART:
        return f"{amount.scaleb(2):,.{shape.decimals}{style}}%"
    if shape.is_scientific:
        return f"{amount:.{shape.decimals}E}"
    sign, dollar = "-" if amount < 0 else "", "$" if shape.unit in _DOLLARS else ""
    return f"{sign}{dollar}{abs(amount):,.{shape.decimals}f}"


def shape_of(value: Decimal | int | float, unit: Unit) -> Shape:
    """How a value is shown: nothing that is not zero is shown as zero, and no part as whole."""
    amount = _decimal(value)
    if amount and amount.adjusted() > _MOST_DIGITS:
        return Shape(unit, _SIGNIFICANT - 1, is_scientific=True)
    match unit:
        case Unit.USD:
            is_small = 0 < abs(amount) < Decimal("0.005")
            return Shape(unit, min(_NANO, 1 - amount.adjusted()) if is_small else 2)
        case Unit.USD_PER_MTOK | Unit.USD_PER_UNIT:
            if amount and amount.adjusted() < -_NANO:
                return Shape(unit, _SIGNIFICANT - 1, is_scientific=True)
            return Shape(unit, _trimmed(amount, least=2, most=_significant(amount)))
        case Unit.PART:
            return _of_percentage(amount.scaleb(2))
        case Unit.COUNT:
            return Shape(unit, _trimmed(amount, least=0, most=3))
        case Unit.NUMBER:
            if amount and (amount.adjusted() < -_SIGNIFICANT or amount.adjusted() > 11):
                return Shape(unit, _SIGNIFICANT - 1, is_scientific=True)
            return Shape(unit, _trimmed(amount, least=0, most=_significant(amount)))


def _decimal(value: Decimal | int | float) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _significant(amount: Decimal) -> int:
    """Decimals that show four digits of an amount."""
    return max(0, _SIGNIFICANT - 1 - (amount.adjusted() if amount else 0))


def _trimmed(amount: Decimal, least: int, most: int) -> int:
    """Decimals without trailing zeros, at least `least`."""
    _, _, after = f"{amount:.{max(least, most)}f}".partition(".")
    return max(least, len(after.rstrip("0")))


def _of_percentage(percent: Decimal) -> Shape:
    """One decimal, or as many as keep 0.004% from 0% and 99.996% from 100%."""
    if not percent or abs(percent) == 100:
        return Shape(Unit.PART, 1)
    for decimals in range(1, 7):
        shown_as = Decimal(f"{abs(percent):.{decimals}f}")
        if shown_as and shown_as != 100:
            return Shape(Unit.PART, decimals)
    return Shape(Unit.PART, 1, is_scientific=abs(percent) < 1)

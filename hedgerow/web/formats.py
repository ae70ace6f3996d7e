"""Formats: how values are written on pages, the exact one beside what is shown."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from markupsafe import Markup

from ledger.instants import instant
from ledger.measures import Measure
from ledger.money import NANOS_PER_USD, Money, as_usd, usd_text

_CENT = NANOS_PER_USD // 100
UNKNOWN = Markup('<span class="unknown" title="not known">–</span>')
"""What is not known, and never zero."""


def money_text(money: Money) -> str:
    """To the cent; of what is less than one, the first two digits."""
    size, places = abs(money), 2
    if 0 < size < _CENT:
        places = min(9, 11 - len(str(size)))
    text = usd_text(Money(size), places)
    return f"{'-' if money < 0 else ''}${text}"


def money(value: Money | None) -> Markup:
    if value is None:
        return UNKNOWN
    return Markup('<data class="money" value="{}">{}</data>').format(
        format(as_usd(value), "f"), money_text(value)
    )


def amount(value: int | None, measure: Measure | None) -> Markup:
    """Of what a budget counts."""
    if value is None or measure is Measure.USD:
        return money(None if value is None else Money(value))
    unit = "" if measure is None else f" {measure.unit}"
    return Markup('<data value="{}">{}{}</data>').format(value, f"{value:,}", unit)


def dollars(value: Decimal | None) -> Markup:
    """The same of an amount that is in USD already: an estimate, a sum of the hedge's book."""
    if value is None:
        return UNKNOWN
    nanos = Money(int((value * NANOS_PER_USD).to_integral_value()))
    return Markup('<data class="money" value="{}">{}</data>').format(
        format(value, "f"), money_text(nanos)
    )


def dollars_text(value: Decimal) -> str:
    """As text alone."""
    return money_text(Money(int((value * NANOS_PER_USD).to_integral_value())))


def count(value: int | None) -> Markup:
    if value is None:
        return UNKNOWN
    return Markup('<data value="{}">{}</data>').format(value, f"{value:,}")


def part(value: Decimal | float | None, places: int = 1) -> Markup:
    """Of one, as a percentage."""
    if value is None:
        return UNKNOWN
    return Markup('<data value="{}">{}</data>').format(value, f"{float(value):.{places}%}")


def number(value: str | float | None) -> Markup | str:
    """A point of a chart: a label as it is, a number with its digits and no others."""
    if value is None:
        return UNKNOWN
    return value if isinstance(value, str) else f"{value:.12g}"


def sentence(message: str) -> str:
    """What an error says, as a sentence of a page."""
    return message[:1].upper() + message[1:] + ("" if message.endswith((".", "?")) else ".")


def moment(at_ns: int | None) -> Markup:
    """A time to the minute, in UTC."""
    if at_ns is None:
        return UNKNOWN
    at = instant(at_ns)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat().replace("+00:00", "Z"), at.strftime("%Y-%m-%d %H:%M")
    )


def second(at_ns: int) -> Markup:
    """A time to the second, in UTC."""
    at = instant(at_ns)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat().replace("+00:00", "Z"), at.strftime("%Y-%m-%d %H:%M:%S")
    )


def ms(value: float | None) -> Markup:
    if value is None:
        return UNKNOWN
    return Markup('<data value="{}">{} ms</data>').format(value, f"{value:,.0f}")


def day(value: date | None) -> Markup:
    if value is None:
        return UNKNOWN
    return Markup('<time datetime="{0}">{0}</time>').format(value.isoformat())


def day_of(at_ns: int | None) -> Markup:
    """The day of a moment, in UTC."""
    return day(None if at_ns is None else instant(at_ns).date())


def usd(value: Money | None) -> str:
    """An exact amount for a field of a form; empty for none."""
    return "" if value is None else format(as_usd(value), "f")


def size(number_of_bytes: int) -> Markup:
    shown, unit = float(number_of_bytes), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if shown < 1024:
            break
        shown, unit = shown / 1024, larger
    text = f"{shown:.0f} {unit}" if unit == "B" else f"{shown:.1f} {unit}"
    return Markup('<data value="{}">{}</data>').format(number_of_bytes, text)

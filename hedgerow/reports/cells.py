"""Cells: figures of every unit, and the columns that they stand in, in few words."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hedgerow.reports.document import Column, Figure, Text, Unit
from ledger.instants import instant
from ledger.money import Money, as_usd


def usd(
    amount: Money | None, source: str, formula: str | None = None, why_not: str | None = None
) -> Figure:
    value = None if amount is None else as_usd(amount)
    return Figure(value, Unit.USD, source, formula, why_not)


def estimate(amount: Decimal | None, source: str, why_not: str | None = None) -> Figure:
    """USD that were estimated, not counted."""
    return Figure(amount, Unit.USD, source, None, why_not)


def rate(
    price: Decimal | None,
    source: str,
    why_not: str | None = None,
    *,
    formula: str | None = None,
    unit: Unit = Unit.USD_PER_MTOK,
) -> Figure:
    return Figure(price, unit, source, formula, why_not)


def part(
    share: float | Decimal | None,
    source: str,
    formula: str | None = None,
    why_not: str | None = None,
) -> Figure:
    return Figure(share, Unit.PART, source, formula, why_not)


def count(
    number: Decimal | int | None,
    source: str,
    formula: str | None = None,
    why_not: str | None = None,
) -> Figure:
    return Figure(number, Unit.COUNT, source, formula, why_not)


def number(
    value: Decimal | float | None,
    source: str,
    formula: str | None = None,
    why_not: str | None = None,
) -> Figure:
    return Figure(value, Unit.NUMBER, source, formula, why_not)


def text(*paragraphs: str) -> Text:
    return Text(paragraphs)


def columns(**titles: str) -> tuple[Column, ...]:
    """By their keys."""
    return tuple(Column(key, title) for key, title in titles.items())


def sentence(says: str) -> str:
    """With a capital and a full stop."""
    return says[:1].upper() + says[1:] + ("" if says.endswith(".") else ".")


def dollars_of(amount: Money) -> float:
    """For a chart: what is drawn need not be exact."""
    return float(as_usd(amount))


def month_text(month: date | None) -> str:
    """As 2027-01; of what never ends, words."""
    return "no expiry" if month is None else f"{month:%Y-%m}"


def moment_text(at_ns: int) -> str:
    return f"{instant(at_ns):%Y-%m-%d %H:%M} UTC"

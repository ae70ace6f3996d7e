"""Invoice: the lines of what a provider asks for, in its words, its days and its currency."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from ledger.meters import Meter


class LineKind(StrEnum):
    """What a line is for. All but usage are kept apart from what models cost."""

    USAGE = "usage"
    DISCOUNT = "discount"
    CREDIT = "credit"
    TAX = "tax"
    FEE = "fee"
    COMMITMENT = "commitment"


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """Days, the last one exclusive, in the time zone of the invoice."""

    start: date
    end: date

    def __str__(self) -> str:
        if self.end - self.start == timedelta(days=1):
            return self.start.isoformat()
        return f"{self.start} to {self.end - timedelta(days=1)}"


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line.

    number: of the file, from 1 on, the header included.
    model: the provider's name for it; None where the line is for all of them.
    meter: what `quantity` counts; None for tokens of any kind, or for all that the model cost.
    quantity: tokens, seconds, … one by one; None where the line does not say.
    amount: in `currency`; what lowers the invoice is below zero. None in a file that has counts
    alone: they are then taken at our own prices.
    rate: USD for one of `currency`, as the provider converted it; None where it does not say.
    amounts: how many amounts of the file it is the sum of, each of them rounded.
    """

    number: int
    period: Period
    model: str | None
    meter: Meter | None
    quantity: Decimal | None
    amount: Decimal | None
    currency: str = "USD"
    kind: LineKind = LineKind.USAGE
    request_id: str | None = None
    rate: Decimal | None = None
    amounts: int = 1


@dataclass(frozen=True, slots=True)
class Invoice:
    """All lines of a file.

    form: how it was recognised, for people. places: with how many decimals amounts are written.
    """

    form: str
    lines: tuple[InvoiceLine, ...]
    places: int

"""What every contract states: where its terms come from, sizes, terms, fees, resale."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ledger.money import usd

MAX_UNITS = 1_000_000
MAX_MONTHS = 60


def _exact(amount: Decimal) -> Decimal:
    usd(amount)
    return amount


Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False), AfterValidator(_exact)]
"""An amount that the books can hold to the nano-USD."""
Share = Annotated[Decimal, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=120)]
Months = Annotated[int, Field(ge=1, le=MAX_MONTHS)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cover(Part):
    """An offer that a contract pays for, in the words of hedgerow.yaml. model: the provider's own;
    None covers all that this provider serves."""

    provider: Name
    model: Name | None = None


class Size(Part):
    """Of one purchase: none, or `min` plus whole steps. max: of what is held at any time."""

    min: int = Field(default=1, ge=1, le=MAX_UNITS)
    step: int = Field(default=1, ge=1, le=MAX_UNITS)
    max: int = Field(ge=1, le=MAX_UNITS)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"size.max {self.max} is below size.min {self.min}")
        return self

    def sells(self, units: int) -> bool:
        """True when so many units can be bought at once: none is always one of the answers."""
        rest = units - self.min
        return units == 0 or (0 <= rest <= self.max - self.min and rest % self.step == 0)


class Price(Part):
    """What one unit costs for one term length.

    months: the term. usd_per_month: the fee per unit and month of the term, used or not.
    upfront: the share of the whole term's fees that is due on the first day; the rest is due
    monthly.
    """

    months: Months = 1
    usd_per_month: Usd
    upfront: Share = Decimal(0)


class Resale(Part):
    """Whether what is not needed can be sold on. haircut: what is lost of the fee for it."""

    venue: Name
    min_lot: int = Field(default=1, ge=1)
    haircut: Share


class Source(Part):
    """Where the terms come from, and how sure they are: the seller's own page, a transcript of it,
    somebody's report of it, or assumed. note: what a buyer has to know beside the numbers."""

    url: Name
    retrieved_at: date
    verification: Literal["primary", "transcribed", "secondary", "assumed"]
    note: str | None = None


class Terms(Part):
    """Of any contract.

    provider: who delivers it, or where it is traded. counterparty: who owes it to us, in the names
    of the counterparties' file; the provider if None. status: `pending` is announced and cannot be
    bought yet. valid_from, valid_to: when it can be bought, days inclusive.
    notice_days: before the term's end, to stop what renews itself. apply_order: lower ones are
    drawn first where two would serve a request at the same cost.
    """

    name: Name
    provider: Name
    counterparty: Name | None = None
    source: Source
    status: Literal["listed", "pending"] = "listed"
    valid_from: date | None = None
    valid_to: date | None = None
    apply_order: int = 0

    @model_validator(mode="after")
    def _dates_agree(self) -> Self:
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValueError(f"valid_to {self.valid_to} lies before valid_from {self.valid_from}")
        return self

    @property
    def owed_by(self) -> str:
        return self.counterparty or self.provider

    def can_be_bought_on(self, day: date) -> bool:
        begun = self.valid_from is None or self.valid_from <= day
        return self.status == "listed" and begun and (self.valid_to is None or day <= self.valid_to)

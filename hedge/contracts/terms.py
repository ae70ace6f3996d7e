"""What every contract states: where its terms come from, sizes, prices by term, fees, resale."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ledger.errors import NotMoney
from ledger.money import usd

MAX_UNITS = 1_000_000
MAX_MONTHS = 60


def _exact(amount: Decimal) -> Decimal:
    try:
        usd(amount)
    except NotMoney as error:
        raise ValueError(str(error)) from None
    return amount


Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False), AfterValidator(_exact)]
"""An amount that the books can hold to the nano-USD."""
Share = Annotated[Decimal, Field(ge=0, le=1, allow_inf_nan=False)]
_LARGEST = Decimal(10) ** 18
_PLACES = 12
"""Numbers that floats hold well: a plan reckons with floats."""
Positive = Annotated[Decimal, Field(gt=0, le=_LARGEST, decimal_places=_PLACES, allow_inf_nan=False)]
NonNegative = Annotated[
    Decimal, Field(ge=0, le=_LARGEST, decimal_places=_PLACES, allow_inf_nan=False)
]
Quality = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=120)]
Note = Annotated[str, Field(min_length=1, max_length=2000)]
Months = Annotated[int, Field(ge=1, le=MAX_MONTHS)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Cover(Part):
    """An offer that a contract pays for, in the words of hedgerow.yaml."""

    provider: Name = Field(description="A name under `providers`", examples=["azure"])
    model: Name | None = Field(
        None,
        description="The model's name at the provider; when not given, all that it serves",
        examples=["gpt-5.2"],
    )


class Size(Part):
    """How much can be bought: none, or `min` plus whole steps at once."""

    min: int = Field(
        1, ge=1, le=MAX_UNITS, description="The fewest units of one purchase", examples=["15"]
    )
    step: int = Field(
        1, ge=1, le=MAX_UNITS, description="More than that in such steps", examples=["5"]
    )
    max: int = Field(
        ge=1, le=MAX_UNITS, description="The most that may be held at any time", examples=["500"]
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.max < self.min:
            raise ValueError(
                f"max {self.max} is below min {self.min}; write a max of {self.min} or more"
            )
        return self

    def sells(self, units: int) -> bool:
        """True when so many units can be bought at once: none is always one of the answers."""
        rest = units - self.min
        return units == 0 or (0 <= rest <= self.max - self.min and rest % self.step == 0)


class Price(Part):
    """What one unit costs for one term length."""

    months: Months = Field(1, description="The term", examples=["12"])
    usd_per_month: Usd = Field(
        description="The fee per unit and month of the term, used or not", examples=["260"]
    )
    upfront: Share = Field(
        Decimal(0),
        description="The share of the whole term's fees that is due on the first day, from 0 to 1;"
        " the rest is due monthly",
        examples=["1"],
    )
    term_days: int | None = Field(
        None,
        ge=1,
        le=30,
        description="The term where it is sold for less than a month: `usd_per_month` is then what"
        " a month of such terms costs, and the plan holds it month by month",
        examples=["7"],
    )

    @model_validator(mode="after")
    def _one_term(self) -> Self:
        if self.term_days is not None and self.months != 1:
            raise ValueError(
                f"term_days {self.term_days} stands beside months {self.months}; keep one of them"
            )
        return self


class Resale(Part):
    """Whether what is not needed can be sold on."""

    venue: Name = Field(description="Where", examples=["sfcompute"])
    min_lot: int = Field(1, ge=1, description="The fewest units that are sold", examples=["1"])
    haircut: Share = Field(
        description="What is lost of the fee by it, from 0 to 1", examples=["0.25"]
    )


class Source(Part):
    """Where terms come from, and how sure they are."""

    url: Name = Field(
        description="Where they stand; or, of assumed ones, what they are after",
        examples=["https://example.com/pricing"],
    )
    retrieved_at: date = Field(description="The day they were read", examples=["2026-11-20"])
    verification: Literal["primary", "transcribed", "secondary", "assumed"] = Field(
        description="How sure: `primary`, the seller's own page; `transcribed`, somebody's copy of"
        " it; `secondary`, a report of it; `assumed`",
        examples=["primary"],
    )
    note: Note | None = Field(
        None,
        description="What a buyer has to know beside the numbers",
        examples=["the seller's own page gives another term"],
    )


class Reference(Part):
    """What the same tokens cost at pay-as-you-go, where no market says it: for comparison only."""

    model: Name = Field(description="Which model's", examples=["gpt-5.2"])
    input: NonNegative = Field(description="USD per million prompt tokens", examples=["1.75"])
    cached: NonNegative | None = Field(
        None,
        description="USD per million tokens out of a cache; when not given, as `input`",
        examples=["0.175"],
    )
    output: NonNegative = Field(description="USD per million completion tokens", examples=["14"])


class Terms(Part):
    """Of any contract."""

    name: Name = Field(
        description="Its name, once over all contract files", examples=["azure-ptu-gpt-5.2"]
    )
    provider: Name = Field(description="Who delivers it, or where it is traded", examples=["azure"])
    counterparty: Name | None = Field(
        None,
        description="Who owes it, as named under `counterparties`; when not given, the provider",
        examples=["azure"],
    )
    source: Source = Field(
        description="Where the terms come from",
        examples=["{url: https://x.com/p, retrieved_at: 2026-11-20, verification: primary}"],
    )
    status: Literal["listed", "pending"] = Field(
        "listed",
        description="`pending` is announced and cannot be bought yet: no plan holds it",
        examples=["pending"],
    )
    valid_from: date | None = Field(
        None, description="The first day it can be bought", examples=["2026-12-01"]
    )
    valid_to: date | None = Field(
        None, description="The last day it can be bought", examples=["2026-12-31"]
    )
    apply_order: int = Field(
        0,
        ge=-1000,
        le=1000,
        description="The lower one is drawn first where two would serve a request at the same cost",
        examples=["1"],
    )

    @model_validator(mode="after")
    def _dates_agree(self) -> Self:
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValueError(
                f"valid_to {self.valid_to} lies before valid_from {self.valid_from};"
                " swap them, or take one out"
            )
        return self

    @property
    def owed_by(self) -> str:
        return self.counterparty or self.provider

    def can_be_bought_on(self, day: date) -> bool:
        begun = self.valid_from is None or self.valid_from <= day
        return self.status == "listed" and begun and (self.valid_to is None or day <= self.valid_to)

"""Contracts that pay a difference and serve nothing: futures, swaps, perpetuals and the like.

Their prices are no terms: they come from venues, with the lots that can be had at them.
"""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hedge.contracts.terms import Months, Name, Part, Positive, Share, Size, Terms, Usd

Fraction = Annotated[Decimal, Field(allow_inf_nan=False, ge=-10, le=10)]


class Settlement(Part):
    """How the final price comes about."""

    index: Name = Field(description="The index that it settles on", examples=["SD-H100"])
    averaging: Literal["arith_bd", "arith_cal", "twap", "last"] = Field(
        description="`arith_bd`: the arithmetic mean of the fixings on business days of the month;"
        " `arith_cal`: on all its days; `twap`: each fixing weighed by the time to the next;"
        " `last`: the last one",
        examples=["arith_bd"],
    )
    calendar: Literal["us", "all"] = Field("us", description="Whose business days", examples=["us"])
    fallback: Literal["previous", "skip", "refuse"] = Field(
        "previous",
        description="For a day without a fixing: the one before it, leave the day out, or refuse"
        " until somebody decides",
        examples=["skip"],
    )
    decimals: int | None = Field(
        None,
        ge=0,
        le=9,
        description="Decimals of the final price; when not given, it is not rounded",
        examples=["2"],
    )
    fixing_utc: time | None = Field(
        None,
        description="When a day's fixing is printed, in UTC; when not given, nobody says it",
        examples=["20:00"],
    )


class Fees(Part):
    """USD per lot."""

    trade: Usd = Field(Decimal(0), description="On each side, when trading", examples=["5.50"])
    settle: Usd = Field(Decimal(0), description="At settlement", examples=["1.35"])
    half_spread: Usd = Field(
        Decimal(0),
        description="What closing before settlement costs beside the fee, where no venue's price"
        " says it",
        examples=["3.65"],
    )


class Margin(Part):
    """USD per lot."""

    initial: Usd = Field(description="When opening", examples=["600"])
    maintenance: Usd = Field(description="What may not be fallen below", examples=["500"])
    assumed: bool = Field(
        False, description="Whether the venue has not published it", examples=["true"]
    )

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.maintenance > self.initial:
            raise ValueError(
                f"maintenance {self.maintenance} is above initial {self.initial}; swap them"
            )
        return self


class Derivative(Terms):
    """What every contract that pays a difference states."""

    settlement: Settlement = Field(
        description="How the final price comes about",
        examples=["{index: SD-H100, averaging: arith_bd}"],
    )
    multiplier: Positive = Field(
        description="Index units per lot, as 730 GPU-hours", examples=["730"]
    )
    tick_usd: Positive = Field(
        Decimal("0.01"), description="The smallest step of a price", examples=["0.01"]
    )
    size: Size = Field(description="How many lots can be bought", examples=["{max: 100}"])
    fees: Fees = Field(Fees(), description="USD per lot", examples=["{trade: 5.50, settle: 1.35}"])
    margin: Margin | None = Field(
        None,
        description="USD per lot; when not given, none is asked for",
        examples=["{initial: 600, maintenance: 500}"],
    )
    position_limit: int | None = Field(
        None, ge=1, description="Lots that may be held of one month", examples=["7500"]
    )
    beta: Fraction | None = Field(
        None,
        description="By how many percent our spend moves when the index moves by one, from a"
        " regression; when not given, nothing is hedged by it",
        examples=["0.6"],
    )
    cleared: bool = Field(
        True, description="Whether a house clears and margins it daily", examples=["false"]
    )


class Future(Derivative):
    """One for each of the listed months ahead; cash-settled at its month's fixing."""

    kind: Literal["future"] = Field(
        "future", description="one for each listed month, settled in cash", examples=["future"]
    )
    listed_months: Months = Field(12, description="Months ahead", examples=["36"])
    block_min: int | None = Field(
        None, ge=1, description="The fewest lots of a block trade", examples=["5"]
    )


class Swap(Derivative):
    """Fixed for floating, month by month, from its start."""

    kind: Literal["swap"] = Field(
        "swap", description="fixed for floating, month by month", examples=["swap"]
    )
    months: Months = Field(1, description="How many months", examples=["3"])


class Forward(Derivative):
    """As a future of one month, with one counterparty and no daily margin."""

    kind: Literal["forward"] = Field(
        "forward", description="as a future of one month, uncleared", examples=["forward"]
    )
    delivery: date = Field(
        description="A day of the month that it settles in", examples=["2027-03-01"]
    )

    @model_validator(mode="after")
    def _can_be_bought_before_delivery(self) -> Self:
        if self.valid_to is not None and self.valid_to > self.delivery:
            raise ValueError(
                f"valid_to {self.valid_to} lies after delivery {self.delivery};"
                " write a day before it"
            )
        if self.cleared and "cleared" in self.model_fields_set:
            raise ValueError(
                "a forward has one counterparty and is not cleared; take it out, or write"
                " kind: future"
            )
        return self


class Perpetual(Derivative):
    """No expiry; funding is paid between longs and shorts.

    A period's funding per lot = multiplier × mark × clamp(rate, -cap, cap); longs pay when the
    mark is above the underlying.
    """

    kind: Literal["perp"] = Field(
        "perp", description="no expiry, with funding between longs and shorts", examples=["perp"]
    )
    funding_hours: int = Field(
        24, ge=1, le=168, description="How often funding is paid, in hours", examples=["8"]
    )
    funding_cap: Share = Field(
        Decimal("0.05"), description="The most of a period, from 0 to 1", examples=["0.01"]
    )
    taker_fee: Share = Field(
        Decimal(0), description="Of what is traded, from 0 to 1", examples=["0.0025"]
    )


class Event(Derivative):
    """Pays `payout_usd` per lot if the index settles at or above (or below) the strike."""

    kind: Literal["event"] = Field(
        "event", description="pays if the index settles beyond a strike", examples=["event"]
    )
    strike: Positive = Field(description="USD of the index", examples=["3.50"])
    side: Literal["above", "below"] = Field(
        "above", description="Where it pays: at the strike too", examples=["below"]
    )
    payout_usd: Usd = Field(Decimal(1), gt=0, description="USD per lot", examples=["1"])

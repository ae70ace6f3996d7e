"""Contracts that pay a difference and serve nothing: futures, swaps, perpetuals and the like."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from hedge.contracts.terms import Name, Part, Positive, Share, Size, Terms, Usd

Fraction = Annotated[Decimal, Field(allow_inf_nan=False)]


class Settlement(Part):
    """How the final price comes about.

    averaging: `arith_bd` is the arithmetic mean of the fixings on business days of the month,
    `arith_cal` on all its days, `twap` weighs each fixing by the time to the next, `last` takes the
    last one. calendar: whose business days. fallback: for a day without a fixing: the one before
    it, leave the day out, or refuse until somebody decides. decimals: of the final price.
    """

    index: Name
    averaging: Literal["arith_bd", "arith_cal", "twap", "last"]
    calendar: Literal["us", "all"] = "us"
    fallback: Literal["previous", "skip", "refuse"] = "previous"
    decimals: int | None = Field(default=None, ge=0, le=9)


class Fees(Part):
    """USD per lot. trade: on each side, at entry; settle: at settlement."""

    trade: Usd = Decimal(0)
    settle: Usd = Decimal(0)
    half_spread: Usd = Decimal(0)


class Margin(Part):
    """USD per lot. assumed: the venue has not published it."""

    initial: Usd
    maintenance: Usd
    assumed: bool = False


class Derivative(Terms):
    """multiplier: index units per lot, as 730 GPU-hours. tick_usd: the smallest step of a price.
    size: lots. position_limit: lots that may be held. beta: how a USD of the index moves what we
    pay, from a regression; None: estimate it, and 0 without data. cleared: by a house that margins
    daily."""

    settlement: Settlement
    multiplier: Positive
    tick_usd: Positive = Decimal("0.01")
    size: Size
    fees: Fees = Fees()
    margin: Margin | None = None
    position_limit: int | None = Field(default=None, ge=1)
    cleared: bool = True


class Future(Derivative):
    """One for each of `listed_months` months ahead; cash-settled at its month's fixing."""

    kind: Literal["future"] = "future"
    listed_months: int = Field(default=12, ge=1, le=60)
    block_min: int | None = Field(default=None, ge=1)


class Swap(Derivative):
    """Fixed for floating, month by month, over `months` months from its start."""

    kind: Literal["swap"] = "swap"
    months: int = Field(default=1, ge=1, le=60)


class Forward(Derivative):
    """As a future of one month, with one counterparty and no daily margin."""

    kind: Literal["forward"] = "forward"
    delivery: date | None = None


class Perpetual(Derivative):
    """No expiry; funding is paid between longs and shorts.

    A period's funding per lot = multiplier × mark × clamp(rate, -cap, cap); longs pay when the
    mark is above the underlying.
    """

    kind: Literal["perp"] = "perp"
    funding_hours: int = Field(default=24, ge=1, le=168)
    funding_cap: Share = Decimal("0.05")
    taker_fee: Share = Decimal(0)


class Event(Derivative):
    """Pays `payout_usd` per lot if the index settles at or above (or below) the strike."""

    kind: Literal["event"] = "event"
    strike: Positive
    side: Literal["above", "below"] = "above"
    payout_usd: Usd = Decimal(1)

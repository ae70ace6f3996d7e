"""Limits: how far a plan may go, whatever it would save."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from hedge.contracts.terms import Part, Share, Usd


class HedgeLimits(Part):
    """How far a plan may go."""

    provider_share: Share | None = Field(
        None,
        gt=0,
        description="The most of a month's expected spend that may be due to one provider as fees,"
        " from 0 to 1; when not given, there is no limit",
        examples=["0.6"],
    )
    liquidity_usd: Usd | None = Field(
        None,
        description="For margins of derivatives and what they may be called for; when not given,"
        " there is no limit",
        examples=["50000"],
    )
    hedge_ratio: Share = Field(
        Decimal(1),
        description="The most of the highly probable exposure to an index that is hedged, 0 to 1",
        examples=["0.8"],
    )
    quotes_hours: int = Field(
        24,
        ge=1,
        le=8760,
        description="How old a venue's price may be, in hours; an older one is not used",
        examples=["24"],
    )
    later_use: Share = Field(
        Decimal("0.8"),
        description="How much of a commitment is thought to be used after the last month planned,"
        " from 0 to 1",
        examples=["0.8"],
    )

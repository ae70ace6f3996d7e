"""Counterparty: who owes us what we paid for, and how sure that is."""

from __future__ import annotations

from pydantic import Field

from hedge.contracts.terms import Name, Part, Share, Source, Usd


class Counterparty(Part):
    """Who owes what was paid for."""

    name: Name = Field(
        description="The name of a provider, or of a contract's `counterparty`",
        examples=["sfcompute"],
    )
    default_per_year: Share = Field(
        description="The chance that it fails within a year, from 0 to 1", examples=["0.03"]
    )
    recovery: Share = Field(
        description="What then comes back of what was prepaid, from 0 to 1", examples=["0.3"]
    )
    shortfall_chance: Share = Field(
        description="The chance that it delivers less in a month, from 0 to 1", examples=["0.02"]
    )
    shortfall: Share = Field(
        description="What share then is missing, from 0 to 1", examples=["0.2"]
    )
    limit_usd: Usd | None = Field(
        None,
        description="The most that may be prepaid to it at any time; when not given, there is no"
        " limit",
        examples=["50000"],
    )
    source: Source = Field(
        description="Where these numbers come from",
        examples=["{url: own estimate, retrieved_at: 2026-11-20, verification: assumed}"],
    )

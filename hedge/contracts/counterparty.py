"""Counterparty: who owes us what we paid for, and how sure that is."""

from __future__ import annotations

from hedge.contracts.terms import Name, Part, Share, Source, Usd


class Counterparty(Part):
    """default_per_year: the chance that it fails within a year; what was prepaid is then lost but
    for `recovery` of it. shortfall_chance, shortfall: in a month, that it delivers less, and what
    share then is missing. limit_usd: of what it may owe us at any time; None is no limit.
    """

    name: Name
    default_per_year: Share
    recovery: Share
    shortfall_chance: Share
    shortfall: Share
    limit_usd: Usd | None = None
    source: Source

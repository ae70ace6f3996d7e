"""MarketSnapshot: the market at one moment, immutable, read without locks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from benchmarks.offers import Offer
from benchmarks.quality import Quality
from benchmarks.quotes import Quote
from benchmarks.stats import Stats
from benchmarks.traffic.chances import ASSUMED, Chances
from benchmarks.traffic.observations import Seen


@dataclass(frozen=True, slots=True)
class Listing:
    """An offer as the market shows it.

    quote: None if nobody knows its price; it is then for sale to nobody. chances: with the limit on
    time that this model has. quality: by benchmark. stats: what a feed says of it.
    price_ratio: what answers cost lately, of what they were expected to.
    """

    offer: Offer
    quote: Quote | None
    seen: Seen
    chances: Chances = ASSUMED
    quality: Mapping[str, Quality] = field(default_factory=dict)
    stats: Stats | None = None
    price_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class MarketSnapshot:
    """Every model's offers, in the order in which the operator listed them.

    version grows with every rebuild, so that a decision can say what it saw.
    """

    version: int
    taken_at: datetime
    models: Mapping[str, tuple[Listing, ...]]

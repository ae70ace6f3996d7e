"""MarketSnapshot: the market at one moment, immutable, read without locks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from benchmarks.observations import Seen
from benchmarks.offers import Offer
from benchmarks.quality import Quality
from benchmarks.quotes import Quote


@dataclass(frozen=True, slots=True)
class Listing:
    """An offer as the market shows it.

    quote: None if nobody knows its price; it is then for sale to nobody. quality: by benchmark.
    """

    offer: Offer
    quote: Quote | None
    seen: Seen
    quality: Mapping[str, Quality] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MarketSnapshot:
    """Every model's offers, in the order in which the operator listed them.

    version grows with every rebuild, so that a decision can say what it saw.
    """

    version: int
    taken_at: datetime
    models: Mapping[str, tuple[Listing, ...]]

"""Market: quotes and observations, and the snapshot that is rebuilt from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from benchmarks.offers import Offer
from benchmarks.quality import Quality
from benchmarks.quotes import Quote
from benchmarks.snapshot import Listing, MarketSnapshot
from benchmarks.stats import Stats
from benchmarks.traffic.observations import MINUTE_S, Observation, Observations


@dataclass(frozen=True, slots=True)
class Quoted:
    """An offer, its price if anybody knows it, and what is said of it: by feeds, and by evals."""

    offer: Offer
    quote: Quote | None
    stats: Stats | None = None
    quality: Mapping[str, Quality] = field(default_factory=dict)


class Market:
    """What is for sale. `snapshot` is replaced as a whole, a few times a second.

    ttft_limits_ms: of each model, how long a first token may take to be in time; without one, any
    is.
    """

    def __init__(
        self,
        models: Mapping[str, tuple[Quoted, ...]],
        at: datetime,
        ttft_limits_ms: Mapping[str, float] | None = None,
    ) -> None:
        self._limits = dict(ttft_limits_ms or {})
        self._models = dict(models)
        self._qualities: Mapping[str, Mapping[str, Quality]] = {}
        self.observations = Observations(self._limits_of_offers())
        self._version = 0
        self._minute = 0
        self._listings: dict[str, tuple[Listing, ...]] = {}
        self.snapshot = self._build(at)

    def note(self, offer_id: str, observation: Observation) -> None:
        """Tell the market what an attempt saw; the next snapshot knows."""
        self.observations.note(offer_id, observation)

    def note_cost(self, offer_id: str, at_s: float, ratio: float) -> None:
        """What an answer cost, of what it was expected to by its sizes."""
        self.observations.note_cost(offer_id, at_s, ratio)

    def requote(self, models: Mapping[str, tuple[Quoted, ...]]) -> None:
        """Other prices, and what else is said of the offers; the next snapshot has them."""
        self._models, self._listings = dict(models), {}
        self.observations.hold_to(self._limits_of_offers())

    def grade(self, qualities: Mapping[str, Mapping[str, Quality]]) -> None:
        """What our own evals say of offers, by offer and benchmark; the next snapshot has it."""
        if qualities != self._qualities:
            self._qualities, self._listings = dict(qualities), {}

    def rebuild(self, at: datetime) -> None:
        self.snapshot = self._build(at)

    def _build(self, at: datetime) -> MarketSnapshot:
        """A model's listings stay the very same while nothing new is known of them, and the minute
        is the same: what was worked out for them holds."""
        self._version += 1
        now_s = at.timestamp()
        changed, minute = self.observations.changed(), int(now_s // MINUTE_S)
        before = self._listings if minute == self._minute else {}
        self._minute = minute
        self._listings = {
            name: before[name]
            if name in before and not any(one.offer.id in changed for one in quoted)
            else tuple(self._listing(name, one, now_s) for one in quoted)
            for name, quoted in self._models.items()
        }
        return MarketSnapshot(self._version, at, MappingProxyType(self._listings))

    def _listing(self, model: str, one: Quoted, now_s: float) -> Listing:
        offer_id, limit_ms = one.offer.id, self._limits.get(model, math.inf)
        return Listing(
            one.offer,
            one.quote,
            self.observations.seen(offer_id, now_s),
            self.observations.chances(offer_id, limit_ms, now_s, one.stats),
            {**one.quality, **self._qualities.get(offer_id, {})},
            one.stats,
            self.observations.price_ratio(offer_id, now_s),
        )

    def _limits_of_offers(self) -> dict[str, set[float]]:
        found: dict[str, set[float]] = {}
        for name, quoted in self._models.items():
            for one in quoted:
                found.setdefault(one.offer.id, set()).add(self._limits.get(name, math.inf))
        return found

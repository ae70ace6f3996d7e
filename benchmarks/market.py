"""Market: quotes and observations, and the snapshot that is rebuilt from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from benchmarks.observations import Observation, Observations
from benchmarks.offers import Offer
from benchmarks.quotes import Quote
from benchmarks.snapshot import Listing, MarketSnapshot


@dataclass(frozen=True, slots=True)
class Quoted:
    """An offer and its price, or why it has none."""

    offer: Offer
    quote: Quote | None


class Market:
    """What is for sale. `snapshot` is replaced as a whole, a few times a second."""

    def __init__(
        self, models: Mapping[str, tuple[Quoted, ...]], at: datetime, now_s: float
    ) -> None:
        self._models = dict(models)
        self._observations = Observations()
        self._version = 0
        self.snapshot = self._build(at, now_s)

    def note(self, offer_id: str, observation: Observation) -> None:
        """Tell the market what an attempt saw; the next snapshot knows."""
        self._observations.note(offer_id, observation)

    def rebuild(self, at: datetime, now_s: float) -> None:
        self.snapshot = self._build(at, now_s)

    def _build(self, at: datetime, now_s: float) -> MarketSnapshot:
        self._version += 1
        models = {
            name: tuple(
                Listing(one.offer, one.quote, self._observations.seen(one.offer.id, now_s))
                for one in quoted
            )
            for name, quoted in self._models.items()
        }
        return MarketSnapshot(self._version, at, MappingProxyType(models))

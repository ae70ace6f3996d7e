"""Breaker: an offer that keeps failing rests for some seconds, then one request tries it.

closed ──failures──▶ open ──rest is over──▶ half-open ──success──▶ closed
                      ▲                        │
                      └───────failure──────────┘

It acts on the very next request, not on the next snapshot. A caller's own mistake never counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

FAILURES_TO_OPEN = 3
FIRST_REST_S = 1.0
LONGEST_REST_S = 10.0


class Health(StrEnum):
    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@dataclass(slots=True)
class _Breaker:
    failures: int = 0
    rest_s: float = FIRST_REST_S
    open_until_s: float | None = None
    failed_at_s: float = 0.0
    probing: bool = False


class Breakers:
    """The breakers of all offers; times are monotonic seconds."""

    def __init__(self) -> None:
        self._by_offer: dict[str, _Breaker] = {}

    @property
    def troubled(self) -> Iterable[str]:
        """Offers that have failed lately: the others are all well."""
        return self._by_offer.keys()

    def health(self, offer_id: str, now_s: float) -> Health:
        breaker = self._by_offer.get(offer_id)
        if breaker is None or breaker.open_until_s is None:
            return Health.CLOSED
        if breaker.probing or now_s < breaker.open_until_s:
            return Health.OPEN
        return Health.HALF_OPEN

    def rests_for_s(self, offer_id: str, now_s: float) -> float:
        """How long it still rests; 0 if it does not."""
        breaker = self._by_offer.get(offer_id)
        if breaker is None or breaker.open_until_s is None:
            return 0.0
        return max(0.0, breaker.open_until_s - now_s)

    def failures(self, offer_id: str) -> int:
        """How often it has failed in a row."""
        breaker = self._by_offer.get(offer_id)
        return 0 if breaker is None else breaker.failures

    def attempt(self, offer_id: str, now_s: float) -> None:
        """An attempt begins: if the offer was half-open, it is the one probe."""
        if self.health(offer_id, now_s) is Health.HALF_OPEN:
            self._by_offer[offer_id].probing = True

    def succeeded(self, offer_id: str, began_s: float) -> None:
        """An attempt that began then ended well. One that began before the last failure says
        nothing of now: long streams outlive the start of an outage."""
        breaker = self._by_offer.get(offer_id)
        if breaker is not None and began_s >= breaker.failed_at_s:
            del self._by_offer[offer_id]

    def unjudged(self, offer_id: str) -> None:
        """An attempt says nothing of the offer (any more): the next request may be the probe."""
        if breaker := self._by_offer.get(offer_id):
            breaker.probing = False

    def failed(self, offer_id: str, now_s: float, retry_after_s: float | None = None) -> None:
        """A failure; one with `retry_after_s` (a 429) rests for that long at once."""
        breaker = self._by_offer.setdefault(offer_id, _Breaker())
        breaker.failures += 1
        breaker.failed_at_s = now_s
        was_probe, breaker.probing = breaker.probing, False
        if retry_after_s is not None:
            breaker.open_until_s = now_s + min(retry_after_s, LONGEST_REST_S)
        elif was_probe or (breaker.open_until_s is None and breaker.failures >= FAILURES_TO_OPEN):
            # What began before it opened, and fails later, does not make the rest longer.
            breaker.open_until_s = now_s + breaker.rest_s
            breaker.rest_s = min(2 * breaker.rest_s, LONGEST_REST_S)

"""Observations: what our own traffic saw of each offer, in bounded memory."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

WINDOW = 256
"""Attempts remembered per offer."""
RECENT_S = 300.0
"""Older attempts than this say nothing about now."""


class Outcome(StrEnum):
    ANSWERED = "answered"
    RATE_LIMITED = "rate_limited"
    FAILED = "failed"
    OVERTAKEN = "overtaken"
    """Given up before it had begun its answer, since another offer had. Its `ttft_ms` is what had
    passed by then: its own time would have been longer, nobody knows how much."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One attempt. `at_s` is monotonic; a time that was not seen is None."""

    at_s: float
    outcome: Outcome
    ttft_ms: float | None = None
    inter_token_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The last few minutes of one offer. Percentiles and rates are None without any attempt."""

    attempts: int
    ttft_ms_p50: float | None
    ttft_ms_p95: float | None
    inter_token_ms_p50: float | None
    inter_token_ms_p95: float | None
    error_rate: float | None
    rate_limited_rate: float | None


UNSEEN = Seen(0, None, None, None, None, None, None)


class Observations:
    """The last attempts at every offer."""

    def __init__(self) -> None:
        self._by_offer: dict[str, deque[Observation]] = {}

    def note(self, offer_id: str, one: Observation) -> None:
        self._by_offer.setdefault(offer_id, deque(maxlen=WINDOW)).append(one)

    def seen(self, offer_id: str, now_s: float) -> Seen:
        recent = [one for one in self._by_offer.get(offer_id, ()) if now_s - one.at_s <= RECENT_S]
        if not recent:
            return UNSEEN
        ttft = sorted(one.ttft_ms for one in recent if one.ttft_ms is not None)
        gaps = sorted(one.inter_token_ms for one in recent if one.inter_token_ms is not None)
        return Seen(
            attempts=len(recent),
            ttft_ms_p50=quantile(ttft, 0.50),
            ttft_ms_p95=quantile(ttft, 0.95),
            inter_token_ms_p50=quantile(gaps, 0.50),
            inter_token_ms_p95=quantile(gaps, 0.95),
            error_rate=_share(recent, Outcome.FAILED),
            rate_limited_rate=_share(recent, Outcome.RATE_LIMITED),
        )


def quantile(ordered: list[float], share: float) -> float | None:
    """The smallest value that at least `share` of `ordered` do not exceed; None if it is empty."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]


def _share(recent: list[Observation], outcome: Outcome) -> float:
    return sum(one.outcome is outcome for one in recent) / len(recent)

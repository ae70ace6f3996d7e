"""Stats: what a feed says of an offer's latency and reliability, seen over everybody's traffic."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of a distribution; each None where it is not told."""

    p50: float | None = None
    p75: float | None = None
    p90: float | None = None
    p99: float | None = None

    def points(self) -> list[tuple[float, float]]:
        """(share, value) of those that are told, the smallest share first."""
        shares = ((0.50, self.p50), (0.75, self.p75), (0.90, self.p90), (0.99, self.p99))
        return [(share, value) for share, value in shares if value is not None]


@dataclass(frozen=True, slots=True)
class Stats:
    """None: not told.

    ttft_ms: to the first token. tokens_per_s: while it writes; of its percentiles the lower ones
    are the slow answers. uptime_*: share of requests that it answered, those without that it
    refused for their rate, over 5 minutes, 30 minutes and a day. status: OpenRouter's word for
    whether it is asked at all: 0 normal, below 0 not as others are.
    success, failed, rate_limited: requests of the last half hour.
    """

    as_of: datetime
    source: str
    ttft_ms: Percentiles = Percentiles()
    tokens_per_s: Percentiles = Percentiles()
    uptime_5m: float | None = None
    uptime_30m: float | None = None
    uptime_1d: float | None = None
    status: int | None = None
    success: int | None = None
    failed: int | None = None
    rate_limited: int | None = None

    @property
    def says_success(self) -> bool:
        """Whether it says anything of how often it answers."""
        said = (self.uptime_5m, self.uptime_30m, self.uptime_1d, self.status, self.success)
        return any(one is not None for one in said)

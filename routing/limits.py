"""Limits: what the operator wants of every request."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Floor:
    """The least quality: of a benchmark's score the lower end of its interval must reach it."""

    benchmark: str
    at_least: float


@dataclass(frozen=True, slots=True)
class Limits:
    """How the offers of a model are put in order. None of the limits on time refuses an offer.

    ttft_ms_p95_max: a first token that comes later is late. Offers that are in time less than one
    time in four come after the others; how much dearer the rest are for it, `miss_cost` says.
    late_last: offers that are late in more than 5% of attempts come after the others already,
    however cheap they are. total_ms_p95_max: offers whose whole answer to this request would take
    longer, by its p95, come after the others, too.

    miss_cost: what an answer that comes late, or not at all, is worth avoiding, as a multiple of
    what the request usually costs; with 0 only money counts, and offers that answer at all.

    attempts: offers that are tried for one request; the best row of so many comes first.
    quality: offers below it are refused, and those of unknown quality come after the others.

    explore: the share of what is spent that may be spent besides on offers that are not known well.
    spread: offers that are dearer by no more than this share of the cost tie with the best.
    """

    ttft_ms_p95_max: float = 2000.0
    total_ms_p95_max: float | None = None
    late_last: bool = False
    miss_cost: float = 1.0
    attempts: int = 3
    quality: Floor | None = None
    explore: float = 0.01
    spread: float = 0.02

    def cheapest(self) -> Limits:
        """As a budget that runs out wants it: whatever the latency, and without spreading load. The
        quality floor holds."""
        return replace(
            self,
            ttft_ms_p95_max=math.inf,
            total_ms_p95_max=None,
            miss_cost=0.0,
            explore=0.0,
            spread=0.0,
        )


MILLIONTHS = 1_000_000


@dataclass(frozen=True, slots=True)
class SecondOfferRule:
    """When a second offer is asked, and how often.

    after_ms: how long after the first; None: the 95th percentile of its own times to the first
    token. share_millionths: of the requests that may come to need one. plain: whether answers that
    are not streamed may, too: most providers bill them in full, whoever still listens.
    """

    after_ms: float | None
    share_millionths: int
    plain: bool = False

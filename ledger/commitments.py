"""Commitment: a flat-fee or capacity contract that we own, as the books keep it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ledger.money import Money


class CommitmentKind(StrEnum):
    QUOTA = "quota"
    """So many capacity units in each window of the term (a month, or all of it)."""
    THROUGHPUT = "throughput"
    """So many capacity units each minute; what a minute leaves perishes with it."""
    SPEND = "spend"
    """A quota whose unit is a USD at pay-as-you-go."""


@dataclass(frozen=True, slots=True)
class Covered:
    """An offer that it pays for. model: the provider's own; None is all that it serves."""

    provider: str
    model: str | None


@dataclass(frozen=True, slots=True)
class Commitment:
    """What one fill of a contract brought.

    contract: its name on the menu. units: how many were bought. capacity_units: of one of them, per
    minute (throughput) or per window (quota). The capacity units that one token takes are in
    millionths, so that what was used is counted in whole numbers: prompt tokens that were not in a
    cache, those that were, completion tokens; and per request.
    starts_ns, ends_ns: its term, half-open. is_monthly: a quota of each calendar month (UTC), pro
    rata for a part of one; else of the whole term.
    fee: of the whole term, for all units. team_rate: what teams are charged per million capacity
    units that they draw, fixed in advance; the variance is the platform's.
    overage_rate: per million capacity units beyond the quota, where the contract bills them; None
    where pay-as-you-go takes over.
    """

    id: str
    contract: str
    provider: str
    kind: CommitmentKind
    covers: tuple[Covered, ...]
    units: int
    capacity_units: int
    micro_units_per_prompt: int
    micro_units_per_cached: int
    micro_units_per_completion: int
    micro_units_per_request: int
    starts_ns: int
    ends_ns: int
    is_monthly: bool
    fee: Money
    team_rate: Money
    overage_rate: Money | None = None

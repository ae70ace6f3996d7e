"""Commitment: a flat-fee or capacity contract that we own, as the books keep it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ledger.errors import NotACommitment
from ledger.money import MAX_NANOS, ZERO, Money

MICRO = 1_000_000
"""Capacity is counted in millionths of a unit: what a token takes is a whole number of them."""
RATED = MICRO * MICRO
"""Rates are per million units, so that they are exact where a unit is a token."""
NANOS_PER_MICRO_USD = 1_000


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

    def has(self, provider: str, model: str) -> bool:
        return self.provider == provider and self.model in (None, model)


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
    where pay-as-you-go takes over. apply_order: of two that would serve a request at the same cost
    the lower one is drawn first.

    Raises NotACommitment for numbers that contradict each other, or that the books cannot hold.
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
    apply_order: int = 0

    def __post_init__(self) -> None:
        where = f"commitment {self.id}"
        if self.ends_ns <= self.starts_ns:
            raise NotACommitment(f"{where} ends before it starts: give it a term")
        counts = (
            *(self.units, self.capacity_units, self.micro_units_per_prompt, self.starts_ns),
            *(self.micro_units_per_cached, self.micro_units_per_completion),
            *(self.micro_units_per_request, self.fee, self.team_rate, self.overage_rate or 0),
        )
        if min(counts) < 0:
            raise NotACommitment(f"{where} has a number below zero: {min(counts)}")
        if max(self.micro_units, *counts, self.ends_ns) > MAX_NANOS:
            raise NotACommitment(
                f"{where} has a number that the books cannot hold: count its capacity in larger"
                " units, as thousands of tokens"
            )

    @property
    def micro_units(self) -> int:
        """Its capacity in one whole window."""
        return self.units * self.capacity_units * MICRO

    def covers_offer(self, provider: str, model: str) -> bool:
        """model: the provider's own."""
        return any(one.has(provider, model) for one in self.covers)

    def takes(self, prompt: int, cached: int, completion: int, usual_nanos: float) -> int:
        """The micro-units that one request takes. cached: of its prompt. usual_nanos: what it
        costs at pay-as-you-go, which is what a commitment of spend counts."""
        if self.kind is CommitmentKind.SPEND:
            return int(-(-usual_nanos // NANOS_PER_MICRO_USD))
        return (
            (prompt - cached) * self.micro_units_per_prompt
            + cached * self.micro_units_per_cached
            + completion * self.micro_units_per_completion
            + self.micro_units_per_request
        )

    def takes_at_most(self, prompt: int, completion: int, usual: Money) -> int:
        """The same of a request of which nobody knows what will be in a cache. usual: the most that
        it can cost at pay-as-you-go."""
        if self.kind is CommitmentKind.SPEND:
            return self.takes(0, 0, 0, usual)
        dearest = max(self.micro_units_per_prompt, self.micro_units_per_cached)
        return prompt * dearest + self.takes(0, 0, completion, usual)

    def completion_within(self, micro_units: int, prompt: int) -> int:
        """The most completion tokens with which `takes_at_most` fits into so much; of what counts
        none of them 2**31 - 1. Not of a commitment of spend: its prices say that."""
        room = micro_units - self.takes_at_most(prompt, 0, ZERO)
        if room < 0:
            return 0
        per = self.micro_units_per_completion
        return min(room // per, 2**31 - 1) if per else 2**31 - 1


def rated(micro_units: int, rate: Money) -> Money:
    """What so many micro-units cost at a rate per million units, rounded up to a nano-USD."""
    return Money(-(-micro_units * rate // RATED))

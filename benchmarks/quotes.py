"""Quote: the prices of an offer, with where they come from and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.errors import UsageUnknown
from ledger.money import Money
from ledger.rates import RateCard
from ledger.usage import TokenUsage


@dataclass(frozen=True, slots=True)
class LongContext:
    """Prices for the whole request once its prompt has more than `above_prompt_tokens`."""

    above_prompt_tokens: int
    rates: RateCard


@dataclass(frozen=True, slots=True)
class Quote:
    """What an offer costs us (`rates`), and what its provider lists in public (`list_rates`).

    They differ where the operator has named a price of his own. list_rates is None where no feed
    knows one. long_context is sorted, lowest threshold first. as_of: when the price became known.
    batch_rates: what tokens cost through the provider's batch API; None where nobody knows, or it
    has none. batch_long_context: the same above thresholds.
    """

    rates: RateCard
    list_rates: RateCard | None
    long_context: tuple[LongContext, ...]
    source: str
    as_of: datetime
    batch_rates: RateCard | None = None
    batch_long_context: tuple[LongContext, ...] = ()

    def card(self, prompt_tokens: int) -> RateCard:
        """The prices that a request with so many prompt tokens pays."""
        card = self.rates
        for one in self.long_context:
            if prompt_tokens > one.above_prompt_tokens:
                card = one.rates
        return card

    def list_card(self, prompt_tokens: int) -> RateCard:
        """The public prices of such a request; our own where none are known, or where they are by
        other units than ours, which nobody counts."""
        card, listed = self.card(prompt_tokens), self.list_rates
        if listed is None or card != self.rates or listed.per is not card.per:
            return card
        return listed

    def listed(self, usage: TokenUsage) -> Money:
        """What it costs at the public prices; at our own where they ask for a count that ours do
        not, and nobody made. Raises UsageUnknown if ours do."""
        try:
            return self.list_card(usage.prompt or 0).charge(usage)
        except UsageUnknown:
            return self.card(usage.prompt or 0).charge(usage)

    def in_batches(self) -> Quote | None:
        """The same offer through its provider's batch API, as a quote; None where it has none."""
        if self.batch_rates is None:
            return None
        return Quote(self.batch_rates, None, self.batch_long_context, self.source, self.as_of)

    def worst_case(self, prompt_tokens: int, completion_tokens: int, units: int = 0) -> Money:
        """The most that a request of at most so much can cost, at whatever threshold."""
        cards = (self.rates, *(one.rates for one in self.long_context))
        return max(card.worst_case(prompt_tokens, completion_tokens, units) for card in cards)

    def affordable_completion(self, left: Money, prompt_tokens: int, units: int = 0) -> int:
        """The most completion tokens whose `worst_case` fits into `left`; may be 0."""
        cards = (self.rates, *(one.rates for one in self.long_context))
        return min(card.affordable_completion(left, prompt_tokens, units) for card in cards)

    def would_cost(self, usage: TokenUsage) -> Money | None:
        """What the same work would have cost here; None where it was counted in other units than
        this offer is priced by."""
        try:
            return self.card(usage.prompt or 0).charge(usage)
        except UsageUnknown:
            return None

"""Quote: the prices of an offer, with where they come from and since when.

Which prices hold is decided by the size of the prompt and by the moment at which the attempt began,
whenever its answer ends: so do providers that sell the night for less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ledger.errors import NotAPrice, UsageUnknown
from ledger.instants import as_ns
from ledger.money import Money
from ledger.rates import RateCard
from ledger.usage import TokenUsage

DAY_MINUTES = 1440
_MINUTE_NS = 60_000_000_000
_WEEK = frozenset(range(1, 8))
_THURSDAY = 3
"""1970 began on one, the fourth of its week."""


@dataclass(frozen=True, slots=True)
class UtcHours:
    """A part of every day, in minutes of it (UTC): from `start_minute` until before `end_minute`,
    over midnight if it ends before it starts. Raises NotAPrice for what is no part of a day.

    weekdays: on which it begins, 1 for Monday to 7 for Sunday; None for all of them.
    """

    start_minute: int
    end_minute: int
    weekdays: frozenset[int] | None = None

    def __post_init__(self) -> None:
        start, end = self.start_minute, self.end_minute
        if not 0 <= start < DAY_MINUTES or not 0 <= end <= DAY_MINUTES or start == end:
            raise NotAPrice(
                f"from minute {start} until minute {end} is no part of a day: a day has"
                f" {DAY_MINUTES} minutes, and its part begins and ends at different ones"
            )
        if self.weekdays is not None and not frozenset() < self.weekdays <= _WEEK:
            raise NotAPrice(f"weekdays {sorted(self.weekdays)}: there are those from 1 to 7")

    def has(self, at_ns: int) -> bool:
        """Whether a moment is in them, in nanoseconds since 1970."""
        day, minute = divmod(at_ns // _MINUTE_NS, DAY_MINUTES)
        if self.start_minute < self.end_minute:
            if not self.start_minute <= minute < self.end_minute:
                return False
        elif minute < self.end_minute:
            day -= 1  # on which it began
        elif minute < self.start_minute:
            return False
        return self.weekdays is None or (day + _THURSDAY) % 7 + 1 in self.weekdays


@dataclass(frozen=True, slots=True)
class Override:
    """Prices for the whole request in place of the usual ones, if its prompt has more than
    `above_prompt_tokens` (0: whatever it has) and it begins in `hours` (None: at any time)."""

    rates: RateCard
    above_prompt_tokens: int = 0
    hours: UtcHours | None = None

    def holds(self, prompt_tokens: int, at_ns: int) -> bool:
        above = self.above_prompt_tokens
        if above and prompt_tokens <= above:
            return False
        return self.hours is None or self.hours.has(at_ns)


@dataclass(frozen=True, slots=True)
class Quote:
    """What an offer costs us (`rates`), and what its provider lists in public (`list_rates`).

    They differ where the operator has named a price of his own. list_rates is None where no feed
    knows one. overrides: the last one that holds counts, so that they are sorted, lowest threshold
    first. as_of: when the price became known; valid_until: from when on it is none; None: it stays.
    batch_rates: what tokens cost through the provider's batch API; None where nobody knows, or it
    has none. batch_overrides: in place of these. tiers: what the same costs at other service tiers,
    as far as that is known, by their names; the usual one has none (`offers.paid_tier`).

    at_ns: when the attempt began, in nanoseconds since 1970.
    """

    rates: RateCard
    list_rates: RateCard | None
    overrides: tuple[Override, ...]
    source: str
    as_of: datetime
    batch_rates: RateCard | None = None
    batch_overrides: tuple[Override, ...] = ()
    valid_until: datetime | None = None
    tiers: Mapping[str | None, Quote] = field(default_factory=dict, compare=False)

    @property
    def cards(self) -> tuple[RateCard, ...]:
        """Every card that a request may have to pay, whatever its size, at whatever time."""
        return (self.rates, *[one.rates for one in self.overrides])

    def has_lapsed(self, at_ns: int) -> bool:
        """Whether it is no price any more."""
        until = self.valid_until
        return until is not None and at_ns >= as_ns(until)

    def card(self, prompt_tokens: int, at_ns: int) -> RateCard:
        """The prices that a request with so many prompt tokens pays."""
        card = self.rates
        for one in self.overrides:
            if one.holds(prompt_tokens, at_ns):
                card = one.rates
        return card

    def list_card(self, prompt_tokens: int, at_ns: int) -> RateCard:
        """The public prices of such a request; our own where none are known, or where they are by
        other units than ours, which nobody counts."""
        card, listed = self.card(prompt_tokens, at_ns), self.list_rates
        if listed is None or card != self.rates or listed.per is not card.per:
            return card
        return listed

    def listed(self, usage: TokenUsage, at_ns: int) -> Money:
        """What it costs at the public prices; at our own where they ask for a count that ours do
        not, and nobody made. Raises UsageUnknown if ours do."""
        try:
            return self.list_card(usage.prompt or 0, at_ns).charge(usage)
        except UsageUnknown:
            return self.card(usage.prompt or 0, at_ns).charge(usage)

    def in_batches(self) -> Quote | None:
        """The same offer through its provider's batch API, as a quote; None where it has none."""
        if self.batch_rates is None:
            return None
        return Quote(
            self.batch_rates,
            None,
            self.batch_overrides,
            self.source,
            self.as_of,
            valid_until=self.valid_until,
        )

    def worst_case(self, prompt_tokens: int, completion_tokens: int, units: int = 0) -> Money:
        """The most that a request of at most so much can cost, at whatever threshold and time."""
        return max(
            [card.worst_case(prompt_tokens, completion_tokens, units) for card in self.cards]
        )

    def affordable_completion(self, left: Money, prompt_tokens: int, units: int = 0) -> int:
        """The most completion tokens whose `worst_case` fits into `left`; may be 0."""
        return min([card.affordable_completion(left, prompt_tokens, units) for card in self.cards])

    def would_cost(self, usage: TokenUsage, at_ns: int) -> Money | None:
        """What the same work would have cost here; None where it was counted in other units than
        this offer is priced by."""
        try:
            return self.card(usage.prompt or 0, at_ns).charge(usage)
        except UsageUnknown:
            return None

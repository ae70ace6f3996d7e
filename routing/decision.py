"""RouteDecision: the offers in order, each with its expected cost and the reason for its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.snapshot import Listing
from ledger.money import ZERO, Money
from ledger.usage import TokenUsage
from routing.candidates import Candidate, First
from routing.costed import Costed
from routing.eligibility import Reason, Refusal
from routing.intent import RoutingIntent
from routing.prompt_choice import PromptChoice
from routing.second_offers import SecondOffer


@dataclass(frozen=True, slots=True, eq=False)
class RouteDecision:
    """What to try, in order, and what not to try. Holds all that `explain` needs.

    intent: of the model that was asked for; of several, of the first. first_listed: what would have
    been asked without a router. parts: what each model would cost. first: why the first candidate
    is the first. exploring_cost: how much worse it is expected to be than the best, because it is
    not known well. second: None where the request is to have none. choice: among the models of a
    class, where its operator lets the prompt have a say.
    """

    intent: RoutingIntent
    snapshot_version: int
    first_listed: Listing | None
    candidates: Sequence[Candidate]
    parts: Sequence[Costed]
    first: First = First.VALUE
    exploring_cost: Money = ZERO
    second: SecondOffer | None = None
    choice: PromptChoice | None = None

    @property
    def refused(self) -> tuple[Refusal, ...]:
        return tuple(one for part in self.parts for one in self.refused_of(part))

    def refused_of(self, part: Costed) -> tuple[Refusal, ...]:
        """Its offers that cannot serve the request. Where nobody may that can, for want of a place
        in the request's order, these are among them."""
        if self.candidates:
            return part.refused
        why = (
            f"could serve it, but the request's provider.order names"
            f" {', '.join(self.intent.preferences.order)} alone (allow_fallbacks: false)"
        )
        able = part.field.listings
        return (*(Refusal(one, Reason.NOT_IN_ORDER, why) for one in able), *part.refused)

    @property
    def usual_cost(self) -> Money:
        """What a request of this size costs in the middle of the market."""
        return Money(round(self.parts[0].usual))

    def cheapest(self, usage: TokenUsage) -> Money | None:
        """What the same work would have cost at the cheapest of all that could have served it; None
        where none could have counted it."""
        costs = [part.cheapest(usage) for part in self.parts]
        return min((one for one in costs if one is not None), default=None)

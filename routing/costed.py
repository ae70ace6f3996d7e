"""Costed: what one request is expected to cost at each offer of a model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import msgspec

from ledger.bid_prices import BidPrice
from ledger.money import Money
from ledger.usage import TokenUsage
from routing.breaker import Breakers, Health
from routing.candidates import Candidate, Place, PlannedDraw
from routing.eligibility import SIZES, Refusal, refusal
from routing.intent import RoutingIntent
from routing.table import Field, Floats, Table


@dataclass(slots=True)
class Costed:
    """The offers of a model that can serve a request, by their position in `field`.

    costs: nano-USD, as floats: they only put in order. usual: what such a request costs in the
    middle of the market.

    What holds for few of them: cached, tokens of the prompt that are likely in a provider's cache;
    owned, where capacity that we own would serve it, or its overage; late, where the whole answer
    comes too late; resting, those that failed lately, or are at_limit: without headroom at their
    providers, and for how many more seconds; on_trial, those whose rest is over.
    """

    intent: RoutingIntent
    field: Field
    costs: Floats
    usual: float
    at_ns: int
    cached: dict[int, int] = dataclasses.field(default_factory=dict)
    owned: dict[int, PlannedDraw] = dataclasses.field(default_factory=dict)
    late: set[int] = dataclasses.field(default_factory=set)
    resting: dict[int, float] = dataclasses.field(default_factory=dict)
    on_trial: set[int] = dataclasses.field(default_factory=set)
    at_limit: set[int] = dataclasses.field(default_factory=set)

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """Those that cannot serve it. What is remembered of sizes is of another request."""
        return tuple(self._of_this(one) for one in self.field.refused)

    def _of_this(self, one: Refusal) -> Refusal:
        if one.reason not in SIZES:
            return one
        return refusal(one.listing, self.intent, self.at_ns) or one

    def place(self, at: int) -> Place:
        if at in self.resting:
            return Place.RESTING
        place = self.field.places[at]
        return Place.SLOW if place is Place.READY and at in self.late else place

    def candidate(self, at: int) -> Candidate:
        return Candidate(
            listing=self.field.listings[at],
            intent=self.intent,
            expected_cost=Money(math.ceil(self.costs.item(at) - ROUNDING)),
            place=self.place(at),
            cached_tokens=self.cached.get(at, 0),
            is_probe=at in self.on_trial,
            draw=self.owned.get(at),
            is_at_limit=at in self.at_limit,
        )

    def cheapest(self, usage: TokenUsage) -> Money | None:
        """What the same work would have cost at the cheapest of them; None where none could have
        counted it."""
        cached, written = usage.cached or 0, usage.cache_write or 0
        prompt, completion, units = usage.prompt or 0, usage.completion or 0, usage.units or 0
        rates = self.field.rates(prompt, self.at_ns)
        costs = rates.listed_costs((prompt, completion, 1, units, cached, written))
        for at in sorted(range(len(costs)), key=costs.tolist().__getitem__):
            cost = self.field.quotes[at].would_cost(usage, self.at_ns)
            if cost is not None:
                return cost
        return None


ROUNDING = 1e-3
"""Of a nano-USD: what sums of floats are wrong by, at most."""


def _plan_draw(found: Costed, at: int, bids: Sequence[BidPrice]) -> None:
    """Let an offer's cost be what its use takes of capacity that we own, where that is worth no
    more than what is paid there for it: at the same cost what is paid for is used. A contract that
    bills overage leaves no choice: its offers draw, and beyond the quota they cost that."""
    intent, usual = found.intent, found.costs.item(at)
    cached = found.cached.get(at, 0)
    sizes = (intent.prompt_tokens, cached, intent.completion_tokens, usual)
    best: PlannedDraw | None = None
    cost = usual
    for bid in bids:
        drawn, overage = bid.cost_nanos(*sizes, found.at_ns), bid.overage_nanos(*sizes)
        nanos = overage if drawn is None else drawn
        if nanos is None:
            continue
        is_instead = best is None and (nanos <= cost or overage is not None)
        if is_instead or nanos < cost:
            otherwise = math.ceil(usual if overage is None else overage)
            best = PlannedDraw(bid, Money(otherwise), is_overage=drawn is None)
            cost = nanos
    if best is not None:
        found.owned[at], found.costs[at] = _with_next(best, bids, sizes, found.at_ns), cost


def _with_next(
    best: PlannedDraw, bids: Sequence[BidPrice], sizes: tuple[int, int, int, float], at_ns: int
) -> PlannedDraw:
    """With the others that would serve it, cheapest first: of the best one less may be left than
    the request has to hold. Not where overage is billed: that is what comes next there."""
    if len(bids) == 1 or any(one.commitment.overage_rate is not None for one in bids):
        return best
    others = [(one.cost_nanos(*sizes, at_ns), one) for one in bids if one is not best.bid]
    able = [(nanos, one) for nanos, one in others if nanos is not None and nanos <= sizes[3]]
    then: PlannedDraw | None = None
    in_order = sorted(able, key=itemgetter(0))
    for nanos, one in in_order[::-1]:
        then = PlannedDraw(one, best.otherwise, cost=Money(math.ceil(nanos)), then=then)
    return msgspec.structs.replace(best, then=then)


def costed(
    table: Table,
    intent: RoutingIntent,
    breakers: Breakers,
    owned: Mapping[str, Sequence[BidPrice]],
    warm: Mapping[str, int],
    at_ns: int,
    now_s: float,
    busy: Mapping[str, float],
) -> Costed:
    """warm: by offer, how many tokens of the prompt are likely in its provider's cache. busy: by
    provider, when it has headroom again."""
    able = table.field(intent, at_ns)
    prompt, completion = intent.prompt_tokens, intent.completion_tokens
    rates = able.rates(prompt, at_ns)
    sizes = (prompt, completion, 1, intent.units, 0, 0)
    found = Costed(intent, able, rates.costs(sizes), rates.usual_cost(sizes), at_ns)
    for offer_id, tokens in warm.items():
        at = able.position.get(offer_id)
        if at is not None:
            found.cached[at] = min(tokens, prompt)
            found.costs[at] += found.cached[at] * rates.per_cached(at)
    for offer_id, bids in owned.items():
        at = able.position.get(offer_id)
        if at is not None:
            _plan_draw(found, at, bids)
    for offer_id in breakers.troubled:
        at = able.position.get(offer_id)
        health = breakers.health(offer_id, now_s)
        if at is not None and health is Health.OPEN:
            found.resting[at] = breakers.rests_for_s(offer_id, now_s)
        elif at is not None and health is Health.HALF_OPEN:
            found.on_trial.add(at)
    for provider, ready_s in busy.items():
        for at in able.of_provider.get(provider, ()):
            found.resting[at] = max(found.resting.get(at, 0.0), ready_s - now_s)
            found.at_limit.add(at)
    most_ms = table.limits.total_ms_p95_max
    if most_ms is not None:
        total_ms = able.ttft_ms_p95 + able.inter_token_ms_p95 * completion
        found.late.update((total_ms > most_ms).nonzero()[0].tolist())
    return found

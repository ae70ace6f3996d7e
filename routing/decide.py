"""decide: put the offers of a model in order for one request."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.snapshot import Listing, MarketSnapshot
from ledger.money import Money
from ledger.usage import TokenUsage
from routing.breaker import Breakers, Health
from routing.decision import Candidate, Place, RouteDecision
from routing.eligibility import refusal
from routing.intent import RoutingIntent
from routing.preference_order import arranged, replaces_cost

NEAR_TIE = 0.02
"""Offers within this share of the cheapest are one tie: the draw spreads load among them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator wants of every request. The TTFT limit orders offers, it refuses none."""

    ttft_ms_p95_max: float = 2000.0


def decide(
    intent: RoutingIntent,
    snapshot: MarketSnapshot,
    breakers: Breakers,
    limits: Limits,
    draw: float,
    now_s: float,
) -> RouteDecision:
    """Candidates, best first, and refusals. `draw` is uniform in [0, 1).

    Raises KeyError for a model that the snapshot does not have.
    """
    refused = []
    ready: list[Candidate] = []
    usage = TokenUsage(intent.prompt_tokens, intent.completion_tokens, units=intent.units)
    listings = snapshot.models[intent.model]
    for listing in listings:
        why_not = refusal(listing, intent)
        if why_not is not None:
            refused.append(why_not)
        else:
            ready.append(_candidate(listing, usage, breakers, limits, now_s))
    order = sorted(ready, key=lambda one: _standing(one, breakers, now_s))
    return RouteDecision(
        intent=intent,
        snapshot_version=snapshot.version,
        first_listed=listings[0] if listings else None,
        candidates=_as_wanted(order, intent, draw),
        refused=tuple(refused),
    )


def _as_wanted(order: list[Candidate], intent: RoutingIntent, draw: float) -> tuple[Candidate, ...]:
    tier = intent.service_tier
    if not replaces_cost(intent.preferences, tier):
        order = list(_spread(order, draw))
    return tuple(arranged(order, intent.preferences, service_tier=tier))


def _standing(one: Candidate, breakers: Breakers, now_s: float) -> tuple[int, float, Money]:
    """Groups before costs. Of those that rest the least bad comes first: it is soonest back."""
    rests_s = 0.0
    if one.place is Place.RESTING:
        rests_s = breakers.rests_for_s(one.listing.offer.id, now_s)
    return _GROUPS[one.place], rests_s, one.expected_cost


_GROUPS = {Place.READY: 0, Place.SLOW: 1, Place.RESTING: 2}


def expected_cost(listing: Listing, usage: TokenUsage) -> Money:
    """What a request of this size costs at an offer that has a quote."""
    if listing.quote is None:
        raise ValueError(f"{listing.offer.id} has no quote: ask `refusal` first")
    return listing.quote.card(usage.prompt or 0).charge(usage)


def _candidate(
    listing: Listing, usage: TokenUsage, breakers: Breakers, limits: Limits, now_s: float
) -> Candidate:
    health = breakers.health(listing.offer.id, now_s)
    ttft_ms = listing.seen.ttft_ms_p95
    place = Place.READY
    if health is Health.OPEN:
        place = Place.RESTING
    elif ttft_ms is not None and ttft_ms > limits.ttft_ms_p95_max:
        place = Place.SLOW
    return Candidate(listing, expected_cost(listing, usage), place, health is Health.HALF_OPEN)


def _spread(order: list[Candidate], draw: float) -> tuple[Candidate, ...]:
    """Move one of those tied with the first to the front."""
    if not order:
        return ()
    best = order[0]
    if best.place is Place.RESTING:
        return tuple(order)
    most = best.expected_cost * (1 + NEAR_TIE)
    tied = [one for one in order if one.place is best.place and one.expected_cost <= most]
    chosen = tied[int(draw * len(tied))]
    return (chosen, *(one for one in order if one is not chosen))

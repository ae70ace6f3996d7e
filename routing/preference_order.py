"""Preference order: candidates as a request wants them tried.

By these, the first that tells two candidates apart:

1. what rests after failures comes last: an order says whom to prefer, not to wait for one who is
   out of order
2. without `order`: which wishes an offer keeps, those not known of it, those that it misses
3. the models that were asked for, one after the other (unless one order of all is wanted)
4. the place in `order`; who is not named comes after it
5. the wishes, where there is an `order`
6. the service tier that was asked for, before others
7. `sort`; what is unknown comes last
8. the order in which they came: by cost
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.offers import Offer, paid_tier
from benchmarks.traffic.observations import Seen
from routing.candidates import Candidate, Place
from routing.preferences import FAST_TIERS, Preferences, Sort, Wish, matches

_KEPT, _UNKNOWN, _MISSED = range(3)
_LAST = float("inf")


def replaces_cost(preferences: Preferences, service_tier: str | None = None) -> bool:
    """Whether the order is the request's own: then no load is spread, and nothing explored."""
    if preferences.by_cost_alone:
        return False
    return bool(preferences.order or preferences.sort or service_tier in FAST_TIERS)


def arranged(
    candidates: Sequence[Candidate],
    preferences: Preferences,
    *,
    service_tier: str | None = None,
    model_ranks: Sequence[int] | None = None,
) -> Sequence[Candidate]:
    """Candidates that are in our order, as the request wants them tried; fewer with
    `allow_fallbacks` False: only who is in `order`, or without one the first of each model. None is
    left out for a wish that it misses.

    model_ranks: for each candidate, the place of its model among those that were asked for; None
    where that is one.
    """
    if not _says_anything(preferences, service_tier):
        return candidates
    ranks = [0] * len(candidates) if model_ranks is None else model_ranks
    keys = [
        _standing(one, rank, preferences, service_tier)
        for one, rank in zip(candidates, ranks, strict=True)
    ]
    places = sorted(range(len(candidates)), key=keys.__getitem__)
    if not preferences.allow_fallbacks:
        places = _without_fallbacks(places, candidates, ranks, preferences)
    return [candidates[place] for place in places]


def _says_anything(preferences: Preferences, service_tier: str | None) -> bool:
    return (
        replaces_cost(preferences, service_tier)
        or not preferences.allow_fallbacks
        or bool(preferences.max_latency or preferences.min_throughput)
    )


def _standing(
    one: Candidate, model_rank: int, preferences: Preferences, service_tier: str | None
) -> tuple[float, ...]:
    if preferences.by_cost_alone:  # which they stand in
        return (one.place is Place.RESTING, model_rank if preferences.by_model else 0)
    offer, seen = one.listing.offer, one.listing.seen
    wishes = _wishes(seen, preferences)
    by_order = bool(preferences.order)
    by_tier = service_tier in FAST_TIERS and paid_tier(offer.service_tier) not in FAST_TIERS
    sort = preferences.sort
    if sort is None and service_tier in FAST_TIERS:
        sort = Sort.THROUGHPUT
    return (
        one.place is Place.RESTING,
        0 if by_order else wishes,
        model_rank if preferences.by_model else 0,
        _place_in(preferences.order, offer) if by_order else 0,
        wishes if by_order else 0,
        by_tier,
        _sorted_by(sort, one),
    )


def _place_in(order: Sequence[str], offer: Offer) -> int:
    """Of the first name that means it; after all of them if none does."""
    for place, name in enumerate(order):
        if matches(name, offer, with_tier=True):
            return place
    return len(order)


def _sorted_by(sort: Sort | None, one: Candidate) -> float:
    seen = one.listing.seen
    match sort:
        case None:
            return 0
        case Sort.PRICE:
            return one.expected_cost
        case Sort.LATENCY:
            return _LAST if seen.ttft_ms_p50 is None else seen.ttft_ms_p50
        case Sort.THROUGHPUT:
            return _LAST if seen.inter_token_ms_p50 is None else seen.inter_token_ms_p50


def _wishes(seen: Seen, preferences: Preferences) -> int:
    """The worst that is to say of any of them."""
    return max(
        (
            *(_kept(_ttft_ms(seen, one.share), one) for one in preferences.max_latency),
            *(_kept_speed(_gap_ms(seen, one.share), one) for one in preferences.min_throughput),
        ),
        default=_KEPT,
    )


def _kept(ttft_ms: float | None, wish: Wish) -> int:
    if ttft_ms is None:
        return _UNKNOWN
    return _KEPT if ttft_ms <= wish.limit else _MISSED


def _kept_speed(gap_ms: float | None, wish: Wish) -> int:
    """So many attempts have a gap of no more: so many are as fast, or faster."""
    if gap_ms is None:
        return _UNKNOWN
    return _KEPT if gap_ms * wish.limit <= 1000 else _MISSED


def _ttft_ms(seen: Seen, share: float) -> float | None:
    known = (
        *((0.50, seen.ttft_ms_p50), (0.75, seen.ttft_ms_p75), (0.90, seen.ttft_ms_p90)),
        *((0.95, seen.ttft_ms_p95), (0.99, seen.ttft_ms_p99)),
    )
    return _least_known(share, known)


def _gap_ms(seen: Seen, share: float) -> float | None:
    known = (
        *((0.50, seen.inter_token_ms_p50), (0.75, seen.inter_token_ms_p75)),
        *((0.90, seen.inter_token_ms_p90), (0.95, seen.inter_token_ms_p95)),
        (0.99, seen.inter_token_ms_p99),
    )
    return _least_known(share, known)


def _least_known(share: float, known: Iterable[tuple[float, float | None]]) -> float | None:
    """The percentile, or the next one above it: an offer is not said to be faster than it is."""
    return next((ms for of, ms in known if of >= share and ms is not None), None)


def _without_fallbacks(
    places: Sequence[int],
    candidates: Sequence[Candidate],
    ranks: Sequence[int],
    preferences: Preferences,
) -> list[int]:
    if order := preferences.order:
        return [
            one for one in places if _place_in(order, candidates[one].listing.offer) < len(order)
        ]
    found: dict[int, int] = {}
    for place in places:
        found.setdefault(ranks[place] if preferences.by_model else 0, place)
    return list(found.values())

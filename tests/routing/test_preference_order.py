"""The order that a request asks for, against a naive judge and each rule by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.offers import Offer
from benchmarks.snapshot import Listing
from benchmarks.traffic.observations import UNSEEN, Seen
from ledger.money import Money
from routing.candidates import Candidate, Candidates, Place
from routing.intent import RoutingIntent
from routing.preference_order import arranged, replaces_cost
from routing.preferences import (
    NO_PREFERENCES,
    Preferences,
    Sort,
    Wish,
    admits_tier,
    is_ignored,
    matches,
)
from tests.routing.market import quote

PERCENTILES = (50, 75, 90, 95, 99)
INTENT = RoutingIntent("oak", 100, 10, None)
CARD = quote("1", "1")


def seen(ttft_ms: float | None = None, gap_ms: float | None = None) -> Seen:
    """All of whose percentiles are the same."""
    times: dict[str, Any] = {f"ttft_ms_p{one}": ttft_ms for one in PERCENTILES}
    times |= {f"inter_token_ms_p{one}": gap_ms for one in PERCENTILES}
    return replace(UNSEEN, **times)


def candidate(
    provider: str,
    cost: int = 1,
    *,
    place: Place = Place.READY,
    seen: Seen = UNSEEN,
    tier: str | None = None,
) -> Candidate:
    listing = Listing(Offer(provider, "oak", service_tier=tier), CARD, seen)
    return Candidate(listing, INTENT, Money(cost), place)


def placed(one: Candidate, place: Place) -> Candidate:
    return msgspec.structs.replace(one, place=place)


def put(
    found: Sequence[Candidate], wanted: Preferences, tier: str | None = None
) -> Sequence[Candidate]:
    return arranged(found, wanted, service_tier=tier)


def order_of(found: Sequence[Candidate], wanted: Preferences, tier: str | None = None) -> str:
    return " ".join(one.listing.offer.provider for one in put(found, wanted, tier))


A, B, C = candidate("a", 1), candidate("b", 2), candidate("c", 3)


@pytest.mark.parametrize(
    ("preferences", "order"),
    [
        (NO_PREFERENCES, "a b c"),
        (Preferences(order=("c",)), "c a b"),
        (Preferences(order=("c", "nobody", "b")), "c b a"),
        (Preferences(order=("c", "b"), allow_fallbacks=False), "c b"),
        (Preferences(order=("nobody",), allow_fallbacks=False), ""),
        (Preferences(order=("c", "c/eu"), allow_fallbacks=False), "c"),
        (Preferences(allow_fallbacks=False), "a"),
        (Preferences(sort=Sort.PRICE), "a b c"),
        (Preferences(order=("b",), sort=Sort.PRICE), "b a c"),
    ],
)
def test_order_and_fallbacks(preferences: Preferences, order: str) -> None:
    """Who is named stands first, in the order of the names; without fallbacks nobody else."""
    assert order_of([A, B, C], preferences) == order


def test_sort() -> None:
    """By one number alone; where that is unknown an offer comes last, by cost."""
    found = [
        candidate("cheap", 1),
        candidate("slow", 2, seen=seen(900, 9)),
        candidate("quick", 3, seen=seen(100, 50)),
        candidate("dear", 4),
    ]
    assert order_of(found, Preferences(sort=Sort.LATENCY)) == "quick slow cheap dear"
    assert order_of(found, Preferences(sort=Sort.THROUGHPUT)) == "slow quick cheap dear"
    assert order_of(found[::-1], Preferences(sort=Sort.PRICE)) == "cheap slow quick dear"


def test_wishes() -> None:
    """Who keeps all of them, then who is not known, then who misses one; none is left out."""
    found = [
        candidate("late", 1, seen=seen(2000, 10)),
        candidate("new", 2),
        candidate("stutters", 3, seen=seen(100, 40)),
        candidate("good", 4, seen=seen(1000, 20)),
    ]
    wishes = Preferences(max_latency=(Wish(0.50, 1000),), min_throughput=(Wish(0.90, 50),))
    assert order_of(found, wishes) == "good new late stutters"
    by_price = replace(wishes, sort=Sort.PRICE)
    assert order_of(found, by_price) == "good new late stutters"
    ordered = replace(wishes, order=("late", "good"))
    assert order_of(found, ordered) == "late good new stutters"


@pytest.mark.parametrize("share", [0.50, 0.75, 0.90, 0.99])
def test_each_percentile_is_that_one(share: float) -> None:
    """A wish looks at its own percentile, neither at a lower one nor at a higher."""
    p = round(share * 100)
    just: dict[str, Any] = {f"ttft_ms_p{p}": 1000.0, f"inter_token_ms_p{p}": 20.0}
    not_quite: dict[str, Any] = {f"ttft_ms_p{p}": 1001.0, f"inter_token_ms_p{p}": 20.1}
    good, bad = replace(seen(5000, 500), **just), replace(seen(10, 1), **not_quite)
    found = [candidate("bad", 1, seen=bad), candidate("good", 2, seen=good)]
    for wishes in (
        Preferences(max_latency=(Wish(share, 1000),)),
        Preferences(min_throughput=(Wish(share, 50),)),
    ):
        assert order_of(found, wishes) == "good bad"


def test_who_says_nothing_of_the_order_has_no_candidate_made() -> None:
    """Those that are made when they are looked at are not looked at."""
    found = Candidates([0, 1], lambda _: pytest.fail("looked at"))
    assert put(found, Preferences(zdr=True, ignore=frozenset(("a",)))) is found


def test_models_one_after_the_other() -> None:
    """Those of the second model come after the first's, unless only they keep a wish, or the
    first's are out of order."""
    first = [candidate("a", 5, seen=seen(900)), candidate("b", 6, seen=seen(500))]
    second = [candidate("c", 1, seen=seen(700)), candidate("d", 2)]

    def put_both(wanted: Preferences, place: Place = Place.READY) -> str:
        found = [*(placed(one, place) for one in first), *second]
        order = arranged(found, wanted, model_ranks=[0, 0, 1, 1])
        return " ".join(one.listing.offer.provider for one in order)

    assert put_both(Preferences(sort=Sort.LATENCY)) == "b a c d"
    assert put_both(Preferences(sort=Sort.PRICE)) == "a b c d"
    assert put_both(Preferences(max_latency=(Wish(0.5, 700),))) == "b c d a"
    assert put_both(Preferences(order=("d", "b"))) == "b a d c"
    assert put_both(Preferences(allow_fallbacks=False)) == "a c"
    assert put_both(Preferences(sort=Sort.PRICE), Place.RESTING) == "c d a b"
    together = Preferences(sort=Sort.PRICE, by_model=False)
    assert put_both(together) == "c d a b"
    assert put_both(replace(together, allow_fallbacks=False)) == "c"


def test_a_fast_tier_comes_first_and_falls_back() -> None:
    """`service_tier: priority` prefers those offers, the fastest first, and takes others after."""
    found = [
        candidate("plain", 1, seen=seen(1, 1)),
        candidate("slow", 3, tier="priority", seen=seen(1, 9)),
        candidate("fast", 4, tier="fast", seen=seen(1, 5)),
    ]
    for name in ("priority", "fast"):
        assert order_of(found, NO_PREFERENCES, name) == "fast slow plain"
    assert order_of(found, Preferences(order=("plain",)), "fast") == "plain fast slow"
    assert order_of(found, NO_PREFERENCES, "flex") == "plain slow fast"


def test_what_rests_comes_last_whatever_is_asked() -> None:
    """An order says whom to prefer, not to wait for one that is out of order."""
    found = [placed(A, Place.RESTING), B, placed(C, Place.SLOW)]
    for preferences, order in (
        (Preferences(order=("a",)), "b c a"),
        (Preferences(order=("a", "c"), allow_fallbacks=False), "c a"),
        (Preferences(sort=Sort.PRICE), "b c a"),
        (Preferences(max_latency=(Wish(0.5, 1),)), "b c a"),
    ):
        assert order_of(found, preferences) == order


providers = st.sampled_from("abcd")
times = st.none() | st.sampled_from([10.0, 20.0, 1000.0])
wishes = st.lists(
    st.builds(Wish, st.sampled_from([0.50, 0.90]), st.sampled_from([15.0, 50.0])), max_size=2
).map(tuple)
some = st.lists(
    st.builds(
        candidate,
        providers,
        st.integers(1, 3),
        place=st.sampled_from(Place),
        seen=st.builds(seen, times, times),
    ),
    max_size=7,
)
preferred = st.builds(
    Preferences,
    order=st.lists(providers, max_size=3).map(tuple),
    allow_fallbacks=st.booleans(),
    sort=st.none() | st.sampled_from(Sort),
    max_latency=wishes,
    min_throughput=wishes,
)


def is_before(one: Candidate, other: Candidate, wanted: Preferences) -> bool | None:
    """The rules as they are told; None where they tell nothing."""

    def named(candidate: Candidate) -> int:
        provider = candidate.listing.offer.provider
        return wanted.order.index(provider) if provider in wanted.order else len(wanted.order)

    def missed(candidate: Candidate) -> int:
        now = candidate.listing.seen
        kept = [
            None if now.ttft_ms_p50 is None else now.ttft_ms_p50 <= wish.limit
            for wish in wanted.max_latency
        ] + [
            None if now.inter_token_ms_p50 is None else 1000 / now.inter_token_ms_p50 >= wish.limit
            for wish in wanted.min_throughput
        ]
        return 2 if False in kept else 1 if None in kept else 0

    def number(candidate: Candidate) -> float:
        now = candidate.listing.seen
        if wanted.sort is Sort.PRICE:
            return candidate.expected_cost
        ms = now.ttft_ms_p50 if wanted.sort is Sort.LATENCY else now.inter_token_ms_p50
        return 1e9 if ms is None else ms

    rules: list[Callable[[Candidate], float]] = [
        lambda one: one.place is Place.RESTING,
        named,
        missed,
    ]
    if wanted.sort is not None:
        rules.append(number)
    for rule in rules:
        if rule(one) != rule(other):
            return bool(rule(one) < rule(other))
    return None


@given(some, preferred)
def test_against_a_judge_of_pairs(found: list[Candidate], wanted: Preferences) -> None:
    """No two stand against the rules; where these say nothing they stand as they came; nobody is
    lost or made up, but where there are to be no fallbacks."""
    order = put(found, wanted)
    for at, one in enumerate(order):
        for other in order[at + 1 :]:
            before = is_before(one, other, wanted)
            if before is None:
                assert _at(found, one) < _at(found, other)
            else:
                assert before
    if wanted.allow_fallbacks:
        assert sorted(map(id, order)) == sorted(map(id, found))
    elif wanted.order:
        assert {id(one) for one in order} == {
            id(one) for one in found if one.listing.offer.provider in wanted.order
        }
    else:
        assert len(order) == min(1, len(found))


def _at(found: list[Candidate], one: Candidate) -> int:
    return next(at for at, other in enumerate(found) if other is one)


EU = Offer("acme", "m", region="eu", quantization="fp8")
FLEX = Offer("acme", "m", service_tier="flex")
FAST = Offer("acme", "m", service_tier="priority")


def test_names() -> None:
    """A bare name is the provider's offers of the usual tier; with a part, those that have it."""
    assert [matches("acme", one) for one in (EU, FLEX, FAST)] == [True, False, False]
    assert matches("acme", FLEX, with_tier=True)
    assert [matches("acme/eu", one) for one in (EU, FLEX)] == [True, False]
    assert matches("acme/fp8", EU)
    assert not matches("acme/us", EU)
    assert not matches("acm", EU)
    assert not matches("acme/", FLEX, with_tier=False)
    assert matches("acme/fast", FAST)
    assert matches("acme/priority", FAST)
    assert not matches("acme/fast", FLEX)
    for one in (EU, FLEX, FAST):
        assert is_ignored(one, Preferences(ignore=frozenset({"acme"})))
    assert is_ignored(FLEX, Preferences(ignore=frozenset({"acme/flex"})))
    assert not is_ignored(EU, Preferences(ignore=frozenset({"acme/flex"})))


def test_which_tiers_are_let_in() -> None:
    """By their name, by a pin, or by a model's suffix: never by a bare name."""
    for preferences in (
        Preferences(order=("acme/flex",)),
        Preferences(only=frozenset({"acme/flex"})),
        Preferences(tiers=frozenset({"flex"})),
        Preferences(offer_id=FLEX.id),
    ):
        assert admits_tier(FLEX, preferences)
        assert not admits_tier(FAST, preferences)
    assert not admits_tier(FLEX, Preferences(order=("acme",), only=frozenset({"acme"})))


def test_when_the_order_is_the_requests_own() -> None:
    """Then no load is spread."""
    for its_own, wanted, tier in (
        (True, Preferences(order=("a",)), None),
        (True, Preferences(sort=Sort.PRICE), None),
        (True, NO_PREFERENCES, "priority"),
        (False, NO_PREFERENCES, "flex"),
        (False, NO_PREFERENCES, None),
        (False, Preferences(max_latency=(Wish(0.5, 1),)), None),
        (False, Preferences(allow_fallbacks=False), None),
    ):
        assert replaces_cost(wanted, tier) is its_own

"""The order of a decision against brute force; nothing lost, nothing doubled, nothing by chance."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.offers import Offer, Task
from benchmarks.snapshot import Listing
from benchmarks.traffic.observations import UNSEEN
from ledger.usage import Unit
from routing.breaker import FAILURES_TO_OPEN, Breakers, Health
from routing.candidates import Candidate, Place
from routing.decision import RouteDecision
from routing.eligibility import refusal
from routing.explanation import explain, from_text, to_text
from routing.intent import RoutingIntent
from tests.routing.market import (
    AT_NS,
    LIMITS,
    MODEL,
    NOW_S,
    decided,
    intent,
    intents,
    listings,
    luck,
    quote,
    quote_per,
    snapshot,
)

draws = st.floats(0, 1, exclude_max=True)
troubles = st.dictionaries(st.integers(0, 7), st.sampled_from(["open", "half_open", "one failure"]))


def breakers_with(troubled: dict[int, str]) -> Breakers:
    breakers = Breakers()
    for number, trouble in troubled.items():
        failures = 1 if trouble == "one failure" else FAILURES_TO_OPEN
        failed_at_s = 0.0 if trouble == "half_open" else NOW_S
        for _ in range(failures):
            breakers.failed(f"p{number}/{MODEL}", failed_at_s)
    return breakers


def naive_cost(listing: Listing, wanted: RoutingIntent) -> int:
    assert listing.quote is not None
    card = listing.quote.rates
    for one in listing.quote.overrides:
        if wanted.prompt_tokens > one.above_prompt_tokens:
            card = one.rates
    exact = wanted.prompt_tokens * Fraction(card.input) + wanted.completion_tokens * Fraction(
        card.output
    )
    if card.per is not None:
        exact += wanted.units * Fraction(card.unit) * 10**6
    return math.ceil(exact * 1000 + Fraction(card.request) * 10**9)


def naive_place(listing: Listing, breakers: Breakers) -> Place:
    if breakers.health(listing.offer.id, NOW_S) is Health.OPEN:
        return Place.RESTING
    return Place.SLOW if listing.chances.on_time < 0.95 else Place.READY


def burden(one: Candidate, decision: RouteDecision) -> float:
    """Its cost, and what lateness is worth: as much as such a request usually costs."""
    late = 1 - one.listing.chances.on_time
    return one.expected_cost + late * decision.usual_cost


@settings(max_examples=200)
@given(listings(), intents, troubles, draws)
def test_the_order_against_brute_force(
    found: tuple[Listing, ...], wanted: RoutingIntent, troubled: dict[int, str], draw: float
) -> None:
    """Every offer is a candidate or refused, once; groups before costs; only ties are drawn."""
    breakers = breakers_with(troubled)
    decision = decided(wanted, snapshot(*found), breakers, draw)
    fit = [one for one in found if refusal(one, wanted, AT_NS) is None]
    assert sorted(id(one.listing) for one in decision.candidates) == sorted(map(id, fit))
    assert [one.offer for one in decision.refused] == [
        one.offer for one in found if refusal(one, wanted, AT_NS) is not None
    ]
    for one in decision.candidates:
        assert one.expected_cost == naive_cost(one.listing, wanted)
        assert one.place is naive_place(one.listing, breakers)
    if not fit:
        return
    rank = {Place.READY: 0, Place.SLOW: 1, Place.RESTING: 2}
    groups = [rank[one.place] for one in decision.candidates]
    assert groups == sorted(groups)
    for group in set(groups) - {rank[Place.RESTING]}:
        its = [one for one in decision.candidates if rank[one.place] == group]
        burdens = [burden(one, decision) for one in its]
        rest = burdens[1:] if group == groups[0] else burdens
        assert all(one <= two + 2 for one, two in pairwise(rest))  # nano-USD: costs are rounded up
        assert burdens[0] <= min(burdens) + LIMITS.spread * its[0].expected_cost + 2


@given(listings(), intents, troubles, draws)
def test_a_decision_is_a_value(
    found: tuple[Listing, ...], wanted: RoutingIntent, troubled: dict[int, str], draw: float
) -> None:
    """The same arguments give the same decision, and nothing that came in is changed by it."""
    market, breakers = snapshot(*found, version=7), breakers_with(troubled)
    before = [breakers.health(one.offer.id, NOW_S) for one in found]
    decision = decided(wanted, market, breakers, draw)
    assert explain(decided(wanted, market, breakers, draw)) == explain(decision)
    assert [breakers.health(one.offer.id, NOW_S) for one in found] == before
    assert market.models[MODEL] == found
    assert decision.snapshot_version == 7


def offers(**usd_per_mtok: str) -> list[Listing]:
    return [
        Listing(Offer(name, MODEL), quote(usd, usd), UNSEEN, luck())
        for name, usd in usd_per_mtok.items()
    ]


def firsts(found: list[Listing], breakers: Breakers | None = None) -> dict[str, int]:
    """Who stands first, over a thousand even draws."""
    counts: dict[str, int] = {}
    for number in range(1000):
        draw, market = number / 1000, snapshot(*found)
        decision = decided(intent(), market, breakers or Breakers(), draw)
        name = decision.candidates[0].listing.offer.provider
        counts[name] = counts.get(name, 0) + 1
    return counts


def test_near_ties_share_the_load() -> None:
    """Offers within two percent of the cheapest get even shares; one a little dearer gets none."""
    found = offers(dear="1.0201", tied="1.02", other="1.01", cheapest="1")
    counts = firsts(found)
    assert set(counts) == {"cheapest", "other", "tied"}
    assert all(abs(count - 1000 / 3) <= 1 for count in counts.values())


def test_a_tie_is_no_chain() -> None:
    """Ties are counted from the cheapest, not from neighbour to neighbour."""
    assert set(firsts(offers(a="1", b="1.015", c="1.03"))) == {"a", "b"}


def test_free_offers_tie_with_free_ones_only() -> None:
    """Two percent of nothing is nothing."""
    assert set(firsts(offers(a="0", b="0", c="0.000001"))) == {"a", "b"}


def test_load_is_spread_within_a_group_only() -> None:
    """A resting offer at the same price gets no share while another is ready."""
    breakers = Breakers()
    for _ in range(FAILURES_TO_OPEN):
        breakers.failed(f"a/{MODEL}", NOW_S)
    assert set(firsts(offers(a="1", b="1"), breakers)) == {"b"}


@pytest.mark.parametrize("draw", [0.0, 0.5, math.nextafter(1, 0)])
def test_groups_come_before_costs(draw: float) -> None:
    """A ready offer before a slow one before a resting one, however much cheaper those are."""
    ready, slow, resting = offers(ready="5", slow="1", resting="0.1")
    slow = Listing(slow.offer, slow.quote, UNSEEN, luck(on_time=0.949))
    breakers = Breakers()
    for _ in range(FAILURES_TO_OPEN):
        breakers.failed(resting.offer.id, NOW_S)
    decision = decided(intent(), snapshot(resting, slow, ready), breakers, draw)
    names = [one.listing.offer.provider for one in decision.candidates]
    assert names == ["ready", "slow", "resting"]


def test_of_those_that_rest_the_soonest_back_is_tried_first() -> None:
    """If all are resting the least bad is asked, however much dearer and whatever is drawn."""
    cheap, dear = offers(cheap="1", dear="9")
    breakers = Breakers()
    breakers.failed(cheap.offer.id, NOW_S, retry_after_s=8)
    breakers.failed(dear.offer.id, NOW_S, retry_after_s=2)
    for draw in (0.0, 0.5, 0.99):
        decision = decided(intent(), snapshot(cheap, dear), breakers, draw, now_s=NOW_S + 1)
        assert [one.listing for one in decision.candidates] == [dear, cheap]


def test_equal_offers_keep_the_operator_s_order() -> None:
    """Behind the first, offers of equal cost stand as they were listed."""
    found = offers(c="1", a="1", b="1", z="2")
    decision = decided(intent(), snapshot(*found), Breakers(), 0.0)
    assert [one.listing.offer.provider for one in decision.candidates] == ["c", "a", "b", "z"]


def test_the_size_of_the_request_decides() -> None:
    """The cheapest for a long prompt is not the cheapest for a long answer."""
    reader = Listing(Offer("reader", MODEL), quote("0.1", "10"), UNSEEN)
    writer = Listing(Offer("writer", MODEL), quote("5", "1"), UNSEEN)
    flat = Listing(Offer("flat", MODEL), quote("0", "0", request_usd="0.01"), UNSEEN)

    def first(prompt: int, completion: int) -> str:
        market = snapshot(reader, writer, flat)
        wanted = intent(prompt, completion)
        decision = decided(wanted, market, Breakers(), 0.0)
        return decision.candidates[0].listing.offer.provider

    assert first(10_000, 10) == "reader"
    assert first(10, 3_000) == "writer"
    assert first(100_000, 10_000) == "flat"


def test_units_decide_where_they_are_the_price() -> None:
    """By the second, by the token, or by both: whoever is the cheapest for so many of each."""
    by_second = Listing(Offer("seconds", MODEL), quote_per(Unit.SECOND, "0.0001"), UNSEEN)
    hearing = Offer("tokens", MODEL, tasks=frozenset({Task.TRANSCRIPTION}))
    by_token = Listing(hearing, quote("2.5", "10"), UNSEEN)

    def first(seconds: int, prompt: int, completion: int) -> tuple[str, int]:
        wanted = intent(prompt, completion, task=Task.TRANSCRIPTION, units=seconds)
        decision = decided(wanted, snapshot(by_second, by_token), Breakers(), 0.0)
        best = decision.candidates[0]
        return best.listing.offer.provider, best.expected_cost

    assert first(60, 600, 100) == ("tokens", 2_500_000)
    assert first(60, 3000, 100) == ("seconds", 6_000_000)


def test_a_model_that_is_not_for_sale() -> None:
    """A model name that the snapshot does not have is the caller's error, not an empty decision."""
    wanted = RoutingIntent("gpt-17", 1, 1, None)
    with pytest.raises(KeyError):
        decided(wanted, snapshot(), Breakers(), 0.0)


def decisions() -> st.SearchStrategy[RouteDecision]:
    return st.builds(
        lambda found, wanted, troubled, draw: decided(
            wanted, snapshot(*found), breakers_with(troubled), draw
        ),
        listings(),
        intents,
        troubles,
        draws,
    )


@given(decisions())
def test_an_explanation_can_be_kept_as_text(decision: RouteDecision) -> None:
    """Text and back is the same explanation: every offer, in order, with a reason each."""
    explained = from_text(to_text(decision))
    assert explained == explain(decision)
    assert [one.offer for one in explained.candidates] == [
        one.listing.offer.id for one in decision.candidates
    ]
    assert [one.offer for one in explained.refused] == [one.offer.id for one in decision.refused]
    assert all(one.why for one in (*explained.candidates, *explained.refused))
    assert all(one.expected_cost_nanos is None for one in explained.refused)


def test_explanations_that_were_kept_before_there_was_other_work() -> None:
    """What does not say which work it was about was about a chat."""
    wanted = intent(task=Task.IMAGE, units=3)
    kept = msgspec.json.decode(to_text(decided(wanted, snapshot(), Breakers(), 0.0)))
    assert (kept.pop("task"), kept.pop("units")) == ("image", 3)
    old = from_text(msgspec.json.encode(kept).decode())
    assert (old.task, old.units) == ("chat", 0)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"model": 1}', "no"])
def test_text_that_is_no_explanation(text: str) -> None:
    """What `to_text` did not write raises ValueError."""
    with pytest.raises(ValueError, match=r"."):
        from_text(text)

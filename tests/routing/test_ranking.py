"""What goes first beside cost: warm caches, owned capacity, quality, several models, exploring."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.offers import Offer
from benchmarks.quality import Quality
from benchmarks.quotes import Override, Quote, UtcHours
from benchmarks.snapshot import Listing, MarketSnapshot
from benchmarks.traffic.observations import UNSEEN
from ledger.bid_prices import BidPrice
from ledger.commitments import Commitment, CommitmentKind
from ledger.money import Money
from ledger.rates import RateCard
from ledger.usage import TokenUsage
from routing.candidates import Candidate, Candidates, First, Place
from routing.decide import Moment, Wanted, decide
from routing.decision import RouteDecision
from routing.eligibility import Reason
from routing.explanation import explain
from routing.limits import Floor, Limits
from routing.preferences import Preferences
from routing.ranking import EXPLORE_OFTEN
from routing.state import State
from tests.ledger.owned import FLAT, bid_price, commitment
from tests.routing.market import (
    AT,
    AT_NS,
    LIMITS,
    MODEL,
    NOW_S,
    decided,
    intent,
    listings,
    luck,
    quote,
    snapshot,
)


def offer(name: str, usd: str, **luck_: float) -> Listing:
    return Listing(Offer(name, MODEL), quote(usd, usd), UNSEEN, luck(**luck_))


def own(one: Commitment = FLAT, *, rate: int = 0, units_left: int | None = None) -> BidPrice:
    """A commitment's capacity at the moment of these decisions."""
    return bid_price(one, rate=rate, units_left=units_left, at_ns=AT_NS)


def names(decision: RouteDecision) -> list[str]:
    return [one.listing.offer.provider for one in decision.candidates]


# -- chances


def test_an_offer_that_often_fails_is_not_asked_first_for_a_little() -> None:
    """10% cheaper and failing half of the time is dearer, with what a missing answer is worth; half
    the price and failing once in fifty is not."""
    steady = offer("steady", "1")
    assert names(decided(intent(), snapshot(offer("cheap", "0.9", success=0.5), steady)))[0] == (
        "steady"
    )
    assert names(decided(intent(), snapshot(offer("cheap", "0.5", success=0.98), steady)))[0] == (
        "cheap"
    )


def test_what_a_miss_costs_is_the_operators_to_say() -> None:
    """The same two offers, and the other one first, as a miss is worth more."""
    market = snapshot(offer("late", "1", on_time=0.95), offer("swift", "1.05", on_time=1.0))
    for miss_cost, first in ((0.0, "late"), (10.0, "swift")):
        limits = replace(LIMITS, miss_cost=miss_cost)
        assert names(decided(intent(), market, limits=limits))[0] == first


def test_lateness_may_have_a_price_in_place_of_a_place() -> None:
    """An offer that is late one time in five comes last, or is a little dearer, as its operator
    says; one that is seldom in time comes last."""
    market = snapshot(offer("late", "1", on_time=0.8), offer("swift", "3"))
    late = snapshot(offer("late", "1", on_time=0.09), offer("swift", "30"))
    assert names(decided(intent(), late, limits=Limits(explore=0.0)))[0] == "swift"
    for late_last, first in ((True, "swift"), (False, "late")):
        limits = replace(LIMITS, late_last=late_last)
        assert names(decided(intent(), market, limits=limits))[0] == first


@pytest.mark.parametrize("attempts", [1, 2, 3, 20])
def test_ties_share_the_load_however_many_attempts_there_are(attempts: int) -> None:
    """Six equal offers get even shares, and one that is dearer none."""
    found = [*(offer(name, "1") for name in "abcdef"), offer("dear", "1.1")]
    limits, counts = replace(LIMITS, attempts=attempts), dict[str, int]()
    for number in range(600):
        decision = decided(intent(), snapshot(*found), draw=number / 600, limits=limits)
        counts[names(decision)[0]] = counts.get(names(decision)[0], 0) + 1
    assert counts == dict.fromkeys("abcdef", 100)


# -- caches


def cached(name: str, usd: str, cache_read: str) -> Listing:
    card = RateCard.of(Decimal(usd), Decimal(usd), Decimal(cache_read))
    return Listing(Offer(name, MODEL), Quote(card, card, (), "test", AT), UNSEEN, luck())


def test_a_conversation_stays_where_its_prompt_is_warm_while_that_is_cheaper() -> None:
    """A warm cache is worth what it saves, and no more: the same offer loses to one that is cheaper
    still, and without a discount on cached tokens nothing is gained."""
    warm, cold = cached("warm", "1", "0.1"), cached("cold", "0.8", "0.08")
    wanted = intent(10_000, 100)
    its = {warm.offer.id: 9000}
    assert names(decided(wanted, snapshot(warm, cold)))[0] == "cold"
    decision = decided(wanted, snapshot(warm, cold), warm=its)
    assert names(decision)[0] == "warm"
    assert decision.candidates[0].cached_tokens == 9000
    assert decision.candidates[0].expected_cost == 1_000_000 + 9000 * 100 + 100 * 1000
    bargain = cached("bargain", "0.1", "0.1")
    assert names(decided(wanted, snapshot(warm, bargain), warm=its))[0] == "bargain"
    no_discount = cached("warm", "1", "1")
    assert names(decided(wanted, snapshot(no_discount, cold), warm=its))[0] == "cold"


def test_what_caches_leave_of_a_price_counts() -> None:
    """An offer at which answers cost half of its list price beats one that lists at 60% of it; what
    the same work would have cost elsewhere is still told by the list."""
    often_cached = replace(offer("cached", "1"), price_ratio=0.5)
    decision = decided(intent(), snapshot(often_cached, offer("cheap", "0.6")))
    assert names(decision)[0] == "cached"
    assert decision.candidates[0].expected_cost == 550_000
    assert decision.cheapest(TokenUsage(1000, 100)) == 660_000


# -- capacity that is ours


@pytest.mark.parametrize(
    ("bid_nanos", "units_left", "first"),
    [(0, 5000, "owned"), (500, 5000, "owned"), (2000, 5000, "market"), (0, 1099, "market")],
)
def test_owned_capacity_enters_at_its_own(bid_nanos: int, units_left: int, first: str) -> None:
    """It is used where the market is dearer than what it is worth to later requests, and as far as
    it reaches; without a bid price it costs nothing."""
    owned, market = offer("owned", "9"), offer("market", "1")
    bid = own(rate=bid_nanos * 1_000_000, units_left=units_left)
    state = State(owned={owned.offer.id: (bid,)})
    decision = decided(intent(1000, 100), snapshot(owned, market), state=state)
    assert names(decision)[0] == first
    one = next(one for one in decision.candidates if one.listing is owned)
    assert one.is_owned is (units_left >= 1100)
    if one.is_owned:
        assert one.expected_cost == 1100 * bid_nanos
    assert one.undrawn.expected_cost == 1100 * 9000
    assert not one.undrawn.is_owned


@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.booleans()), max_size=4),
    st.integers(0, 20_000),
    st.none() | st.integers(0, 20_000),
)
def test_the_cheapest_way_to_pay_one_offer(
    bids: list[tuple[int, bool]], price: int, overage: int | None
) -> None:
    """Of several commitments on an offer the one of the lowest bid price is drawn, at the same
    price the first; none where paying as one goes is cheaper than what it is worth to others, and
    what is not left is not drawn. A contract that bills overage leaves no such choice."""
    rates = [rate * 1_000_000 for rate, _ in bids]
    its = [
        own(commitment(id=f"c{at}"), rate=rate, units_left=1100 if fits else 1099)
        for at, (rate, (_, fits)) in enumerate(zip(rates, bids, strict=True))
    ]
    fitting = [(rate, f"c{at}") for at, (rate, fits) in enumerate(bids) if fits]
    cost, drawn = price, None
    if overage is not None:
        bills = commitment(id="billed", overage_rate=Money(overage * 1_000_000))
        its.insert(0, own(bills, units_left=0))
        cost, drawn = overage, "billed"
    if fitting and min(fitting)[0] <= cost:
        cost, drawn = min(fitting)
    one = offer("owned", str(Decimal(price) / 1000))
    state = State(owned={one.offer.id: tuple(its)})
    (only,) = decided(intent(1000, 100), snapshot(one), state=state).candidates
    assert only.expected_cost == 1100 * cost
    assert (None if only.draw is None else only.draw.bid.commitment.id) == drawn
    assert only.is_owned is (drawn not in (None, "billed"))
    # When nothing is left of one, the next: each at its price, and what is billed at last.
    billed = price if overage is None else overage
    costs = sorted(rate for rate, _ in fitting if rate <= billed)
    while only.is_owned:
        assert only.expected_cost == 1100 * costs.pop(0)
        assert only.billed_cost == 1100 * billed
        only = only.undrawn
    assert costs == []
    assert only.expected_cost == only.billed_cost == 1100 * billed


def test_what_is_cached_takes_fewer_units() -> None:
    """Tokens that are likely in a cache count as the contract counts them."""
    one = offer("owned", "9")
    half = commitment(micro_units_per_cached=100_000, micro_units_per_completion=4_000_000)
    state = State(owned={one.offer.id: (own(half, rate=10**9),)})
    (only,) = decided(
        intent(1000, 100), snapshot(one), state=state, warm={one.offer.id: 600}
    ).candidates
    assert only.expected_cost == (400 + 60 + 400) * 1000


def test_a_new_minute_is_whole_again() -> None:
    """What was left of the last minute says nothing of this one."""
    minute = commitment(kind=CommitmentKind.THROUGHPUT, capacity_units=2000)
    bid = own(minute, units_left=10)
    one = offer("owned", "9")
    state = State(owned={one.offer.id: (bid,)})
    for at_ns, is_owned in ((bid.allowance.until_ns - 1, False), (bid.allowance.until_ns, True)):
        decision = decided(intent(1000, 100), snapshot(one), state=state, at_ns=at_ns)
        assert decision.candidates[0].is_owned is is_owned


# -- quality


def measured(listing: Listing, score: float, low: float) -> Listing:
    known = Quality("ours", score, low, 1.0, 100, AT, "test")
    return replace(listing, quality={"ours": known})


def test_a_quality_floor_is_on_what_is_certain() -> None:
    """The lower end of the interval counts, not the score; what nobody has measured comes last, for
    it may be good; and a threshold that wants the cheapest does not lift the floor."""
    limits = replace(LIMITS, quality=Floor("ours", 0.70))
    good = measured(offer("good", "3"), 0.8, 0.70)
    unsure = measured(offer("unsure", "1"), 0.9, 0.69)
    unknown = offer("unknown", "2")
    for each in (limits, limits.cheapest()):
        decision = decided(intent(), snapshot(unsure, unknown, good), limits=each)
        assert names(decision) == ["good", "unknown"]
        assert decision.candidates[1].place is Place.UNPROVEN
        (refused,) = decision.refused
        assert (refused.offer, refused.reason) == (unsure.offer, Reason.TOO_LOW_QUALITY)
        assert "0.690" in refused.why


def test_an_offer_below_the_floor_can_be_measured_again() -> None:
    """Evals and probes ask for it by name: what it was measured at does not bar it for ever."""
    limits = replace(LIMITS, quality=Floor("ours", 0.70))
    bad, good = measured(offer("bad", "1"), 0.2, 0.1), measured(offer("good", "3"), 0.8, 0.7)
    pinned = replace(intent(), preferences=Preferences(offer_id=bad.offer.id))
    assert names(decided(pinned, snapshot(bad, good), limits=limits)) == ["bad"]


# -- several models


def market_of(**models: list[Listing]) -> MarketSnapshot:
    return MarketSnapshot(
        1, AT, MappingProxyType({name: tuple(each) for name, each in models.items()})
    )


def wanted(model: str, limits: Limits = LIMITS) -> Wanted:
    return Wanted(replace(intent(), model=model), limits)


def among(market: MarketSnapshot, *groups: list[str], draw: float = 0.0) -> RouteDecision:
    models = [[wanted(name) for name in group] for group in groups]
    return decide(models, market, State(), Moment(AT_NS, NOW_S, draw))


def test_models_of_a_class_compete_and_models_in_an_order_do_not() -> None:
    """In one group the best of all come first; in groups, all of one come before the next."""
    market = market_of(a=[offer("p", "3"), offer("q", "1")], b=[offer("r", "2"), offer("s", "4")])
    assert names(among(market, ["a", "b"])) == ["q", "r", "p", "s"]
    assert names(among(market, ["a"], ["b"])) == ["q", "p", "r", "s"]
    assert names(among(market, ["b"], ["a"])) == ["r", "s", "q", "p"]
    decision = among(market, ["b", "a"])
    assert [one.intent.model for one in decision.candidates] == ["a", "b", "a", "b"]
    assert decision.first_listed is market.models["b"][0]


def test_a_model_without_any_offer_leaves_it_to_the_others() -> None:
    """Of several models one that nobody can serve is no reason to refuse the request."""
    unpriced = Listing(Offer("x", MODEL), None, UNSEEN)
    market = market_of(a=[unpriced], b=[offer("r", "2")])
    for groups in ((["a", "b"],), (["a"], ["b"])):
        decision = among(market, *groups)
        assert names(decision) == ["r"]
        assert [one.reason for one in decision.refused] == [Reason.NO_PRICE]


# -- exploring

EXPLORING = Limits(explore=0.01)
ALWAYS = 1 - EXPLORE_OFTEN / 2
"""A draw that explores, if there is anything to explore."""


def explores(market: MarketSnapshot, left_nanos: float, draw: float = ALWAYS) -> RouteDecision:
    state = State()
    state.purse.left = left_nanos
    return decided(intent(), market, draw=draw, limits=EXPLORING, state=state)


def test_what_could_be_the_best_is_tried_now_and_then() -> None:
    """An offer that is cheaper but thought to be slow, and not known well, gets some requests; it
    is named as tried, with what that is expected to cost."""
    known = offer("known", "1", weight=100.0)
    unsure = offer("unsure", "0.6", on_time=0.05, weight=3.0)
    market = snapshot(known, unsure)
    assert names(explores(market, 1e9, draw=0.5))[0] == "known"
    decision = explores(market, 1e9)
    assert (names(decision)[0], decision.first) == ("unsure", First.EXPLORED)
    assert decision.exploring_cost > 0
    assert names(explores(market, decision.exploring_cost - 1.0))[0] == "known"


def test_what_is_known_well_or_could_not_win_is_not_tried() -> None:
    """Money for exploring is not spent on what cannot change a decision."""
    known = offer("known", "1")
    for other in (
        offer("sure", "0.6", on_time=0.09, weight=50.0),
        offer("dear", "1.2", weight=0.0),
    ):
        assert names(explores(snapshot(known, other), 1e12))[0] == "known"


@given(
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=300),
    st.floats(0.1, 0.99),
    st.floats(0.1, 0.99),
)
def test_exploring_never_costs_more_than_its_share(
    draws: list[float], usd: float, success: float
) -> None:
    """Over any requests and draws, what exploring is expected to cost stays within 1% of what the
    requests cost."""
    market = snapshot(
        offer("known", "1"), offer("unsure", f"{usd:.3f}", on_time=success, weight=1.0)
    )
    state = State()
    spent = explored = 0
    for draw in draws:
        decision = decided(intent(), market, draw=draw, limits=EXPLORING, state=state)
        cost = decision.candidates[0].expected_cost
        state.purse.spend(decision.exploring_cost)
        state.purse.earn(EXPLORING.explore, cost)
        spent += cost
        explored += decision.exploring_cost
    assert explored <= 0.01 * spent + 1


def test_nothing_is_explored_where_only_money_counts() -> None:
    """A budget that runs out neither explores nor spreads load."""
    market = snapshot(offer("a", "1"), offer("b", "1"), offer("c", "0.999", success=0.9, weight=0))
    for number in range(100):
        state = State()
        state.purse.left = 1e12
        limits = EXPLORING.cheapest()
        decision = decided(intent(), market, draw=number / 100, limits=limits, state=state)
        assert decision.first is First.VALUE
        assert decision.exploring_cost == 0


# -- tables


def test_a_table_is_made_anew_when_its_time_is_over() -> None:
    """An offer that ends comes last from that moment on, and a price that lapses is refused, though
    the market's listings are the very same."""
    ends = datetime.fromtimestamp(AT_NS / 1e9 + 60, UTC)
    ending = Listing(Offer("ending", MODEL, ends_at=ends), quote("1", "1"), UNSEEN, luck())
    lapsing = replace(offer("lapsing", "2"), quote=replace(quote("2", "2"), valid_until=ends))
    market, state = snapshot(ending, lapsing, offer("lasting", "3")), State()

    def at(seconds: int) -> RouteDecision:
        moment = Moment(AT_NS + seconds * 10**9, NOW_S)
        return decide([[Wanted(intent(), LIMITS)]], market, state, moment)

    assert names(at(0)) == names(at(59)) == ["ending", "lapsing", "lasting"]
    assert names(at(60)) == ["lasting", "ending"]
    assert at(60).candidates[1].place is Place.ENDED
    assert [one.reason for one in at(60).refused] == [Reason.PRICE_LAPSED]


@given(
    st.lists(
        st.tuples(st.integers(1, 5000), st.none() | st.integers(1, 700), st.integers(0, 1439)),
        min_size=1,
        max_size=20,
    ),
    st.data(),
)
def test_tables_remember_nothing_of_other_requests(
    asked: list[tuple[int, int | None, int]], data: st.DataObject
) -> None:
    """A router that has decided many requests of other sizes and hours decides the next as a new
    one does."""
    found = data.draw(listings())
    night = Override(RateCard.of(Decimal("0.01"), Decimal("0.02")), 0, UtcHours(1320, 360))
    found = tuple(
        replace(one, quote=replace(one.quote, overrides=(*one.quote.overrides, night)))
        if one.quote is not None and at % 2
        else one
        for at, one in enumerate(found)
    )
    market, used = snapshot(*found), State()
    for prompt, most, minute in asked:
        moment = Moment(AT_NS + minute * 60 * 10**9, NOW_S)
        its = [[Wanted(intent(prompt, 10, longest=most), LIMITS)]]
        assert explain(decide(its, market, used, moment)) == explain(
            decide(its, market, State(), moment)
        )


def test_candidates_are_made_when_they_are_looked_at() -> None:
    """Most requests need the first alone; each is made once, and is the very same afterwards."""
    made: list[int] = []
    decision = decided(intent(), snapshot(offer("a", "1"), offer("b", "2"), offer("c", "3")))

    def make(at: int) -> Candidate:
        made.append(at)
        return decision.candidates[at]

    found = Candidates(range(3), make)
    assert found[0] is found[0]
    assert made == [0]
    assert [one.listing.offer.provider for one in found] == ["a", "b", "c"]
    assert found[-1] is found[2]
    assert made == [0, 1, 2]

"""A model's offers prepared for many decisions: the prices are those of the moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.offers import Offer
from benchmarks.quotes import DAY_MINUTES, Override, Quote, UtcHours
from benchmarks.snapshot import Listing
from benchmarks.traffic.observations import UNSEEN
from ledger.rates import RateCard
from routing.limits import Limits
from routing.table import Table
from tests.routing.market import AT, AT_NS, MODEL, intent

MINUTE_NS = 60 * 10**9
edges = st.sampled_from([0, 1, 60, 719, 720, 1380, 1439])
hours = (
    st.tuples(
        edges,
        edges | st.just(DAY_MINUTES),
        st.none() | st.frozensets(st.integers(1, 7), min_size=1),
    )
    .filter(lambda one: one[0] != one[1])
    .map(lambda one: UtcHours(*one))
)
cards = st.builds(RateCard.of, st.integers(1, 99).map(Decimal), st.integers(1, 99).map(Decimal))
overrides = st.builds(Override, cards, st.sampled_from([0, 100, 200]), st.none() | hours)
quotes = st.builds(
    lambda rates, found: Quote(rates, None, tuple(found), "test", AT),
    cards,
    st.lists(overrides, max_size=3),
)
MOMENTS = [
    (prompt, AT_NS + (day * DAY_MINUTES + minute) * MINUTE_NS)
    for minute in (0, 59, 60, 719, 720, 1000, 1380, 1439)
    for day in range(7)
    for prompt in (1, 101, 201)
]


@given(st.lists(quotes, min_size=1, max_size=3))
def test_prices_are_those_of_the_moment(found: list[Quote]) -> None:
    """Whatever was asked of the table before: of short and long prompts, all over a week."""
    listings = tuple(
        Listing(Offer(f"p{at}", MODEL), quote, UNSEEN) for at, quote in enumerate(found)
    )
    table = Table(listings, Limits(), AT_NS)
    for prompt, at_ns in MOMENTS:
        inputs = table.field(intent(prompt), at_ns).rates(prompt, at_ns).rows[0]
        assert list(inputs) == [1000 * one.card(prompt, at_ns).input for one in found]


def test_what_is_kept_for_an_hour_is_another_kind_of_request() -> None:
    """Who can serve the one says nothing of the other."""
    card = RateCard.of(Decimal(1), Decimal(2))
    priced = replace(card, cache_write_1h=Decimal(2))
    listings = tuple(
        Listing(Offer(name, MODEL), Quote(one, None, (), "test", AT), UNSEEN)
        for name, one in (("short", card), ("long", priced))
    )
    table = Table(listings, Limits(), AT_NS)
    long = replace(intent(), long_cache=True)
    for wanted, names in ((intent(), ["short", "long"]), (long, ["long"])):
        able = table.field(wanted, AT_NS).listings
        assert [one.offer.provider for one in able] == names


def test_it_is_made_anew_at_the_moment_that_a_price_ends() -> None:
    """To the fraction of a second: until then it may be asked, and from then on nobody can pay."""
    quote = Quote(RateCard.of(Decimal(1), Decimal(2)), None, (), "test", AT)
    ends = replace(quote, valid_until=AT + timedelta(milliseconds=500))
    table = Table((Listing(Offer("a", MODEL), ends, UNSEEN),), Limits(), AT_NS + 200_000_000)
    assert table.until_ns == AT_NS + 500_000_000

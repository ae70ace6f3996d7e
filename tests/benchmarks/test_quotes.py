"""Quotes: which card a request pays, and the most it can pay."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.offers import Offer, Task
from benchmarks.quotes import LongContext, Quote
from ledger.money import Money, usd
from ledger.rates import RateCard
from ledger.usage import TokenUsage, Unit

AT = datetime(2026, 3, 14, tzinfo=UTC)
prices = st.decimals(0, 100, places=3)
cards = st.builds(RateCard.of, prices, prices, st.none() | prices, st.none() | prices) | st.builds(
    RateCard.of,
    prices,
    prices,
    unit=st.decimals("0.001", 10, places=3),
    per=st.sampled_from(Unit),
)
counts = st.integers(0, 5000)


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    """A card and up to three thresholds, which may be dearer or cheaper."""
    above = sorted(draw(st.sets(st.integers(0, 4000), max_size=3)))
    return Quote(
        draw(cards), None, tuple(LongContext(one, draw(cards)) for one in above), "test", AT
    )


def card(price: str) -> RateCard:
    return RateCard.of(Decimal(price), Decimal(price))


TIERED = Quote(
    card("1"), None, (LongContext(200, card("2")), LongContext(500, card("4"))), "test", AT
)


@pytest.mark.parametrize(
    ("prompt", "price"),
    [(0, 1), (200, 1), (201, 2), (500, 2), (501, 4), (10**9, 4)],
)
def test_a_long_prompt_has_its_own_prices(prompt: int, price: int) -> None:
    """The whole request pays the prices of its threshold, from the first token above it."""
    assert TIERED.card(prompt) == card(str(price))


@given(quotes(), counts, counts, counts, counts, counts)
def test_the_worst_case_covers_both_sides_of_a_threshold(
    quote: Quote, prompt: int, completion: int, bound_in: int, bound_out: int, units: int
) -> None:
    """No request within the bounds costs more, wherever its prompt turns out to end."""
    prompt, completion = min(prompt, bound_in), min(completion, bound_out)
    for usage in (
        TokenUsage(prompt, completion, units=units),
        TokenUsage(prompt, completion, cached=prompt, units=units),
        TokenUsage(prompt, completion, cache_write=prompt, units=units // 2),
    ):
        assert quote.card(prompt).charge(usage) <= quote.worst_case(bound_in, bound_out, units)


@given(quotes(), st.integers(0, usd("1")), counts, st.integers(0, 100))
def test_the_affordable_completion_fits_and_the_next_does_not(
    quote: Quote, left: int, prompt: int, units: int
) -> None:
    """It is the largest whose worst case fits, over all thresholds; none if nothing fits."""
    most = quote.affordable_completion(Money(left), prompt, units)
    if quote.worst_case(prompt, 0, units) > left:
        assert most == 0
    else:
        assert quote.worst_case(prompt, most, units) <= left
        assert most == 2**31 - 1 or quote.worst_case(prompt, most + 1, units) > left


@given(quotes(), st.integers(0, 9000), counts, st.none() | counts)
def test_what_the_same_work_would_have_cost(
    quote: Quote, prompt: int, completion: int, units: int | None
) -> None:
    """The charge at this quote; None, and not 0, where the work was not counted in its units."""
    usage = TokenUsage(prompt, completion, units=units)
    card = quote.card(prompt)
    would = quote.would_cost(usage)
    assert would == (None if card.per is not None and units is None else card.charge(usage))


def test_work_counted_in_units_alone_has_no_price_in_tokens() -> None:
    """A minute of audio of which nobody counted the tokens is not free where tokens are sold."""
    by_the_second = RateCard.of(Decimal(0), Decimal(0), unit=Decimal("0.0001"), per=Unit.SECOND)
    minute = TokenUsage(None, None, units=60)
    assert replace(TIERED, rates=by_the_second).would_cost(minute) == 6_000_000
    assert TIERED.would_cost(minute) is None


@given(quotes(), quotes(), st.integers(0, 9000))
def test_batches_have_prices_of_their_own(quote: Quote, batch: Quote, prompt: int) -> None:
    """Where batch prices are known they are a quote, thresholds and all; else there is none."""
    assert quote.in_batches() is None
    both = replace(quote, batch_rates=batch.rates, batch_long_context=batch.long_context)
    found = both.in_batches()
    assert found is not None
    assert found.card(prompt) == found.list_card(prompt) == batch.card(prompt)
    assert (both.card(prompt), both.source) == (quote.card(prompt), found.source)
    assert found.in_batches() is None


def test_an_operator_s_price_is_compared_with_the_public_one() -> None:
    """The list price is the public one where an operator named his own, and ours if none is known.

    Above a threshold the quote's own prices are the public ones. So they are where the public ones
    are by another unit: an image has no price in tokens that nobody counted.
    """
    own = Quote(card("1"), card("3"), (), "configuration", AT)
    assert own.list_card(100) == card("3")
    assert replace(own, list_rates=None).list_card(100) == card("1")
    by_image = RateCard.of(Decimal(0), Decimal(0), unit=Decimal("0.04"), per=Unit.IMAGE)
    assert replace(own, rates=by_image).list_card(100) == by_image
    assert replace(own, list_rates=by_image).list_card(100) == card("1")
    assert replace(TIERED, list_rates=card("1")).list_card(300) == card("2")
    with_tokens = RateCard.of(Decimal(5), Decimal(5), unit=Decimal("0.09"), per=Unit.IMAGE)
    uncounted = TokenUsage(None, None, units=1)
    assert replace(own, rates=by_image, list_rates=with_tokens).listed(uncounted) == 40_000_000


def test_offers_of_one_model_are_told_apart() -> None:
    """The id of an offer is its provider and model, and whatever else makes it another offer."""
    plain = Offer("acme", "llama")
    twins = [plain, replace(plain, region="eu"), replace(plain, quantization="fp8")]
    assert plain.id == "acme/llama"
    assert len({one.id for one in twins}) == 3
    assert replace(plain, context_tokens=5, tasks=frozenset({Task.CHAT})).id == plain.id

"""Quotes: which card a request pays, and the most it can pay."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.offers import Offer, Task
from benchmarks.quotes import DAY_MINUTES, Override, Quote, UtcHours
from ledger.errors import NotAPrice
from ledger.money import Money, usd
from ledger.rates import RateCard
from ledger.usage import TokenUsage, Unit

AT = datetime(2026, 3, 14, tzinfo=UTC)
AT_NS = int(AT.timestamp()) * 10**9
MINUTE_NS = 60 * 10**9
prices = st.decimals(0, 100, places=3)
cards = st.builds(RateCard.of, prices, prices, st.none() | prices, st.none() | prices) | st.builds(
    RateCard.of,
    prices,
    prices,
    unit=st.decimals("0.001", 10, places=3),
    per=st.sampled_from(Unit),
)
counts = st.integers(0, 5000)


moments = st.integers(0, 8 * DAY_MINUTES * 60 - 1).map(lambda second: AT_NS + second * 10**9)
weekdays = st.none() | st.frozensets(st.integers(1, 7), min_size=1)
hours = (
    st.tuples(st.integers(0, DAY_MINUTES - 1), st.integers(0, DAY_MINUTES), weekdays)
    .filter(lambda one: one[0] != one[1])
    .map(lambda one: UtcHours(*one))
)
overrides = st.builds(Override, cards, st.just(0) | st.integers(1, 4000), st.none() | hours)


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    """A card and up to three others, by threshold and time, which may be dearer or cheaper."""
    others = draw(st.lists(overrides, max_size=3))
    return Quote(draw(cards), None, tuple(others), "test", AT)


def card(price: str) -> RateCard:
    return RateCard.of(Decimal(price), Decimal(price))


TIERED = Quote(card("1"), None, (Override(card("2"), 200), Override(card("4"), 500)), "test", AT)


@pytest.mark.parametrize(
    ("prompt", "price"),
    [(0, 1), (200, 1), (201, 2), (500, 2), (501, 4), (10**9, 4)],
)
def test_a_long_prompt_has_its_own_prices(prompt: int, price: int) -> None:
    """The whole request pays the prices of its threshold, from the first token above it."""
    assert TIERED.card(prompt, AT_NS) == card(str(price))


@given(hours, moments)
def test_hours_are_half_open_and_go_over_midnight(part: UtcHours, at_ns: int) -> None:
    """A moment is in them if it comes, from their start on a day or on the day before, if that is
    one of theirs, before their end."""
    at = datetime.fromtimestamp(at_ns // 10**9, UTC)
    midnight = at.replace(hour=0, minute=0, second=0)
    long = timedelta(minutes=(part.end_minute - part.start_minute) % DAY_MINUTES or DAY_MINUTES)
    starts = [
        day + timedelta(minutes=part.start_minute)
        for day in (midnight, midnight - timedelta(days=1))
        if part.weekdays is None or day.isoweekday() in part.weekdays
    ]
    assert part.has(at_ns) == any(start <= at < start + long for start in starts)


def test_off_peak_prices_begin_and_end_on_the_nanosecond() -> None:
    """DeepSeek's, as it had them: half price from 16:30 until 00:30 UTC."""
    off_peak = Override(card("0.5"), hours=UtcHours(16 * 60 + 30, 30))
    quote = Quote(card("1"), None, (off_peak,), "test", AT)
    for minute, usual, special in ((16 * 60 + 30, "1", "0.5"), (24 * 60 + 30, "0.5", "1")):
        at_ns = AT_NS + minute * MINUTE_NS
        assert quote.card(0, at_ns - 1) == card(usual)
        assert quote.card(0, at_ns) == card(special)


@pytest.mark.parametrize("part", [(-1, 5), (1440, 5), (5, 5), (0, 1441), (0, 0)])
def test_no_part_of_a_day(part: tuple[int, int]) -> None:
    """Minutes that no day has, and hours that might be none of it or all."""
    with pytest.raises(NotAPrice, match="no part of a day"):
        UtcHours(*part)
    for days in ({0, 7}, {8}, set[int]()):
        with pytest.raises(NotAPrice, match="weekdays"):
            UtcHours(1, 2, frozenset(days))


@given(quotes(), st.integers(0, 9000), moments)
def test_the_last_override_that_holds_counts(quote: Quote, prompt: int, at_ns: int) -> None:
    """By size, by time, or by both; the usual prices where none does."""
    found = [quote.rates]
    for one in quote.overrides:
        is_long = one.above_prompt_tokens == 0 or prompt > one.above_prompt_tokens
        if is_long and (one.hours is None or one.hours.has(at_ns)):
            found.append(one.rates)
    assert quote.card(prompt, at_ns) is found[-1]
    assert found[-1] in quote.cards


def test_a_price_that_has_lapsed_is_none() -> None:
    """From the very moment on that it names; a price without one stays."""
    until = replace(TIERED, valid_until=AT)
    assert [until.has_lapsed(one) for one in (AT_NS - 10**9, AT_NS, AT_NS + 1)] == [0, 1, 1]
    assert not TIERED.has_lapsed(2**62)


@given(quotes(), moments, counts, counts, counts, counts, counts)
def test_the_worst_case_covers_all_thresholds_and_times(
    quote: Quote,
    at_ns: int,
    prompt: int,
    completion: int,
    bound_in: int,
    bound_out: int,
    units: int,
) -> None:
    """No request within the bounds costs more, wherever its prompt turns out to end, whenever."""
    prompt, completion = min(prompt, bound_in), min(completion, bound_out)
    for usage in (
        TokenUsage(prompt, completion, units=units),
        TokenUsage(prompt, completion, cached=prompt, units=units),
        TokenUsage(prompt, completion, cache_write=prompt, units=units // 2),
    ):
        cost = quote.card(prompt, at_ns).charge(usage)
        assert cost <= quote.worst_case(bound_in, bound_out, units)


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


@given(quotes(), moments, st.integers(0, 9000), counts, st.none() | counts)
def test_what_the_same_work_would_have_cost(
    quote: Quote, at_ns: int, prompt: int, completion: int, units: int | None
) -> None:
    """The charge at this quote; None, and not 0, where the work was not counted in its units."""
    usage = TokenUsage(prompt, completion, units=units)
    card = quote.card(prompt, at_ns)
    would = quote.would_cost(usage, at_ns)
    assert would == (None if card.per is not None and units is None else card.charge(usage))


def test_work_counted_in_units_alone_has_no_price_in_tokens() -> None:
    """A minute of audio of which nobody counted the tokens is not free where tokens are sold."""
    by_the_second = RateCard.of(Decimal(0), Decimal(0), unit=Decimal("0.0001"), per=Unit.SECOND)
    minute = TokenUsage(None, None, units=60)
    assert replace(TIERED, rates=by_the_second).would_cost(minute, AT_NS) == 6_000_000
    assert TIERED.would_cost(minute, AT_NS) is None


@given(quotes(), quotes(), st.integers(0, 9000), moments)
def test_batches_have_prices_of_their_own(
    quote: Quote, batch: Quote, prompt: int, at_ns: int
) -> None:
    """Where batch prices are known they are a quote, thresholds and all; else there is none."""
    assert quote.in_batches() is None
    both = replace(quote, batch_rates=batch.rates, batch_overrides=batch.overrides, valid_until=AT)
    found = both.in_batches()
    assert found is not None
    assert found.card(prompt, at_ns) == found.list_card(prompt, at_ns) == batch.card(prompt, at_ns)
    assert (both.card(prompt, at_ns), both.source) == (quote.card(prompt, at_ns), found.source)
    assert found.valid_until == AT
    assert found.in_batches() is None


def test_an_operator_s_price_is_compared_with_the_public_one() -> None:
    """The list price is the public one where an operator named his own, and ours if none is known.

    Above a threshold the quote's own prices are the public ones. So they are where the public ones
    are by another unit: an image has no price in tokens that nobody counted.
    """
    own = Quote(card("1"), card("3"), (), "configuration", AT)
    assert own.list_card(100, AT_NS) == card("3")
    assert replace(own, list_rates=None).list_card(100, AT_NS) == card("1")
    by_image = RateCard.of(Decimal(0), Decimal(0), unit=Decimal("0.04"), per=Unit.IMAGE)
    assert replace(own, rates=by_image).list_card(100, AT_NS) == by_image
    assert replace(own, list_rates=by_image).list_card(100, AT_NS) == card("1")
    assert replace(TIERED, list_rates=card("1")).list_card(300, AT_NS) == card("2")
    with_tokens = RateCard.of(Decimal(5), Decimal(5), unit=Decimal("0.09"), per=Unit.IMAGE)
    uncounted = TokenUsage(None, None, units=1)
    assert (
        replace(own, rates=by_image, list_rates=with_tokens).listed(uncounted, AT_NS) == 40_000_000
    )


def test_offers_of_one_model_are_told_apart() -> None:
    """The id of an offer is its provider and model, and whatever else makes it another offer."""
    plain = Offer("acme", "llama")
    twins = [plain, replace(plain, region="eu"), replace(plain, quantization="fp8")]
    assert plain.id == "acme/llama"
    assert len({one.id for one in twins}) == 3
    assert replace(plain, context_tokens=5, tasks=frozenset({Task.CHAT})).id == plain.id

"""A rate card turns usage into money, exactly, and bounds it."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import NotAPrice, UsageUnknown
from ledger.money import MAX_NANOS, Money
from ledger.rates import RateCard
from ledger.usage import TokenUsage

prices = st.decimals(0, 1_000_000, places=9)
cards = st.builds(
    RateCard.of,
    prices,
    prices,
    st.none() | prices,
    st.none() | prices,
    st.decimals(0, 10, places=6),
)
counts = st.integers(0, 2_000_000)


@st.composite
def usages(draw: st.DrawFn) -> TokenUsage:
    """Usage as a provider may report it: the cached and the written part fit into the prompt."""
    prompt = draw(counts)
    cached = draw(st.none() | st.integers(0, prompt))
    written = draw(st.none() | st.integers(0, prompt - (cached or 0)))
    return TokenUsage(prompt, draw(counts), cached, written)


def by_fractions(card: RateCard, usage: TokenUsage) -> int:
    assert usage.prompt is not None
    assert usage.completion is not None
    cached, written = usage.cached or 0, usage.cache_write or 0
    usd = (
        Fraction(card.input) * (usage.prompt - cached - written)
        + Fraction(card.cache_read) * cached
        + Fraction(card.cache_write) * written
        + Fraction(card.output) * usage.completion
    ) / 1_000_000 + Fraction(card.request)
    return math.ceil(usd * 10**9)


@given(cards, usages())
def test_a_charge_is_exact_and_rounded_up_once(card: RateCard, usage: TokenUsage) -> None:
    """The charge is the sum in fractions of a dollar, rounded up to a nano-USD at the very end."""
    assert card.charge(usage) == min(by_fractions(card, usage), MAX_NANOS)


def test_a_charge_known_from_a_price_list() -> None:
    """GPT-4o at 2.50, 1.25 cached, 10.00 USD: 10,000 tokens in, 8,000 of them cached, 500 out."""
    card = RateCard.of(Decimal("2.50"), Decimal("10.00"), cache_read=Decimal("1.25"))
    assert card.charge(TokenUsage(10_000, 500, cached=8_000)) == 20_000_000


@given(cards, usages(), st.sampled_from(["prompt", "completion"]), counts)
def test_more_tokens_never_cost_less(
    card: RateCard, usage: TokenUsage, count: str, more: int
) -> None:
    """A charge grows with the prompt and with the completion."""
    grown = replace(usage, **{count: getattr(usage, count) + more})
    assert card.charge(grown) >= card.charge(usage)


@given(cards, usages(), counts, counts)
def test_the_worst_case_bounds_every_charge(
    card: RateCard, usage: TokenUsage, spare_in: int, spare_out: int
) -> None:
    """However much of a prompt was cached or written, no charge exceeds the worst case."""
    assert usage.prompt is not None
    assert usage.completion is not None
    bound = card.worst_case(usage.prompt + spare_in, usage.completion + spare_out)
    assert card.charge(usage) <= bound


@given(cards, st.integers(0, 10**13), counts)
def test_the_affordable_completion_is_the_largest_that_fits(
    card: RateCard, left: int, prompt: int
) -> None:
    """What is called affordable fits, one token more does not; nothing fits if the prompt fails."""
    most = card.affordable_completion(Money(left), prompt)
    if card.worst_case(prompt, 0) > left:
        assert most == 0
    elif card.output == 0:
        assert most == 2**31 - 1
    else:
        assert card.worst_case(prompt, most) <= left
        assert most == 2**31 - 1 or card.worst_case(prompt, most + 1) > left


def test_nothing_is_affordable_with_a_debt() -> None:
    """A budget that is overrun affords nothing, not a negative number of tokens."""
    assert RateCard.of(Decimal(1), Decimal(1)).affordable_completion(Money(-5), 0) == 0


@given(cards, st.integers(0, 5))
def test_equal_cards_have_one_version(card: RateCard, zeros: int) -> None:
    """However its zeros are written, a price is the same; another price is another version."""

    def rewritten(price: Decimal) -> Decimal:
        return price.normalize() if zeros == 0 else Decimal(f"{price:f}") + Decimal(f"0e-{zeros}")

    other = RateCard(
        rewritten(card.input),
        rewritten(card.output),
        rewritten(card.cache_read),
        rewritten(card.cache_write),
        rewritten(card.request),
    )
    assert (other, other.as_text(), other.version) == (card, card.as_text(), card.version)
    dearer = replace(card, request=card.request + Decimal("0.000000001"))
    assert dearer.version != card.version
    assert len(card.version) == 12


def test_the_text_of_a_card() -> None:
    """The canonical text names each price, plainly; minus nothing is nothing."""
    card = RateCard.of(Decimal("1E+2"), Decimal("0.50"), cache_read=Decimal("-0"))
    expected = "input=100 output=0.5 cache_read=0 cache_write=100 request=0"
    assert card.as_text() == expected


@pytest.mark.parametrize("count", ["prompt", "completion"])
def test_unknown_usage_is_no_free_usage(count: str) -> None:
    """A charge without a prompt or completion count is refused: None is not zero."""
    usage = replace(TokenUsage(10, 10), **{count: None})
    assert not usage.is_known
    with pytest.raises(UsageUnknown):
        RateCard.of(Decimal(1), Decimal(1)).charge(usage)


@pytest.mark.parametrize(
    "price",
    [0.5, 1, "1", None, *map(Decimal, ["NaN", "Infinity", "-0.01", "1000001", "1e-99999999"])],
)
@pytest.mark.parametrize("place", range(5))
def test_what_is_no_price(price: object, place: int) -> None:
    """Every one of the five prices must be a Decimal from 0 to a million, with few decimals."""
    five: list[object] = [Decimal(1)] * 5
    five[place] = price
    with pytest.raises(NotAPrice):
        RateCard(*five)  # type: ignore[arg-type]

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
from ledger.usage import TokenUsage, Unit

prices = st.decimals(0, 1_000_000, places=9)
cards_of_tokens = st.builds(
    RateCard.of,
    prices,
    prices,
    st.none() | prices,
    st.none() | prices,
    st.decimals(0, 10, places=6),
    reasoning=st.none() | prices,
    cache_write_1h=st.none() | prices,
)
cards_of_units = st.builds(
    replace,
    cards_of_tokens,
    unit=st.decimals("0.000000000000001", 100, places=15),
    per=st.sampled_from(Unit),
)
cards = cards_of_tokens | cards_of_units
counts = st.integers(0, 2_000_000)


@st.composite
def usages(draw: st.DrawFn) -> TokenUsage:
    """Usage as a provider may report it: the cached and the written part fit into the prompt."""
    prompt = draw(counts)
    cached = draw(st.none() | st.integers(0, prompt))
    written = draw(st.none() | st.integers(0, prompt - (cached or 0)))
    completion = draw(counts)
    return TokenUsage(
        prompt,
        completion,
        cached,
        written,
        draw(st.none() | st.integers(0, completion)),
        units=draw(counts),
        cache_write_1h=draw(st.none() | st.integers(0, written or 0)),
    )


def apart(whole: int, price: Decimal, part: int | None, own_price: Decimal | None) -> Fraction:
    """A count of which a part may have its own price: at the dearer of the two if none counted."""
    own = Fraction(price if own_price is None else own_price)
    if part is None:
        return whole * max(Fraction(price), own)
    return (whole - part) * Fraction(price) + part * own


def by_fractions(card: RateCard, usage: TokenUsage) -> int:
    assert usage.prompt is not None
    assert usage.completion is not None
    assert usage.units is not None
    cached, written = usage.cached or 0, usage.cache_write or 0
    usd = (
        Fraction(card.input) * (usage.prompt - cached - written)
        + Fraction(card.cache_read) * cached
        + apart(written, card.cache_write, usage.cache_write_1h, card.cache_write_1h)
        + apart(usage.completion, card.output, usage.reasoning, card.reasoning)
    ) / 1_000_000 + Fraction(card.request)
    if card.per is not None:
        usd += Fraction(card.unit) * usage.units
    return math.ceil(usd * 10**9)


@given(cards, usages())
def test_a_charge_is_exact_and_rounded_up_once(card: RateCard, usage: TokenUsage) -> None:
    """The charge is the sum in fractions of a dollar, rounded up to a nano-USD at the very end."""
    assert card.charge(usage) == min(by_fractions(card, usage), MAX_NANOS)


def test_a_charge_known_from_a_price_list() -> None:
    """GPT-4o at 2.50, 1.25 cached, 10.00 USD: 10,000 tokens in, 8,000 of them cached, 500 out."""
    card = RateCard.of(Decimal("2.50"), Decimal("10.00"), cache_read=Decimal("1.25"))
    assert card.charge(TokenUsage(10_000, 500, cached=8_000)) == 20_000_000


def test_charges_known_from_price_lists_of_units() -> None:
    """Whisper at 0.006 USD a minute, TTS at 15 USD a million characters, four images at 0.04 USD,
    a rerank at 2 USD a thousand searches."""
    for price, per, units, nanos in (
        ("0.0001", Unit.SECOND, 60, 6_000_000),
        ("0.000015", Unit.CHARACTER, 4096, 61_440_000),
        ("0.04", Unit.IMAGE, 4, 160_000_000),
        ("0.002", Unit.SEARCH, 1, 2_000_000),
    ):
        card = RateCard.of(Decimal(0), Decimal(0), unit=Decimal(price), per=per)
        assert card.charge(TokenUsage(0, 0, units=units)) == nanos


@given(cards, usages(), st.sampled_from(["prompt", "completion", "units"]), counts)
def test_more_tokens_never_cost_less(
    card: RateCard, usage: TokenUsage, count: str, more: int
) -> None:
    """A charge grows with the prompt, with the completion and with the units."""
    grown = replace(usage, **{count: getattr(usage, count) + more})
    assert card.charge(grown) >= card.charge(usage)


@given(cards, usages(), counts, counts, counts)
def test_the_worst_case_bounds_every_charge(
    card: RateCard, usage: TokenUsage, spare_in: int, spare_out: int, spare_units: int
) -> None:
    """However much of a prompt was cached or written, however much of an answer was reasoning, no
    charge exceeds the worst case."""
    assert usage.prompt is not None
    assert usage.completion is not None
    assert usage.units is not None
    bound = card.worst_case(
        usage.prompt + spare_in, usage.completion + spare_out, usage.units + spare_units
    )
    assert card.charge(usage) <= bound


@given(cards, st.integers(0, 10**13), counts, counts)
def test_the_affordable_completion_is_the_largest_that_fits(
    card: RateCard, left: int, prompt: int, units: int
) -> None:
    """What is called affordable fits, one token more does not; nothing fits if the rest fails."""
    most = card.affordable_completion(Money(left), prompt, units)
    if card.worst_case(prompt, 0, units) > left:
        assert most == 0
    elif not card.output and not card.reasoning:
        assert most == 2**31 - 1
    else:
        assert card.worst_case(prompt, most, units) <= left
        assert most == 2**31 - 1 or card.worst_case(prompt, most + 1, units) > left


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
        rewritten(card.unit),
        card.per,
        None if card.reasoning is None else rewritten(card.reasoning),
        None if card.cache_write_1h is None else rewritten(card.cache_write_1h),
    )
    assert (other, other.as_text(), other.version) == (card, card.as_text(), card.version)
    dearer = replace(card, request=card.request + Decimal("0.000000001"))
    assert dearer.version != card.version
    assert len(card.version) == 12


@given(cards_of_tokens, cards_of_units, st.sampled_from(Unit))
def test_no_two_cards_share_a_version(tokens: RateCard, units: RateCard, per: Unit) -> None:
    """A unit price, another one, and another unit are other cards."""
    priced = replace(tokens, unit=units.unit, per=units.per)
    dearer = replace(priced, unit=priced.unit + 1)
    other = replace(priced, per=per)
    versions = {one.version for one in (tokens, priced, dearer, other)}
    assert len(versions) == (3 if other == priced else 4)


@pytest.mark.parametrize(
    ("prices", "version"),
    [
        (("2.5", "10", "1.25", "2.5", "0"), "b228ecfcddd3"),
        (("0", "0.001", "0", "0", "0"), "6c6b3e9e14a8"),
        (("0.15", "0.6", "0.075", "0.2", "0.001"), "1cc3a4ac2006"),
    ],
)
def test_versions_of_cards_without_units_are_for_ever(
    prices: tuple[str, ...], version: str
) -> None:
    """Rows written before there were units name their cards by these: they must verify."""
    card = RateCard.of_row((*prices, "0", None))
    assert (card.row, card.version) == ((*prices, "0", None, None, None), version)


@pytest.mark.parametrize(
    ("row", "version"),
    [
        (("0", "0", "0", "0", "0", "0.04", "image"), "c0858782c3b8"),
        (("0", "0", "0", "0", "0", "0.0001", "second"), "f23dd819ac98"),
        (("2.5", "0", "2.5", "2.5", "0", "0.002", "search"), "8ac87dfe2154"),
    ],
)
def test_versions_of_cards_without_prices_apart_are_for_ever(
    row: tuple[str, ...], version: str
) -> None:
    """Rows written before reasoning and caches of an hour had prices: short or long, they are the
    same card, and its version is of those times."""
    for one in (row, (*row, None, None)):
        card = RateCard.of_row(one)
        assert (card.row, card.version) == ((*row, None, None), version)


def test_charges_known_from_price_lists_with_prices_apart() -> None:
    """Claude Sonnet writes an hour's cache at 6 USD, five minutes' at 3.75; Perplexity's deep
    research reasons at 3 USD and answers at 8."""
    claude = replace(
        RateCard.of(Decimal(3), Decimal(15), Decimal("0.3"), Decimal("3.75")),
        cache_write_1h=Decimal(6),
    )
    usage = TokenUsage(10_000, 100, cached=2_000, cache_write=6_000, cache_write_1h=4_000)
    assert claude.charge(usage) == (2_000 * 3_000 + 2_000 * 300 + 2_000 * 3_750 + 4_000 * 6_000) + (
        100 * 15_000
    )
    assert claude.charge(replace(usage, cache_write_1h=None)) == claude.charge(
        replace(usage, cache_write_1h=6_000)
    )
    deep = RateCard.of(Decimal(2), Decimal(8), reasoning=Decimal(3))
    assert deep.charge(TokenUsage(0, 1_000, reasoning=900)) == 100 * 8_000 + 900 * 3_000
    assert deep.charge(TokenUsage(0, 1_000)) == 8_000_000


def test_reasoning_at_the_price_of_the_rest_is_no_price_of_its_own() -> None:
    """A card that says the same twice is the card that says it once; a price of a long cache says
    that there is one, whatever it is."""
    once = RateCard.of(Decimal(1), Decimal(2))
    assert RateCard.of(Decimal(1), Decimal(2), reasoning=Decimal("2.0")) == once
    kept = RateCard.of(Decimal(1), Decimal(2), cache_write_1h=Decimal(1))
    assert kept != once
    assert kept.version != once.version


@given(cards)
def test_a_card_is_read_as_it_was_written(card: RateCard) -> None:
    """The row of a card is that card, exactly."""
    assert RateCard.of_row(card.row) == card
    assert RateCard.of_row(card.row).version == card.version


@pytest.mark.parametrize(
    "row",
    [
        ("1", "1", "1", "1", "0", "0.5", "parsec"),
        ("1", "1", "1", "1", "0", "0.5", None),
        ("1", "1", "1", "1", "0", "0", "image"),
        ("one", "1", "1", "1", "0", "0", None),
        ("1", None, "1", "1", "0", "0", None),
        ("1", "1", "1", "1", "0", "0"),
        ("1", "1", "1", "1", "0", "0", None, "2"),
        ("1", "1", "1", "1", "0", "0", None, "dear", None),
        ("1", "1", "1", "1", "0", "0", None, None, None, None),
    ],
)
def test_a_row_that_is_no_card(row: tuple[str | None, ...]) -> None:
    """An unknown unit, a price without its unit, a unit without a price, and what is no number."""
    with pytest.raises(NotAPrice):
        RateCard.of_row(row)


def test_the_text_of_a_card() -> None:
    """The canonical text names each price, plainly; minus nothing is nothing."""
    card = RateCard.of(Decimal("1E+2"), Decimal("0.50"), cache_read=Decimal("-0"))
    expected = "input=100 output=0.5 cache_read=0 cache_write=100 request=0"
    assert card.as_text() == expected
    images = replace(card, unit=Decimal("0.040"), per=Unit.IMAGE)
    assert images.as_text() == f"{expected} unit=0.04 per=image"


@pytest.mark.parametrize("count", ["prompt", "completion"])
def test_unknown_usage_is_no_free_usage(count: str) -> None:
    """A charge without a prompt or completion count is refused: None is not zero."""
    usage = replace(TokenUsage(10, 10), **{count: None})
    assert not usage.is_known
    with pytest.raises(UsageUnknown):
        RateCard.of(Decimal(1), Decimal(1)).charge(usage)
    with pytest.raises(UsageUnknown):
        RateCard.of(Decimal(0), Decimal(0)).charge(usage)


@given(cards_of_units, usages())
def test_unknown_units_are_no_free_units(card: RateCard, usage: TokenUsage) -> None:
    """A card priced by units refuses a charge without their count; no other card asks for it."""
    uncounted = replace(usage, units=None)
    with pytest.raises(UsageUnknown, match=str(card.per)):
        card.charge(uncounted)
    tokens_only = replace(card, unit=Decimal(0), per=None)
    assert tokens_only.charge(uncounted) == tokens_only.charge(usage)


@given(st.integers(0, 10**6), st.sampled_from(Unit))
def test_tokens_that_cost_nothing_need_not_be_counted(units: int, per: Unit) -> None:
    """Who sells seconds counts no tokens: unknown ones cost nothing there, and only there."""
    card = RateCard.of(Decimal(0), Decimal(0), unit=Decimal("0.0001"), per=per)
    usage = TokenUsage(None, None, units=units)
    assert card.charge(usage) == 100_000 * units
    one = Decimal(1)
    for dearer in (
        replace(card, input=one),
        replace(card, output=one),
        replace(card, cache_read=one),
        replace(card, cache_write=one),
        replace(card, reasoning=one),
        replace(card, cache_write_1h=one),
    ):
        with pytest.raises(UsageUnknown):
            dearer.charge(usage)


@pytest.mark.parametrize(
    "price",
    [0.5, 1, "1", None, *map(Decimal, ["NaN", "Infinity", "-0.01", "1000001", "1e-99999999"])],
)
@pytest.mark.parametrize("place", range(8))
def test_what_is_no_price(price: object, place: int) -> None:
    """Every one of the eight prices must be a Decimal from 0 to a million, with few decimals; only
    those apart may be none."""
    eight: list[object] = [Decimal(1)] * 8
    eight[place] = price
    six, two = eight[:6], eight[6:]
    if price is None and place >= 6:
        return
    with pytest.raises(NotAPrice):
        RateCard(*(*six, Unit.IMAGE, *two))  # type: ignore[arg-type]

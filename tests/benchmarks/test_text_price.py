"""What our own text costs at an offer: counted by the tokens that each makes of the same text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.price_changes import PriceChange, next_change
from benchmarks.quotes import Override, Quote, UtcHours
from benchmarks.tables.database import open_market
from benchmarks.text_price import Figure, Reading, TextMix, Tokenizer, text_price
from benchmarks.traffic.observations import MINUTE_S, Observation, Observations, Outcome
from benchmarks.traffic.observed import observed
from benchmarks.traffic.observed import tell as tell_observed
from benchmarks.traffic.tokenizers import LEAST_ANSWERS, tell, tokenizers
from ledger.databases.sql import Sql
from ledger.rates import RateCard
from ledger.usage import Unit
from routing.learned import FIRST_PROMPT_BYTES, FIRST_PROMPT_TOKENS, WEIGHT, Learned

AT = datetime(2026, 8, 1, 12, tzinfo=UTC)
AT_NS = int(AT.timestamp()) * 10**9


def quote(card: RateCard, *overrides: Override, until: datetime | None = None) -> Quote:
    return Quote(card, None, overrides, "feed", AT, valid_until=until)


def card(input_: str, output: str, cache_read: str | None = None) -> RateCard:
    read = None if cache_read is None else Decimal(cache_read)
    return RateCard.of(Decimal(input_), Decimal(output), read)


def reading(chars: str = "4", cached: str = "0", reasoning: str = "0") -> Reading:
    """Everything measured."""
    return Reading(measured(chars), measured(cached), measured("0"), measured(reasoning))


def measured(value: str | Decimal) -> Figure:
    return Figure(Decimal(value), is_measured=True)


def usd(quoted: Quote, mix: TextMix, its: Reading) -> Decimal:
    found = text_price(quoted, mix, its, AT_NS)
    assert found is not None
    assert found.assumed == ()
    return found.usd_per_mchar


HALVES = TextMix(10, 5000, 5000)


def test_by_hand() -> None:
    """Half prompt, half answer, 4 characters to a token: 125,000 tokens of each in a million
    characters; at $1 and $3 that is 12.5 and 37.5 cents."""
    assert usd(quote(card("1", "3")), HALVES, reading()) == Decimal("0.5")


def test_a_tokenizer_that_makes_more_of_it() -> None:
    """At the same list price, who makes a quarter more tokens of the same text costs as much more:
    cheaper by the token may be dearer by the text."""
    dear = usd(quote(card("1", "3")), HALVES, reading("4"))
    cheap = usd(quote(card("0.9", "2.7")), HALVES, reading("3.2"))
    assert cheap == dear * Decimal("1.125")


def test_what_is_cached_and_what_is_only_thought() -> None:
    """With half of the prompt from the cache at a tenth, the prompt costs 55%; with half of the
    tokens written for nobody to read, the answer costs twice as much."""
    at = quote(card("1", "3", "0.1"))
    assert usd(at, HALVES, reading(cached="0.5")) == Decimal("0.06875") + Decimal("0.375")
    assert usd(at, HALVES, reading(reasoning="0.5")) == Decimal("0.125") + Decimal("0.75")


def test_fees() -> None:
    """A fee per request counts as often as requests are made for so much text."""
    free = RateCard.of(Decimal(0), Decimal(0), request=Decimal("0.01"))
    assert usd(quote(free), HALVES, reading()) == Decimal(10)  # 1,000 requests in a Mchar


def test_the_price_of_the_hour() -> None:
    """Requests of this hour, and of the size that ours have, pay what they do."""
    night = Override(card("0.5", "1.5"), hours=UtcHours(11 * 60, 13 * 60))
    long = Override(card("9", "9"), above_prompt_tokens=200)
    assert usd(quote(card("1", "3"), night, long), HALVES, reading()) == Decimal("0.25")
    assert usd(quote(card("1", "3"), night, long), HALVES, reading("2")) == Decimal("4.5")


prices = st.decimals(0, 100, places=4)
shares = st.integers(0, 90).map(lambda percent: Decimal(percent) / 100)


@given(
    st.tuples(prices, prices, prices, prices, st.decimals(0, 1, places=4)),
    st.builds(TextMix, st.integers(1, 1000), st.integers(1, 10**6), st.integers(1, 10**6)),
    st.decimals("1", "8", places=2),
    *(shares, shares, shares),
)
def test_against_fractions(
    prices: tuple[Decimal, Decimal, Decimal, Decimal, Decimal],
    mix: TextMix,
    per_token: Decimal,
    cached: Decimal,
    written: Decimal,
    reasoned: Decimal,
) -> None:
    """The same as by exact fractions of tokens, to one in a million."""
    written = min(written, 1 - cached)
    plain, output, read, write, fee = prices
    rates = RateCard(plain, output, read, write, fee)
    its = Reading(*map(measured, (per_token, cached, written, reasoned)))
    chars = Fraction(mix.prompt_chars + mix.completion_chars)
    prompt = mix.prompt_chars / chars / Fraction(per_token)
    answer = mix.completion_chars / chars / Fraction(per_token) / (1 - Fraction(reasoned))
    hit, wrote = Fraction(cached), Fraction(written)
    per_token_in = (1 - hit - wrote) * Fraction(plain) + hit * Fraction(read)
    per_token_in += wrote * Fraction(write)
    fees = Fraction(fee) * mix.requests / chars * 10**6
    exact = prompt * per_token_in + answer * Fraction(output) + fees
    told = Fraction(usd(quote(rates), mix, its))
    assert abs(told - exact) <= exact / 10**6 + Fraction(1, 10**6)


def test_what_is_not_sold_by_the_token() -> None:
    """Images have no price per character; neither has text where there is none."""
    images = RateCard.of(Decimal(0), Decimal(0), unit=Decimal("0.04"), per=Unit.IMAGE)
    assert text_price(quote(images), HALVES, reading(), AT_NS) is None
    assert text_price(quote(card("1", "1")), TextMix(1, 0, 0), reading(), AT_NS) is None


def test_what_is_assumed_is_said() -> None:
    """Each number that nobody measured is named."""
    its = replace(reading(), cached=Figure(Decimal(0), is_measured=False))
    found = text_price(quote(card("1", "1")), replace(HALVES, is_measured=False), its, AT_NS)
    assert found is not None
    assert found.assumed == ("mix", "cache hits")


# -- changes that are known in advance


hours = (
    st.tuples(st.integers(0, 1439), st.integers(0, 1440))
    .filter(lambda one: one[0] != one[1])
    .map(lambda one: UtcHours(*one))
)


@given(st.lists(st.tuples(hours, st.integers(1, 3)), max_size=3), st.integers(0, 1439))
def test_the_next_change_against_every_minute(
    windows: list[tuple[UtcHours, int]], minute: int
) -> None:
    """The first minute within a day at which a request begins that pays another price."""
    overrides = [Override(card(str(price), "1"), hours=one) for one, price in windows]
    quoted = quote(card("1", "1"), *overrides)
    midnight_s = AT.timestamp() - 12 * 3600
    start_s = midnight_s + 60 * minute
    now = quoted.card(100, int(start_s) * 10**9)
    expected = None
    for later in range(1, 1441):
        at_s = start_s + 60 * later
        then = quoted.card(100, int(at_s) * 10**9)
        if then != now:
            expected = PriceChange(datetime.fromtimestamp(at_s, UTC), then)
            break
    assert next_change(quoted, 100, datetime.fromtimestamp(start_s, UTC)) == expected


def test_the_end_of_a_quote() -> None:
    """After it there is no price; a quote that has ended changes no more."""
    end = AT.replace(day=9)
    quoted = quote(card("1", "1"), until=end)
    assert next_change(quoted, 100, AT) == PriceChange(end, None)
    assert next_change(quoted, 100, end) is None


# -- told by workers


@pytest.fixture
def market(sql: Sql) -> Sql:
    open_market(sql)
    return sql


def learned(bytes_per_token: int, prompts: int) -> list[Tokenizer]:
    found = Learned()
    for _ in range(prompts):
        found.note("m", "key", bytes_per_token * 1000, 1000, 10)
    return found.tokenizers()


def test_tokenizers_of_all_workers(market: Sql) -> None:
    """Each counts by its answers; who has too few says nothing, and what he said before he was
    started anew stays."""
    with market.transaction():
        tell(market, "one", [Tokenizer("m", 3.0, 300), Tokenizer("n", 2.0, LEAST_ANSWERS)], 1)
        tell(market, "two", [Tokenizer("m", 4.0, 100), Tokenizer("o", 9.0, LEAST_ANSWERS - 1)], 2)
        tell(market, "one", [Tokenizer("m", 9.0, 1)], 3)
    assert tokenizers(market) == {
        "m": measured("3.25"),
        "n": measured("2"),
    }


@pytest.mark.parametrize("bytes_per_token", [2, 6])
def test_what_is_learned_of_a_tokenizer(bytes_per_token: int) -> None:
    """When it counts as measured, of where the running mean began less than a seventh is left."""
    (one,) = learned(bytes_per_token, LEAST_ANSWERS)
    assert one.answers == LEAST_ANSWERS
    first = FIRST_PROMPT_BYTES / FIRST_PROMPT_TOKENS
    left = (1 - WEIGHT) ** LEAST_ANSWERS
    assert left < 1 / 7
    assert abs(one.bytes_per_token - bytes_per_token) == pytest.approx(
        left * abs(first - bytes_per_token)
    )


def test_what_all_workers_saw(market: Sql) -> None:
    """Whoever reads the words of two workers knows their minutes together; a minute that is told
    again is the same one; what is old is not read, and goes."""
    now_s = AT.timestamp()
    ones, twos = Observations(), Observations()
    for worker, ttft_ms in ((ones, 100.0), (ones, 300.0), (twos, 200.0)):
        worker.note("a/m", Observation(now_s, Outcome.ANSWERED, ttft_ms))
    twos.note("a/m", Observation(now_s, Outcome.RATE_LIMITED))
    with market.transaction():
        tell_observed(market, "one", ones.published(), AT_NS)
        tell_observed(market, "two", twos.published(), AT_NS)
    ones.note("a/m", Observation(now_s, Outcome.FAILED))
    with market.transaction():
        tell_observed(market, "one", ones.published(), AT_NS + 1)
    seen = observed(market, AT_NS + 1).seen("a/m", now_s)
    assert seen.attempts == 5
    assert seen.ttft_ms_p50 == 200
    assert (seen.error_rate, seen.rate_limited_rate) == (1 / 5, 1 / 5)
    later_ns = AT_NS + 30 * MINUTE_S * 10**9
    assert observed(market, later_ns).seen("a/m", now_s).attempts == 0
    with market.transaction():
        tell_observed(market, "two", [], later_ns)
    assert observed(market, AT_NS).seen("a/m", now_s).attempts == 0

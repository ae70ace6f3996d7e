"""Prices and kinds of work: as an operator writes them, and as they are then for sale."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.feeds.litellm import PriceFile, read_installed
from benchmarks.market import Quoted
from benchmarks.offers import Task
from benchmarks.quotes import Override, UtcHours
from hedgerow.cli import hedgerow
from hedgerow.config import Config, load_config
from hedgerow.errors import ConfigInvalid
from hedgerow.market.offers import quoted_offers
from hedgerow.market.price_book import PriceBook, price_book
from ledger.attempts import Attempt, Charge, Hold, Settlement
from ledger.principals import Principal
from ledger.rates import RateCard
from ledger.requests import RequestRecord
from ledger.usage import TokenUsage, Unit
from tests.books import killed, opened_store, written
from tests.ledger.entries import attempt

installed = cache(read_installed)
AT = datetime(2026, 11, 20, tzinfo=UTC)
few = settings(max_examples=60, deadline=None)
UNITS = {
    "per_image": (Unit.IMAGE, 1),
    "per_million_characters": (Unit.CHARACTER, 1_000_000),
    "per_audio_minute": (Unit.SECOND, 60),
    "per_thousand_searches": (Unit.SEARCH, 1000),
}


def load(offer: str) -> Config:
    """A configuration with one offer, of OpenAI."""
    text = (
        "providers: {mine: {dialect: openai, base_url: https://api.openai.com/v1}}\n"
        f"models:\n  m:\n    offers:\n      - {{provider: mine, {offer}}}\n"
    )
    with TemporaryDirectory() as folder:
        path = Path(folder, "hedgerow.yaml")
        path.write_text(text)
        return load_config(path, {})


def errors_of(offer: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        load(offer)
    return [f"{one.where}: {one.message}; {one.hint}" for one in caught.value.errors]


def card(price: str) -> RateCard:
    spec = load(f"model: x, price: {{{price}}}").models["m"].offers[0].price
    assert spec is not None
    return spec.rate_card()


def sold(offer: str, *, fed: bool = False) -> Quoted:
    config = load(offer)
    book = price_book(config, AT) if fed else PriceBook((), {})
    ((quoted,),) = quoted_offers(config, book, AT).values()
    return quoted


# -- as written


@pytest.mark.parametrize(
    ("price", "expected", "per"),
    [
        ("per_image: 0.04", "0.04", Unit.IMAGE),
        ("per_million_characters: 15", "0.000015", Unit.CHARACTER),
        ("per_audio_minute: 0.006", "0.0001", Unit.SECOND),
        ("per_thousand_searches: 2", "0.002", Unit.SEARCH),
    ],
)
def test_prices_as_people_quote_them(price: str, expected: str, per: Unit) -> None:
    """Each in the measure of the price lists; tokens then cost nothing unless they have a price."""
    free = RateCard.of(Decimal(0), Decimal(0), unit=Decimal(expected), per=per)
    assert card(price) == free
    both = card(f"{price}, input: 5, output: 40, request: 0.01")
    assert both == RateCard.of(Decimal(5), Decimal(40), None, None, Decimal("0.01"), free.unit, per)


@few
@given(st.sampled_from(list(UNITS)), st.decimals(0, 1_000_000, places=9))
def test_a_unit_never_costs_less_than_was_written(key: str, price: Decimal) -> None:
    """It is the exact quotient, rounded up in the last decimal that a card can hold."""
    unit, count = UNITS[key]
    found = card(f"{key}: {price:f}")
    assert found.unit == Fraction(math.ceil(Fraction(price) / count * 10**15), 10**15)
    assert found.per is (unit if price else None)


def test_batch_prices() -> None:
    """What the batch API names, it costs; a request's own price holds there too."""
    spec = load(
        "model: x, price: {input: 2, output: 8, cache_read: 1, request: 0.01,"
        " batch: {input: 1, output: 4, cache_write: 1.25}}"
    )
    price = spec.models["m"].offers[0].price
    assert price is not None
    assert price.batch_card() == RateCard.of(
        Decimal(1), Decimal(4), cache_write=Decimal("1.25"), request=Decimal("0.01")
    )
    none = load("model: x, price: {input: 2, output: 8}").models["m"].offers[0].price
    assert none is not None
    assert none.batch_card() is None


def test_hours_and_thresholds() -> None:
    """Each is a card of its own, besides what holds for all: a long prompt's counts last, whatever
    the hour, and the longest after the others; reasoning never costs less there than it does."""
    price = (
        "{input: 2, output: 8, reasoning: 10, request: 0.01, valid_until: 2026-12-31,"
        " above: [{prompt_tokens: 2000, input: 5, output: 12, cache_write_1h: 9},"
        " {prompt_tokens: 1000, input: 3, output: 9, reasoning: 1}],"
        ' off_peak: [{hours: "16:30-00:30", weekdays: [mon, sun], input: 1, output: 4},'
        ' {hours: "00:00-24:00", input: 1.5, output: 6, cache_read: 0.5}]}'
    )
    quote = sold(f"model: x, price: {price}").quote
    assert quote is not None

    def of(input_usd: str, output_usd: str, reasoning: str) -> RateCard:
        card = RateCard.of(Decimal(input_usd), Decimal(output_usd), request=Decimal("0.01"))
        return replace(card, reasoning=Decimal(reasoning))

    assert quote.rates == of("2", "8", "10")
    assert quote.overrides == (
        Override(of("1", "4", "10"), hours=UtcHours(990, 30, frozenset({1, 7}))),
        Override(replace(of("1.5", "6", "10"), cache_read=Decimal("0.5")), hours=UtcHours(0, 1440)),
        Override(of("3", "9", "1"), 1000),
        Override(replace(of("5", "12", "12"), cache_write_1h=Decimal(9)), 2000),
    )
    assert quote.valid_until == datetime(2026, 12, 31, tzinfo=UTC)


def test_a_tier_has_its_own_price() -> None:
    """The price file's for that tier, or none; those of the others stand beside it."""
    quotes = {
        tier: sold(f"model: gpt-5, service_tier: {tier}", fed=True).quote
        for tier in ("default", "flex", "priority", "fast", "scale")
    }
    usual, flex, best = quotes["default"], quotes["flex"], quotes["priority"]
    assert usual is not None
    assert flex is not None
    assert best is not None
    assert flex.rates.input < usual.rates.input < best.rates.input
    assert quotes["fast"] == best
    assert quotes["scale"] is None
    assert flex.tiers[None].rates == usual.rates
    assert usual.tiers["flex"].rates == flex.rates
    assert "flex" not in flex.tiers


PRICE = "models.m.offers[0].price"
ABOVE_5 = "{prompt_tokens: 5, input: 1, output: 1}"


@pytest.mark.parametrize(
    ("offer", "expected"),
    [
        (
            "model: x, price: {per_image: 0.04, per_audio_minute: 1}",
            [f"{PRICE}: has per_image and per_audio_minute; keep one"],
        ),
        (
            "model: x, price: {per_imagine: 0.04}",
            [f'{PRICE}.per_imagine: unknown key; did you mean "per_image"?'],
        ),
        ("model: x, price: {per_image: -1}", [f'{PRICE}.per_image: "-1" is negative']),
        ("model: x, price: {per_image: dear}", [f'{PRICE}.per_image: "dear" is no amount of USD']),
        ("model: x, price: {request: 1}", [f"{PRICE}.input: is missing", f"{PRICE}.output: is m"]),
        (
            "model: x, price: {input: 1, output: 1, batch: {input: 1}}",
            [f"{PRICE}.batch.output: is missing; write, for example, output: 0.44"],
        ),
        ("model: x, price: {input: 1, output: 1, batch: 0.5}", [f"{PRICE}.batch: must hold keys"]),
        (
            f"model: x, price: {{input: 1, output: 1, above: [{ABOVE_5}, {ABOVE_5}]}}",
            [f"{PRICE}: has two prices above 5 tokens; keep one"],
        ),
        (
            "model: x, price: {input: 1, output: 1, off_peak: [{hours: '5', input: 1, output: 1}]}",
            [f'{PRICE}.off_peak[0].hours: "5" are no hours of a day'],
        ),
        ("model: x, price: 5", [f"{PRICE}: must hold keys of its own"]),
        ("model: x, tasks: []", ["models.m.offers[0].tasks: is empty; write at least 1"]),
        ("model: x, tasks: chat", ["models.m.offers[0].tasks: is not a list; write, for example,"]),
        (
            "model: x, tasks: [chat, chatting]",
            ['models.m.offers[0].tasks[1]: "chatting" is not supported; write chat, completion'],
        ),
        (
            "model: x, tasks: [chat], price: {per_audio_minute: 1}",
            ["models.m.offers[0]: has a price per second, but no task that takes one; add"],
        ),
    ],
)
def test_what_is_wrong_is_named(offer: str, expected: list[str]) -> None:
    """One error for each mistake, at its place, with what to write instead."""
    found = errors_of(offer)
    assert len(found) == len(expected), found
    assert [one[: len(start)] for one, start in zip(found, expected, strict=True)] == expected


# -- as it is for sale


@pytest.mark.parametrize(
    ("offer", "tasks"),
    [
        ("model: nobody-knows", None),
        ("model: nobody-knows, tasks: [chat, embedding]", {Task.CHAT, Task.EMBEDDING}),
        ("model: nobody-knows, price: {per_image: 0.04}", {Task.IMAGE}),
        ("model: gpt-4o", {Task.CHAT}),
        ("model: gpt-4o, tasks: [chat, completion]", {Task.CHAT, Task.COMPLETION}),
        ("model: gpt-4o, price: {per_audio_minute: 1}", {Task.TRANSCRIPTION}),
        ("model: gpt-4o, price: {input: 1, output: 1}", {Task.CHAT}),
        ("model: text-embedding-3-small", {Task.EMBEDDING}),
        ("model: omni-moderation-latest", {Task.MODERATION}),
        ("model: davinci-002", {Task.COMPLETION}),
    ],
)
def test_the_work_that_an_offer_does(offer: str, tasks: set[Task] | None) -> None:
    """What its operator lists, else what its price is for, else what the feed says, if any does."""
    assert sold(offer, fed=True).offer.tasks == tasks


def test_prices_of_the_feed() -> None:
    """Units, batches and thresholds come along."""
    whisper = sold("model: whisper-1", fed=True)
    assert whisper.quote is not None
    assert (whisper.quote.rates.unit, whisper.quote.rates.per) == (Decimal("0.0001"), Unit.SECOND)
    gpt = sold("model: gpt-4o", fed=True).quote
    assert gpt is not None
    batch = gpt.in_batches()
    assert batch is not None
    assert (batch.rates.input, batch.rates.output) == (Decimal("1.25"), Decimal(5))


def with_long_prompts(prices: PriceFile) -> Iterator[str]:
    for one in prices:
        if one.provider == "openai" and one.batch_overrides:
            yield one.model


def test_an_operator_s_prices_are_all_there_are() -> None:
    """Beside a price of his own nothing of the feed's is charged, in batches neither."""
    model = next(with_long_prompts(installed()))
    from_feed = sold(f"model: {model}", fed=True).quote
    assert from_feed is not None
    assert from_feed.batch_overrides
    own = sold(f"model: {model}, price: {{input: 1, output: 1}}", fed=True).quote
    assert own is not None
    assert (own.overrides, own.batch_rates, own.batch_overrides) == ((), None, ())
    assert own.list_rates == from_feed.rates
    batch = "batch: {input: 0.5, output: 0.5}"
    both = sold(f"model: {model}, price: {{input: 1, output: 1, {batch}}}", fed=True).quote
    assert both is not None
    assert both.batch_rates == RateCard.of(Decimal("0.5"), Decimal("0.5"))


# -- as it is asked for, and explained


CONFIG = """\
ledger: {url: "sqlite:///books.db"}
market: {feeds: []}
providers: {mine: {dialect: openai, base_url: "http://127.0.0.1:9/v1"}}
models:
  heard:
    offers:
      - {provider: mine, model: whisper, price: {per_audio_minute: 0.006}}
      - {provider: mine, model: scribe, tasks: [transcription], price: {input: 2.5, output: 10}}
      - {provider: mine, model: llama, tasks: [chat], price: {input: 1, output: 1}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "hedgerow.yaml"
    path.write_text(CONFIG)
    return path


def said(config: Path, *words: str) -> str:
    done = CliRunner().invoke(hedgerow, [*words, "-c", str(config)], catch_exceptions=False)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def route(config: Path, *words: str) -> tuple[list[str], list[str]]:
    """Names of the candidates, in order, and why the others were refused."""
    asked = ("route", "--model", "heard", "--input-tokens", "600", *words, "--json")
    found = msgspec.json.decode(said(config, *asked))
    names = [one["offer"].removeprefix("mine/") for one in found["candidates"]]
    return names, [one["why"] for one in found["refused"]]


def test_what_would_be_chosen_for_other_work(config: Path) -> None:
    """Only who does the work, by the price of so much of it; without its count, only by tokens."""
    minute = ("--task", "transcription", "--units", "60")
    assert route(config, *minute) == (
        ["scribe", "whisper"],
        ["does chat, not transcription; if it does, list its tasks in the configuration"],
    )
    (names, refused) = route(config, "--task", "transcription")
    assert names == ["scribe"]
    assert "is priced per second, and how many this request takes is not known" in refused
    assert route(config)[0] == ["llama"]
    text = said(config, "route", "--model", "heard", "--input-tokens", "600", *minute)
    assert text.startswith("heard: transcription, 60 seconds, about 600 tokens in, 0 out (market")
    (one,) = [line for line in text.splitlines() if "whisper" in line]
    assert "$0.006" in one


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        (TokenUsage(None, None, units=1), "1 second"),
        (TokenUsage(None, None, units=60), "60 seconds"),
        (TokenUsage(4, 9, units=60), "4 tokens in, 9 out, 60 seconds"),
    ],
)
def test_a_charge_by_units_is_explained(config: Path, usage: TokenUsage, words: str) -> None:
    """What was used, in what it was counted in, and at which of our accounts."""
    rates = RateCard.of(Decimal(0), Decimal(0), unit=Decimal("0.0001"), per=Unit.SECOND)
    cost = rates.charge(usage)
    asked = Attempt(
        id="req_1.1",
        request_id="req_1",
        at_ns=1,
        principal=Principal("key_1"),
        model="heard",
        provider="mine",
        upstream_model="whisper",
        rates=rates,
        streamed=False,
        worst_case=cost,
        account="second",
    )
    end = Settlement(1, usage, rates, Charge(cost, cost, cost, cost, None, None), False, None, 1.0)
    record = RequestRecord("req_1", 1, "key_1", None, None, "heard", "answered", 200, 1, None, None)
    with closing(opened_store(config.parent / "books.db")) as store:
        written(store, Hold(asked, ()), end)
        with store.transaction():
            store.requests.add(record)
    assert f"at mine/whisper: {words} (as the provider counted)" in said(config, "explain", "req_1")
    (charge,) = msgspec.json.decode(said(config, "explain", "req_1", "--json"))["charges"]
    assert (charge["units"], charge["per"], charge["account"]) == (usage.units, "second", "second")
    by_account = said(config, "spend", "--by", "account")
    assert "mine/second" in by_account


def test_a_charge_that_nobody_counted_is_explained(config: Path) -> None:
    """Lost with its worker: its cost is its hold, and what it used is unknown, not None."""
    asked = attempt("one", 5000)
    with closing(opened_store(config.parent / "books.db")) as store:
        killed(store, asked)
        with store.transaction():
            store.requests.add(
                RequestRecord(
                    asked.request_id, 1, "key_1", None, None, "m", "upstream", 502, 1, None, None
                )
            )
    assert "usage unknown (estimated)" in said(config, "explain", asked.request_id)

"""LiteLLM's price file: read exactly, believed carefully, and without LiteLLM."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from benchmarks.errors import FeedUnreadable
from benchmarks.feeds.litellm import (
    FILE,
    PriceFile,
    provider_of,
    read_file,
    read_installed,
)
from benchmarks.feeds.reading import PricedModel
from benchmarks.offers import Feature, Task
from ledger.rates import RateCard
from ledger.usage import Unit

installed = cache(read_installed)
ENTRY = {
    "litellm_provider": "acme",
    "mode": "chat",
    "input_cost_per_token": 1.5e-07,
    "output_cost_per_token": 6e-07,
}

Write = Callable[..., PriceFile]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A price file with one entry, `acme/llama`: ENTRY with some of its keys changed."""

    def written(**changes: Any) -> PriceFile:
        path = tmp_path / "prices.json"
        path.write_text(json.dumps({"acme/llama": {**ENTRY, **changes}}))
        return read_file(path, "1.2.3")

    return written


def only(file: PriceFile) -> PricedModel:
    found = file.find("acme", "llama")
    assert found is not None
    return found


def unit(price: str, per: Unit) -> RateCard:
    return RateCard.of(Decimal(0), Decimal(0), unit=Decimal(price), per=per)


def tokens(input_usd: str, output_usd: str = "0") -> RateCard:
    return RateCard.of(Decimal(input_usd), Decimal(output_usd))


# -- the installed file


def test_litellm_is_not_imported() -> None:
    """The file is found through the package's metadata: importing LiteLLM would cost seconds."""
    script = (
        "import sys\n"
        "from benchmarks.feeds.litellm import read_installed\n"
        "assert read_installed().find('openai', 'gpt-4o').rates\n"
        "print('litellm' in sys.modules)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
        timeout=60,
    )
    assert said.stdout.strip() == "False"


def test_prices_are_those_of_the_file() -> None:
    """Every chat model's prices are the file's own, to a millionth of a USD per million tokens."""
    path = Path(str(metadata.distribution("litellm").locate_file(FILE)))
    raw = json.loads(path.read_text(), parse_float=Decimal)
    checked = 0
    for key, entry in raw.items():
        if entry.get("mode") != "chat":
            continue
        provider = entry["litellm_provider"]
        model = key.removeprefix(f"{provider}/")
        if model in raw and f"{provider}/{model}" in raw:
            continue  # two entries for one name
        found = installed().find(provider, model)
        assert found is not None
        prices = entry | entry.get("tiered_pricing", [{}])[0]
        if found.rates is not None:
            for price, name in (
                (found.rates.input, "input_cost_per_token"),
                (found.rates.output, "output_cost_per_token"),
            ):
                assert isinstance(price, Decimal)
                assert abs(price - prices[name] * 1_000_000) <= Decimal("0.0000005")
                assert price > 0
            checked += 1
    assert checked > 1000


def test_every_price_of_a_card_is_one_of_the_file() -> None:
    """Whatever the kind of work: no price but the entry's own, or nothing; by the unit of the work;
    and a batch costs no more than the same at once."""
    path = Path(str(metadata.distribution("litellm").locate_file(FILE)))
    raw = json.loads(path.read_text(), parse_float=Decimal)
    counts: Counter[Task] = Counter()
    for one in installed():
        if one.rates is None:
            continue
        assert one.task is not None
        counts[one.task] += 1
        entries = [raw[name] for name in (one.model, f"{one.provider}/{one.model}") if name in raw]
        entries += [part for entry in entries for part in entry.get("tiered_pricing", ())]
        named = {price for entry in entries for price in entry.values() if is_number(price)}
        for card in filter(None, (one.rates, one.batch_rates)):
            for price, scale, digit in (
                *((price, 10**6, Decimal("5e-7")) for price in (card.input, card.output)),
                (card.unit, 1, Decimal("5e-13")),
            ):
                assert price == 0 or any(abs(price - scale * it) <= digit for it in named), one
        assert one.rates.per in (None, one.task.unit)
        assert one.rates.per is None or one.rates.input == one.rates.output == 0
        if one.batch_rates is not None:
            assert one.batch_rates.input <= one.rates.input
            assert one.batch_rates.output <= one.rates.output
    assert min(counts[task] for task in Task if task is not Task.MODERATION) > 10
    assert counts[Task.MODERATION] > 0


def is_number(price: object) -> bool:
    return isinstance(price, int | Decimal) and not isinstance(price, bool)


@pytest.mark.parametrize(
    ("provider", "model", "task", "card"),
    [
        ("openai", "whisper-1", Task.TRANSCRIPTION, unit("0.0001", Unit.SECOND)),
        ("openai", "gpt-4o-transcribe", Task.TRANSCRIPTION, tokens("2.5", "10")),
        ("openai", "tts-1", Task.SPEECH, unit("0.000015", Unit.CHARACTER)),
        ("openai", "text-embedding-3-small", Task.EMBEDDING, tokens("0.02")),
        ("openai", "omni-moderation-latest", Task.MODERATION, tokens("0")),
        ("openai", "davinci-002", Task.COMPLETION, tokens("2", "2")),
        ("cohere", "rerank-v3.5", Task.RERANK, unit("0.002", Unit.SEARCH)),
        ("mistral", "mistral-moderation-2603", Task.MODERATION, None),
        ("openai", "gpt-image-1.5", Task.IMAGE, None),
        ("openai", "high/1024-x-1024/gpt-image-1", Task.IMAGE, None),
    ],
)
def test_published_prices_of_other_work(
    provider: str, model: str, task: Task, card: RateCard | None
) -> None:
    """Whisper at 0.006 USD a minute, TTS at 15 USD a million characters, a rerank at 2 USD a
    thousand; models with two prices for what comes out have none."""
    found = installed().find(provider, model)
    assert found is not None
    assert (found.task, found.rates) == (task, card)


def test_a_token_priced_image_model() -> None:
    """GPT Image: 5 USD a million tokens of text, 1.25 of them cached, 40 of images."""
    found = installed().find("openai", "gpt-image-1")
    assert found is not None
    assert found.rates == RateCard.of(Decimal(5), Decimal(40), cache_read=Decimal("1.25"))


def test_published_prices() -> None:
    """Models whose public prices are known, by their providers' names for them."""
    gpt = installed().find("openai", "gpt-4o")
    assert gpt is not None
    assert gpt.rates == RateCard.of(Decimal("2.5"), Decimal(10), cache_read=Decimal("1.25"))
    assert gpt.context_tokens == 128_000
    assert {Feature.TOOLS, Feature.VISION, Feature.JSON_SCHEMA} <= (gpt.features or frozenset())
    assert installed().source == f"litellm {metadata.version('litellm')}"
    assert installed().find("openai", "gpt-17") is None
    assert installed().find("groq", "gpt-4o") is None


def test_one_open_model_has_many_prices() -> None:
    """Llama 3.3 70B: the dearest provider's output costs more than six times the cheapest's."""
    llama = re.compile(r"llama-?3[._-]3-70b", re.IGNORECASE)
    prices = {
        one.provider: one.rates.output
        for one in installed()
        if one.rates is not None and llama.search(one.model)
    }
    assert len(prices) >= 10
    assert max(prices.values()) / min(prices.values()) > 6


# -- an entry


def test_prices_are_exact(write: Write) -> None:
    """USD per token becomes USD per million; what went through a float comes out clean."""
    assert only(write()).rates == RateCard.of(Decimal("0.15"), Decimal("0.6"))
    noisy = only(write(input_cost_per_token=9.999999999999999e-08)).rates
    assert noisy is not None
    assert noisy.as_text().startswith("input=0.1 ")


def test_cache_prices(write: Write) -> None:
    """A cache price that is named counts; one that is not is the input price."""
    named = only(
        write(cache_read_input_token_cost=1e-08, cache_creation_input_token_cost=2e-07)
    ).rates
    assert named is not None
    assert (named.cache_read, named.cache_write) == (Decimal("0.01"), Decimal("0.2"))
    bare = only(write()).rates
    assert bare is not None
    assert bare.cache_read == bare.cache_write == bare.input


@pytest.mark.parametrize("key", ["input_cost_per_token", "output_cost_per_token"])
@pytest.mark.parametrize("price", [0, 0.0, None, -1e-07, True, "1e-07", 1e-14, 1e30, 2, []])
def test_what_is_no_price_is_no_card(write: Write, key: str, price: object) -> None:
    """A zero, a missing or an impossible price leaves the model without a card, and never free."""
    found = only(write(**{key: price}))
    assert found.rates is None


def test_long_prompts(write: Write) -> None:
    """Prices above a threshold are read, lowest threshold first; other tiers' are passed over."""
    found = only(
        write(
            input_cost_per_token_above_272k_tokens=4e-07,
            output_cost_per_token_above_272k_tokens=8e-07,
            cache_read_input_token_cost_above_272k_tokens=1e-07,
            input_cost_per_token_above_128k_tokens=3e-07,
            output_cost_per_token_above_128k_tokens=7e-07,
            input_cost_per_token_above_272k_tokens_priority=9e-06,
        )
    )
    assert [one.above_prompt_tokens for one in found.overrides] == [128_000, 272_000]
    assert found.overrides[1].rates == RateCard.of(
        Decimal("0.4"), Decimal("0.8"), cache_read=Decimal("0.1")
    )


def test_a_long_prompt_keeps_the_prices_that_its_tier_does_not_name(write: Write) -> None:
    """A tier that names its input price only leaves the output price as it was."""
    (tier,) = only(write(input_cost_per_token_above_128k_tokens=3e-07)).overrides
    assert tier.rates == RateCard.of(Decimal("0.3"), Decimal("0.6"))


def test_limits_and_features(write: Write) -> None:
    """Counts that are counts, and features that are claimed; what is unknown stays unknown."""
    found = only(
        write(
            max_input_tokens=1000,
            max_output_tokens=True,
            supports_vision=True,
            supports_function_calling="yes",
        )
    )
    assert (found.context_tokens, found.max_output_tokens) == (1000, None)
    assert Feature.VISION in (found.features or ())
    assert Feature.TOOLS not in (found.features or ())
    assert only(write(max_input_tokens="128k")).context_tokens is None


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "video_generation"},
        {"mode": None},
        {"mode": ["chat"]},
        {"litellm_provider": None},
        {"litellm_provider": 5},
    ],
)
def test_what_nobody_can_ask_for_is_passed_over(write: Write, change: dict[str, object]) -> None:
    """Films, and entries without a mode or a provider, are not for sale here."""
    assert list(write(**change)) == []


# -- an entry of other work than chat


TOKENS = {"input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06}
FREE = {"input_cost_per_token": 0.0, "output_cost_per_token": 0}
HEARD, SPOKEN = "input_cost_per_audio_token", "output_cost_per_audio_token"
PAINTED = "output_cost_per_image_token"

# Every kind of entry that has a card: its mode, its prices, the card.
PRICED: list[tuple[str, dict[str, float], RateCard]] = [
    ("chat", TOKENS, tokens("2", "8")),
    ("responses", TOKENS, tokens("2", "8")),
    ("completion", TOKENS, tokens("2", "8")),
    ("embedding", {"input_cost_per_token": 2e-08}, tokens("0.02")),
    ("embedding", {**FREE, "input_cost_per_token": 2e-08}, tokens("0.02")),
    ("embedding", TOKENS, tokens("2", "8")),
    ("moderation", {**FREE, "input_cost_per_token": 1e-07}, tokens("0.1")),
    ("rerank", {**FREE, "input_cost_per_query": 0.002}, unit("0.002", Unit.SEARCH)),
    ("rerank", {**FREE, "input_cost_per_token": 5e-08}, tokens("0.05")),
    ("audio_speech", {"input_cost_per_character": 1.5e-05}, unit("0.000015", Unit.CHARACTER)),
    (
        "audio_speech",
        {**TOKENS, SPOKEN: 1.2e-05, "output_cost_per_second": 0.00025},
        tokens("2", "12"),
    ),
    ("audio_transcription", {"input_cost_per_second": 0.0001}, unit("0.0001", Unit.SECOND)),
    (
        "audio_transcription",
        {"input_cost_per_second": 0, "output_cost_per_second": 0.0001, **FREE},
        unit("0.0001", Unit.SECOND),
    ),
    (
        "audio_transcription",
        {"input_cost_per_second": 0.0001, "output_cost_per_second": 0.0001},
        unit("0.0001", Unit.SECOND),
    ),
    (
        "audio_transcription",
        {**TOKENS, HEARD: 2e-06, "input_cost_per_second": 0.0001},
        tokens("2", "8"),
    ),
    ("image_generation", {"output_cost_per_image": 0.04}, unit("0.04", Unit.IMAGE)),
    ("image_generation", {"input_cost_per_image": 0.02, **FREE}, unit("0.02", Unit.IMAGE)),
    (
        "image_generation",
        {"input_cost_per_token": 5e-06, "input_cost_per_image_token": 1e-05, PAINTED: 4e-05},
        tokens("5", "40"),
    ),
]

# Every kind of entry that no card can hold, or whose price nobody has looked up.
UNPRICED: list[tuple[str, Mapping[str, object]]] = [
    ("embedding", FREE),
    ("embedding", {"input_cost_per_token": 1e-07, "input_cost_per_character": 2.5e-08}),
    ("embedding", {"input_cost_per_query": 7e-05, "input_cost_per_image": 1e-04}),
    ("embedding", {"input_cost_per_token": 1e-07, "output_cost_per_token": "free"}),
    ("moderation", FREE),
    ("moderation", {}),
    ("rerank", FREE),
    ("rerank", {**TOKENS, "input_cost_per_query": 0.002}),
    ("rerank", {"input_cost_per_query": 0}),
    ("audio_speech", {"output_cost_per_image": 0.06}),
    ("audio_speech", {**TOKENS, "output_cost_per_second": 0.00025}),
    ("audio_speech", {**TOKENS, "input_cost_per_character": 1.5e-05}),
    ("audio_transcription", FREE),
    ("audio_transcription", {**TOKENS, HEARD: 6e-06}),
    ("audio_transcription", {HEARD: 2e-06, "output_cost_per_token": 8e-06}),
    (
        "audio_transcription",
        {"input_cost_per_second": 0.0001, "output_cost_per_second": 0.0002},
    ),
    ("image_generation", {}),
    ("image_generation", TOKENS),
    ("image_generation", {"input_cost_per_pixel": 5e-08}),
    ("image_generation", {"output_cost_per_image": 0.025, "output_cost_per_pixel": 2.4e-08}),
    ("image_generation", {"output_cost_per_image": 0.08, "output_cost_per_image_4K": 0.16}),
    ("image_generation", {"output_cost_per_image": 0.13, "input_cost_per_image": 0.001}),
    ("image_generation", {**TOKENS, PAINTED: 4e-05}),
    (
        "image_generation",
        {"input_cost_per_token": 5e-06, PAINTED: 4e-5, "output_cost_per_image": 1},
    ),
    ("image_generation", {"output_cost_per_image": True}),
    ("image_generation", {"output_cost_per_image": []}),
    ("image_generation", {"output_cost_per_image": -0.04}),
    ("image_generation", {"output_cost_per_image": 1e-15}),
    ("image_generation", {"output_cost_per_image": 5000}),
]


@pytest.fixture
def sell(tmp_path: Path) -> Callable[..., PricedModel]:
    """The one entry `acme/llama`, of a mode, with these prices and no others."""

    def sold(mode: str, prices: Mapping[str, object], provider: str = "acme") -> PricedModel:
        path = tmp_path / "prices.json"
        entry = {"litellm_provider": provider, "mode": mode, **prices}
        path.write_text(json.dumps({f"{provider}/llama": entry}))
        found = read_file(path, "1.2.3").find(provider, "llama")
        assert found is not None
        return found

    return sold


Sell = Callable[..., PricedModel]


@pytest.mark.parametrize(("mode", "prices", "card"), PRICED)
def test_each_kind_of_work_by_its_own_price(
    sell: Sell, mode: str, prices: dict[str, float], card: RateCard
) -> None:
    """What a card can hold, it holds: by tokens, seconds, characters, images or searches."""
    found = sell(mode, prices)
    assert found.rates == card
    assert found.task is not None
    assert found.rates.per in (None, found.task.unit)


@pytest.mark.parametrize(("mode", "prices"), UNPRICED)
def test_what_no_card_holds_has_none(sell: Sell, mode: str, prices: Mapping[str, object]) -> None:
    """Two prices for one thing, prices at odds, by pixel or by size, or none that is believable."""
    assert sell(mode, prices).rates is None


@pytest.mark.parametrize(("mode", "prices", "card"), PRICED)
def test_a_price_that_nobody_understands_is_part_of_the_bill(
    sell: Sell, mode: str, prices: dict[str, float], card: RateCard
) -> None:
    """An entry that names one more price, of whatever kind, is not sold by the others: what is not
    chat has few enough prices to know them all. A paid tier's price is another matter."""
    if mode in ("chat", "responses", "completion"):
        return
    assert sell(mode, {**prices, "output_cost_per_parsec": 0.5}).rates is None
    tiers = {"input_cost_per_token_priority": 9e-06, "output_cost_per_parsec_flex": 0.5}
    assert sell(mode, {**prices, **tiers, "output_cost_per_parsec": 0}).rates == card


def test_moderation_is_free_where_its_provider_says_so(sell: Sell) -> None:
    """OpenAI's documentation calls it free, and the file's 0 is believed; elsewhere a 0 is a price
    that is missing. A price that is not named is none, at OpenAI too."""
    assert sell("moderation", FREE, provider="openai").rates == tokens("0")
    assert sell("moderation", {}, provider="openai").rates is None
    assert sell("chat", FREE, provider="openai").rates is None


def test_an_embedding_of_text_has_the_price_of_text(sell: Sell) -> None:
    """Images and sounds may cost more there: the card is for text, and the model is not said to
    see, so that what is no text is not sent to it."""
    prices = {"input_cost_per_token": 1.2e-07, "input_cost_per_image_token": 4.7e-07}
    found = sell("embedding", {**prices, "supports_vision": True})
    assert found.rates == tokens("0.12")
    assert Feature.VISION not in (found.features or ())
    sees = sell("embedding", {**TOKENS, "supports_vision": True}).features
    assert Feature.VISION in (sees or ())


@pytest.mark.parametrize(
    ("provider", "model", "variant"),
    [
        ("acme", "llama", "low/1024-x-1024/llama"),
        ("acme", "llama", "acme/high/512-x-512/llama"),
        ("bedrock", "llama", "512-x-512/50-steps/bedrock/llama"),
        ("bedrock", "us.llama", "max-x-max/max-steps/bedrock/llama"),
    ],
)
def test_an_image_whose_price_is_its_size_has_no_price(
    tmp_path: Path, provider: str, model: str, variant: str
) -> None:
    """Where the file has entries of a model by size or quality, none of its prices is the price;
    that of its tokens stays."""
    path = tmp_path / "prices.json"
    image = {"litellm_provider": provider, "mode": "image_generation"}
    by_image = {**image, "output_cost_per_image": 0.04}
    by_token = {**image, "input_cost_per_token": 5e-06, PAINTED: 4e-05}

    def rates(**entries: dict[str, Any]) -> RateCard | None:
        path.write_text(json.dumps({f"{provider}/{model}": entries.pop("model"), **entries}))
        found = read_file(path, "1.2.3").find(provider, model)
        assert found is not None
        return found.rates

    assert rates(model=by_image) == unit("0.04", Unit.IMAGE)
    assert rates(model=by_image, **{variant: by_image}) is None
    assert rates(model=by_token, **{variant: by_image}) == tokens("5", "40")
    sold = read_file(path, "1.2.3")
    assert {one.rates for one in sold if one.model != model} == {None}


# -- batches


def batch(entry: dict[str, object]) -> dict[str, object]:
    return {f"{name}_batches": price for name, price in entry.items()}


def test_the_price_of_batches(write: Write) -> None:
    """Named for batches, it is the batch card; not named, there is none."""
    found = only(write(**batch({"input_cost_per_token": 7.5e-08, "output_cost_per_token": 3e-07})))
    assert found.batch_rates == tokens("0.075", "0.3")
    assert only(write()).batch_rates is None
    for half in ("input_cost_per_token", "output_cost_per_token"):
        assert only(write(**batch({half: 7.5e-08}))).batch_rates is None


def test_batches_of_embeddings_need_no_output_price(sell: Sell) -> None:
    """Nothing is written, and nothing is billed for it."""
    prices = {"input_cost_per_token": 2e-08, "input_cost_per_token_batches": 1e-08}
    assert sell("embedding", prices).batch_rates == tokens("0.01")


HALF = batch({"input_cost_per_token": 7.5e-08, "output_cost_per_token": 3e-07})


@pytest.mark.parametrize(
    ("usual", "named", "read", "write_"),
    [
        ({}, {}, "0.075", "0.075"),
        ({"cache_read_input_token_cost": 1e-08}, {}, "0.075", "0.075"),
        (
            {"cache_read_input_token_cost": 1e-08},
            {"cache_read_input_token_cost": 5e-09},
            "0.005",
            "0.075",
        ),
        ({"cache_creation_input_token_cost": 2e-07}, {}, "0.075", "0.2"),
        ({"cache_creation_input_token_cost": 5e-08}, {}, "0.075", "0.075"),
        (
            {"cache_creation_input_token_cost": 2e-07},
            {"cache_creation_input_token_cost": 1e-07},
            "0.075",
            "0.1",
        ),
    ],
)
def test_what_a_batch_price_leaves_out_is_not_guessed_low(
    write: Write, usual: dict[str, object], named: dict[str, object], read: str, write_: str
) -> None:
    """A cached token costs what the batch names, else what any other does; a written one what the
    batch names, else its usual price if that is more."""
    card = only(write(**usual, **HALF, **batch(named))).batch_rates
    assert card is not None
    assert (card.cache_read, card.cache_write) == (Decimal(read), Decimal(write_))


def test_long_prompts_in_batches(write: Write) -> None:
    """A threshold's batch prices are read; what it does not name for batches costs as elsewhere."""
    above = {
        "input_cost_per_token_above_200k_tokens": 3e-07,
        "output_cost_per_token_above_200k_tokens": 9e-07,
    }
    named = batch({"input_cost_per_token_above_200k_tokens": 1.5e-07})
    found = only(write(**HALF, **above, **named))
    (tier,) = found.batch_overrides
    assert (tier.above_prompt_tokens, tier.rates) == (200_000, tokens("0.15", "0.9"))
    (usual,) = only(write(**HALF, **above)).batch_overrides
    assert usual.rates == tokens("0.3", "0.9")
    assert only(write(**above)).batch_overrides == ()


# -- names of providers


@pytest.mark.parametrize(
    ("asked", "entry", "is_found"),
    [
        ("openai", "text-completion-openai", True),
        ("azure", "azure_text", True),
        ("vertex_ai", "vertex_ai-embedding-models", True),
        ("fireworks_ai", "fireworks_ai-embedding-models", True),
        ("bedrock", "bedrock_converse", True),
        ("azure", "azure_ai", False),
        ("vertex_ai", "vertex_air", False),
        ("openai", "openai-like", False),
    ],
)
def test_a_provider_has_several_names(
    tmp_path: Path, asked: str, entry: str, is_found: bool
) -> None:
    """LiteLLM splits some providers by what they sell; the operator names the one he knows."""
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"llama": {**ENTRY, "litellm_provider": entry}}))
    found = read_file(path, "1.2.3").find(asked, "llama")
    assert (found is not None) is is_found


# -- a file


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"5", b"\xff\xfe", b'{"\xff": {}}', b"<html>"]
)
def test_a_broken_file(tmp_path: Path, content: bytes) -> None:
    """What is no price file is refused by name; no traceback of a parser comes through."""
    path = tmp_path / "prices.json"
    path.write_bytes(content)
    with pytest.raises(FeedUnreadable, match=re.escape(str(path))):
        read_file(path, "1.2.3")


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that is not there, or a folder in its place, is refused by name."""
    for path in (tmp_path / "nothing.json", tmp_path):
        with pytest.raises(FeedUnreadable, match=re.escape(str(path))):
            read_file(path, "1.2.3")


@pytest.mark.parametrize("entry", ["5", "null", "[]", '{"mode": "\xff"}', "[" * 5000 + "]" * 5000])
def test_a_broken_entry_is_passed_over(tmp_path: Path, entry: str) -> None:
    """One entry that is none does not take the other models with it."""
    path = tmp_path / "prices.json"
    path.write_bytes(
        b'{"acme/bad": %s, "acme/llama": %s}'
        % (entry.encode("latin-1"), json.dumps(ENTRY).encode())
    )
    try:
        file = read_file(path, "1.2.3")
    except FeedUnreadable:
        return  # so broken that the whole of it is none
    assert only(file).rates is not None
    assert file.find("acme", "bad") is None


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://API.OpenAI.com:443/v1", "openai"),
        ("http://127.0.0.1:9000/v1", None),
        ("api.groq.com", None),
    ],
)
def test_providers_by_their_host(url: str, provider: str | None) -> None:
    """The host of a base URL says which provider's prices apply; an unknown host says nothing."""
    assert provider_of(url) == provider

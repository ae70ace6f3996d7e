"""LiteLLM's price file: read exactly, believed carefully, and without LiteLLM."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from benchmarks.errors import FeedUnreadable
from benchmarks.feeds.litellm import (
    FILE,
    PricedModel,
    PriceFile,
    provider_of,
    read_file,
    read_installed,
)
from benchmarks.offers import Feature
from ledger.rates import RateCard

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
        cwd=Path(__file__).parents[2],
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
        if found.rates is not None:
            for price, name in (
                (found.rates.input, "input_cost_per_token"),
                (found.rates.output, "output_cost_per_token"),
            ):
                assert isinstance(price, Decimal)
                assert abs(price - entry[name] * 1_000_000) <= Decimal("0.0000005")
                assert price > 0
            checked += 1
    assert checked > 1000


def test_published_prices() -> None:
    """Models whose public prices are known, by their providers' names for them."""
    gpt = installed().find("openai", "gpt-4o")
    assert gpt is not None
    assert gpt.rates == RateCard.of(Decimal("2.5"), Decimal(10), cache_read=Decimal("1.25"))
    assert gpt.context_tokens == 128_000
    assert {Feature.TOOLS, Feature.VISION, Feature.JSON_SCHEMA} <= gpt.features
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
    assert [one.above_prompt_tokens for one in found.long_context] == [128_000, 272_000]
    assert found.long_context[1].rates == RateCard.of(
        Decimal("0.4"), Decimal("0.8"), cache_read=Decimal("0.1")
    )


def test_a_long_prompt_keeps_the_prices_that_its_tier_does_not_name(write: Write) -> None:
    """A tier that names its input price only leaves the output price as it was."""
    (tier,) = only(write(input_cost_per_token_above_128k_tokens=3e-07)).long_context
    assert tier.rates == RateCard.of(Decimal("0.3"), Decimal("0.6"))


@pytest.mark.parametrize(
    "more", [{"output_cost_per_reasoning_token": 9e-07}, {"tiered_pricing": [{"range": [0, 1]}]}]
)
def test_prices_that_no_card_can_hold_are_no_card(write: Write, more: dict[str, object]) -> None:
    """Reasoning at its own price, and ranges, would be charged wrong: the model has no price."""
    assert only(write(**more)).rates is None
    same = write(output_cost_per_reasoning_token=6e-07)
    assert only(same).rates is not None


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
    assert Feature.VISION in found.features
    assert Feature.TOOLS not in found.features
    assert only(write(max_input_tokens="128k")).context_tokens is None


@pytest.mark.parametrize(
    "change", [{"mode": "embedding"}, {"litellm_provider": None}, {"litellm_provider": 5}]
)
def test_what_is_no_chat_model_is_passed_over(write: Write, change: dict[str, object]) -> None:
    """Embeddings and entries without a provider are not for sale here."""
    assert list(write(**change)) == []


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

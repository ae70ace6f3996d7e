"""LiteLLM's price file, read out of the installed package; LiteLLM itself is never imported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from benchmarks.errors import FeedUnreadable
from benchmarks.offers import Feature
from benchmarks.quotes import LongContext
from ledger.errors import NotAPrice
from ledger.rates import RateCard

FILE = "litellm/model_prices_and_context_window_backup.json"
# Prices are decimals, not floats: 1.5e-07 stays exactly that.
_entry = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_MTOK = Decimal(1_000_000)
_ABOVE = re.compile(r"input_cost_per_token_above_(\d+)k_tokens$")
_FEATURES = {
    "supports_function_calling": Feature.TOOLS,
    "supports_vision": Feature.VISION,
    "supports_response_schema": Feature.JSON_SCHEMA,
}
_BY_HOST = {
    "api.openai.com": "openai",
    "api.groq.com": "groq",
    "api.together.xyz": "together_ai",
    "api.fireworks.ai": "fireworks_ai",
    "api.deepinfra.com": "deepinfra",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "openrouter.ai": "openrouter",
    "api.x.ai": "xai",
    "api.cerebras.ai": "cerebras",
    "api.sambanova.ai": "sambanova",
    "api.hyperbolic.xyz": "hyperbolic",
    "api.novita.ai": "novita",
    "api.studio.nebius.com": "nebius",
    "api.inference.wandb.ai": "wandb",
    "api.lambda.ai": "lambda_ai",
    "generativelanguage.googleapis.com": "gemini",
}


@dataclass(frozen=True, slots=True)
class PricedModel:
    """One entry of the file. rates is None where it names no believable price.

    A price of zero in a feed is not believed: free models exist, but so do missing numbers. An
    operator who has a free offer says so in his own configuration.
    """

    provider: str
    model: str
    rates: RateCard | None
    long_context: tuple[LongContext, ...]
    context_tokens: int | None
    max_output_tokens: int | None
    features: frozenset[Feature]


class PriceFile:
    """One version of the file. An entry is read when it is asked for: there are thousands."""

    def __init__(self, version: str, entries: dict[str, msgspec.Raw]) -> None:
        self.version = version
        self._entries = entries

    @property
    def source(self) -> str:
        return f"litellm {self.version}"

    def find(self, provider: str, model: str) -> PricedModel | None:
        """The chat model that a provider (as LiteLLM names it) calls `model`; None if unknown."""
        for key in (f"{provider}/{model}", model):
            found = self._read(key)
            if found is not None and found.provider == provider:
                return found
        return None

    def __iter__(self) -> Iterator[PricedModel]:
        """Every chat model."""
        return (found for key in self._entries if (found := self._read(key)) is not None)

    def _read(self, key: str) -> PricedModel | None:
        raw = self._entries.get(key)
        if raw is None:
            return None
        try:
            entry = _entry(raw)
        except (ValueError, RecursionError):
            return None
        provider = entry.get("litellm_provider")
        if entry.get("mode") != "chat" or not isinstance(provider, str):
            return None
        return _model(provider, key.removeprefix(f"{provider}/"), entry)


def read_installed() -> PriceFile:
    """The file of the installed LiteLLM. Raises FeedUnreadable."""
    try:
        package = metadata.distribution("litellm")
    except metadata.PackageNotFoundError:
        raise FeedUnreadable(
            "LiteLLM is not installed: install it, or give every offer a price"
        ) from None
    return read_file(Path(str(package.locate_file(FILE))), package.version)


def read_file(path: Path, version: str) -> PriceFile:
    """A price file of LiteLLM's form. Raises FeedUnreadable; unknown keys are passed over."""
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw])
    except OSError as error:
        raise FeedUnreadable(f"cannot read {path}: {error.strerror}; reinstall LiteLLM") from error
    except (ValueError, RecursionError) as error:  # msgspec's errors and UTF-8's are ValueErrors
        raise FeedUnreadable(f"{path} is no price file: {error}; reinstall LiteLLM") from error
    return PriceFile(version, entries)


def provider_of(base_url: str) -> str | None:
    """What LiteLLM calls the provider behind a base URL; None for a host that it does not know."""
    return _BY_HOST.get(urlsplit(base_url).hostname or "")


def _model(provider: str, model: str, entry: dict[str, Any]) -> PricedModel:
    # The file does not speak of logprobs: what is unknown refuses nothing.
    features = {Feature.LOGPROBS}
    features |= {feature for name, feature in _FEATURES.items() if entry.get(name) is True}
    return PricedModel(
        provider=provider,
        model=model,
        rates=None if _is_beyond_a_card(provider, model, entry) else _rates(entry, ""),
        long_context=_long_context(entry),
        context_tokens=_count(entry, "max_input_tokens") or _count(entry, "max_tokens"),
        max_output_tokens=_count(entry, "max_output_tokens"),
        features=frozenset(features),
    )


def _is_beyond_a_card(provider: str, model: str, entry: dict[str, Any]) -> bool:
    """Prices that a rate card cannot hold: reasoning tokens at their own, ranges of prompts, and
    searches by models that search whether asked to or not.

    To charge such a model by its other prices would book less than is billed.
    """
    reasoning = entry.get("output_cost_per_reasoning_token")
    apart = reasoning is not None and reasoning != entry.get("output_cost_per_token")
    searches = "search_context_cost_per_query" in entry and (
        provider == "perplexity" or "search" in model
    )
    return apart or searches or "tiered_pricing" in entry


def _long_context(entry: dict[str, Any]) -> tuple[LongContext, ...]:
    found = []
    for name in entry:
        if match := _ABOVE.match(name):
            suffix = f"_above_{match[1]}k_tokens"
            above = {key + suffix: price for key, price in entry.items()} | entry
            if rates := _rates(above, suffix):  # a price that it does not name stays as it was
                found.append(LongContext(int(match[1]) * 1000, rates))
    return tuple(sorted(found, key=lambda one: one.above_prompt_tokens))


def _rates(entry: dict[str, Any], suffix: str) -> RateCard | None:
    prices = {
        name: _per_mtok(entry, key + suffix)
        for name, key in (
            ("input", "input_cost_per_token"),
            ("output", "output_cost_per_token"),
            ("cache_read", "cache_read_input_token_cost"),
            ("cache_write", "cache_creation_input_token_cost"),
        )
    }
    if prices["input"] is None or prices["output"] is None:
        return None
    try:
        return RateCard.of(
            prices["input"], prices["output"], prices["cache_read"], prices["cache_write"]
        )
    except NotAPrice:
        return None


def _per_mtok(entry: dict[str, Any], key: str) -> Decimal | None:
    price = entry.get(key)
    if isinstance(price, bool) or not isinstance(price, int | Decimal) or not 0 < price <= 1:
        return None
    # The file's numbers went through floats: 9.9999999e-08 is 0.1 USD per million.
    rounded = (Decimal(price) * _MTOK).quantize(Decimal("0.000001")).normalize()
    return rounded or None  # too small to be a price


def _count(entry: dict[str, Any], key: str) -> int | None:
    count = entry.get(key)
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else None

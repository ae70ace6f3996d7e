"""LiteLLM's price file, read out of the installed package; LiteLLM itself is never imported."""

from __future__ import annotations

import re
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
    """The chat models of one version of the file."""

    def __init__(self, version: str, models: dict[tuple[str, str], PricedModel]) -> None:
        self.version = version
        self._models = models

    @property
    def source(self) -> str:
        return f"litellm {self.version}"

    def find(self, provider: str, model: str) -> PricedModel | None:
        """The entry for a provider (as LiteLLM names it) and that provider's name of a model."""
        return self._models.get((provider, model))

    def offers_of(self, pattern: str) -> list[PricedModel]:
        """Priced entries whose model name matches a regular expression, cheapest output first."""
        wanted = re.compile(pattern)
        found = [one for one in self._models.values() if one.rates and wanted.search(one.model)]
        return sorted(found, key=lambda one: (one.rates.output if one.rates else 0, one.provider))

    def __len__(self) -> int:
        return len(self._models)


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
        # Prices are decimals, not floats: 1.5e-07 stays exactly that.
        entries = msgspec.json.Decoder(dict[str, dict[str, Any]], float_hook=Decimal).decode(
            path.read_bytes()
        )
    except OSError as error:
        raise FeedUnreadable(f"cannot read {path}: {error.strerror}; reinstall LiteLLM") from error
    except msgspec.MsgspecError as error:
        raise FeedUnreadable(f"{path} is no price file: {error}; reinstall LiteLLM") from error
    models = {}
    for key, entry in entries.items():
        provider = entry.get("litellm_provider")
        if entry.get("mode") != "chat" or not isinstance(provider, str):
            continue
        model = key.removeprefix(f"{provider}/")
        models[provider, model] = _model(provider, model, entry)
    return PriceFile(version, models)


def provider_of(base_url: str) -> str | None:
    """What LiteLLM calls the provider behind a base URL; None for a host that it does not know."""
    return _BY_HOST.get(urlsplit(base_url).hostname or "")


def _model(provider: str, model: str, entry: dict[str, Any]) -> PricedModel:
    features = frozenset(feature for name, feature in _FEATURES.items() if entry.get(name) is True)
    return PricedModel(
        provider=provider,
        model=model,
        rates=_rates(entry, ""),
        long_context=_long_context(entry),
        context_tokens=_count(entry, "max_input_tokens") or _count(entry, "max_tokens"),
        max_output_tokens=_count(entry, "max_output_tokens"),
        features=features,
    )


def _long_context(entry: dict[str, Any]) -> tuple[LongContext, ...]:
    found = []
    for name in entry:
        if match := _ABOVE.match(name):
            thousands = int(match[1])
            if rates := _rates(entry, f"_above_{thousands}k_tokens"):
                found.append(LongContext(thousands * 1000, rates))
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
    if isinstance(price, bool) or not isinstance(price, int | Decimal) or price <= 0:
        return None
    # The file's numbers went through floats: 9.9999999e-08 is 0.1 USD per million.
    return (Decimal(price) * _MTOK).quantize(Decimal("0.000001")).normalize()


def _count(entry: dict[str, Any], key: str) -> int | None:
    count = entry.get(key)
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else None

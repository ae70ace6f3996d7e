"""LiteLLM's price file, read out of the installed package; LiteLLM itself is never imported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from benchmarks.errors import FeedUnreadable
from benchmarks.feeds.litellm_cards import Cards, cards, is_blind
from benchmarks.offers import Feature, Task
from benchmarks.quotes import Override
from ledger.rates import RateCard

FILE = "litellm/model_prices_and_context_window_backup.json"
# Prices are decimals, not floats: 1.5e-07 stays exactly that.
_entry = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
_SIZED = re.compile(r"(?:.*/)?([0-9]+-x-[0-9]+|max-x-max)/(?:[^/]*-steps/)?(?P<model>.+)")
_TASKS = {
    "chat": Task.CHAT,
    "responses": Task.CHAT,
    "completion": Task.COMPLETION,
    "embedding": Task.EMBEDDING,
    "moderation": Task.MODERATION,
    "image_generation": Task.IMAGE,
    "audio_speech": Task.SPEECH,
    "audio_transcription": Task.TRANSCRIPTION,
    "rerank": Task.RERANK,
}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_FAMILIES = frozenset(("bedrock", "fireworks_ai", "vertex_ai"))
_ALSO = {"openai": ("text-completion-openai",), "azure": ("azure_text",)}
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
    """One entry of the file: a model and the kind of work that it does.

    rates: None where the file names no believable price that a card can hold. batch_rates,
    batch_overrides: through the provider's batch API; None where the file names no price of it.
    tiers: the same at service tiers that it names prices of. ends_at: from when on its provider no
    longer sells it, as far as the file knows.
    """

    provider: str
    model: str
    task: Task
    rates: RateCard | None
    overrides: tuple[Override, ...]
    batch_rates: RateCard | None
    batch_overrides: tuple[Override, ...]
    context_tokens: int | None
    max_output_tokens: int | None
    features: frozenset[Feature]
    speaks_chat: bool = True
    tiers: Mapping[str, Cards] = field(default_factory=dict)
    ends_at: datetime | None = None


class PriceFile:
    """One version of the file. An entry is read when it is asked for: there are thousands."""

    def __init__(self, version: str, entries: dict[str, msgspec.Raw]) -> None:
        self.version = version
        self._entries = entries

    @property
    def source(self) -> str:
        return f"litellm {self.version}"

    def find(self, provider: str, model: str) -> PricedModel | None:
        """What a provider (as LiteLLM names it) calls `model`; None if unknown, or of a kind of
        work that nobody can ask us for."""
        for key in (f"{provider}/{model}", model):
            found = self._read(key)
            if found is not None and _is_one_of(found.provider, provider):
                return found
        return None

    def __iter__(self) -> Iterator[PricedModel]:
        """Every model of the kinds of work that we know."""
        return (found for key in self._entries if (found := self._read(key)) is not None)

    def _read(self, key: str) -> PricedModel | None:
        raw = self._entries.get(key)
        if raw is None:
            return None
        try:
            entry = _entry(raw)
        except (ValueError, RecursionError):
            return None
        provider, mode = entry.get("litellm_provider"), entry.get("mode")
        task = _TASKS.get(mode) if isinstance(mode, str) else None
        if task is None or not isinstance(provider, str):
            return None
        model = key.removeprefix(f"{provider}/")
        is_sized = task is Task.IMAGE and self._is_sized(key, provider, model)
        return _model(task, provider, model, entry, is_sized=is_sized)

    def _is_sized(self, key: str, provider: str, model: str) -> bool:
        anywhere = model.partition(".")[2]  # without Bedrock's region, as in us.amazon.nova-canvas
        names = (key, model, f"{provider}/{model}", f"{provider}/{anywhere}")
        return not self._sized.isdisjoint(names)

    @cached_property
    def _sized(self) -> frozenset[str]:
        """Entries of one size and quality of images, and the models that they are of: that there
        are any says that no one price is right for the model."""
        found = [one for key in self._entries if (one := _SIZED.fullmatch(key))]
        return frozenset(name for one in found for name in (one[0], one["model"]))


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


def _is_one_of(found: str, provider: str) -> bool:
    """Whether LiteLLM's name of a provider is another one for `provider`: it has several for those
    that sell more than one kind of model, as `vertex_ai-embedding-models`."""
    if found == provider or found in _ALSO.get(provider, ()):
        return True
    return provider in _FAMILIES and found.startswith((f"{provider}-", f"{provider}_"))


def _model(
    task: Task, provider: str, model: str, entry: dict[str, Any], *, is_sized: bool
) -> PricedModel:
    # The file does not speak of logprobs: what is unknown refuses nothing.
    features = {Feature.LOGPROBS}
    features |= {feature for name, feature in _FEATURES.items() if entry.get(name) is True}
    if task is Task.EMBEDDING and is_blind(entry):
        features.discard(Feature.VISION)  # its card is that of text
    found = cards(task, provider, model, entry, is_sized=is_sized)
    return PricedModel(
        provider=provider,
        model=model,
        task=task,
        rates=found.rates,
        overrides=found.overrides,
        batch_rates=found.batch_rates,
        batch_overrides=found.batch_overrides,
        context_tokens=_count(entry, "max_input_tokens") or _count(entry, "max_tokens"),
        max_output_tokens=_count(entry, "max_output_tokens"),
        features=frozenset(features),
        speaks_chat=_speaks_chat(entry),
        tiers=found.tiers,
        ends_at=_day(entry.get("deprecation_date")),
    )


def _day(written: object) -> datetime | None:
    """The beginning of a day in UTC; None for what is none."""
    if not isinstance(written, str) or _DAY.fullmatch(written) is None:
        return None
    try:
        return datetime.combine(date.fromisoformat(written), time(), UTC)
    except ValueError:
        return None


def _speaks_chat(entry: dict[str, Any]) -> bool:
    """What the file names responses models are asked as responses, unless it says otherwise."""
    endpoints = entry.get("supported_endpoints")
    if entry.get("mode") != "responses":
        return True
    return isinstance(endpoints, list) and "/v1/chat/completions" in endpoints


def _count(entry: dict[str, Any], key: str) -> int | None:
    count = entry.get(key)
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else None

"""LiteLLM's price file: of the installed package, or from anywhere else where it lies.

LiteLLM itself is never imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from benchmarks.alarms import AlarmName
from benchmarks.errors import FeedRefused, FeedUnreadable
from benchmarks.feeds.document import Document, refuse_unlikely, undecodable
from benchmarks.feeds.litellm_cards import cards, is_blind
from benchmarks.feeds.reading import Fault, PricedModel, Reading
from benchmarks.offers import Feature, Task

SOURCE = "litellm"
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
_PLAIN = ("input_cost_per_token", "output_cost_per_token")
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


class PriceFile:
    """One version of the file. An entry is read when it is asked for: there are thousands."""

    def __init__(self, version: str, entries: dict[str, msgspec.Raw]) -> None:
        self.version = version
        self._entries = entries

    @property
    def source(self) -> str:
        return f"{SOURCE} {self.version}"

    def find(self, provider: str, model: str) -> PricedModel | None:
        """What a provider (as LiteLLM names it) calls `model`; None if unknown, or of a kind of
        work that nobody can ask us for."""
        return next((found for _, found in self._found(provider, model)), None)

    def fault(self, provider: str, model: str) -> Fault:
        """Why an entry that `find` finds has no price."""
        key = next(key for key, _ in self._found(provider, model))
        entry = _entry(self._entries[key])
        prices = {name: entry[name] for name in _PLAIN if entry.get(name) is not None}
        name, value = AlarmName.MISSING, "no price that a card can hold"
        for price, amount in prices.items():
            if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
                name, value = AlarmName.NOT_A_NUMBER, f"{price} {amount!r}"
            elif amount <= 0:
                name = AlarmName.NEGATIVE if amount < 0 else AlarmName.ZERO
                value = f"{price} {amount}"
        return Fault(f"{provider}/{model}", name, value)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[PricedModel]:
        """Every model of the kinds of work that we know."""
        return (found for key in self._entries if (found := self._read(key)) is not None)

    def _found(self, provider: str, model: str) -> Iterator[tuple[str, PricedModel]]:
        for key in (f"{provider}/{model}", model):
            found = self._read(key)
            if found is not None and _is_one_of(found.provider, provider):
                yield key, found

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
    path, version = installed_file()
    return read_file(path, version)


def read_file(path: Path, version: str) -> PriceFile:
    """A price file of LiteLLM's form. Raises FeedUnreadable; unknown keys are passed over."""
    try:
        return price_file(_document(path, version))
    except FeedRefused as error:
        raise FeedUnreadable(f"{path} is no price file: {error}; reinstall LiteLLM") from error


def price_file(document: Document) -> PriceFile:
    """The file that a document is. Raises FeedRefused."""
    refuse_unlikely(document.body)
    try:
        entries = msgspec.json.decode(document.body, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError) as error:
        raise undecodable(document.body, error) from error
    return PriceFile(document.name, entries)


def read(document: Document, asked: Iterable[tuple[str, str]]) -> Reading:
    """What the file says of these providers' models, each under the names that it is asked by.

    Raises FeedRefused.
    """
    prices = price_file(document)
    found: list[PricedModel] = []
    faults: list[Fault] = []
    for provider, model in dict.fromkeys(asked):
        if (one := prices.find(provider, model)) is not None:
            found.append(one := replace(one, provider=provider, model=model))
            if one.rates is None:
                faults.append(prices.fault(provider, model))
    return Reading(
        source=SOURCE,
        version=prices.version,
        known_at=document.known_at,
        as_of=document.as_of or document.known_at,
        entries=tuple(found),
        listed=len(prices),
        faults=tuple(faults),
    )


def installed_file() -> tuple[Path, str]:
    """Where the file of the installed LiteLLM lies, and its version. Raises FeedUnreadable."""
    try:
        package = metadata.distribution("litellm")
    except metadata.PackageNotFoundError:
        raise FeedUnreadable(
            "LiteLLM is not installed: install it, or give every offer a price"
        ) from None
    return Path(str(package.locate_file(FILE))), package.version


def _document(path: Path, version: str) -> Document:
    try:
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return Document(path.read_bytes(), written, written, version)
    except OSError as error:
        raise FeedUnreadable(f"cannot read {path}: {error.strerror}; reinstall LiteLLM") from error


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

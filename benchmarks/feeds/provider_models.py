"""Providers' own lists of models, where they name prices.

Each writes them in its own unit: a shape is known by its provider's name, never guessed from the
numbers. OpenAI, Anthropic, Groq, Mistral, DeepSeek, Fireworks and Cerebras name none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from benchmarks.alarms import AlarmName
from benchmarks.errors import FeedRefused
from benchmarks.feeds import openrouter
from benchmarks.feeds.document import Document, decoded
from benchmarks.feeds.figures import PER_MTOK, Names, NotBelieved, card, count, text, texts
from benchmarks.feeds.reading import Fault, PricedModel, Reading, reading_of
from benchmarks.offers import Feature, Task

_TEN_THOUSANDTHS = Decimal("0.0001")
_TOGETHER_TASKS = {
    "chat": Task.CHAT,
    "language": Task.COMPLETION,
    "code": Task.COMPLETION,
    "embedding": Task.EMBEDDING,
    "rerank": Task.RERANK,
    "moderation": Task.MODERATION,
}
_BY_TOKENS_ALONE = frozenset((Task.EMBEDDING, Task.RERANK, Task.MODERATION))
_NOVITA_FEATURES = {
    "function-calling": Feature.TOOLS,
    "structured-outputs": Feature.JSON_SCHEMA,
}
_CHUTES_FEATURES = {
    "tools": Feature.TOOLS,
    "structured_outputs": Feature.JSON_SCHEMA,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """How a provider lists its models. path: after its base URL. entry: what one of them says."""

    path: str
    entry: Callable[[str, Mapping[str, Any]], Iterator[PricedModel | Fault]]


def read(shape: str, document: Document, provider: str = "") -> Reading:
    """A list of one of SHAPES. provider: what to call it, if not as its shape.

    Raises FeedRefused.
    """
    provider = provider or shape
    found = decoded(document.body)
    listed = found.get("data") if isinstance(found, dict) else found
    if not isinstance(listed, list):
        raise FeedRefused(AlarmName.MALFORMED, "the document has no list of models")
    found = _each(SHAPES[shape], provider, listed)
    return reading_of(document, f"{provider} models", found, len(listed))


def _each(shape: Shape, provider: str, listed: Iterable[Any]) -> Iterable[PricedModel | Fault]:
    for one in listed:
        if not isinstance(one, dict) or text(one.get("id")) is None:
            yield Fault(provider, AlarmName.MALFORMED, "an entry has no id")
        else:
            yield from shape.entry(provider, one)


def _priced(
    provider: str,
    one: Mapping[str, Any],
    prices: Any,
    names: Names,
    *,
    task: Task = Task.CHAT,
    context: object = None,
    longest: object = None,
    features: frozenset[Feature] | None = None,
) -> Iterator[PricedModel | Fault]:
    model, rates = str(one["id"]), None
    try:
        if not isinstance(prices, dict):
            raise NotBelieved(AlarmName.MISSING, "no prices")
        rates = card(prices, names, free_output=task in _BY_TOKENS_ALONE)
    except NotBelieved as error:
        yield Fault(f"{provider}/{model}", error.name, error.value)
    yield PricedModel(
        provider=provider,
        model=model,
        task=task,
        rates=rates,
        context_tokens=count(context),
        max_output_tokens=count(longest),
        features=features,
        quantization=text(one.get("quantization")),
        parameters=texts(one.get("supported_sampling_parameters")),
    )


def _together(provider: str, one: Mapping[str, Any]) -> Iterator[PricedModel | Fault]:
    """USD per million tokens. Images, audio and video are priced in ways that it does not say."""
    task = _TOGETHER_TASKS.get(str(one.get("type")))
    if task is None:
        return
    names = Names(PER_MTOK, "input", "output", "cached_input")
    context = one.get("context_length")
    yield from _priced(provider, one, one.get("pricing"), names, task=task, context=context)


def _deepinfra(provider: str, one: Mapping[str, Any]) -> Iterator[PricedModel | Fault]:
    """USD per million tokens, under `metadata`, which is null for what is no model of text."""
    metadata = one.get("metadata")
    if not isinstance(metadata, dict):
        return
    pricing = metadata.get("pricing")
    if isinstance(pricing, dict) and "input_tokens" not in pricing:
        return  # by the image, the character or the second
    writes = isinstance(pricing, dict) and "output_tokens" in pricing
    task = Task.CHAT if writes else Task.EMBEDDING
    names = Names(
        PER_MTOK, "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"
    )
    context, longest = metadata.get("context_length"), metadata.get("max_tokens")
    yield from _priced(provider, one, pricing, names, task=task, context=context, longest=longest)


def _novita(provider: str, one: Mapping[str, Any]) -> Iterator[PricedModel | Fault]:
    """Ten-thousandths of a USD per million tokens."""
    pricing = one.get("pricing")
    cached = pricing.get("input_cache_read") if isinstance(pricing, dict) else None
    prices = {
        "input_token_price_per_m": one.get("input_token_price_per_m"),
        "output_token_price_per_m": one.get("output_token_price_per_m"),
        "input_cache_read": cached.get("price_per_m") if isinstance(cached, dict) else None,
    }
    names = Names(
        _TEN_THOUSANDTHS, "input_token_price_per_m", "output_token_price_per_m", "input_cache_read"
    )
    said = texts(one.get("features"))
    yield from _priced(
        provider,
        one,
        prices,
        names,
        context=one.get("context_size"),
        longest=one.get("max_output_tokens"),
        features=_named(said, _NOVITA_FEATURES, one.get("input_modalities")),
    )


def _chutes(provider: str, one: Mapping[str, Any]) -> Iterator[PricedModel | Fault]:
    """USD per million tokens, though it calls them as OpenRouter does."""
    names = Names(PER_MTOK, "prompt", "completion", "input_cache_read")
    said = texts(one.get("supported_features"))
    yield from _priced(
        provider,
        one,
        one.get("pricing"),
        names,
        context=one.get("context_length"),
        longest=one.get("max_output_length"),
        features=_named(said, _CHUTES_FEATURES, one.get("input_modalities")),
    )


def _named(
    said: frozenset[str] | None, names: Mapping[str, Feature], inputs: object
) -> frozenset[Feature] | None:
    if said is None:
        return None
    sees = "image" in (texts(inputs) or ())
    found = {feature for name, feature in names.items() if name in said}
    # They do not speak of logprobs: what is unknown refuses nothing.
    return frozenset({*found, Feature.LOGPROBS} | ({Feature.VISION} if sees else set()))


SHAPES: Mapping[str, Shape] = {
    "together": Shape("/models", _together),
    "deepinfra": Shape("/models", _deepinfra),
    "novita": Shape("/models", _novita),
    "chutes": Shape("/models", _chutes),
    "nebius": Shape("/models?verbose=true", openrouter.sold),
    "openrouter": Shape("/models", openrouter.sold),
}
"""By the preset's name; Chutes, which is none, by that of its host."""
_HOSTS = {"llm.chutes.ai": "chutes"}


def shape_name(preset: str | None, base_url: str) -> str | None:
    """Which of SHAPES a provider's list has; None where it names no prices, or is not known."""
    if preset in SHAPES:
        return preset
    return _HOSTS.get(urlsplit(base_url).hostname or "")

"""OpenRouter's lists: its models, and the endpoints behind each of them.

`/models`: what OpenRouter itself asks for a model. `/models/{author}/{slug}/endpoints`: what each
provider behind it asks, and how it has done. Prices are texts, in USD per token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from benchmarks.alarms import AlarmName
from benchmarks.errors import FeedRefused
from benchmarks.feeds.document import Document, decoded, items
from benchmarks.feeds.figures import (
    PER_TOKEN,
    Names,
    NotBelieved,
    card,
    count,
    moment,
    optional,
    text,
    texts,
    within,
)
from benchmarks.feeds.reading import Fault, PricedModel, Reading, reading_of
from benchmarks.offers import Feature, Task
from benchmarks.quotes import Override, UtcHours
from benchmarks.stats import Percentiles, Stats
from ledger.errors import NotAPrice
from ledger.rates import RateCard

SOURCE = "openrouter"
NAMES = Names(
    scale=PER_TOKEN,
    input="prompt",
    output="completion",
    cache_read="input_cache_read",
    cache_write="input_cache_write",
    cache_write_1h="input_cache_write_1h",
    reasoning="internal_reasoning",
    request="request",
)
_FEATURES = {
    "tools": Feature.TOOLS,
    "structured_outputs": Feature.JSON_SCHEMA,
    "logprobs": Feature.LOGPROBS,
}
_LONGEST_TTFT_MS = 600_000.0
_MOST_TOKENS_PER_S = 20_000.0


def models(document: Document) -> Reading:
    """What OpenRouter sells itself, as its list of models has it. Raises FeedRefused."""
    listed = items(decoded(document.body), "data", "the list")
    found = (entry for one in listed for entry in sold(SOURCE, one))
    return reading_of(document, SOURCE, found, len(listed))


def endpoints(document: Document) -> Reading:
    """What the providers of one model ask for it, and how they have done. Raises FeedRefused."""
    data = decoded(document.body)
    data = data.get("data") if isinstance(data, dict) else None
    listed = items(data, "endpoints", "the model")
    model = text(data.get("id")) if isinstance(data, dict) else None
    if model is None:
        raise FeedRefused(AlarmName.MALFORMED, "the model has no id")
    sees = _sees(data)
    as_of = document.as_of or document.known_at
    found = (entry for one in listed for entry in _endpoint(model, one, as_of, sees=sees))
    return reading_of(document, SOURCE, found, len(listed))


def sold(provider: str, one: Any) -> Iterator[PricedModel | Fault]:
    """An entry of `/models`, or of another provider's that has its shape."""
    name = text(one.get("id")) if isinstance(one, dict) else None
    if name is None:
        yield Fault(provider, AlarmName.MALFORMED, "an entry has no id")
        return
    longest = _longest(one.get("top_provider"))
    yield from _priced(provider, name, None, one, sees=_sees(one), output=longest)


def _endpoint(
    model: str, one: Any, as_of: datetime, *, sees: bool
) -> Iterator[PricedModel | Fault]:
    tag = text(one.get("tag")) if isinstance(one, dict) else None
    if tag is None:
        yield Fault(model, AlarmName.MALFORMED, "an endpoint has no tag")
        return
    provider, _, more = tag.partition("/")
    for found in _priced(provider, model, more or None, one, sees=sees, output=None):
        if isinstance(found, Fault):
            yield found
            continue
        stats, faults = _stats(found.key, one, as_of)
        yield replace(found, stats=stats)
        yield from faults


def _priced(
    provider: str,
    model: str,
    tag: str | None,
    one: Mapping[str, Any],
    *,
    sees: bool,
    output: int | None,
) -> Iterator[PricedModel | Fault]:
    rates: RateCard | None = None
    overrides: tuple[Override, ...] = ()
    try:
        pricing = one.get("pricing")
        if not isinstance(pricing, dict):
            raise NotBelieved(AlarmName.MISSING, "no pricing")
        usual, overrides = card(pricing, NAMES), _overrides(pricing)
        sees = sees and not _is_dearer_to_see(pricing)
        rates = usual
    except NotBelieved as error:
        key = PricedModel(provider, model, None, None, tag=tag).key
        yield Fault(key, error.name, error.value)
    parameters = texts(one.get("supported_parameters"))
    yield PricedModel(
        provider=provider,
        model=model,
        task=Task.CHAT,
        rates=rates,
        overrides=overrides if rates else (),
        context_tokens=count(one.get("context_length")),
        max_output_tokens=count(one.get("max_completion_tokens")) or output,
        features=_features(parameters, sees=sees),
        tag=tag,
        quantization=_known(one.get("quantization")),
        parameters=parameters,
        ends_at=moment(one.get("expiration_date")),
    )


def _overrides(pricing: Mapping[str, Any]) -> tuple[Override, ...]:
    """Other prices for long prompts and at hours of the day; what one does not name stays."""
    listed = pricing.get("overrides") or []
    if not isinstance(listed, list):
        raise NotBelieved(AlarmName.MALFORMED, "overrides that are no list")
    usual = {name: value for name, value in pricing.items() if name != "overrides"}
    found = [_override(usual, one) for one in listed]
    return tuple(sorted(found, key=lambda one: one.above_prompt_tokens))


def _override(usual: Mapping[str, Any], one: Any) -> Override:
    if not isinstance(one, dict):
        raise NotBelieved(AlarmName.MALFORMED, "an override that is none")
    least = one.get("min_prompt_tokens")
    if least is not None and (isinstance(least, bool) or not isinstance(least, int) or least < 0):
        raise NotBelieved(AlarmName.NOT_A_NUMBER, f"min_prompt_tokens {least}")
    start, end = one.get("utc_start"), one.get("utc_end")
    hours = None
    if start is not None or end is not None:
        try:
            hours = UtcHours(_minute(start) % 1440, _minute(end))
        except NotAPrice as error:
            raise NotBelieved(AlarmName.IMPLAUSIBLE, str(error)) from error
    # From so many tokens on is above one less.
    return Override(card({**usual, **one}, NAMES), max(0, (least or 0) - 1), hours)


def _minute(hhmm: object) -> int:
    """`1630`, as text or number, as a minute of the day; `2400` is its end."""
    written = f"{hhmm:04d}" if isinstance(hhmm, int) else str(hhmm).replace(":", "")
    if len(written) != 4 or not written.isdecimal() or written[2:] > "59" or written > "2400":
        raise NotBelieved(AlarmName.NOT_A_NUMBER, f"the hour {hhmm}")
    return int(written[:2]) * 60 + int(written[2:])


def _stats(key: str, one: Mapping[str, Any], as_of: datetime) -> tuple[Stats, list[Fault]]:
    """How it has done; what is no measure is left out, and said."""
    faults: list[Fault] = []

    def measure(name: str, low: float, high: float, scale: float = 1.0) -> float | None:
        value: Any = one
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        try:
            found = within(value, low, high)
        except NotBelieved as error:
            faults.append(Fault(key, error.name, f"{name}: {error.value}"))
            return None
        return None if found is None else found * scale

    def percentiles(name: str, high: float, *, rising: bool = False) -> Percentiles:
        found = Percentiles(*(measure(f"{name}.p{share}", 0, high) for share in (50, 75, 90, 99)))
        values = [value for _, value in found.points()]
        if rising and (values != sorted(values) or 0 in values):
            said = ", ".join(f"{value:g}" for value in values)
            faults.append(Fault(key, AlarmName.IMPLAUSIBLE, f"{name}: percentiles {said}"))
            return Percentiles()
        return found

    status = one.get("status")
    stats = Stats(
        as_of=as_of,
        source=SOURCE,
        ttft_ms=percentiles("latency_last_30m", _LONGEST_TTFT_MS, rising=True),
        tokens_per_s=percentiles("throughput_last_30m", _MOST_TOKENS_PER_S),
        uptime_5m=measure("uptime_last_5m", 0, 100, 0.01),
        uptime_30m=measure("uptime_last_30m", 0, 100, 0.01),
        uptime_1d=measure("uptime_last_1d", 0, 100, 0.01),
        status=status if isinstance(status, int) and not isinstance(status, bool) else None,
    )
    return stats, faults


def _features(parameters: frozenset[str] | None, *, sees: bool) -> frozenset[Feature] | None:
    if parameters is None:
        return None
    features = {feature for name, feature in _FEATURES.items() if name in parameters}
    return frozenset(features | {Feature.VISION} if sees else features)


def _sees(one: Any) -> bool:
    architecture = one.get("architecture") if isinstance(one, dict) else None
    inputs = architecture.get("input_modalities") if isinstance(architecture, dict) else None
    return isinstance(inputs, list) and "image" in inputs


def _is_dearer_to_see(pricing: Mapping[str, Any]) -> bool:
    """Whether an image has a price of its own, which a card of tokens does not hold."""
    return any(optional(pricing, name, Decimal(1)) for name in ("image", "image_token"))


def _longest(top: Any) -> int | None:
    return count(top.get("max_completion_tokens")) if isinstance(top, dict) else None


def _known(quantization: Any) -> str | None:
    found = text(quantization)
    return None if found == "unknown" else found

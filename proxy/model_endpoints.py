"""/v1/models/{id}/endpoints: the offers of a model with their prices and how they do, in the shape
that OpenRouter has for it. https://openrouter.ai/docs/api-reference/list-endpoints-for-a-model"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from benchmarks.quotes import Quote
from benchmarks.snapshot import Listing
from benchmarks.traffic.observations import Seen
from ledger.rates import RateCard
from ledger.usage import Unit
from proxy.auth import authenticate
from proxy.errors import NotFound
from proxy.exchange import JSON, Exchange
from proxy.house import House
from routing.breaker import Health

_encode = msgspec.json.Encoder().encode
_MTOK = Decimal(1_000_000)
RESTS = -2
"""OpenRouter's status of an endpoint that is not asked as others are; 0 is normal."""


class Pricing(msgspec.Struct, omit_defaults=True):
    """USD per token, per request and per image, exact, as text."""

    prompt: str
    completion: str
    request: str
    input_cache_read: str
    input_cache_write: str
    internal_reasoning: str | None = None
    image_output: str | None = None


class Percentiles(msgspec.Struct):
    p50: float
    p75: float
    p90: float
    p99: float


class Endpoint(msgspec.Struct):
    """An offer. latency (ms to the first token) and throughput (tokens per second) are of the last
    five minutes of our own traffic; null without any."""

    name: str
    model_id: str
    model_name: str
    context_length: int | None
    pricing: Pricing
    provider_name: str
    tag: str
    quantization: str
    max_completion_tokens: int | None
    supported_parameters: list[str]
    status: int
    uptime_last_5m: float | None
    latency_last_30m: Percentiles | None
    throughput_last_30m: Percentiles | None


class Model(msgspec.Struct):
    id: str
    name: str
    created: int
    endpoints: list[Endpoint]
    description: str = ""


class Answer(msgspec.Struct):
    data: Model


async def endpoints(x: Exchange, house: House) -> None:
    """Those of the model that the path names; of a class, those of all its models."""
    who = authenticate(x, house)
    name = x.path.partition("/models/")[2].removesuffix("/endpoints")
    if name not in house.names or (who.models is not None and name not in who.models):
        raise NotFound(
            f"there is no model {name!r} here: GET /v1/models lists those that there are",
            param="model",
            code="model_not_found",
        )
    models = house.market.snapshot.models
    found = [
        _endpoint(model, one, one.quote, house)
        for model in house.models_of(name)
        for one in models[model]
        if one.quote is not None
    ]
    await x.answer(200, [JSON], _encode(Answer(Model(name, name, house.opened_at_s, found))))


def _endpoint(model: str, one: Listing, quote: Quote, house: House) -> Endpoint:
    offer, seen = one.offer, one.seen
    health = house.breakers.health(offer.id, house.clock.monotonic_s())
    marks = (offer.region, offer.quantization, offer.service_tier)
    part = next((mark for mark in marks if mark is not None), None)
    return Endpoint(
        name=f"{offer.provider} | {offer.model}",
        model_id=model,
        model_name=model,
        context_length=offer.context_tokens,
        pricing=_pricing(quote.card(0, house.clock.now_ns())),
        provider_name=offer.provider,
        tag=offer.provider if part is None else f"{offer.provider}/{part}",
        quantization=offer.quantization or "unknown",
        max_completion_tokens=offer.max_output_tokens,
        supported_parameters=sorted(offer.parameters or ()),
        status=0 if health is Health.CLOSED else RESTS,
        uptime_last_5m=None if seen.error_rate is None else 100 * (1 - seen.error_rate),
        latency_last_30m=_latency(seen),
        throughput_last_30m=_throughput(seen),
    )


def _pricing(card: RateCard) -> Pricing:
    return Pricing(
        prompt=_per_token(card.input),
        completion=_per_token(card.output),
        request=_plain(card.request),
        input_cache_read=_per_token(card.cache_read),
        input_cache_write=_per_token(card.cache_write),
        internal_reasoning=None if card.reasoning is None else _per_token(card.reasoning),
        image_output=_plain(card.unit) if card.per is Unit.IMAGE else None,
    )


def _per_token(usd_per_mtok: Decimal) -> str:
    return _plain(usd_per_mtok / _MTOK)


def _plain(usd: Decimal) -> str:
    return f"{usd.normalize():f}"


def _latency(seen: Seen) -> Percentiles | None:
    p50, p75, p90, p99 = seen.ttft_ms_p50, seen.ttft_ms_p75, seen.ttft_ms_p90, seen.ttft_ms_p99
    if p50 is None or p75 is None or p90 is None or p99 is None:
        return None
    return Percentiles(p50, p75, p90, p99)


def _throughput(seen: Seen) -> Percentiles | None:
    """So many answers are as fast, or slower: p50 of the speed is that of the gap."""
    p50, p75, p90 = seen.inter_token_ms_p50, seen.inter_token_ms_p75, seen.inter_token_ms_p90
    p99 = seen.inter_token_ms_p99
    if not p50 or not p75 or not p90 or not p99:
        return None
    return Percentiles(1000 / p50, 1000 / p75, 1000 / p90, 1000 / p99)

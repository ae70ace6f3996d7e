"""What the configuration offers for sale: each offer with what the price file knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from benchmarks.feeds import litellm
from benchmarks.feeds.litellm import PriceFile
from benchmarks.feeds.reading import PricedModel
from benchmarks.market import Quoted
from benchmarks.offers import Feature, Offer, Task, paid_tier
from benchmarks.quotes import Quote
from hedgerow.config import Config
from hedgerow.model_spec import OfferSpec
from hedgerow.provider_spec import DataPolicy, Provider


def price_file(config: Config) -> PriceFile | None:
    """The installed price file, if the configuration wants it. Raises FeedUnreadable."""
    return litellm.read_installed() if config.market.feeds else None


def quoted_offers(
    config: Config, prices: PriceFile | None, at: datetime
) -> dict[str, tuple[Quoted, ...]]:
    """Every model's offers in the order written, each with its quote, if anybody knows it."""
    return {
        name: tuple(_quoted(spec, config.providers, prices, at) for spec in model.offers)
        for name, model in config.models.items()
        if model.offers
    }


def sold_as(config: Config, model: str) -> tuple[str, ...]:
    """The models that a name stands for: itself, or those of a class. Raises NotFound."""
    return config.model(model).any_of or (model,)


def _quoted(
    spec: OfferSpec, providers: Mapping[str, Provider], prices: PriceFile | None, at: datetime
) -> Quoted:
    known = _known(spec, providers[spec.provider], prices)
    features, context, longest = None, spec.context_tokens, spec.max_output_tokens
    if known is not None:
        features, context = known.features, context or known.context_tokens
        longest = longest or known.max_output_tokens
    if spec.features is not None:
        features = frozenset(Feature(one) for one in spec.features)
    own_unit = spec.price.rate_card().per if spec.price else None
    if (tasks := spec.tasks) is None and own_unit is not None:
        tasks = frozenset(task for task in Task if task.unit is own_unit)
    if tasks is None and known is not None and known.task is not None:
        tasks = frozenset((known.task,))
    data = (spec.data or DataPolicy()).over(providers[spec.provider].data)
    offer = Offer(
        provider=spec.provider,
        model=spec.model,
        region=spec.region,
        quantization=spec.quantization,
        service_tier=spec.service_tier,
        context_tokens=context,
        max_output_tokens=longest,
        features=features,
        tasks=tasks,
        speaks_chat=_speaks_chat(spec, known),
        parameters=spec.parameters,
        may_train=data.may_train,
        keeps_nothing=data.keeps_nothing,
        ends_at=None if known is None else known.ends_at,
    )
    return Quoted(offer, _quote(spec, known, prices, at))


def _speaks_chat(spec: OfferSpec, known: PricedModel | None) -> bool:
    if spec.speaks_chat is not None:
        return spec.speaks_chat
    return known is None or known.speaks_chat


def _quote(
    spec: OfferSpec, known: PricedModel | None, prices: PriceFile | None, at: datetime
) -> Quote | None:
    """At its service tier. The others it may be served at are named beside it."""
    source = "" if prices is None else prices.source
    tiers = {} if known is None else _tiers(known, source, at)
    own_tier = paid_tier(spec.service_tier)
    listed = tiers.pop(own_tier, None)
    if (price := spec.price) is not None:
        return Quote(
            rates=price.rate_card(),
            list_rates=None if listed is None else listed.rates,
            overrides=price.overrides(),
            source="configuration",
            as_of=at,
            batch_rates=price.batch_card(),
            valid_until=price.ends_at(),
        )
    return None if listed is None else replace(listed, tiers=tiers)


def _tiers(known: PricedModel, source: str, at: datetime) -> dict[str | None, Quote]:
    """What it costs at every service tier that the file knows."""
    found: dict[str | None, Quote] = {}
    if known.rates is not None:
        found[None] = Quote(
            known.rates,
            known.rates,
            known.overrides,
            source,
            at,
            known.batch_rates,
            known.batch_overrides,
        )
    for tier, cards in known.tiers.items():
        if cards.rates is not None:
            found[tier] = Quote(cards.rates, cards.rates, cards.overrides, source, at)
    return found


def _known(spec: OfferSpec, provider: Provider, prices: PriceFile | None) -> PricedModel | None:
    """The price file's entry: by the name given, by the host, or by our name of the provider."""
    if prices is None:
        return None
    names = (
        *provider.litellm_names,
        litellm.provider_of(provider.base_url),
        spec.provider,
    )
    return next(
        (found for name in names if name and (found := prices.find(name, spec.model))), None
    )

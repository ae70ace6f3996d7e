"""What the configuration offers for sale: each offer with what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from benchmarks.feeds.reading import PricedModel
from benchmarks.market import Quoted
from benchmarks.offers import Feature, Offer, Task, paid_tier
from benchmarks.quotes import Quote
from benchmarks.stats import Stats
from hedgerow.config import Config
from hedgerow.files.model_spec import Model, OfferSpec
from hedgerow.files.provider_spec import DataPolicy
from hedgerow.market.price_book import Known, PriceBook
from hedgerow.market.sources import OWN, Sold

STATS_FOR = timedelta(hours=1)
"""How an endpoint has done says nothing after that."""

T = TypeVar("T")


def quoted_offers(config: Config, book: PriceBook, at: datetime) -> dict[str, tuple[Quoted, ...]]:
    """Every model's offers in the order written, each with its quote, if anybody knows it."""
    return {
        name: tuple(_quoted(config, model, spec, book, at) for spec in model.offers)
        for name, model in config.models.items()
        if model.offers
    }


def sold_as(config: Config, model: str) -> tuple[str, ...]:
    """The models that a name stands for: itself, or those of a class. Raises NotFound."""
    return config.model(model).any_of or (model,)


def _quoted(config: Config, model: Model, spec: OfferSpec, book: PriceBook, at: datetime) -> Quoted:
    known = book.known(Sold(model, spec, config.providers[spec.provider]))
    entries = [one.entry for one in known]
    features = _first(entries, lambda one: one.features)
    if spec.features is not None:
        features = frozenset(Feature(one) for one in spec.features)
    data = (spec.data or DataPolicy()).over(config.providers[spec.provider].data)
    offer = Offer(
        provider=spec.provider,
        model=spec.model,
        region=spec.region,
        quantization=spec.quantization,
        service_tier=spec.service_tier,
        context_tokens=spec.context_tokens or _first(entries, lambda one: one.context_tokens),
        max_output_tokens=spec.max_output_tokens
        or _first(entries, lambda one: one.max_output_tokens),
        features=features,
        tasks=_tasks(spec, entries),
        speaks_chat=_speaks_chat(spec, entries),
        parameters=_first(entries, lambda one: one.parameters)
        if spec.parameters is None
        else spec.parameters,
        may_train=data.may_train,
        keeps_nothing=data.keeps_nothing,
        ends_at=_first(entries, lambda one: one.ends_at),
    )
    stats = _first(entries, lambda one: _fresh(one.stats, at))
    return Quoted(offer, _quote(spec, known, at), stats, book.quality(model))


def _first(entries: Sequence[PricedModel], told: Callable[[PricedModel], T | None]) -> T | None:
    """What the first says that says anything: those whose word counts most come first."""
    return next((found for one in entries if (found := told(one)) is not None), None)


def _fresh(stats: Stats | None, at: datetime) -> Stats | None:
    return None if stats is None or at - stats.as_of > STATS_FOR else stats


def _tasks(spec: OfferSpec, entries: Sequence[PricedModel]) -> frozenset[Task] | None:
    if spec.tasks is not None:
        return spec.tasks
    if spec.price is not None and (own_unit := spec.price.rate_card().per) is not None:
        return frozenset(task for task in Task if task.unit is own_unit)
    task = _first(entries, lambda one: one.task)
    return None if task is None else frozenset((task,))


def _speaks_chat(spec: OfferSpec, entries: Sequence[PricedModel]) -> bool:
    if spec.speaks_chat is not None:
        return spec.speaks_chat
    return all(one.speaks_chat for one in entries)


def _quote(spec: OfferSpec, known: Sequence[Known], at: datetime) -> Quote | None:
    """At its service tier. The others it may be served at are named beside it."""
    own_tier = paid_tier(spec.service_tier)
    own = next((one for one in known if one.rank == OWN and one.entry.rates is not None), None)
    priced = [found for one in known if one is not own and own_tier in (found := _tiers(one, spec))]
    tiers = dict(priced[0]) if priced else {}
    listed = tiers.pop(own_tier, None)
    public = None if listed is None else listed.rates
    if (price := spec.price) is not None:
        return Quote(
            rates=price.rate_card(),
            list_rates=public,
            overrides=price.overrides(),
            source="configuration",
            as_of=at,
            batch_rates=price.batch_card(),
            valid_until=price.ends_at(),
        )
    if own is not None:
        return replace(_tiers(own, spec)[own_tier], list_rates=public)
    return None if listed is None else replace(listed, tiers=tiers)


def _tiers(one: Known, spec: OfferSpec) -> dict[str | None, Quote]:
    """What an offer costs at every service tier that one document knows."""
    entry, found = one.entry, dict[str | None, Quote]()
    if entry.rates is not None:
        its_tier = paid_tier(spec.service_tier) if one.is_of_its_tier else None
        found[its_tier] = Quote(
            entry.rates,
            entry.rates,
            entry.overrides,
            one.source,
            one.as_of,
            entry.batch_rates,
            entry.batch_overrides,
            entry.valid_until,
        )
    for tier, cards in entry.tiers.items():
        if cards.rates is not None:
            found[tier] = Quote(cards.rates, cards.rates, cards.overrides, one.source, one.as_of)
    return found

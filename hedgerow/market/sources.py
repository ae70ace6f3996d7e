"""The documents that a configuration's feeds read, and which of its offers each of them speaks of.

Of several that know an offer's price counts the first of: the configuration, the operator's file,
the provider's own list, LiteLLM's file, OpenRouter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from benchmarks.feeds import (
    artificial_analysis,
    gpu_index,
    litellm,
    openrouter,
    openrouter_names,
    provider_models,
)
from benchmarks.feeds.document import Document
from benchmarks.feeds.reading import Entry, ModelQuality, PricedModel, Reading
from benchmarks.offers import paid_tier
from hedgerow.config import Config
from hedgerow.files.feed_spec import (
    ArtificialAnalysisFeed,
    FeedSpec,
    GpuIndexFeed,
    LitellmFeed,
    OpenRouterFeed,
    PricesFeed,
    ProviderFeed,
)
from hedgerow.files.model_spec import Model, OfferSpec
from hedgerow.files.prices_file import read_prices
from hedgerow.files.provider_spec import Provider

FILES_EVERY_S = 300.0
"""How often a file is checked anew that has not changed: what is doubted may be believed then."""
OWN, OF_PROVIDER, OF_LITELLM, OF_OPENROUTER, UNPRICED = range(5)
"""Whose word on a price counts, first of all."""


@dataclass(frozen=True, slots=True)
class Sold:
    """An offer of the configuration, with all that tells which entry of a feed it is."""

    model: Model
    spec: OfferSpec
    provider: Provider

    @property
    def litellm_names(self) -> tuple[str, ...]:
        """What LiteLLM may call its provider, the likeliest first: by the name given, by the host,
        or by our own."""
        at = litellm.provider_of(self.provider.base_url)
        names = (*self.provider.litellm_names, at, self.spec.provider)
        return tuple(dict.fromkeys(one for one in names if one))

    @property
    def openrouter_slug(self) -> str:
        provider = self.provider
        preset = provider.known.name if provider.known else None
        return openrouter_names.slug_of(
            preset, provider.base_url, provider.litellm_provider, self.spec.provider
        )


@dataclass(frozen=True, slots=True)
class Address:
    """Where a document is fetched. headers: sent along; they may hold a key."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


Place: TypeAlias = Address | Path
Pick: TypeAlias = Callable[[Sequence[PricedModel], Sold], PricedModel | None]


@dataclass(frozen=True, slots=True)
class Source:
    """One document, again and again.

    name: what alarms call it. rank: whose word on a price it is. pick: which of its entries an
    offer is; None: none of them. version: of a file that has one of its own.
    """

    name: str
    rank: int
    place: Place
    every_s: float
    read: Callable[[Document], Reading]
    pick: Pick
    wants: Callable[[Entry], bool]
    version: str = ""


def sold(config: Config) -> tuple[Sold, ...]:
    """Every offer of the configuration."""
    return tuple(
        Sold(model, spec, config.providers[spec.provider])
        for model in config.models.values()
        for spec in model.offers
    )


def sources(config: Config) -> tuple[Source, ...]:
    """Every document that the feeds read now. Globs are looked up; raises FeedUnreadable."""
    offers = sold(config)
    folder = config.path.absolute().parent
    found = [one for feed in config.market.feeds for one in _of_feed(feed, config, offers, folder)]
    return tuple(sorted(found, key=lambda one: one.rank))


def has_addresses(config: Config) -> bool:
    """Whether any feed needs a network."""
    return any(
        not isinstance(one, PricesFeed | GpuIndexFeed)
        and not (isinstance(one, LitellmFeed) and one.url is None)
        for one in config.market.feeds
    )


def _of_feed(
    feed: FeedSpec, config: Config, offers: Sequence[Sold], folder: Path
) -> Iterator[Source]:
    match feed:
        case LitellmFeed():
            yield _litellm(feed, offers)
        case OpenRouterFeed():
            yield from _openrouter(feed, config, offers)
        case ProviderFeed():
            yield _provider(feed, config.providers[feed.provider], offers)
        case ArtificialAnalysisFeed():
            yield _artificial_analysis(feed, config)
        case PricesFeed():
            read = partial(read_prices, path=folder / feed.path, environ=os.environ)
            yield _source(feed.path, OWN, folder / feed.path, FILES_EVERY_S, read, _own, offers)
        case GpuIndexFeed():
            for path in sorted(folder.glob(feed.path)):
                name = str(path.relative_to(folder))
                read = partial(gpu_index.read, source=name)
                yield Source(name, UNPRICED, path, FILES_EVERY_S, read, _none, lambda _: True)


def _litellm(feed: LitellmFeed, offers: Sequence[Sold]) -> Source:
    asked = [(name, one.spec.model) for one in offers for name in one.litellm_names]
    read = partial(litellm.read, asked=asked)
    if feed.url is None:
        path, version = litellm.installed_file()
        name = "litellm"
        return _source(
            name, OF_LITELLM, path, FILES_EVERY_S, read, _in_litellm, offers, version=version
        )
    name = f"litellm {_shown(feed.url)}"
    return _source(name, OF_LITELLM, Address(feed.url), feed.every, read, _in_litellm, offers)


def _openrouter(feed: OpenRouterFeed, config: Config, offers: Sequence[Sold]) -> Iterator[Source]:
    headers = {}
    if feed.api_key is not None:
        headers["authorization"] = f"Bearer {feed.api_key.get_secret_value()}"
    for slug in dict.fromkeys(one.openrouter for one in config.models.values() if one.openrouter):
        address = Address(f"{feed.url}/models/{slug}/endpoints", headers)
        its = [one for one in offers if one.model.openrouter == slug]
        yield _source(
            f"openrouter {slug}",
            OF_OPENROUTER,
            address,
            feed.every,
            openrouter.endpoints,
            _endpoint,
            its,
        )


def _provider(feed: ProviderFeed, provider: Provider, offers: Sequence[Sold]) -> Source:
    known = provider.known
    shape = provider_models.shape_name(known.name if known else None, provider.base_url)
    if shape is None:
        raise AssertionError("check_feeds lets no other through")
    header, prefix = (known.key_header, known.key_prefix) if known else ("Authorization", "Bearer ")
    key = provider.accounts[0].api_key
    headers = {} if key is None else {header: prefix + key.get_secret_value()}
    address = Address(provider.base_url + provider_models.SHAPES[shape].path, headers)
    read = partial(provider_models.read, shape, provider=feed.provider)
    its = [one for one in offers if one.spec.provider == feed.provider]
    name = f"{feed.provider} models"
    return _source(name, OF_PROVIDER, address, feed.every, read, _listed, its)


def _artificial_analysis(feed: ArtificialAnalysisFeed, config: Config) -> Source:
    slugs = {one.artificial_analysis for one in config.models.values()}
    return Source(
        name="artificial analysis",
        rank=UNPRICED,
        place=Address(
            feed.url + artificial_analysis.PATH, {"x-api-key": feed.api_key.get_secret_value()}
        ),
        every_s=feed.every,
        read=artificial_analysis.models,
        pick=_none,
        wants=lambda one: isinstance(one, ModelQuality) and one.model in slugs,
    )


def _source(
    name: str,
    rank: int,
    place: Place,
    every_s: float,
    read: Callable[[Document], Reading],
    pick: Pick,
    offers: Sequence[Sold],
    version: str = "",
) -> Source:
    def wants(entry: Entry) -> bool:
        return isinstance(entry, PricedModel) and any(pick([entry], one) for one in offers)

    return Source(name, rank, place, every_s, read, pick, wants, version)


# -- which entry an offer is


def _none(_: Sequence[PricedModel], __: Sold) -> PricedModel | None:
    return None


def _own(entries: Sequence[PricedModel], offer: Sold) -> PricedModel | None:
    """By all that it is called by."""
    spec = offer.spec
    name = (spec.provider, spec.model, spec.region, spec.quantization, spec.service_tier)
    return next(
        (
            one
            for one in entries
            if (one.provider, one.model, one.region, one.quantization, one.tag) == name
        ),
        None,
    )


def _listed(entries: Sequence[PricedModel], offer: Sold) -> PricedModel | None:
    """By the name that its provider knows it by; a list has the prices of the usual tier alone."""
    spec = offer.spec
    if paid_tier(spec.service_tier) is not None:
        return None
    return next(
        (one for one in entries if (one.provider, one.model) == (spec.provider, spec.model)), None
    )


def _in_litellm(entries: Sequence[PricedModel], offer: Sold) -> PricedModel | None:
    named = {(one.provider, one.model): one for one in entries}
    found = (named.get((name, offer.spec.model)) for name in offer.litellm_names)
    return next((one for one in found if one is not None), None)


def _endpoint(entries: Sequence[PricedModel], offer: Sold) -> PricedModel | None:
    """That of its provider, region, quantization and tier; none where several could be meant."""
    spec, slug = offer.spec, offer.openrouter_slug
    if offer.model.openrouter is None:
        return None
    found = [one for one in entries if (one.provider, one.model) == (slug, offer.model.openrouter)]
    tier = paid_tier(spec.service_tier)
    found = [
        one for one in found if (one.tag if one.tag in openrouter_names.TIERS else None) == tier
    ]
    if spec.region is not None:
        found = [one for one in found if one.tag == spec.region]
    if spec.quantization is not None:
        found = [one for one in found if one.quantization == spec.quantization]
    if len(found) > 1:
        found = [one for one in found if one.tag == tier] or found
    return found[0] if len(found) == 1 else None


def _shown(url: str) -> str:
    """An address without what may be a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"

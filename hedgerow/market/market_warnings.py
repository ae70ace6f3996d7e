"""What is valid of the market and hardly meant: feeds that tell nothing of our offers, offers
without a price, quality floors that refuse nobody."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from benchmarks.errors import FeedRefused
from benchmarks.evals.history import EvalHistory, by_benchmark
from benchmarks.feeds.artificial_analysis import BENCHMARKS
from benchmarks.feeds.beliefs import Belief
from hedgerow.books import market_books
from hedgerow.config import Config
from hedgerow.errors import ConfigError
from hedgerow.files.feed_spec import (
    ArtificialAnalysisFeed,
    FeedSpec,
    GpuIndexFeed,
    OpenRouterFeed,
    PricesFeed,
)
from hedgerow.files.model_spec import QualityFloor
from hedgerow.files.yaml_source import Steps
from hedgerow.market.last_good import LastGood
from hedgerow.market.offers import quoted_offers
from hedgerow.market.price_book import PriceBook, document_at, price_book
from hedgerow.market.sources import OWN
from ledger.errors import StoreError

OURS = "ours"
"""What `hedgerow eval run` measures unless it is called otherwise."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the books have: of feeds, and the benchmarks that evals have measured."""

    beliefs: Mapping[str, Belief] = field(default_factory=dict)
    benchmarks: Collection[str] = ()


def market_warnings(config: Config, now: datetime) -> Iterator[ConfigError]:
    """Reads files of feeds, and the books where there are some. Raises FeedUnreadable."""
    kept = _kept(config, now)
    book = price_book(config, now, kept.beliefs)
    yield from _unpriced(config, book, now)
    for at, feed in enumerate(config.market.feeds):
        for message, hint in _idle(config, feed, book, now):
            yield config.places.error(("market", "feeds", at), message, hint)
    yield from _names_of_no_feed(config)
    for name, model in config.models.items():
        if model.quality is not None:
            yield from _unmeasured(config, name, model.quality, kept.benchmarks)


def _kept(config: Config, now: datetime) -> _Kept:
    """Without books, or where they cannot be reached, nothing."""
    ledger = config.ledger
    if ledger.path is not None and not ledger.path.exists():
        return _Kept()
    try:
        with market_books(ledger, create=False) as sql:
            measured = by_benchmark(EvalHistory(sql).latest(now)).keys()
            return _Kept(LastGood(sql).beliefs(), measured)
    except StoreError:
        return _Kept()


def _unpriced(config: Config, book: PriceBook, now: datetime) -> Iterator[ConfigError]:
    """Offers that nobody has a price for, and models that have no other."""
    message, hint = "nobody knows its price, so it gets no requests", "give it a price"
    why = "for want of a price"
    if book.unasked:
        message = "its price is not known before a feed is asked; until then it gets no requests"
        hint = "`hedgerow market refresh` asks them now, and tells; or give it a price"
        why = "for want of a price, until a feed is asked"
    for name, quoted in quoted_offers(config, book, now).items():
        unpriced = [at for at, one in enumerate(quoted) if one.quote is None]
        for at in unpriced:
            yield config.places.error(("models", name, "offers", at), message, hint)
        if len(unpriced) == len(quoted):
            message_of_all = f"every request will be refused, {why}"
            yield config.places.error(("models", name), message_of_all, "give an offer a price")


_NAMELESS = "tells nothing: no model says what it is called there"


def _idle(
    config: Config, feed: FeedSpec, book: PriceBook, now: datetime
) -> Iterator[tuple[str, str]]:
    """Why a feed tells nothing, or not all that it could; and what helps."""
    models, folder = config.models.values(), config.path.absolute().parent
    match feed:
        case OpenRouterFeed() if not any(one.openrouter for one in models):
            yield _NAMELESS, _name_it("openrouter", "author/slug")
        case ArtificialAnalysisFeed() if not any(one.artificial_analysis for one in models):
            yield _NAMELESS, _name_it("artificial_analysis", "slug")
        case GpuIndexFeed() if not any(folder.glob(feed.path)):
            yield "tells nothing: there is no such file", "write another path, or put a file there"
        case PricesFeed():
            yield from _of_own_prices(feed.path, folder, book, now)
        case _:
            pass


def _name_it(key: str, value: str) -> str:
    return f"write {key}: {value} under models that it is to tell of"


def _of_own_prices(
    path: str, folder: Path, book: PriceBook, now: datetime
) -> Iterator[tuple[str, str]]:
    """What is wrong in the operator's file, and prices in it that nothing is sold at."""
    (source,) = (one for one in book.sources if one.rank == OWN and one.name == path)
    try:
        reading = source.read(document_at(folder / path, now))
    except FeedRefused as refused:
        yield (
            f"{refused.name}: {refused.value}",
            "put it right: until then counts what it said before",
        )
        return
    if others := [one.key for one in reading.entries if not source.wants(one)]:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        message = f"has prices of what is no offer here: {', '.join(others[:3])}{more}"
        hint = "write provider, model, region, quantization and service_tier as the offer has them"
        yield message, hint


def _names_of_no_feed(config: Config) -> Iterator[ConfigError]:
    """Models that say what they are called where nobody asks."""
    feeds = {one.kind for one in config.market.feeds}
    for name, model in config.models.items():
        for key in ("openrouter", "artificial_analysis"):
            if getattr(model, key) and key not in feeds:
                hint = f"add {{kind: {key}}} to market.feeds, or take it out"
                yield config.places.error(("models", name, key), "no feed asks for it", hint)


def _unmeasured(
    config: Config, name: str, floor: QualityFloor, measured: Collection[str]
) -> Iterator[ConfigError]:
    """A floor under which nobody can be, since nobody measures what it is about."""
    if floor.benchmark in measured:
        return
    steps: Steps = ("models", name, "quality", "benchmark")
    model = config.models[name]
    members = [config.models[one] for one in model.any_of] or [model]
    if floor.benchmark in BENCHMARKS:
        feeds = {one.kind for one in config.market.feeds}
        if "artificial_analysis" in feeds and any(one.artificial_analysis for one in members):
            return
        hint = "it takes a feed artificial_analysis, and models with an artificial_analysis name"
    else:
        option = "" if floor.benchmark == OURS else f" --benchmark {floor.benchmark}"
        hint = f"measure it with `hedgerow eval run{option}`"
        if floor.benchmark != OURS:
            hint += f", or write {OURS} or {', '.join(BENCHMARKS)}"
    yield config.places.error(steps, "refuses nobody: it has not been measured", hint)

"""PriceBook: what is believed of every feed, looked up by offer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.alarms import AlarmName
from benchmarks.errors import FeedRefused
from benchmarks.feeds.beliefs import Belief
from benchmarks.feeds.checks import Terms, check, refused
from benchmarks.feeds.document import MOST_BYTES, Document
from benchmarks.feeds.reading import ModelQuality, PricedModel
from benchmarks.quality import Quality
from hedgerow.config import Config
from hedgerow.files.model_spec import Model
from hedgerow.market.sources import (
    OF_OPENROUTER,
    OWN,
    UNPRICED,
    Address,
    Sold,
    Source,
    sold,
    sources,
)
from ledger.rates import RateCard


@dataclass(frozen=True, slots=True)
class Known:
    """What one document says of an offer. rank: of its source."""

    entry: PricedModel
    rank: int
    source: str
    as_of: datetime

    @property
    def is_of_its_tier(self) -> bool:
        """Whether its prices are those of the offer's own service tier, not of the usual one."""
        return self.rank in (OWN, OF_OPENROUTER)


class PriceBook:
    """Immutable. beliefs: by the name of the source."""

    def __init__(self, sources: Sequence[Source], beliefs: Mapping[str, Belief]) -> None:
        """`sources`: those whose word counts most come first."""
        self.sources = tuple(sources)
        self.beliefs = dict(beliefs)
        self._models = {
            one.name: beliefs[one.name].models() for one in self.sources if one.name in beliefs
        }

    @property
    def unasked(self) -> list[str]:
        """Feeds over the network of which nothing was heard yet, good or bad."""
        return [
            one.name
            for one in self.sources
            if isinstance(one.place, Address) and one.name not in self.beliefs
        ]

    def known(self, offer: Sold) -> list[Known]:
        """What is said of an offer: by whose word counts most first."""
        found = []
        for source in self.sources:
            standings = self._models.get(source.name, [])
            entry = source.pick([one.entry for one in standings], offer)
            if entry is not None:
                one = next(one for one in standings if one.entry is entry)
                name = f"{self.beliefs[source.name].source} {one.version}"
                found.append(Known(entry, source.rank, name, one.as_of))
        return found

    def quality(self, model: Model) -> Mapping[str, Quality]:
        """What is said of a model's quality, by benchmark."""
        return {
            one.entry.quality.benchmark: one.entry.quality
            for belief in self.beliefs.values()
            for one in belief.standings.values()
            if isinstance(one.entry, ModelQuality) and one.entry.model == model.artificial_analysis
        }

    def peers(
        self, source: Source, offers: Sequence[Sold]
    ) -> Callable[[PricedModel], Collection[RateCard]]:
        """What other feeds ask for the offers that an entry of a source is of."""
        others = PriceBook([one for one in self.sources if one.name != source.name], self.beliefs)

        def of(entry: PricedModel) -> Collection[RateCard]:
            its = (one for one in offers if source.pick([entry], one) is not None)
            return [
                known.entry.rates
                for offer in its
                for known in others.known(offer)
                if known.rank != OWN and known.entry.rates is not None
            ]

        return of

    def heard(
        self,
        source: Source,
        document: Document,
        offers: Sequence[Sold],
        accepted: Collection[str] = (),
    ) -> Belief:
        """What is believed of a source after another document of it."""
        terms = Terms(
            feed=source.name,
            wants=source.wants,
            peers=self.peers(source, offers),
            accepted=accepted,
            is_own_word=source.rank == OWN,
        )
        try:
            reading = source.read(document)
            return check(reading, self.last(source), terms)
        except FeedRefused as error:
            return self.refused(source, error, document.known_at)
        except Exception as error:  # noqa: BLE001 - a stranger's document ends no other feed
            what = FeedRefused(AlarmName.MALFORMED, f"cannot be read: {error!r:.200}")
            return self.refused(source, what, document.known_at)

    def heard_file(
        self, source: Source, path: Path, offers: Sequence[Sold], at: datetime
    ) -> Belief:
        """The same of a file as it is now, which may be gone."""
        try:
            document = document_at(path, at, source.version)
        except FeedRefused as error:
            return self.refused(source, error, at)
        return self.heard(source, document, offers)

    def refused(self, source: Source, error: FeedRefused, at: datetime) -> Belief:
        """What is believed of a source of which there was no document."""
        return refused(error, self.last(source), source.name, at)

    def last(self, source: Source) -> Belief:
        """What was believed of a source so far; nothing, before it was read."""
        return self.beliefs.get(source.name, Belief(source.name))

    def with_belief(self, name: str, belief: Belief) -> PriceBook:
        return PriceBook(self.sources, {**self.beliefs, name: belief})


def price_book(config: Config, at: datetime, kept: Mapping[str, Belief] | None = None) -> PriceBook:
    """What is known without a network: what was kept of the feeds, and files of prices as they are
    now.

    Raises FeedUnreadable.
    """
    book = PriceBook(sources(config), kept or {})
    offers = sold(config)
    for source in book.sources:
        if isinstance(source.place, Path) and source.rank != UNPRICED:
            belief = book.heard_file(source, source.place, offers, at)
            book = book.with_belief(source.name, belief)
    return book


def document_at(path: Path, at: datetime, version: str = "") -> Document:
    """A file as a document: one without a version is of when it was written.

    Raises FeedRefused.
    """
    try:
        stat = path.stat()
        if stat.st_size > MOST_BYTES:
            raise FeedRefused(AlarmName.TOO_LARGE, f"{stat.st_size} bytes")
        written = at if version else datetime.fromtimestamp(stat.st_mtime, UTC)
        return Document(path.read_bytes(), at, written, version)
    except OSError as error:
        raise FeedRefused(AlarmName.UNREACHABLE, f"{path}: {error.strerror}") from error

"""Feeding: one of all workers asks the feeds, and every worker follows what is believed of them.

`asking_feeds` is the duty of the worker that leads: it fetches what is due, checks it beside what
was believed before, and keeps both where all see it. Its files are those of its host.
`following_feeds` is what each worker does: it looks whether there is news, and requotes its market.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TypeAlias, TypeVar

import aiohttp

from benchmarks.capacity.prices import keep as keep_capacity
from benchmarks.errors import FeedRefused, FeedUnreadable
from benchmarks.feeds.beliefs import Belief
from benchmarks.feeds.document import Document
from benchmarks.feeds.reading import CapacityRow, Entry
from benchmarks.market import Market, Quoted
from benchmarks.tables.history import MarketHistory
from hedgerow.background import beside
from hedgerow.books import market_books
from hedgerow.config import Config
from hedgerow.market.fetching import feed_session, fetched
from hedgerow.market.last_good import LastGood, kept_beliefs
from hedgerow.market.offers import quoted_offers
from hedgerow.market.price_book import PriceBook, document_at, price_book
from hedgerow.market.sources import Address, Source, sold, sources
from ledger.databases.sql import Sql
from ledger.errors import StoreError
from ledger.instants import instant
from proxy.clock import Clock

log = logging.getLogger("hedgerow")

E = TypeVar("E", bound=Entry)
FileStamp: TypeAlias = tuple[int, int, int]

LOOK_EVERY_S = 0.5
"""How often each worker looks for news, and the leader for what is due."""
RETRY_S = 60.0
"""When a feed is asked again that was refused, if it is not due before."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A source after it was asked. document: None where there was none. before: what was believed
    until then."""

    source: Source
    document: Document | None
    before: Belief
    belief: Belief

    @property
    def is_refused(self) -> bool:
        """Whether nothing of the document is believed."""
        return "" in self.belief.doubts

    def news(self, kind: type[E]) -> list[E]:
        """Entries of a kind that are not as they were."""
        before = {key: one.entry for key, one in self.before.standings.items()}
        found = self.belief.standings.items()
        return [
            one.entry
            for key, one in found
            if isinstance(one.entry, kind) and one.entry != before.get(key)
        ]


def first_prices(config: Config, clock: Clock) -> PriceBook:
    """What is known when a worker starts: of what was kept, and of the files as they are.

    Raises MarketError, StoreError.
    """
    return price_book(config, instant(clock.now_ns()), kept_beliefs(config, is_server=True))


async def ask(
    session: aiohttp.ClientSession,
    due: Sequence[Source],
    book: PriceBook,
    config: Config,
    last: Mapping[str, Document],
    clock: Clock,
    accepted: Collection[str] = (),
) -> list[Heard]:
    """Read sources as they are now, all at once, and judge each beside what is believed of all:
    first those whose word counts most. last: their last documents, by name."""
    said = await asyncio.gather(
        *(_said(session, one, last.get(one.name), instant(clock.now_ns())) for one in due)
    )
    return await asyncio.to_thread(
        _judged, config, book, list(zip(due, said, strict=True)), clock, accepted
    )


async def _said(
    session: aiohttp.ClientSession, source: Source, last: Document | None, at: datetime
) -> Document | FeedRefused:
    try:
        if isinstance(source.place, Address):
            return await fetched(session, source.place, last, at)
        return await asyncio.to_thread(document_at, source.place, at, source.version)
    except FeedRefused as error:
        return error


def _judged(
    config: Config,
    book: PriceBook,
    said: Sequence[tuple[Source, Document | FeedRefused]],
    clock: Clock,
    accepted: Collection[str],
) -> list[Heard]:
    offers, found = sold(config), []
    for source, one in said:
        before = book.last(source)
        if isinstance(one, FeedRefused):
            found.append(
                Heard(source, None, before, book.refused(source, one, instant(clock.now_ns())))
            )
            continue
        belief = book.heard(source, one, offers, accepted)
        book = book.with_belief(source.name, belief)
        found.append(Heard(source, one, before, belief))
    return found


async def refreshed(
    config: Config, clock: Clock, accepted: Collection[str]
) -> tuple[PriceBook, PriceBook, list[Heard]]:
    """Ask every feed now, beside any server: what was believed before, what is now, and what each
    has said. accepted: what the operator believes. Raises MarketError, StoreError."""
    before = PriceBook(sources(config), await asyncio.to_thread(kept_beliefs, config))
    documents = await asyncio.to_thread(_documents_kept, config, before.sources)
    async with feed_session() as session:
        heard = await ask(session, before.sources, before, config, documents, clock, accepted)
    after = await asyncio.to_thread(keep, config, before, heard, clock.now_ns(), is_server=False)
    return before, after, heard


def _documents_kept(config: Config, of: Sequence[Source]) -> Mapping[str, Document]:
    with market_books(config.ledger) as sql:
        return last_documents(sql, of)


@asynccontextmanager
async def asking_feeds(config: Config, clock: Clock) -> AsyncIterator[None]:
    """Ask every feed whenever it is due, until the block ends."""
    if not config.market.feeds:
        yield
        return
    async with (
        feed_session() as session,
        beside(_Asking(config, session, clock).run(), "the asking of feeds"),
    ):
        yield


class _Asking:
    """The leader's part. What it has asked and said is forgotten with it: all else is kept."""

    def __init__(self, config: Config, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._config = config
        self._session = session
        self._clock = clock
        self._due_s: dict[str, float] = {}
        self._files: dict[str, FileStamp] = {}
        self._said: dict[str, set[tuple[str, str]]] = {}
        self._trouble = ""

    async def run(self) -> None:
        while True:
            try:
                await self._ask_what_is_due()
                self._trouble = ""
            except (StoreError, FeedUnreadable) as error:
                if self._trouble != (trouble := str(error)):
                    log.warning("the feeds are for later: %s", trouble)
                self._trouble = trouble
            await asyncio.sleep(LOOK_EVERY_S)

    async def _ask_what_is_due(self) -> None:
        stamps = await asyncio.to_thread(self._looked)
        now_s = self._clock.monotonic_s()
        due = [
            one
            for one, stamp in stamps
            if self._due_s.get(one.name, 0.0) <= now_s or self._files.get(one.name) != stamp
        ]
        if not due:
            return
        book, documents = await asyncio.to_thread(self._loaded, [one for one, _ in stamps], due)
        seen = {one.name: stamp for one, stamp in stamps}
        due = [one for one in due if not self._rests(one, seen[one.name], book, now_s)]
        heard = await ask(self._session, due, book, self._config, documents, self._clock)
        if heard:
            now_ns = self._clock.now_ns()
            await asyncio.to_thread(keep, self._config, book, heard, now_ns, is_server=True)
        self._files.update((one.name, stamp) for one, stamp in stamps if stamp)
        for each in heard:
            self._say(each)
            wait_s = each.source.every_s
            wait_s = min(wait_s, RETRY_S) if each.is_refused else wait_s
            self._due_s[each.source.name] = now_s + wait_s

    def _looked(self) -> list[tuple[Source, FileStamp | None]]:
        """What there is to ask now, files with what they look like from outside."""
        return [
            (one, _stamp(one.place) if isinstance(one.place, Path) else None)
            for one in sources(self._config)
        ]

    def _loaded(
        self, known: list[Source], due: list[Source]
    ) -> tuple[PriceBook, Mapping[str, Document]]:
        with market_books(self._config.ledger, is_server=True) as sql:
            return PriceBook(known, LastGood(sql).beliefs()), last_documents(sql, due)

    def _rests(
        self, source: Source, stamp: FileStamp | None, book: PriceBook, now_s: float
    ) -> bool:
        """Whether it is due later after all: a file that is as it was, and of which nothing is
        doubted; what another leader has asked not long ago."""
        last = book.last(source)
        if stamp is not None and self._files.get(source.name) == stamp and not last.doubts:
            self._due_s[source.name] = now_s + source.every_s
            return True
        asked_at = last.known_at
        if source.name in self._due_s or stamp is not None or asked_at is None:
            return False
        since_s = (instant(self._clock.now_ns()) - asked_at).total_seconds()
        self._due_s[source.name] = now_s + max(0.0, source.every_s - since_s)
        return 0 <= since_s < source.every_s

    def _say(self, heard: Heard) -> None:
        """Log each alarm once, for as long as it stays."""
        name, before = heard.source.name, self._said.get(heard.source.name, set())
        now = {(one.name.value, one.what): one for one in heard.belief.alarms}
        for key, alarm in now.items():
            if key not in before:
                log.warning("feed %s", alarm)
        if before and not now:
            log.info("feed %s: all of it is believed again", name)
        self._said[name] = set(now)


def last_documents(sql: Sql, of: Sequence[Source]) -> Mapping[str, Document]:
    """What was fetched last of sources that have an address, by name."""
    kept = LastGood(sql)
    names = [one.name for one in of if isinstance(one.place, Address)]
    found = ((name, kept.document(name)) for name in names)
    return {name: one for name, one in found if one is not None}


def keep(
    config: Config, book: PriceBook, heard: Sequence[Heard], now_ns: int, *, is_server: bool
) -> PriceBook:
    """Keep what is believed now for all workers, and prices of offers and GPU-hours in the history.

    The book with it; `is_server` as in `market_books`. Raises StoreError.
    """
    at = instant(now_ns)
    with market_books(config.ledger, is_server=is_server) as sql:
        kept = LastGood(sql)
        for one in heard:
            document = None if one.is_refused else one.document
            kept.save(one.source.name, one.belief, document, now_ns)
            book = book.with_belief(one.source.name, one.belief)
        with sql.transaction():
            MarketHistory(sql).keep(quoted_offers(config, book, at), at)
        for one in heard:
            keep_capacity(sql, one.news(CapacityRow), at)
    return book


@asynccontextmanager
async def following_feeds(
    config: Config, market: Market, first: PriceBook, clock: Clock
) -> AsyncIterator[None]:
    """Have the market follow what is believed of the feeds, until the block ends.

    first: what it was made from.
    """
    if not config.market.feeds:
        yield
        return
    async with beside(_follow(config, market, first, clock), "the news of feeds"):
        yield


async def _follow(config: Config, market: Market, first: PriceBook, clock: Clock) -> None:
    following = _Following(config, first, clock)
    try:
        while True:
            try:
                models = await asyncio.to_thread(following.look)
            except (StoreError, FeedUnreadable) as error:  # what is known holds
                log.debug("no news of the feeds: %s", error)
            else:
                if models is not None:
                    market.requote(models)
            await asyncio.sleep(LOOK_EVERY_S)
    finally:
        await asyncio.to_thread(following.close)


class _Following:
    """A worker's look at what is kept. It may be closed while a thread looks."""

    def __init__(self, config: Config, first: PriceBook, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._book = first
        self._times: Mapping[str, int] = {}
        self._open = ExitStack()
        self._kept: LastGood | None = None
        self._is_used = Lock()

    def look(self) -> Mapping[str, tuple[Quoted, ...]] | None:
        """The offers as they are now, if anything is news. Raises StoreError, FeedUnreadable."""
        with self._is_used:
            try:
                beliefs = self._news()
            except StoreError:
                self._end()
                raise
        if beliefs is None:
            return None
        self._book = PriceBook(sources(self._config), {**self._book.beliefs, **beliefs})
        return quoted_offers(self._config, self._book, instant(self._clock.now_ns()))

    def close(self) -> None:
        with self._is_used:
            self._end()

    def _news(self) -> Mapping[str, Belief] | None:
        if self._kept is None:
            ledger = self._config.ledger
            sql = self._open.enter_context(market_books(ledger, is_server=True))
            self._kept = LastGood(sql)
        if (times := self._kept.times()) == self._times:
            return None
        self._times = times
        return self._kept.beliefs()

    def _end(self) -> None:
        self._kept = None
        self._open.close()


def _stamp(path: Path) -> FileStamp:
    """What changes when a file does; all zero where there is none."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)

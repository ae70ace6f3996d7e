"""LastGood: what is believed of the feeds, in the database that all workers share.

A belief is small, and read by every worker; a document is kept beside it, as it came, so that what
has not changed need not be sent again, and what an offer added later is worth is known at once.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import datetime

import msgspec

from benchmarks.errors import FeedUnreadable
from benchmarks.feeds.beliefs import Belief, belief_of, belief_text
from benchmarks.feeds.document import Document
from benchmarks.tables.latest import Latest, Word
from hedgerow.books import market_books
from hedgerow.config import Config
from hedgerow.market.price_book import PriceBook, price_book
from hedgerow.market.sources import has_addresses
from ledger.databases.sql import Sql

_decode = msgspec.msgpack.Decoder(Document).decode


class LastGood:
    """The last words on feeds in an open database that has the market's tables."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self._beliefs = Latest(sql, "feed")
        self._documents = Latest(sql, "feed document")

    def times(self) -> Mapping[str, int]:
        """When each belief was written: what is looked at for news."""
        with self._sql.view():
            return self._beliefs.times()

    def beliefs(self) -> Mapping[str, Belief]:
        """By the name of their source. What another version has written otherwise is left out."""
        found = {}
        with self._sql.view():
            words = self._beliefs.all()
        for word in words:
            try:
                found[word.name] = belief_of(zlib.decompress(word.body))
            except (FeedUnreadable, zlib.error):
                continue  # it is fetched anew
        return found

    def document(self, name: str) -> Document | None:
        """The last document of a source that was not refused."""
        with self._sql.view():
            word = self._documents.get(name)
        if word is None:
            return None
        try:
            return _decode(zlib.decompress(word.body))
        except (ValueError, zlib.error):
            return None

    def save(self, name: str, belief: Belief, document: Document | None, now_ns: int) -> None:
        """Replace what was believed; the document only if there is another."""
        with self._sql.transaction():
            self._beliefs.put(Word(name, now_ns, zlib.compress(belief_text(belief))))
            if document is not None:
                body = zlib.compress(msgspec.msgpack.encode(document))
                self._documents.put(Word(name, now_ns, body))


def kept_beliefs(config: Config, *, is_server: bool = False) -> Mapping[str, Belief]:
    """What was kept of the feeds; nothing where there are no books yet. Raises StoreError."""
    ledger = config.ledger
    if not config.market.feeds or (ledger.path is not None and not ledger.path.exists()):
        return {}
    with market_books(ledger, is_server=is_server) as sql:
        return LastGood(sql).beliefs()


def known_prices(config: Config, at: datetime) -> PriceBook:
    """What is known of the offers' prices, for commands: from files, and, if any feed is asked over
    the network, from what a server has kept. Raises FeedUnreadable, StoreError."""
    return price_book(config, at, kept_beliefs(config) if has_addresses(config) else {})

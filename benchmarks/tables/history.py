"""MarketHistory: every quote that was ever known, and what feeds said of latency and reliability:
append-only and bitemporal, see `facts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from benchmarks.market import Quoted
from benchmarks.quotes import Quote
from benchmarks.stats import Stats
from benchmarks.tables.facts import Fact, Facts, Kind, kind_of
from benchmarks.tables.quote_text import quote_of, quote_text
from ledger.databases.sql import Sql

PastQuote: TypeAlias = Fact[Quote]
"""A price of an offer: since when it held, and since when we knew. said is None from when on nobody
has known a price. Its quote's as_of and source are those of the fact."""

QUOTES = Kind("quote", quote_text, quote_of)
STATS = kind_of("stats", Stats)
STATS_EVERY = timedelta(minutes=30)
"""Feeds tell of the last half hour: what they say within one is the same again, or nearly."""
_NOBODY = "nobody"
"""The source of a price that is not there."""


class MarketHistory:
    """Quotes and stats, by offer, in a database that has the market's tables; the caller owns its
    transactions."""

    def __init__(self, sql: Sql) -> None:
        self.quotes = Facts(sql, QUOTES)
        self.stats = Facts(sql, STATS)

    def keep(self, models: Mapping[str, Sequence[Quoted]], known_at: datetime) -> int:
        """Keep the quotes of this moment, within a transaction; how many say something new. Of what
        feeds say of an offer one word is kept for each half hour.

        A quote holds since its own as_of. If that is older than what held until now, as where a
        feed's price counts again since the operator took his own away, it holds since now.
        """
        offers = {one.offer.id: one for quoted in models.values() for one in quoted}
        self.stats.append(
            Fact(name, one.stats.as_of, known_at, one.stats.source, one.stats)
            for name, one in offers.items()
            if one.stats is not None and _is_due(one.stats.as_of, self.stats.as_of(name, known_at))
        )
        return self.quotes.append(
            news
            for name, one in offers.items()
            if (news := _news(name, one.quote, self.as_of(name, known_at), known_at)) is not None
        )

    def as_of(
        self, offer_id: str, known: datetime, value: datetime | None = None
    ) -> PastQuote | None:
        """The price at `value` (default: at `known`) as it was known at `known`, or None."""
        return self.quotes.as_of(offer_id, known, value)

    def changes(
        self, offer_id: str, since: datetime, until: datetime, known: datetime
    ) -> list[PastQuote]:
        """The prices of an offer from `since` on and before `until` as they were known at `known`,
        oldest first; the first is what held at `since` already."""
        return self.quotes.changes(offer_id, since, until, known)


def _news(
    offer_id: str, quote: Quote | None, before: PastQuote | None, known_at: datetime
) -> PastQuote | None:
    if quote is None:
        if before is None or before.said is None:
            return None
        return Fact(offer_id, known_at, known_at, _NOBODY, None)
    since = quote.as_of
    if before is not None:
        if before.said is not None and _words(before.said) == _words(quote):
            return None
        since = since if since >= before.value_time else known_at
    return Fact(offer_id, since, known_at, quote.source, quote)


def _is_due(as_of: datetime, before: Fact[Stats] | None) -> bool:
    return before is None or as_of - before.value_time >= STATS_EVERY


def _words(quote: Quote) -> tuple[str, str]:
    return quote.source, quote_text(quote)

"""MarketHistory: every quote that was ever known, append-only and bitemporal.

A row has two times: since when the price held (value time) and since when we knew it (known time).
`as_of(t)` sees only what was known at t, so that a restatement never leaks into the past.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from ledger.databases.schema import later_migrations
from ledger.errors import StoreTooNew
from ledger.rates import RateCard
from ledger.tables.ddl import PRICES

migrations = Migrations("hedgerow.market")


@migrations()
def m001_quotes(db: Database) -> None:
    db.execute(
        """CREATE TABLE quote_history (
            id INTEGER PRIMARY KEY, offer TEXT NOT NULL, value_time_ns INTEGER NOT NULL,
            known_time_ns INTEGER NOT NULL, source TEXT NOT NULL, input TEXT NOT NULL,
            output TEXT NOT NULL, cache_read TEXT NOT NULL, cache_write TEXT NOT NULL,
            request TEXT NOT NULL
        ) STRICT"""
    )
    db.execute(
        "CREATE INDEX quote_history_offer ON quote_history (offer, value_time_ns, known_time_ns)"
    )
    db.execute(
        """CREATE TRIGGER quote_history_is_append_only BEFORE UPDATE ON quote_history
        BEGIN SELECT RAISE(ABORT, 'rows of quote_history are never edited'); END"""
    )


@migrations()
def m002_units(db: Database) -> None:
    db.execute("ALTER TABLE quote_history ADD COLUMN unit TEXT NOT NULL DEFAULT '0'")
    db.execute("ALTER TABLE quote_history ADD COLUMN per TEXT")


@migrations()
def m003_prices(db: Database) -> None:
    """Of reasoning, and of what is cached for an hour; NULL where a card has none of its own."""
    db.execute("ALTER TABLE quote_history ADD COLUMN reasoning TEXT")
    db.execute("ALTER TABLE quote_history ADD COLUMN cache_write_1h TEXT")


@dataclass(frozen=True, slots=True)
class PastQuote:
    """A price of an offer: since when it held, and since when we knew."""

    offer_id: str
    value_time: datetime
    known_time: datetime
    source: str
    rates: RateCard


class MarketHistory:
    """Quotes in a database; the caller owns its transactions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @staticmethod
    def migrate(database: Database) -> None:
        """Make the table, if it is not there. Raises StoreTooNew for one of a later version."""
        if later := later_migrations(database, migrations):
            raise StoreTooNew(
                f"the market history is of a later version of Hedgerow ({', '.join(later)}):"
                " update Hedgerow, or name another file in ledger.url"
            )
        migrations.apply(database)

    def append(self, quotes: Iterable[PastQuote]) -> int:
        """Keep the quotes that say something new; how many did."""
        added = 0
        for quote in quotes:
            last = self.as_of(quote.offer_id, quote.known_time, quote.value_time)
            if last is not None and (last.rates, last.source) == (quote.rates, quote.source):
                continue
            self._database.execute(
                f"INSERT INTO quote_history ({_ROW}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    quote.offer_id,
                    _ns(quote.value_time),
                    _ns(quote.known_time),
                    quote.source,
                    *quote.rates.row,
                ),
            )
            added += 1
        return added

    def as_of(
        self, offer_id: str, known: datetime, value: datetime | None = None
    ) -> PastQuote | None:
        """The price at `value` (default: at `known`) as it was known at `known`, or None.

        Of two rows for the same value time, the one known later is the restatement, and counts.
        """
        row = self._database.execute(
            f"SELECT {_ROW} FROM quote_history WHERE offer = ? AND known_time_ns <= ?"
            " AND value_time_ns <= ? ORDER BY value_time_ns DESC, known_time_ns DESC, id DESC"
            " LIMIT 1",
            (offer_id, _ns(known), _ns(known if value is None else value)),
        ).fetchone()
        if row is None:
            return None
        offer, value_ns, known_ns, source, *prices = row
        card = RateCard.of_row(prices)
        return PastQuote(offer, _instant(value_ns), _instant(known_ns), source, card)


_ROW = f"offer, value_time_ns, known_time_ns, source, {PRICES}"


def _ns(at: datetime) -> int:
    whole = at.astimezone(UTC).replace(microsecond=0)
    return int(whole.timestamp()) * 1_000_000_000 + at.microsecond * 1000


def _instant(at_ns: int) -> datetime:
    seconds, nanos = divmod(at_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanos // 1000)

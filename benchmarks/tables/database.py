"""The market's tables in the database of the books: made, and brought up to date.

market_facts: what was said of the market, and when: append-only, `benchmarks.tables.facts`.
market_latest: the last word on things of which only that counts: `benchmarks.tables.latest`.

Both serve every kind of thing, so that a new kind needs no table of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal

from ledger.databases.migrations.migration import Migration
from ledger.databases.migrations.migration_set import MigrationSet
from ledger.databases.migrations.triggers import never_edited
from ledger.databases.sql import Dialect, Row, Sql
from ledger.tables.ddl import ddl

_TABLES = (
    # said: as text, what its kind says; NULL: from then on there is none.
    """CREATE TABLE market_facts (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL,
        value_time_ns INTEGER NOT NULL, known_time_ns INTEGER NOT NULL,
        source TEXT NOT NULL, said TEXT
    ) STRICT""",
    """CREATE INDEX market_facts_subject
        ON market_facts (kind, subject, value_time_ns, known_time_ns)""",
    """CREATE TABLE market_latest (
        kind TEXT NOT NULL, name TEXT NOT NULL, at_ns INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (kind, name)
    ) STRICT, WITHOUT ROWID""",
)


def _forward(sql: Sql) -> None:
    for statement in _TABLES:
        sql.execute(ddl(statement, sql.dialect))
    never_edited(sql, "market_facts")
    if sql.dialect is Dialect.SQLITE:
        _take_over(sql)


def _take_over(sql: Sql) -> None:
    """The prices of `quote_history`, which stays for the programs that knew only that."""
    columns = sql.execute("SELECT name FROM pragma_table_info(?)", (_OLD,)).fetchall()
    if columns:
        take_over(sql, sql.execute(old_quotes(name for (name,) in columns)))


def old_quotes(columns: Iterable[str]) -> str:
    """What reads all of a `quote_history` that has these columns, for `take_over`."""
    unit = "unit, per" if "unit" in columns else "'0', NULL"  # the oldest knew no units
    return (
        f"SELECT offer, value_time_ns, known_time_ns, source, {', '.join(_PRICES)}, {unit}"
        f" FROM {_OLD} ORDER BY id"
    )


def take_over(sql: Sql, rows: Iterable[Row]) -> None:
    """Keep what `old_quotes` reads, within a transaction."""
    facts = [("quote", *row[:4], _said(row[4:-2], *row[-2:])) for row in rows]
    columns = "kind, subject, value_time_ns, known_time_ns, source, said"
    sql.insert("market_facts", columns, facts)


def _said(prices: Sequence[str], unit: str, per: str | None) -> str:
    """A card as `benchmarks.tables.quote_text` wrote it when this step landed."""
    card = dict(zip(_PRICES, prices, strict=True)) | ({"unit": unit} if per else {})
    rates = {name: f"{Decimal(price).normalize():f}" for name, price in card.items()}
    said = {"rates": rates | ({"per": per} if per else {})}
    return json.dumps(said, separators=(",", ":"))


_OLD = "quote_history"
_PRICES = ("input", "output", "cache_read", "cache_write", "request")


def _back(sql: Sql) -> tuple[str, ...]:
    (count,) = sql.execute("SELECT count(*) FROM market_facts").fetchall()[0]
    sql.execute("DROP TABLE market_facts")
    sql.execute("DROP TABLE market_latest")
    return (f"{count} facts of the market's history go",) if count else ()


MARKET = MigrationSet(
    "hedgerow.market.facts",
    (Migration(1, "facts", _forward, _back),),
    {Dialect.SQLITE: 0, Dialect.POSTGRES: 0},
)


def has_market(sql: Sql) -> bool:
    """Whether a database of books has the market's tables, as new as this program's.

    Raises StoreTooNew.
    """
    return MARKET.version(sql) == MARKET.newest


def open_market(sql: Sql) -> None:
    """Have a database of books hold the market's tables, too. Several programs may at once.

    Raises StoreTooNew, StoreUnavailable.
    """
    if not has_market(sql):
        MARKET.migrate(sql, MARKET.newest)

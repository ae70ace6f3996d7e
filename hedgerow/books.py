"""The books of a configuration, opened: SQLite or PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.market import Quoted
from benchmarks.tables.database import old_quotes, open_market, take_over
from benchmarks.tables.history import MarketHistory
from hedgerow.config import Config, Ledger
from ledger.databases.sql import Sql
from ledger.databases.sqlite_file import SqliteFile
from ledger.leader import FileLock, LeaderLock
from ledger.lock import sole_server
from ledger.store import Store

if TYPE_CHECKING:
    from ledger.databases.postgres import PostgresDatabase


def opened_sql(
    ledger: Ledger, *, create: bool = True, is_server: bool = False, takes_long: bool = False
) -> Sql:
    """The database of the books, brought up to date.

    is_server: the caller has the place to serve from. takes_long: what is asked may read all of
    the books. Raises StoreError.
    """
    if ledger.path is not None:
        return SqliteFile.open(
            ledger.path, durability=ledger.durability, create=create, is_server=is_server
        )
    # psycopg loads libpq: only those pay for it who have a PostgreSQL.
    from ledger.databases.postgres import TIMEOUT_S, PostgresDatabase, Server

    limit_s = None if takes_long else TIMEOUT_S
    return PostgresDatabase.open(Server(ledger.url, statement_timeout_s=limit_s), create=create)


@contextmanager
def resting(ledger: Ledger) -> Iterator[SqliteFile | PostgresDatabase]:
    """The database of the books as it is, of whatever version, for as long as no server of this
    host opens it. Raises StoreError."""
    with sole_server(ledger.place):
        if ledger.path is not None:
            with closing(SqliteFile.open(ledger.path, create=False, migrate=False)) as file:
                yield file
            return
        from ledger.databases.postgres import PostgresDatabase, Server

        server = Server(ledger.url, statement_timeout_s=None)
        with closing(PostgresDatabase.open(server, create=False, migrate=False)) as database:
            yield database


@contextmanager
def books(config: Config, *, create: bool = True) -> Iterator[Store]:
    """The books of a configuration, for commands that read them or make keys."""
    with closing(Store(opened_sql(config.ledger, create=create, takes_long=True))) as store:
        yield store


@contextmanager
def market_books(ledger: Ledger, *, create: bool = True, is_server: bool = False) -> Iterator[Sql]:
    """The database of the books, for what it keeps of the market. Raises StoreError."""
    opened = opened_sql(ledger, create=create, is_server=is_server, takes_long=not is_server)
    with closing(opened) as sql:
        open_market(sql)
        if ledger.path is None:
            _move_in(ledger, sql)
        yield sql


def keep_history(ledger: Ledger, models: Mapping[str, Sequence[Quoted]], known_at: datetime) -> int:
    """Keep the prices of this moment, whenever there are others; how many were news."""
    with market_books(ledger, is_server=True) as sql, sql.transaction():
        return MarketHistory(sql).keep(models, known_at)


def _move_in(ledger: Ledger, sql: Sql) -> None:
    """Prices that a server on PostgreSQL kept in a file of its own, before all shared them."""
    file = ledger.place.with_name(ledger.place.name + "-market.db")
    if not file.exists():
        return
    with closing(sqlite3.connect(file)) as old, sql.transaction():
        columns = [
            name for (name,) in old.execute("SELECT name FROM pragma_table_info('quote_history')")
        ]
        take_over(sql, old.execute(old_quotes(columns)) if columns else ())
    file.rename(file.with_name(file.name + ".moved"))


def leader_lock(ledger: Ledger) -> LeaderLock:
    """What one of all workers has that share these books, on however many hosts."""
    if ledger.path is not None:
        return FileLock(Path(f"{ledger.path}-leader.lock"))
    from ledger.databases.postgres import PostgresLeaderLock, Server

    return PostgresLeaderLock(Server(ledger.url))

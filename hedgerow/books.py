"""The books of a configuration, opened: SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from benchmarks.history import MarketHistory, PastQuote
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


def keep_history(ledger: Ledger, quotes: list[PastQuote]) -> None:
    """Keep the prices of this moment: beside the books in SQLite, else in a file of their own."""
    if ledger.path is not None:
        with closing(SqliteFile.open(ledger.path, is_server=True)) as sql, sql.transaction():
            _append(sql.database, quotes)
        return
    file = ledger.place.with_name(ledger.place.name + "-market.db")
    with closing(Database(file)) as database, database.conn:
        _append(database, quotes)


def _append(database: Database, quotes: list[PastQuote]) -> None:
    MarketHistory.migrate(database)
    MarketHistory(database).append(quotes)


def leader_lock(ledger: Ledger) -> LeaderLock:
    """What one of all workers has that share these books, on however many hosts."""
    if ledger.path is not None:
        return FileLock(Path(f"{ledger.path}-leader.lock"))
    from ledger.databases.postgres import PostgresLeaderLock, Server

    return PostgresLeaderLock(Server(ledger.url))

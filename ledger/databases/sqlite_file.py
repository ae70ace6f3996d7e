"""A SQLite file of ours: opened, brought up to date, and its transactions.

The one edge at which SQLite's errors become ours.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Literal, Self

from ledger.databases.lean_sqlite import Database
from ledger.databases.migrations.history import NEWEST, refuse_later, steps, version
from ledger.databases.schema import APPLICATION_ID, migrations
from ledger.databases.sql import Dialect, Row, Value, marks
from ledger.errors import NotOurStore, RowRefused, StoreUnavailable
from ledger.lock import sole_server

Durability = Literal["process", "disk"]
BUSY_TIMEOUT_S = 5.0
"""How long a write waits for another program's."""
_WAL_TRIES = 8


class SqliteFile:
    """An open database of ours, as `Sql`. `close()` it; it is used by one thread at a time."""

    def __init__(self, database: Database, path: Path) -> None:
        self.database = database
        self.path = path
        self._conn = database.conn

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def dialect(self) -> Dialect:
        return Dialect.SQLITE

    # -- opening

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        durability: Durability = "process",
        create: bool = True,
        migrate: bool = True,
        is_server: bool = False,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> Self:
        """Open the books at `path`, bringing older ones up to date unless told not to.

        is_server: the caller has the lock of `ledger.lock`. Nobody else brings books up to date
        while a server has them: StoreInUse.

        Several programs may open new books at the same moment: the first makes them, the others
        wait. Raises NotOurStore for any other file, StoreTooNew for books of a later version,
        StoreUnavailable for what cannot be read or written.
        """
        if not create and not path.exists():
            raise StoreUnavailable(
                f"there are no books at {path} yet: start `hedgerow serve`, or create a key"
            )
        try:
            conn = sqlite3.connect(
                path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise StoreUnavailable(
                f"cannot open {path}: {error}; check the folder's rights"
            ) from error
        try:
            database = Database(conn, execute_plugins=False)
            is_new = _refuse_foreign(database, path)
            opened = cls(database, path)
            with _translated(path):
                conn.execute("PRAGMA foreign_keys = ON")
                if is_new or (migrate and opened.version < NEWEST):
                    with nullcontext() if is_new or is_server else sole_server(path):
                        opened.migrate()
                _use_wal(conn)
                conn.execute(f"PRAGMA synchronous = {'FULL' if durability == 'disk' else 'NORMAL'}")
        except BaseException:
            conn.close()
            raise
        return opened

    def migrate(self, to: int = NEWEST) -> tuple[str, ...]:
        """Bring the tables to a version, and stamp the file as ours: together, so that whoever
        opens it meanwhile, or after a crash, sees all of it or nothing. As `history.migrate`."""
        with self.transaction():
            self._conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            migrations.apply(self.database)
            return steps(self, to)

    @property
    def version(self) -> int:
        """Which one its tables are of. Raises StoreTooNew."""
        return version(self)

    def close(self) -> None:
        self._conn.close()

    # -- statements

    def execute(self, statement: str, values: Sequence[Value] = ()) -> sqlite3.Cursor:
        with _translated(self.path):
            return self._conn.execute(statement, values)

    def insert(self, table: str, columns: str, rows: Iterable[Sequence[Value]]) -> None:
        """Many rows that are all new."""
        count = columns.count(",") + 1
        with _translated(self.path):
            self._conn.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks(count)})", rows)

    def stream(self, statement: str, values: Sequence[Value] = ()) -> Iterator[Row]:
        """Rows as they come. Within a `view`."""
        with _translated(self.path):
            yield from self._conn.execute(statement, values)

    # -- transactions

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that happens inside is committed together, or not at all."""
        with _translated(self.path):
            self._conn.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._conn.execute("COMMIT")
            except BaseException:
                if self._conn.in_transaction:
                    self._conn.execute("ROLLBACK")
                self._undone()
                raise

    @contextmanager
    def view(self) -> Iterator[None]:
        """All that is read inside is of one moment; writers need not wait for it."""
        with _translated(self.path):
            self._conn.execute("SAVEPOINT view")  # of its own, or part of a transaction
            try:
                yield
            finally:
                if self._conn.in_transaction:
                    self._conn.execute("RELEASE view")

    @contextmanager
    def step(self) -> Iterator[None]:
        """One step of a transaction: undone alone if it raises."""
        with _translated(self.path):
            self._conn.execute("SAVEPOINT step")
            try:
                yield
            except BaseException:
                if self._conn.in_transaction:  # a full disk has ended all of it already
                    self._conn.execute("ROLLBACK TO step")
                    self._conn.execute("RELEASE step")
                    self._undone()
                raise
            self._conn.execute("RELEASE step")

    def _undone(self) -> None:
        """Something that was written has not been written after all: forget what relies on it."""


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.IntegrityError, OverflowError, UnicodeEncodeError) as error:
        raise RowRefused(f"{path} refuses a row: {error}; this is a fault in Hedgerow") from error
    except sqlite3.DatabaseError as error:
        raise StoreUnavailable(
            f"cannot use the books at {path}: {error}; check the disk, the rights of the file,"
            " and whether another program has it locked"
        ) from error


def _use_wal(conn: sqlite3.Connection) -> None:
    """Readers need not wait. SQLite does not wait for its lock here: a write of nothing does."""
    for _ in range(_WAL_TRIES):
        try:
            conn.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            conn.execute("BEGIN IMMEDIATE")
            conn.execute("COMMIT")
        else:
            return
    raise sqlite3.OperationalError("several programs open it at this moment")


def _refuse_foreign(database: Database, path: Path) -> bool:
    """Raises NotOurStore, StoreTooNew. True for a file in which nothing is yet."""
    try:
        tables = database.table_names()  # before the stamp: books being made get both at once
        stamp = database.conn.execute("PRAGMA application_id").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            raise NotOurStore(
                f"{path} is no SQLite database: name another file in ledger.url"
            ) from error
        raise StoreUnavailable(f"cannot read {path}: {error}; check the file's rights") from error
    if stamp != APPLICATION_ID and tables:
        raise NotOurStore(
            f"{path} is a database of another program (tables {', '.join(tables[:3])}):"
            " name another file in ledger.url"
        )
    refuse_later(str(path), (one.name for one in migrations.applied(database)))
    return not tables

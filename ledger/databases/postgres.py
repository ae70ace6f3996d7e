"""A PostgreSQL database of ours, as `Sql`: its connection, its transactions, its lock.

The one edge at which PostgreSQL's errors become ours. Nothing else knows psycopg, but
`postgres_values`.

What is sent is bounded twice: the server ends a statement that takes too long, and where the server
itself does not answer, the connection is given up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import psycopg
from psycopg import RawCursor, RawServerCursor, errors
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from ledger.databases.migrations.history import NEWEST, is_ours, migrate, version
from ledger.databases.postgres_values import AS_SQLITE, numbered
from ledger.databases.sql import Dialect, Row, Rows, Value
from ledger.errors import CommitUnknown, NotOurStore, RowRefused, StoreInUse, StoreUnavailable

TIMEOUT_S = 5.0
"""How long a connection, a statement, a lock may take."""
_IDLE_IN_TRANSACTION_S = 60
"""After so long without a word the server ends a transaction: what it has locked is free again."""
_FETCH_ROWS = 2000
LEADER = 0x48454447_4C454144
"""The advisory lock of whoever leads: `HEDGLEAD`."""
WRITER = 0x48454447_57524954
"""The advisory lock of whoever writes: `HEDGWRIT`."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a database is, and how long to wait for it. Its repr has no password.

    Raises StoreUnavailable for what is no URL of PostgreSQL.
    """

    url: str = field(repr=False)
    connect_timeout_s: float = TIMEOUT_S
    statement_timeout_s: float | None = TIMEOUT_S
    """None: as long as it takes, for what reads all of the books."""
    lock_timeout_s: float = TIMEOUT_S
    grace_s: float = 2.0
    """How much longer than the server's own limits an answer may take."""
    name: str = field(init=False)
    _parameters: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            parameters = conninfo_to_dict(self.url)
        except psycopg.Error:  # its words may show the password
            parameters = {"port": "?"}
        ports = str(parameters.get("port", "")).split(",")
        name = str(parameters.get("dbname", ""))
        # A password with a sign of URLs in it would be taken for a port or a name, and be told.
        if "@" in name or not all(one.isdigit() or not one for one in ports):
            raise StoreUnavailable(
                "ledger.url is no URL of PostgreSQL: write postgresql://user@host/database, with"
                " signs such as / and @ in a password as %2F and %40"
            )
        object.__setattr__(self, "_parameters", parameters)
        object.__setattr__(self, "name", _name(parameters))

    def connect(self) -> _Connection:
        """Raises StoreUnavailable."""
        settings = {
            "application_name": "hedgerow",
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "connect_timeout": max(2, round(self.connect_timeout_s)),  # libpq knows no less
            "client_encoding": "UTF8",
        }
        with self.translated():
            conn = _Connection.connect(
                **{**settings, **self._parameters},
                autocommit=True,
                context=AS_SQLITE,
                cursor_factory=RawCursor,
            )
            limits = (
                ("statement_timeout", self.statement_timeout_s or 0),
                ("lock_timeout", self.lock_timeout_s),
                ("idle_in_transaction_session_timeout", _IDLE_IN_TRANSACTION_S),
            )
            try:
                conn.answer_s = self.connect_timeout_s + self.grace_s
                conn.execute(
                    "SELECT set_config('TimeZone', 'UTC', false), "
                    + ", ".join(
                        f"set_config('{one}', '{s * 1000:.0f}', false)" for one, s in limits
                    )
                )
            except BaseException:
                conn.close()
                raise
        if self.statement_timeout_s is None:
            conn.answer_s = None
        else:
            conn.answer_s = max(self.statement_timeout_s, self.lock_timeout_s) + self.grace_s
        return conn

    @contextmanager
    def translated(self) -> Iterator[None]:
        """PostgreSQL's errors as ours, in one line, without the password."""
        try:
            yield
        except (psycopg.IntegrityError, psycopg.DataError, UnicodeEncodeError) as error:
            raise RowRefused(
                f"{self.name} refuses a row: {self._said(error)}; this is a fault in Hedgerow"
            ) from error
        except psycopg.Error as error:
            raise StoreUnavailable(
                f"cannot use the books at {self.name}: {self._said(error)}; {_mend(error)}"
            ) from error

    def _said(self, error: Exception) -> str:
        said = " ".join(str(error).split())
        if isinstance(error, errors.OperationalError) and "wait timeout" in said:
            said = "no answer in time"
        password = self._parameters.get("password")
        return said.replace(str(password), "…") if password else said


def _name(parameters: dict[str, Any]) -> str:
    """A URL without what is secret."""
    host = str(parameters.get("host", ""))
    where, query = (host, "") if not host.startswith("/") else ("", f"?host={host}")
    user = f"{parameters['user']}@" if "user" in parameters else ""
    port = str(parameters.get("port", "")).strip(",")
    port = f":{port}" if port else ""
    return f"postgresql://{user}{where}{port}/{parameters.get('dbname', '')}{query}"


def _mend(error: psycopg.Error) -> str:
    match error:
        case errors.SerializationFailure() | errors.DeadlockDetected():
            return "another program wrote at the same moment: it is tried again"
        case errors.LockNotAvailable():
            return "another program has it locked: see pg_stat_activity"
        case errors.QueryCanceled():
            return "it took too long: check the load of the server"
        case errors.DiskFull():
            return "make room on the server's disk"
        case errors.InsufficientPrivilege():
            return "give its user the rights to this database"
        case psycopg.ProgrammingError():
            return "this is a fault in Hedgerow"
        case _:
            return "check that the server runs, and ledger.url"


class _Connection(psycopg.Connection[Row]):
    """A connection that does not wait for ever for a server that does not answer."""

    answer_s: float | None = None

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, timeout or self.answer_s)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()  # what it does now, nobody knows
            raise

    @property
    def status(self) -> TransactionStatus:
        return self.info.transaction_status


class PostgresDatabase:
    """An open database of ours. `close()` it; it is used by one thread at a time.

    A connection that was lost is made anew by the next transaction or view, or by the next
    statement outside of both. Other programs may write between the statements of a transaction:
    what must hold together is said in one statement, or locked by an UPDATE first. An error within
    a transaction ends all of it, unless it is caught outside of a `step`.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._conn = server.connect()
        self._within = False
        self._streams = 0

    @classmethod
    def open(cls, server: Server, *, create: bool = True, migrate: bool = True) -> Self:
        """Open the books at `server`, bringing older ones up to date unless told not to.

        Several programs may open new books at the same moment. Raises NotOurStore for a database
        of others, StoreTooNew for books of a later version, StoreInUse for older ones that a server
        has open, StoreUnavailable.
        """
        database = cls(server)
        try:
            database._refuse_foreign(create)
            if migrate and database.version < NEWEST:
                database.migrate()
        except BaseException:
            database.close()
            raise
        return database

    def _refuse_foreign(self, create: bool) -> None:
        with self.view():
            encoding = self.execute("SHOW server_encoding").fetchall()[0][0]
            tables = self.execute(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')"
                " AND relnamespace = current_schema()::regnamespace ORDER BY 1"
            ).fetchall()
            ours = is_ours(self)
        if not ours and tables:
            named = ", ".join(name for (name,) in tables[:3])
            raise NotOurStore(
                f"{self.name} is a database of another program (tables {named}):"
                " name another database in ledger.url"
            )
        if not ours and not create:
            raise StoreUnavailable(
                f"there are no books at {self.name} yet: start `hedgerow serve`, or create a key"
            )
        if encoding != "UTF8":
            raise NotOurStore(
                f"{self.name} keeps texts as {encoding}: make one with ENCODING 'UTF8'"
                " TEMPLATE template0, and name it in ledger.url"
            )

    def migrate(self, to: int = NEWEST) -> tuple[str, ...]:
        """Bring the tables to a version, as `history.migrate`. Raises StoreInUse while a server
        has the books: one of those that do is always their leader."""
        if not self.version:
            return migrate(self, to)
        leader = PostgresLeaderLock(self._server)
        if not leader.try_take():
            raise StoreInUse(
                f"a `hedgerow serve` has the books at {self.name} open: stop all of them first"
            )
        try:
            return migrate(self, to)
        finally:
            leader.release()

    @property
    def version(self) -> int:
        """Which one its tables are of. Raises StoreTooNew."""
        with self.view():
            return version(self)

    @property
    def name(self) -> str:
        return self._server.name

    @property
    def dialect(self) -> Dialect:
        return Dialect.POSTGRES

    def close(self) -> None:
        self._conn.close()

    # -- statements

    def execute(self, statement: str, values: Sequence[Value] = ()) -> Rows:
        with self._server.translated():
            return self._ready().execute(numbered(statement), values)

    def insert(self, table: str, columns: str, rows: Iterable[Sequence[Value]]) -> None:
        """Many rows that are all new, by COPY; what makes them cannot read here meanwhile."""
        with (
            self._server.translated(),
            self._ready().cursor() as cursor,
            cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(row)

    def stream(self, statement: str, values: Sequence[Value] = ()) -> Iterator[Row]:
        """Rows as they come, some at a time. Within a `view`."""
        self._streams += 1
        with (
            self._server.translated(),
            RawServerCursor(self._conn, f"stream_{self._streams}") as cursor,
        ):
            cursor.itersize = _FETCH_ROWS
            cursor.execute(numbered(statement), values)
            yield from cursor

    # -- transactions

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that happens inside is committed together, or not at all.

        One writes at a time, as in SQLite: a transaction carries many calls, each of which locks
        rows in its own order. All lock the rows of the same few budgets in any case, and two that
        locked each other out would both stand still until the server notices.

        Raises CommitUnknown if the connection was lost at the commit, and the server cannot be
        asked what became of it.
        """
        with self._server.translated():
            self._begin(f"BEGIN; SELECT pg_advisory_xact_lock({WRITER})")
            try:
                yield
                self._commit()
            except BaseException:
                self._roll_back()
                self._undone()
                raise

    @contextmanager
    def view(self) -> Iterator[None]:
        """All that is read inside is of one moment; within a transaction it is a part of it."""
        if self._within:
            yield
            return
        with self._server.translated():
            self._begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield
            finally:
                self._roll_back()

    @contextmanager
    def step(self) -> Iterator[None]:
        """One step of a transaction: undone alone if it raises."""
        with self._server.translated():
            self._conn.execute("SAVEPOINT step")
            try:
                yield
            except BaseException:
                if not self._conn.closed:
                    self._conn.execute("ROLLBACK TO step")
                    self._conn.execute("RELEASE step")
                    self._undone()
                raise
            self._conn.execute("RELEASE step")

    def _undone(self) -> None:
        """Something that was written has not been written after all: forget what relies on it."""

    def _ready(self) -> _Connection:
        """The connection; a new one if it was lost, but not in the middle of a transaction."""
        if self._conn.closed and not self._within:
            self._conn = self._server.connect()
        return self._conn

    def _begin(self, statement: str) -> None:
        if self._within:
            raise psycopg.ProgrammingError("there is a transaction within a transaction")
        conn = self._ready()
        try:
            conn.execute(statement)
        except psycopg.OperationalError:
            if not conn.closed:
                self._roll_back()
                raise
            self._conn = self._server.connect()  # it was lost while nobody looked
            self._conn.execute(statement)
        self._within = True

    def _roll_back(self) -> None:
        self._within = False
        with suppress(psycopg.Error):  # a lost connection has rolled back
            if self._conn.status != TransactionStatus.IDLE:
                self._conn.execute("ROLLBACK")

    def _commit(self) -> None:
        conn = self._conn
        if conn.status == TransactionStatus.INERROR:
            raise RowRefused(
                f"{self.name} has undone a transaction: a statement of it failed, and no step of it"
                " was undone; this is a fault in Hedgerow"
            )
        (number,) = conn.execute("SELECT pg_current_xact_id_if_assigned()::text").fetchall()[0]
        try:
            conn.execute("COMMIT")
        except psycopg.OperationalError as error:
            if number is None or not conn.closed:
                raise
            self._within = False
            if not self._is_committed(number):
                raise StoreUnavailable(
                    f"{self.name} was lost, and what was being written with it: it is tried again"
                ) from error
        self._within = False

    def _is_committed(self, number: str) -> bool:
        """Whether a transaction was committed whose answer did not come. Raises CommitUnknown."""
        status = None
        with suppress(StoreUnavailable, psycopg.Error):
            conn = self._ready()
            for _ in range(_COMMIT_LOOKS):
                ((status,),) = conn.execute("SELECT pg_xact_status($1::xid8)", (number,)).fetchall()
                if status != "in progress":
                    break
                conn.execute("SELECT pg_sleep(0.05)")
        if status == "committed":
            return True
        if status == "aborted":
            return False
        raise CommitUnknown(
            f"{self.name} was lost at a commit: whether it is written, nobody knows; read it again",
            partial(self._is_committed, number),
        )


_COMMIT_LOOKS = 40
"""How often a commit is asked after that is still in progress: 2 s."""


class PostgresLeaderLock:
    """What at most one program has, for as long as its own connection lives. As `LeaderLock`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._conn: _Connection | None = None

    def try_take(self) -> bool:
        """Take it if nobody has it; whether it is ours now. Raises StoreUnavailable."""
        if self._conn is not None:
            if self.is_held():
                return True
            self.release()
        conn = self._server.connect()
        with self._server.translated():
            try:
                taken = conn.execute("SELECT pg_try_advisory_lock($1)", (LEADER,)).fetchall()
            except BaseException:
                conn.close()
                raise
        if taken == [(1,)]:
            self._conn = conn
            return True
        conn.close()
        return False

    def is_held(self) -> bool:
        """Whether what we took is ours still, and was all the time: its connection lives."""
        if self._conn is None:
            return False
        try:
            self._conn.execute("SELECT 1")
        except psycopg.Error:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Give it back, if it is ours."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None

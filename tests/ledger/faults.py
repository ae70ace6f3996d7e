"""A database that fails when it is told to, in the ways in which real ones do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum

from ledger.databases.sql import Dialect, Row, Rows, Sql, Value
from ledger.errors import CommitUnknown, StoreUnavailable


class Lost(Enum):
    """How the answer to a commit gets lost. It was written, or not; and whoever asks is told so, or
    nobody knows that anything was written at all."""

    WRITTEN = "written"
    UNDONE = "undone"
    WRITTEN_UNTOLD = "written, but reported as undone"


class Undo(Exception):
    pass


class Faulty:
    """A `Sql` in front of another one.

    is_down: nothing can be read or written. lost: what happens to the next commit of something.
    is_silent: nobody can be asked what became of it. before: called before each transaction.
    """

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self.is_down = False
        self.is_silent = False
        self.lost: Lost | None = None
        self.transactions = 0
        self.before: Callable[[int], None] = lambda _: None

    @property
    def name(self) -> str:
        return self._sql.name

    @property
    def dialect(self) -> Dialect:
        return self._sql.dialect

    def _refuse_if_down(self) -> None:
        if self.is_down:
            raise StoreUnavailable("the database is down")

    def execute(self, statement: str, values: Sequence[Value] = ()) -> Rows:
        self._refuse_if_down()
        return self._sql.execute(statement, values)

    def insert(self, table: str, columns: str, rows: Iterable[Sequence[Value]]) -> None:
        self._refuse_if_down()
        self._sql.insert(table, columns, rows)

    def stream(self, statement: str, values: Sequence[Value] = ()) -> Iterator[Row]:
        self._refuse_if_down()
        return self._sql.stream(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.before(self.transactions)
        self._refuse_if_down()
        self.transactions += 1
        lost, self.lost = self.lost, None
        try:
            with self._sql.transaction():
                yield
                self._refuse_if_down()
                if lost is Lost.UNDONE:
                    raise Undo
        except Undo:
            raise self._unknown(committed=False) from None
        if lost is Lost.WRITTEN:
            raise self._unknown(committed=True)
        if lost is Lost.WRITTEN_UNTOLD:
            raise StoreUnavailable("the connection was lost")

    def _unknown(self, *, committed: bool) -> CommitUnknown:
        def ask() -> bool:
            if self.is_down or self.is_silent:
                raise StoreUnavailable("the database is down")
            return committed

        return CommitUnknown("the connection was lost at a commit", ask)

    @contextmanager
    def step(self) -> Iterator[None]:
        self._refuse_if_down()
        with self._sql.step():
            yield

    @contextmanager
    def view(self) -> Iterator[None]:
        self._refuse_if_down()
        with self._sql.view():
            yield

    def close(self) -> None:
        self._sql.close()

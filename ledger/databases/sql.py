"""Sql: the books' database, whichever it is, as the tables of the ledger use it.

SQL is written once, for SQLite and for PostgreSQL, with `?` where a value stands. What one of them
says differently is said by `Dialect`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

Value: TypeAlias = str | int | float | bytes | None
Row: TypeAlias = tuple[Any, ...]


class Dialect(StrEnum):
    SQLITE = "sqlite"
    POSTGRES = "postgres"


class Rows(Protocol):
    """What a statement brought."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Row | None: ...
    def fetchall(self) -> list[Row]: ...
    def __iter__(self) -> Iterator[Row]: ...


class Sql(Protocol):
    """An open database. It is used by one thread at a time; `close` it last.

    Every method raises StoreUnavailable when the database cannot be reached, RowRefused for a row
    that breaks a rule of the schema. A connection that was lost is made anew by the next
    `transaction` or `view`.
    """

    @property
    def name(self) -> str:
        """The database as messages name it, without any password."""

    @property
    def dialect(self) -> Dialect: ...

    def execute(self, statement: str, values: Sequence[Value] = ()) -> Rows: ...

    def insert(self, table: str, columns: str, rows: Iterable[Sequence[Value]]) -> None:
        """Many rows that are all new, as fast as the database takes them; what makes them does not
        use it meanwhile."""

    def stream(self, statement: str, values: Sequence[Value] = ()) -> Iterator[Row]:
        """Rows as they come, for results that are too large to keep. Within a `view`."""

    def transaction(self) -> AbstractContextManager[None]:
        """All that happens inside is committed together, or not at all.

        An error of a statement ends all of it, unless the statement was in a `step`. Raises
        CommitUnknown if the connection was lost at the commit and the server cannot be asked.
        """

    def step(self) -> AbstractContextManager[None]:
        """One step of a transaction: undone alone if it raises."""

    def view(self) -> AbstractContextManager[None]:
        """All that is read inside is of one moment; writers need not wait for it."""

    def close(self) -> None: ...


def each_of(column: str, alias: str, dialect: Dialect) -> str:
    """A JOIN with one row for each text in a JSON array of texts, as `alias.value`, or one NULL."""
    if dialect is Dialect.SQLITE:
        return f"LEFT JOIN json_each({column}) AS {alias}"
    return f"LEFT JOIN LATERAL jsonb_array_elements_text({column}::jsonb) AS {alias}(value) ON true"


def marks(count: int) -> str:
    return ", ".join("?" * count)

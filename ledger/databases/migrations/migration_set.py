"""MigrationSet: the versions of tables that belong together, and the way between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ledger.databases.migrations.migration import Migration
from ledger.databases.sql import Dialect, Sql
from ledger.errors import CannotMigrate, StoreTooNew

_APPLIED = {Dialect.SQLITE: "_sqlite_migrations", Dialect.POSTGRES: "hedgerow_migrations"}
"""Where the steps are noted: in SQLite where versions 1 to 6 of the books noted theirs, so that a
program of those times sees that the books are newer than itself."""
_MIGRATING = 0x48454447_4D494752
"""PostgreSQL's advisory lock of whoever changes the tables: `HEDGMIGR`."""


@dataclass(frozen=True, slots=True)
class MigrationSet:
    """Steps in their order, without a gap. A new one is added at the end, with a module of its own.

    name: what the database knows them by. oldest: how far back a database can be brought.
    """

    name: str
    steps: tuple[Migration, ...]
    oldest: Mapping[Dialect, int]

    @property
    def newest(self) -> int:
        return self.steps[-1].number

    def version(self, sql: Sql) -> int:
        """Which version the tables are of; 0 for none. Raises StoreTooNew."""
        if not has_any(sql):
            return 0
        rows = sql.execute(
            f"SELECT name FROM {_APPLIED[sql.dialect]} WHERE migration_set = ? ORDER BY name",
            (self.name,),
        ).fetchall()
        self.refuse_later(sql.name, (name for (name,) in rows))
        return max((_number(name) for (name,) in rows), default=0)

    def refuse_later(self, database: str, applied: Iterable[str]) -> None:
        """Raises StoreTooNew if steps were applied that this version does not know."""
        ours, first = {one.key for one in self.steps}, self.steps[0].number
        later = [one for one in applied if _number(one) >= first and one not in ours]
        if later:
            raise StoreTooNew(
                f"{database} was written by a later version of Hedgerow"
                f" ({', '.join(sorted(later))}): update Hedgerow, or name another one in ledger.url"
            )

    def migrate(self, sql: Sql, to: int) -> tuple[str, ...]:
        """Bring the tables to a version, all steps or none; returns what had no place there.

        Raises CannotMigrate for a version that there is no way to, StoreTooNew.
        """
        with sql.transaction():
            return self.within(sql, to)

    def within(self, sql: Sql, to: int) -> tuple[str, ...]:
        """As `migrate`, within a transaction."""
        oldest = self.oldest[sql.dialect]
        if not oldest <= to <= self.newest:
            raise CannotMigrate(
                f"there is no way to version {to}: name one from {oldest} to {self.newest}"
            )
        if sql.dialect is Dialect.POSTGRES:
            sql.execute("SELECT pg_advisory_xact_lock(?)", (_MIGRATING,))
        current, dropped = self.version(sql), list[str]()
        for one in self.steps:
            if current < one.number <= to:
                one.forward(sql)
                self._note(sql, one)
        for one in reversed(self.steps):
            if to < one.number <= current:
                dropped += one.back(sql)
                self._forget(sql, one)
        return tuple(dropped)

    def _note(self, sql: Sql, one: Migration) -> None:
        table = _APPLIED[sql.dialect]
        if sql.dialect is Dialect.POSTGRES:
            sql.execute(
                f"CREATE TABLE IF NOT EXISTS {table} (migration_set TEXT NOT NULL,"
                " name TEXT NOT NULL, applied_at TEXT NOT NULL, PRIMARY KEY (migration_set, name))"
            )
        sql.execute(
            f"INSERT INTO {table} (migration_set, name, applied_at)"
            " VALUES (?, ?, CAST(CURRENT_TIMESTAMP AS TEXT))",
            (self.name, one.key),
        )

    def _forget(self, sql: Sql, one: Migration) -> None:
        sql.execute(
            f"DELETE FROM {_APPLIED[sql.dialect]} WHERE migration_set = ? AND name = ?",
            (self.name, one.key),
        )


def has_any(sql: Sql) -> bool:
    """Whether a database has tables of ours."""
    if sql.dialect is Dialect.SQLITE:  # the file is stamped as ours when it is made
        return True
    return sql.execute("SELECT to_regclass(?)", (_APPLIED[sql.dialect],)).fetchone() != (None,)


def _number(key: str) -> int:
    """The version of a step by its key."""
    return int(key[1:4])

"""History: every version of the tables since the books have entries, and the way between them.

Before them are versions 1 to 6, which only SQLite had: `ledger.databases.schema`.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.databases.migrations.m007_entries import ENTRIES
from ledger.databases.migrations.m008_policy import POLICY_8
from ledger.databases.migrations.m009_notices import NOTICES
from ledger.databases.migrations.m010_prices import PRICES_10
from ledger.databases.migrations.migration import Migration
from ledger.databases.sql import Dialect, Sql
from ledger.errors import CannotMigrate, StoreTooNew

MIGRATIONS: tuple[Migration, ...] = (ENTRIES, POLICY_8, NOTICES, PRICES_10)
"""In their order, without a gap. A new one is added at the end, with a module of its own."""

NEWEST = MIGRATIONS[-1].number
OLDEST = {Dialect.SQLITE: MIGRATIONS[0].number - 1, Dialect.POSTGRES: MIGRATIONS[0].number}
"""How far back a database can be brought."""

_SET = "hedgerow.ledger"
_APPLIED = {Dialect.SQLITE: "_sqlite_migrations", Dialect.POSTGRES: "hedgerow_migrations"}
"""Where the steps are noted: in SQLite where versions 1 to 6 noted theirs, so that a program of
those times sees that the books are newer than itself."""
_MIGRATING = 0x48454447_4D494752
"""PostgreSQL's advisory lock of whoever changes the tables: `HEDGMIGR`."""


def is_ours(sql: Sql) -> bool:
    """Whether a PostgreSQL database has our tables."""
    return sql.execute("SELECT to_regclass(?)", (_APPLIED[sql.dialect],)).fetchone() != (None,)


def version(sql: Sql) -> int:
    """Which version the tables are of; 0 for none. Raises StoreTooNew."""
    if sql.dialect is Dialect.POSTGRES and not is_ours(sql):
        return 0
    rows = sql.execute(
        f"SELECT name FROM {_APPLIED[sql.dialect]} WHERE migration_set = ? ORDER BY name", (_SET,)
    ).fetchall()
    refuse_later(sql.name, (name for (name,) in rows))
    return max((_number(name) for (name,) in rows), default=0)


def refuse_later(name: str, applied: Iterable[str]) -> None:
    """Raises StoreTooNew if steps were applied that this version does not know."""
    ours = {one.key for one in MIGRATIONS}
    later = [one for one in applied if _number(one) >= MIGRATIONS[0].number and one not in ours]
    if later:
        raise StoreTooNew(
            f"{name} was written by a later version of Hedgerow ({', '.join(sorted(later))}):"
            " update Hedgerow, or name another one in ledger.url"
        )


def migrate(sql: Sql, to: int) -> tuple[str, ...]:
    """Bring the tables to a version, all steps or none; returns what had no place there.

    Raises CannotMigrate for a version that there is no way to, StoreTooNew.
    """
    with sql.transaction():
        return steps(sql, to)


def steps(sql: Sql, to: int) -> tuple[str, ...]:
    """As `migrate`, within a transaction."""
    oldest = OLDEST[sql.dialect]
    if not oldest <= to <= NEWEST:
        raise CannotMigrate(f"there is no way to version {to}: name one from {oldest} to {NEWEST}")
    if sql.dialect is Dialect.POSTGRES:
        sql.execute("SELECT pg_advisory_xact_lock(?)", (_MIGRATING,))
    current, dropped = version(sql), list[str]()
    for one in MIGRATIONS:
        if current < one.number <= to:
            one.forward(sql)
            _note(sql, one)
    for one in reversed(MIGRATIONS):
        if to < one.number <= current:
            dropped += one.back(sql)
            _forget(sql, one)
    return tuple(dropped)


def _note(sql: Sql, one: Migration) -> None:
    table = _APPLIED[sql.dialect]
    if sql.dialect is Dialect.POSTGRES:
        sql.execute(
            f"CREATE TABLE IF NOT EXISTS {table} (migration_set TEXT NOT NULL, name TEXT NOT NULL,"
            " applied_at TEXT NOT NULL, PRIMARY KEY (migration_set, name))"
        )
    sql.execute(
        f"INSERT INTO {table} (migration_set, name, applied_at)"
        " VALUES (?, ?, CAST(CURRENT_TIMESTAMP AS TEXT))",
        (_SET, one.key),
    )


def _forget(sql: Sql, one: Migration) -> None:
    sql.execute(
        f"DELETE FROM {_APPLIED[sql.dialect]} WHERE migration_set = ? AND name = ?",
        (_SET, one.key),
    )


def _number(key: str) -> int:
    """The version of a step by its key."""
    return int(key[1:4])

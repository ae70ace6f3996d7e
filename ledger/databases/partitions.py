"""Partitions: on PostgreSQL, the entries of each month of UTC have a table of their own.

Attempt ids begin with their time, so that the month of an id is known. Ids of months that have no
table yet, or that are made otherwise, are in the default one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from ledger.databases.sql import Dialect, Sql

MONTHS = 3
"""This one and the next two."""
LOCK_TIMEOUT_S = 1
"""How long readers of entries are waited for; writers wait meanwhile."""


def ensure_partitions(sql: Sql, now: datetime) -> tuple[str, ...]:
    """Make the tables of this month and the next two, with the entries that are there already.

    Returns the names of those that were made. SQLite needs none. Raises StoreUnavailable while
    another program reads all entries: then it is for another day.
    """
    if sql.dialect is Dialect.SQLITE:
        return ()
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    starts = [first]
    for _ in range(MONTHS):
        starts.append(_next_month(starts[-1]))
    made: list[str] = []
    for start, end in pairwise(starts):
        name = f"entries_{start:%Y_%m}"
        if not _is_there(sql, name):
            with sql.transaction():
                _lock(sql)
                if not _is_there(sql, name):
                    _make(sql, name, bound(start), bound(end))
                    made.append(name)
    return tuple(made)


def drop_empty_partitions(sql: Sql, now: datetime) -> tuple[str, ...]:
    """Drop the tables of past months that retention has emptied; their names."""
    if sql.dialect is Dialect.SQLITE:
        return ()
    this = f"entries_{now.astimezone(UTC):%Y_%m}"
    names = sql.execute(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
        " WHERE inhparent = 'entries'::regclass AND relname LIKE 'entries/_2%' ESCAPE '/'"
        " AND relname < ? ORDER BY 1",
        (this,),
    ).fetchall()
    dropped: list[str] = []
    for (name,) in names:
        with sql.transaction():
            sql.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
            sql.execute("LOCK TABLE ONLY entries IN ACCESS EXCLUSIVE MODE")
            if sql.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() is None:
                sql.execute(f"DROP TABLE {name}")
                dropped.append(name)
    return tuple(dropped)


def bound(at: datetime) -> str:
    """What every attempt id since `at` is not less than."""
    return f"req_{int(at.timestamp()) * 1000:012x}"


def _lock(sql: Sql) -> None:
    """Let whoever writes entries wait, and whoever makes partitions, too.

    Writers wait for the whole table: one that had the default partition in mind already would be
    refused there. They wait no longer than we do for a reader of it.
    """
    sql.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
    sql.execute("LOCK TABLE ONLY entries IN SHARE ROW EXCLUSIVE MODE")
    sql.execute("LOCK TABLE entries_default IN ACCESS EXCLUSIVE MODE")


def _make(sql: Sql, name: str, lower: str, upper: str) -> None:
    sql.execute(f"CREATE TABLE {name} (LIKE entries INCLUDING ALL)")
    sql.execute(
        "WITH moved AS (DELETE FROM entries_default WHERE attempt_id >= ? AND attempt_id < ?"
        f" RETURNING *) INSERT INTO {name} SELECT * FROM moved",
        (lower, upper),
    )
    sql.execute(
        f"ALTER TABLE entries ATTACH PARTITION {name} FOR VALUES FROM ('{lower}') TO ('{upper}')"
    )


def _is_there(sql: Sql, name: str) -> bool:
    return sql.execute("SELECT to_regclass(?)", (name,)).fetchone() != (None,)


def _next_month(start: datetime) -> datetime:
    year, month = divmod(start.year * 12 + start.month, 12)
    return start.replace(year=year, month=month + 1)

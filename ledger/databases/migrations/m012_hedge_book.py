"""Version 12: the hedge's book: records of double entry on a chain, and fixings."""

from __future__ import annotations

from ledger.databases.migrations.migration import Migration
from ledger.databases.migrations.triggers import never_edited
from ledger.databases.sql import Sql
from ledger.tables.commitments import ENDS
from ledger.tables.ddl import ddl
from ledger.tables.fixings import FIXINGS
from ledger.tables.records import RECORDS

_KEPT = {
    "records": "records of the hedge's book go: export them first",
    "fixings": "fixings go",
    "commitment_ends": "commitments that ended early last for their whole term again",
}


def forward(sql: Sql) -> None:
    for statement in (*RECORDS, *FIXINGS, *ENDS):
        sql.execute(ddl(statement, sql.dialect))
    for table in ("records", "record_lines", "fixings", "commitment_ends"):
        never_edited(sql, table)


def back(sql: Sql) -> tuple[str, ...]:
    dropped = []
    for table, what in _KEPT.items():
        row = sql.execute(f"SELECT count(*) FROM {table}").fetchone()
        if row is not None and row[0]:
            dropped.append(f"{row[0]} {what}")
    sql.execute("DROP VIEW held_commitments")
    for table in ("commitment_ends", "record_lines", "records", "record_head", "fixings"):
        sql.execute(f"DROP TABLE {table}")
    return tuple(dropped)


HEDGE_BOOK = Migration(12, "hedge_book", forward, back)

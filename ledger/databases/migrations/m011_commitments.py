"""Version 11: commitments, what their capacity is worth, and what entries drew on them."""

from __future__ import annotations

from ledger.databases.migrations.migration import Migration
from ledger.databases.migrations.triggers import never_edited
from ledger.databases.sql import Sql
from ledger.tables.commitments import COMMITMENTS
from ledger.tables.ddl import ddl

_DRAWN = (("commitment", "TEXT"), ("micro_units", "INTEGER"), ("overage_micro_units", "INTEGER"))
_GONE = (
    ("commitments", "commitments go, with what their capacity is worth"),
    (
        "entries WHERE commitment IS NOT NULL",
        "entries lose what they drew on commitments: the audit of version 10 will name them",
    ),
)


def forward(sql: Sql) -> None:
    for statement in COMMITMENTS:
        sql.execute(ddl(statement, sql.dialect))
    never_edited(sql, "commitments")
    for column, kind in _DRAWN:
        sql.execute(ddl(f"ALTER TABLE entries ADD COLUMN {column} {kind}", sql.dialect))
    sql.execute(
        ddl("CREATE INDEX entries_commitment ON entries (commitment, at_ns)", sql.dialect)
        + " WHERE commitment IS NOT NULL"
    )
    sql.execute(
        ddl("ALTER TABLE retired ADD COLUMN micro_units INTEGER NOT NULL DEFAULT 0", sql.dialect)
    )


def back(sql: Sql) -> tuple[str, ...]:
    dropped = []
    for rows, what in _GONE:
        row = sql.execute(f"SELECT count(*) FROM {rows}").fetchone()
        if row is not None and row[0]:
            dropped.append(f"{row[0]} {what}")
    sql.execute("DROP INDEX entries_commitment")
    for column, _ in _DRAWN:
        sql.execute(f"ALTER TABLE entries DROP COLUMN {column}")
    sql.execute("ALTER TABLE retired DROP COLUMN micro_units")
    sql.execute("DROP TABLE bid_prices")
    sql.execute("DROP TABLE commitments")
    return tuple(dropped)


COMMITMENTS_11 = Migration(11, "commitments", forward, back)

"""Version 14: when commitments' fees are due, and what a month is closed with: reconciliations,
verifications, what teams were billed."""

from __future__ import annotations

from ledger.commitment_fees import fees_by_time
from ledger.databases.migrations.migration import Migration
from ledger.databases.migrations.triggers import never_edited
from ledger.databases.sql import Sql
from ledger.tables.closes import CLOSES
from ledger.tables.commitment_fees import COMMITMENT_FEES, FeeTable
from ledger.tables.commitments import CommitmentTable
from ledger.tables.ddl import ddl
from ledger.tables.reconciliations import RECONCILIATIONS
from ledger.tables.verifications import VERIFICATIONS

_TABLES = ("commitment_fees", "reconciliations", "verifications", "closes", "close_lines")
_KEPT = {
    "reconciliations": "reconciliations go",
    "verifications": "verifications go",
    "closes": "closed months go: what teams were billed in them is not known any more",
}


def forward(sql: Sql) -> None:
    """Commitments that are there count by time, as they did, until the hedge's book is settled the
    next time: that knows their terms."""
    for statement in (*COMMITMENT_FEES, *RECONCILIATIONS, *VERIFICATIONS, *CLOSES):
        sql.execute(ddl(statement, sql.dialect))
    for table in _TABLES:
        never_edited(sql, table)
    commitments, table_of_fees = CommitmentTable(sql), FeeTable(sql)
    bought_ns: dict[str, int] = dict(
        sql.execute("SELECT id, at_ns FROM commitments JOIN records ON record_id = id").fetchall()
    )
    held = {one.id: one for one in commitments.all()}
    for one in commitments.bought():
        if one.id in held:
            fees = fees_by_time(held[one.id])
            table_of_fees.keep_by_time(one.id, fees, bought_ns.get(one.id, one.starts_ns))


def back(sql: Sql) -> tuple[str, ...]:
    dropped = []
    for table, what in _KEPT.items():
        row = sql.execute(f"SELECT count(*) FROM {table}").fetchone()
        if row is not None and row[0]:
            dropped.append(f"{row[0]} {what}")
    row = sql.execute(
        "SELECT count(DISTINCT commitment) FROM commitment_fees WHERE version > 0"
    ).fetchone()
    if row is not None and row[0]:
        dropped.append(f"{row[0]} commitments are billed and expensed by time again")
    sql.execute("DROP VIEW held_fees")
    for table in ("close_lines", "closes", "verifications", "reconciliations", "commitment_fees"):
        sql.execute(f"DROP TABLE {table}")
    return tuple(dropped)


CLOSING = Migration(14, "closing", forward, back)

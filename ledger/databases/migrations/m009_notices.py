"""Version 9: notices of budgets; what budgets in shadow mode would have refused."""

from __future__ import annotations

from ledger.databases.migrations.migration import Migration
from ledger.databases.sql import Sql
from ledger.tables.ddl import ddl
from ledger.tables.outbox import DELIVERIES


def forward(sql: Sql) -> None:
    for statement in DELIVERIES:
        sql.execute(ddl(statement, sql.dialect))
    sql.execute(ddl("ALTER TABLE requests ADD COLUMN would_block TEXT", sql.dialect))


def back(sql: Sql) -> tuple[str, ...]:
    row = sql.execute("SELECT count(*) FROM deliveries WHERE state = 'due'").fetchone()
    due = 0 if row is None else row[0]
    sql.execute("ALTER TABLE requests DROP COLUMN would_block")
    sql.execute("DROP TABLE deliveries")
    return (f"{due} notices that are not delivered yet go",) if due else ()


NOTICES = Migration(9, "notices", forward, back)

"""Version 15: sums of days by who asked and by where it went; refused demand is found at once."""

from __future__ import annotations

from ledger.databases.migrations.migration import Migration
from ledger.databases.sql import Sql
from ledger.tables.ddl import ddl
from ledger.tables.outlines import OUTLINES, fill

_INDEXES = {
    "requests_refused": (
        "requests (at_ns, team, model, would_have_cost_nanos)"
        " WHERE would_have_cost_nanos IS NOT NULL"
    ),
    "requests_shadowed": "requests (at_ns) WHERE would_block IS NOT NULL",
}


def forward(sql: Sql) -> None:
    for statement in OUTLINES:
        sql.execute(ddl(statement, sql.dialect))
    fill(sql)
    for name, what in _INDEXES.items():
        sql.execute(f"CREATE INDEX {name} ON {what}")


def back(sql: Sql) -> tuple[str, ...]:
    """Nothing is lost: rollups say the same, and more."""
    for name in _INDEXES:
        sql.execute(f"DROP INDEX {name}")
    for table in ("outline_sums", "subject_outlines", "outlines"):
        sql.execute(f"DROP TABLE {table}")
    return ()


OUTLINES_15 = Migration(15, "outlines", forward, back)

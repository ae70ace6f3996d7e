"""Version 10: prices of reasoning and of caches of an hour, and what was written to those."""

from __future__ import annotations

from ledger.databases.migrations.migration import Migration
from ledger.databases.sql import Sql
from ledger.tables.ddl import ddl

_CARDS = ("reasoning", "cache_write_1h")
_COUNT = "cache_write_1h_tokens"
_GONE = (
    (
        f"rate_cards WHERE {' IS NOT NULL OR '.join(_CARDS)} IS NOT NULL",
        "rate cards lose prices that version 9 has none of: its audit will name them",
    ),
    (
        f"entries WHERE {_COUNT} IS NOT NULL",
        "entries lose a count that version 9 has none of: its audit will name them",
    ),
)


def forward(sql: Sql) -> None:
    for column in _CARDS:
        sql.execute(ddl(f"ALTER TABLE rate_cards ADD COLUMN {column} TEXT", sql.dialect))
    sql.execute(ddl(f"ALTER TABLE entries ADD COLUMN {_COUNT} INTEGER", sql.dialect))


def back(sql: Sql) -> tuple[str, ...]:
    dropped = []
    for rows, what in _GONE:
        row = sql.execute(f"SELECT count(*) FROM {rows}").fetchone()
        if row is not None and row[0]:
            dropped.append(f"{row[0]} {what}")
    for column in _CARDS:
        sql.execute(f"ALTER TABLE rate_cards DROP COLUMN {column}")
    sql.execute(f"ALTER TABLE entries DROP COLUMN {_COUNT}")
    return tuple(dropped)


PRICES_10 = Migration(10, "prices", forward, back)

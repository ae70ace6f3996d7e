"""Version 7: entries on hash chains, accounts of every measure, leases, rollups.

PostgreSQL begins here. In SQLite the rows of version 6 are brought over, and back. What
`ledger.tables.ddl` has is this version, until one is released: what changes then is a step of its
own.
"""

from __future__ import annotations

from ledger.databases.migrations.m007_rows import bring_back, bring_over
from ledger.databases.migrations.migration import Migration
from ledger.databases.migrations.triggers import never_edited, news
from ledger.databases.sql import Dialect, Sql
from ledger.errors import CannotMigrate
from ledger.tables.ddl import MONEY, NEVER_EDITED, ddl

_WITH_SQLITE = (
    """CREATE TABLE rate_cards (
        version TEXT PRIMARY KEY, input TEXT NOT NULL, output TEXT NOT NULL,
        cache_read TEXT NOT NULL, cache_write TEXT NOT NULL, request TEXT NOT NULL,
        unit TEXT NOT NULL DEFAULT '0', per TEXT
    ) STRICT""",
    """CREATE TABLE keys (
        id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, label TEXT NOT NULL, name TEXT,
        org TEXT, team TEXT, project TEXT, user_id TEXT, tags TEXT NOT NULL, models TEXT,
        created_at_ns INTEGER NOT NULL, expires_at_ns INTEGER, revoked_at_ns INTEGER
    ) STRICT""",
    """CREATE TABLE budgets (
        name TEXT PRIMARY KEY, scope TEXT NOT NULL, time_window TEXT NOT NULL,
        timezone TEXT NOT NULL, cap_nanos INTEGER NOT NULL, created_at_ns INTEGER NOT NULL
    ) STRICT""",
    "CREATE TABLE policy_version (version INTEGER NOT NULL) STRICT",
    """CREATE TABLE requests (
        id TEXT PRIMARY KEY, at_ns INTEGER NOT NULL, key_id TEXT NOT NULL, team TEXT, user_id TEXT,
        model TEXT NOT NULL, outcome TEXT NOT NULL, status INTEGER NOT NULL,
        attempts INTEGER NOT NULL, would_have_cost_nanos INTEGER, decision TEXT, failures TEXT
    ) STRICT""",
    "CREATE INDEX requests_at ON requests (at_ns)",
    """CREATE TABLE idempotency_keys (
        key_id TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL,
        request_id TEXT NOT NULL, at_ns INTEGER NOT NULL, PRIMARY KEY (key_id, key)
    ) STRICT""",
    "CREATE INDEX idempotency_keys_at ON idempotency_keys (at_ns)",
)
"""The tables that SQLite has from before, as they are now."""


def forward(sql: Sql) -> None:
    if sql.dialect is Dialect.SQLITE:
        bring_over(sql)
        for table in ("keys", "requests"):
            sql.execute(f"ALTER TABLE {table} RENAME COLUMN user TO user_id")
        return
    for statement in (*_WITH_SQLITE, *MONEY):
        text = ddl(statement, sql.dialect)
        if statement.startswith("CREATE TABLE entries "):
            text += " PARTITION BY RANGE (attempt_id)"
        sql.execute(text)
    sql.execute("CREATE TABLE entries_default PARTITION OF entries DEFAULT")
    sql.execute("INSERT INTO policy_version VALUES (0)")
    for table in NEVER_EDITED:
        never_edited(sql, table)
    for table in ("keys", "budgets"):
        news(sql, table)


def back(sql: Sql) -> tuple[str, ...]:
    if sql.dialect is Dialect.POSTGRES:
        raise CannotMigrate("books on PostgreSQL begin at version 7: there is none before it")
    dropped = bring_back(sql)
    for table in ("keys", "requests"):
        sql.execute(f"ALTER TABLE {table} RENAME COLUMN user_id TO user")
    return dropped


ENTRIES = Migration(7, "entries", forward, back)

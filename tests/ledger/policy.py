"""Books with policy tables, for tests."""

from __future__ import annotations

from pathlib import Path

from ledger.policy_tables import POLICY
from ledger.sqlite_file import SqliteFile


def policy_file(path: Path) -> SqliteFile:
    """New books at `path`, with the tables that a policy is kept in."""
    sql = SqliteFile.open(path)
    with sql.transaction():
        sql.execute("ALTER TABLE keys RENAME COLUMN user TO user_id")
        for statement in POLICY:
            sql.execute(statement)
    return sql

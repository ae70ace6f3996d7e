"""Version 13: keys of people, who have roles; their logins."""

from __future__ import annotations

from ledger.databases.migrations.migration import Migration
from ledger.databases.sql import Sql
from ledger.tables.ddl import ddl
from ledger.tables.sessions import SESSIONS


def forward(sql: Sql) -> None:
    sql.execute(ddl("ALTER TABLE keys ADD COLUMN role TEXT", sql.dialect))
    for statement in SESSIONS:
        sql.execute(ddl(statement, sql.dialect))


def back(sql: Sql) -> tuple[str, ...]:
    """Version 12 would let such a key ask models for anything: there it is revoked."""
    revoked = sql.execute(
        "SELECT role, label FROM keys WHERE role IS NOT NULL AND revoked_at_ns IS NULL ORDER BY id"
    ).fetchall()
    sql.execute(
        "UPDATE keys SET revoked_at_ns = created_at_ns"
        " WHERE role IS NOT NULL AND revoked_at_ns IS NULL"
    )
    sql.execute("ALTER TABLE keys DROP COLUMN role")
    sql.execute("DROP TABLE sessions")
    return tuple(f"key {label} had the role {role} and is revoked" for role, label in revoked)


PEOPLE = Migration(13, "people", forward, back)

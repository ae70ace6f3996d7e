"""Version 8: keys that rotate and are blocked, their owners, budgets of every kind, increases."""

from __future__ import annotations

from ledger.databases.migrations.migration import Migration
from ledger.databases.migrations.triggers import news
from ledger.databases.sql import Sql
from ledger.tables.ddl import ddl
from ledger.tables.policy import OWN, POLICY, POLICY_BACK

_NO_PLACE = (
    "measure <> 'usd' OR mode <> 'enforce' OR time_window LIKE 'rolling:%'"
    " OR thresholds LIKE '%\"allows\":true%'"
)
"""Budgets that version 7 would take for others, stricter or looser ones."""


def forward(sql: Sql) -> None:
    for statement in POLICY:
        sql.execute(ddl(statement, sql.dialect))
    for table in OWN:
        news(sql, table)


def back(sql: Sql) -> tuple[str, ...]:
    dropped = [
        f"budget {name} goes: version 7 has none of its kind"
        for (name,) in sql.execute(f"SELECT name FROM budgets WHERE {_NO_PLACE} ORDER BY name")
    ]
    dropped += [
        f"what was known of {kind} {owner_id} goes"
        for kind, owner_id in sql.execute("SELECT kind, id FROM owners ORDER BY kind, id")
    ]
    dropped += [
        f"increase {name} of {budget} goes"
        for name, budget in sql.execute("SELECT name, budget FROM raises ORDER BY id")
    ]
    dropped += [
        f"key {label} was blocked and is revoked"
        for (label,) in sql.execute(
            "SELECT label FROM keys WHERE blocked = 1 AND revoked_at_ns IS NULL ORDER BY id"
        )
    ]
    dropped += [
        f"plan {plan} goes; what it limits keeps its limits"
        for (plan,) in sql.execute("SELECT id FROM plans ORDER BY id")
    ]
    sql.execute(f"DELETE FROM budgets WHERE {_NO_PLACE}")
    sql.execute(
        "UPDATE keys SET revoked_at_ns = created_at_ns WHERE blocked = 1 AND revoked_at_ns IS NULL"
    )
    for statement in POLICY_BACK:
        sql.execute(ddl(statement, sql.dialect))
    return tuple(dropped)


POLICY_8 = Migration(8, "policy", forward, back)

"""Triggers that both databases have: rows that are never edited, tables whose changes are news."""

from __future__ import annotations

from ledger.databases.sql import Dialect, Sql


def never_edited(sql: Sql, table: str) -> None:
    """Refuse every UPDATE of a row of `table`."""
    if sql.dialect is Dialect.SQLITE:
        sql.execute(
            f"""CREATE TRIGGER {table}_are_never_edited BEFORE UPDATE ON {table}
            BEGIN SELECT RAISE(ABORT, 'rows of {table} are never edited'); END"""
        )
        return
    sql.execute(
        """CREATE OR REPLACE FUNCTION never_edited() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION 'rows of % are never edited', TG_ARGV[0]
        USING ERRCODE = 'integrity_constraint_violation'; END $$"""
    )
    sql.execute(
        f"CREATE TRIGGER {table}_are_never_edited BEFORE UPDATE ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION never_edited('{table}')"
    )


def news(sql: Sql, table: str) -> None:
    """Let every change of a row of `table` be a new policy version."""
    if sql.dialect is Dialect.POSTGRES:
        sql.execute(
            """CREATE OR REPLACE FUNCTION policy_is_news() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN UPDATE policy_version SET version = version + 1; RETURN NULL; END $$"""
        )
    for change in ("INSERT", "UPDATE", "DELETE"):
        name = f"CREATE TRIGGER {table}_{change.lower()}_is_news AFTER {change} ON {table}"
        if sql.dialect is Dialect.SQLITE:
            sql.execute(f"{name} BEGIN UPDATE policy_version SET version = version + 1; END")
        else:
            sql.execute(f"{name} FOR EACH ROW EXECUTE FUNCTION policy_is_news()")

"""Query: the SQL behind a figure, with its parameters written in: whoever doubts it runs it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ledger.databases.sql import Row, Sql, Value
from ledger.money import Money


@dataclass(frozen=True, slots=True)
class Query:
    """id: unique in a report. says: what it gives, in words. sql: one statement that SQLite and
    PostgreSQL take as it stands; amounts are in nano-USD."""

    id: str
    says: str
    sql: str

    def rows(self, sql: Sql) -> list[Row]:
        return sql.execute(self.sql).fetchall()

    def amount(self, sql: Sql) -> Money:
        """Of a query that gives one."""
        ((found,),) = self.rows(sql)
        return Money(int(found))


def written(statement: str, values: Iterable[Value]) -> str:
    """A statement with its values in place of its `?`, none of which stands within quotes."""
    parts = statement.split("?")
    told = [literal(one) for one in values]
    return "".join(part + value for part, value in zip(parts, [*told, ""], strict=True))


def literal(value: Value) -> str:
    """Raises TypeError for what has no exact text."""
    match value:
        case None:
            return "NULL"
        case int():
            return str(int(value))
        case str():
            return "'" + value.replace("'", "''") + "'"
        case _:
            raise TypeError(f"{value!r} is no value of a query: give text or a whole number")


def one_of(values: Collection[str]) -> str:
    """A list for IN. Of none it has one empty name, which nothing has: NULL would make a NOT of it
    say nothing."""
    return "(" + ", ".join(map(literal, sorted(values) or [""])) + ")"

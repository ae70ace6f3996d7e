"""Plans: limits that many keys or owners have alike. Each counts for itself."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.databases.sql import Sql
from ledger.errors import NameTaken


@dataclass(frozen=True, slots=True)
class Plan:
    """terms: the limits as JSON, which those who apply them understand, and nobody here."""

    id: str
    terms: str
    created_at_ns: int


class PlanTable:
    """The plans in an open database, and who has one."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def get(self, plan_id: str) -> Plan | None:
        row = self._sql.execute("SELECT * FROM plans WHERE id = ?", (plan_id,)).fetchone()
        return None if row is None else Plan(*row)

    def page(self, *, after: str = "", limit: int) -> list[Plan]:
        """Plans by id, beyond the one `after`."""
        rows = self._sql.execute(
            "SELECT * FROM plans WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
        )
        return [Plan(*row) for row in rows]

    def add(self, plan: Plan) -> None:
        """Raises NameTaken."""
        if self.get(plan.id) is not None:
            raise NameTaken(f"there is a plan {plan.id} already: choose another id, or update it")
        self._sql.execute(
            "INSERT INTO plans VALUES (?, ?, ?)", (plan.id, plan.terms, plan.created_at_ns)
        )

    def change(self, plan_id: str, terms: str) -> bool:
        """False if there is no such plan. Who has it is limited anew by whoever calls this."""
        changed = self._sql.execute("UPDATE plans SET terms = ? WHERE id = ?", (terms, plan_id))
        return changed.rowcount > 0

    def remove(self, plan_id: str) -> bool:
        """False if there is no such plan."""
        self._sql.execute("DELETE FROM plan_uses WHERE plan = ?", (plan_id,))
        return self._sql.execute("DELETE FROM plans WHERE id = ?", (plan_id,)).rowcount > 0

    def use(self, kind: str, owner_id: str, plan_id: str | None) -> None:
        """Note which plan a key or an owner has; None is none."""
        owner = (str(kind), owner_id)
        self._sql.execute("DELETE FROM plan_uses WHERE owner_kind = ? AND owner_id = ?", owner)
        if plan_id is not None:
            self._sql.execute("INSERT INTO plan_uses VALUES (?, ?, ?)", (*owner, plan_id))

    def used_by(self, kind: str, owner_id: str) -> str | None:
        row = self._sql.execute(
            "SELECT plan FROM plan_uses WHERE owner_kind = ? AND owner_id = ?",
            (str(kind), owner_id),
        ).fetchone()
        return None if row is None else str(row[0])

    def users(self, plan_id: str) -> list[tuple[str, str]]:
        """Who has it, as kind and id."""
        rows = self._sql.execute(
            "SELECT owner_kind, owner_id FROM plan_uses WHERE plan = ? ORDER BY 1, 2", (plan_id,)
        )
        return [(kind, owner_id) for kind, owner_id in rows]

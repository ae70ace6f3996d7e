"""The policy tables: keys, their owners, the budgets that are kept here, and increases of them.

Every change of a row is a new `policy_version`, by triggers, which is how workers see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ledger.budgets import Budget, Raise
from ledger.databases.sql import Sql, Value, marks
from ledger.errors import NameTaken
from ledger.keys import KeyRecord
from ledger.limits import KINDS, counted_by
from ledger.owners import Owner, OwnerKind, with_rights
from ledger.plans import PlanTable
from ledger.tables.policy_rows import (
    BUDGET,
    KEY,
    OWNER,
    RAISE,
    budget_of,
    budget_row,
    key_of,
    key_row,
    owner_of,
    owner_row,
)

POLICY = (
    # What a key can do beside being there: be blocked, and have had another secret until a moment.
    "ALTER TABLE keys ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE keys ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE keys ADD COLUMN earlier_hash BLOB",
    "ALTER TABLE keys ADD COLUMN earlier_label TEXT",
    "ALTER TABLE keys ADD COLUMN earlier_until_ns INTEGER",
    "CREATE INDEX keys_earlier ON keys (earlier_hash)",
    "CREATE INDEX keys_name ON keys (name)",
    "CREATE INDEX keys_team ON keys (team)",
    "CREATE INDEX keys_user ON keys (user_id)",
    # owner_kind, owner_id: whose limit a budget is; NULL for one that was made by its name.
    "ALTER TABLE budgets RENAME COLUMN cap_nanos TO cap",
    "ALTER TABLE budgets ADD COLUMN measure TEXT NOT NULL DEFAULT 'usd'",
    "ALTER TABLE budgets ADD COLUMN thresholds TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE budgets ADD COLUMN mode TEXT NOT NULL DEFAULT 'enforce'",
    "ALTER TABLE budgets ADD COLUMN on_ledger_error TEXT NOT NULL DEFAULT 'deny'",
    "ALTER TABLE budgets ADD COLUMN owner_kind TEXT",
    "ALTER TABLE budgets ADD COLUMN owner_id TEXT",
    "CREATE INDEX budgets_owner ON budgets (owner_kind, owner_id)",
    # Until here only keys had limits, and they were called so.
    """UPDATE budgets SET owner_kind = 'key', owner_id = replace(substr(name, 5), ' usd', '')
        WHERE substr(name, 1, 4) = 'key '""",
    """CREATE TABLE owners (
        kind TEXT NOT NULL, id TEXT NOT NULL, created_at_ns INTEGER NOT NULL, name TEXT, org TEXT,
        models TEXT, metadata TEXT NOT NULL, blocked INTEGER NOT NULL, expires_at_ns INTEGER,
        PRIMARY KEY (kind, id)
    ) STRICT""",
    """CREATE TABLE raises (
        id TEXT PRIMARY KEY, budget TEXT NOT NULL, member TEXT, amount INTEGER NOT NULL,
        since_ns INTEGER NOT NULL, until_ns INTEGER NOT NULL, name TEXT NOT NULL
    ) STRICT""",
    # Limits that many have alike, each counting for itself. terms: as their author wrote them.
    """CREATE TABLE plans (
        id TEXT PRIMARY KEY, terms TEXT NOT NULL, created_at_ns INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE plan_uses (
        owner_kind TEXT NOT NULL, owner_id TEXT NOT NULL, plan TEXT NOT NULL REFERENCES plans,
        PRIMARY KEY (owner_kind, owner_id)
    ) STRICT""",
    "CREATE INDEX plan_uses_plan ON plan_uses (plan)",
)
"""From the keys and budgets that there were to these tables."""

POLICY_BACK = (
    "DROP TABLE plan_uses",
    "DROP TABLE plans",
    "DROP TABLE raises",
    "DROP TABLE owners",
    "DROP INDEX budgets_owner",
    "ALTER TABLE budgets DROP COLUMN owner_id",
    "ALTER TABLE budgets DROP COLUMN owner_kind",
    "ALTER TABLE budgets DROP COLUMN on_ledger_error",
    "ALTER TABLE budgets DROP COLUMN mode",
    "ALTER TABLE budgets DROP COLUMN thresholds",
    "ALTER TABLE budgets DROP COLUMN measure",
    "ALTER TABLE budgets RENAME COLUMN cap TO cap_nanos",
    "DROP INDEX keys_user",
    "DROP INDEX keys_team",
    "DROP INDEX keys_name",
    "DROP INDEX keys_earlier",
    "ALTER TABLE keys DROP COLUMN earlier_until_ns",
    "ALTER TABLE keys DROP COLUMN earlier_label",
    "ALTER TABLE keys DROP COLUMN earlier_hash",
    "ALTER TABLE keys DROP COLUMN blocked",
    "ALTER TABLE keys DROP COLUMN metadata",
)
"""And back."""

OWN = ("owners", "raises")
"""The tables that are new with these."""


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Which keys are looked for; None is any. unrevoked_at_ns: not revoked by then. text: stands
    somewhere in what a key is called or whose it is. has_role: whether it is a person's."""

    org: str | None = None
    team: str | None = None
    user: str | None = None
    name: str | None = None
    unrevoked_at_ns: int | None = None
    text: str | None = None
    has_role: bool | None = None


class PolicyTable:
    """The policy in an open database. Every method is part of the caller's transaction or view."""

    def __init__(self, sql: Sql) -> None:
        self.sql = sql
        self.plans = PlanTable(sql)

    def version(self) -> int:
        """Grows with every change, whoever made it."""
        row = self.sql.execute("SELECT version FROM policy_version").fetchone()
        if row is None:
            raise AssertionError("policy_version has one row")
        return int(row[0])

    # -- keys

    def keys(self) -> dict[bytes, KeyRecord]:
        """Every key by its hash, oldest first, as it may be used: with the rights of its owners.

        A secret that was replaced stands before the one that replaced it.
        """
        owners = {(one.kind, one.id): one for one in self._owners("")}
        found: dict[bytes, KeyRecord] = {}
        for key_hash, earlier_hash, earlier_label, until_ns, *row in self.sql.execute(
            f"SELECT hash, earlier_hash, earlier_label, earlier_until_ns, {KEY}"
            " FROM keys ORDER BY created_at_ns, id"
        ):
            key = with_rights(key_of(tuple(row)), owners)
            if earlier_hash is not None:
                found[bytes(earlier_hash)] = replace(
                    key, label=earlier_label, replaced_at_ns=until_ns
                )
            found[bytes(key_hash)] = key
        return found

    def key(self, key_id: str) -> KeyRecord | None:
        """A key with its own rights alone."""
        return self._one_key("id = ?", key_id)

    def key_of(self, key_hash: bytes) -> KeyRecord | None:
        """The same by its secret's hash, or by that of the secret before, until it is over."""
        row = self.sql.execute(
            f"SELECT hash, earlier_label, earlier_until_ns, {KEY} FROM keys"
            " WHERE hash = ? OR earlier_hash = ?",
            (key_hash, key_hash),
        ).fetchone()
        if row is None:
            return None
        found, earlier_label, until_ns, *rest = row
        key = key_of(tuple(rest))
        if bytes(found) == key_hash:
            return key
        return replace(key, label=earlier_label, replaced_at_ns=until_ns)

    def hash_of(self, key_id: str) -> bytes | None:
        row = self.sql.execute("SELECT hash FROM keys WHERE id = ?", (key_id,)).fetchone()
        return None if row is None else bytes(row[0])

    def _one_key(self, where: str, value: Value) -> KeyRecord | None:
        row = self.sql.execute(f"SELECT {KEY} FROM keys WHERE {where}", (value,)).fetchone()
        return None if row is None else key_of(row)

    def key_page(
        self, wanted: KeyFilter, *, after: str = "", limit: int, offset: int = 0
    ) -> list[KeyRecord]:
        """Keys by id, which is the order they were made in, beyond the one `after`."""
        where, values = _where(wanted)
        rows = self.sql.execute(
            f"SELECT {KEY} FROM keys WHERE id > ?{where} ORDER BY id LIMIT ? OFFSET ?",
            (after, *values, limit, offset),
        )
        return [key_of(row) for row in rows]

    def newest_keys(self, wanted: KeyFilter, *, before: str, limit: int) -> list[KeyRecord]:
        """Keys by id, the last one first, beneath the one `before`; from the top if that is ""."""
        where, values = _where(wanted)
        rows = self.sql.execute(
            f"SELECT {KEY} FROM keys WHERE (id < ? OR ? = ''){where} ORDER BY id DESC LIMIT ?",
            (before, before, *values, limit),
        )
        return [key_of(row) for row in rows]

    def count_keys(self, wanted: KeyFilter) -> int:
        where, values = _where(wanted)
        row = self.sql.execute(f"SELECT count(*) FROM keys WHERE 1 = 1{where}", values).fetchone()
        return 0 if row is None else int(row[0])

    def add_key(self, key: KeyRecord, key_hash: bytes) -> None:
        columns = KEY.replace("label", "hash, label", 1)
        row = key_row(key)
        self.sql.execute(
            f"INSERT INTO keys ({columns}) VALUES ({marks(16)})", (row[0], key_hash, *row[1:])
        )

    def change_key(self, key: KeyRecord) -> bool:
        """Write a key anew, but for its secret. False if there is no such key."""
        columns = KEY.split(", ")[1:]
        sets = ", ".join(f"{one} = ?" for one in columns)
        row = key_row(key)
        return self._written(f"UPDATE keys SET {sets} WHERE id = ?", (*row[1:], key.id))

    def revoke_key(self, key_id: str, at_ns: int) -> bool:
        """False if there is no such key; revoking twice keeps the first time."""
        return self._written(
            "UPDATE keys SET revoked_at_ns = coalesce(revoked_at_ns, ?) WHERE id = ?",
            (at_ns, key_id),
        )

    def rotate_key(self, key_id: str, key_hash: bytes, label: str, until_ns: int) -> bool:
        """Give a key a new secret; the one that it has works until then, and no earlier one."""
        return self._written(
            "UPDATE keys SET earlier_hash = hash, earlier_label = label, earlier_until_ns = ?,"
            " hash = ?, label = ? WHERE id = ?",
            (until_ns, key_hash, label, key_id),
        )

    def _written(self, statement: str, values: tuple[Value, ...]) -> bool:
        return self.sql.execute(statement, values).rowcount > 0

    # -- owners

    def owner(self, kind: OwnerKind, owner_id: str) -> Owner | None:
        return next(iter(self._owners("WHERE kind = ? AND id = ?", kind, owner_id)), None)

    def owner_page(
        self, kind: OwnerKind, *, after: str = "", limit: int, offset: int = 0
    ) -> list[Owner]:
        """Owners of a kind by id, beyond the one `after`."""
        where = "WHERE kind = ? AND id > ? ORDER BY id LIMIT ? OFFSET ?"
        return self._owners(where, kind, after, limit, offset)

    def count_owners(self, kind: OwnerKind) -> int:
        row = self.sql.execute("SELECT count(*) FROM owners WHERE kind = ?", (kind,)).fetchone()
        return 0 if row is None else int(row[0])

    def names(self, whose: str, ids: Iterable[str | None]) -> dict[str, str]:
        """What people call these keys or owners, where they were given names. whose: `key` or a
        kind of owner; others have none."""
        if whose not in KINDS:
            return {}
        found: dict[str, str] = {}
        for one in ids:
            if one is None:
                continue
            is_owner = whose in tuple(OwnerKind)
            known = self.owner(OwnerKind(whose), one) if is_owner else self.key(one)
            if known is not None and known.name is not None:
                found[one] = known.name
        return found

    def _owners(self, where: str, *values: Value) -> list[Owner]:
        rows = self.sql.execute(f"SELECT {OWNER} FROM owners {where}", values)
        return [owner_of(row) for row in rows]

    def add_owner(self, owner: Owner) -> None:
        """Raises NameTaken."""
        if self.owner(owner.kind, owner.id) is not None:
            raise NameTaken(f"there is a {owner} already: choose another id, or update it")
        self.sql.execute(f"INSERT INTO owners ({OWNER}) VALUES ({marks(9)})", owner_row(owner))

    def change_owner(self, owner: Owner) -> bool:
        """Write an owner anew. False if there is no such one."""
        columns = OWNER.split(", ")[2:]
        return self._written(
            f"UPDATE owners SET {', '.join(f'{one} = ?' for one in columns)}"
            " WHERE kind = ? AND id = ?",
            (*owner_row(owner)[2:], owner.kind, owner.id),
        )

    def remove_owner(self, kind: OwnerKind, owner_id: str) -> bool:
        """Forget what is known of an owner, and its limits. What it spent stays in the books."""
        self.set_limits(kind, owner_id, (), at_ns=0)
        self.plans.use(kind, owner_id, None)
        return self._written("DELETE FROM owners WHERE kind = ? AND id = ?", (kind, owner_id))

    # -- budgets

    def budgets(self) -> tuple[Budget, ...]:
        """The budgets that are kept here, oldest first (files hold the others)."""
        return self._budgets("ORDER BY created_at_ns, name")

    def budget(self, name: str) -> Budget | None:
        return next(iter(self._budgets("WHERE name = ?", name)), None)

    def named_budgets(self) -> tuple[Budget, ...]:
        """Those that are nobody's limits, oldest first."""
        return self._budgets("WHERE owner_kind IS NULL ORDER BY created_at_ns, name")

    def limits_of(self, kind: str, owner_id: str) -> tuple[Budget, ...]:
        """The budgets that are the limits of a key or an owner, of its models and members too."""
        where = "WHERE owner_kind = ? AND owner_id = ? ORDER BY created_at_ns, name"
        return self._budgets(where, str(kind), owner_id)

    def _budgets(self, where: str, *values: Value) -> tuple[Budget, ...]:
        rows = self.sql.execute(f"SELECT {BUDGET} FROM budgets {where}", values)
        return tuple(budget_of(row) for row in rows)

    def add_budget(self, budget: Budget, at_ns: int) -> None:
        """Raises NameTaken."""
        self._add_budget(budget, at_ns, None, None)

    def _add_budget(
        self, budget: Budget, at_ns: int, owner_kind: str | None, owner_id: str | None
    ) -> None:
        if self.budget(budget.name) is not None:
            raise NameTaken(f"there is a budget {budget.name} already: choose another name")
        row = (*budget_row(budget), at_ns, owner_kind, owner_id)
        self.sql.execute(f"INSERT INTO budgets ({BUDGET}) VALUES ({marks(12)})", row)

    def change_budget(self, budget: Budget) -> bool:
        """Write a budget anew; what it has counted stays. False if there is no such one."""
        columns = BUDGET.split(", ")[1:9]
        return self._written(
            f"UPDATE budgets SET {', '.join(f'{one} = ?' for one in columns)} WHERE name = ?",
            (*budget_row(budget)[1:], budget.name),
        )

    def remove_budget(self, name: str) -> bool:
        """Count by a budget no more, and forget its increases."""
        self.sql.execute("DELETE FROM raises WHERE budget = ?", (name,))
        return self._written("DELETE FROM budgets WHERE name = ?", (name,))

    def set_limits(
        self, kind: str, owner_id: str, budgets: Iterable[Budget], *, at_ns: int
    ) -> None:
        """These budgets, and no others, are its limits from here on.

        One that counts what an earlier one did takes its place, and what was counted so far with
        it. Raises NameTaken.
        """
        there = {counted_by(one): one for one in self.limits_of(kind, owner_id)}
        for budget in budgets:
            earlier = there.pop(counted_by(budget), None)
            if earlier is None:
                self._add_budget(budget, at_ns, str(kind), owner_id)
            else:
                self.change_budget(replace(budget, name=earlier.name))
        for one in there.values():
            self.remove_budget(one.name)

    # -- increases

    def raises(self, now_ns: int = 0) -> tuple[Raise, ...]:
        """The increases that are not over at `now_ns`, in the order they begin."""
        rows = self.sql.execute(
            f"SELECT {RAISE} FROM raises WHERE until_ns > ? ORDER BY since_ns, id", (now_ns,)
        )
        return tuple(Raise(*row) for row in rows)

    def add_raise(self, one: Raise) -> None:
        self.sql.execute(
            f"INSERT INTO raises ({RAISE}) VALUES ({marks(7)})",
            (one.id, one.budget, one.member, one.amount, one.since_ns, one.until_ns, one.name),
        )

    def end_raise(self, raise_id: str, at_ns: int) -> bool:
        """End an increase at once; False if there is none of that id that is not over."""
        return self._written(
            "UPDATE raises SET until_ns = ? WHERE id = ? AND until_ns > ?",
            (at_ns, raise_id, at_ns),
        )


def _where(wanted: KeyFilter) -> tuple[str, tuple[Value, ...]]:
    text = None if wanted.text is None else f"%{_literal(wanted.text.lower())}%"
    named = (
        (" AND org = ?", wanted.org),
        (" AND team = ?", wanted.team),
        (" AND user_id = ?", wanted.user),
        (" AND name = ?", wanted.name),
        (" AND (revoked_at_ns IS NULL OR revoked_at_ns > ?)", wanted.unrevoked_at_ns),
        (f" AND lower({_TEXT}) LIKE ? ESCAPE '!'", text),
        (
            " AND (role IS NOT NULL) = (? = 1)",
            None if wanted.has_role is None else int(wanted.has_role),
        ),
    )
    given = [(text, value) for text, value in named if value is not None]
    return "".join(text for text, _ in given), tuple(value for _, value in given)


_NAMES = ("id", "label", "name", "org", "team", "project", "user_id")
_TEXT = " || ' ' || ".join(f"coalesce({one}, '')" for one in _NAMES)


def _literal(text: str) -> str:
    """As LIKE finds it as it stands."""
    for one in "!%_":
        text = text.replace(one, f"!{one}")
    return text


def name_told(whose: str, id_: str | None, names: Mapping[str, str]) -> dict[str, str | None]:
    """The name of a row of a statement, as every JSON has it; none for what cannot have one."""
    if whose not in KINDS:
        return {}
    return {f"{whose}_name": None if id_ is None else names.get(id_)}

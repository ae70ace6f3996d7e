"""Look: keys and owners as LiteLLM's clients read them, with what they spent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.budgets import Balance, Budget
from ledger.databases.sql import Sql
from ledger.instants import instant
from ledger.keys import KeyRecord
from ledger.limits import KEY, Whose, money_budget
from ledger.money import Money, as_usd
from ledger.owners import Owner, OwnerKind
from ledger.spend_logs import LogFilter, spent_by
from ledger.statements import standing
from ledger.tables.policy import KeyFilter, PolicyTable
from proxy.admin.asked import time_text
from proxy.admin.litellm.bodies import apart
from proxy.admin.litellm.limit_fields import told_limits

_NAMES = {
    OwnerKind.ORG: ("organization_id", "organization_alias"),
    OwnerKind.TEAM: ("team_id", "team_alias"),
    OwnerKind.USER: ("user_id", "user_alias"),
    OwnerKind.TAG: ("name", "description"),
}
KEYS_SHOWN = 1000
"""Of a team or a user."""


@dataclass(frozen=True, slots=True)
class Look:
    """The books at a moment."""

    sql: Sql
    now_ns: int

    @property
    def table(self) -> PolicyTable:
        return PolicyTable(self.sql)

    def key(self, key: KeyRecord) -> dict[str, Any]:
        who, (own, notes) = key.principal, apart(key.metadata)
        key_hash = self.table.hash_of(key.id)
        return {
            "token": None if key_hash is None else key_hash.hex(),
            "key_id": key.id,
            "key_name": f"sk-...{key.label[-4:]}",
            "key_alias": key.name,
            "user_id": who.user,
            "team_id": who.team,
            "organization_id": who.org,
            "project_id": who.project,
            "models": [] if who.models is None else sorted(who.models) or ["no-default-models"],
            "tags": list(who.tags),
            "metadata": own,
            "blocked": key.blocked,
            "status": _status(key, self.now_ns),
            "expires": time_text(key.expires_at_ns),
            "created_at": time_text(key.created_at_ns),
        } | self._limits(KEY, key.id, notes, LogFilter(key_id=key.id))

    def keys_of(self, wanted: KeyFilter) -> list[dict[str, Any]]:
        return [self.key(one) for one in self.table.key_page(wanted, limit=KEYS_SHOWN)]

    def owner(self, owner: Owner) -> dict[str, Any]:
        id_name, alias_name = _NAMES[owner.kind]
        own, notes = apart(owner.metadata)
        spent = {
            OwnerKind.TEAM: LogFilter(team=owner.id),
            OwnerKind.USER: LogFilter(user=owner.id),
            OwnerKind.ORG: LogFilter(org=owner.id),
        }.get(owner.kind)
        limits = self._limits(owner.kind, owner.id, notes, spent)
        told = {
            id_name: owner.id,
            alias_name: owner.name,
            "models": [] if owner.models is None else sorted(owner.models) or ["no-default-models"],
            "metadata": own,
            "blocked": owner.blocked,
            "created_at": time_text(owner.created_at_ns),
        }
        if owner.kind in (OwnerKind.TEAM, OwnerKind.USER):
            told["organization_id"] = owner.org
        return told | notes | limits

    def balances(self, budgets: tuple[Budget, ...]) -> list[Balance]:
        now = instant(self.now_ns)
        return standing(self.sql, budgets, now, self.table.raises(self.now_ns))

    def _limits(
        self, kind: str, owner_id: str, notes: dict[str, Any], spent: LogFilter | None
    ) -> dict[str, Any]:
        budgets = self.table.limits_of(kind, owner_id)
        told = self.told(Whose(kind, owner_id), budgets, notes.get("budget_duration"))
        told["budget_id"] = self.table.plans.used_by(kind, owner_id)
        if told["spend"] is None and spent is not None:
            told["spend"] = as_usd(spent_by(self.sql, spent))
        return told

    def told(
        self, whose: Whose, budgets: tuple[Budget, ...], duration: str | None
    ) -> dict[str, Any]:
        """Limits, and what was spent of the budget in its window; None without one."""
        own = tuple(one for one in budgets if one.scope.user == whose.scope.user)
        balances = self.balances(own)
        money = money_budget(whose, own)
        spent = None
        if money is not None:
            of_it = [one.posted for one in balances if one.account.budget == money.name]
            spent = as_usd(Money(sum(of_it)))
        return told_limits(whose, own, balances, duration) | {"spend": spent}


def _status(key: KeyRecord, now_ns: int) -> str:
    if key.revoked_at_ns is not None and key.revoked_at_ns <= now_ns:
        return "deleted"
    if key.blocked:
        return "revoked"
    is_over = key.expires_at_ns is not None and key.expires_at_ns <= now_ns
    return "expired" if is_over else "active"

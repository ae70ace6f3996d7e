"""LiteLLM's /organization, /tag and /budget routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from ledger.databases.sql import Sql
from ledger.owners import OwnerKind
from ledger.plans import Plan
from ledger.tables.policy import PolicyTable
from proxy.admin.asked import Asked, Told, label, time_text
from proxy.admin.desk import AdminDesk
from proxy.admin.litellm.bodies import body_of
from proxy.admin.litellm.limit_fields import (
    TERMS,
    LimitFields,
    Terms,
    no_plan,
    read_terms,
    terms_text,
    use_plan,
)
from proxy.admin.litellm.look import Look
from proxy.admin.litellm.owners import (
    OwnerFields,
    delete_owner,
    found_owner,
    keep_changed,
    keep_new,
    new_owner,
    owner_after,
)

ORG, TAG = OwnerKind.ORG, OwnerKind.TAG
LISTED = 1000


class OrganizationFields(OwnerFields, omit_defaults=True):
    organization_id: str | None = None
    organization_alias: str | UnsetType | None = UNSET


class NamedOrganizations(msgspec.Struct):
    organization_ids: tuple[str, ...]


class TagFields(LimitFields, omit_defaults=True):
    name: str = ""
    description: str | UnsetType | None = UNSET


class NamedTag(msgspec.Struct):
    name: str


class NamedTags(msgspec.Struct):
    names: tuple[str, ...]


class BudgetFields(Terms, omit_defaults=True):
    budget_id: str | None = None


class NamedBudget(msgspec.Struct):
    id: str


class NamedBudgets(msgspec.Struct):
    budgets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrganizationRoutes:
    desk: AdminDesk

    def routes(self) -> list[web.RouteDef]:
        admin = self.desk.admin
        return [
            web.post("/organization/new", admin(self._new)),
            web.get("/organization/info", admin(self._info), allow_head=False),
            web.get("/organization/list", admin(self._list), allow_head=False),
            web.delete("/organization/delete", admin(self._delete)),
        ]

    async def _new(self, asked: Asked) -> Told:
        given = body_of(asked, OrganizationFields, "an organization")

        def new(table: PolicyTable) -> Told:
            org = new_owner(ORG, given.organization_id, self.desk)
            org = owner_after(org, given, self.desk, name=given.organization_alias)
            return keep_new(table, org, given, self.desk)

        return await self.desk.books.change(new)

    async def _info(self, asked: Asked) -> Told:
        asked.refuse_queries("organization_id")
        org_id, now_ns = asked.query("organization_id"), self.desk.now_ns()

        def look(sql: Sql) -> Told:
            return Look(sql, now_ns).owner(found_owner(PolicyTable(sql), ORG, org_id))

        return await self.desk.books.read(look)

    async def _list(self, asked: Asked) -> Told:
        asked.refuse_queries()
        now_ns = self.desk.now_ns()

        def look(sql: Sql) -> Told:
            found = PolicyTable(sql).owner_page(ORG, limit=LISTED)
            return [Look(sql, now_ns).owner(one) for one in found]

        return await self.desk.books.read(look)

    async def _delete(self, asked: Asked) -> Told:
        given = body_of(asked, NamedOrganizations, "organizations to delete")
        now_ns = self.desk.now_ns()

        def delete(table: PolicyTable) -> Told:
            found = [found_owner(table, ORG, one) for one in given.organization_ids]
            return [delete_owner(table, one, now_ns) for one in found]

        return await self.desk.books.change(delete)


@dataclass(frozen=True, slots=True)
class TagRoutes:
    desk: AdminDesk

    def routes(self) -> list[web.RouteDef]:
        admin = self.desk.admin
        return [
            web.post("/tag/new", admin(self._new)),
            web.post("/tag/update", admin(self._update)),
            web.post("/tag/info", admin(self._info)),
            web.get("/tag/list", admin(self._list), allow_head=False),
            web.post("/tag/delete", admin(self._delete)),
        ]

    async def _new(self, asked: Asked) -> Told:
        given = body_of(asked, TagFields, "a tag")

        def new(table: PolicyTable) -> Told:
            tag = new_owner(TAG, given.name, self.desk)
            tag = owner_after(tag, _limits_of(given), self.desk, name=given.description)
            told = keep_new(table, tag, given, self.desk)
            return {"message": f"Tag {tag.id} created successfully", "tag": told}

        return await self.desk.books.change(new)

    async def _update(self, asked: Asked) -> Told:
        given = body_of(asked, TagFields, "a change of a tag")

        def update(table: PolicyTable) -> Told:
            tag = found_owner(table, TAG, given.name)
            tag = owner_after(tag, _limits_of(given), self.desk, name=given.description)
            told = keep_changed(table, tag, given, self.desk)
            return {"message": f"Tag {tag.id} updated successfully", "tag": told}

        return await self.desk.books.change(update)

    async def _info(self, asked: Asked) -> Told:
        given, now_ns = body_of(asked, NamedTags, "tags"), self.desk.now_ns()

        def look(sql: Sql) -> Told:
            table, seen = PolicyTable(sql), Look(sql, now_ns)
            return {one: seen.owner(found_owner(table, TAG, one)) for one in given.names}

        return await self.desk.books.read(look)

    async def _list(self, asked: Asked) -> Told:
        asked.refuse_queries()
        now_ns = self.desk.now_ns()

        def look(sql: Sql) -> Told:
            found = PolicyTable(sql).owner_page(TAG, limit=LISTED)
            return [Look(sql, now_ns).owner(one) for one in found]

        return await self.desk.books.read(look)

    async def _delete(self, asked: Asked) -> Told:
        given, now_ns = body_of(asked, NamedTag, "a tag to delete"), self.desk.now_ns()

        def delete(table: PolicyTable) -> Told:
            delete_owner(table, found_owner(table, TAG, given.name), now_ns)
            return {"message": f"Tag {given.name} deleted successfully"}

        return await self.desk.books.change(delete)


def _limits_of(given: TagFields) -> OwnerFields:
    """A tag has no rights: its limits alone."""
    return OwnerFields(budget_duration=given.budget_duration)


@dataclass(frozen=True, slots=True)
class BudgetRoutes:
    """Budgets that many keys and owners have alike, by `budget_id`; each counts for itself."""

    desk: AdminDesk

    def routes(self) -> list[web.RouteDef]:
        admin = self.desk.admin
        return [
            web.post("/budget/new", admin(self._new)),
            web.post("/budget/update", admin(self._update)),
            web.post("/budget/info", admin(self._info)),
            web.get("/budget/list", admin(self._list), allow_head=False),
            web.post("/budget/delete", admin(self._delete)),
        ]

    async def _new(self, asked: Asked) -> Told:
        given, now_ns = body_of(asked, BudgetFields, "a budget"), self.desk.now_ns()
        plan_id = self.desk.new_id("budget")
        if given.budget_id is not None:
            plan_id = label(given.budget_id, "budget_id")
        plan = Plan(plan_id, terms_text(given), now_ns)

        def new(table: PolicyTable) -> Told:
            table.plans.add(plan)
            self._try(table, plan)
            return _told_plan(plan)

        return await self.desk.books.change(new)

    def _try(self, table: PolicyTable, plan: Plan) -> None:
        """Terms that nobody could be given are refused when they are written. Raises Invalid."""
        use_plan(table, "key", _NOBODY, plan.id, self.desk, plan.created_at_ns)
        table.set_limits("key", _NOBODY, (), at_ns=plan.created_at_ns)
        table.plans.use("key", _NOBODY, None)

    async def _update(self, asked: Asked) -> Told:
        given, now_ns = body_of(asked, BudgetFields, "a change of a budget"), self.desk.now_ns()

        def update(table: PolicyTable) -> Told:
            plan = table.plans.get(given.budget_id or "")
            if plan is None:
                raise no_plan(given.budget_id or "")
            merged = read_terms(plan.terms)
            for name in TERMS:
                if (value := getattr(given, name)) is not UNSET:
                    setattr(merged, name, value)
            changed = Plan(plan.id, terms_text(merged), plan.created_at_ns)
            table.plans.change(plan.id, changed.terms)
            self._try(table, changed)
            for kind, owner_id in table.plans.users(plan.id):
                use_plan(table, kind, owner_id, plan.id, self.desk, now_ns)
            return _told_plan(changed)

        return await self.desk.books.change(update)

    async def _info(self, asked: Asked) -> Told:
        given = body_of(asked, NamedBudgets, "budgets")

        def look(sql: Sql) -> Told:
            plans = PolicyTable(sql).plans
            found = [plans.get(one) for one in given.budgets]
            return [_told_plan(one) for one in found if one is not None]

        return await self.desk.books.read(look)

    async def _list(self, asked: Asked) -> Told:
        asked.refuse_queries()

        def look(sql: Sql) -> Told:
            return [_told_plan(one) for one in PolicyTable(sql).plans.page(limit=LISTED)]

        return await self.desk.books.read(look)

    async def _delete(self, asked: Asked) -> Told:
        given, now_ns = body_of(asked, NamedBudget, "a budget to delete"), self.desk.now_ns()

        def delete(table: PolicyTable) -> Told:
            plan = table.plans.get(given.id)
            if plan is None:
                raise no_plan(given.id)
            for kind, owner_id in table.plans.users(plan.id):
                table.set_limits(kind, owner_id, (), at_ns=now_ns)
            table.plans.remove(plan.id)
            return _told_plan(plan)

        return await self.desk.books.change(delete)


_NOBODY = "key_of_nobody"


def _told_plan(plan: Plan) -> dict[str, Any]:
    terms: dict[str, Any] = dict.fromkeys(TERMS) | msgspec.json.decode(
        plan.terms, type=dict[str, msgspec.Raw]
    )
    return {"budget_id": plan.id, "created_at": time_text(plan.created_at_ns)} | terms

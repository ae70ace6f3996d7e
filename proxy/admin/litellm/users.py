"""LiteLLM's /user and /customer routes: people and services that keys belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from ledger.databases.sql import Sql
from ledger.owners import Owner, OwnerKind
from ledger.tables.policy import KeyFilter, PolicyTable
from proxy.admin.asked import Asked, Told, given_or, invalid
from proxy.admin.desk import AdminDesk
from proxy.admin.litellm.bodies import apart, body_of
from proxy.admin.litellm.keys import KeyFields, new_key
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

USER = OwnerKind.USER


class UserFields(OwnerFields, omit_defaults=True):
    """user_email, user_role, teams: told again; who may change what here, the admin key says."""

    user_id: str | None = None
    user_alias: str | UnsetType | None = UNSET
    user_email: str | UnsetType | None = UNSET
    user_role: Literal["internal_user", "internal_user_viewer", "customer"] | UnsetType | None = (
        UNSET
    )
    teams: tuple[str, ...] | UnsetType | None = UNSET


class NewUser(UserFields, omit_defaults=True):
    """With a key of its own, unless it is not wanted; the rest is the key's."""

    auto_create_key: bool = True
    key_alias: str | None = None
    duration: str | None = None
    team_id: str | None = None


class NamedUsers(msgspec.Struct):
    user_ids: tuple[str, ...]


class CustomerFields(OwnerFields, omit_defaults=True):
    user_id: str = ""
    alias: str | UnsetType | None = UNSET


@dataclass(frozen=True, slots=True)
class UserRoutes:
    desk: AdminDesk

    def routes(self) -> list[web.RouteDef]:
        admin = self.desk.admin
        return [
            web.post("/user/new", admin(self._new)),
            web.get("/user/info", admin(self._info), allow_head=False),
            web.post("/user/update", admin(self._update)),
            web.post("/user/delete", admin(self._delete)),
            web.get("/user/list", admin(self._list), allow_head=False),
            web.post("/customer/new", admin(self._new_customer)),
            web.get("/customer/info", admin(self._customer), allow_head=False),
            web.post("/customer/update", admin(self._update_customer)),
            web.post("/customer/delete", admin(self._delete_customers)),
        ]

    async def _new(self, asked: Asked) -> Told:
        given, now_ns = body_of(asked, NewUser, "a user"), self.desk.now_ns()

        def new(table: PolicyTable) -> Told:
            user = self._after(new_owner(USER, given.user_id, self.desk), given)
            told = keep_new(table, user, given, self.desk)
            if not given.auto_create_key:
                return told
            wanted = KeyFields(
                key_alias=given.key_alias,
                duration=given.duration,
                team_id=given.team_id,
                user_id=user.id,
            )
            key = new_key(table, wanted, self.desk, now_ns)
            return told | {name: key[name] for name in ("key", "token", "token_id", "expires")}

        return await self.desk.books.change(new)

    async def _update(self, asked: Asked) -> Told:
        given = body_of(asked, UserFields, "a change of a user")

        def update(table: PolicyTable) -> Told:
            user = self._after(found_owner(table, USER, given.user_id), given)
            told = keep_changed(table, user, given, self.desk)
            return {"user_id": user.id, "data": told}

        return await self.desk.books.change(update)

    def _after(self, user: Owner, given: UserFields) -> Owner:
        teams = given.teams
        return owner_after(
            user,
            given,
            self.desk,
            name=given.user_alias,
            user_email=given.user_email,
            user_role=given.user_role,
            teams=list(teams or ()) if teams is not UNSET else UNSET,
        )

    async def _info(self, asked: Asked) -> Told:
        asked.refuse_queries("user_id")
        user_id, now_ns = asked.query("user_id"), self.desk.now_ns()

        def look(sql: Sql) -> Told:
            table, seen = PolicyTable(sql), Look(sql, now_ns)
            user = found_owner(table, USER, user_id)
            _, notes = apart(user.metadata)
            keys = table.key_page(KeyFilter(user=user.id, unrevoked_at_ns=now_ns), limit=1000)
            of_keys = {one.principal.team for one in keys}
            named = {*notes.get("teams", ()), *of_keys}
            teams = [table.owner(OwnerKind.TEAM, one) for one in sorted(filter(None, named))]
            return {
                "user_id": user.id,
                "user_info": seen.owner(user),
                "keys": [seen.key(one) for one in keys],
                "teams": [seen.owner(one) for one in teams if one is not None],
            }

        return await self.desk.books.read(look)

    async def _delete(self, asked: Asked) -> Told:
        return {"deleted_users": len(await self._deleted(asked))}

    async def _deleted(self, asked: Asked) -> list[dict[str, Any]]:
        given, now_ns = body_of(asked, NamedUsers, "users to delete"), self.desk.now_ns()

        def delete(table: PolicyTable) -> list[dict[str, Any]]:
            found = [found_owner(table, USER, one) for one in given.user_ids]
            return [delete_owner(table, one, now_ns) for one in found]

        return await self.desk.books.change(delete)

    async def _list(self, asked: Asked) -> Told:
        asked.refuse_queries("page", "page_size")
        page, size = asked.count("page", 1, 10**6), asked.count("page_size", 25, 100)
        now_ns = self.desk.now_ns()

        def look(sql: Sql) -> Told:
            table, seen = PolicyTable(sql), Look(sql, now_ns)
            total = table.count_owners(USER)
            users = table.owner_page(USER, limit=size, offset=(page - 1) * size)
            return {
                "users": [seen.owner(one) for one in users],
                "total": total,
                "page": page,
                "page_size": size,
                "total_pages": -(-total // size),
            }

        return await self.desk.books.read(look)

    # -- customers

    async def _new_customer(self, asked: Asked) -> Told:
        given = body_of(asked, CustomerFields, "a customer")
        _refuse_nobody(given)

        def new(table: PolicyTable) -> Told:
            user = new_owner(USER, given.user_id, self.desk)
            user = owner_after(user, given, self.desk, name=given.alias)
            return _as_customer(keep_new(table, user, given, self.desk))

        return await self.desk.books.change(new)

    async def _update_customer(self, asked: Asked) -> Told:
        given = body_of(asked, CustomerFields, "a change of a customer")
        _refuse_nobody(given)

        def update(table: PolicyTable) -> Told:
            user = found_owner(table, USER, given.user_id)
            user = owner_after(user, given, self.desk, name=given.alias)
            return _as_customer(keep_changed(table, user, given, self.desk))

        return await self.desk.books.change(update)

    async def _customer(self, asked: Asked) -> Told:
        asked.refuse_queries("end_user_id")
        user_id, now_ns = asked.query("end_user_id"), self.desk.now_ns()

        def look(sql: Sql) -> Told:
            user = found_owner(PolicyTable(sql), USER, user_id)
            return _as_customer(Look(sql, now_ns).owner(user))

        return await self.desk.books.read(look)

    async def _delete_customers(self, asked: Asked) -> Told:
        deleted = await self._deleted(asked)
        return {"deleted_customers": len(deleted), "message": f"{len(deleted)} deleted"}


def _refuse_nobody(given: CustomerFields) -> None:
    if not given_or(given.user_id, ""):
        raise invalid("user_id is missing: a customer must have it", "user_id")


def _as_customer(told: dict[str, Any]) -> dict[str, Any]:
    limits = {name: told.get(name) for name in _BUDGET_TABLE}
    return {
        "user_id": told["user_id"],
        "alias": told["user_alias"],
        "blocked": told["blocked"],
        "spend": told["spend"],
        "models": told["models"],
        "budget_id": told["budget_id"],
        "litellm_budget_table": limits,
    }


_BUDGET_TABLE = (
    "budget_id",
    "max_budget",
    "soft_budget",
    "max_parallel_requests",
    "tpm_limit",
    "rpm_limit",
    "model_max_budget",
    "budget_duration",
    "budget_reset_at",
)

"""/admin/api/orgs, teams, users and tags: what is known of them, and their limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from ledger.limits import Whose, limits_in
from ledger.owners import Owner, OwnerKind
from ledger.tables.policy import PolicyTable
from proxy.admin.asked import (
    LISTED,
    MOST_LISTED,
    Asked,
    Story,
    Told,
    future_of,
    given_or,
    invalid,
    label,
    listed,
    maybe_label,
    metadata_of,
    models_of,
    time_text,
)
from proxy.admin.desk import AdminDesk
from proxy.admin.keys import change_limits
from proxy.admin.limits_body import LimitsBody, limits_told
from proxy.errors import NotFound


class NewOwner(msgspec.Struct, forbid_unknown_fields=True):
    """An organisation, a team, a user or a tag that something is to be known of."""

    id: str
    name: str | None = None
    org: str | None = None
    models: tuple[str, ...] | None = None
    metadata: dict[str, Any] = {}
    blocked: bool = False
    expires_at: datetime | None = None
    limits: LimitsBody = msgspec.field(default_factory=LimitsBody)


class OwnerChange(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be another; what is left out stays."""

    name: str | UnsetType | None = UNSET
    org: str | UnsetType | None = UNSET
    models: tuple[str, ...] | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    blocked: bool | UnsetType = UNSET
    expires_at: datetime | UnsetType | None = UNSET
    limits: LimitsBody = msgspec.field(default_factory=LimitsBody)


@dataclass(frozen=True, slots=True)
class OwnerRoutes:
    """The stories of one kind of owner."""

    desk: AdminDesk
    kind: OwnerKind

    def routes(self, prefix: str) -> list[web.RouteDef]:
        admin, all_, one = (
            self.desk.admin,
            f"{prefix}/{self.kind}s",
            f"{prefix}/{self.kind}s/{{id}}",
        )
        blocking = [
            web.post(f"{one}/block", admin(self._blocking(blocked=True))),
            web.post(f"{one}/unblock", admin(self._blocking(blocked=False))),
        ]
        return [
            web.post(all_, admin(self._create)),
            web.get(all_, admin(self._list), allow_head=False),
            web.get(one, admin(self._get), allow_head=False),
            web.patch(one, admin(self._update)),
            web.delete(one, admin(self._delete)),
            *(() if self.kind is OwnerKind.TAG else blocking),
        ]

    async def _create(self, asked: Asked) -> Told:
        given, desk = asked.body(NewOwner, f"a new {self.kind}"), self.desk
        now_ns = desk.now_ns()
        owner = Owner(
            self.kind,
            label(given.id, "id"),
            now_ns,
            maybe_label(given.name, "name"),
            maybe_label(given.org, "org"),
            models_of(given.models, desk.known_models(), "models"),
            metadata_of(given.metadata),
            given.blocked,
            future_of(given.expires_at, now_ns, "expires_at"),
        )
        refuse_rights_of_tags(owner)

        def create(table: PolicyTable) -> Told:
            table.add_owner(owner)
            change_limits(table, whose(owner), given.limits, desk, now_ns)
            return told_owner(table, owner)

        return await desk.books.change(create)

    async def _list(self, asked: Asked) -> Told:
        limit, after = asked.count("limit", LISTED, MOST_LISTED), asked.query("after") or ""

        def page(table: PolicyTable) -> list[dict[str, Any]]:
            found = table.owner_page(self.kind, after=after, limit=limit + 1)
            return [told_owner(table, one) for one in found]

        return listed(await self.desk.books.read(lambda sql: page(PolicyTable(sql))), limit)

    async def _get(self, asked: Asked) -> Told:
        owner_id = asked.part("id")

        def shown(table: PolicyTable) -> Told:
            return told_owner(table, known_owner(table, self.kind, owner_id))

        return await self.desk.books.read(lambda sql: shown(PolicyTable(sql)))

    async def _update(self, asked: Asked) -> Told:
        owner_id, given = asked.part("id"), asked.body(OwnerChange, f"a change of a {self.kind}")
        now_ns = self.desk.now_ns()

        def update(table: PolicyTable) -> Told:
            owner = self._after(known_owner(table, self.kind, owner_id), given, now_ns)
            refuse_rights_of_tags(owner)
            table.change_owner(owner)
            change_limits(table, whose(owner), given.limits, self.desk, now_ns)
            return told_owner(table, owner)

        return await self.desk.books.change(update)

    def _after(self, owner: Owner, given: OwnerChange, now_ns: int) -> Owner:
        ends, models = owner.expires_at_ns, owner.models
        if given.expires_at is not UNSET:
            ends = future_of(given.expires_at, now_ns, "expires_at")
        if given.models is not UNSET:
            models = models_of(given.models, self.desk.known_models(), "models")
        return replace(
            owner,
            name=maybe_label(given_or(given.name, owner.name), "name"),
            org=maybe_label(given_or(given.org, owner.org), "org"),
            models=models,
            metadata=owner.metadata if given.metadata is UNSET else metadata_of(given.metadata),
            blocked=given_or(given.blocked, owner.blocked),
            expires_at_ns=ends,
        )

    async def _delete(self, asked: Asked) -> Told:
        owner_id = asked.part("id")

        def delete(table: PolicyTable) -> Told:
            if not table.remove_owner(self.kind, owner_id):
                raise no_owner(self.kind, owner_id)
            return {"id": owner_id, "object": str(self.kind), "deleted": True}

        return await self.desk.books.change(delete)

    def _blocking(self, *, blocked: bool) -> Story:
        async def story(asked: Asked) -> Told:
            owner_id = asked.part("id")

            def change(table: PolicyTable) -> Told:
                owner = replace(known_owner(table, self.kind, owner_id), blocked=blocked)
                table.change_owner(owner)
                return told_owner(table, owner)

            return await self.desk.books.change(change)

        return story


def whose(owner: Owner) -> Whose:
    return Whose(owner.kind, owner.id)


def known_owner(table: PolicyTable, kind: OwnerKind, owner_id: str) -> Owner:
    """Raises NotFound."""
    owner = table.owner(kind, owner_id)
    if owner is None:
        raise no_owner(kind, owner_id)
    return owner


def no_owner(kind: OwnerKind, owner_id: str) -> NotFound:
    return NotFound(
        f"nothing is known of {kind} {owner_id[:80]}: GET /admin/api/{kind}s lists those that are"
        " known; keys may name others",
        code="owner_not_found",
    )


def refuse_rights_of_tags(owner: Owner) -> None:
    """Requests choose their tags, and would choose others. Raises Invalid."""
    rights = (owner.models is not None, owner.blocked, owner.expires_at_ns is not None)
    if owner.kind is OwnerKind.TAG and any(rights):
        raise invalid(
            "a tag has limits, and no rights that it could take away: give models, blocked and"
            " expires_at to keys, users, teams or organisations",
            "models",
        )


def told_owner(table: PolicyTable, owner: Owner) -> dict[str, Any]:
    limits = limits_in(whose(owner), table.limits_of(owner.kind, owner.id))
    return {
        "id": owner.id,
        "name": owner.name,
        "org": owner.org,
        "models": None if owner.models is None else sorted(owner.models),
        "metadata": msgspec.Raw(owner.metadata.encode()),
        "blocked": owner.blocked,
        "created_at": time_text(owner.created_at_ns),
        "expires_at": time_text(owner.expires_at_ns),
        "limits": limits_told(limits),
    }

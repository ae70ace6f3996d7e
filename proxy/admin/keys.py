"""/admin/api/keys: made, shown, changed, rotated, revoked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from ledger.budgets import Budget
from ledger.keys import KeyRecord, hash_of, label_of, mint, new_key
from ledger.limits import KEY, Limits, Whose, limits_in, with_limits
from ledger.tables.policy import KeyFilter, PolicyTable
from proxy.admin.asked import (
    LISTED,
    MOST_LISTED,
    Asked,
    Told,
    future_of,
    given_or,
    labels,
    listed,
    maybe_label,
    metadata_of,
    models_of,
    time_text,
)
from proxy.admin.desk import AdminDesk
from proxy.admin.limits_body import LimitsBody, limits_after, limits_told
from proxy.errors import Conflict, NotFound

GRACE_S_MOST = 90 * 86_400


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """A key that is wanted."""

    name: str | None = None
    org: str | None = None
    team: str | None = None
    project: str | None = None
    user: str | None = None
    tags: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    metadata: dict[str, Any] = {}
    limits: LimitsBody = msgspec.field(default_factory=LimitsBody)


class KeyChange(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be another; what is left out stays."""

    name: str | UnsetType | None = UNSET
    org: str | UnsetType | None = UNSET
    team: str | UnsetType | None = UNSET
    project: str | UnsetType | None = UNSET
    user: str | UnsetType | None = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType | None = UNSET
    expires_at: datetime | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    blocked: bool | UnsetType = UNSET
    limits: LimitsBody = msgspec.field(default_factory=LimitsBody)


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """grace_s: for how long the secret that is replaced still works."""

    grace_s: Annotated[int, msgspec.Meta(ge=0, le=GRACE_S_MOST)] = 0


@dataclass(frozen=True, slots=True)
class KeyRoutes:
    """The stories of /admin/api/keys."""

    desk: AdminDesk

    def routes(self, prefix: str) -> list[web.RouteDef]:
        admin, one = self.desk.admin, f"{prefix}/keys/{{id}}"
        return [
            web.post(f"{prefix}/keys", admin(self._create)),
            web.get(f"{prefix}/keys", admin(self._list), allow_head=False),
            web.get(one, admin(self._get), allow_head=False),
            web.patch(one, admin(self._update)),
            web.delete(one, admin(self._revoke)),
            web.post(f"{one}/rotate", admin(self._rotate)),
            web.post(f"{one}/block", admin(self._block)),
            web.post(f"{one}/unblock", admin(self._unblock)),
        ]

    async def _create(self, asked: Asked) -> Told:
        given, desk = asked.body(NewKey, "a new key"), self.desk
        now_ns = desk.now_ns()
        limits = limits_after(Limits(), given.limits, desk.channels)
        secret, key = mint(
            now_ns,
            desk.random_bytes,
            name=maybe_label(given.name, "name"),
            org=maybe_label(given.org, "org"),
            team=maybe_label(given.team, "team"),
            project=maybe_label(given.project, "project"),
            user=maybe_label(given.user, "user"),
            tags=labels(given.tags, "tags"),
            models=models_of(given.models, desk.known_models(), "models"),
            expires_at_ns=future_of(given.expires_at, now_ns, "expires_at"),
            metadata=metadata_of(given.metadata),
        )

        def create(table: PolicyTable) -> Told:
            table.add_key(key, hash_of(secret))
            whose = Whose(KEY, key.id)
            own = with_limits((), whose, limits, desk.channels)
            table.set_limits(KEY, key.id, own, at_ns=now_ns)
            return {"key": secret} | told_key(key, own)

        return await desk.books.change(create)

    async def _list(self, asked: Asked) -> Told:
        limit = asked.count("limit", LISTED, MOST_LISTED)
        wanted = KeyFilter(
            asked.query("org"), asked.query("team"), asked.query("user"), asked.query("name")
        )
        after = asked.query("after") or ""

        def page(table: PolicyTable) -> list[dict[str, Any]]:
            found = table.key_page(wanted, after=after, limit=limit + 1)
            return [told_key(one, table.limits_of(KEY, one.id)) for one in found]

        return listed(await self.desk.books.read(lambda sql: page(PolicyTable(sql))), limit)

    async def _get(self, asked: Asked) -> Told:
        key_id = asked.part("id")
        return await self.desk.books.read(lambda sql: shown_key(PolicyTable(sql), key_id))

    async def _update(self, asked: Asked) -> Told:
        key_id, given = asked.part("id"), asked.body(KeyChange, "a change of a key")
        now_ns = self.desk.now_ns()

        def update(table: PolicyTable) -> Told:
            key = live_key(table, key_id, now_ns)
            changed_key(table, key, self._after(key, given, now_ns))
            change_limits(table, Whose(KEY, key_id), given.limits, self.desk, now_ns)
            return shown_key(table, key_id)

        return await self.desk.books.change(update)

    def _after(self, key: KeyRecord, given: KeyChange, now_ns: int) -> KeyRecord:
        who, models, ends = key.principal, key.principal.models, key.expires_at_ns
        if given.models is not UNSET:
            models = models_of(given.models, self.desk.known_models(), "models")
        if given.expires_at is not UNSET:
            ends = future_of(given.expires_at, now_ns, "expires_at")
        return replace(
            key,
            name=maybe_label(given_or(given.name, key.name), "name"),
            principal=replace(
                who,
                org=maybe_label(given_or(given.org, who.org), "org"),
                team=maybe_label(given_or(given.team, who.team), "team"),
                project=maybe_label(given_or(given.project, who.project), "project"),
                user=maybe_label(given_or(given.user, who.user), "user"),
                tags=labels(given_or(given.tags, who.tags), "tags"),
                models=models,
            ),
            expires_at_ns=ends,
            metadata=key.metadata if given.metadata is UNSET else metadata_of(given.metadata),
            blocked=given_or(given.blocked, key.blocked),
        )

    async def _revoke(self, asked: Asked) -> Told:
        key_id, now_ns = asked.part("id"), self.desk.now_ns()

        def revoke(table: PolicyTable) -> Told:
            if not table.revoke_key(key_id, now_ns):
                raise no_key(key_id)
            return shown_key(table, key_id)

        return await self.desk.books.change(revoke)

    async def _rotate(self, asked: Asked) -> Told:
        key_id, given = asked.part("id"), asked.body(Rotation, "a rotation")
        now_ns = self.desk.now_ns()
        until_ns = now_ns + given.grace_s * 1_000_000_000

        def rotate(table: PolicyTable) -> Told:
            live_key(table, key_id, now_ns)
            secret = rotated(table, key_id, until_ns, self.desk)
            told = {"key": secret, "earlier_until": time_text(until_ns)}
            return told | shown_key(table, key_id)

        return await self.desk.books.change(rotate)

    async def _block(self, asked: Asked) -> Told:
        return await self._set_blocked(asked, blocked=True)

    async def _unblock(self, asked: Asked) -> Told:
        return await self._set_blocked(asked, blocked=False)

    async def _set_blocked(self, asked: Asked, *, blocked: bool) -> Told:
        key_id, now_ns = asked.part("id"), self.desk.now_ns()

        def change(table: PolicyTable) -> Told:
            table.change_key(replace(live_key(table, key_id, now_ns), blocked=blocked))
            return shown_key(table, key_id)

        return await self.desk.books.change(change)


# -- what LiteLLM's routes do too


def rotated(
    table: PolicyTable, key_id: str, until_ns: int, desk: AdminDesk, secret: str | None = None
) -> str:
    """Give a key a new secret; returns it. Raises Conflict for a person's: whoever could do that
    here would have its role."""
    key = table.key(key_id)
    if key is not None and key.role is not None:
        raise Conflict(
            f"key {key_id} has the role {key.role}: it gets a new secret by"
            f" `hedgerow key rotate {key_id}`, or from whoever has the admin key, in the dashboard"
        )
    secret = secret or new_key(desk.random_bytes)
    table.rotate_key(key_id, hash_of(secret), label_of(secret), until_ns)
    return secret


def changed_key(table: PolicyTable, before: KeyRecord, after: KeyRecord) -> None:
    """Write a key anew. Raises Conflict for a person's, of which it is changed here only whether
    it is blocked: under another name somebody could approve their own plan, and with a later end
    make a role last."""
    if before.role is not None and replace(after, blocked=before.blocked) != before:
        raise Conflict(
            f"key {before.id} has the role {before.role}: it is changed by"
            f" `hedgerow key update {before.id}`; blocked, unblocked and revoked here, too"
        )
    table.change_key(after)


def change_limits(
    table: PolicyTable, whose: Whose, given: LimitsBody, desk: AdminDesk, now_ns: int
) -> None:
    """Raises Invalid."""
    there = table.limits_of(whose.kind, whose.id)
    limits = limits_after(limits_in(whose, there), given, desk.channels)
    after = with_limits(there, whose, limits, desk.channels)
    table.set_limits(whose.kind, whose.id, after, at_ns=now_ns)


def live_key(table: PolicyTable, key_id: str, now_ns: int) -> KeyRecord:
    """A key that can still be changed. Raises NotFound, Conflict."""
    key = table.key(key_id)
    if key is None:
        raise no_key(key_id)
    if key.revoked_at_ns is not None and key.revoked_at_ns <= now_ns:
        raise Conflict(f"key {key_id} is revoked, which is for ever: make a new one")
    return key


def no_key(key_id: str) -> NotFound:
    return NotFound(
        f"there is no key {key_id[:80]}: GET /admin/api/keys lists those that there are",
        code="key_not_found",
    )


def shown_key(table: PolicyTable, key_id: str) -> dict[str, Any]:
    """Raises NotFound."""
    key = table.key(key_id)
    if key is None:
        raise no_key(key_id)
    return told_key(key, table.limits_of(KEY, key_id))


def told_key(key: KeyRecord, limits: tuple[Budget, ...]) -> dict[str, Any]:
    who = key.principal
    return {
        "id": key.id,
        "label": key.label,
        "name": key.name,
        "org": who.org,
        "team": who.team,
        "project": who.project,
        "user": who.user,
        "tags": list(who.tags),
        "models": None if who.models is None else sorted(who.models),
        "metadata": msgspec.Raw(key.metadata.encode()),
        "blocked": key.blocked,
        "role": key.role,
        "created_at": time_text(key.created_at_ns),
        "expires_at": time_text(key.expires_at_ns),
        "revoked_at": time_text(key.revoked_at_ns),
        "limits": limits_told(limits_in(Whose(KEY, key.id), limits)),
    }

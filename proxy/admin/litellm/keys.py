"""LiteLLM's /key routes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from ledger.budgets import Raise
from ledger.databases.sql import Sql
from ledger.keys import KeyRecord, hash_of, label_of, mint
from ledger.limits import KEY, Whose, money_budget
from ledger.owners import OwnerKind
from ledger.tables.policy import KeyFilter, PolicyTable
from proxy.admin.asked import (
    LABEL_LIMIT,
    Asked,
    Told,
    future_of,
    given_or,
    invalid,
    labels,
    maybe_label,
    metadata_of,
    models_of,
    money_of,
)
from proxy.admin.desk import AdminDesk
from proxy.admin.keys import changed_key, live_key, rotated
from proxy.admin.litellm.bodies import apart, body_of, with_notes
from proxy.admin.litellm.durations import expiry_of
from proxy.admin.litellm.limit_fields import LimitFields, set_limits
from proxy.admin.litellm.look import Look
from proxy.errors import Conflict, NotAuthenticated, NotFound

ALL_MODELS = ("all-proxy-models", "all-team-models")
NO_MODELS = "no-default-models"
SECRET_CHARACTERS = 20
"""The least that a secret that somebody chose may have: its hash is a fast one."""


class KeyFields(LimitFields, omit_defaults=True):
    """What a key can be given, and later be given anew."""

    key: str | None = None
    key_alias: str | UnsetType | None = UNSET
    duration: str | UnsetType | None = UNSET
    models: tuple[str, ...] | UnsetType | None = UNSET
    user_id: str | UnsetType | None = UNSET
    team_id: str | UnsetType | None = UNSET
    organization_id: str | UnsetType | None = UNSET
    project_id: str | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET
    tags: tuple[str, ...] | UnsetType | None = UNSET
    blocked: bool | UnsetType | None = UNSET
    key_type: Literal["default", "llm_api"] | None = None


class KeyUpdate(KeyFields, omit_defaults=True):
    temp_budget_increase: Decimal | None = None
    temp_budget_expiry: datetime | None = None


class Regeneration(KeyFields, omit_defaults=True):
    new_key: str | None = None
    grace_period: str | None = None


class NamedKeys(msgspec.Struct):
    keys: tuple[str, ...] | None = None
    key_aliases: tuple[str, ...] | None = None


class NamedKey(msgspec.Struct):
    key: str


_LIST_QUERIES = (
    "page",
    "size",
    "organization_id",
    "team_id",
    "user_id",
    "key_alias",
    "key_hash",
    "return_full_object",
)


@dataclass(frozen=True, slots=True)
class KeyRoutes:
    desk: AdminDesk

    def routes(self) -> list[web.RouteDef]:
        admin = self.desk.admin
        return [
            web.post("/key/generate", admin(self._generate)),
            web.get("/key/info", self._info, allow_head=False),
            web.post("/key/update", admin(self._update)),
            web.post("/key/delete", admin(self._delete)),
            web.post("/key/block", admin(self._block)),
            web.post("/key/unblock", admin(self._unblock)),
            web.post("/key/regenerate", admin(self._regenerate)),
            web.post("/key/{key}/regenerate", admin(self._regenerate)),
            web.get("/key/list", admin(self._list), allow_head=False),
        ]

    async def _generate(self, asked: Asked) -> Told:
        given, now_ns = body_of(asked, KeyFields, "a key"), self.desk.now_ns()
        return await self.desk.books.change(lambda table: new_key(table, given, self.desk, now_ns))

    async def _update(self, asked: Asked) -> Told:
        given, now_ns = body_of(asked, KeyUpdate, "a change of a key"), self.desk.now_ns()

        def update(table: PolicyTable) -> Told:
            key = live_key(table, self._named(table, given.key).id, now_ns)
            self._change(table, key, given, now_ns)
            if given.temp_budget_increase is not None:
                self._increase(table, key, given, now_ns)
            return self._looked(table, key.id, now_ns)

        return await self.desk.books.change(update)

    def _looked(self, table: PolicyTable, key_id: str, now_ns: int) -> dict[str, Any]:
        found = table.key(key_id)
        if found is None:
            raise AssertionError("the key was there in the same transaction")
        told = Look(table.sql, now_ns).key(found)
        return {"key": told["token"]} | told

    def _change(self, table: PolicyTable, key: KeyRecord, given: KeyFields, now_ns: int) -> None:
        who, (own, notes) = key.principal, apart(key.metadata)
        if given.metadata is not UNSET:
            own = given.metadata or {}
        if given.budget_duration is not UNSET:
            notes["budget_duration"] = given.budget_duration
        ends = key.expires_at_ns
        if given.duration is not UNSET:
            ends = expiry_of(given.duration, now_ns, "duration")
        models = who.models
        if given.models is not UNSET:
            models = models_given(given.models, self.desk.known_models())
        name = maybe_label(given_or(given.key_alias, key.name), "key_alias")
        if name != key.name:
            refuse_alias(table, name, now_ns)
        changed = replace(
            key,
            name=name,
            principal=replace(
                who,
                user=maybe_label(given_or(given.user_id, who.user), "user_id"),
                team=known_team(table, given_or(given.team_id, who.team), who.team),
                org=maybe_label(given_or(given.organization_id, who.org), "organization_id"),
                project=maybe_label(given_or(given.project_id, who.project), "project_id"),
                tags=who.tags if given.tags is UNSET else labels(given.tags or (), "tags"),
                models=models,
            ),
            expires_at_ns=ends,
            metadata=metadata_of(with_notes(own, notes)),
            blocked=bool(given_or(given.blocked, key.blocked)),
        )
        changed_key(table, key, changed)
        set_limits(table, KEY, key.id, given, self.desk, now_ns)

    def _increase(self, table: PolicyTable, key: KeyRecord, given: KeyUpdate, now_ns: int) -> None:
        until_ns = future_of(given.temp_budget_expiry, now_ns, "temp_budget_expiry")
        if until_ns is None:
            raise invalid(
                "temp_budget_expiry is missing: say when it is over", "temp_budget_expiry"
            )
        budget = money_budget(Whose(KEY, key.id), table.limits_of(KEY, key.id))
        if budget is None:
            raise invalid("the key has no max_budget to increase", "temp_budget_increase")
        amount = money_of(given.temp_budget_increase, "temp_budget_increase")
        for earlier in table.raises(now_ns):
            if earlier.budget == budget.name and earlier.name == "temp_budget_increase":
                table.end_raise(earlier.id, now_ns)
        if amount:
            table.add_raise(
                Raise(
                    self.desk.new_id("raise"),
                    budget.name,
                    None,
                    amount,
                    now_ns,
                    until_ns,
                    "temp_budget_increase",
                )
            )

    async def _delete(self, asked: Asked) -> Told:
        given, now_ns = body_of(asked, NamedKeys, "keys to delete"), self.desk.now_ns()

        def delete(table: PolicyTable) -> Told:
            found = [self._named(table, one) for one in given.keys or ()]
            found += [self._aliased(table, one, now_ns) for one in given.key_aliases or ()]
            if not found:
                raise invalid("name the keys to delete, in keys or key_aliases", "keys")
            for one in found:
                table.revoke_key(one.id, now_ns)
            return {"deleted_keys": list(given.keys or given.key_aliases or ())}

        return await self.desk.books.change(delete)

    async def _block(self, asked: Asked) -> Told:
        return await self._set_blocked(asked, blocked=True)

    async def _unblock(self, asked: Asked) -> Told:
        return await self._set_blocked(asked, blocked=False)

    async def _set_blocked(self, asked: Asked, *, blocked: bool) -> Told:
        given, now_ns = body_of(asked, NamedKey, "a key"), self.desk.now_ns()

        def change(table: PolicyTable) -> Told:
            key = live_key(table, self._named(table, given.key).id, now_ns)
            table.change_key(replace(key, blocked=blocked))
            return self._looked(table, key.id, now_ns)

        return await self.desk.books.change(change)

    async def _regenerate(self, asked: Asked) -> Told:
        given, now_ns = body_of(asked, Regeneration, "a new secret"), self.desk.now_ns()
        name = asked.request.match_info.get("key") or given.key
        grace = None if given.grace_period in (None, "", "0s") else given.grace_period
        until_ns = expiry_of(grace, now_ns, "grace_period") or now_ns

        def regenerate(table: PolicyTable) -> Told:
            key = live_key(table, self._named(table, name).id, now_ns)
            self._change(table, key, given, now_ns)
            chosen = chosen_secret(table, given.new_key, "new_key")
            secret = rotated(table, key.id, until_ns, self.desk, chosen)
            told = self._looked(table, key.id, now_ns)
            return told | {"key": secret, "token_id": told["token"]}

        return await self.desk.books.change(regenerate)

    async def _info(self, request: web.Request) -> web.Response:
        """For who may ask of all, and for a key about itself."""
        is_admin = await self.desk.person(request) is not None

        async def story(asked: Asked) -> Told:
            name, now_ns = asked.query("key"), self.desk.now_ns()

            def look(sql: Sql) -> Told:
                table = PolicyTable(sql)
                if is_admin:
                    key = self._named(table, name)
                else:
                    key = self.desk.own_key(table, request)
                    if name is not None and self._named(table, name).id != key.id:
                        raise NotAuthenticated("a key is told about itself alone")
                told = Look(sql, now_ns).key(key)
                return {"key": name or told["token"], "info": told}

            if not is_admin:
                await self.desk.refuse_strangers(request)
            return await self.desk.books.read(look)

        return await self.desk.answered(request, story)

    async def _list(self, asked: Asked) -> Told:
        page, size = asked.count("page", 1, 10**6), asked.count("size", 10, 100)
        now_ns, full = self.desk.now_ns(), asked.choice("return_full_object", ("true", "false"), "")
        asked.refuse_queries(*_LIST_QUERIES)
        key_hash = asked.query("key_hash")
        wanted = KeyFilter(
            asked.query("organization_id"),
            asked.query("team_id"),
            asked.query("user_id"),
            asked.query("key_alias"),
            unrevoked_at_ns=now_ns,
        )

        def look(sql: Sql) -> Told:
            seen, table = Look(sql, now_ns), PolicyTable(sql)
            total = table.count_keys(wanted)
            found = table.key_page(wanted, limit=size, offset=(page - 1) * size)
            if key_hash is not None:
                one = key_named(table, key_hash)
                found = [] if one is None or one.revoked_at_ns is not None else [one]
                total = len(found)
            told = [seen.key(one) for one in found]
            return {
                "keys": told if full == "true" else [one["token"] for one in told],
                "total_count": total,
                "current_page": page,
                "total_pages": -(-total // size),
            }

        return await self.desk.books.read(look)

    # -- which key is meant

    def _named(self, table: PolicyTable, name: str | None) -> KeyRecord:
        """By its secret, its hash in hex or its id. Raises Invalid, NotFound."""
        if not name:
            raise invalid("key is missing: write the key, or its token", "key")
        found = key_named(table, name)
        if found is None:
            raise NotFound("there is no such key here", param="key", code="key_not_found")
        return found

    def _aliased(self, table: PolicyTable, name: str, now_ns: int) -> KeyRecord:
        found = table.key_page(KeyFilter(name=name, unrevoked_at_ns=now_ns), limit=2)
        if not found:
            raise NotFound("there is no key of that alias", param=name, code="key_not_found")
        if len(found) > 1:
            raise Conflict(f"several keys are called {name}: name them by their tokens")
        return found[0]


def key_named(table: PolicyTable, name: str) -> KeyRecord | None:
    if name.startswith("key_"):
        return table.key(name)
    if name.startswith("sk-"):
        return table.key_of(hash_of(name))
    try:
        return table.key_of(bytes.fromhex(name))
    except ValueError:
        return None


def new_key(table: PolicyTable, given: KeyFields, desk: AdminDesk, now_ns: int) -> dict[str, Any]:
    """Make a key as it is wanted; how it is told to whoever wanted it. Raises Invalid, Conflict."""
    chosen = chosen_secret(table, given.key, "key")
    metadata = given_or(given.metadata, None) or {}
    notes = {"budget_duration": given_or(given.budget_duration, None)}
    secret, key = mint(
        now_ns,
        desk.random_bytes,
        name=maybe_label(given_or(given.key_alias, None), "key_alias"),
        org=maybe_label(given_or(given.organization_id, None), "organization_id"),
        team=known_team(table, given_or(given.team_id, None), None),
        project=maybe_label(given_or(given.project_id, None), "project_id"),
        user=maybe_label(given_or(given.user_id, None), "user_id"),
        tags=labels(given.tags or (), "tags") if given.tags is not UNSET else (),
        models=models_given(given_or(given.models, None), desk.known_models()),
        expires_at_ns=expiry_of(given_or(given.duration, None), now_ns, "duration"),
        metadata=metadata_of(with_notes(metadata, notes)),
    )
    refuse_alias(table, key.name, now_ns)
    if chosen is not None:
        secret, key = chosen, replace(key, label=label_of(chosen))
    key = replace(key, blocked=bool(given_or(given.blocked, False)))
    table.add_key(key, hash_of(secret))
    set_limits(table, KEY, key.id, given, desk, now_ns)
    told = Look(table.sql, now_ns).key(key)
    return told | {"key": secret, "token_id": told["token"]}


def chosen_secret(table: PolicyTable, text: str | None, param: str) -> str | None:
    """A secret that somebody chose; None if nobody did. Raises Invalid, Conflict."""
    if not text:
        return None
    if not (is_key(text) and text.startswith("sk-") and len(text) >= SECRET_CHARACTERS):
        raise invalid(
            f"{param} begins with sk- and has {SECRET_CHARACTERS} to 200 characters, without"
            " spaces; leave it out to be given one",
            param,
        )
    if table.key_of(hash_of(text)) is not None:
        raise Conflict("that key is there already: choose another")
    return text


def is_key(text: str) -> bool:
    """Whether it can go into a header as it is."""
    return len(text) <= LABEL_LIMIT and text.isascii() and text.isprintable() and " " not in text


def models_given(names: tuple[str, ...] | None, known: Collection[str]) -> frozenset[str] | None:
    """LiteLLM's names for all and none of them are kept. Raises Invalid."""
    if not names or set(names) & set(ALL_MODELS):
        return None
    return models_of([one for one in names if one != NO_MODELS], known, "models")


def known_team(table: PolicyTable, team: str | None, before: str | None) -> str | None:
    """As there, a team is made before its keys. Raises Invalid."""
    if team is not None and team != before and table.owner(OwnerKind.TEAM, team) is None:
        raise invalid(f"there is no team {team[:80]!r}: make it at /team/new", "team_id")
    return team


def refuse_alias(table: PolicyTable, name: str | None, now_ns: int) -> None:
    """Scripts find keys by their alias. Raises Conflict."""
    if name is None:
        return
    if table.key_page(KeyFilter(name=name, unrevoked_at_ns=now_ns), limit=1):
        raise Conflict(f"there is a key called {name} already: choose another key_alias")

"""What LiteLLM's routes for teams, users, customers, organisations and tags do alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import UNSET, UnsetType

from ledger.owners import Owner, OwnerKind
from ledger.tables.policy import KeyFilter, PolicyTable
from proxy.admin.asked import given_or, label, maybe_label, metadata_of
from proxy.admin.desk import AdminDesk
from proxy.admin.litellm.bodies import apart, with_notes
from proxy.admin.litellm.keys import models_given
from proxy.admin.litellm.limit_fields import LimitFields, set_limits
from proxy.admin.litellm.look import Look
from proxy.errors import NotFound


class OwnerFields(LimitFields, omit_defaults=True):
    """What each of them can be given."""

    models: tuple[str, ...] | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET
    blocked: bool | UnsetType | None = UNSET


def new_owner(kind: OwnerKind, owner_id: str | None, desk: AdminDesk) -> Owner:
    """One of whom nothing is known yet; who has no id is given one."""
    made = desk.new_id(kind) if owner_id is None else label(owner_id, f"{kind}_id")
    return Owner(kind, made, desk.now_ns())


def owner_after(
    owner: Owner,
    given: OwnerFields,
    desk: AdminDesk,
    *,
    name: str | UnsetType | None = UNSET,
    org: str | UnsetType | None = UNSET,
    **notes: Any,
) -> Owner:
    """An owner after a change. notes: what is told again, and nothing here acts by; UNSET stays."""
    own, noted = apart(owner.metadata)
    if given.metadata is not UNSET:
        own = given.metadata or {}
    noted |= {key: value for key, value in notes.items() if value is not UNSET}
    if given.budget_duration is not UNSET:
        noted["budget_duration"] = given.budget_duration
    models = owner.models
    if given.models is not UNSET:
        models = models_given(given.models, desk.known_models())
    return replace(
        owner,
        name=maybe_label(given_or(name, owner.name), "alias"),
        org=maybe_label(given_or(org, owner.org), "organization_id"),
        models=models,
        metadata=metadata_of(with_notes(own, noted)),
        blocked=bool(given_or(given.blocked, owner.blocked)),
    )


def keep_new(
    table: PolicyTable, owner: Owner, given: LimitFields, desk: AdminDesk
) -> dict[str, Any]:
    """Raises NameTaken, Invalid."""
    table.add_owner(owner)
    set_limits(table, owner.kind, owner.id, given, desk, desk.now_ns())
    return Look(table.sql, desk.now_ns()).owner(owner)


def keep_changed(
    table: PolicyTable, owner: Owner, given: LimitFields, desk: AdminDesk
) -> dict[str, Any]:
    """Raises Invalid."""
    table.change_owner(owner)
    set_limits(table, owner.kind, owner.id, given, desk, desk.now_ns())
    return Look(table.sql, desk.now_ns()).owner(owner)


def found_owner(table: PolicyTable, kind: OwnerKind, owner_id: str | None) -> Owner:
    """Raises NotFound."""
    found = None if owner_id is None else table.owner(kind, owner_id)
    if found is None:
        raise NotFound(f"there is no {kind} {(owner_id or '')[:80]!r} here", code="owner_not_found")
    return found


def delete_owner(table: PolicyTable, owner: Owner, now_ns: int) -> dict[str, Any]:
    """Forget an owner, and end its keys, as LiteLLM does. What it was, is told."""
    told = Look(table.sql, now_ns).owner(owner)
    if owner.kind in (OwnerKind.TEAM, OwnerKind.USER):
        is_team = owner.kind is OwnerKind.TEAM
        its = KeyFilter(
            team=owner.id if is_team else None,
            user=None if is_team else owner.id,
            unrevoked_at_ns=now_ns,
        )
        while keys := table.key_page(its, limit=1000):
            for key in keys:
                table.revoke_key(key.id, now_ns)
    table.remove_owner(owner.kind, owner.id)
    return told

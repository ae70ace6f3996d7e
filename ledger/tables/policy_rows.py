"""Rows of the policy tables, and what they mean."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import lru_cache

import msgspec

from ledger.budgets import Budget, Mode, Scope, Threshold
from ledger.databases.sql import Row, Value
from ledger.keys import KeyRecord, Role
from ledger.measures import Measure
from ledger.owners import Owner, OwnerKind
from ledger.principals import Principal
from ledger.windows import window_of

KEY = (
    "id, label, name, org, team, project, user_id, tags, models, created_at_ns, expires_at_ns,"
    " revoked_at_ns, metadata, blocked, role"
)
BUDGET = (
    "name, scope, time_window, timezone, cap, measure, thresholds, mode, on_ledger_error,"
    " created_at_ns, owner_kind, owner_id"
)
OWNER = "kind, id, created_at_ns, name, org, models, metadata, blocked, expires_at_ns"
RAISE = "id, budget, member, amount, since_ns, until_ns, name"

ROWS_REMEMBERED = 100_000
"""What rows mean: with every change the policy is read anew, and nearly all of it is as it was."""

_encode = msgspec.json.Encoder(order="sorted").encode
_thresholds = msgspec.json.Decoder(tuple[Threshold, ...]).decode


def key_row(key: KeyRecord) -> tuple[Value, ...]:
    who = key.principal
    return (
        key.id,
        key.label,
        key.name,
        who.org,
        who.team,
        who.project,
        who.user,
        json.dumps(who.tags),
        _names_to_text(who.models),
        key.created_at_ns,
        key.expires_at_ns,
        key.revoked_at_ns,
        key.metadata,
        int(key.blocked),
        key.role,
    )


@lru_cache(ROWS_REMEMBERED)
def key_of(row: Row) -> KeyRecord:
    key_id, label, name, org, team, project, user, tags, models = row[:9]
    created_at_ns, expires_at_ns, revoked_at_ns, metadata, blocked, role = row[9:]
    allowed = _names_of_text(models)
    own = tuple(json.loads(tags))
    who = Principal(key_id, org, team, project, user, own, allowed, name or label)
    return KeyRecord(
        *(key_id, label, name, who),
        created_at_ns=created_at_ns,
        expires_at_ns=expires_at_ns,
        revoked_at_ns=revoked_at_ns,
        metadata=metadata,
        blocked=bool(blocked),
        role=None if role is None else Role(role),
    )


def owner_row(owner: Owner) -> tuple[Value, ...]:
    return (
        owner.kind,
        owner.id,
        owner.created_at_ns,
        owner.name,
        owner.org,
        _names_to_text(owner.models),
        owner.metadata,
        int(owner.blocked),
        owner.expires_at_ns,
    )


def owner_of(row: Row) -> Owner:
    kind, owner_id, created_at_ns, name, org, models, metadata, blocked, expires_at_ns = row
    return Owner(
        OwnerKind(kind),
        owner_id,
        created_at_ns,
        name,
        org,
        _names_of_text(models),
        metadata,
        bool(blocked),
        expires_at_ns,
    )


def budget_row(budget: Budget) -> tuple[Value, ...]:
    scope = {name: value for name, value in asdict(budget.scope).items() if value is not None}
    return (
        budget.name,
        json.dumps(scope),
        str(budget.window),
        budget.timezone,
        budget.cap,
        budget.measure,
        _encode(budget.thresholds).decode(),
        budget.mode,
        budget.on_ledger_error,
    )


@lru_cache(ROWS_REMEMBERED)
def budget_of(row: Row) -> Budget:
    name, scope, window, timezone, cap, measure, thresholds, mode, on_ledger_error = row[:9]
    return Budget(
        name,
        Scope(**json.loads(scope)),
        window_of(window),
        timezone,
        cap,
        Measure(measure),
        _thresholds(thresholds),
        Mode(mode),
        on_ledger_error,
    )


def _names_to_text(names: frozenset[str] | None) -> str | None:
    return None if names is None else json.dumps(sorted(names))


def _names_of_text(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(json.loads(text))

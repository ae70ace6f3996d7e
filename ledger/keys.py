"""Keys: what an application authenticates with. The books keep only a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ledger.errors import KeyRefused
from ledger.ids import new_id
from ledger.principals import Principal

PREFIX = "sk-hedge-"


class KeyState(StrEnum):
    ACTIVE = "active"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Role(StrEnum):
    """What a person may with a key of the admin API and the dashboard. Each reads all that is
    there; such a key asks no model for anything."""

    READER = "reader"
    ADMIN = "admin"
    """Changes keys, owners, budgets."""
    APPROVER = "approver"
    """Approves what others have planned, and changes nothing else."""

    def may(self, needs: Role) -> bool:
        return needs in (Role.READER, self)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as the books know it: everything but the key itself.

    label: the key's first and last characters, for people to tell keys apart.
    metadata: a JSON object, as its owner wrote it; nothing here reads it.
    replaced_at_ns: of the secret that a key had before it was rotated: when that one stops.
    barred_by: who else is blocked, and the key with it: `team research`.
    role: of a person's key, for the admin API and the dashboard; None: an application's.
    """

    id: str
    label: str
    name: str | None
    principal: Principal
    created_at_ns: int
    expires_at_ns: int | None
    revoked_at_ns: int | None
    metadata: str = "{}"
    blocked: bool = False
    replaced_at_ns: int | None = None
    barred_by: str | None = None
    role: Role | None = None

    def check(self, now_ns: int) -> None:
        """Raises KeyRefused, saying why, unless the key may be used at `now_ns`."""
        if self.revoked_at_ns is not None and self.revoked_at_ns <= now_ns:
            raise KeyRefused(f"key {self.label} was revoked: ask your platform team for a new one")
        if self.expires_at_ns is not None and self.expires_at_ns <= now_ns:
            raise KeyRefused(f"key {self.label} has expired: ask your platform team for a new one")
        if self.replaced_at_ns is not None and self.replaced_at_ns <= now_ns:
            raise KeyRefused(f"key {self.label} was replaced: use the secret that was made for it")
        if self.blocked or self.barred_by is not None:
            barred = (
                "is blocked" if self.blocked else f"cannot be used: {self.barred_by} is blocked"
            )
            raise KeyRefused(f"key {self.label} {barred}; ask your platform team to unblock it")

    def state(self, now_ns: int) -> KeyState:
        """Whether it can be used, as far as that is said of the key itself."""
        if self.revoked_at_ns is not None and self.revoked_at_ns <= now_ns:
            return KeyState.REVOKED
        if self.expires_at_ns is not None and self.expires_at_ns <= now_ns:
            return KeyState.EXPIRED
        return KeyState.BLOCKED if self.blocked else KeyState.ACTIVE

    def check_application(self, now_ns: int) -> None:
        """The same for asking a model. Raises KeyRefused."""
        self.check(now_ns)
        if self.role is not None:
            raise KeyRefused(
                f"key {self.label} is for the admin API and the dashboard, and asks no model: use"
                " a key of an application (`hedgerow key create` without --role)"
            )


def new_key(random_bytes: Callable[[int], bytes]) -> str:
    """A new secret with 256 random bits."""
    return PREFIX + random_bytes(32).hex()


def mint(
    at_ns: int,
    random_bytes: Callable[[int], bytes],
    *,
    name: str | None = None,
    org: str | None = None,
    team: str | None = None,
    project: str | None = None,
    user: str | None = None,
    tags: tuple[str, ...] = (),
    models: frozenset[str] | None = None,
    expires_at_ns: int | None = None,
    metadata: str = "{}",
    role: Role | None = None,
) -> tuple[str, KeyRecord]:
    """A new key and its record: the secret is for its owner alone, the record for the books."""
    secret, key_id = new_key(random_bytes), new_id("key", at_ns, random_bytes)
    label = label_of(secret)
    who = Principal(key_id, org, team, project, user, tags, models, name or label)
    return secret, KeyRecord(
        key_id, label, name, who, at_ns, expires_at_ns, None, metadata, role=role
    )


def label_of(key: str) -> str:
    """Its ends. Of a secret that somebody chose, the last four characters alone."""
    return f"{key[: len(PREFIX) + 4] if key.startswith(PREFIX) else 'sk-'}…{key[-4:]}"


def hash_of(key: str) -> bytes:
    """SHA-256. A slow hash would add nothing: the secret is 256 random bits, not a password."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()

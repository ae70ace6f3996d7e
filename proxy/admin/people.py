"""People: who is at the admin API or the dashboard, and what they may there."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from ledger.errors import KeyRefused
from ledger.keys import Role, hash_of
from ledger.tables.policy import PolicyTable
from proxy.errors import RoleForbidden

ROOT_NAME = "the admin key"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a key that has a role. key_id: None for whoever has server.admin_key."""

    name: str
    role: Role
    key_id: str | None

    @property
    def is_root(self) -> bool:
        return self.key_id is None

    def may(self, needs: Role) -> bool:
        return self.role.may(needs)

    def check(self, needs: Role) -> None:
        """Raises RoleForbidden."""
        if self.may(needs):
            return
        raise RoleForbidden(
            f"this needs the role {needs}, and {self.name} has the role {self.role}: ask somebody"
            f" who has it, or for a key (`hedgerow key create --role {needs} --name …`)"
        )


ROOT = Person(ROOT_NAME, Role.ADMIN, None)
"""Changes everything and approves nothing: an approval has somebody's name."""


@dataclass(frozen=True, slots=True)
class People:
    """admin_key: server.admin_key; None: nobody has it."""

    admin_key: str | None

    def of_hash(self, table: PolicyTable, key_hash: bytes, now_ns: int) -> Person | None:
        """Whose key has this hash, while it may be used; None for nobody's. As far as what is
        compared here goes, it takes as long for any hash."""
        key = table.key_of(key_hash)
        if self.admin_key is not None and hmac.compare_digest(key_hash, hash_of(self.admin_key)):
            return ROOT
        if key is None or key.role is None:
            return None
        try:
            key.check(now_ns)
        except KeyRefused:
            return None
        return Person(key.name or key.label, key.role, key.id)

    def is_root(self, secret: str) -> bool:
        """Whether it is the admin key; it takes as long to say no to any other."""
        ours = self.admin_key
        return ours is not None and hmac.compare_digest(hash_of(secret), hash_of(ours))

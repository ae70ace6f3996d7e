"""Owners: whom keys belong to. What one of them may not do, none of its keys may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from ledger.keys import KeyRecord


class OwnerKind(StrEnum):
    """A tag has limits of its own, and lends or takes no rights: requests choose their tags."""

    ORG = "org"
    TEAM = "team"
    USER = "user"
    TAG = "tag"


@dataclass(frozen=True, slots=True)
class Owner:
    """An organisation, a team, a user or a tag that something is known of.

    None need be known for a key to name it: then it takes nothing away.

    name: for people. org: the organisation of a team or user. models: those that its keys may ask
    for; None is all of them. metadata: a JSON object that nothing here reads.
    """

    kind: OwnerKind
    id: str
    created_at_ns: int
    name: str | None = None
    org: str | None = None
    models: frozenset[str] | None = None
    metadata: str = "{}"
    blocked: bool = False
    expires_at_ns: int | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


Owners: TypeAlias = Mapping[tuple[OwnerKind, str], Owner]


def with_rights(key: KeyRecord, owners: Owners) -> KeyRecord:
    """A key as it may be used: only for what it, its team, its user and its organisation all may.

    A key that names no organisation is of its team's, or else of its user's.
    """
    who = key.principal
    known = [_known(owners, OwnerKind.TEAM, who.team), _known(owners, OwnerKind.USER, who.user)]
    above = [one.org for one in known if one is not None]
    org = next((one for one in (who.org, *above) if one is not None), None)
    known.append(_known(owners, OwnerKind.ORG, org))
    parties = [one for one in known if one is not None]
    if not parties:
        return key
    allowed = [one for one in (who.models, *(owner.models for owner in parties)) if one is not None]
    ends = [one for one in (key.expires_at_ns, *(owner.expires_at_ns for owner in parties)) if one]
    return replace(
        key,
        principal=replace(
            who, org=org, models=frozenset.intersection(*allowed) if allowed else None
        ),
        expires_at_ns=min(ends, default=None),
        barred_by=next((str(one) for one in parties if one.blocked), None),
    )


def _known(owners: Owners, kind: OwnerKind, name: str | None) -> Owner | None:
    return None if name is None else owners.get((kind, name))

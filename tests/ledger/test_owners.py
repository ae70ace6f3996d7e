"""Rights: what a key may do is what it and all its owners may."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import KeyRefused
from ledger.keys import KeyRecord
from ledger.owners import Owner, OwnerKind, with_rights
from ledger.principals import Principal

MODELS = ("oak", "elm", "ash")
NAMES = st.sampled_from(["a", "b", None])
ALLOWED = st.one_of(st.none(), st.frozensets(st.sampled_from(MODELS)))
ENDS = st.one_of(st.none(), st.integers(1, 9))

OWNERS = st.builds(
    Owner,
    kind=st.sampled_from(OwnerKind),
    id=st.sampled_from(["a", "b"]),
    created_at_ns=st.just(0),
    org=NAMES,
    models=ALLOWED,
    blocked=st.booleans(),
    expires_at_ns=ENDS,
)
KEYS = st.builds(
    lambda org, team, user, models, ends, blocked: KeyRecord(
        "key_1",
        "sk-…",
        None,
        Principal("key_1", org, team, None, user, (), models),
        0,
        ends,
        None,
        blocked=blocked,
    ),
    NAMES,
    NAMES,
    NAMES,
    ALLOWED,
    ENDS,
    st.booleans(),
)


def may(key: KeyRecord, model: str, at_ns: int) -> bool:
    """As the proxy asks."""
    try:
        key.check(at_ns)
    except KeyRefused:
        return False
    return key.principal.models is None or model in key.principal.models


@given(KEYS, st.lists(OWNERS, max_size=6), st.sampled_from(MODELS), st.integers(0, 9))
def test_a_key_may_what_it_and_each_of_its_owners_may(
    key: KeyRecord, owners: list[Owner], model: str, at_ns: int
) -> None:
    """With its owners' rights a key may ask iff it may alone, and each known owner may."""
    known = {(one.kind, one.id): one for one in owners}
    who = key.principal
    team, user = (
        known.get((OwnerKind.TEAM, who.team or "")),
        known.get((OwnerKind.USER, who.user or "")),
    )
    org = who.org or (team.org if team else None) or (user.org if user else None)
    above = [one for one in (team, user, known.get((OwnerKind.ORG, org or ""))) if one]

    def lets(owner: Owner) -> bool:
        in_time = owner.expires_at_ns is None or at_ns < owner.expires_at_ns
        return not owner.blocked and in_time and (owner.models is None or model in owner.models)

    found = with_rights(key, known)
    assert may(found, model, at_ns) == (may(key, model, at_ns) and all(map(lets, above)))
    assert found.principal.org == org
    same = replace(found, principal=who, expires_at_ns=key.expires_at_ns, barred_by=key.barred_by)
    assert same == key


def test_a_barred_key_is_told_by_whom() -> None:
    """The refusal names the owner that is blocked, so that the right people are asked."""
    key = KeyRecord("key_1", "sk-…", None, Principal("key_1", team="research"), 0, None, None)
    team = Owner(OwnerKind.TEAM, "research", 0, blocked=True)
    barred = with_rights(key, {(team.kind, team.id): team})
    with pytest.raises(KeyRefused, match="team research is blocked"):
        barred.check(0)

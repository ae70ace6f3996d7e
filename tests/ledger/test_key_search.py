"""Keys are searched, page by page: on both databases, against a list."""

from __future__ import annotations

import secrets

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.databases.sql import Sql
from ledger.keys import KeyRecord, Role, hash_of, mint
from ledger.tables.policy import KeyFilter, PolicyTable
from tests.ledger.entries_of import undone


def make_key(table: PolicyTable, at_ns: int, name: str, team: str, role: Role | None) -> KeyRecord:
    secret, key = mint(at_ns, secrets.token_bytes, name=name, team=team, role=role)
    table.add_key(key, hash_of(secret))
    return key


TEXTS = st.sampled_from(["a", "B", "%", "_", "!", "ab", "a_b", "", "é"])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(TEXTS, TEXTS, st.none() | st.sampled_from(Role)), max_size=6),
    TEXTS,
    st.none() | st.booleans(),
    st.integers(1, 4),
)
def test_keys_are_searched(
    sql: Sql,
    made: list[tuple[str, str, Role | None]],
    text: str,
    has_role: bool | None,
    limit: int,
) -> None:
    """Page by page, the newest first: those whose names have the text as it stands, and no others,
    each once; as many as are counted."""
    with undone(sql):
        table = PolicyTable(sql)
        keys = [
            make_key(table, at_ns * 10**9, name, team, role)
            for at_ns, (name, team, role) in enumerate(made)
        ]
        wanted = KeyFilter(text=text, has_role=has_role)
        found: list[KeyRecord] = []
        while page := table.newest_keys(wanted, before=found[-1].id if found else "", limit=limit):
            found += page
        naive = [
            one
            for one in reversed(keys)
            if any(
                text.lower() in (part or "").lower()
                for part in (one.id, one.label, one.name, one.principal.team)
            )
            and has_role in (None, one.role is not None)
        ]
        assert found == naive
        assert table.count_keys(wanted) == len(naive)

"""What keys spent, and when they were last used: against naive sums, on both databases."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.databases.sql import Sql
from ledger.key_use import LATELY_NS, KeyUse, uses_of
from ledger.money import Money
from tests.ledger.entries_of import DAY_NS, Made, attempts, books_of, moments, open_holds

KEYS = ["key_1", "key_2", "key_none"]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(attempts | open_holds, max_size=12), moments, moments)
def test_uses(sql: Sql, made: list[Made], one_ns: int, other_ns: int) -> None:
    """Charges within the span count, to the nano-USD; the last day is that of the last charge of
    the last weeks; keys without a charge have no entry."""
    since_ns, now_ns = min(one_ns, other_ns), max(one_ns, other_ns)
    keys = sorted({*KEYS, *(one.who.key for one in made)})
    with books_of(sql, made):
        found = uses_of(sql, keys, since_ns, now_ns)
    for key in keys:
        charged = [one for one in made if one.who.key == key and one.is_charged]
        within = [one for one in charged if since_ns <= one.at_ns < now_ns]
        days = [one.at_ns // DAY_NS * DAY_NS for one in charged]
        lately = [one for one in days if one > now_ns - LATELY_NS]
        naive = KeyUse(
            Money(sum(one.sums[7] for one in within)), len(within), max(lately, default=None)
        )
        assert (key in found) == bool(within or lately)
        assert found.get(key, naive) == naive

"""Traffic by model and provider adds up to what was charged: on both databases."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.databases.sql import Sql
from ledger.money import Money
from ledger.traffic import Traffic, traffic
from tests.ledger.entries_of import Made, attempts, books_of, moments, open_holds

on_both = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


@on_both
@given(st.lists(attempts | open_holds, max_size=12), moments, moments)
def test_traffic(sql: Sql, made: list[Made], since_ns: int, until_ns: int) -> None:
    """The naive sums over charges from `since` on, and before `until`; who had none has no row."""
    sums: dict[tuple[str, str], list[tuple[int, ...]]] = defaultdict(list)
    for one in made:
        if one.is_charged and since_ns <= one.at_ns < until_ns:
            sums[one.who.model, one.who.provider].append((*one.sums[:6], one.cost))
    expected = []
    for (model, provider), rows in sorted(sums.items()):
        *counts, cost = (sum(column) for column in zip(*rows, strict=True))
        names = (model, provider, f"{provider}-{model}")
        expected.append(Traffic(*names, *counts, Money(cost)))  # type: ignore[call-arg]
    with books_of(sql, made):
        assert traffic(sql, since_ns, until_ns) == expected

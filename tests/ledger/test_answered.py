"""Requests as whoever learns from traffic reads them, against the list of what was charged."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.answered import Answered, AnsweredTail, answered_by_hour
from ledger.databases.sql import Sql
from tests.ledger.entries_of import HOUR_NS, Made, attempts, books_of, moments

on_both = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
MADE = st.lists(attempts, max_size=12)


def sizes(one: Made) -> tuple[int, int, int, int]:
    use = one.usage
    elsewhere = one.contracted if one.cheapest is None else one.cheapest
    return use.prompt or 0, use.cached or 0, use.completion or 0, elsewhere


@on_both
@given(MADE, moments)
def test_hours_are_sums_of_what_was_charged(sql: Sql, made: list[Made], since_ns: int) -> None:
    """Of each hour and model: all charges since a moment, those of batches left out."""
    expected: dict[tuple[int, str], list[float]] = defaultdict(lambda: [0.0] * 5)
    for one in made:
        if one.is_charged and one.at_ns >= since_ns and not one.is_durable:
            key = (one.at_ns // HOUR_NS * HOUR_NS, one.who.model)
            for at, value in enumerate((1, *sizes(one))):
                expected[key][at] += value
    with books_of(sql, made):
        found = answered_by_hour(sql, since_ns)
    assert [(one.at_ns, one.model) for one in found] == sorted(expected)
    assert {(one.at_ns, one.model): numbers(one) for one in found} == expected


@on_both
@given(MADE)
def test_the_tail_has_what_came_since_the_last_look(sql: Sql, made: list[Made]) -> None:
    """Each charge once, with its own numbers; a look at what has not changed finds nothing."""
    tail = AnsweredTail(sql)
    assert tail.read() == []
    with books_of(sql, made):
        found = sorted((one.at_ns, one.model, *numbers(one)) for one in tail.read())
        assert tail.read() == []
    assert found == sorted(
        (one.at_ns, one.who.model, 1, *sizes(one))
        for one in made
        if one.is_charged and not one.is_durable
    )


def numbers(one: Answered) -> list[float]:
    return [one.count, one.prompt, one.cached, one.completion, one.elsewhere_nanos]

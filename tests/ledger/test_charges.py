"""Charges, as they are read from the entries: on both databases."""

from __future__ import annotations

from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.charges import ChargeRow, charge_rows
from ledger.databases.sql import Sql
from ledger.meters import metering
from ledger.money import as_usd
from tests.ledger.entries_of import CARDS, Made, attempt_id, attempts, books_of, open_holds

on_both = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
books_to_be = st.lists(attempts | open_holds, max_size=6)


def charged(made: list[Made]) -> list[tuple[int, str, int]]:
    """When, its id, and which: in the order of time."""
    return sorted(
        (one.at_ns, attempt_id(number, one), number)
        for number, one in enumerate(made)
        if one.is_charged
    )


@on_both
@given(books_to_be)
def test_charges_are_those_of_a_time(sql: Sql, made: list[Made]) -> None:
    """From `since` on, and before `until`, in the order of time."""
    bounds = [None, *{one.at_ns for one in made}]
    with books_of(sql, made):
        for since_ns, until_ns in product(bounds, bounds):
            found = [row.attempt_id for row in charge_rows(sql, since_ns, until_ns)]
            assert found == [
                name
                for at_ns, name, _ in charged(made)
                if (since_ns is None or since_ns <= at_ns)
                and (until_ns is None or at_ns < until_ns)
            ]


@on_both
@given(books_to_be)
def test_charges_are_as_they_are_written(sql: Sql, made: list[Made]) -> None:
    """With all that is written of them; and nothing is lost when they are taken apart."""
    with books_of(sql, made):
        found = list(charge_rows(sql))
    for row, (at_ns, name, number) in zip(found, charged(made), strict=True):
        assert (row.at_ns, row.attempt_id, row.request_id) == (at_ns, name, f"req_{number}")
        assert_same(row, made[number])


def assert_same(row: ChargeRow, one: Made) -> None:
    who = one.who
    assert (row.org, row.team, row.project, row.user, row.key_id) == who.names
    assert (row.model, row.provider, row.upstream_model, row.account) == who.where
    assert (row.tags, row.usage, row.rates) == (who.tags, one.usage, CARDS[one.card])
    assert row.rate_card == CARDS[one.card].version
    assert (row.billed, row.effective) == (one.billed, one.cost)
    assert (row.contracted, row.list) == (one.contracted, one.contracted)
    assert (row.first_offer, row.cheapest) == (one.first_offer, one.cheapest)
    assert (row.held, row.overrun) == (one.held, max(0, one.cost - one.held))
    assert (row.estimated, row.streamed) == (one.estimated, False)
    assert row.ended_at_ns == one.at_ns + one.took_ns
    assert row.batch == ("batch_1" if one.is_durable else None)
    assert (row.ttft_ms, row.total_ms) == (None, 12.5)
    parts = metering(row)
    costs = sum(part.effective.cost for part in parts.meters)
    assert costs + parts.rounding.effective == as_usd(row.effective)

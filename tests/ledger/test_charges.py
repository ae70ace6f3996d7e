"""Charges, as they are read from the entries: on both databases."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.charges import charge_rows
from ledger.meters import metering
from ledger.money import as_usd
from ledger.sql import Sql
from tests.ledger.entries_of import (
    CARDS,
    Made,
    attempt_id,
    attempts,
    books_of,
    moments,
    open_holds,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(attempts | open_holds, max_size=8), st.none() | moments, st.none() | moments)
def test_charges_are_those_of_the_books(
    sql: Sql, made: list[Made], since_ns: int | None, until_ns: int | None
) -> None:
    """Each that was charged, from `since` on, and before `until`, with all that is written of it,
    in the order of time; and nothing of it is lost when it is taken apart."""
    expected = sorted(
        (
            (one.at_ns, attempt_id(number, one), number, one)
            for number, one in enumerate(made)
            if one.is_charged
            and (since_ns is None or since_ns <= one.at_ns)
            and (until_ns is None or one.at_ns < until_ns)
        ),
        key=lambda found: found[:2],
    )
    with books_of(sql, made):
        found = list(charge_rows(sql, since_ns, until_ns))
    assert [(row.at_ns, row.attempt_id) for row in found] == [one[:2] for one in expected]
    for row, (_, _, number, one) in zip(found, expected, strict=True):
        who = one.who
        assert (row.org, row.team, row.project, row.user, row.key_id) == who.names
        assert (row.model, row.provider, row.upstream_model, row.account) == who.where
        assert (row.tags, row.request_id) == (who.tags, f"req_{number}")
        assert (row.usage, row.rates) == (one.usage, CARDS[one.card])
        assert row.rate_card == CARDS[one.card].version
        assert {row.billed, row.effective, row.contracted, row.list} == {one.cost}
        assert (row.first_offer, row.cheapest) == (one.first_offer, one.cheapest)
        assert (row.held, row.overrun) == (one.held, max(0, one.cost - one.held))
        assert (row.estimated, row.streamed) == (one.estimated, False)
        assert row.ended_at_ns == one.at_ns + one.took_ns
        assert row.batch == ("batch_1" if one.is_durable else None)
        assert (row.ttft_ms, row.total_ms) == (None, 12.5)
        parts = metering(row)
        costs = sum(part.effective.cost for part in parts.meters)
        assert costs + parts.rounding.effective == as_usd(row.effective)

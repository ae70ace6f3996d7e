"""The log of requests: its pages, and all that the books have of one."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.databases.sql import Sql
from ledger.money import Money
from ledger.request_log import (
    FIRST,
    RequestLine,
    Wanted,
    attempt_entries,
    refused_demand,
    request_page,
    shadow_results,
)
from ledger.requests import RequestRecord
from ledger.statements import charged
from ledger.tables.requests import RequestTable
from tests.ledger.entries_of import Made, attempts, books_of, undone

with_sql = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])

records = st.builds(
    RequestRecord,
    id=st.uuids().map(str),
    at_ns=st.integers(1, 6),  # many at one moment
    key_id=st.sampled_from(["k1", "k2"]),
    team=st.sampled_from([None, "a", "b"]),
    user=st.sampled_from([None, "u"]),
    model=st.sampled_from(["m1", "m2"]),
    outcome=st.sampled_from(["answered", "budget_exceeded"]),
    status=st.sampled_from([200, 402]),
    attempts=st.integers(0, 2),
    would_have_cost=st.none() | st.integers(0, 10**9).map(Money),
    decision=st.none(),
    would_block=st.lists(st.sampled_from(["x", "y"]), unique=True, max_size=2).map(tuple),
)


@with_sql
@given(
    st.lists(records, max_size=12, unique_by=lambda one: one.id),
    st.integers(1, 5),
    st.builds(
        Wanted,
        since_ns=st.integers(0, 3),
        until_ns=st.integers(3, 8),
        key=st.none() | st.just("k1"),
        team=st.none() | st.sampled_from(["a", ""]),
        user=st.none() | st.sampled_from(["u", ""]),
        model=st.none() | st.just("m2"),
        outcome=st.none() | st.just("answered"),
        is_shadowed=st.booleans(),
    ),
)
def test_pages_bring_each_request_once_newest_first(
    sql: Sql, made: list[RequestRecord], limit: int, wanted: Wanted
) -> None:
    """However many stand on a page and however many are at one moment; and however few are looked
    at for a page, which then says so."""
    expected = sorted(
        (
            one
            for one in made
            if wanted.since_ns <= one.at_ns < wanted.until_ns
            and wanted.key in (None, one.key_id)
            and wanted.team in (None, one.team or "")
            and wanted.user in (None, one.user or "")
            and wanted.model in (None, one.model)
            and wanted.outcome in (None, one.outcome)
            and (one.would_block or not wanted.is_shadowed)
        ),
        key=lambda one: (one.at_ns, one.id),
        reverse=True,
    )
    with undone(sql):
        table = RequestTable(sql)
        for one in made:
            table.add(one)
        found: list[RequestLine] = []
        place, pages = FIRST, 0
        while True:
            page = request_page(sql, wanted, place, limit)
            found += page.lines
            pages += 1
            assert len(page.lines) <= limit
            assert not page.is_cut
            if page.next is None:
                break
            place = page.next
            assert pages <= len(made)
        for since_ns in (0, 3):
            refused = refused_demand(sql, since_ns)
            priced = [
                one for one in made if one.would_have_cost is not None and one.at_ns >= since_ns
            ]
            assert sum(one.requests for one in refused) == len(priced)
            assert sum(one.would_have_cost for one in refused) == sum(
                one.would_have_cost or 0 for one in priced
            )
            assert {one.budget: one.requests for one in shadow_results(sql, since_ns)} == {
                name: count
                for name in ("x", "y")
                if (count := sum(name in m.would_block for m in made if m.at_ns >= since_ns))
            }
    assert [one.id for one in found] == [one.id for one in expected]
    assert [one.would_block for one in found] == [one.would_block for one in expected]


def test_a_search_that_finds_little_goes_on_where_it_ended(sql: Sql) -> None:
    """A page looks at so many at most; what is behind them comes with the next, and nothing is
    left out."""
    with sql.transaction():
        for number in range(10):
            team = "a" if number in (0, 1, 9) else "b"
            RequestTable(sql).add(_record(f"r{number}", number, team))
    with sql.view():
        found, place, cuts = [], FIRST, 0
        while True:
            page = request_page(sql, Wanted(team="a"), place, 50, looked_at=3)
            found += [one.id for one in page.lines]
            cuts += page.is_cut
            if page.next is None:
                break
            place = page.next
    assert found == ["r9", "r1", "r0"]
    assert cuts == 3


def _record(request_id: str, at_ns: int, team: str) -> RequestRecord:
    return RequestRecord(
        request_id, at_ns, "k", team, None, "m", "answered", 200, 1, None, None, (), ()
    )


@with_sql
@given(st.lists(attempts, min_size=1, max_size=6))
def test_one_request_has_all_that_its_entries_have(sql: Sql, made: list[Made]) -> None:
    """Its six amounts, its tokens and prices, what was held; the accounts it counted in."""
    with books_of(sql, made):
        for charge in charged(sql):
            (one,) = (
                entry
                for entry in attempt_entries(sql, charge.request_id)
                if entry.attempt_id == charge.attempt_id
            )
            assert one.charge is not None
            assert one.charge.effective == charge.effective
            assert one.charge.list == charge.list
            assert one.charge.first_offer == charge.first_offer
            assert one.charge.cheapest == charge.cheapest
            assert (one.usage, one.rates) == (charge.usage, charge.rates)
            assert one.is_estimated == charge.estimated
            assert one.provider == charge.provider
            assert one.micro_units == charge.micro_units
        kinds = {one.kind for one in made}
        found = [entry for n in range(len(made) + 1) for entry in attempt_entries(sql, f"req_{n}")]
        assert {one.kind for one in found} == kinds
        for entry in found:
            assert len({one.budget for one in entry.counted_in}) <= len(entry.counted_in)
            assert (entry.charge is None) == (entry.kind != "posted")

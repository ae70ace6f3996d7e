"""Statements add up, by every dimension, to what was charged."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.budgets import EACH, Scope
from ledger.money import Money
from ledger.principals import Principal
from ledger.sqlite_store import SqliteStore
from ledger.statements import Dimension, SpendRow, charged, spend, standing
from ledger.usage import TokenUsage
from ledger.windows import Window
from tests.ledger.entries import (
    CENT_PER_IMAGE,
    NOW,
    NOW_NS,
    attempt,
    budget,
    charge,
    hold_of,
    settlement,
    settlement_by_units,
    take,
)

HOUR_NS = 3_600_000_000_000
maybe = st.sampled_from([None, "a", "b"])


@dataclass(frozen=True)
class Charged:
    """One charged attempt, as the model remembers it."""

    who: Principal
    model: str
    provider: str
    at_ns: int
    prompt: int
    nanos: int
    first_offer: int | None
    cheapest: int | None
    estimated: bool
    account: str | None


amounts = st.integers(0, 1000)
entries = st.builds(
    Charged,
    st.builds(
        Principal,
        st.sampled_from(["key_1", "key_2"]),
        org=maybe,
        team=maybe,
        project=maybe,
        user=maybe,
        tags=st.sampled_from([(), ("x",), ("x", "y")]),
    ),
    st.sampled_from(["llama", "qwen"]),
    st.sampled_from(["acme", "zeta"]),
    st.integers(-30, 30).map(lambda hours: NOW_NS + hours * HOUR_NS),
    amounts,
    amounts,
    st.none() | amounts,
    st.none() | amounts,
    st.booleans(),
    maybe,
)

NAMES: dict[Dimension, Callable[[Charged], list[str | None]]] = {
    Dimension.ORG: lambda one: [one.who.org],
    Dimension.TEAM: lambda one: [one.who.team],
    Dimension.PROJECT: lambda one: [one.who.project],
    Dimension.USER: lambda one: [one.who.user],
    Dimension.KEY: lambda one: [one.who.key_id],
    Dimension.MODEL: lambda one: [one.model],
    Dimension.PROVIDER: lambda one: [one.provider],
    Dimension.ACCOUNT: lambda one: [one.account and f"{one.provider}/{one.account}"],
    Dimension.TAG: lambda one: list(one.who.tags) or [None],
    Dimension.DAY: lambda one: [datetime.fromtimestamp(one.at_ns // 10**9, UTC).date().isoformat()],
}


def naive_row(name: str | None, found: list[Charged]) -> SpendRow:
    return SpendRow(
        name,
        requests=len(found),
        prompt_tokens=sum(one.prompt for one in found),
        completion_tokens=sum(one.nanos for one in found),
        cost=Money(sum(one.nanos for one in found)),
        first_offer=Money(
            sum(one.nanos if one.first_offer is None else one.first_offer for one in found)
        ),
        cheapest=Money(sum(one.nanos if one.cheapest is None else one.cheapest for one in found)),
        estimated=sum(one.estimated for one in found),
    )


def book(store: SqliteStore, found: list[Charged]) -> None:
    with store.transaction():
        for number, one in enumerate(found):
            hold = hold_of(
                attempt(
                    f"a{number:03}",
                    1000,
                    one.who,
                    at_ns=one.at_ns,
                    model=one.model,
                    provider=one.provider,
                    account=one.account,
                )
            )
            store.hold(hold)
            end = settlement(
                one.nanos,
                prompt=one.prompt,
                first_offer=one.first_offer,
                cheapest=one.cheapest,
                estimated=one.estimated,
            )
            store.post(hold, end)


def test_every_dimension_has_a_judge() -> None:
    """The naive sums below cover all dimensions that can be asked for."""
    assert set(NAMES) == set(Dimension)


@settings(max_examples=25)
@given(st.lists(entries, max_size=12), st.none() | st.integers(-30, 30), st.integers(-30, 30))
def test_spend_by_every_dimension(found: list[Charged], first: int | None, last: int) -> None:
    """Rows and total are the naive sums over charges from `since` on, and before `until`."""
    since_ns = None if first is None else NOW_NS + first * HOUR_NS
    until_ns = NOW_NS + last * HOUR_NS
    within = [
        one for one in found if (since_ns is None or since_ns <= one.at_ns) and one.at_ns < until_ns
    ]
    with closing(SqliteStore.open(Path(":memory:"))) as store:
        book(store, found)
        for by, names_of in NAMES.items():
            statement = spend(store, by, since_ns, until_ns)
            names = {name for one in within for name in names_of(one)}
            expected = {
                name: naive_row(name, [one for one in within if name in names_of(one)])
                for name in names
            }
            assert {row.name: row for row in statement.rows} == expected
            assert len(statement.rows) == len(expected)
            costs = [row.cost for row in statement.rows]
            assert costs == sorted(costs, reverse=True)
            assert statement.total == naive_row(None, within)


@settings(max_examples=25)
@given(st.lists(entries, max_size=12))
def test_every_charge_is_listed(found: list[Charged]) -> None:
    """`charged` lists each charge once, oldest first, with the amounts it was booked with."""
    with closing(SqliteStore.open(Path(":memory:"))) as store:
        book(store, found)
        listed = list(charged(store))
        assert [one.at_ns for one in listed] == sorted(one.at_ns for one in found)
        by_id = {one.attempt_id: one for one in listed}
        assert len(by_id) == len(found)
        for number, one in enumerate(found):
            row = by_id[f"a{number:03}"]
            assert (row.effective, row.first_offer, row.cheapest, row.estimated) == (
                one.nanos,
                one.first_offer,
                one.cheapest,
                one.estimated,
            )
            assert (row.usage.prompt, row.usage.completion) == (one.prompt, one.nanos)
            assert (row.provider, row.account) == (one.provider, one.account)
            assert row.rates.charge(row.usage) == row.effective
            assert list(charged(store, row.request_id)) == [row]


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore.open(tmp_path / "books.db")


def test_what_is_not_charged_is_not_spent(store: SqliteStore) -> None:
    """Holds, voided ones and open ones, are no spend."""
    take(store, hold_of(attempt("open", 10)))
    take(store, hold_of(attempt("voided", 10)))
    with store.transaction():
        store.void("voided", NOW_NS, "not connected")
    statement = spend(store, Dimension.TEAM)
    assert statement.rows == ()
    assert statement.total.cost == 0


def test_how_budgets_stand(store: SqliteStore) -> None:
    """Each member that has an account in the window of now, and each budget at least once."""
    each = budget("each", 100, Scope(user=EACH), Window.DAY)
    whole = budget("whole", 500)
    bob = Principal("key_2", user="bob")
    ada_s, bob_s = hold_of(attempt("a", 60), each, whole), hold_of(attempt("b", 30, bob), each)
    take(store, ada_s)
    take(store, bob_s)
    charge(store, ada_s, 45)

    def found(now: datetime) -> list[tuple[str, str, int, int, int]]:
        return [
            (one.account.budget, one.account.scope, one.posted, one.pending, one.left)
            for one in standing(store, (each, whole), now)
        ]

    assert found(NOW) == [
        ("each", "user=ada", 45, 0, 55),
        ("each", "user=bob", 0, 30, 70),
        ("whole", "everything", 45, 0, 455),
    ]
    assert found(NOW + timedelta(days=1)) == [
        ("each", "user=*", 0, 0, 100),
        ("whole", "everything", 45, 0, 455),
    ]


def test_an_estimate_of_a_lost_hold_is_its_whole_amount(store: SqliteStore) -> None:
    """A hold lost with its worker is spend, flagged, with unknown tokens: None, not zero."""
    take(store, hold_of(replace(attempt("lost", 70), at_ns=NOW_NS)))
    with store.transaction():
        store.recover(NOW_NS)
    (row,) = charged(store)
    assert (row.effective, row.estimated, row.usage.prompt) == (70, True, None)
    assert spend(store, Dimension.TEAM).total.estimated == 1


def test_work_that_has_no_tokens_is_listed_with_its_units(store: SqliteStore) -> None:
    """Units, and the price of one, are read as they were booked; unknown tokens count as none."""
    hold = hold_of(attempt("images", 10**8, rates=CENT_PER_IMAGE))
    take(store, hold)
    with store.transaction():
        store.post(hold, settlement_by_units(4, CENT_PER_IMAGE))
    (row,) = charged(store)
    assert (row.usage, row.rates) == (TokenUsage(None, None, units=4), CENT_PER_IMAGE)
    assert row.effective == row.rates.charge(row.usage) == 40_000_000
    total = spend(store, Dimension.MODEL).total
    assert (total.prompt_tokens, total.completion_tokens, total.cost) == (0, 0, 40_000_000)

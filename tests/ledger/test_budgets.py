"""Budgets: which accounts a request draws on, and what they may hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.budgets import (
    DIMENSIONS,
    EACH,
    Budget,
    Raise,
    Scope,
    Subject,
    Threshold,
    accounts_of,
)
from ledger.money import MAX_NANOS
from ledger.principals import Principal
from ledger.windows import Window
from tests.ledger.entries import NOW, NOW_NS, SOMEBODY, budget

names = st.sampled_from(["ada", "bob", "eve"])
maybe = st.none() | names
scopes = st.builds(Scope, **{one: st.none() | names | st.just(EACH) for one in DIMENSIONS})
subjects = st.builds(
    Subject,
    st.builds(
        Principal,
        key_id=names,
        org=maybe,
        team=maybe,
        project=maybe,
        user=maybe,
        tags=st.lists(names, max_size=4).map(tuple),
    ),
    model=names,
    provider=names,
)


def named(subject: Subject) -> dict[str, list[str]]:
    """What a subject is called in every dimension."""
    who = subject.principal
    single = {
        "org": who.org,
        "team": who.team,
        "project": who.project,
        "user": who.user,
        "key": who.key_id,
        "model": subject.model,
        "provider": subject.provider,
    }
    return {
        **{one: [] if value is None else [value] for one, value in single.items()},
        "tag": sorted(set(who.tags)),
    }


def naive_members(scope: Scope, subject: Subject) -> set[frozenset[str]]:
    """Each account as the set of its `dimension=member` parts; none where the scope is not met."""
    have = named(subject)
    wanted = {one: getattr(scope, one) for one in DIMENSIONS}
    for dimension, value in wanted.items():
        if value not in (None, EACH) and value not in have[dimension]:
            return set()
    each = [one for one, value in wanted.items() if value == EACH]
    choices = [[f"{one}={value}" for value in have[one] or [""]] for one in each]
    return {frozenset(choice) for choice in product(*choices)}


@given(scopes, subjects)
def test_members_against_a_naive_model(scope: Scope, subject: Subject) -> None:
    """Every combination of starred members once, if all the named ones match; none otherwise."""
    members = scope.members(subject)
    assert len(set(members)) == len(members)
    assert {frozenset(one.split(",")) - {""} for one in members} == naive_members(scope, subject)


def test_a_name_left_out_is_no_way_around_a_budget() -> None:
    """Who names no team draws on an account of its own, and not on no account at all."""
    subject = Subject(Principal("key_1"), "llama", "acme")
    assert Scope(team=EACH).members(subject) == ("team=",)
    assert Scope(team="research").members(subject) == ()
    assert Scope().members(subject) == ("",)


def test_a_doubled_tag_counts_once() -> None:
    """A key made with the same tag twice draws on that tag's account once."""
    subject = Subject(replace(SOMEBODY, tags=("batch", "batch", "eval")), "llama", "acme")
    assert Scope(tag=EACH).members(subject) == ("tag=batch", "tag=eval")
    assert Scope(tag="eval").members(subject) == ("",)


def test_nobody_lands_on_another_account() -> None:
    """However names are chosen, two different members never share an account."""
    scope = Scope(team=EACH, user=EACH)
    forged = Principal("key_1", team="a,user=b", user="c")
    honest = Principal("key_2", team="a", user="b,user=c")
    members = [scope.members(Subject(one, "llama", "acme")) for one in (forged, honest)]
    assert members == [("team=a\\,user=b,user=c",), ("team=a,user=b\\,user=c",)]


def test_scopes_say_what_they_are() -> None:
    """The text of a scope names its dimensions, broadest first."""
    assert str(Scope()) == "everything"
    assert str(Scope(user=EACH, team="research")) == "team=research,user=*"


def test_accounts_come_in_the_order_of_the_budgets() -> None:
    """All budgets that match give an account each, in order, with cap, scope and reset."""
    subject = Subject(SOMEBODY, "llama", "acme")
    budgets = (
        budget("all", 100, window=Window.MONTH),
        budget("other", 50, Scope(team="sales")),
        budget("each", 20, Scope(user=EACH)),
    )
    accounts = accounts_of(budgets, subject, NOW)
    assert [(one.budget, one.member, one.scope, one.cap) for one in accounts] == [
        ("all", "", "everything", 100),
        ("each", "user=ada", "user=ada", 20),
    ]
    assert [str(one.resets_at) for one in accounts] == ["2026-04-01 00:00:00+00:00", "None"]


def test_a_new_window_is_a_new_account() -> None:
    """The same member has another account after the reset, and the same one before it."""
    days = budget("day", 10, window=Window.DAY, timezone="Asia/Kathmandu")
    subject = Subject(SOMEBODY, "llama", "acme")
    (today,) = days.accounts(subject, NOW)
    assert today.resets_at is not None
    (last,) = days.accounts(subject, today.resets_at - timedelta(microseconds=1))
    (tomorrow,) = days.accounts(subject, today.resets_at)
    assert last == today
    assert tomorrow.window_start_ns == int(today.resets_at.timestamp()) * 1_000_000_000


def test_an_increase_raises_the_cap_and_its_parts() -> None:
    """While it lasts, the cap is so much higher, and a block at a part of it is too; before it,
    after it and for others nothing changes."""
    raised = Raise("r", "each", "user=ada", 50, NOW_NS, NOW_NS + 1, "release week")
    subject = Subject(SOMEBODY, "llama", "acme")
    plain = budget("each", 100, Scope(user=EACH))
    blocks = replace(plain, thresholds=(Threshold(Decimal("0.8"), blocks=True),))
    later = NOW + timedelta(microseconds=1)

    def cap(one: Budget, subject: Subject, now: datetime = NOW) -> int | None:
        (account,) = one.accounts(subject, now, [raised])
        return account.cap

    assert cap(plain, subject) == 150
    assert cap(blocks, subject) == 120
    assert cap(plain, subject, later) == 100
    assert cap(plain, subject, NOW - timedelta(microseconds=1)) == 100
    assert cap(plain, replace(subject, principal=replace(SOMEBODY, user="bob"))) == 100
    assert cap(replace(plain, name="other"), subject) == 100


def test_no_cap_is_more_than_the_books_hold() -> None:
    """However far a cap is raised, or a block lies beyond it, the account's fits into an int64."""
    raised = Raise("r", "b", None, MAX_NANOS, 0, MAX_NANOS, "release week")
    most = budget("b", MAX_NANOS)
    beyond = replace(most, thresholds=(Threshold(Decimal(10), blocks=True),))
    for one in (most, beyond):
        assert one.account("", NOW, [raised]).cap == MAX_NANOS


@pytest.mark.parametrize(
    ("thresholds", "most"),
    [
        ((), 1000),
        ((Threshold(Decimal("0.5"), cheapest=True),), 1000),
        ((Threshold(Decimal("0.8505"), blocks=True),), 850),
        ((Threshold(Decimal("1.2"), blocks=True),), 1200),
        ((Threshold(Decimal(1), allows=True),), None),
        ((Threshold(Decimal(1), allows=True), Threshold(Decimal("1.2"), blocks=True)), 1200),
        ((Threshold(Decimal("0.9"), blocks=True), Threshold(Decimal(2), blocks=True)), 900),
    ],
)
def test_what_a_budget_lets_through(thresholds: tuple[Threshold, ...], most: int | None) -> None:
    """All of its cap, unless a threshold blocks elsewhere or allows; the first block counts."""
    assert replace(budget("b", 1000), thresholds=thresholds).most == most

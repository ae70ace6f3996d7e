"""Breakdowns, and days: against sums made by hand of the entries themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.breakdown import Only, breakdown, day_costs, only_of
from ledger.budgets import Scope, Subject
from ledger.databases.sql import Sql
from ledger.instants import instant
from ledger.money import MAX_NANOS
from ledger.principals import Principal
from ledger.statements import Dimension, spend
from ledger.tables.rollups import DAY_NS
from tests.ledger.entries_of import Made, attempts, books_of

with_sql = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


def names_of(one: Made, by: Dimension) -> list[str | None]:
    """What an attempt counts for in a dimension: each of its tags, one name elsewhere."""
    who = one.who
    if by is Dimension.TAG:
        return list(who.tags) or [None]
    account = None if who.account is None else f"{who.provider}/{who.account}"
    return [
        {
            Dimension.ORG: who.org,
            Dimension.TEAM: who.team,
            Dimension.PROJECT: who.project,
            Dimension.USER: who.user,
            Dimension.KEY: who.key,
            Dimension.MODEL: who.model,
            Dimension.PROVIDER: who.provider,
            Dimension.ACCOUNT: account,
            Dimension.DAY: instant(one.at_ns).date().isoformat(),
        }[by]
    ]


def counted(made: Sequence[Made], only: Only, since_ns: int, until_ns: int) -> list[Made]:
    return [
        one
        for one in made
        if one.is_charged
        and since_ns <= one.at_ns < until_ns
        and all(name in names_of(one, by) for by, name in only)
    ]


dimensions = st.sampled_from(list(Dimension))


@with_sql
@given(st.lists(attempts, max_size=10), dimensions, st.data())
def test_lines_are_the_sums_of_the_attempts(
    sql: Sql, made: list[Made], by: Dimension, data: st.DataObject
) -> None:
    """By any dimension, of what has any names at once, over any span: to the nano-USD, in SQLite
    and in PostgreSQL. With no names asked for, it is the statement of `hedgerow spend`."""
    filtered = data.draw(
        st.lists(dimensions.filter(lambda one: one is not Dimension.DAY), max_size=2, unique=True)
    )
    only: Only = tuple(
        (
            dimension,
            data.draw(
                st.sampled_from(
                    [name for one in made for name in names_of(one, dimension)] or [None]
                )
            ),
        )
        for dimension in filtered
    )
    moments = [one.at_ns for one in made] or [DAY_NS]
    edge = st.sampled_from([0, *moments, *(at // DAY_NS * DAY_NS for at in moments), MAX_NANOS])
    since_ns, until_ns = sorted((data.draw(edge), data.draw(edge)))
    with books_of(sql, made):
        found = breakdown(sql, by, only, since_ns, until_ns)
        days = day_costs(sql, only, since_ns, until_ns)
        plain = spend(sql, by, since_ns, until_ns)
    wanted = counted(made, only, since_ns, until_ns)
    sums: dict[str | None, list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in wanted:
        for name in names_of(one, by):
            for place, amount in enumerate((1, one.cost, one.contracted)):
                sums[name][place] += amount
    assert {
        line.name: [line.figures.requests, line.figures.effective, line.figures.list]
        for line in found.lines
    } == sums
    assert found.total.requests == len(wanted)
    assert found.total.effective == sum(one.cost for one in wanted)
    assert found.total.saved == found.total.first_offer - found.total.effective
    by_day: dict[int, int] = defaultdict(int)
    for one in wanted:
        by_day[one.at_ns // DAY_NS * DAY_NS] += one.cost
    assert {one.day_ns: one.effective for one in days} == by_day
    if not only:
        assert {row.name: row.cost for row in plain.rows} == {
            line.name: line.figures.effective for line in found.lines
        }


names = st.sampled_from([None, "a", "b,c", "d\\", "e=f"])


@given(names, names, names)
def test_an_account_counts_what_has_its_member(
    team: str | None, user: str | None, model: str | None
) -> None:
    """Whatever commas its names have: what is looked for is what the budget counted."""
    scope = Scope(team="*", user="*", model=model)
    subject = Subject(Principal("key", team=team, user=user), model or "m", "p")
    (member,) = scope.members(subject)
    wanted: Only = ((Dimension.TEAM, team), (Dimension.USER, user))
    if model is not None:
        wanted = (*wanted, (Dimension.MODEL, model))
    assert only_of(scope, member) == wanted


@pytest.mark.parametrize("by", list(Dimension))
def test_empty_books_have_no_lines(sql: Sql, by: Dimension) -> None:
    with sql.view():
        found = breakdown(sql, by, (), 0, MAX_NANOS)
        assert day_costs(sql, (), 0) == []
    assert found.lines == ()
    assert found.total.requests == 0

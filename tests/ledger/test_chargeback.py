"""Chargeback: whatever was used, refused and agreed on, what all bear is what the month cost."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.chargeback import Chargeback, MonthSpan, Rule, TeamCharge, chargeback, cost_of_month
from ledger.charges import charge_rows
from ledger.closing import close_month
from ledger.databases.sql import Sql
from ledger.errors import MonthNotClosable
from ledger.exports.commitments import commitment_rows
from ledger.exports.focus import focus_rows
from ledger.fixed_fees import Bill
from ledger.instants import day_ns, instant
from ledger.money import Money, as_usd
from ledger.requests import RequestRecord
from ledger.retention import Limits, retire
from ledger.shares import shares
from ledger.statements import Dimension, spend
from ledger.tables.requests import RequestTable
from ledger.usage import TokenUsage
from tests.ledger.entries_of import DAY_0_NS, DAY_NS, Made, Who, attempts, books_of, write

with_sql = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
MONTH = date(2026, 2, 1)
AFTER_NS = day_ns(date(2026, 5, 1))
SPAN = MonthSpan.of(MONTH)
TEAMS = (None, "a", "b")


@given(st.integers(-(10**15), 10**15), st.lists(st.integers(0, 10**12), min_size=1, max_size=8))
def test_shares(amount: int, weights: list[int]) -> None:
    """They sum to the amount, each is within a nano-USD of its exact part, and those that got one
    more had the larger remainders."""
    if not sum(weights):
        return
    parts = shares(Money(amount), weights)
    assert sum(parts) == amount
    exact = [Fraction(amount * weight, sum(weights)) for weight in weights]
    over = [part - each for part, each in zip(parts, exact, strict=True)]
    assert all(abs(one) < 1 for one in over)
    lower = [(each % 1, part) for each, part in zip(exact, parts, strict=True) if part <= each]
    upper = [each % 1 for each, part in zip(exact, parts, strict=True) if part > each]
    assert all(low <= min(upper, default=Fraction(1)) for low, _ in lower)


fees = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.builds(Bill, st.integers(0, 9999).map(Money), st.integers(0, 99).map(Money)),
    max_size=2,
)
rules = st.sampled_from(Rule)


@given(st.lists(attempts, max_size=12), rules, fees)
@with_sql
def test_all_bear_what_the_month_cost(
    sql: Sql, made: list[Made], rule: Rule, fixed: dict[str, Bill]
) -> None:
    """By any rule, with any fixed fees: what teams and the platform bear is what FOCUS tells of the
    month, and what requests cost, with what commitments cost of their fees and teams were not
    charged."""
    with books_of(sql, made):
        found = chargeback(sql, SPAN, rule, fixed, AFTER_NS)
        usual = focus_rows(charge_rows(sql, SPAN.since_ns, SPAN.until_ns))
        owned = commitment_rows(sql, SPAN.since_ns, SPAN.until_ns)
        rows = [*usual, *owned]
        cost = cost_of_month(sql, SPAN, AFTER_NS)
    assert as_usd(found.total) == sum(row.effective_cost for row in rows)
    assert (cost or 0) == found.total
    first_ns, last_ns = SPAN.since_ns, SPAN.until_ns
    of_month = [one for one in made if one.is_charged and first_ns <= one.at_ns < last_ns]
    assert found.metered == sum(one.cost for one in of_month)
    assert found.requests == len(of_month)
    drawn = sum(one.charged or 0 for one in found.commitments)
    assert found.total == found.metered + found.cost - drawn
    for one in found.commitments:
        assert one.unused is not None
        assert one.variance is not None
        assert one.charged is not None
        assert one.cost == one.charged + one.unused + one.variance
    for team in found.teams:
        bill = fixed.get(team.team or "")
        if bill is not None:
            assert team.total == bill.billed


@given(st.lists(attempts, max_size=12), rules)
@with_sql
def test_beside_a_naive_judge(sql: Sql, made: list[Made], rule: Rule) -> None:
    """What each team bears, within a nano-USD for each commitment, from the attempts themselves."""
    with books_of(sql, made):
        found = chargeback(sql, SPAN, rule, {}, AFTER_NS)
    of_month = [one for one in made if one.is_charged and SPAN.first_ns <= one.at_ns < SPAN.end_ns]
    spent: defaultdict[str | None, Fraction] = defaultdict(Fraction)
    for one in of_month:
        spent[one.who.team] += one.cost
    bears = dict(spent)
    for own in found.commitments:
        weights: defaultdict[str | None, int] = defaultdict(int)
        draws = [one for one in of_month if one.drawn_on == own.commitment == "c1"]
        cost, taken = own.cost, sum(one.micro_units for one in draws)
        assert own.drawn_micro == taken
        left = cost - sum(one.cost for one in draws)
        for one in draws if rule is Rule.DRAW else of_month if rule is Rule.SPEND else []:
            weights[one.who.team] += one.micro_units if rule is Rule.DRAW else one.cost
        for team, weight in weights.items():
            if sum(weights.values()):
                bears[team] += Fraction(left * weight, sum(weights.values()))
    assert {one.team for one in found.teams} == set(bears)
    for team_charge in found.teams:
        assert abs(team_charge.total - bears[team_charge.team]) <= 2 * len(found.commitments)


C1 = 4  # draws on a commitment of 3 million units a month that costs a dollar for 30 days


def test_a_month_by_hand(sql: Sql) -> None:
    """Two teams draw on a commitment, one of them three times as much; a third pays as it goes."""
    at_ns = DAY_0_NS + DAY_NS
    small, large = TokenUsage(100, 0), TokenUsage(301, 0)
    made = [
        Made(at_ns, who=Who(team="a"), drawn=C1, usage=small),
        Made(at_ns, who=Who(team="b"), drawn=C1, usage=large, estimated=True),
        Made(at_ns, who=Who(team="c"), usage=TokenUsage(50, 10)),
        Made(at_ns, who=Who(), usage=TokenUsage(7, 0)),
    ]
    write(sql, made)
    with sql.transaction():
        RequestTable(sql).add(
            RequestRecord(
                "req_x",
                at_ns,
                "key_1",
                "a",
                None,
                "llama",
                "budget_exceeded",
                402,
                0,
                Money(55),
                None,
            )
        )
    with sql.view():
        found = chargeback(sql, SPAN, Rule.DRAW, {"c": Bill(Money(1000), Money(5))}, AFTER_NS)
    (own,) = found.commitments
    days, units = 13, 3 * 10**6 * 10**6 * 13 // 28
    assert own.there_micro == units
    assert own.cost == 10**9 * days // 30
    a, b, c, nobody = _by(found)
    assert (a.drawn, b.drawn) == (704, 2111)  # 100.5 and 301.5 units at 7.000001
    assert own.charged == 2815
    assert own.unused is not None
    assert own.unused == own.cost - own.cost * (402 * 10**6) // units
    assert b.unused is not None
    assert a.unused is not None
    assert a.unused + b.unused == own.unused
    assert abs(b.unused - 3 * a.unused) <= 3
    assert (c.as_it_went, c.fixed, c.total) == (70, 1005 - 70, 1005)
    assert (nobody.as_it_went, nobody.total) == (7, 7)
    assert found.platform.fixed == 70 - 1005
    assert (a.refused, a.refused_cost, a.estimated, b.estimated) == (1, 55, 0, 2111)
    assert found.total == own.cost + 77


def _by(found: Chargeback) -> tuple[TeamCharge, ...]:
    by = {one.team: one for one in found.teams}
    return by["a"], by["b"], by["c"], by[None]


def test_nobody_drew(sql: Sql) -> None:
    """What nobody drew on stays with the platform; by what they spent, all share it; by no rule
    nobody does."""
    made = [
        Made(DAY_0_NS - DAY_NS, who=Who(team="a"), usage=TokenUsage(30, 0)),
        Made(DAY_0_NS + 20 * DAY_NS, who=Who(team="b"), drawn=C1),
    ]
    write(sql, made)
    of = {}
    for rule in Rule:
        with sql.view():
            of[rule] = chargeback(sql, SPAN, rule, {}, AFTER_NS)
    cost = of[Rule.DRAW].cost
    assert cost == 10**9 * 13 // 30
    assert [one.total for one in of[Rule.DRAW].teams] == [30]
    assert of[Rule.DRAW].platform.unused == cost
    assert [one.total for one in of[Rule.SPEND].teams] == [30 + cost]
    assert of[Rule.NONE].platform.total == cost
    assert len({one.total for one in of.values()}) == 1


def test_a_month_that_runs(sql: Sql) -> None:
    """What a commitment leaves is not known before its month is over, and says so."""
    write(sql, [Made(DAY_0_NS, who=Who(team="a"), drawn=C1)])
    with sql.view():
        found = chargeback(sql, SPAN, Rule.DRAW, {}, DAY_0_NS + DAY_NS)
    assert not found.is_over
    assert found.why_not is not None
    assert "still runs" in found.why_not
    (team,) = found.teams
    assert (team.unused, team.variance, found.platform.unused) == (None, None, None)
    assert found.total == found.metered == team.drawn


def test_an_empty_month(sql: Sql) -> None:
    """Nothing was used, nothing is borne, and nothing is missing."""
    with sql.view():
        found = chargeback(sql, SPAN, Rule.DRAW, {}, AFTER_NS)
    assert (found.teams, found.commitments, found.total, found.why_not) == ((), (), 0, None)


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/Los_Angeles"])
def test_a_month_of_a_zone(sql: Sql, zone: str) -> None:
    """Requests count by the month of the zone, commitments by that of UTC; it still sums."""
    span = MonthSpan.of(date(2026, 3, 1), ZoneInfo(zone))
    edge_ns = span.since_ns
    made = [
        Made(edge_ns - 1, who=Who(team="a"), drawn=C1),
        Made(edge_ns, who=Who(team="a"), drawn=C1),
        Made(day_ns(date(2026, 3, 1)) - 1, who=Who(team="b")),
        Made(day_ns(date(2026, 3, 1)), who=Who(team="b")),
    ]
    write(sql, made)
    with sql.view():
        found = chargeback(sql, span, Rule.DRAW, {}, AFTER_NS)
        spent = spend(sql, Dimension.TEAM, span.since_ns, span.until_ns).total.cost
    (own,) = found.commitments
    assert found.metered == spent
    assert own.charged is not None
    assert found.total == spent + own.cost - own.charged
    assert instant(span.since_ns).astimezone(ZoneInfo(zone)).day == 1


def test_charges_that_were_deleted(sql: Sql) -> None:
    """What requests cost is known for ever, what drew on commitments is not: what those cost beyond
    cannot be shared any more, and the month cannot be closed."""
    made = [
        Made(DAY_0_NS + DAY_NS, who=Who(team="a"), drawn=C1),
        Made(DAY_0_NS + DAY_NS, who=Who(team="b")),
    ]
    write(sql, made)
    retire(sql, Limits(entries_ns=day_ns(date(2026, 4, 1))))
    with sql.view():
        found = chargeback(sql, SPAN, Rule.DRAW, {}, AFTER_NS)
        cost = cost_of_month(sql, SPAN, AFTER_NS)
    assert found.metered == sum(one.cost for one in made)
    assert found.why_not is not None
    assert "retention" in found.why_not
    assert cost is None
    (own,) = found.commitments
    assert own.cost > 0
    assert (own.charged, own.unused, own.variance) == (None, None, None)
    assert {one.unused for one in found.teams} == {None}
    with pytest.raises(MonthNotClosable, match="retention"), sql.transaction():
        close_month(sql, found, lambda _: {}, who="ada", now_ns=AFTER_NS)

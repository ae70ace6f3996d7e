"""Statements add up, by every dimension, to what was charged: on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.budgets import EACH, Budget, Scope
from ledger.databases.sql import Sql
from ledger.measures import Measure
from ledger.money import Money
from ledger.statements import (
    Dimension,
    Head,
    SpendRow,
    charged,
    heads,
    spend,
    spend_per,
    standing,
    tried,
)
from ledger.tables.ddl import ENTRY
from ledger.usage import TokenUsage
from ledger.windows import Rolling, Window
from tests.ledger.entries_of import (
    CARDS,
    DAY_0_NS,
    DAY_NS,
    HOUR_NS,
    SECOND_NS,
    Made,
    Who,
    attempt_id,
    attempts,
    books_of,
    moments,
    open_holds,
    write,
)

NOW = datetime.fromtimestamp(DAY_0_NS // SECOND_NS, UTC) + timedelta(hours=15)
NAMES: dict[Dimension, Callable[[Made], list[str | None]]] = {
    Dimension.ORG: lambda one: [one.who.org],
    Dimension.TEAM: lambda one: [one.who.team],
    Dimension.PROJECT: lambda one: [one.who.project],
    Dimension.USER: lambda one: [one.who.user],
    Dimension.KEY: lambda one: [one.who.key],
    Dimension.MODEL: lambda one: [one.who.model],
    Dimension.PROVIDER: lambda one: [one.who.provider],
    Dimension.ACCOUNT: lambda one: [one.who.account and f"{one.who.provider}/{one.who.account}"],
    Dimension.TAG: lambda one: list(one.who.tags) or [None],
}
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe")

on_both = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


def naive_row(name: str | None, found: list[Made]) -> SpendRow:
    sums = [sum(column) for column in zip(*(one.sums for one in found), strict=True)] or [0] * 14
    return SpendRow(
        name,
        requests=sums[0],
        prompt_tokens=sums[1],
        completion_tokens=sums[2],
        cost=Money(sums[7]),
        first_offer=Money(sums[10]),
        cheapest=Money(sums[11]),
        estimated=sums[13],
    )


def naive_rows(found: list[Made], names_of: Callable[[Made], list[str | None]]) -> list[SpendRow]:
    names = {name for one in found for name in names_of(one)}
    rows = [naive_row(name, [one for one in found if name in names_of(one)]) for name in names]
    return sorted(rows, key=lambda row: (-row.cost, row.name is not None, row.name or ""))


def test_every_dimension_has_a_judge() -> None:
    """The naive sums below cover all dimensions that can be asked for."""
    assert {*NAMES, Dimension.DAY} == set(Dimension)


@on_both
@given(st.lists(attempts | open_holds, max_size=12), st.none() | moments, st.none() | moments)
def test_spend_by_every_dimension(
    sql: Sql, made: list[Made], since_ns: int | None, until_ns: int | None
) -> None:
    """Rows, dearest first, and total are the naive sums over charges from `since` on, and before
    `until`, at whatever moment of a quarter of an hour those lie."""
    within = [
        one
        for one in made
        if one.is_charged
        and (since_ns is None or since_ns <= one.at_ns)
        and (until_ns is None or one.at_ns < until_ns)
    ]
    with books_of(sql, made):
        for by, names_of in NAMES.items():
            found = spend(sql, by, since_ns, until_ns)
            assert list(found.rows) == naive_rows(within, names_of)
            assert found.total == naive_row(None, within)
            assert (found.since_ns, found.until_ns) == (since_ns, until_ns)


@on_both
@given(
    st.lists(attempts, max_size=12),
    st.none() | moments,
    st.none() | moments,
    st.sampled_from(ZONES).map(ZoneInfo),
)
def test_spend_by_day_in_a_zone(
    sql: Sql, made: list[Made], since_ns: int | None, until_ns: int | None, zone: ZoneInfo
) -> None:
    """A day begins at midnight in the zone, wherever in an hour of UTC that is."""

    def day(one: Made) -> list[str | None]:
        at = datetime.fromtimestamp(one.at_ns // SECOND_NS, UTC)
        return [at.astimezone(zone).date().isoformat()]

    within = [
        one
        for one in made
        if one.is_charged
        and (since_ns is None or since_ns <= one.at_ns)
        and (until_ns is None or one.at_ns < until_ns)
    ]
    with books_of(sql, made):
        found = spend(sql, Dimension.DAY, since_ns, until_ns, zone)
        assert list(found.rows) == naive_rows(within, day)
        assert found.total == naive_row(None, within)


@on_both
@given(
    st.lists(attempts, max_size=12),
    st.none() | moments,
    st.none() | moments,
    st.sampled_from(ZONES).map(ZoneInfo),
    st.sampled_from((Window.DAY, Window.WEEK, Window.MONTH)),
    st.sampled_from((Dimension.TEAM, Dimension.TAG)),
)
def test_spend_per_window(
    sql: Sql,
    made: list[Made],
    since_ns: int | None,
    until_ns: int | None,
    zone: ZoneInfo,
    per: Window,
    by: Dimension,
) -> None:
    """Each day, week or month in the zone is a statement of its own, oldest first; those without a
    charge are left out."""

    def name(one: Made) -> str:
        day = datetime.fromtimestamp(one.at_ns // SECOND_NS, UTC).astimezone(zone).date()
        if per is Window.WEEK:
            day -= timedelta(days=day.weekday())
        return day.isoformat()[:7] if per is Window.MONTH else day.isoformat()

    within = [
        one
        for one in made
        if one.is_charged
        and (since_ns is None or since_ns <= one.at_ns)
        and (until_ns is None or one.at_ns < until_ns)
    ]
    with books_of(sql, made):
        periods, whole = spend_per(sql, by, per, since_ns, until_ns, zone)
        assert whole == spend(sql, by, since_ns, until_ns, zone)
        assert [(one.name, list(one.rows)) for one in periods] == [
            (period, naive_rows([one for one in within if name(one) == period], NAMES[by]))
            for period in sorted({name(one) for one in within})
        ]


def test_a_day_when_the_clocks_change(sql: Sql) -> None:
    """The day on which summer begins in Berlin has 23 hours, and is one row."""
    midnight = datetime(2026, 3, 29, tzinfo=ZoneInfo("Europe/Berlin"))
    first_ns = int(midnight.timestamp()) * SECOND_NS
    made = [Made(first_ns - 1), Made(first_ns), Made(first_ns + 23 * HOUR_NS - 1)]
    made.append(Made(first_ns + 23 * HOUR_NS))
    write(sql, made)
    found = spend(sql, Dimension.DAY, zone=ZoneInfo("Europe/Berlin"))
    assert {row.name: row.requests for row in found.rows} == {
        "2026-03-28": 1,
        "2026-03-29": 2,
        "2026-03-30": 1,
    }


@on_both
@given(st.lists(attempts | open_holds, max_size=12))
def test_every_charge_is_listed(sql: Sql, made: list[Made]) -> None:
    """`charged` lists each charge once, oldest first, with the amounts it was booked with."""
    with books_of(sql, made):
        listed = list(charged(sql))
        booked = {attempt_id(n, one): one for n, one in enumerate(made) if one.is_charged}
        assert [one.attempt_id for one in listed] == sorted(
            booked, key=lambda each: (booked[each].at_ns, each)
        )
        for row in listed:
            one = booked[row.attempt_id]
            assert (row.at_ns, row.effective, row.list) == (one.at_ns, one.cost, one.contracted)
            assert (row.first_offer, row.cheapest) == (one.first_offer, one.cheapest)
            assert (row.usage, row.estimated) == (one.usage, one.estimated)
            assert (row.provider, row.account) == (one.who.provider, one.who.account)
            assert row.rates == CARDS[one.card]
            assert list(charged(sql, row.request_id)) == [row]
        since_ns = max((one.at_ns for one in made), default=0)
        assert list(charged(sql, since_ns=since_ns)) == [
            row for row in listed if row.at_ns >= since_ns
        ]


def test_more_charges_than_are_read_at_once(sql: Sql) -> None:
    """None is left out, and none comes twice, though many are of one moment."""
    made = [Made(DAY_0_NS + number // 7) for number in range(5_050)]
    write(sql, made)
    found = [one.attempt_id for one in charged(sql)]
    assert found == [attempt_id(number, one) for number, one in enumerate(made)]


@on_both
@given(st.lists(attempts | open_holds, max_size=12))
def test_what_was_tried(sql: Sql, made: list[Made]) -> None:
    """Of a request, each attempt that has ended or is held in the books, charged or not."""
    with books_of(sql, made):
        for number, one in enumerate(made):
            (found,) = tried(sql, f"req_{number}")
            assert (found.attempt_id, found.number) == (attempt_id(number, one), 1)
            assert (found.provider, found.account) == (one.who.provider, one.who.account)


def test_attempts_of_a_request_are_in_their_order(sql: Sql) -> None:
    """The tenth comes after the ninth."""
    write(sql, [Made(DAY_0_NS)])
    row = sql.execute(f"SELECT {ENTRY} FROM entries").fetchall()[0]
    for number in range(2, 12):
        attempt = f"{row[0][:-2]}.{number}"
        sql.insert("entries", ENTRY, [(attempt, *row[1:])])
    assert [one.attempt_id.split(".")[1] for one in tried(sql, "req_0")] == [
        str(number) for number in range(1, 12)
    ]


def test_how_budgets_stand(sql: Sql) -> None:
    """Each member that has an account in the window of now, and each budget at least once. Held is
    what is in holds, of the books and of the writers; what they have leased beyond is free."""
    ada = Who(team="a", user="ada")
    made = [
        Made(DAY_0_NS, who=ada, drawn=2, usage=TokenUsage(7, 3)),
        Made(DAY_0_NS, who=ada, drawn=2, kind=None, held=40, held_tokens=9),
    ]
    write(sql, made, slices=[(1, 1, 500, 30), (2, 1, 100, 20), (1, 2, 50, 0)])
    everyone = Budget("everyone", Scope(), Window.MONTH, "UTC", 10_000)
    teams = Budget("teams", Scope(team=EACH), Window.DAY, "UTC", 1_000, Measure.TOKENS)
    nobody = Budget("nobody", Scope(), Window.DAY, "UTC", 5)

    def found(now: datetime) -> list[tuple[str, str, int, int, int | None]]:
        return [
            (one.account.budget, one.account.scope, one.posted, one.pending, one.left)
            for one in standing(sql, (everyone, teams, nobody), now)
        ]

    sql.execute("UPDATE accounts SET window_start_ns = ? WHERE id = 1", (_month_ns(NOW),))
    assert found(NOW) == [
        ("everyone", "everything", 13, 90, 9_897),
        ("teams", "team=a", 10, 9, 981),
        ("nobody", "everything", 0, 0, 5),
    ]
    assert found(NOW + timedelta(days=1))[1] == ("teams", "team=*", 0, 0, 1_000)


def test_how_a_rolling_budget_stands(sql: Sql) -> None:
    """Every bucket that its window touches counts, and none before them or after."""
    window = Rolling("rolling:30d", timedelta(days=30))
    budget = Budget("rolling", Scope(team=EACH), window, "UTC", 1_000)
    write(sql, [])
    sql.execute("DELETE FROM accounts")
    buckets = {0: 1, -1: 10, -30: 100, -31: 1_000, 1: 10_000}
    sql.insert(
        "accounts",
        "id, budget, measure, member, time_window, window_start_ns, posted, pending, leased",
        [
            (n, "rolling", "usd", "team=a", "rolling:30d", DAY_0_NS + day * DAY_NS, posted, 2, 0)
            for n, (day, posted) in enumerate(buckets.items(), start=1)
        ],
    )
    (balance,) = standing(sql, (budget,), NOW)
    assert (balance.account.scope, balance.posted, balance.pending) == ("team=a", 111, 6)


def test_heads(sql: Sql) -> None:
    """Of each writer, also of one that has written nothing: how many entries, and the last hash."""
    write(sql, [Made(DAY_0_NS, writer=1), Made(DAY_0_NS, writer=1)])
    last = sql.execute("SELECT hash FROM entries WHERE seq = 2").fetchall()[0][0]
    assert heads(sql) == [Head("w1", 2, last), Head("w2", 0, bytes(32))]


def _month_ns(now: datetime) -> int:
    return int(now.replace(day=1, hour=0).timestamp()) * SECOND_NS

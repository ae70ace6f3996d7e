"""Spend logs against a list of what was charged, on both databases."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.databases.sql import Sql
from ledger.spend_logs import DAY_NS, DaySum, LogFilter, day_sums, logs, spent_by
from tests.ledger.entries_of import Made, attempt_id, attempts, books_of, moments, open_holds

on_both = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
MADE = st.lists(attempts | open_holds, max_size=12)


def who_of(data: st.DataObject, made: list[Made]) -> LogFilter:
    """Somebody who is there, mostly, or anybody."""
    one = data.draw(st.sampled_from(made)) if made else None
    if one is None:
        return LogFilter(team="nobody")
    return LogFilter(
        key_id=data.draw(st.none() | st.just(one.who.key)),
        user=data.draw(st.none() | st.just(one.who.user)),
        team=data.draw(st.none() | st.just(one.who.team)),
        org=data.draw(st.none() | st.just(one.who.org)),
        since_ns=data.draw(st.none() | moments),
        until_ns=data.draw(st.none() | moments),
    )


def is_of(one: Made, wanted: LogFilter, at_ns: int) -> bool:
    pairs = (
        (wanted.key_id, one.who.key),
        (wanted.user, one.who.user),
        (wanted.team, one.who.team),
        (wanted.org, one.who.org),
    )
    return (
        all(want is None or want == has for want, has in pairs)
        and (wanted.since_ns is None or wanted.since_ns <= at_ns)
        and (wanted.until_ns is None or at_ns < wanted.until_ns)
    )


@on_both
@given(MADE, st.data(), st.integers(1, 12))
def test_logs_are_the_charges_newest_first(
    sql: Sql, made: list[Made], data: st.DataObject, limit: int
) -> None:
    """Each charged attempt that is asked for, once, with its own cost; no more than may be."""
    wanted = who_of(data, made)
    found = [
        (one.at_ns, attempt_id(number, one), one)
        for number, one in enumerate(made)
        if one.is_charged and is_of(one, wanted, one.at_ns)
    ]
    with books_of(sql, made):
        seen = logs(sql, wanted, limit)
        assert len(seen) == min(limit, len(found))
        expected = sorted(found, key=lambda one: one[:2], reverse=True)[:limit]
        assert [(one.at_ns, one.effective, one.team, one.tags) for one in seen] == [
            (at_ns, one.cost, one.who.team, one.who.tags) for at_ns, _, one in expected
        ]
        if seen:
            only = logs(sql, LogFilter(request_id=seen[0].request_id), 10)
            assert {one.request_id for one in only} == {seen[0].request_id}


@on_both
@given(MADE, st.data())
def test_sums_of_days(sql: Sql, made: list[Made], data: st.DataObject) -> None:
    """A day's charges, by key, owners and model, count where the day begins within the span."""
    wanted = who_of(data, made)
    sums: dict[tuple[object, ...], list[int]] = {}
    for one in made:
        day_ns = one.at_ns // DAY_NS * DAY_NS
        if not one.is_charged or not is_of(one, wanted, day_ns):
            continue
        of = (day_ns, one.who.key, one.who.team, one.who.user, one.who.model)
        own = sums.setdefault(of, [0, 0, 0, 0])
        for at, value in enumerate((1, one.usage.prompt or 0, one.usage.completion or 0, one.cost)):
            own[at] += value
    with books_of(sql, made):
        found = day_sums(sql, wanted)
        assert set(found) == {DaySum(*of, *own) for of, own in sums.items()}  # type: ignore[arg-type]
        assert [one.day_ns for one in found] == sorted(one.day_ns for one in found)
        assert spent_by(sql, wanted) == sum(own[3] for own in sums.values())

"""Facts know what was known when, and never let a later word into the past."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import count, product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.tables.database import MARKET, has_market, open_market
from benchmarks.tables.facts import Fact, Facts, kind_of
from benchmarks.tables.latest import Latest, Word
from ledger.databases.sql import Sql
from ledger.errors import RowRefused, StoreTooNew
from ledger.instants import as_ns, instant
from tests.ledger.databases import Books, MakeBooks

AT = datetime(2026, 3, 14, tzinfo=UTC)
HOURS = range(5)
hours = st.sampled_from(HOURS)


@dataclass(frozen=True, slots=True)
class Level:
    """What is said in these tests."""

    number: int
    price: Decimal | None = None


LEVELS = kind_of("level", Level)
LevelFact = Fact[Level]


def hour(number: int) -> datetime:
    return AT + timedelta(hours=number)


def fact(subject: str, value: int, known: int, number: int | None, source: str = "x") -> LevelFact:
    said = None if number is None else Level(number)
    return Fact(subject, hour(value), hour(known), source, said)


some_facts = st.lists(
    st.builds(
        fact,
        st.sampled_from("ab"),
        hours,
        hours,
        st.none() | st.integers(1, 3),
        st.sampled_from("xy"),
    ),
    max_size=25,
)


def naive_as_of(
    kept: list[LevelFact], subject: str, known: datetime, value: datetime
) -> LevelFact | None:
    """Of what was known: the last value time; of that the last word; of those the last written."""
    found: LevelFact | None = None
    for one in kept:
        if one.subject != subject or one.known_time > known or one.value_time > value:
            continue
        times = (one.value_time, one.known_time)
        if found is None or times >= (found.value_time, found.known_time):
            found = one
    return found


def naive_changes(
    kept: list[LevelFact], subject: str, since: int, until: int, known: int
) -> list[tuple[str, Level | None]]:
    """What held in each hour, one after the other, without repetitions."""
    words: list[tuple[str, Level | None]] = []
    for at in range(since, until):
        found = naive_as_of(kept, subject, hour(known), hour(at))
        if found is not None and (not words or words[-1] != (found.source, found.said)):
            words.append((found.source, found.said))
    return words


def naive_append(kept: list[LevelFact], one: LevelFact) -> bool:
    last = naive_as_of(kept, one.subject, one.known_time, one.value_time)
    if last is None:
        return one.said is not None
    return (last.said, last.source) != (one.said, one.source)


@pytest.fixture
def market(sql: Sql) -> Sql:
    open_market(sql)
    return sql


names = count()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some_facts)
def test_against_a_naive_judge(market: Sql, found: list[LevelFact]) -> None:
    """Whatever is appended in whatever order, every question sees only what was known at its time:
    what held at a moment, of one and of all, and what changed over a span."""
    facts = Facts(market, kind_of(f"level {next(names)}", Level))
    kept: list[LevelFact] = []
    with market.transaction():
        for one in found:
            news = naive_append(kept, one)
            assert facts.append([one]) == int(news)
            kept += [one] if news else []
    many = Facts(market, kind_of(f"level {next(names)}", Level))
    half = len(found) // 2
    assert many.append_many(found[:half]) + many.append_many(found[half:]) == len(kept)
    for known, value in product(HOURS, HOURS):
        assert many.all_as_of(hour(known), hour(value)) == facts.all_as_of(hour(known), hour(value))
        at = (hour(known), hour(value))
        expected = {name: naive_as_of(kept, name, *at) for name in "ab"}
        assert facts.all_as_of(*at) == {name: one for name, one in expected.items() if one}
        assert facts.as_of("a", *at) == expected["a"]
        told = facts.changes("a", hour(value), hour(5), hour(known))
        words = [(one.source, one.said) for one in told]
        assert words == naive_changes(kept, "a", value, 5, known)
    for now in HOURS:
        assert facts.as_of("b", hour(now)) == naive_as_of(kept, "b", hour(now), hour(now))
    assert facts.subjects() == sorted({one.subject for one in kept})


def test_nothing_known_later_changes_an_answer(make_books: MakeBooks) -> None:
    """A backtest at a moment says the same before and after the future is written down."""
    with closing(make_books().open()) as sql:
        open_market(sql)
        facts = Facts(sql, LEVELS)
        with sql.transaction():
            facts.append([fact("a", 0, 0, 1), fact("a", 4, 4, 2)])
        before = (facts.all_as_of(hour(5)), facts.changes("a", hour(0), hour(9), hour(5)))
        with sql.transaction():
            facts.append([fact("a", 0, 6, 3), fact("a", 3, 6, None), fact("b", 0, 6, 1)])
        assert (facts.all_as_of(hour(5)), facts.changes("a", hour(0), hour(9), hour(5))) == before
        numbers = [one.said for one in facts.changes("a", hour(0), hour(9), hour(6))]
        assert numbers == [Level(3), None, Level(2)]


def test_values_are_exact(market: Sql) -> None:
    """Decimals, and times to the microsecond in any zone, are read as they were written."""
    kolkata = timezone(timedelta(hours=5, minutes=30))
    at = datetime(2026, 3, 14, 15, 9, 26, 535_897, tzinfo=kolkata)
    one = Fact("a", at, at, "feed", Level(1, Decimal("0.123456789012345")))
    facts = Facts(market, LEVELS)
    with market.transaction():
        facts.append([one])
    assert facts.as_of("a", at) == one
    assert facts.as_of("a", at - timedelta(microseconds=1)) is None


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_moments(at: datetime) -> None:
    """A moment is the same when it comes back as a number."""
    assert instant(as_ns(at)) == at


def test_facts_are_never_edited(market: Sql) -> None:
    """The history only grows: the database refuses an UPDATE."""
    with market.transaction():
        Facts(market, LEVELS).append([fact("a", 0, 0, 1)])
    with pytest.raises(RowRefused, match="never edited"), market.transaction():
        market.execute("UPDATE market_facts SET source = 'y'")


def test_the_last_word_counts(market: Sql) -> None:
    """Of what is replaced there is one word for each name and kind; the old ones can go."""
    latest, others = Latest(market, "feed"), Latest(market, "other")
    with market.transaction():
        for word in (Word("a", 1, b"\x00\xff"), Word("b", 2, b""), Word("a", 3, b"new")):
            latest.put(word)
        others.put(Word("a", 9, b"other"))
    assert latest.get("a") == Word("a", 3, b"new")
    assert latest.all() == [Word("a", 3, b"new"), Word("b", 2, b"")]
    assert latest.all(since_ns=3) == [Word("a", 3, b"new")]
    assert latest.times() == {"a": 3, "b": 2}
    with market.transaction():
        assert latest.forget(before_ns=3) == 1
    assert latest.times() == {"a": 3}
    assert others.get("b") is None
    assert others.get("a") == Word("a", 9, b"other")


def test_the_tables_are_made_once(books: Books) -> None:
    """Whoever opens them again finds them; tables of a later version are refused."""
    with closing(books.open()) as sql:
        assert not has_market(sql)
        open_market(sql)
        with sql.transaction():
            Facts(sql, LEVELS).append([fact("a", 0, 0, 1)])
    with closing(books.open()) as sql:
        open_market(sql)
        assert Facts(sql, LEVELS).as_of("a", hour(0)) == fact("a", 0, 0, 1)
        table = "hedgerow_migrations" if sql.dialect == "postgres" else "_sqlite_migrations"
        with sql.transaction():
            sql.execute(
                f"INSERT INTO {table} (migration_set, name, applied_at) VALUES (?, ?, '')",
                (MARKET.name, "m999_later"),
            )
        with pytest.raises(StoreTooNew, match="update Hedgerow"):
            open_market(sql)


def test_back(market: Sql) -> None:
    """The tables go for a program that knew none, with a word on what goes with them."""
    with market.transaction():
        Facts(market, LEVELS).append([fact("a", 0, 0, 1)])
    assert MARKET.migrate(market, 0) == ("1 facts of the market's history go",)
    assert MARKET.migrate(market, MARKET.newest) == ()
    assert Facts(market, LEVELS).subjects() == []

"""The history knows what was known when, and never lets a later word into the past."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from benchmarks.history import MarketHistory, PastQuote, migrations
from ledger.rates import RateCard
from ledger.usage import Unit

AT = datetime(2026, 3, 14, tzinfo=UTC)
hours = st.integers(0, 12)


def hour(number: int) -> datetime:
    return AT + timedelta(hours=number)


def past(offer: str, value: int, known: int, price: int, source: str = "feed") -> PastQuote:
    card = RateCard.of(Decimal(price), Decimal(price))
    if price == 3:  # the dearest is sold by the image
        card = RateCard.of(Decimal(0), Decimal(0), unit=Decimal("0.04"), per=Unit.IMAGE)
    return PastQuote(offer, hour(value), hour(known), source, card)


quotes = st.lists(
    st.builds(
        past, st.sampled_from("ab"), hours, hours, st.integers(1, 3), st.sampled_from(["x", "y"])
    ),
    max_size=25,
)


def naive_as_of(
    kept: list[PastQuote], offer: str, known: datetime, value: datetime
) -> PastQuote | None:
    """Of what was known: the last value time; of that the last word; of those the last written."""
    found: PastQuote | None = None
    for one in kept:
        if one.offer_id != offer or one.known_time > known or one.value_time > value:
            continue
        if found is None or (one.value_time, one.known_time) >= (
            found.value_time,
            found.known_time,
        ):
            found = one
    return found


@settings(max_examples=80)
@given(quotes, hours, hours)
def test_as_of_against_a_naive_judge(found: list[PastQuote], known: int, value: int) -> None:
    """Whatever is appended in whatever order, a question sees only what was known at its time."""
    with closing(sqlite3.connect(":memory:")) as conn:
        database = Database(conn)
        MarketHistory.migrate(database)
        history = MarketHistory(database)
        kept: list[PastQuote] = []
        for one in found:
            last = naive_as_of(kept, one.offer_id, one.known_time, one.value_time)
            news = last is None or (last.rates, last.source) != (one.rates, one.source)
            assert history.append([one]) == int(news)
            if news:
                kept.append(one)
        for offer in "ab":
            answer = history.as_of(offer, hour(known), hour(value))
            assert answer == naive_as_of(kept, offer, hour(known), hour(value))
            assert answer is None or answer.known_time <= hour(known)
            assert history.as_of(offer, hour(known)) == naive_as_of(
                kept, offer, hour(known), hour(known)
            )


@pytest.fixture
def database() -> Database:
    database = Database(memory=True)
    MarketHistory.migrate(database)
    return database


def test_a_restatement_counts_from_when_it_was_known(database: Database) -> None:
    """A price corrected later is the corrected one to those who ask later, and not before."""
    history = MarketHistory(database)
    assert history.append([past("a", 0, 0, 1), past("a", 0, 6, 2)]) == 2
    assert history.as_of("a", hour(5)) == past("a", 0, 0, 1)
    assert history.as_of("a", hour(6), hour(3)) == past("a", 0, 6, 2)


def test_only_news_is_kept(database: Database) -> None:
    """The same price told again is no news; the same price from another source is."""
    history = MarketHistory(database)
    same = [past("a", 0, 0, 1), past("a", 3, 3, 1), past("a", 4, 4, 1)]
    assert history.append(same) == 1
    assert history.append([past("a", 5, 5, 1, source="other")]) == 1
    assert history.append([past("b", 5, 5, 1, source="other")]) == 1
    assert history.as_of("a", hour(4)) == same[0]


def test_a_price_that_comes_back_is_news(database: Database) -> None:
    """A price that falls and rises again is three prices."""
    history = MarketHistory(database)
    assert (
        history.append([past("a", one, one, price) for one, price in ((0, 1), (1, 2), (2, 1))]) == 3
    )


def test_times_are_kept_to_the_microsecond_in_any_zone(database: Database) -> None:
    """A moment written with an offset is the same moment when it is read."""
    kolkata = timezone(timedelta(hours=5, minutes=30))
    at = datetime(2026, 3, 14, 15, 9, 26, 535_897, tzinfo=kolkata)
    one = PastQuote("a", at, at, "feed", RateCard.of(Decimal("0.123456789"), Decimal("1E+2")))
    history = MarketHistory(database)
    history.append([one])
    assert history.as_of("a", at) == one
    assert history.as_of("a", at - timedelta(microseconds=1)) is None


def test_rows_are_never_edited(database: Database) -> None:
    """The history only grows: the database refuses an UPDATE."""
    MarketHistory(database).append([past("a", 0, 0, 1)])
    with pytest.raises(sqlite3.IntegrityError, match="never edited"):
        database.execute("UPDATE quote_history SET output = '0'")


def test_the_table_is_made_once(database: Database) -> None:
    """Migrating again changes nothing."""
    history = MarketHistory(database)
    history.append([past("a", 0, 0, 1)])
    MarketHistory.migrate(database)
    assert history.as_of("a", hour(0)) == past("a", 0, 0, 1)


def test_a_history_of_an_earlier_version() -> None:
    """Prices kept before there were units are what they were, and no news when told again."""
    old = Database(memory=True)
    migrations.apply(old, stop_before="m002_units")
    old.execute(
        "INSERT INTO quote_history VALUES (NULL, 'a', ?, ?, 'feed', '1', '1', '1', '1', '0')",
        (int(AT.timestamp()) * 10**9, int(AT.timestamp()) * 10**9),
    )
    MarketHistory.migrate(old)
    history = MarketHistory(old)
    assert history.as_of("a", hour(0)) == past("a", 0, 0, 1)
    assert history.append([past("a", 1, 1, 1)]) == 0
    assert history.append([past("a", 2, 2, 3)]) == 1
    assert history.as_of("a", hour(2)) == past("a", 2, 2, 3)
    with pytest.raises(sqlite3.IntegrityError, match="never edited"):
        old.execute("UPDATE quote_history SET unit = '0'")

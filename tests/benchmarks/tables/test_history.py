"""The history of quotes: what is kept of the market as it changes, and what older versions kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.market import Quoted
from benchmarks.offers import Offer
from benchmarks.quotes import Override, Quote, UtcHours
from benchmarks.stats import Percentiles, Stats
from benchmarks.tables.database import open_market
from benchmarks.tables.facts import Fact
from benchmarks.tables.history import MarketHistory
from benchmarks.tables.quote_text import quote_of, quote_text
from ledger.databases.sql import Sql
from ledger.databases.sqlite_file import SqliteFile
from ledger.rates import RateCard
from ledger.usage import Unit

AT = datetime(2026, 3, 14, tzinfo=UTC)
OFFER = Offer("groq", "elm")
OTHER = Offer("groq", "ash")


def hour(number: int) -> datetime:
    return AT + timedelta(hours=number)


def quote(price: int | str, as_of: int, source: str = "feed") -> Quote:
    card = RateCard.of(Decimal(price), Decimal(price))
    return Quote(card, None, (), source, hour(as_of))


def models(first: Quote | None, second: Quote | None = None) -> dict[str, list[Quoted]]:
    """Two models that share an offer."""
    return {"m": [Quoted(OFFER, first)], "n": [Quoted(OFFER, first), Quoted(OTHER, second)]}


def kept(sql: Sql, *, to: int = 100) -> list[tuple[datetime, datetime, str, Decimal | None]]:
    found = MarketHistory(sql).changes(OFFER.id, hour(0), hour(to), hour(to))
    return [
        (one.value_time, one.known_time, one.source, one.said.rates.input if one.said else None)
        for one in found
    ]


@pytest.fixture
def market(sql: Sql) -> Sql:
    open_market(sql)
    return sql


def keep(sql: Sql, first: Quote | None, second: Quote | None, at: int) -> int:
    with sql.transaction():
        return MarketHistory(sql).keep(models(first, second), hour(at))


def test_only_news_is_kept(market: Sql) -> None:
    """The same price told again, as after every start, is no news, however its zeros are written;
    another price or source is; each offer by itself."""
    assert keep(market, quote(1, 0), None, 0) == 1
    assert keep(market, quote("1.00", 3), None, 3) == 0
    assert keep(market, quote(1, 4, "file"), quote(1, 4), 4) == 2
    assert keep(market, quote(1, 4, "file"), quote(2, 5), 5) == 1
    assert kept(market) == [
        (hour(0), hour(0), "feed", Decimal(1)),
        (hour(4), hour(4), "file", Decimal(1)),
    ]


def test_a_price_that_goes_and_comes_back(market: Sql) -> None:
    """An offer that nobody knows a price of any more has none from then on, told once; a price that
    returns with an old date counts from its return, and the time without it stays as it was."""
    for at, one in enumerate((quote(1, 0), None, None, quote(1, 0))):
        keep(market, one, None, at)
    assert kept(market) == [
        (hour(0), hour(0), "feed", Decimal(1)),
        (hour(1), hour(1), "nobody", None),
        (hour(3), hour(3), "feed", Decimal(1)),
    ]
    gone = MarketHistory(market).as_of(OFFER.id, hour(2))
    assert gone == Fact(OFFER.id, hour(1), hour(1), "nobody", None)
    assert keep(market, quote(1, 0), None, 9) == 0


def test_the_feed_counts_again(market: Sql) -> None:
    """When the operator takes his own price away, the feed's older one holds from then on."""
    for at, one in enumerate((quote(1, 0), quote(2, 1, "configuration"), quote(1, 0))):
        keep(market, one, None, at)
    assert [(row[0], row[3]) for row in kept(market)] == [
        (hour(0), Decimal(1)),
        (hour(1), Decimal(2)),
        (hour(2), Decimal(1)),
    ]


def test_a_price_known_late(market: Sql) -> None:
    """A change that is told after it came holds since it came, to those who ask after they knew."""
    keep(market, quote(1, 0), None, 0)
    keep(market, quote(2, 3), None, 6)
    history = MarketHistory(market)
    at_five = history.as_of(OFFER.id, hour(5))
    assert at_five is not None
    assert at_five.said == quote(1, 0)
    in_hindsight = history.as_of(OFFER.id, hour(6), hour(5))
    assert in_hindsight is not None
    assert in_hindsight.said == quote(2, 3)


def test_stats_by_the_half_hour(market: Sql) -> None:
    """Of what feeds say of an offer one word is kept for each half hour, with all its numbers."""
    history = MarketHistory(market)
    said = [
        Stats(AT + timedelta(minutes=5 * step), "feed", Percentiles(p50=300.0 + step), uptime_5m=1)
        for step in range(14)
    ]
    for one in said:
        with market.transaction():
            history.keep({"m": [Quoted(OFFER, None, one)]}, one.as_of)
    kept = history.stats.changes(OFFER.id, AT, hour(9), hour(9))
    assert [one.said for one in kept] == [said[0], said[6], said[12]]


prices = st.decimals(0, 1000, places=6, allow_nan=False)
cards = st.builds(
    lambda a, b, c, d, unit, reasoning, hour: RateCard.of(
        *(a, b, c, d),
        unit=unit,
        per=Unit.IMAGE if unit else None,
        reasoning=reasoning,
        cache_write_1h=hour,
    ),
    *(prices, prices, st.none() | prices, st.none() | prices),
    st.just(Decimal(0)) | st.decimals("0.01", 10, places=4),
    *(st.none() | prices, st.none() | prices),
)
hours_of_day = st.builds(
    UtcHours,
    st.integers(0, 719),
    st.integers(720, 1440),
    st.none() | st.frozensets(st.integers(1, 7), min_size=1),
)
overrides = st.lists(
    st.builds(Override, cards, st.integers(0, 10**6), st.none() | hours_of_day), max_size=2
).map(tuple)
instants = st.datetimes(AT.replace(tzinfo=None), timezones=st.just(UTC))
quotes = st.builds(
    Quote,
    *(cards, st.none() | cards, overrides, st.just("feed"), st.just(AT)),
    *(st.none() | cards, overrides, st.none() | instants),
)


@given(quotes)
def test_a_quote_as_text(one: Quote) -> None:
    """Every price of a quote, with its thresholds and hours, comes back from its text."""
    assert quote_of(quote_text(one), one.source, one.as_of) == one


def test_nothing_of_a_quote_is_forgotten() -> None:
    """Who gives a quote something new finds out here that `quotes`, above, has to draw it. What it
    says of other tiers is theirs to be remembered."""
    assert [one.name for one in fields(Quote) if one.compare] == [
        *("rates", "list_rates", "overrides", "source", "as_of"),
        *("batch_rates", "batch_overrides", "valid_until"),
    ]


OLD = """CREATE TABLE quote_history (
    id INTEGER PRIMARY KEY, offer TEXT NOT NULL, value_time_ns INTEGER NOT NULL,
    known_time_ns INTEGER NOT NULL, source TEXT NOT NULL, input TEXT NOT NULL,
    output TEXT NOT NULL, cache_read TEXT NOT NULL, cache_write TEXT NOT NULL,
    request TEXT NOT NULL{}
) STRICT"""
UNITS = ", unit TEXT NOT NULL DEFAULT '0', per TEXT"


def old_history(path: Path, *, has_units: bool) -> None:
    """Prices as the version kept them that knew quotes alone."""
    at_ns = int(AT.timestamp()) * 10**9
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(OLD.format(UNITS if has_units else ""))
        row = (OFFER.id, at_ns, at_ns, "feed", "1.50", "1E+1", "1", "0", "0")
        conn.execute(
            f"INSERT INTO quote_history VALUES (NULL, {', '.join('?' * 9)}"
            f"{', ?, ?' if has_units else ''})",
            (*row, "0.04", "image") if has_units else row,
        )
        conn.commit()


def old_quote(*, has_units: bool) -> Quote:
    unit, per = (Decimal("0.04"), Unit.IMAGE) if has_units else (Decimal(0), None)
    zero = Decimal(0)
    card = RateCard(Decimal("1.5"), Decimal(10), Decimal(1), zero, zero, unit, per)
    return Quote(card, None, (), "feed", AT)


@pytest.mark.parametrize("has_units", [False, True])
def test_a_history_of_an_earlier_version(tmp_path: Path, has_units: bool) -> None:
    """Prices kept before are what they were, and no news when told again; what kept them still has
    its own."""
    path = tmp_path / "books.db"
    SqliteFile.open(path).close()
    old_history(path, has_units=has_units)
    with closing(SqliteFile.open(path)) as sql:
        open_market(sql)
        history, one = MarketHistory(sql), old_quote(has_units=has_units)
        assert history.as_of(OFFER.id, hour(0)) == Fact(OFFER.id, AT, AT, "feed", one)
        assert keep(sql, one, None, 1) == 0
        with sql.transaction():
            assert history.quotes.append([Fact(OFFER.id, hour(1), hour(1), "feed", one)]) == 0
        assert keep(sql, quote(1, 2), None, 2) == 1
        assert sql.execute("SELECT count(*) FROM quote_history").fetchall() == [(1,)]

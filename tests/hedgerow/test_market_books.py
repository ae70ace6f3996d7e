"""Where the market's history is: with the books, whichever database has them."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.tables.facts import Fact
from benchmarks.tables.history import MarketHistory
from hedgerow.books import keep_history, market_books
from hedgerow.config import Ledger
from ledger.databases.sql import Dialect
from tests.benchmarks.tables.test_history import AT, OFFER, models, old_history, old_quote, quote
from tests.ledger.databases import Books, Postgres


@pytest.fixture
def ledger(books: Books, tmp_path: Path) -> Ledger:
    path = None
    if books.dialect is Dialect.SQLITE:
        path = Path(books.url.removeprefix("sqlite:///"))
    return Ledger(books.url, path, tmp_path / "hedgerow.journal", "process")


def test_all_who_share_the_books_share_it(ledger: Ledger) -> None:
    """What one program keeps of the market, another reads; told again it is no news."""
    quoted = models(quote(1, 0))
    assert keep_history(ledger, quoted, AT) == 1
    assert keep_history(ledger, quoted, AT + timedelta(hours=1)) == 0
    with market_books(ledger, create=False) as sql:
        assert MarketHistory(sql).as_of(OFFER.id, AT) == Fact(OFFER.id, AT, AT, "feed", quote(1, 0))


@pytest.mark.parametrize("has_units", [False, True])
def test_a_file_of_its_own(postgres: Postgres, tmp_path: Path, has_units: bool) -> None:
    """What a server on PostgreSQL kept in a file is moved to where all share it, once; a file
    without prices, too."""
    ledger = Ledger(postgres.new(), None, tmp_path / "hedgerow.journal", "process")
    file = ledger.place.with_name("hedgerow-market.db")
    old_history(file, has_units=has_units)
    one = old_quote(has_units=has_units)
    assert keep_history(ledger, models(one), AT + timedelta(hours=1)) == 0
    with market_books(ledger, create=False) as sql:
        assert MarketHistory(sql).as_of(OFFER.id, AT) == Fact(OFFER.id, AT, AT, "feed", one)
        assert sql.execute("SELECT count(*) FROM market_facts").fetchall() == [(1,)]
    assert not file.exists()
    assert file.with_name("hedgerow-market.db.moved").exists()
    with closing(file.open("wb")):
        pass
    assert keep_history(ledger, models(one), AT + timedelta(hours=2)) == 0

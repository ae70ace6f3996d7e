"""Closing: a month is billed once; what is charged to it later is a correction of the next one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ledger.book import Book
from ledger.chargeback import Chargeback, MonthSpan, Rule, chargeback
from ledger.closing import Correction, close_month, corrections
from ledger.commitment_fees import Ending, GivenUp
from ledger.databases.sql import Sql
from ledger.errors import MonthNotClosable
from ledger.fixed_fees import Bill
from ledger.instants import day_ns
from ledger.money import Money
from ledger.principals import Principal
from ledger.tables.closes import PLATFORM, CloseTable, Payer
from ledger.tables.commitment_fees import FeeTable
from ledger.tables.commitments import CommitmentTable
from tests.ledger.databases import Books
from tests.ledger.entries import attempt, settlement
from tests.ledger.opened import book_of
from tests.ledger.owned import commitment

JANUARY, FEBRUARY, MARCH = date(2027, 1, 1), date(2027, 2, 1), date(2027, 3, 1)
LATER_NS = day_ns(date(2027, 6, 1))
TEAM = {one: Principal(f"key_{one}", team=one) for one in ("a", "b")}


@asynccontextmanager
async def serving(books: Books, path: Path) -> AsyncIterator[Book]:
    sql = await asyncio.to_thread(books.open)
    book = book_of(sql, path, now_ns=lambda: LATER_NS)
    try:
        yield book
    finally:
        await book.close()


async def charge(book: Book, name: str, team: str, nanos: int, day: date) -> None:
    """A request that began on a day, and whose charge comes now."""
    at_ns = day_ns(day)
    hold = await book.hold(attempt(name, 2 * nanos, TEAM[team], at_ns=at_ns))
    await book.post(hold, settlement(nanos, at_ns=LATER_NS))


def no_fees(_: date) -> dict[str, Bill]:
    return {}


def of(sql: Sql, month: date, rule: Rule = Rule.DRAW) -> Chargeback:
    return chargeback(sql, MonthSpan.of(month), rule, {}, LATER_NS)


def close(books: Books, month: date, rule: Rule = Rule.DRAW) -> tuple[Correction, ...]:
    with closing(books.open()) as sql, sql.transaction():
        found = of(sql, month, rule)
        return close_month(sql, found, no_fees, who="ada", now_ns=LATER_NS)


def to_correct(books: Books, month: date) -> list[Correction]:
    with closing(books.open()) as sql, sql.view():
        return list(corrections(sql, month, no_fees, LATER_NS))


async def test_late_charges(books: Books, tmp_path: Path) -> None:
    """January was billed; what comes after that is in February's bill, once, and what comes after
    that in March's. All that was ever billed for January is what January cost."""
    path = tmp_path / "books.db"
    async with serving(books, path) as book:
        await charge(book, "1", "a", 100, date(2027, 1, 5))
        await charge(book, "2", "a", 7, date(2027, 2, 5))
    assert await asyncio.to_thread(close, books, JANUARY) == ()
    assert await asyncio.to_thread(to_correct, books, FEBRUARY) == []
    async with serving(books, path) as book:
        await charge(book, "3", "a", 20, date(2027, 1, 6))
        await charge(book, "4", "b", 3, date(2027, 1, 31))
    late = [
        Correction(JANUARY, Payer("a"), Money(20)),
        Correction(JANUARY, Payer("b"), Money(3)),
    ]
    assert await asyncio.to_thread(to_correct, books, FEBRUARY) == late
    assert await asyncio.to_thread(close, books, FEBRUARY) == tuple(late)
    assert await asyncio.to_thread(to_correct, books, FEBRUARY) == late  # as it was closed
    assert await asyncio.to_thread(to_correct, books, MARCH) == []
    async with serving(books, path) as book:
        await charge(book, "5", "b", 1, date(2027, 1, 7))
        await charge(book, "6", "b", 50, date(2027, 2, 7))
    expected = [
        Correction(JANUARY, Payer("b"), Money(1)),
        Correction(FEBRUARY, Payer("b"), Money(50)),
    ]
    assert await asyncio.to_thread(to_correct, books, MARCH) == expected
    await asyncio.to_thread(close, books, MARCH)

    def billed() -> tuple[dict[Payer, Money], Chargeback]:
        with closing(books.open()) as sql, sql.view():
            return CloseTable(sql).billed(JANUARY), of(sql, JANUARY)

    amounts, now = await asyncio.to_thread(billed)
    assert amounts == {Payer("a"): 120, Payer("b"): 4}
    assert sum(amounts.values()) == now.total


def test_what_is_taken_back_later(books: Books) -> None:
    """A purchase that turns out to be a mistake, on a day of a closed month, changes nothing that
    was charged and no month's fee: what reverses it is a correction all the same."""
    one = commitment(starts_ns=day_ns(JANUARY), ends_ns=day_ns(MARCH), is_monthly=True)
    with closing(books.open()) as sql, sql.transaction():
        CommitmentTable(sql).add(one)
    assert close(books, JANUARY) == ()
    with closing(books.open()) as sql, sql.transaction():
        table = FeeTable(sql)
        fees = table.one(one.id)
        assert fees is not None
        back = GivenUp(date(2027, 1, 31), Ending.TAKEN_BACK, Money(-one.fee), Money(-one.fee))
        table.keep(one.id, replace(fees, given_up=back), LATER_NS + 1)
    expected = [Correction(JANUARY, PLATFORM, Money(-one.fee))]
    assert to_correct(books, FEBRUARY) == expected
    assert close(books, FEBRUARY) == tuple(expected)
    assert to_correct(books, MARCH) == []


async def test_the_rule_that_it_was_closed_with(books: Books, tmp_path: Path) -> None:
    """A late charge moves the shares of all: by the rule of that month, whatever the next one's is;
    what they are corrected by sums to the charge."""
    path = tmp_path / "books.db"
    own = commitment(
        fee=Money(10**9), starts_ns=day_ns(JANUARY), ends_ns=day_ns(FEBRUARY), is_monthly=True
    )
    async with serving(books, path) as book:
        await charge(book, "1", "a", 100, date(2027, 1, 5))
        await charge(book, "2", "b", 300, date(2027, 1, 5))

    def buy() -> None:
        with closing(books.open()) as sql, sql.transaction():
            CommitmentTable(sql).add(own)

    await asyncio.to_thread(buy)
    await asyncio.to_thread(close, books, JANUARY, Rule.SPEND)
    async with serving(books, path) as book:
        await charge(book, "3", "a", 200, date(2027, 1, 6))
    late = await asyncio.to_thread(close, books, FEBRUARY, Rule.NONE)
    assert late == (
        Correction(JANUARY, Payer("a"), Money(200 + 250_000_000)),
        Correction(JANUARY, Payer("b"), Money(-250_000_000)),
    )


def test_what_cannot_be_closed(sql: Sql) -> None:
    """A month that runs, one that is closed already, and one before a closed one."""
    with sql.transaction():
        running = chargeback(sql, MonthSpan.of(MARCH), Rule.DRAW, {}, day_ns(MARCH) + 1)
        with pytest.raises(MonthNotClosable, match="not over"):
            close_month(sql, running, no_fees, who="ada", now_ns=day_ns(MARCH) + 1)
        close_month(sql, of(sql, FEBRUARY), no_fees, who="ada", now_ns=LATER_NS)
        with pytest.raises(MonthNotClosable, match="closed already"):
            close_month(sql, of(sql, FEBRUARY), no_fees, who="ada", now_ns=LATER_NS)
        with pytest.raises(MonthNotClosable, match="in their order"):
            close_month(sql, of(sql, JANUARY), no_fees, who="ada", now_ns=LATER_NS)
    close = CloseTable(sql).one(FEBRUARY)
    assert close is not None
    assert (close.who, close.rule, close.zone) == ("ada", "draw", "UTC")
    assert CloseTable(sql).billed(FEBRUARY).get(PLATFORM) is None

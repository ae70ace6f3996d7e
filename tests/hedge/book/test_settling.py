"""Settling: what has come due, by each contract's rule."""

from __future__ import annotations

from decimal import Decimal

from hedge.book.book import HedgeBook
from hedge.book.facts import Fill
from hedge.book.fills import enter_fill
from hedge.book.settling import settle
from ledger.accounting import GlAccount
from ledger.audit import verify
from ledger.business_days import business_days_of_month
from ledger.databases.sql import Sql
from ledger.money import usd
from ledger.tables.fixings import Fixing, FixingTable
from tests.hedge.book.contracts import DESK, approved, at, day


def fixings(series: str, days: dict[str, str], known: str | None = None) -> list[Fixing]:
    return [
        Fixing(series, at(one), Decimal(value), at(known or one), "test")
        for one, value in days.items()
    ]


def test_a_future_of_the_business_day_mean(sql: Sql) -> None:
    """Test 14 of the sources: long 10 GPU1 at 2.50, a mean of 2.80 over business days: +2,190.00
    USD, fees 68.50, and the books agree."""
    plan = approved(sql, "2026-11-02", {"GPU1": 10})
    december = [one.isoformat() for one in business_days_of_month(2026, 12)]
    values = {one: "2.70" if at % 2 else "2.90" for at, one in enumerate(december)}
    values[december[-1]] = "2.80" if len(december) % 2 else values[december[-1]]
    with sql.transaction():
        book = HedgeBook(sql, at("2026-11-03"))
        fill = Fill(plan, "GPU1", 10, Decimal("2.50"), at("2026-11-03"), month=day("2026-12-01"))
        assert enter_fill(book, "fill:1", fill, DESK)
        FixingTable(sql).add(fixings("SD-H100", values))
    with sql.transaction():
        done = settle(HedgeBook(sql, at("2027-01-04")))
    (settled,) = done.settled
    assert settled.price_usd == Decimal("2.80")
    assert settled.gain == usd("2190.00")
    with sql.transaction():
        book = HedgeBook(sql, at("2027-01-04"))
        assert book.balance(GlAccount.FEES) == usd("68.50")
        assert book.balance(GlAccount.CASH) == usd("2190.00") - usd("68.50")
        assert settle(book).settled == []
    assert verify(sql).findings == ()

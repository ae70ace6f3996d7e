"""Utilisation: what draws leave in the books, as finance reads it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.book.book import HedgeBook
from hedge.book.entering import Entry, EntryKind, enter
from hedge.book.facts import Fill
from hedge.book.fills import enter_fill
from hedge.book.standing import standing
from hedge.book.utilisation import Utilisation, utilisations
from hedge.errors import EntryRefused
from ledger.allowances import allowance
from ledger.attempts import Attempt, Charge, Settlement
from ledger.audit import verify
from ledger.book import Book
from ledger.databases.sqlite_file import SqliteFile
from ledger.draws import Draw
from ledger.money import Money, usd
from ledger.tables.commitments import CommitmentTable
from ledger.usage import TokenUsage
from tests.hedge.book.contracts import DESK, PTU, approved, at, day
from tests.ledger.entries import NANO_PER_TOKEN, attempt, settlement
from tests.ledger.opened import opened

FLAT: dict[str, object] = {key: PTU[key] for key in ("source", "resale")} | {
    "kind": "flat_plan",
    "name": "flat",
    "provider": "acme",
    "covers": [{"provider": "acme"}],
    "size": {"max": 10},
    "prices": [{"usd_per_month": "100"}],
    "quota_units": "1000000",
    "burndown": {"prompt": "1", "cached": "0.1", "completion": "4", "request": "0.5"},
}
DRAWN_AT = at("2026-03-14T15:00")
MICRO = 1_000_000


def bought(path: Path) -> None:
    """Two units, from the 10th of March to the 10th of April 2026."""
    with closing(SqliteFile.open(path)) as sql:
        plan = approved(sql, "2026-03-01", {"flat": 2}, FLAT)
        with sql.transaction():
            book = HedgeBook(sql, at("2026-03-10"))
            when = at("2026-03-10")
            fact = Fill(plan, "flat", 2, Decimal(100), when, months=1)
            enter_fill(book, "fill:flat", fact, DESK)


def seen(path: Path, when: str) -> list[Utilisation]:
    with closing(SqliteFile.open(path)) as sql, sql.view():
        assert verify(sql).findings == ()
        return list(utilisations(HedgeBook(sql, at(when))))


def nearly_used_up(path: Path) -> tuple[float, list[str]]:
    """What the book warns of on the 20th of March, before and after nearly all has been drawn."""
    with closing(SqliteFile.open(path)) as sql:
        with sql.view():
            assert standing(HedgeBook(sql, at("2026-03-20"))).warnings == ()
        with sql.transaction():
            sql.execute("UPDATE accounts SET posted = 1380000000000 WHERE measure = 'units'")
            book = HedgeBook(sql, at("2026-03-20"))
            (one,) = utilisations(book)
            return one.utilisation or 0.0, list(standing(book).warnings)


async def draw(book: Book, path: Path, name: str, usage: TokenUsage) -> int:
    """One request that draws; the micro-units that it took."""

    def owned() -> Draw:
        with closing(SqliteFile.open(path)) as sql:
            (one,) = CommitmentTable(sql).all()
        return Draw(allowance(one, DRAWN_AT), 100_000 * MICRO)

    its = await asyncio.to_thread(owned)
    one: Attempt = replace(
        attempt(name, its.costs(its.micro_units), at_ns=DRAWN_AT), draw=its, most_tokens=1
    )
    hold = await book.hold(one, its.accounts)
    usual = NANO_PER_TOKEN.charge(usage)
    used = its.used(usage, usual)
    charge = Charge(its.bills(used), its.costs(used), usual, usual, None, None)
    await book.post(hold, Settlement(DRAWN_AT, usage, NANO_PER_TOKEN, charge, False, None, 12.5))
    return used


async def test_a_month_of_draws(tmp_path: Path) -> None:
    """Used and unused are what was committed, to the millionth of a unit, and their fees the fee,
    to the nano-USD; beside what was paid for as it went the coverage, and what a token has cost.
    What was drawn on cannot be taken back."""
    path = tmp_path / "books.db"
    await asyncio.to_thread(bought, path)
    async with opened(path, now_ns=lambda: DRAWN_AT) as book:
        used = await draw(book, path, "a", TokenUsage(1000, 200, cached=100))
        used += await draw(book, path, "b", TokenUsage(7, 3))
        hold = await book.hold(attempt("c", 5000, at_ns=DRAWN_AT))
        await book.post(hold, settlement(3630, at_ns=DRAWN_AT))
    assert used == (900 + 10 + 800) * MICRO + 500_000 + (7 + 12) * MICRO + 500_000
    march, april = await asyncio.to_thread(seen, path, "2026-04-20")
    assert (march.since, march.until, april.until) == (
        day("2026-03-10"),
        day("2026-04-01"),
        day("2026-04-10"),
    )
    assert march.committed_micro == 2 * 10**6 * MICRO * 22 // 31
    assert (march.used_micro, march.overage_micro) == (used, 0)
    assert march.used_micro + march.unused_micro == march.committed_micro
    assert march.fee + april.fee == usd("200")
    assert march.stranded is not None
    assert march.used_fee + march.stranded == march.fee
    assert march.used_fee == march.fee * used // march.committed_micro
    assert march.tokens == 1210
    assert march.coverage == 1210 / (1210 + 3630)
    per_token = Decimal(march.fee) / 10**9 / 1210
    assert march.usd_per_mtok is not None
    assert abs(march.usd_per_mtok - per_token * 10**6) < Decimal("0.000001")
    assert (april.used_micro, april.stranded, april.utilisation) == (0, april.fee, 0)
    (so_far,) = await asyncio.to_thread(seen, path, "2026-03-20")
    assert (so_far.is_over, so_far.stranded) == (False, None)
    (first,) = await asyncio.to_thread(seen, path, "2026-03-10T12:00")
    assert (first.fee, first.tokens, first.usd_per_mtok) == (0, 1210, None)
    part, (warning,) = await asyncio.to_thread(nearly_used_up, path)
    assert warning.startswith(f"fill:flat is used to {part:.0%}, and lasts until 2026-04-01: what")
    assert 0 <= so_far.fee - usd("200") * 10 // 31 <= 10  # a nano-USD a day
    await asyncio.to_thread(refuses_to_be_taken_back, path)


def refuses_to_be_taken_back(path: Path) -> None:
    wrong = Entry("x", EntryKind.CORRECTION, at("2026-03-20"), fill="fill:flat", reason="wrong")
    with closing(SqliteFile.open(path)) as sql, sql.transaction():
        book = HedgeBook(sql, at("2026-03-20"))
        with pytest.raises(EntryRefused, match="2 requests have drawn on fill:flat"):
            enter(book, wrong, DESK)


@given(st.integers(0, 10**15), st.integers(0, 10**18), st.integers(0, 2 * 10**18), st.booleans())
def test_used_and_unused_are_what_was_committed(
    fee: int, committed: int, used: int, is_over: bool
) -> None:
    """used + unused = committed, in millionths of a unit and, of the fee, to the nano-USD; what a
    provider counts beyond is neither."""
    first = date(2027, 1, 1)
    found = Utilisation(
        *("c", "contract", first, first, is_over, committed, used, 0, Money(fee)),
        *(Money(0), 0, 0, True),
    )
    assert found.within_micro + found.unused_micro == committed
    assert found.within_micro == min(used, committed)
    assert 0 <= found.used_fee <= fee
    if is_over:
        assert found.stranded is not None
        assert found.used_fee + found.stranded == fee
        assert (found.stranded == 0) or used < committed or not committed

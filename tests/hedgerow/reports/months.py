"""Books of a hedged August and September 2026 for tests of reports, and a configuration."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from math import sin
from pathlib import Path

from hedge.book.book import HedgeBook
from hedge.book.entering import Entry, EntryKind, enter
from hedge.book.facts import Fill
from hedge.book.fills import enter_fill
from hedge.book.settling import settle
from ledger.databases.sql import Sql
from ledger.databases.sqlite_file import SqliteFile
from ledger.instants import instant
from ledger.money import usd
from ledger.tables.fixings import Fixing, FixingTable
from tests.hedge.book.contracts import ALL, DESK, approve, at, day, keep, plan_json
from tests.hedge.effectiveness.months import FLAT, Asked, charge
from tests.hedgerow.processes import NOWHERE, write_config

CAP = """\
  - {name: all, scope: {}, window: month, cap_usd: 24000}
"""
PLAN: dict[str, object] = {
    "confidence": 0.95,
    "cap_usd": "24000",
    "frontier": [
        {"cap_usd": str(cap), "expected_usd": str(cost), "cvar_usd": str(cap), "end_value_usd": "0"}
        for cap, cost in ((20_000, 19_400), (22_000, 18_100), (24_000, 17_600), (30_000, 17_200))
    ],
    "months": [
        {
            "month": f"2026-{month}-01",
            "expected_usd": "17600.50",
            "cvar_usd": "23900.00",
            "fees_usd": "8000.00",
            "p_within_cap": 0.97,
        }
        for month in ("08", "09")
    ],
}
CHEAP_FLAT = FLAT | {"prices": [{"usd_per_month": "400"}]}
_CENT = 10_000_000_000


def configured(folder: Path, budgets: str = CAP) -> Path:
    """hedgerow.yaml, with no books yet."""
    return write_config(folder, NOWHERE, budgets=budgets)


def hedged(folder: Path) -> Path:
    """The same with books in SQLite: usage by two models since July, two units of a flat plan
    from the 10th of August on, and ten GPU1 of September, designated, marked and settled."""
    path = configured(folder)
    with closing(SqliteFile.open(folder / "hedgerow.db")) as sql:
        fill(sql)
    return path


def fill(sql: Sql) -> None:
    with sql.transaction():
        book = HedgeBook(sql, at("2026-07-28T09:30"))
        contracts = (*(one for one in ALL), CHEAP_FLAT)
        plan = keep(book, plan_json({"GPU1": 10, "flat": 2}, **PLAN), *contracts)
        approve(book, plan)
    with sql.transaction():
        fact = Fill(plan, "GPU1", 10, Decimal("2.50"), at("2026-08-03"), day("2026-09-01"))
        enter_fill(HedgeBook(sql, at("2026-08-03")), "fill:GPU1", fact, DESK)
    with sql.transaction():
        fact = Fill(plan, "flat", 2, Decimal(400), at("2026-08-10"), months=1)
        enter_fill(HedgeBook(sql, at("2026-08-10")), "fill:flat", fact, DESK)
    with sql.transaction():
        entry = Entry(
            "memo",
            EntryKind.DESIGNATION,
            at("2026-08-03"),
            fill="fill:GPU1",
            objective="pay no more for September than planned",
            probability=Decimal("0.95"),
        )
        enter(HedgeBook(sql, at("2026-08-03")), entry, DESK)
        enter(
            HedgeBook(sql, at("2026-08-03")),
            Entry(
                "in", EntryKind.DEPOSIT, at("2026-08-03"), counterparty="cme", amount=usd("5000")
            ),
            DESK,
        )
    _prices(sql)
    _usage(sql)
    with sql.transaction():
        settle(HedgeBook(sql, at("2026-10-06")))


def _prices(sql: Sql) -> None:
    """An index that rises with a wave, and a future that follows it closely."""
    start = day("2026-07-01")
    with sql.transaction():
        for number in range(92):
            one = start + timedelta(days=number)
            index = Decimal(f"{2.40 + 0.004 * number + 0.05 * sin(number / 5):.2f}")
            mark = Decimal(f"{2.42 + 0.004 * number + 0.045 * sin((number + 1) / 5):.2f}")
            FixingTable(sql).add(
                Fixing(series, at(str(one)), value, at(str(one)), "test")
                for series, value in (("SD-H100", index), ("GPU1 2026-09", mark))
            )


def _usage(sql: Sql) -> None:
    asked = []
    first = at("2026-07-01T10:00")
    for number in range(92):
        when = instant(first + number * 86_400 * 10**9).strftime("%Y-%m-%dT%H:%M")
        cost = (30 + number % 7 * 6) * _CENT
        asked.append(
            Asked(
                when,
                cost,
                prompt=90_000,
                completion=9_000 + number,
                first_offer=cost * 13 // 10 + number,
                cheapest=cost * 9 // 10,
                listed=cost * 12 // 10,
            )
        )
        if number % 3 == 0:
            asked.append(
                Asked(when, cost // 3, model="größe-<b>small</b>", provider="beta", prompt=40_000)
            )
        if 42 <= number < 70:
            asked.append(
                Asked(
                    when,
                    9 * _CENT,
                    prompt=20,
                    completion=4,
                    first_offer=12 * _CENT,
                    cheapest=8 * _CENT,
                    commitment="fill:flat",
                )
            )
    charge(sql, *asked)

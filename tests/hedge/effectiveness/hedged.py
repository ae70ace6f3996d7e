"""A hedge for tests: ten GPU1 of December 2026 at 2.50 USD, bought on the 3rd of November."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hedge.book.book import HedgeBook
from hedge.book.entering import Entry, EntryKind, enter
from hedge.book.facts import Fill
from hedge.book.fills import enter_fill
from hedge.book.settling import settle
from hedge.effectiveness.accounting import HedgeAccounting, hedge_accounting
from ledger.business_days import business_days_of_month
from ledger.databases.sql import Sql
from ledger.instants import day_ns
from ledger.tables.fixings import Fixing, FixingTable
from ledger.tables.rollups import DAY_S, SUMMED, upsert
from tests.hedge.book.contracts import DESK, approved, at, day

TRADE, MEMO = "fill:GPU1", "designation:memo"
DECEMBER = [one.isoformat() for one in business_days_of_month(2026, 12)]
NOVEMBER_ENDS, DECEMBER_ENDS = at("2026-12-01"), at("2027-01-01")


def bought(
    sql: Sql,
    contract: str = "GPU1",
    units: int = 10,
    price: str = "2.50",
    month: str | None = "2026-12-01",
    when: str = "2026-11-03",
    **more: Any,
) -> str:
    plan = approved(sql, "2026-11-02", {contract: units})
    with sql.transaction():
        book = HedgeBook(sql, at(when))
        fact = Fill(
            plan,
            contract,
            units,
            Decimal(price),
            at(when),
            None if month is None else day(month),
            **more,
        )
        enter_fill(book, f"fill:{contract}", fact, DESK)
    return f"fill:{contract}"


def entered(sql: Sql, when: str, kind: EntryKind, line: str, **fields: Any) -> bool:
    entry = Entry(line, kind, at(when), **fields)
    with sql.transaction():
        return enter(HedgeBook(sql, at(when)), entry, DESK)


def designated(sql: Sql, when: str = "2026-11-03", line: str = "memo", **fields: Any) -> bool:
    said: dict[str, Any] = {
        "fill": TRADE,
        "objective": "pay no more for December than planned",
        "probability": Decimal("0.95"),
    }
    return entered(sql, when, EntryKind.DESIGNATION, line, **(said | fields))


def priced(sql: Sql, series: str, days: dict[str, str], known: str | None = None) -> None:
    with sql.transaction():
        FixingTable(sql).add(
            Fixing(series, at(one), Decimal(value), at(known or one), "test")
            for one, value in days.items()
        )


def settled(sql: Sql, when: str) -> None:
    with sql.transaction():
        settle(HedgeBook(sql, at(when)))


def used(sql: Sql, days: dict[str, tuple[int, int]], model: str = "llama") -> None:
    """Tokens and contracted nano-USD, by day."""
    with sql.transaction():
        sql.execute(
            "INSERT INTO subjects (id, key, key_id, tags, model, provider, upstream_model)"
            " VALUES (1, 'k', 'key', '[]', ?, 'acme', ?)",
            (model, model),
        )
        places = {name: at for at, name in enumerate(SUMMED)}
        for one, (tokens, nanos) in days.items():
            sums = [0] * len(SUMMED)
            sums[places["requests"]] = 1
            sums[places["completion_tokens"]] = tokens
            sums[places["contracted_nanos"]] = nanos
            upsert(sql, {(DAY_S, at(one), 1): tuple(sums)})


def accounted(sql: Sql, month: str, at_ns: int | None = None) -> HedgeAccounting:
    """Of a month, by default when it is over. Every tie holds."""
    first = day(f"{month}-01")
    end = day("2026-12-01") if month == "2026-11" else day("2027-01-01")
    with sql.view():
        found = hedge_accounting(sql, first, day_ns(end) if at_ns is None else at_ns)
    assert [one for one in found.ties if one.difference] == []
    for entry in (*found.journals.book, *found.journals.ifrs9, *found.journals.asc815):
        assert entry.debit == entry.credit > 0
    return found

"""Designating: what a memo says, what it derives, and what is refused."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hedge.book.book import HedgeBook
from hedge.book.entering import Entry, EntryKind, enter
from hedge.book.statement_csv import import_statement
from hedge.errors import EntryRefused
from ledger.audit import verify
from ledger.databases.sql import Sql
from ledger.money import usd
from ledger.tables.records import RecordTable
from tests.hedge.book.contracts import DESK, at, day
from tests.hedge.effectiveness.hedged import (
    MEMO,
    TRADE,
    accounted,
    bought,
    designated,
    entered,
    priced,
    settled,
)


def test_what_follows_from_plan_fill_and_terms(sql: Sql) -> None:
    """Lots, volume, index, month and ratio are derived, and the memo says that they are; who, when
    and the hash of the record are kept; entering it again is no news."""
    bought(sql)
    assert designated(sql)
    assert not designated(sql, when="2026-11-20")
    with sql.view():
        book = HedgeBook(sql, at("2026-11-04"))
        (record,) = (one for one in RecordTable(sql).read() if one.kind == "designation")
    fact = book.designations[MEMO].fact
    assert (fact.fill, fact.lots, fact.volume, fact.index) == (TRADE, 10, Decimal(7300), "SD-H100")
    assert fact.month == fact.item_month == day("2026-12-01")
    (one,) = accounted(sql, "2026-11").relations
    memo = one.memo
    assert memo is not None
    assert (memo.designated_by, memo.designated_at_ns) == (DESK, at("2026-11-03"))
    assert memo.sha256 == hashlib.sha256(record.body.encode()).hexdigest()
    assert memo.plan_sha256 == book.plans[memo.plan].sha256
    assert memo.approved_by == ("ben",)
    assert memo.ratio_says == "10 lots × 730 = 7300 for 7300 units of SD-H100"
    assert {"index", "volume", "strategy", "sources", "method"} <= {*memo.derived}
    assert verify(sql).findings == ()


def test_another_memo_of_that_name(sql: Sql) -> None:
    """Records are never changed."""
    bought(sql)
    designated(sql)
    with pytest.raises(EntryRefused, match="says something else"):
        designated(sql, when="2026-11-20", volume=Decimal(1))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"when": "2026-11-04T00:00", "fill": "fill:x"}, "there is no fill fill:x"),
        ({"objective": None}, "needs an objective"),
        ({"probability": Decimal(0)}, "probability of 0 is none"),
        ({"probability": Decimal("1.5")}, "probability of 1.5 is none"),
        ({"units": 11}, "has 10 open lots"),
        ({"units": -1}, "has 10 open lots"),
        ({"index": "ledger"}, "write --volume"),
        ({"volume": Decimal(0)}, "volume of 0 is none"),
        ({"month": "2026-10-01"}, "2026-10 is over"),
    ],
)
def test_what_is_refused(sql: Sql, said: dict[str, Any], why: str) -> None:
    """With a sentence that says why."""
    bought(sql)
    if "month" in said:
        said = said | {"month": day(said["month"])}
    with pytest.raises(EntryRefused, match=why):
        designated(sql, **said)


def test_no_day_but_today(sql: Sql) -> None:
    """A hedge is documented when it is designated: not for yesterday, and not for tomorrow."""
    bought(sql)
    entry = Entry(
        "memo",
        EntryKind.DESIGNATION,
        at("2026-11-03"),
        fill=TRADE,
        objective="a price",
        probability=Decimal(1),
    )
    with sql.transaction(), pytest.raises(EntryRefused, match="never for a day before or after"):
        enter(HedgeBook(sql, at("2026-11-05")), entry, DESK)


def test_capacity_is_no_derivative(sql: Sql) -> None:
    """A reservation is a purchase still to be performed."""
    bought(sql, "ptu", 15, "260", month=None, months=1)
    with pytest.raises(EntryRefused, match="is no derivative"):
        designated(sql, fill="fill:ptu")


def test_lots_are_designated_once(sql: Sql) -> None:
    """Of ten lots six and four, and no more; what has ended is free again."""
    bought(sql)
    assert designated(sql, units=6)
    assert designated(sql, line="other")
    with pytest.raises(EntryRefused, match="10 of them designated already"):
        designated(sql, line="third")
    assert entered(
        sql,
        "2026-11-05",
        EntryKind.DEDESIGNATION,
        "1",
        fill=MEMO,
        expected=True,
        reason="another hedge fits better",
    )
    assert designated(sql, when="2026-11-05", line="third")
    with sql.view():
        lots = [one.fact.lots for one in HedgeBook(sql, at("2026-11-06")).designations.values()]
    assert lots == [6, 4, 6]


def test_what_has_ended_stays_so(sql: Sql) -> None:
    """It is neither rebalanced nor ended again; and what was never there is none."""
    bought(sql)
    designated(sql)
    ended: dict[str, Any] = {"fill": MEMO, "expected": True, "reason": "sold"}
    entered(sql, "2026-11-05", EntryKind.DEDESIGNATION, "1", **ended)
    assert not entered(sql, "2026-11-09", EntryKind.DEDESIGNATION, "1", **ended)
    with pytest.raises(EntryRefused, match="ended on 2026-11-05: sold"):
        entered(sql, "2026-11-06", EntryKind.DEDESIGNATION, "2", **ended)
    with pytest.raises(EntryRefused, match="ended on 2026-11-05: sold"):
        entered(
            sql,
            "2026-11-06",
            EntryKind.REBALANCING,
            "3",
            fill=MEMO,
            volume=Decimal(1),
            reason="less",
        )
    with pytest.raises(EntryRefused, match="no designation designation:x"):
        entered(
            sql, "2026-11-06", EntryKind.DEDESIGNATION, "4", **(ended | {"fill": "designation:x"})
        )


def test_a_swap_is_designated_by_the_month(sql: Sql) -> None:
    """Each of its months is a relation of its own."""
    bought(sql, "H100-SWAP", 2)
    with pytest.raises(EntryRefused, match="settles in 2026-12, 2027-01, 2027-02"):
        designated(sql, fill="fill:H100-SWAP")
    assert designated(sql, fill="fill:H100-SWAP", month=day("2027-01-01"))
    found = accounted(sql, "2026-11").relations
    assert [(one.trade, one.hypothetical) for one in found] == [
        ("fill:H100-SWAP 2027-01", MEMO),
        ("fill:H100-SWAP 2026-12", None),
        ("fill:H100-SWAP 2027-02", None),
    ]


def test_out_of_a_file(sql: Sql, tmp_path: Path) -> None:
    """The same memo as a line of a statement, with texts between semicolons."""
    bought(sql)
    path = tmp_path / "memo.csv"
    path.write_text(
        "line,kind,at,fill,objective,probability,models,sources,index,volume,method\n"
        f"memo,designation,2026-11-03,{TRADE},keep the price,0.9,llama; qwen ,volume;basis,"
        "ledger,1200,dollar_offset\n"
    )
    with sql.transaction():
        assert import_statement(HedgeBook(sql, at("2026-11-03")), path, DESK).entered == 1
    with sql.transaction():
        assert import_statement(HedgeBook(sql, at("2026-12-03")), path, DESK).known == 1
        fact = HedgeBook(sql, at("2026-12-03")).designations[MEMO].fact
    assert (fact.models, fact.sources) == (("llama", "qwen"), ("volume", "basis"))
    assert (fact.index, fact.volume, str(fact.method)) == (None, Decimal(1200), "dollar_offset")


def test_a_trade_that_is_corrected_takes_its_gain_along(sql: Sql) -> None:
    """The reserve is empty again, and everything ties."""
    bought(sql)
    designated(sql)
    priced(sql, "GPU1 2026-12", {"2026-11-04": "2.80"})
    settled(sql, "2026-11-05")
    assert accounted(sql, "2026-11", at("2026-11-06")).ifrs9.closing == usd(2190)
    entered(sql, "2026-11-10", EntryKind.CORRECTION, "1", fill=TRADE, reason="another desk's")
    found = accounted(sql, "2026-11")
    assert found.ifrs9.closing == 0
    (row,) = found.positions.derivatives
    assert (row.lots, row.gain, row.fair_value) == (0, 0, 0)


def test_designated_twice_on_the_day_of_its_trade(sql: Sql) -> None:
    """The day's gain is in one relation only."""
    bought(sql)
    designated(sql)
    said: dict[str, Any] = {"fill": MEMO, "expected": True, "reason": "the wrong month"}
    entered(sql, "2026-11-03", EntryKind.DEDESIGNATION, "1", **said)
    designated(sql, line="second")
    priced(sql, "GPU1 2026-12", {"2026-11-03": "2.60", "2026-11-04": "2.80"})
    settled(sql, "2026-11-05")
    found = accounted(sql, "2026-11")
    gains = {one.hypothetical: one.ifrs9.derivative for one in found.relations}
    assert gains == {MEMO: usd(730), "designation:second": usd(1460)}

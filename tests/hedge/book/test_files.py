"""Statements and prices out of files: all of a file or nothing, each line once."""

from __future__ import annotations

import csv
import json
import re
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.book.book import HedgeBook
from hedge.book.prices_file import read_prices
from hedge.book.statement_csv import COLUMNS, Imported, import_statement
from hedge.errors import StatementRefused
from ledger.accounting import GlAccount
from ledger.databases.sql import Sql
from ledger.money import usd
from ledger.tables.fixings import Fixing, FixingTable
from ledger.tables.records import RecordTable
from tests.hedge.book.contracts import DESK, approved, at

NOW = "2026-02-20"


@pytest.fixture
def plan(sql: Sql) -> str:
    return approved(sql, "2026-02-01", {"GPU1": 10, "ptu": 20})


def test_the_page_has_every_account_and_no_other() -> None:
    """What the book shows can be looked up."""
    page = Path(__file__).parents[3] / "docs" / "hedge-book.md"
    table = page.read_text(encoding="utf-8").split("| account | what |")[1].split("\n\n")[0]
    told = re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines()[2:]))
    assert sorted(told) == sorted(GlAccount)


def statement(folder: Path, rows: list[dict[str, str]]) -> Path:
    path = folder / "statement.csv"
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def take(sql: Sql, path: Path) -> Imported:
    with sql.transaction():
        return import_statement(HedgeBook(sql, at(NOW)), path, DESK)


def lines(plan: str) -> list[dict[str, str]]:
    future = {"line": "f1", "plan": plan, "contract": "GPU1", "month": "2026-03"}
    return [
        future | {"at": "2026-02-02T15:00:00+01:00", "units": "4", "price_usd": "2.50"},
        future | {"line": "f2", "at": "2026-02-03", "units": "6", "price_usd": "2.52"},
        {"line": "d1", "kind": "deposit", "at": "2026-02-03", "counterparty": "cme", "usd": "4000"},
        {
            "line": "p1",
            "plan": plan,
            "contract": "ptu",
            "at": "2026-02-04",
            "units": "20",
            "price_usd": "260",
            "months": "1",
        },
        {"line": "b1", "kind": "payment", "at": "2026-02-10", "fill": "fill:p1", "usd": "5200"},
    ]


def test_a_statement(sql: Sql, plan: str, tmp_path: Path) -> None:
    """Every line is entered, in its order; the same file again, and a longer one, enter what is
    new; times are told in any zone."""
    path = statement(tmp_path, lines(plan))
    assert take(sql, path) == Imported(entered=5, known=0)
    before = list(RecordTable(sql).read())
    assert take(sql, path) == Imported(entered=0, known=5)
    assert list(RecordTable(sql).read()) == before
    back = {"line": "d2", "kind": "deposit", "at": "2026-02-11", "counterparty": "cme"}
    longer = statement(tmp_path, [*lines(plan), back | {"usd": "-1000"}])
    assert take(sql, longer) == Imported(entered=1, known=5)
    book = HedgeBook(sql, at(NOW))
    assert book.fills["fill:f1"].at_ns == at("2026-02-02T14:00")
    assert book.deposits("cme") == usd("3000")
    assert book.balance(GlAccount.CASH) == -usd("3000") - usd("55") - usd("5200")


BAD: list[tuple[dict[str, str], str]] = [
    ({"contract": "GPU9"}, ":3: plan-"),
    ({"units": "7"}, "approves 10 units of GPU1 for 2026-03, 4 are filled: 7 more"),
    ({"units": "1.5"}, ":3: units: 1.5 is no whole number"),
    ({"price_usd": "2.505"}, ":3: GPU1 trades in ticks"),
    ({"price_usd": "1e99"}, ":3: price_usd: '1e99' is no number"),
    ({"at": "yesterday"}, ":3: at: 'yesterday' is no time"),
    ({"month": "March"}, ":3: month: 'March' is no month"),
    ({"kind": "buy"}, ":3: kind: 'buy' is none: write one of fill, payment"),
    ({"line": ""}, ":3: line: it is empty"),
    ({"line": "f1"}, ":3: line: f1 stands on line 2 already"),
    ({"plan": ""}, ":3: a fill needs plan"),
    ({"usd": "1"}, ":3: a fill has no amount"),
]


@pytest.mark.parametrize(("change", "said"), BAD)
def test_a_line_that_is_refused(
    sql: Sql, plan: str, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    """It is named by file and line, and nothing of the file is entered."""
    first, second, *rest = lines(plan)
    path = statement(tmp_path, [first, second | change, *rest])
    before = list(RecordTable(sql).read())
    with pytest.raises(StatementRefused) as refused:
        take(sql, path)
    assert str(refused.value).startswith(f"{path}:3: ")
    assert said in str(refused.value)
    assert list(RecordTable(sql).read()) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line and at are needed"),
        ("line,at,colour\n", "there is no column 'colour'"),
        ("line,at\nx,2026-02-02,3\n", ":2: 3 cells under 2 columns"),
        ("\xff", "is no CSV in UTF-8"),
    ],
)
def test_a_file_that_is_no_statement(sql: Sql, tmp_path: Path, text: str, said: str) -> None:
    """A sentence, no traceback."""
    path = tmp_path / "statement.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StatementRefused, match=said):
        take(sql, path)
    with pytest.raises(StatementRefused, match="cannot read"):
        take(sql, tmp_path / "nowhere.csv")


@given(st.binary(max_size=60), st.sampled_from([b"", b"line,at\n", b"series,at,value\n", b"["]))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, raw: bytes, start: bytes) -> None:
    """Whatever a file holds, its prices are read, or refused with a sentence."""
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(start + raw)
    with suppress(StatementRefused):
        read_prices(path, at(NOW))


def test_prices_out_of_csv_and_json(tmp_path: Path) -> None:
    """Both say the same; without known_at they are known since now."""
    rows = [
        {"series": "SD-H100", "at": "2026-02-02", "value": "2.81"},
        {"series": "GPU1 2026-03", "at": "2026-02-02T21:00:00+01:00", "value": "2.5"},
    ]
    as_json, as_csv = tmp_path / "prices", tmp_path / "prices.csv"
    as_json.write_text(json.dumps(rows).replace('"2.81"', "2.81"))
    statement(tmp_path, rows).rename(as_csv)
    expected = [
        ("SD-H100", at("2026-02-02"), Decimal("2.81"), at(NOW)),
        ("GPU1 2026-03", at("2026-02-02T20:00"), Decimal("2.5"), at(NOW)),
    ]
    for path in (as_json, as_csv):
        found = read_prices(path, at(NOW))
        assert [(one.series, one.at_ns, one.value, one.known_at_ns) for one in found] == expected
        assert {one.source for one in found} == {path.name}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("SD,2026-02-02,-1,", ":2: value: '-1' is no price above 0"),
        ("SD,2026-02-02,n/a,", "is no price above 0"),
        ("SD,2026-02-02,1e12,", "is no price above 0"),
        ("SD,2026-02-21,1,", "not in the future"),
        ("SD,0001-01-01,1,", "0001-01-01 is before 1970, where the books begin"),
        ("SD,2026-02-02,1,2026-02-01", "known after it was made"),
        ("SD,2026-02-02,1,2026-02-21", "not in the future"),
        (",2026-02-02,1,", "series: write an index"),
        ("SD,today,1,", "at: 'today' is no time"),
    ],
)
def test_prices_that_are_refused(tmp_path: Path, row: str, said: str) -> None:
    """With file and line; a negative one is how some sources say that there is none."""
    path = tmp_path / "prices.csv"
    path.write_text(f"series,at,value,known_at\n{row}\n")
    with pytest.raises(StatementRefused, match=said):
        read_prices(path, at(NOW))


def test_a_restatement_is_kept_beside_what_it_restates(sql: Sql) -> None:
    """What was known at a time stays to be asked for; the same again is no news."""
    table = FixingTable(sql)
    first = Fixing("I", 10, Decimal("2.5"), 20, "a")
    second = Fixing("I", 10, Decimal("2.6"), 30, "b")
    with sql.transaction():
        assert table.add([first, second]) == 2
        assert table.add([first, second, Fixing("I", 10, Decimal("2.60"), 40, "c")]) == 0
        assert table.add([Fixing("I", 11, Decimal("2.5"), 20, "a")]) == 1
    assert [one.value for one in table.known("I", 25, 0, 11)] == [Decimal("2.5")]
    assert table.known("I", 30, 0, 11) == [second]
    assert [one.at_ns for one in table.known("I", 30, 0, 12)] == [10, 11]
    assert table.known("I", 19, 0, 12) == []
    assert table.known("J", 99, 0, 99) == []


def test_columns_are_documented() -> None:
    """docs/hedge-book.md names every column."""
    text = (Path(__file__).parents[3] / "docs" / "hedge-book.md").read_text()
    assert [name for name in COLUMNS if f"`{name}`" not in text] == []

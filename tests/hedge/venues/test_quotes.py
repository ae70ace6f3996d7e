"""Files of quotes: one shape, and every line that is wrong is named."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.errors import QuotesUnreadable
from hedge.venues.executable import Executable, Level
from hedge.venues.quotes import read_quotes

HEAD = "contract,month,at,bid,bid_lots,ask,ask_lots,valid_until"
AT = "2026-11-20T15:00:00Z"


def read(folder: Path, *lines: str, name: str = "q.csv") -> tuple[Executable, ...]:
    path = folder / name
    path.write_text("\n".join(lines), encoding="utf-8")
    return read_quotes(path)


def test_a_book_has_its_levels_best_first(tmp_path: Path) -> None:
    """Rows in any order; a perpetual has no month; a side may be empty."""
    found = read(
        tmp_path,
        HEAD,
        f"gpu1,2027-01,{AT},2.54,100,2.60,80,",
        f"gpu1,2027-01,{AT},2.55,40,2.58,25,",
        f"perp,,{AT},,,3.01,7,2026-11-21T00:00:00+01:00",
    )
    book, perp = found
    assert (book.contract, book.month) == ("gpu1", date(2027, 1, 1))
    assert book.at == datetime(2026, 11, 20, 15, tzinfo=UTC)
    assert book.bids == (Level(Decimal("2.55"), 40), Level(Decimal("2.54"), 100))
    assert book.asks == (Level(Decimal("2.58"), 25), Level(Decimal("2.60"), 80))
    assert (perp.month, perp.bids, perp.asks) == (None, (), (Level(Decimal("3.01"), 7),))
    assert perp.valid_until == datetime(2026, 11, 20, 23, tzinfo=UTC)


ROW = st.tuples(
    st.sampled_from(("a", "b")),
    st.sampled_from(("2027-01", "2027-02", "")),
    st.decimals("0.001", 10, places=3),
    st.integers(1, 1000),
)


@given(st.lists(ROW, unique_by=lambda row: row[:3], max_size=12))
def test_csv_and_json_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, Decimal, int]]
) -> None:
    """Any rows, read from either, are the same books, with every lot."""
    folder = tmp_path_factory.mktemp("quotes")
    lines = [f"{name},{month},{AT},,,{price},{lots}," for name, month, price, lots in rows]
    objects = [
        {"contract": name, "month": month, "at": AT, "bid": None, "bid_lots": None}
        | {"ask": float(price), "ask_lots": lots}
        for name, month, price, lots in rows
    ]
    of_csv = read(folder, HEAD, *lines)
    of_json = read(folder, json.dumps(objects), name="q.json")
    assert [(one.name, one.asks) for one in of_csv] == [(one.name, one.asks) for one in of_json]
    assert sum(level.lots for one in of_csv for level in one.asks) == sum(row[3] for row in rows)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"gpu1,2027-01,{AT},-0.10,40,2.58,25,", "negative prices are not traded on"),
        (f"gpu1,2027-01,{AT},NaN,40,2.58,25,", "bid NaN is no price"),
        (f"gpu1,2027-01,{AT},,,0.00,25,", "nobody sells for nothing"),
        (f"gpu1,2027-01,{AT},cheap,40,2.58,25,", "bid 'cheap' is no price: write digits"),
        (f"gpu1,2027-01,{AT},2.5,1.5,2.58,25,", "bid_lots '1.5' are none: write whole lots"),
        (f"gpu1,2027-01,{AT},2.5,,2.58,25,", "bid_lots '' are none"),
        (f"gpu1,2027-01,{AT},2.5,0,2.58,25,", "bid_lots '0' are none"),
        (f"gpu1,2027-13,{AT},2.5,1,2.58,25,", "month '2027-13' is none: write it as in 2027-01"),
        ("gpu1,2027-01,2026-11-20T15:00:00,2.5,1,,,", "at '2026-11-20T15:00:00' is no time"),
        ("gpu1,2027-01,noon,2.5,1,,,", "at 'noon' is no time"),
        (f",2027-01,{AT},2.5,1,,,", "contract is missing"),
        (f"gpu1,2027-01,{AT},,,,,", "neither a bid nor an ask"),
        (f"gpu1,2027-01,{AT},2.5,1,,,,,", "more cells than columns"),
        (f"good,2027-01,{AT},2.40,5,,,", "bid 2.40 stands twice: add up its lots"),
        ("good,2027-01,2026-11-20T16:00:00Z,2.30,5,,,", "a second book of good, with another time"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    """The file, the line, and what to write; nothing of such a file is used."""
    good = f"good,2027-01,{AT},2.4,7,,,"
    with pytest.raises(QuotesUnreadable) as refused:
        read(tmp_path, HEAD, good, line)
    assert str(refused.value).startswith(f"{tmp_path / 'q.csv'}:3: ")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("q.csv", "contract,month", "no column at: the first line is contract,month,at,"),
        ("q.csv", "", "no column contract"),
        ("q.json", "{}", "write a list of objects"),
        ("q.json", "[1]", "q.json[0]: write an object"),
        ("q.json", "[{", "no JSON"),
        ("q.json", '[{"contract": "a", "mid": 2}]', "unknown column mid"),
        ("q.json", '[{"contract": "a", "bid": true}]', "write an object"),
    ],
)
def test_what_is_no_file_of_quotes(tmp_path: Path, name: str, text: str, says: str) -> None:
    """Another shape is told, never guessed at."""
    with pytest.raises(QuotesUnreadable) as refused:
        read(tmp_path, text, name=name)
    assert says in str(refused.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    """A sentence, not a traceback."""
    with pytest.raises(QuotesUnreadable, match="cannot be read: No such file"):
        read_quotes(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(QuotesUnreadable, match="not UTF-8"):
        read_quotes(tmp_path / "b.csv")

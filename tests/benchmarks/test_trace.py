"""Reading traces: what is right is read as it stands, what is wrong is named by file and line."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.errors import MarketError, TraceInvalid
from benchmarks.trace import MAX_TOKENS, TraceRow, azure_conversation, read_trace

HEADER = "t_seconds,input_tokens,output_tokens\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text, encoding="utf-8")
    return path


tokens = st.integers(1, MAX_TOKENS)
rows = st.lists(
    st.builds(TraceRow, st.floats(0, 1e9, allow_nan=False), tokens, tokens), min_size=1, max_size=30
).map(lambda some: sorted(some, key=lambda row: row.t_seconds))


@given(rows=rows, compressed=st.booleans())
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[TraceRow], compressed: bool
) -> None:
    """Any trace comes back exactly, in any order of columns, beside others, compressed or not."""
    text = "output_tokens,kind,t_seconds,input_tokens\n" + "".join(
        f"{row.output_tokens},chat,{row.t_seconds!r},{row.input_tokens}\n" for row in rows
    )
    path = tmp_path_factory.getbasetemp() / ("trace.csv.gz" if compressed else "trace.csv")
    path.write_bytes(gzip.compress(text.encode(), 1) if compressed else text.encode())

    assert read_trace(path) == rows


def test_marks_of_spreadsheets_are_read_over(tmp_path: Path) -> None:
    """A byte order mark, CRLF and blank lines, as spreadsheets write them, do no harm."""
    path = written(tmp_path, "\ufeff" + HEADER.strip() + "\r\n\r\n0,1,2\r\n")

    assert read_trace(path) == [TraceRow(0.0, 1, 2)]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "has to name the columns t_seconds, input_tokens, output_tokens"),
        ("time,in,out\n0,1,1\n", 1, "has to name the columns"),
        (HEADER, 1, "no rows"),
        (HEADER + "0,1,1\nsoon,1,1\n", 3, "t_seconds 'soon'"),
        (HEADER + "0,1,1\nnan,1,1\n", 3, "t_seconds 'nan'"),
        (HEADER + "-1,1,1\n", 2, "t_seconds '-1'"),
        (HEADER + "0,1,1\n\n0,0,1\n", 4, "input_tokens '0'"),
        (HEADER + "0,1,1.5\n", 2, "output_tokens '1.5'"),
        (HEADER + f"0,{MAX_TOKENS + 1},1\n", 2, "input_tokens"),
        (HEADER + "0,1\n", 2, "2 values under 3 columns"),
        (HEADER + "0,1,1\n5,1,1\n4,1,1\n", 4, "sort rows by time"),
        (HEADER + "0,1,1\n" * 6, 7, "more than 5 rows"),
        (HEADER + "0,1," + "1" * 20_000, 2, "more than 10000 characters"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    """Every mistake raises TraceInvalid, which says the file, the line and what is wrong there."""
    path = written(tmp_path, text)

    with pytest.raises(TraceInvalid) as caught:
        read_trace(path, max_rows=5)

    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert what in str(caught.value)


def test_what_is_no_text_file_is_named(tmp_path: Path) -> None:
    """A missing file, a folder, other encodings and half a gzip file are the market's own error."""
    latin = tmp_path / "latin.csv"
    latin.write_bytes(HEADER.encode() + b"\xff\xfe\n")
    half = tmp_path / "half.csv.gz"
    half.write_bytes(gzip.compress((HEADER + "0,1,1\n" * 999).encode())[:-20])
    no_gzip = tmp_path / "no.csv.gz"
    no_gzip.write_text(HEADER)

    for path in (tmp_path / "absent.csv", tmp_path, latin, half, no_gzip):
        with pytest.raises(MarketError, match=path.name):
            read_trace(path)


def test_the_azure_trace_is_the_real_one() -> None:
    """The packaged slice has the rows published for it, in order, and gives as many as asked."""
    every = azure_conversation()

    assert every[:2] == [TraceRow(0.0, 374, 44), TraceRow(4.3146, 396, 109)]
    assert len(every) == 4000
    assert all(one.t_seconds <= two.t_seconds for one, two in pairwise(every))
    assert azure_conversation(10) == every[:10]


@pytest.mark.parametrize("rows", [0, -1, 4001])
def test_more_of_the_azure_trace_than_there_is_is_refused(rows: int) -> None:
    """A number of rows that the package does not have is an error, not fewer rows."""
    with pytest.raises(ValueError, match="1 to 4000"):
        azure_conversation(rows)

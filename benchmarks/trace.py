"""TraceRow: one request of a recorded trace, by when it came and how many tokens it had."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import IO

from benchmarks.errors import TraceInvalid

MAX_ROWS = 1_000_000
MAX_TOKENS = 2_000_000
"""More tokens than any model takes in one request, in or out."""
AZURE_CONVERSATION_ROWS = 4_000
_MAX_LINE_CHARS = 10_000


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One request: seconds since the start of its trace, tokens in, tokens out."""

    t_seconds: float
    input_tokens: int
    output_tokens: int


COLUMNS = tuple(one.name for one in fields(TraceRow))


def read_trace(path: Path, *, max_rows: int = MAX_ROWS) -> list[TraceRow]:
    """The rows of a CSV file (`.gz` too) that has the columns of TraceRow; others are ignored.

    Raises TraceInvalid, with file and line, for what is no such file, for a row out of order of
    time, for token counts outside 1 to MAX_TOKENS and for more than `max_rows` rows.
    """
    try:
        with _open(path) as file:
            return list(_rows(file, str(path), max_rows))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TraceInvalid(f"{path} is no whole gzip file ({error}): fetch it again") from None
    except UnicodeDecodeError:
        raise TraceInvalid(f"{path} is no UTF-8 text: export the trace as UTF-8 CSV") from None
    except OSError as error:
        reason = error.strerror or error
        raise TraceInvalid(f"{path} cannot be read ({reason}): name a readable CSV file") from None


def azure_conversation(rows: int = AZURE_CONVERSATION_ROWS) -> list[TraceRow]:
    """The first `rows` requests of the Azure LLM inference trace 2023, conversation (CC BY 4.0).

    Raises ValueError for less than one row, or more than the 4,000 that come with the package.
    """
    if not 1 <= rows <= AZURE_CONVERSATION_ROWS:
        raise ValueError(f"{rows} rows of the Azure trace: ask for 1 to {AZURE_CONVERSATION_ROWS}")
    packaged = resources.files("benchmarks") / "data" / "azure_llm_2023_conv.csv"
    with packaged.open(encoding="utf-8") as file:
        return list(_rows(file, packaged.name, AZURE_CONVERSATION_ROWS))[:rows]


def _open(path: Path) -> IO[str]:
    # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _rows(file: IO[str], source: str, max_rows: int) -> Iterator[TraceRow]:
    reader = csv.reader(_lines(file, source))

    def wrong(what: str) -> TraceInvalid:
        return TraceInvalid(f"{source}:{max(1, reader.line_num)}: {what}")

    try:
        header = next(reader, [])
        places = _places(header)
        if places is None:
            raise wrong(f"the first line has to name the columns {', '.join(COLUMNS)}")
        count, before = 0, 0.0
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise wrong(f"{len(cells)} values under {len(header)} columns: write one for each")
            try:
                row = _row(*(cells[place] for place in places))
            except ValueError as error:
                raise wrong(str(error)) from None
            count += 1
            if row.t_seconds < before:
                raise wrong(f"t_seconds {row.t_seconds} comes after {before}: sort rows by time")
            if count > max_rows:
                raise wrong(f"more than {max_rows} rows: cut the trace")
            before = row.t_seconds
            yield row
        if not count:
            raise wrong("no rows under the columns: a trace needs at least one")
    except csv.Error as error:
        raise wrong(f"no CSV ({error})") from None


def _lines(file: IO[str], source: str) -> Iterator[str]:
    """Lines of bounded length: a small compressed file may hold one line of gigabytes."""
    number = 0
    while line := file.readline(_MAX_LINE_CHARS + 1):
        number += 1
        if len(line) > _MAX_LINE_CHARS:
            raise TraceInvalid(
                f"{source}:{number}: a line of more than {_MAX_LINE_CHARS} characters is no row"
            )
        yield line


def _places(header: Iterable[str]) -> tuple[int, ...] | None:
    names = [name.strip() for name in header]
    return tuple(map(names.index, COLUMNS)) if set(COLUMNS) <= set(names) else None


def _row(t_seconds: str, input_tokens: str, output_tokens: str) -> TraceRow:
    return TraceRow(
        _seconds(t_seconds),
        _tokens("input_tokens", input_tokens),
        _tokens("output_tokens", output_tokens),
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"t_seconds {text!r}: write seconds since the start, 0 or more")
    return seconds


def _tokens(column: str, text: str) -> int:
    try:
        tokens = int(text)
    except ValueError:
        tokens = 0
    if not 1 <= tokens <= MAX_TOKENS:
        raise ValueError(f"{column} {text!r}: write a whole number from 1 to {MAX_TOKENS}")
    return tokens

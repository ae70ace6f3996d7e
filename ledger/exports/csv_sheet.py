"""CsvSheet: rows as RFC 4180, with exact decimals, and no cell that a spreadsheet would run.

A cell of text that somebody else wrote and that begins with one of `= + - @`, a tab or a carriage
return is a formula to a spreadsheet. It gets an apostrophe in front, which a spreadsheet takes for
the mark of text; and so that nothing is lost, text that begins with an apostrophe gets one, too.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from ledger.exports.columns import Cell, Column, Kind, Row

_NANOS_PER_S = 1_000_000_000
_REMEMBERED = 10_000
"""Labels and seconds come again and again: their texts are kept."""
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "'")


class CsvSheet:
    """An open CSV file: UTF-8, a header, CRLF, nothing for None."""

    def __init__(self, path: Path, columns: tuple[Column, ...]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._texts = [_TEXT[column.kind] for column in columns]
        self._writer.writerow([column.name for column in columns])

    def write(self, row: Row) -> None:
        self._writer.writerow(
            [
                None if cell is None else text(cell)
                for text, cell in zip(self._texts, row, strict=True)
            ]
        )

    def close(self) -> None:
        self._file.close()


def guarded(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def unguarded(text: str) -> str:
    """The text that was guarded."""
    return text.removeprefix("'")


def number(exact: Decimal) -> str:
    """All digits, no exponent, and always a point: a reader that guesses types sees a decimal in
    every row or in none."""
    text = f"{exact:f}"
    if "." not in text:
        return f"{text}.0"
    text = text.rstrip("0")
    return f"{text}0" if text.endswith(".") else text


@lru_cache(_REMEMBERED)
def _second(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // _NANOS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(at_ns: int) -> str:
    return f"{_second(at_ns)[:-1]}.{at_ns % _NANOS_PER_S:09d}Z"


def _flag(flag: bool) -> str:
    return "true" if flag else "false"


def _plain(cell: Cell) -> str:
    return str(cell)


_TEXT: dict[Kind, Callable[[Any], str]] = {
    Kind.TEXT: _plain,
    Kind.ID: guarded,
    Kind.LABEL: lru_cache(_REMEMBERED)(guarded),
    Kind.FLAG: _flag,
    Kind.COUNT: _plain,
    Kind.MILLISECONDS: repr,
    Kind.NANOS: number,
    Kind.FINEST: number,
    Kind.MOMENT: _moment,
    Kind.SECOND: _second,
}

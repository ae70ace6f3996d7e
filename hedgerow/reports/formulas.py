"""Formulas: `{name}` in the formula of a figure becomes the cells where it stands in a workbook."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from xlsxwriter.utility import xl_col_to_name

from hedgerow.errors import DocumentUnsound
from hedgerow.reports.document import Figure, Table
from hedgerow.reports.figures import known

_NAME = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Placed:
    """A table and where it stands: row and column (from 0) of its first cell under the heads."""

    table: Table
    sheet: str
    row: int
    column: int = 0


class Cells:
    """The cells of all tables of a workbook."""

    def __init__(self, placed: Iterable[Placed]) -> None:
        self._tables = {one.table.id: _Names(one) for one in placed}

    def formula(
        self, formula: str, sheet: str, here: tuple[Table, int] | None = None
    ) -> str | None:
        """The formula as Excel has it, begun with `=`, for a cell of `sheet`; here: the table and
        the number of the row in which it stands. None if it hangs on a cell whose value is not
        known, or on the rows of a table that has none: then only the value can be written.

        Rows of a column that are no total are one range, or several with commas between where a
        total stands among them. Raises DocumentUnsound for a name that there is not.
        """
        missing = False

        def cells(match: re.Match[str]) -> str:
            nonlocal missing
            found = self._cells(match[1], formula, sheet, here)
            missing = missing or found is None
            return found or ""

        text = _NAME.sub(cells, formula)
        return None if missing else f"={text.removeprefix('=')}"

    def _cells(
        self, name: str, formula: str, sheet: str, here: tuple[Table, int] | None
    ) -> str | None:
        table_id, _, rest = name.partition(".")
        if not rest:
            if here is None:
                raise DocumentUnsound(
                    f"the formula {formula!r} names the column {name} of its own row, but stands"
                    " in no table: write {table.column.row}"
                )
            table, row = here
            return self._names(table.id, name, formula).cell(name, row, formula)
        of = self._names(table_id, name, formula)
        prefix = "" if of.placed.sheet == sheet else f"{quoted(of.placed.sheet)}!"
        column, _, row_key = rest.partition(".")
        if not row_key:
            return of.rows_of(column, formula, prefix)
        if row_key not in of.rows:
            if not of.rows:
                return None
            raise DocumentUnsound(
                f"the formula {formula!r} names the row {row_key!r}, which the table {table_id}"
                " has not"
            )
        return of.cell(column, of.rows[row_key], formula, prefix, hold="$")

    def _names(self, table_id: str, name: str, formula: str) -> _Names:
        try:
            return self._tables[table_id]
        except KeyError:
            raise DocumentUnsound(
                f"the formula {formula!r} names {name}, but the report has no table {table_id}"
            ) from None


class _Names:
    def __init__(self, placed: Placed) -> None:
        table = placed.table
        self.placed = placed
        self.columns = {one.key: number for number, one in enumerate(table.columns)}
        self.rows = {one.key: number for number, one in enumerate(table.rows)}
        self._runs = _runs([not row.is_total for row in table.rows])

    def cell(
        self, column: str, row: int, formula: str, prefix: str = "", hold: str = ""
    ) -> str | None:
        number = self._column(column, formula)
        cell = self.placed.table.rows[row].cells[number]
        if isinstance(cell, Figure) and known(cell) is None:
            return None
        name = xl_col_to_name(self.placed.column + number)
        return f"{prefix}{hold}{name}{hold}{self.placed.row + row + 1}"

    def rows_of(self, column: str, formula: str, prefix: str) -> str | None:
        name = xl_col_to_name(self.placed.column + self._column(column, formula))
        above = self.placed.row + 1
        ranges = [
            f"{prefix}${name}${above + first}:${name}${above + last}" for first, last in self._runs
        ]
        return ",".join(ranges) or None

    def _column(self, column: str, formula: str) -> int:
        try:
            return self.columns[column]
        except KeyError:
            raise DocumentUnsound(
                f"the formula {formula!r} names the column {column!r}, which the table"
                f" {self.placed.table.id} has not"
            ) from None


def _runs(marks: list[bool]) -> list[tuple[int, int]]:
    """First and last of each run of marks that are set."""
    edges = [
        number
        for number, (one, other) in enumerate(pairwise([False, *marks, False]))
        if one is not other
    ]
    return [(first, past - 1) for first, past in zip(edges[::2], edges[1::2], strict=True)]


def quoted(sheet: str) -> str:
    """A sheet's name as formulas write it."""
    return "'" + sheet.replace("'", "''") + "'"

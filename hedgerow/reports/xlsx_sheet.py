"""Sheet: writes text, figures and tables to a sheet of a workbook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from hedgerow.reports.document import Cell, Figure, Row, Table
from hedgerow.reports.figures import UNKNOWN, exact, known, shape_of, why_not
from hedgerow.reports.formulas import Cells, quoted
from hedgerow.reports.sourcing import columns_of_sources, sources_of_row
from hedgerow.reports.xlsx_formats import Formats
from hedgerow.reports.xlsx_layout import lines, words_under

LONG = 20
"""From so many rows on a table has filters, and heads that stay in sight."""
_LINE_PT = 13.5
_HIGHEST_PT = 409.0
_LINKED_ROWS = 1_000
_LONGEST = 32_000
_DIGITS = 15
"""What a cell keeps of a number: more digits stand in the cell's note."""
_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def prints_well(sheet: Worksheet) -> None:
    """On A4, lying, no wider than a page."""
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.set_margins(left=0.4, right=0.4, top=0.75, bottom=0.75)


class Sheet:
    """source_rows: in which row (from 0) of `sources_sheet` a source is told."""

    def __init__(
        self,
        sheet: Worksheet,
        name: str,
        formats: Formats,
        cells: Cells,
        sources: tuple[str, Mapping[str, int]],
        widths: Sequence[int],
    ) -> None:
        self.sheet = sheet
        self.name = name
        self.formats = formats
        self._cells = cells
        self._sources_sheet, self._source_rows = sources
        self._widths = widths
        for number, width in enumerate(widths):
            sheet.set_column(number, number, width)
        sheet.hide_gridlines(2)
        prints_well(sheet)

    def text(self, row: int, column: int, text: str, look: Format | None = None) -> None:
        """Text as text, whatever it begins with."""
        if look is None:
            look = self.formats.text(is_quoted=text.startswith(_BEGINS_FORMULA))
        if len(text) > _LONGEST:
            text = f"{text[:_LONGEST]}… (cut here: a cell holds no more, other formats do)"
        self.sheet.write_string(row, column, text, look)

    def words(self, row: int, text: str, look: Format | None = None) -> int:
        """A paragraph over all columns; the row after it."""
        look = look or self.formats.words
        last = len(self._widths) - 1
        if last:
            self.sheet.merge_range(row, 0, row, last, "", look)
        self.sheet.write_string(row, 0, text, look)
        self.height(row, lines(text, sum(self._widths)))
        return row + 1

    def height(self, row: int, count: int) -> None:
        """Room for so many lines: not every program finds out by itself."""
        self.sheet.set_row(row, min(_HIGHEST_PT, _LINE_PT * count + 2))

    def source(self, row: int, column: int, said: str, is_linked: bool = True) -> None:
        """The name of a source, as a link to where it is told if it is a single one."""
        if is_linked and said in self._source_rows:
            place = f"internal:{quoted(self._sources_sheet)}!A{self._source_rows[said] + 1}"
            self.sheet.write_url(row, column, place, self.formats.link, said)
        else:
            self.sheet.write_string(row, column, said, self.formats.source)

    def figure(
        self,
        row: int,
        column: int,
        figure: Figure,
        look: Format | None = None,
        here: tuple[Table, int] | None = None,
        is_total: bool = False,
    ) -> None:
        """The exact value, or its formula with the value kept beside it."""
        value = known(figure)
        if value is None:
            self.sheet.write_string(row, column, UNKNOWN, self.formats.unknown(is_total))
            self._note(row, column, why_not(figure))
            return
        look = look or self.formats.number(shape_of(value, figure.unit), is_total)
        formula = None
        if figure.formula is not None:
            formula = self._cells.formula(figure.formula, self.name, here)
        if formula is None:
            self.sheet.write_number(row, column, float(value), look)
        else:
            self.sheet.write_formula(row, column, formula, look, value)
        if not isinstance(value, float) and _digits(Decimal(value)) > _DIGITS:
            self._note(row, column, f"Exactly {exact(figure)}")

    def _note(self, row: int, column: int, text: str) -> None:
        self.sheet.write_comment(row, column, text, {"author": "", "font_size": 9})

    def table(self, row: int, table: Table) -> int:
        """A table with its title, notes and sources; the row after it."""
        self.text(row, 0, table.title, self.formats.heading)
        if not table.rows:
            row = self.words(row + 1, table.empty)
        else:
            sources = columns_of_sources(table)
            self._heads(row + 1, table, sources is None)
            self._rows(row + 2, table, sources is None)
            self._filter(row + 1, table, sources is None)
            row += 2 + len(table.rows)
            for source, titles in (sources or {}).items():
                self.source(row, 0, source)
                self.text(row, 1, ", ".join(titles), self.formats.aside)
                row += 1
        for text in words_under(table):
            row = self.words(row, text, self.formats.note)
        return row

    def _rows(self, first: int, table: Table, has_source: bool) -> None:
        is_linked = len(table.rows) <= _LINKED_ROWS
        for number, row in enumerate(table.rows):
            at, most = first + number, 1
            for column, cell in enumerate(row.cells):
                self._cell(at, column, cell, (table, number), row)
                if isinstance(cell, str):
                    most = max(most, lines(cell, self._widths[column]))
            if has_source and (said := sources_of_row(table, row)):
                self.source(at, len(row.cells), said, is_linked)
                most = max(most, lines(said, self._widths[len(row.cells)]))
            if most > 1:
                self.height(at, most)

    def _heads(self, row: int, table: Table, has_source: bool) -> None:
        for number, column in enumerate(table.columns):
            is_number = any(isinstance(one.cells[number], Figure) for one in table.rows)
            look = self.formats.later_head if number else self.formats.head
            look = self.formats.number_head if is_number else look
            self.text(row, number, column.title, look)
        if has_source:
            self.text(row, len(table.columns), "Source", self.formats.later_head)

    def _cell(self, row: int, column: int, cell: Cell, here: tuple[Table, int], of: Row) -> None:
        match cell:
            case Figure():
                self.figure(row, column, cell, here=here, is_total=of.is_total)
            case str():
                is_quoted = cell.startswith(_BEGINS_FORMULA)
                self.text(row, column, cell, self.formats.text(of.is_total, is_quoted, column > 0))
            case date():
                day = datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001 - a day has no zone
                self.sheet.write_datetime(
                    row, column, day, self.formats.day(of.is_total, column > 0)
                )
            case None:
                self.sheet.write_blank(row, column, None, self.formats.text(of.is_total))

    def _filter(self, head: int, table: Table, has_source: bool) -> None:
        """A long table as one that Excel knows: what is sorted and filtered leaves totals alone."""
        rows = len(table.rows)
        while rows and table.rows[rows - 1].is_total:
            rows -= 1
        titles = [column.title for column in table.columns]
        if has_source:
            titles.append("Source")
        is_plain = (
            rows <= LONG
            or any(row.is_total for row in table.rows[:rows])
            or len({title.casefold() for title in titles}) < len(titles)
            or not all(titles)
        )
        if not is_plain:
            self.sheet.add_table(
                head,
                0,
                head + rows,
                len(titles) - 1,
                {
                    "name": f"t_{table.id}",
                    "style": "Table Style Light 1",
                    "columns": [
                        {"header": title, "header_format": self.formats.head} for title in titles
                    ],
                },
            )


def _digits(value: Decimal) -> int:
    return len(value.normalize().as_tuple().digits) if value else 0

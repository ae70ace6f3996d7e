"""Layout: which block of a section stands in which rows of its sheet, and how wide columns are."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from hedgerow.charts import Chart
from hedgerow.errors import DocumentUnsound
from hedgerow.reports.document import Block, Cell, Figure, Section, SignOff, Table, Text
from hedgerow.reports.figures import shown
from hedgerow.reports.formulas import Placed
from hedgerow.reports.sourcing import columns_of_sources, reasons, sources_of_row

CHART_ROWS = 20
NARROWEST_SPAN = 96
"""Characters that a paragraph has in a line, at least."""
_MOST_ROWS = 1_048_576
_WIDEST = 46
_WIDEST_HEAD = 16
_SPARE_COLUMN = 9
_PIECE = 1_800
_SHEET_NAME = 31
_FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f]")


@dataclass(frozen=True, slots=True)
class Placement:
    block: Block
    row: int


@dataclass(frozen=True, slots=True)
class SheetLayout:
    """widths: of the columns in characters. Paragraphs go over all of them."""

    name: str
    section: Section
    placements: tuple[Placement, ...]
    widths: tuple[int, ...]

    def placed(self) -> Iterator[Placed]:
        """Where the cells of tables stand: under their title and their heads."""
        for one in self.placements:
            if isinstance(one.block, Table):
                yield Placed(one.block, self.name, one.row + 2)


def layouts(sections: Iterable[Section], taken: Iterable[str]) -> tuple[SheetLayout, ...]:
    """One sheet for each section; taken: names of other sheets.

    Raises DocumentUnsound for a section that has more rows than a sheet can hold.
    """
    names = {name.casefold() for name in taken}
    made = []
    for section in sections:
        row, placements = 2, []
        for block in section.blocks:
            placements.append(Placement(block, row))
            row += _rows_of(block)
        if row > _MOST_ROWS:
            raise DocumentUnsound(
                f"the section {section.id} has {row:,} rows, and a sheet holds {_MOST_ROWS:,}:"
                " leave rows out, or sum them up"
            )
        widths = _widths(section)
        made.append(SheetLayout(_free_name(section.id, names), section, tuple(placements), widths))
    return tuple(made)


def pieces(text: str, most: int = _PIECE) -> tuple[str, ...]:
    """A text in parts that cells can hold and show, cut between words where it can be."""
    if len(text) <= most:
        return (text,)
    parts = textwrap.wrap(
        text, most, replace_whitespace=False, drop_whitespace=False, expand_tabs=False
    )
    return tuple(parts)


def words_under(table: Table) -> tuple[str, ...]:
    """What stands under a table: its notes, and why figures in it are not known."""
    unknown = (f"Not known: {reason}" for reason in reasons(table))
    return tuple(piece for text in (*table.notes, *unknown) for piece in pieces(text))


def lines(text: str, width: float) -> int:
    """How many lines of so many characters a text takes, with words broken only where they must."""
    return sum(max(1, -(-chars(line) // max(1, int(1.1 * width)))) for line in text.split("\n"))


def chars(text: str) -> int:
    """How wide a text is: signs of East Asia are twice as wide."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _rows_of(block: Block) -> int:
    """With the empty row that follows it."""
    match block:
        case Text(paragraphs):
            return sum(len(pieces(one)) for one in paragraphs) + 1
        case Table(rows=()):
            return 3 + len(words_under(block))
        case Table():
            sources = columns_of_sources(block) or {}
            return 3 + len(block.rows) + len(sources) + len(words_under(block))
        case Chart():
            return 3 + CHART_ROWS + len(block.notes)
        case SignOff():
            return 3 + 2 * len(block.roles)


def _widths(section: Section) -> tuple[int, ...]:
    widths: list[int] = []
    for block in section.blocks:
        if isinstance(block, SignOff):
            _widen(widths, 0, 24)
        if not isinstance(block, Table) or not block.rows:
            continue
        for number, column in enumerate(block.columns):
            _widen(widths, number, _head_width(column.title))
            _widen(widths, number, max(_width(row.cells[number]) for row in block.rows))
        if columns_of_sources(block) is None:
            for row in block.rows:
                _widen(widths, len(block.columns), chars(sources_of_row(block, row)))
    fitted = [min(width, _WIDEST) + 2 for width in widths]
    if not fitted:
        return (NARROWEST_SPAN,)
    while sum(fitted) < NARROWEST_SPAN:
        fitted.append(_SPARE_COLUMN)
    return tuple(fitted)


def _widen(widths: list[int], number: int, least: int) -> None:
    while len(widths) <= number:
        widths.append(len("Source"))
    widths[number] = max(widths[number], least)


def _head_width(title: str) -> int:
    longest = max((chars(word) for word in title.split()), default=0)
    # Room for the sign that opens a column's filter.
    return max(longest, min(chars(title), _WIDEST_HEAD)) + 2


def _width(cell: Cell) -> int:
    match cell:
        case Figure():
            return len(shown(cell)) + 1
        case str():
            return max((chars(line) for line in cell.splitlines()), default=0)
        case date():
            return len("2027-01-31")
        case None:
            return 0


def _free_name(section_id: str, names: set[str]) -> str:
    """A sheet's name from a section's: what Excel takes, and no other sheet has."""
    said = _FORBIDDEN.sub(" ", section_id).replace("-", " ").replace("_", " ").strip(" '")
    said = (said[:1].upper() + said[1:])[:_SHEET_NAME].rstrip(" '") or "Section"
    name, number = said, 1
    while name.casefold() in names or name.casefold() == "history":
        number += 1
        name = f"{said[: _SHEET_NAME - len(str(number)) - 1]} {number}"
    names.add(name.casefold())
    return name

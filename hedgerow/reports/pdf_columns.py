"""How the columns of a table are laid on pages: upright, across, in smaller type, or in parts."""

from __future__ import annotations

import math
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate

from hedgerow.reports.document import Cell, Figure, Row, Table
from hedgerow.reports.figures import known, shown, why_not
from hedgerow.reports.pdf_blocks import HEADINGS, SMALL, mark_width_pt, paragraph, source_anchor
from hedgerow.reports.pdf_pages import LYING_WIDTH_PT, WIDTH_PT, Block
from hedgerow.reports.pdf_table import LEADING, PAD_PT, Grid, GridColumn, GridRow, Item
from hedgerow.reports.pdf_text import BOLD, PLAIN, Style, width_of, wrap
from hedgerow.reports.sourcing import reasons, sources_of_columns

_SIZE_PT, _SMALLER_PT = 8.0, 7.0
_WORD_PT, _HEAD_PT = 96.0, 84.0
"""Words are broken only if they are longer."""
_TEXT_PT = 170.0
"""So wide a column of text would like to be, if it has much to say."""
_FEW_LINES, _MORE_LINES, _OF_HEAD = 3.0, 1.6, 0.8
_TALLEST = 30
"""Lines of a row on one page: what has more goes on in a row of its own."""
_MARK_GAP_PT = 1.5


@dataclass(frozen=True, slots=True)
class _Measure:
    """Of a column, at one point of type: its widest number or day, which are never broken; its
    widest word; its widest cell; and the same of its title."""

    firm: float
    word: float
    natural: float
    title: float
    title_word: float
    mark_pt: float
    is_number: bool

    def least_pt(self, size_pt: float) -> float:
        """Without breaking a number, or a word that is not long."""
        return self._within(self.word, self.title_word, _WORD_PT, size_pt)

    def liked_pt(self, size_pt: float) -> float:
        return max(
            self.least_pt(size_pt), self._within(self.natural, self.title, _TEXT_PT, size_pt)
        )

    def full_pt(self, size_pt: float) -> float:
        return max(self.liked_pt(size_pt), self._within(self.natural, 0.0, math.inf, size_pt))

    def _within(self, text: float, title: float, most_pt: float, size_pt: float) -> float:
        words = max(self.firm * size_pt, min(text * size_pt, most_pt))
        return max(words, min(title * size_pt, _HEAD_PT)) + 2 * PAD_PT + self.mark_pt + 0.1


@dataclass(frozen=True, slots=True)
class _Fit:
    """columns: which of the table stand in this part."""

    columns: tuple[int, ...]
    widths_pt: tuple[float, ...]
    size_pt: float
    is_lying: bool


def table_blocks(table: Table) -> list[Block]:
    """A table with what stands under it; in parts where it has more columns than a page holds."""
    if not table.rows:
        title = paragraph(
            table.title, HEADINGS[1], gap_pt=12.0, goes_with_next=True, anchor=table_anchor(table)
        )
        under = [paragraph(note, SMALL, gap_pt=3.0) for note in table.notes]
        return [title, paragraph(table.empty), *under]
    marks = {reason: letters(number) for number, reason in enumerate(reasons(table))}
    sources = sources_of_columns(table)
    measures = [_measure(table, number, sources, marks) for number in range(len(table.columns))]
    fits = _fits(measures)
    blocks: list[Block] = []
    for number, fit in enumerate(fits):
        part = f", part {number + 1} of {len(fits)}" if len(fits) > 1 else ""
        blocks.append(_grid(table, f"{table.title}{part}", number, fit, measures, sources, marks))
    width = LYING_WIDTH_PT if fits[-1].is_lying else WIDTH_PT
    under_it = [*(f"{mark}  {reason}" for reason, mark in marks.items()), *table.notes]
    blocks += (
        paragraph(text, SMALL, gap_pt=3.0, width_pt=width, is_lying=fits[-1].is_lying)
        for text in under_it
    )
    return blocks


def table_anchor(table: Table) -> str:
    return f"table-{table.id}"


def letters(number: int) -> str:
    """a to z, then aa."""
    more, last = divmod(number, len(string.ascii_lowercase))
    return (letters(more - 1) if more else "") + string.ascii_lowercase[last]


def _measure(
    table: Table, number: int, sources: Sequence[str | None], marks: dict[str, str]
) -> _Measure:
    is_number = any(isinstance(row.cells[number], Figure) for row in table.rows)
    firm = word = natural = mark = 0.0
    for row in table.rows:
        cell = row.cells[number]
        font = BOLD if row.is_total else PLAIN
        for line in _text(cell).splitlines():
            width = width_of(line, font)
            natural = max(natural, width)
            if isinstance(cell, str):
                word = max(word, *(width_of(one, font) for one in line.split(" ")))
            else:
                firm = max(firm, width)
        if said := _mark(cell, sources[number], marks)[0]:
            mark = max(mark, mark_width_pt(said) + _MARK_GAP_PT)
    title = table.columns[number].title
    title_word = max(width_of(one, BOLD) for one in title.split(" "))
    return _Measure(firm, word, natural, width_of(title, BOLD), title_word, mark, is_number)


def _fits(measures: Sequence[_Measure]) -> list[_Fit]:
    """Upright if rows get not much higher by that; else across, in smaller type, or in parts."""
    everything = tuple(range(len(measures)))
    lying = _widths_pt(measures, _SIZE_PT, LYING_WIDTH_PT)
    most = _FEW_LINES
    if lying is not None:
        most = max(most, _MORE_LINES * _tallest(measures, lying, _SIZE_PT))
    for size in (_SIZE_PT, _SMALLER_PT):
        upright = _widths_pt(measures, size, WIDTH_PT)
        if upright is not None and _tallest(measures, upright, size) <= most:
            return [_Fit(everything, upright, size, is_lying=False)]
    if lying is not None:
        return [_Fit(everything, lying, _SIZE_PT, is_lying=True)]
    if smaller := _widths_pt(measures, _SMALLER_PT, LYING_WIDTH_PT):
        return [_Fit(everything, smaller, _SMALLER_PT, is_lying=True)]
    # The first column names the rows, and so begins each part.
    widths = [min(one.least_pt(_SIZE_PT), LYING_WIDTH_PT / 2) for one in measures]
    widths[0] = min(measures[0].liked_pt(_SIZE_PT), LYING_WIDTH_PT / 2)
    parts = [[0]]
    for number in everything[1:]:
        if len(parts[-1]) > 1 and sum(widths[one] for one in (*parts[-1], number)) > LYING_WIDTH_PT:
            parts.append([0])
        parts[-1].append(number)
    return [
        _Fit(tuple(part), tuple(widths[one] for one in part), _SIZE_PT, is_lying=True)
        for part in parts
    ]


def _widths_pt(
    measures: Sequence[_Measure], size_pt: float, room_pt: float
) -> tuple[float, ...] | None:
    """The least that columns need, and what room is left first to what is read as text; None if
    there is less room than they need."""
    widths = [one.least_pt(size_pt) for one in measures]
    if sum(widths) > room_pt:
        return None
    liked = [one.liked_pt(size_pt) for one in measures]
    full = [one.full_pt(size_pt) for one in measures]
    for wanted, is_number in ((liked, False), (liked, True), (full, False)):
        more = [
            max(0.0, most - width) if one.is_number is is_number else 0.0
            for one, most, width in zip(measures, wanted, widths, strict=True)
        ]
        if sum(more) > 0:
            part = min(1.0, (room_pt - sum(widths)) / sum(more))
            widths = [width + part * one for width, one in zip(widths, more, strict=True)]
    return tuple(widths)


def _tallest(measures: Sequence[_Measure], widths: Sequence[float], size_pt: float) -> float:
    """Lines of the cell that needs most of them, about; a head may have a few more."""
    return max(
        max(one.natural, _OF_HEAD * one.title) * size_pt / (width - 2 * PAD_PT - one.mark_pt)
        for one, width in zip(measures, widths, strict=True)
    )


def _grid(
    table: Table,
    name: str,
    part: int,
    fit: _Fit,
    measures: Sequence[_Measure],
    sources: Sequence[str | None],
    marks: dict[str, str],
) -> Grid:
    leading = fit.size_pt * LEADING
    head = Style(BOLD, fit.size_pt, leading)
    columns = tuple(
        GridColumn(
            tuple(
                wrap(
                    table.columns[number].title,
                    head,
                    width - 2 * PAD_PT - measures[number].mark_pt,
                )
            ),
            width,
            measures[number].mark_pt,
            measures[number].is_number,
            sources[number],
        )
        for number, width in zip(fit.columns, fit.widths_pt, strict=True)
    )
    rows: list[GridRow] = []
    heights: list[float] = [0.0]
    for row in table.rows:
        for made in _rows(row, fit, columns, sources, marks):
            rows.append(made)
            tallest = max(len(item.lines) for item in made.items)
            heights.append(max(1, tallest) * leading + PAD_PT)
    return Grid(
        gap_pt=12.0,
        is_lying=fit.is_lying,
        anchor=table_anchor(table) if part == 0 else f"{table_anchor(table)}-{part + 1}",
        name=name,
        title=tuple(wrap(name, HEADINGS[1], LYING_WIDTH_PT if fit.is_lying else WIDTH_PT)),
        columns=columns,
        rows=rows,
        ends_pt=tuple(accumulate(heights)),
        size_pt=fit.size_pt,
        first=0,
        past=len(rows),
    )


def _rows(
    row: Row,
    fit: _Fit,
    columns: Sequence[GridColumn],
    sources: Sequence[str | None],
    marks: dict[str, str],
) -> Iterator[GridRow]:
    style = Style(BOLD if row.is_total else PLAIN, fit.size_pt, fit.size_pt * LEADING)
    items = []
    for number, column in zip(fit.columns, columns, strict=True):
        cell = row.cells[number]
        text = _text(cell)
        width = column.width_pt - 2 * PAD_PT - column.mark_pt
        lines = tuple(wrap(text, style, width)) if text else ()
        items.append(Item(lines, *_mark(cell, sources[number], marks)))
    tallest = max(len(item.lines) for item in items)
    if tallest <= _TALLEST:
        yield GridRow(tuple(items), row.is_total, is_last=True)
        return
    for begin in range(0, tallest, _TALLEST):
        cut = tuple(
            Item(
                item.lines[begin : begin + _TALLEST],
                *((item.mark, item.link) if begin == 0 else ("", None)),
            )
            for item in items
        )
        yield GridRow(cut, row.is_total, is_last=begin + _TALLEST >= tallest)


def _text(cell: Cell) -> str:
    match cell:
        case Figure():
            return shown(cell)
        case str():
            return cell
        case date():
            return cell.isoformat()
        case None:
            return ""


def _mark(cell: Cell, source: str | None, marks: dict[str, str]) -> tuple[str, str | None]:
    """What stands small after a number, and where it leads: why it is not known, or its source if
    that is not the one of its whole column."""
    if not isinstance(cell, Figure):
        return "", None
    if known(cell) is None:
        return marks[why_not(cell)], None
    return ("", None) if source else (cell.source, source_anchor(cell.source))

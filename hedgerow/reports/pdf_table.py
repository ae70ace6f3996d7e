"""Tables on pages: columns as wide as what stands in them, heads on each page, rows never cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hedgerow.reports.pdf_blocks import HEADINGS, SMALL, draw_mark, mark_width_pt, source_anchor
from hedgerow.reports.pdf_pages import HEIGHT_PT, Block, Pages
from hedgerow.reports.pdf_text import (
    BOLD,
    PLAIN,
    Canvas,
    Line,
    Style,
    draw_line,
    draw_line_to,
    wrap,
)

PAD_PT = 3.5
LEADING = 1.3
_MARK_GAP_PT = 1.5
_HEAD_GAP_PT = 3.0
_LINKED_ROWS = 200
_WHOLE, _BEGIN_PT = 0.4, 40.0
"""Tables up to this part of a page stand on one; others begin with so much of their rows."""


@dataclass(frozen=True, slots=True)
class Item:
    """A cell in lines. mark: the small sign after its number; link: where that leads."""

    lines: tuple[Line, ...]
    mark: str = ""
    link: str | None = None


@dataclass(frozen=True, slots=True)
class GridRow:
    """is_last: a rule stands under it; what goes on has none."""

    items: tuple[Item, ...]
    is_total: bool
    is_last: bool


@dataclass(frozen=True, slots=True)
class GridColumn:
    """mark_pt: room for marks at the right of its numbers. source: of all its figures."""

    title: tuple[Line, ...]
    width_pt: float
    mark_pt: float
    is_number: bool
    source: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid(Block):
    """rows from `first` to before `past`, of a layout that parts of a table share. ends_pt: where
    each row ends below the heads, from the first of all."""

    title: tuple[Line, ...]
    name: str
    columns: tuple[GridColumn, ...]
    rows: Sequence[GridRow]
    ends_pt: Sequence[float]
    size_pt: float
    first: int
    past: int

    @property
    def _leading_pt(self) -> float:
        return self.size_pt * LEADING

    @property
    def _head_pt(self) -> float:
        lines = max(len(column.title) for column in self.columns) * self._leading_pt
        marks = 7.0 if any(column.source for column in self.columns) else 0.0
        return lines + marks + 2 * _HEAD_GAP_PT

    @property
    def _title_pt(self) -> float:
        return len(self.title) * HEADINGS[1].leading_pt + 4

    def _rows_pt(self, past: int) -> float:
        return self.ends_pt[past] - self.ends_pt[self.first]

    def height_pt(self) -> float:
        return self._title_pt + self._head_pt + self._rows_pt(self.past)

    def least_pt(self) -> float:
        """A short table is not cut, a long one begins with a few rows."""
        if self.height_pt() <= _WHOLE * HEIGHT_PT:
            return self.height_pt()
        past = self.first
        while past < self.past and self._rows_pt(past) < _BEGIN_PT:
            past += 1
        return self._title_pt + self._head_pt + self._rows_pt(past)

    def cut(self, room_pt: float) -> tuple[Grid, Grid]:
        room = room_pt - self._title_pt - self._head_pt
        past = self.first + 1
        while past < self.past and self._rows_pt(past + 1) <= room:
            past += 1
        # The last row, as a total, is not torn from all others.
        if past > self.first + 1 and past == self.past - 1:
            past -= 1
        going_on = tuple(
            wrap(f"{self.name}, continued", replace(HEADINGS[1], font=SMALL.font), 400)
        )
        return (
            replace(self, past=past),
            replace(self, first=past, title=going_on, anchor="", gap_pt=0.0),
        )

    def draw(self, canvas: Canvas, x: float, y: float, pages: Pages) -> None:
        del pages
        if self.anchor:
            canvas.bookmarkHorizontal(self.anchor, x, y + 12)
            canvas.addOutlineEntry(self.name, self.anchor, 1, closed=True)
        for line in self.title:
            draw_line(canvas, x, y - 10.5, line, HEADINGS[1])
            y -= HEADINGS[1].leading_pt
        y -= 4
        width = sum(column.width_pt for column in self.columns)
        self._draw_heads(canvas, x, y, width)
        y -= self._head_pt
        is_linked = len(self.rows) <= _LINKED_ROWS
        for number in range(self.first, self.past):
            height = self.ends_pt[number + 1] - self.ends_pt[number]
            self._draw_row(canvas, x, y, width, self.rows[number], height, is_linked)
            y -= height

    def _draw_heads(self, canvas: Canvas, x: float, y: float, width: float) -> None:
        canvas.setFillGray(0.9)
        canvas.rect(x, y - self._head_pt, width, self._head_pt, 0, 1)
        _rule(canvas, x, y - self._head_pt, width, 0.3, 0.8)
        style = Style(BOLD, self.size_pt, self._leading_pt)
        for column in self.columns:
            at = y - _HEAD_GAP_PT
            right = x + column.width_pt - PAD_PT - column.mark_pt
            for line in column.title:
                base = at - 0.8 * self._leading_pt
                if column.is_number:
                    draw_line_to(canvas, right, base, line, style)
                else:
                    draw_line(canvas, x + PAD_PT, base, line, style)
                at -= self._leading_pt
            if column.source:
                left = right - mark_width_pt(column.source) if column.is_number else x + PAD_PT
                draw_mark(canvas, left, at - 5.5, column.source, source_anchor(column.source))
            x += column.width_pt

    def _draw_row(
        self,
        canvas: Canvas,
        x: float,
        y: float,
        width: float,
        row: GridRow,
        height: float,
        is_linked: bool,
    ) -> None:
        if row.is_total:
            canvas.setFillGray(0.95)
            canvas.rect(x, y - height, width, height, 0, 1)
            _rule(canvas, x, y, width, 0.2, 0.8)
        style = Style(BOLD if row.is_total else PLAIN, self.size_pt, self._leading_pt)
        begin = x
        for column, item in zip(self.columns, row.items, strict=True):
            base = y - PAD_PT / 2 - 0.8 * self._leading_pt
            right = begin + column.width_pt - PAD_PT - column.mark_pt
            for line in item.lines:
                if column.is_number:
                    draw_line_to(canvas, right, base, line, style)
                else:
                    draw_line(canvas, begin + PAD_PT, base, line, style)
                base -= self._leading_pt
            if item.mark:
                raised = y - PAD_PT / 2 - 0.8 * self._leading_pt + 0.3 * self.size_pt
                link = item.link if is_linked else None
                draw_mark(canvas, right + _MARK_GAP_PT, raised, item.mark, link)
            begin += column.width_pt
        if row.is_last:
            _rule(canvas, x, y - height, width, 0.8, 0.4)


def _rule(canvas: Canvas, x: float, y: float, width: float, grey: float, size: float) -> None:
    canvas.setStrokeGray(grey)
    canvas.setLineWidth(size)
    canvas.line(x, y, x + width, y)

"""A document as a workbook: every number exact, and live where a reviewer would check it.

The verdict is the first sheet, then a sheet for each section, what the charts draw, the sources and
how to make the same again. A cell holds 15 digits of a number: one that has more (an amount above a
million USD, to the nano-USD) is in full in the note of its cell. The same document gives the same
bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from xlsxwriter import Workbook

from hedgerow.charts import Chart
from hedgerow.reports.document import Document, Figure, Headline, SignOff, Source, Table, Text
from hedgerow.reports.figures import WORDS, known, shape_of, why_not
from hedgerow.reports.formulas import Cells, quoted
from hedgerow.reports.soundness import check
from hedgerow.reports.xlsx_charts import Charts
from hedgerow.reports.xlsx_formats import Formats
from hedgerow.reports.xlsx_layout import CHART_ROWS, SheetLayout, layouts, lines, pieces
from hedgerow.reports.xlsx_sheet import LONG, Sheet, prints_well

_VERDICT, _DATA, _SOURCES, _REPRODUCTION = "Verdict", "Chart data", "Sources", "Reproduction"
_SOURCES_TITLE, _REPRODUCTION_TITLE = "Sources of the figures", "How to make this report again"
_MADE = datetime(2000, 1, 1, tzinfo=UTC)
"""Stands where a workbook says when it was made: a document does not know."""
_LONGEST = 30_000
"""Characters of one cell: Excel takes 32,767."""
_HEADLINE_LINES = 2
_HEADER = 200
_VERDICT_WIDTHS = (34, 20, 12, 54, 10)
_SOURCE_WIDTHS = (9, 44, 90, 40, 14)
_PAIR_WIDTHS = (44, 100)
_HIGHEST_HEAD = 12


def workbook(document: Document) -> bytes:
    """The bytes of an XLSX file.

    Raises DocumentUnsound as `check` does, and for a formula that names what is not there.
    """
    check(document)
    file = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_numbers": False,
        "strings_to_urls": False,
        "use_future_functions": True,
    }
    with Workbook(file, options) as book:
        _Book(book, document).write()
    return file.getvalue()


class _Book:
    def __init__(self, book: Workbook, document: Document) -> None:
        self._book, self._document = book, document
        fixed = (_VERDICT, _DATA, _SOURCES, _REPRODUCTION)
        self._layouts = layouts(document.sections, fixed)
        self._cells = Cells(placed for one in self._layouts for placed in one.placed())
        self._formats = Formats(book)
        rows, at = {}, 2
        for source in document.sources:
            rows[source.id] = at
            at += max(len(pieces(text, _LONGEST)) for text in _told(source))
        self._source_rows = rows
        book.set_properties(
            {
                "title": document.title,
                "subject": document.subtitle,
                "comments": " ".join(document.labels),
                "author": "Hedgerow",
                "created": _MADE.replace(tzinfo=None),
            }
        )
        book.set_calc_mode("auto")

    def write(self) -> None:
        verdict = self._sheet(_VERDICT, _VERDICT_WIDTHS)
        sheets = [self._sheet(one.name, one.widths) for one in self._layouts]
        data = self._book.add_worksheet(_DATA)
        prints_well(data)
        sources = self._sheet(_SOURCES, _SOURCE_WIDTHS)
        reproduction = self._sheet(_REPRODUCTION, _PAIR_WIDTHS)
        self._verdict(verdict)
        charts = Charts(self._book, data, _DATA, self._formats)
        data.freeze_panes(2, 0)
        if not any(self._document.charts()):
            data.hide()
        for sheet, layout in zip(sheets, self._layouts, strict=True):
            self._section(sheet, layout, charts)
        self._sources(sources)
        self._reproduction(reproduction)
        verdict.sheet.fit_to_pages(1, 1)
        verdict.sheet.activate()

    def _sheet(self, name: str, widths: Sequence[int]) -> Sheet:
        sheet = self._book.add_worksheet(name)
        document = self._document
        says = "; ".join((f"{document.title}, {document.subtitle}", *document.labels))
        while len(said := says.replace("&", "&&")) > _HEADER:
            says = f"{says[:-2]}…"
        # With a space, since figures after the size would belong to it.
        sheet.set_header(f"&L&8 {said}&R&8 &A")
        sheet.set_footer("&R&8 Page &P of &N")
        sources = (_SOURCES, self._source_rows)
        return Sheet(sheet, name, self._formats, self._cells, sources, widths)

    def _verdict(self, sheet: Sheet) -> None:
        document, formats = self._document, self._formats
        row = sheet.words(0, document.title, formats.title)
        sheet.sheet.set_row(0, 24)
        row = sheet.words(row, document.subtitle)
        for label in document.labels:
            row = sheet.words(row, label, formats.note)
        row += 1
        verdict = document.verdict
        if WORDS[verdict.tone]:
            sheet.text(row, 0, f"Verdict: {WORDS[verdict.tone]}", formats.tone(verdict.tone))
            row += 1
        for sentence in verdict.sentences:
            for piece in pieces(sentence):
                row = sheet.words(row, piece)
        row += 1
        for number, headline in enumerate(verdict.headlines):
            at = row + number
            sheet.text(at, 0, headline.label, formats.label)
            self._large(sheet, at, headline.figure)
            sheet.text(at, 2, WORDS[headline.tone], formats.tone(headline.tone))
            sheet.text(at, 3, _measured(headline), formats.words)
            sheet.height(at, max(_HEADLINE_LINES, lines(_measured(headline), _VERDICT_WIDTHS[3])))
            sheet.source(at, 4, headline.figure.source)
        row += len(verdict.headlines) + 1
        sheet.text(row, 0, "In this workbook", formats.heading)
        contents = [(one.name, one.section.title) for one in self._layouts]
        contents += [
            (_SOURCES, _SOURCES_TITLE),
            (_REPRODUCTION, _REPRODUCTION_TITLE),
        ]
        for number, (name, title) in enumerate(contents, row + 1):
            sheet.sheet.write_url(number, 0, f"internal:{quoted(name)}!A1", formats.link, name)
            sheet.text(number, 1, title, formats.aside)

    def _large(self, sheet: Sheet, row: int, figure: Figure) -> None:
        value = known(figure)
        look = None
        if value is not None:
            look = self._formats.large(shape_of(value, figure.unit))
        sheet.figure(row, 1, figure, look)

    def _section(self, sheet: Sheet, layout: SheetLayout, charts: Charts) -> None:
        formats, section = self._formats, layout.section
        sheet.words(0, section.title, formats.title)
        sheet.sheet.set_row(0, 24)
        for one in layout.placements:
            row = one.row
            match one.block:
                case Text(paragraphs):
                    for text in paragraphs:
                        for piece in pieces(text):
                            row = sheet.words(row, piece)
                case Table() as table:
                    sheet.table(row, table)
                case Chart() as chart:
                    sheet.text(row, 0, chart.title, formats.heading)
                    sheet.words(row + 1, chart.says)
                    charts.draw(chart, sheet.sheet, row + 2)
                    for number, note in enumerate(chart.notes):
                        sheet.words(row + 2 + CHART_ROWS + number, note, formats.note)
                case SignOff() as signing:
                    self._sign(sheet, row, signing)
        self._hold_heads(sheet, layout)

    def _hold_heads(self, sheet: Sheet, layout: SheetLayout) -> None:
        """The heads of a sheet's only table stay in sight, and are printed on each page."""
        tables = [one for one in layout.placements if isinstance(one.block, Table)]
        if len(tables) == 1 and isinstance(table := tables[0].block, Table) and table.rows:
            head = tables[0].row + 1
            sheet.sheet.repeat_rows(head)
            if len(table.rows) > LONG and head <= _HIGHEST_HEAD:
                sheet.sheet.freeze_panes(head + 1, 0)

    def _sign(self, sheet: Sheet, row: int, signing: SignOff) -> None:
        row = sheet.words(row, signing.statement)
        for role in signing.roles:
            sheet.sheet.set_row(row + 1, 30)
            sheet.text(row + 1, 0, role, self._formats.label)
            for column, said in enumerate(("Name", "Signature", "Date"), 1):
                sheet.text(row + 1, column, said, self._formats.line)
            row += 2

    def _sources(self, sheet: Sheet) -> None:
        formats = self._formats
        sheet.words(0, _SOURCES_TITLE, formats.title)
        heads = ("Source", "What it is", "Query of the books", "Command", "Computed from")
        for column, head in enumerate(heads):
            sheet.text(1, column, head, formats.head)
        for source in self._document.sources:
            looks = (formats.label, formats.words, formats.code, formats.code, formats.words)
            for column, (text, look) in enumerate(zip(_told(source), looks, strict=True)):
                for number, piece in enumerate(pieces(text, _LONGEST)):
                    sheet.text(self._source_rows[source.id] + number, column, piece, look)
        sheet.sheet.freeze_panes(2, 0)
        sheet.sheet.repeat_rows(1)

    def _reproduction(self, sheet: Sheet) -> None:
        formats, said = self._formats, self._document.reproduction
        sheet.words(0, _REPRODUCTION_TITLE, formats.title)
        sheet.text(1, 0, "Command", formats.head)
        sheet.text(1, 1, said.command, formats.code)
        seeds = tuple((name, str(seed)) for name, seed in said.seeds)
        row = 3
        for title, pairs in (
            ("Inputs, and their SHA-256", said.inputs),
            ("Versions", said.versions),
            ("Seeds", seeds),
        ):
            row = _pairs(sheet, row, title, pairs, formats)


def _measured(headline: Headline) -> str:
    """What a headline is measured against, and why it is not known if it is not."""
    if known(headline.figure) is not None:
        return headline.note
    why = why_not(headline.figure)
    return f"{headline.note}: {why}" if headline.note else why


def _pairs(
    sheet: Sheet, row: int, title: str, pairs: Iterable[tuple[str, str]], formats: Formats
) -> int:
    found = tuple(pairs)
    sheet.text(row, 0, title, formats.head)
    sheet.text(row, 1, "" if found else "none", formats.head)
    for number, (name, value) in enumerate(found, row + 1):
        sheet.text(number, 0, name)
        sheet.text(number, 1, value, formats.code)
    return row + len(found) + 2


def _told(source: Source) -> tuple[str, str, str, str, str]:
    return (
        source.id,
        source.says,
        source.sql or "",
        source.command or "",
        ", ".join(source.of),
    )

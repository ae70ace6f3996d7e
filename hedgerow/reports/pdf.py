"""A document as PDF: the verdict first, then contents, sections, sources and how to make it again.

All pages are laid out before the first is drawn, so that each number of a page is known. The same
document gives the same file.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from reportlab.pdfgen.canvas import Canvas as NewCanvas

from hedgerow.charts import Chart
from hedgerow.reports.document import Document, Section, SignOff, Source, Table, Text
from hedgerow.reports.pdf_blocks import (
    BODY,
    CODE,
    HEADINGS,
    SMALL,
    SUBTITLE,
    TITLE,
    Chip,
    contents_row,
    heading,
    headline_row,
    paragraph,
    sign_row,
    source_anchor,
)
from hedgerow.reports.pdf_charts import plot
from hedgerow.reports.pdf_columns import table_blocks
from hedgerow.reports.pdf_pages import LEFT, LYING_PT, TOP, UPRIGHT_PT, Block, Page, Pages, paginate
from hedgerow.reports.pdf_text import Canvas, Style, cut_to, draw_text, draw_text_to, width_of
from hedgerow.reports.soundness import check

_SOURCES = ("Sources of the figures", "sources")
_REPRODUCTION = ("How to make this report again", "reproduction")
_EDGE = Style(size_pt=7.0, leading_pt=9.0, ink=0.3)
_LABEL_GREY = 0.93


def pdf(document: Document) -> bytes:
    """The bytes of a PDF file of A4 pages, upright or across where a table needs it.

    Raises DocumentUnsound as `check` does.
    """
    check(document)
    pages = paginate(list(_blocks(document)))
    file = io.BytesIO()
    canvas = NewCanvas(
        file,
        pagesize=UPRIGHT_PT,
        invariant=1,
        pageCompression=1,
        lang="en",
    )
    canvas.setTitle(f"{document.title}: {document.subtitle}")
    canvas.setSubject("; ".join(document.labels) or document.subtitle)
    canvas.setAuthor("Hedgerow")
    canvas.setCreator("Hedgerow")
    canvas.setViewerPreference("DisplayDocTitle", "true")
    canvas.showOutline()
    for number, page in enumerate(pages.pages, 1):
        _draw(canvas, document, page, number, pages)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def _draw(canvas: Canvas, document: Document, page: Page, number: int, pages: Pages) -> None:
    width, height = LYING_PT if page.is_lying else UPRIGHT_PT
    canvas.setPageSize((width, height))
    room = width - 2 * LEFT
    if number > 1:
        subtitle = cut_to(document.subtitle, _EDGE, room / 2 - 10)
        title = cut_to(document.title, _EDGE, room / 2 - 10)
        draw_text(canvas, LEFT, height - 40, title, _EDGE)
        draw_text_to(canvas, width - LEFT, height - 40, subtitle, _EDGE)
        _rule(canvas, height - 45, width)
    count = f"page {number} of {len(pages.pages)}"
    left = room - width_of(count, _EDGE.font) * _EDGE.size_pt - 12
    _rule(canvas, 38, width)
    draw_text(canvas, LEFT, 28, cut_to("; ".join(document.labels), _EDGE, left), _EDGE)
    draw_text_to(canvas, width - LEFT, 28, count, _EDGE)
    for at, block in page.placed:
        block.draw(canvas, LEFT, height - TOP - at, pages)


def _rule(canvas: Canvas, y: float, width: float) -> None:
    canvas.setStrokeGray(0.6)
    canvas.setLineWidth(0.5)
    canvas.line(LEFT, y, width - LEFT, y)


def _blocks(document: Document) -> Iterator[Block]:
    yield from _first_page(document)
    for number, section in enumerate(document.sections, 1):
        yield from _section(section, number)
    yield from _sources(document.sources)
    yield from _reproduction(document)


def _first_page(document: Document) -> Iterator[Block]:
    verdict = document.verdict
    yield paragraph(document.title, TITLE, anchor="verdict")
    yield paragraph(document.subtitle, SUBTITLE)
    for label in document.labels:
        yield paragraph(label, BODY, gap_pt=9.0, indent_pt=5.0, shade=_LABEL_GREY)
    yield Chip(tone=verdict.tone, before="Verdict: ", gap_pt=16.0, goes_with_next=True)
    large = Style(size_pt=10.0, leading_pt=14.5)
    for sentence in verdict.sentences:
        yield paragraph(sentence, large, gap_pt=5.0)
    yield paragraph(" ", SMALL)
    for headline in verdict.headlines:
        yield headline_row(headline)
    yield paragraph("Contents", HEADINGS[1], gap_pt=18.0, goes_with_next=True)
    for number, section in enumerate(document.sections, 1):
        yield contents_row(f"{number}. {section.title}", _anchor(section), goes_with_next=True)
    yield contents_row(*_SOURCES, goes_with_next=True)
    yield contents_row(*_REPRODUCTION, goes_with_next=False)


def _anchor(section: Section) -> str:
    return f"section-{section.id}"


def _section(section: Section, number: int) -> Iterator[Block]:
    title = f"{number}. {section.title}"
    yield heading(title, _anchor(section), begins_page=number == 1)
    if not section.blocks:
        yield paragraph("There is nothing to tell here.")
    for block in section.blocks:
        match block:
            case Text(paragraphs):
                yield from (paragraph(text) for text in paragraphs)
            case Table():
                yield from table_blocks(block)
            case Chart():
                yield plot(block)
            case SignOff(roles, statement):
                yield paragraph(statement, goes_with_next=True)
                last = len(roles) - 1
                yield from (
                    sign_row(role, goes_with_next=place < last) for place, role in enumerate(roles)
                )


def _sources(sources: Iterable[Source]) -> Iterator[Block]:
    yield heading(*_SOURCES, begins_page=True)
    yield paragraph(
        "Each number above has the sign of one of these. A query can be run against the books as"
        " it stands here, in SQLite and in PostgreSQL, and gives the figures in nano-USD, a"
        " billionth of a dollar."
    )
    for source in sources:
        anchor = source_anchor(source.id)
        yield paragraph(source.id, HEADINGS[1], gap_pt=10.0, goes_with_next=True, anchor=anchor)
        codes = [code for code in (source.command, source.sql) if code]
        yield paragraph(source.says, gap_pt=1.0, goes_with_next=bool(codes))
        if source.of:
            said = f"Computed from {', '.join(source.of)}."
            yield paragraph(said, gap_pt=2.0, goes_with_next=bool(codes))
        yield from (_code(code) for code in codes)


def _reproduction(document: Document) -> Iterator[Block]:
    made = document.reproduction
    yield heading(*_REPRODUCTION, begins_page=True)
    yield paragraph("The same books and the same command give the same values.")
    yield _code(made.command)
    seeds = tuple((name, str(seed)) for name, seed in made.seeds)
    for title, pairs in (
        ("Program and what it computes with", made.versions),
        ("Seeds", seeds),
        ("What was read, and its SHA-256 or the head of its chain", made.inputs),
    ):
        if pairs:
            yield paragraph(title, HEADINGS[1], gap_pt=10.0, goes_with_next=True)
        for name, value in pairs:
            yield paragraph(f"{name}  {value}", CODE, gap_pt=2.0)


def _code(text: str) -> Block:
    return paragraph(text, CODE, gap_pt=6.0, indent_pt=4.0, shade=_LABEL_GREY + 0.02)

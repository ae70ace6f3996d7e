"""PDF: all of it is there, nothing is cut or lies on something else, and it is the same again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import Any

import pypdfium2 as pdfium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

from hedgerow.reports.document import Column, Document, Figure, Row, Section, SignOff, Table, Text
from hedgerow.reports.figures import shown
from hedgerow.reports.pdf import pdf
from hedgerow.reports.pdf_blocks import BODY, Lines, paragraph
from hedgerow.reports.pdf_pages import HEIGHT_PT, LYING_HEIGHT_PT, Block, paginate
from hedgerow.reports.pdf_text import PLAIN, Style, cut_to, line_of, line_width_pt, wrap
from tests.hedgerow.reports import documents
from tests.hedgerow.reports.reading import bare, misplaced, overlapping


def tall() -> Document:
    """A row that is higher than a page, beside short ones."""
    table = Table(
        "tall",
        "Words",
        (Column("name", "Name"), Column("words", "Words"), Column("cost", "Cost (USD)")),
        (
            Row("a", ("short", "few words", documents.usd("1"))),
            Row("b", ("long", "".join(f"word{n} " for n in range(1_500)), documents.usd("2"))),
            Row("c", ("longer", "x" * 3_000, documents.usd("3"))),
            Row("d", (date(2027, 1, 31), None, documents.usd("4"))),
        ),
        "none",
    )
    wide = documents.wide_table(columns=12, rows=70)
    return documents.document(Section("tall", "Tall", (Text(("Before.",)), table, wide)))


MAKERS: dict[str, Callable[[], Document]] = {
    "full": documents.full,
    "empty": documents.empty,
    "long": lambda: documents.long(500),
    "tall": tall,
    "many labels": lambda: documents.document(labels=("A label with many words. " * 12,) * 3),
}


@cache
def made(name: str) -> bytes:
    return pdf(MAKERS[name]())


def pages_of(data: bytes) -> Iterator[Any]:
    book = pdfium.PdfDocument(data)
    yield from (book[number] for number in range(len(book)))


def text_of(data: bytes) -> list[str]:
    return [page.get_textpage().get_text_range() for page in pages_of(data)]


def plain(cell: object) -> str:
    """What a reader finds of a cell: signs that no font has are written by their numbers."""
    if isinstance(cell, Figure):
        return shown(cell)
    if isinstance(cell, date):
        return cell.isoformat()
    return "".join(run for _, run in line_of(str(cell or ""), PLAIN))


@pytest.mark.parametrize("name", MAKERS)
def test_every_cell_and_word_is_there(name: str) -> None:
    """All cells of all tables, all paragraphs, headlines, sources and inputs can be read."""
    document = MAKERS[name]()
    pages = text_of(made(name))
    everything = bare("".join(pages))
    for table in document.tables():
        for row in table.rows:
            for cell in row.cells:
                text = bare(plain(cell))
                if len(text) < 1_000:
                    assert text in everything
        for said in (table.title, *table.notes, *(one.title for one in table.columns)):
            assert not table.rows or bare(said) in everything
        assert table.rows or bare(table.empty) in everything
    for headline in document.verdict.headlines:
        for said in (headline.label, shown(headline.figure), headline.note):
            assert bare(said) in everything
    for sentence in document.verdict.sentences:
        assert bare(sentence) in everything
    for source in document.sources:
        assert bare(source.says) in everything
        assert bare(source.sql or "") in everything
    for _, digest in document.reproduction.inputs:
        assert digest in everything


def test_a_row_that_is_higher_than_a_page_goes_on_on_the_next() -> None:
    """Each of its 1,500 words is there once, in their order."""
    words = re.findall(r"word(\d+)\b", " ".join(text_of(made("tall"))))
    assert [int(word) for word in words] == list(range(1_500))
    assert sum(page.count("x") for page in text_of(made("tall"))) >= 3_000


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_is_cut_and_nothing_lies_on_something_else(name: str) -> None:
    """Each sign stands between the margins of its page, apart from all others."""
    for page in pages_of(made(name)):
        assert misplaced(page) == []
        assert overlapping(page) == []


def test_contents_and_bookmarks_lead_to_the_pages_of_their_headings() -> None:
    """The page that the contents name has the heading on it; so has the one of its bookmark."""
    document = documents.full()
    pages = text_of(made("full"))
    titles = [f"{n}. {section.title}" for n, section in enumerate(document.sections, 1)]
    titles += ["Sources of the figures", "How to make this report again"]
    book = pdfium.PdfDocument(made("full"))
    marked = {one.get_title(): one.get_dest().get_index() for one in book.get_toc()}
    for title in titles:
        number = re.search(rf"^{re.escape(title)} *(\d+)\s*$", pages[0], re.MULTILINE)
        assert number is not None, title
        assert title in pages[int(number[1]) - 1]
        assert marked[title] == int(number[1]) - 1
    for table in document.tables():
        assert table.title in marked or f"{table.title}, part 1 of 3" in marked or not table.rows
    for chart in document.charts():
        assert chart.title in marked


def test_each_page_has_its_number_and_what_holds_for_all() -> None:
    pages = text_of(made("long"))
    assert len(pages) > 8
    for number, page in enumerate(pages, 1):
        assert f"page {number} of {len(pages)}" in page
        assert "Prices are simulated" in page


def test_heads_are_on_each_page_of_a_table_and_the_total_is_not_alone() -> None:
    pages = [page for page in text_of(made("long")) if "req_" in page]
    assert len(pages) > 8
    assert all("Cost (USD)" in page for page in pages)
    assert "Total" in pages[-1]


def test_a_table_with_more_columns_than_a_page_is_told_in_parts() -> None:
    """Each part lies across and begins with the name of the row."""
    book = pdfium.PdfDocument(made("full"))
    found = [
        (page.get_size(), page.get_textpage().get_text_range())
        for page in pages_of(made("full"))
        if "By hour and provider" in page.get_textpage().get_text_range()
    ]
    assert all(width > height for (width, height), _ in found)
    text = "".join(page for _, page in found)
    parts = len(re.findall(r"part (\d+) of", text))
    assert parts > 1
    assert text.count("Hour 3") == parts
    assert len(book) > len(found)


@pytest.mark.parametrize("lines", range(30, 60, 3))
def test_who_signs_signs_on_one_page(lines: int) -> None:
    """However little room is left below what was said before."""
    said, roles = Text(("A line.",) * lines), ("Preparer", "Treasury", "Controller")
    section = Section("sign-off", "Sign-offs", (said, SignOff(roles, "I have read this report.")))
    pages = text_of(pdf(documents.document(section)))
    (page,) = (one for one in pages if "Controller" in one)
    assert "I have read this report." in page
    assert all(role in page for role in roles)


def test_charts_are_drawn_and_not_pictures() -> None:
    """Lines and letters: sharp, and to be searched."""
    for page in pages_of(made("full")):
        assert not list(page.get_objects([FPDF_PAGEOBJ_IMAGE]))
    text = "".join(text_of(made("full")))
    assert "change of the hedge (USD/GPU-h)" in text


def test_the_file_says_what_it_is_and_not_when_it_was_made() -> None:
    told = pdfium.PdfDocument(made("full")).get_metadata_dict()
    assert told["Title"] == "Hedge effectiveness: 2027-01, to 2027-01-20 12:00 UTC"
    assert told["CreationDate"].startswith("D:2000")
    assert b"/Lang (en)" in made("full")


@given(st.text(max_size=200), st.floats(20, 400))
def test_wrapping_loses_nothing_and_fits(text: str, width: float) -> None:
    """All signs but spaces and line ends are kept in order; a line that does not fit is one sign,
    or the number of one that no font has."""
    style = Style(size_pt=9.0)
    lines = wrap(text, style, width)
    signs = "".join(run for line in lines for _, run in line)
    whole = "".join(run for hard in text.split("\n") for _, run in line_of(hard, PLAIN))
    gone = re.compile(r"\s|\[U\+00(0[9A-D]|1[C-F]|85)\]|\[U\+202[89]\]")
    assert gone.sub("", signs) == gone.sub("", whole)
    for line in lines:
        assert line_width_pt(line, 9.0) <= width + 0.01 or sum(len(run) for _, run in line) <= 9


@given(st.text(max_size=60), st.floats(10, 200))
def test_a_text_that_is_cut_says_so(text: str, width: float) -> None:
    style = Style(size_pt=7.0)
    cut = cut_to(text, style, width)
    assert cut == text or cut.endswith("…")
    assert cut == "…" or line_width_pt(line_of(cut, PLAIN), 7.0) <= width + 0.01


@dataclass(frozen=True)
class Given:
    lines: int
    is_lying: bool
    is_heading: bool
    begins_page: bool


GIVEN = st.lists(
    st.builds(Given, st.integers(1, 150), st.booleans(), st.booleans(), st.booleans()), max_size=25
)


@settings(max_examples=60)
@given(GIVEN)
def test_pages_hold_everything_once_in_order(given_blocks: list[Given]) -> None:
    """Whatever blocks there are: each line is on one page, in order, above its lower edge; what
    goes with what follows is never the last of a page, unless that has to begin one."""
    blocks: list[Block] = []
    given_blocks = [*given_blocks, Given(1, is_lying=False, is_heading=False, begins_page=False)]
    for number, one in enumerate(given_blocks):
        count = min(one.lines, 2) if one.is_heading else one.lines
        lines = tuple(((PLAIN, f"{number}:{line}"),) for line in range(count))
        block = replace(paragraph("", BODY), lines=lines, is_lying=one.is_lying)
        blocks.append(replace(block, goes_with_next=one.is_heading, begins_page=one.begins_page))
    pages = paginate(blocks).pages
    found = []
    for page in pages:
        bottom = 0.0
        for at, placed in page.placed:
            assert isinstance(placed, Lines)
            assert at >= bottom
            assert page.is_lying or not placed.is_lying
            bottom = at + placed.height_pt()
            found += [line[0][1] for line in placed.lines]
        assert bottom <= (LYING_HEIGHT_PT if page.is_lying else HEIGHT_PT) + 1e-6
        if not any(one.begins_page for one in given_blocks):
            assert not page.placed[-1][1].goes_with_next
    expected = [
        f"{n}:{line}"
        for n, one in enumerate(given_blocks)
        for line in range(min(one.lines, 2) if one.is_heading else one.lines)
    ]
    assert found == expected

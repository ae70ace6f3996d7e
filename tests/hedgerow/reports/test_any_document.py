"""Documents as nobody would lay them out: all formats hold all of it, and no page is spoilt."""

from __future__ import annotations

import io
import math
from datetime import date
from decimal import Decimal

import pypdfium2 as pdfium
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from hedgerow.reports.document import (
    Block,
    Cell,
    Column,
    Document,
    Figure,
    Row,
    Section,
    Table,
    Text,
    Unit,
)
from hedgerow.reports.figures import UNKNOWN, exact, known, shown
from hedgerow.reports.pdf import pdf
from hedgerow.reports.xlsx import workbook
from hedgerow.reports.xlsx_layout import layouts
from tests.hedgerow.reports import documents
from tests.hedgerow.reports.reading import bare, misplaced, overlapping

WORDS = st.text(st.sampled_from("abcdefgh  iijklmnoö,.-/Ж≤=+@&<%0123456789"), max_size=70)
LONG_WORDS = st.text(st.sampled_from("abcdefgh-/"), min_size=60, max_size=300)
FIGURES = st.one_of(
    st.builds(
        lambda nanos, source: Figure(Decimal(nanos).scaleb(-9), Unit.USD, source),
        st.integers(-(2**63), 2**63 - 1),
        st.sampled_from(["S1", "S2"]),
    ),
    st.builds(
        lambda value, unit: Figure(value, unit, "S3"),
        st.floats(-1e12, 1e12),
        st.sampled_from([Unit.PART, Unit.NUMBER, Unit.USD_PER_MTOK]),
    ),
    st.builds(lambda value: Figure(value, Unit.COUNT, "S1"), st.integers(-(10**18), 10**18)),
    st.builds(lambda why: Figure(None, Unit.USD, "S2", why_not=why), WORDS),
)
CELLS: st.SearchStrategy[Cell] = st.one_of(
    FIGURES, FIGURES, WORDS, LONG_WORDS, st.none(), st.dates(date(1950, 1, 1))
)
KINDS: tuple[st.SearchStrategy[Cell], ...] = (FIGURES, WORDS, CELLS)


pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = [draw(st.sampled_from(KINDS)) for _ in range(draw(st.integers(1, 14)))]
    rows = [
        Row(str(number), tuple(draw(column) for column in columns), is_total=draw(st.booleans()))
        for number in range(draw(st.integers(0, 9)))
    ]
    titles = tuple(Column(f"c{number}", draw(WORDS)) for number in range(len(columns)))
    name = f"t{draw(st.uuids()).hex}"
    return Table(name, draw(WORDS), titles, tuple(rows), "Nothing here.", (draw(WORDS),))


BLOCKS: st.SearchStrategy[Block] = st.one_of(
    tables(), tables(), st.builds(lambda text: Text((text,)), st.one_of(WORDS, LONG_WORDS))
)
DOCUMENTS = st.builds(
    lambda blocks: documents.document(Section("s", "Everything", tuple(blocks))),
    st.lists(BLOCKS, min_size=1, max_size=3),
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(DOCUMENTS)
def test_pages_hold_all_of_it_and_nothing_lies_on_anything(document: Document) -> None:
    """Each figure and each text can be read, between the margins, apart from all others."""
    book = pdfium.PdfDocument(pdf(document))
    pages = [book[number] for number in range(len(book))]
    everything = bare("".join(page.get_textpage().get_text_range() for page in pages))
    for page in pages:
        assert misplaced(page) == []
        assert overlapping(page) == []
    for table in document.tables():
        for row in table.rows:
            for cell in row.cells:
                text = shown(cell) if isinstance(cell, Figure) else str(cell or "")
                assert bare(text) in everything


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(DOCUMENTS)
def test_sheets_hold_all_of_it_exactly(document: Document) -> None:
    """Each cell is its value: numbers exactly, in the cell or in its note, days as days."""
    book = load_workbook(io.BytesIO(workbook(document)))
    (layout,) = layouts(document.sections, ("Verdict",))
    sheet = book[layout.name]
    for placed in layout.placed():
        for number, row in enumerate(placed.table.rows):
            for column, cell in enumerate(row.cells):
                found = sheet.cell(placed.row + number + 1, placed.column + column + 1)
                match cell:
                    case Figure() if known(cell) is None:
                        assert found.value == UNKNOWN
                    case Figure(value=float(value)):
                        assert math.isclose(found.value, value, rel_tol=1e-15)
                    case Figure() if found.comment is not None:
                        assert found.comment.text == f"Exactly {exact(cell)}"
                    case Figure(value=value):
                        assert Decimal(repr(found.value)) == value
                    case date():
                        assert found.value.date() == cell
                    case _:
                        assert (found.value or "") == (cell or "")

"""Workbooks: exact, live, the same bytes, and nothing in them that runs by itself."""

from __future__ import annotations

import csv
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils import range_boundaries

from hedgerow.errors import DocumentUnsound
from hedgerow.reports.document import (
    Column,
    Document,
    Figure,
    Row,
    Section,
    Source,
    Table,
    Text,
    Unit,
)
from hedgerow.reports.figures import UNKNOWN, exact, known, shown
from hedgerow.reports.formulas import Cells, Placed
from hedgerow.reports.xlsx import workbook
from hedgerow.reports.xlsx_layout import layouts
from tests.hedgerow.reports import documents
from tests.hedgerow.reports.calculating import (
    SHEETS,
    cells_of,
    check_live,
    converted,
    needs_libreoffice,
    read,
)


def test_every_figure_stands_in_its_cell_exactly() -> None:
    """The number of a cell, or its note where it has more than 15 digits, is the figure's exact
    value; what is not known is said, with its reason, and is no number."""
    document = documents.full()
    noted = 0
    for figure, cell in cells_of(document, read(workbook(document), values=True)):
        value = known(figure)
        if value is None:
            assert cell.value == UNKNOWN
            assert cell.comment.text == figure.why_not
        elif isinstance(value, float):
            assert cell.value == pytest.approx(value, rel=1e-15)
        elif cell.comment is not None:
            noted += 1
            assert cell.comment.text == f"Exactly {exact(figure)}"
            assert cell.value == pytest.approx(float(value), rel=1e-15)
        else:
            assert Decimal(repr(cell.value)) == value
    assert noted >= 3


def test_a_figure_with_a_formula_is_live() -> None:
    """Where a figure has a formula the cell has it, with references to cells of the book."""
    document = documents.full()
    live = [
        (figure, cell)
        for figure, cell in cells_of(document, read(workbook(document)))
        if figure.formula is not None
    ]
    assert len(live) > 10
    for _, cell in live:
        assert cell.value.startswith("=")
        assert "{" not in cell.value


@needs_libreoffice
@pytest.mark.filterwarnings("ignore:Unable to read chart")  # openpyxl, LibreOffice's own charts
def test_libreoffice_recalculates_to_the_same_numbers(tmp_path: Path) -> None:
    """Without the values that are kept beside them, all formulas give the figures again."""
    assert check_live(documents.full(), tmp_path) > 10


@needs_libreoffice
def test_cells_show_what_other_formats_print(tmp_path: Path) -> None:
    """As a spreadsheet shows it, a number reads as it does on paper."""
    document = documents.full()
    as_shown_of_every_sheet = "44,34,76,1,,0,false,false,true,false,false,-1"
    options = f"csv:Text - txt - csv (StarCalc):{as_shown_of_every_sheet}"
    out = converted(workbook(document), options, tmp_path)
    seen = 0
    for layout in layouts(document.sections, SHEETS):
        with (out / f"book-{layout.name}.csv").open(encoding="utf-8", newline="") as file:
            cells = list(csv.reader(file))
        for placed in layout.placed():
            for number, row in enumerate(placed.table.rows):
                for column, cell in enumerate(row.cells):
                    if isinstance(cell, Figure):
                        seen += 1
                        assert cells[placed.row + number][placed.column + column] == shown(cell)
    assert seen > 300


def test_names_never_become_formulas() -> None:
    """A name that begins as a formula does is text, and stays text when its cell is edited."""
    sheet = read(workbook(documents.full()))["Spend"]
    found = {cell.value: cell for cell in sheet["A"] if cell.value in documents.NAMES}
    assert set(found) == set(documents.NAMES)
    for name, cell in found.items():
        assert cell.data_type == "s"
        assert cell.quotePrefix is name.startswith(("=", "+", "-", "@"))


def test_why_a_figure_is_not_known_stands_on_paper_too() -> None:
    """Notes of cells are not printed: the reasons stand under the table, each once."""
    sheet = read(workbook(documents.full()))["Spend"]
    texts = [cell.value for cell in sheet["A"]]
    assert texts.count("Not known: It has no budget.") == 1


def test_an_empty_table_says_why() -> None:
    sheet = read(workbook(documents.full()))["Amounts"]
    assert documents.empty_table().empty in [cell.value for cell in sheet["A"]]


def test_text_longer_than_a_cell_is_carried_on() -> None:
    """A query of 70,000 signs stands whole, in cells below one another."""
    query = "SELECT " + ", ".join(f"column_{number}" for number in range(6_000))
    base = documents.document(Section("s", "S", (Text(("word " * 2_000,)),)))
    document = Document(
        base.title,
        base.subtitle,
        base.labels,
        base.verdict,
        base.sections,
        (Source("S1", "much", query), *base.sources[1:]),
        base.reproduction,
    )
    book = read(workbook(document))
    rows = {cell.value: cell.row for cell in book["Sources"]["A"]}
    told = [book["Sources"].cell(row, 3).value for row in range(rows["S1"], rows["S2"])]
    assert len(told) > 1
    assert "".join(told) == query
    said = "".join(str(cell.value or "") for cell in book["S"]["A"][1:])
    assert said == "word " * 2_000


def test_charts_are_excel_s_own_where_it_has_the_kind() -> None:
    """Lines with a band, stacked bars and scatters are live over their data; steps over days and
    names too long for an axis are pictures."""
    document = documents.full()
    book = read(workbook(document))
    assert (len(book["Tests"]._charts), len(book["Tests"]._images)) == (1, 0)
    assert (len(book["Charts"]._charts), len(book["Charts"]._images)) == (2, 3)
    data = book["Chart data"]
    heads = [cell.value for cell in data[2]]
    column = heads.index("month before") + 1
    assert [data.cell(row, column).value for row in range(3, 34)] == [30.0 * i for i in range(31)]


def test_a_long_table_keeps_its_heads_in_sight_and_has_filters() -> None:
    """Heads frozen and repeated on paper; sorting and filtering leave the total alone."""
    sheet = read(workbook(documents.long(30)))["Requests"]
    assert sheet.freeze_panes == "A5"
    assert sheet.print_title_rows == "$4:$4"
    (table,) = sheet.tables.values()
    assert table.ref == "A4:F34"
    assert sheet["E35"].value == "=SUM($E$5:$E$34)"


def test_a_report_of_nothing_is_a_workbook_all_the_same() -> None:
    book = read(workbook(documents.empty()))
    assert book.sheetnames == list(SHEETS)
    assert book["Chart data"].sheet_state == "hidden"


@given(st.lists(st.booleans(), max_size=30), st.integers(0, 5), st.integers(0, 5))
def test_a_column_s_cells_are_those_of_its_rows_that_are_no_total(
    totals: list[bool], above: int, left: int
) -> None:
    """The ranges of `{table.column}` hold each row that is no total once, and nothing else."""
    table = Table(
        "t",
        "T",
        (Column("a", "A"), Column("b", "B")),
        tuple(
            Row(str(n), ("", Figure(n, Unit.COUNT, "S1")), total) for n, total in enumerate(totals)
        ),
        "none",
    )
    formula = Cells([Placed(table, "Sheet", above, left)]).formula("SUM({t.b})", "Other")
    expected = [above + n + 1 for n, total in enumerate(totals) if not total]
    if not expected:
        assert formula is None
        return
    assert formula is not None
    found: list[int] = []
    for one in formula.removeprefix("=SUM(").removesuffix(")").split(","):
        first, top, last, bottom = range_boundaries(one.removeprefix("'Sheet'!"))
        assert first == last == left + 2
        found += range(top, bottom + 1)
    assert found == expected


def test_cells_by_name() -> None:
    """A column of the same row, a row of another table by its key with dots, on another sheet."""
    document = documents.full()
    placed = [one for layout in layouts(document.sections, SHEETS) for one in layout.placed()]
    cells = Cells(placed)
    spend = next(one for one in placed if one.table.id == "spend")
    top = spend.row + 1
    assert cells.formula("{spent}/{cap}", "Spend", (spend.table, 2)) == f"=C{top + 2}/D{top + 2}"
    assert cells.formula("{spend.spent.team.2}*2", "Verdict") == f"='Spend'!$C${top + 2}*2"
    assert cells.formula("1+{spend.cap.nobody}", "Verdict") is None


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("{nothing.x}", "no table nothing"),
        ("{spend.nothing}", "column 'nothing'"),
        ("{spend.spent.nothing}", "row 'nothing'"),
        ("{spent}", "stands in no table"),
    ],
)
def test_a_formula_that_names_nothing_is_refused(formula: str, says: str) -> None:
    placed = [Placed(documents.spend_table(), "Spend", 3)]
    with pytest.raises(DocumentUnsound, match=says):
        Cells(placed).formula(formula, "Verdict")


def test_each_sheet_is_printed_no_wider_than_a_page() -> None:
    """That of the charts' data, too."""
    for sheet in read(workbook(documents.full())).worksheets:
        assert sheet.page_setup.orientation == "landscape", sheet.title
        assert sheet.page_setup.fitToWidth in (None, 1)
        assert sheet.sheet_properties.pageSetUpPr.fitToPage, sheet.title


def test_what_is_printed_above_each_sheet_is_what_was_said() -> None:
    """Whatever signs a title has, and however long it is: figures at its begin are no size, and
    what is too long for Excel says so."""
    base = documents.document()
    book = read(workbook(replace(base, title="2027 R&D", labels=("A & B " * 60,))))
    header = book["Verdict"].oddHeader
    assert header.left.text.startswith("2027 R&&D, 2027-01")
    assert header.left.text.endswith("…")
    assert header.left.size == 8


def test_a_text_that_no_cell_holds_says_that_it_was_cut() -> None:
    table = Table("t", "T", (Column("a", "A"),), (Row("r", ("long " * 8_000,)),), "none")
    sheet = read(workbook(documents.document(Section("s", "S", (table,)))))["S"]
    assert sheet["A5"].value.endswith("(cut here: a cell holds no more, other formats do)")


@settings(max_examples=50)
@given(st.lists(st.text(max_size=40), max_size=12))
def test_sheets_have_names_that_excel_takes(ids: list[str]) -> None:
    """At most 31 signs, none of those that are forbidden, no two alike, whatever sections are
    named."""
    made = layouts([Section(one, "", ()) for one in ids], SHEETS)
    names = [one.name for one in made]
    assert len({name.casefold() for name in (*names, *SHEETS)}) == len(names) + len(SHEETS)
    for name in names:
        assert 0 < len(name) <= 31
        assert not set(name) & set("[]:*?/\\")
        assert not name.startswith("'")
        assert not name.endswith("'")

"""A document that contradicts itself is refused in a sentence, before anything is drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hedgerow.errors import DocumentUnsound
from hedgerow.reports.document import Column, Document, Row, Section, Source, Table
from hedgerow.reports.pdf import pdf
from hedgerow.reports.soundness import check
from hedgerow.reports.xlsx import workbook
from tests.hedgerow.reports import documents


def table(*rows: Row) -> Table:
    return Table("t", "T", (Column("a", "A"), Column("b", "B")), rows, "none")


def of(*tables: Table) -> Document:
    return documents.document(Section("s", "S", tables))


ONE = documents.usd("1")
BASE = documents.document()
UNSOUND = [
    (of(table(Row("r", ("", documents.usd("1", source="S9"))))), "table t comes from S9"),
    (of(table(), table()), "two tables .* named t"),
    (of(table(), replace(table(), id="T")), "two tables .* named T"),
    (of(table(Row("r", ("", ONE)), Row("r", ("", ONE)))), "two rows of the table t"),
    (of(replace(table(), columns=(Column("a", "A"),) * 2)), "two columns of the table t"),
    (of(table(Row("r", (ONE,)))), "has 1 cells for 2 columns"),
    (replace(BASE, sources=BASE.sources * 2), "two sources .* named S1"),
    (replace(BASE, sources=(*BASE.sources, Source("S4", "", of=("S7",)))), "computed from S7"),
    (replace(BASE, sources=()), "headline Cost of the month comes from S1"),
    (documents.document(Section("s", "S", ()), Section("s", "S", ())), "two sections"),
    (documents.document(Section("s", "S", (documents.no_chart(),) * 2)), "two charts"),
]


@pytest.mark.parametrize(("document", "says"), UNSOUND, ids=[says for _, says in UNSOUND])
def test_what_contradicts_itself_is_refused(document: Document, says: str) -> None:
    for make in (pdf, workbook):
        with pytest.raises(DocumentUnsound, match=says):
            make(document)


def test_what_is_sound_is_not_refused() -> None:
    for document in (documents.full(), documents.empty(), documents.long(10)):
        check(document)

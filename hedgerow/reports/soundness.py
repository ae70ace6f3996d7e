"""Whether a document says what it cannot mean: checked before it is laid on pages or sheets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hedgerow.errors import DocumentUnsound
from hedgerow.reports.document import Document, Figure, Table


def check(document: Document) -> None:
    """Raises DocumentUnsound for a figure without its source, for names that stand for two things,
    and for rows that do not fit their columns; the fault is of who laid the document out."""
    sources = [source.id for source in document.sources]
    _once("sources", sources)
    _once("sections", (section.id for section in document.sections))
    _once("tables", (table.id for table in document.tables()))
    _once("charts", (chart.id for chart in document.charts()))
    told = set(sources)
    for source in document.sources:
        for of in source.of:
            if of not in told:
                raise DocumentUnsound(
                    f"the source {source.id} is computed from {of}, which the report does not"
                    " tell: add that source"
                )
    for table in document.tables():
        _check_table(table)
    for where, figure in _figures(document):
        if figure.source not in told:
            raise DocumentUnsound(
                f"a figure of {where} comes from {figure.source}, which the report does not tell:"
                " add that source"
            )


def _check_table(table: Table) -> None:
    _once(f"columns of the table {table.id}", (column.key for column in table.columns))
    _once(f"rows of the table {table.id}", (row.key for row in table.rows))
    for row in table.rows:
        if len(row.cells) != len(table.columns):
            raise DocumentUnsound(
                f"the row {row.key} of the table {table.id} has {len(row.cells)} cells for"
                f" {len(table.columns)} columns"
            )


def _figures(document: Document) -> Iterator[tuple[str, Figure]]:
    for headline in document.verdict.headlines:
        yield f"the headline {headline.label}", headline.figure
    for table in document.tables():
        for row in table.rows:
            for cell in row.cells:
                if isinstance(cell, Figure):
                    yield f"the table {table.id}", cell


def _once(what: str, names: Iterable[str]) -> None:
    """Without regard to capitals, as anchors and sheets take them."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise DocumentUnsound(f"two {what} of the report are named {name}: name them apart")
        seen.add(name.casefold())

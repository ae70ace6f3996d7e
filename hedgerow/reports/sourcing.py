"""Which figures of a table have which sources, said once where it is the same for many."""

from __future__ import annotations

from collections.abc import Iterator

from hedgerow.reports.document import Figure, Row, Table
from hedgerow.reports.figures import known, why_not


def figures(table: Table) -> Iterator[Figure]:
    for row in table.rows:
        for cell in row.cells:
            if isinstance(cell, Figure):
                yield cell


def sources_of_row(table: Table, row: Row) -> str:
    """`S3`, or where the figures of a row differ in it, `S3: fee, quota; S4: used`."""
    titles: dict[str, list[str]] = {}
    for column, cell in zip(table.columns, row.cells, strict=True):
        if isinstance(cell, Figure):
            titles.setdefault(cell.source, []).append(column.title)
    if len(titles) <= 1:
        return "".join(titles)
    return "; ".join(f"{source}: {', '.join(of)}" for source, of in titles.items())


def columns_of_sources(table: Table) -> dict[str, list[str]] | None:
    """The titles of the columns that each source gives; None where the figures of a column differ
    in it, so that it has to be said row by row."""
    of_columns = sources_of_columns(table)
    found: dict[str, list[str]] = {}
    for number, (column, source) in enumerate(zip(table.columns, of_columns, strict=True)):
        if source is not None:
            found.setdefault(source, []).append(column.title)
        elif any(isinstance(row.cells[number], Figure) for row in table.rows):
            return None
    return found


def sources_of_columns(table: Table) -> tuple[str | None, ...]:
    """For each column the source that all its figures have; None where they differ, or are none."""
    found: list[str | None] = []
    for number in range(len(table.columns)):
        sources = {
            cell.source for row in table.rows if isinstance(cell := row.cells[number], Figure)
        }
        found.append(sources.pop() if len(sources) == 1 else None)
    return tuple(found)


def reasons(table: Table) -> tuple[str, ...]:
    """Why figures of the table are not known, each reason once, in their order."""
    found = (why_not(one) for one in figures(table) if known(one) is None)
    return tuple(dict.fromkeys(found))

"""Workbooks as they are read again, and as LibreOffice calculates them anew."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from hedgerow.reports.document import Document, Figure
from hedgerow.reports.figures import known
from hedgerow.reports.xlsx import workbook
from hedgerow.reports.xlsx_layout import layouts

SHEETS = ("Verdict", "Chart data", "Sources", "Reproduction")
needs_libreoffice = pytest.mark.skipif(
    shutil.which("soffice") is None,
    reason="LibreOffice recalculates here: install libreoffice-calc-nogui",
)


def read(data: bytes, values: bool = False) -> Any:
    return load_workbook(io.BytesIO(data), data_only=values)


def cells_of(document: Document, book: Any) -> list[tuple[Figure, Any]]:
    """Each figure of the tables and the verdict, and the cell in which it stands."""
    found: list[tuple[Figure, Any]] = []
    for layout in layouts(document.sections, SHEETS):
        sheet = book[layout.name]
        for placed in layout.placed():
            for number, row in enumerate(placed.table.rows):
                for column, cell in enumerate(row.cells):
                    if isinstance(cell, Figure):
                        at = sheet.cell(placed.row + number + 1, placed.column + column + 1)
                        found.append((cell, at))
    labels = {cell.value: cell.row for cell in book["Verdict"]["A"]}
    return found + [
        (headline.figure, book["Verdict"].cell(labels[headline.label], 2))
        for headline in document.verdict.headlines
    ]


def converted(data: bytes, to: str, folder: Path) -> Path:
    """The folder into which LibreOffice wrote a workbook, as `to` says. Its profile lies beside
    `folder`, where it serves all tests of a run: to make one takes longer than to calculate."""
    (folder / "book.xlsx").write_bytes(data)
    command = [str(shutil.which("soffice")), "--headless"]
    command.append(f"-env:UserInstallation={(folder.parent / 'libreoffice').as_uri()}")
    command += ["--convert-to", to, "--outdir", str(folder / "out"), str(folder / "book.xlsx")]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    return folder / "out"


def check_live(document: Document, folder: Path) -> int:
    """LibreOffice gives every number of the workbook again out of its formulas alone; how many
    figures have one."""
    file, book = io.BytesIO(), read(workbook(document))
    cells = [cell for _, cell in cells_of(document, book) if str(cell.value).startswith("=")]
    book.save(file)  # openpyxl keeps formulas and drops their values
    bare = read(file.getvalue(), values=True)
    assert all(bare[cell.parent.title][cell.coordinate].value is None for cell in cells)
    again = (converted(file.getvalue(), "xlsx", folder) / "book.xlsx").read_bytes()
    live = 0
    for figure, cell in cells_of(document, read(again, values=True)):
        if (value := known(figure)) is not None:
            live += figure.formula is not None
            assert cell.value == pytest.approx(float(value), rel=1e-9, abs=1e-12), (
                cell.coordinate,
                figure,
            )
    return live

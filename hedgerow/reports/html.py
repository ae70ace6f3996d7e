"""HTML: a Document as one file that opens without a network, on a screen, a phone and on paper."""

from __future__ import annotations

import base64
import hashlib
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from hedgerow.charts import Chart
from hedgerow.reports.document import Block, Cell, Document, Figure, Table, Text
from hedgerow.reports.drawing import svg
from hedgerow.reports.figures import WORDS, exact, known, shown, why_not

_DATE = re.compile(r"\d{4}-\d\d(-\d\d)?")
_SENTENCE = 48
_WIDE_FROM = 9
"""Tables of so many columns are printed smaller."""


@dataclass(frozen=True, slots=True)
class _Look:
    """marks: a letter for each reason of not knowing.
    sources: of all figures, in the order in which they stand first. kinds: a class for each column:
    n numbers, t sentences, which take room."""

    kinds: tuple[str, ...]
    is_wide: bool
    marks: dict[str, str]
    sources: tuple[str, ...]


def html(document: Document) -> bytes:
    """One HTML file in UTF-8: no script, nothing from outside, the same bytes from the same
    document. Its own policy allows its one style sheet and nothing else."""
    environment = _environment()
    style = _style()
    said = {source.id: source.says for source in document.sources}
    made = document.reproduction
    return (
        environment.get_template("report.html")
        .render(
            document=document,
            style=Markup(style),  # noqa: S704 - our own file
            policy=_policy(style),
            words={tone.value: word for tone, word in WORDS.items()},
            looks={table.id: _look(table) for table in document.tables()},
            reproduced=(
                ("Program and what it computes with", "Version", made.versions),
                ("Seeds", "Seed", made.seeds),
                ("What was read", "SHA-256, or the head of its chain", made.inputs),
            ),
            says=said.__getitem__,
            kind_of=_kind_of,
            is_figure=_is_figure,
            prose=_prose,
            is_date=_is_date,
            shown=shown,
            exact=exact,
            known=known,
            why_not=why_not,
            draw=_draw,
        )
        .encode()
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("hedgerow.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@cache
def _style() -> str:
    loader = _environment().loader
    assert loader is not None  # noqa: S101 - for the type: it is given above
    return loader.get_source(_environment(), "report.css")[0]


def _policy(style: str) -> str:
    of = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{of}'; base-uri 'none'; form-action 'none'"


def _look(table: Table) -> _Look:
    figures = [cell for row in table.rows for cell in row.cells if isinstance(cell, Figure)]
    reasons = dict.fromkeys(why_not(one) for one in figures if known(one) is None)
    columns = zip(*(row.cells for row in table.rows), strict=True) if table.rows else ()
    return _Look(
        kinds=tuple(map(_kind_of_column, columns)),
        is_wide=len(table.columns) >= _WIDE_FROM,
        marks={reason: _letter(number) for number, reason in enumerate(reasons)},
        sources=tuple(dict.fromkeys(one.source for one in figures if known(one) is not None)),
    )


def _kind_of_column(column: Iterable[Cell]) -> str:
    cells = list(column)
    if any(isinstance(cell, Figure) for cell in cells):
        return "n"
    return "t" if any(isinstance(cell, str) and len(cell) >= _SENTENCE for cell in cells) else ""


def _letter(number: int) -> str:
    """a to z, then aa."""
    more, last = divmod(number, len(string.ascii_lowercase))
    return (_letter(more - 1) if more else "") + string.ascii_lowercase[last]


def _kind_of(block: Block) -> str:
    match block:
        case Text():
            return "text"
        case Table():
            return "table"
        case Chart():
            return "chart"
        case _:
            return "sign-off"


def _is_figure(cell: Cell) -> bool:
    return isinstance(cell, Figure)


def _is_date(cell: Cell) -> bool:
    """Days and months, which are not broken over lines."""
    return isinstance(cell, date) or (isinstance(cell, str) and _DATE.fullmatch(cell) is not None)


def _prose(cell: str | date | None) -> Markup:
    """Text, in which what stands between backticks is code."""
    if cell is None:
        return Markup()
    parts = (cell.isoformat() if isinstance(cell, date) else cell).split("`")
    if len(parts) % 2 == 0:
        return escape("`".join(parts))
    told = [
        Markup("<code>{}</code>").format(one) if at % 2 else escape(one)
        for at, one in enumerate(parts)
    ]
    return Markup().join(told)


def _draw(chart: Chart) -> Markup:
    return Markup(svg(chart))  # noqa: S704 - made here, and its names are escaped there

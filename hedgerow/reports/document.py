"""Document: a report as it is read, before it becomes HTML, PDF, a workbook or JSON.

Whoever lays a report out makes one Document, and every format renders that same value. Nothing in
it knows the time at which it was made: the same inputs give the same document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from hedgerow.charts import Chart


class Unit(StrEnum):
    """What a figure counts, and so how it is written."""

    USD = "USD"
    """Exact to the nano-USD; shown to the cent, or further where that would be zero."""
    USD_PER_MTOK = "USD per Mtok"
    USD_PER_UNIT = "USD per unit"
    PART = "part"
    """Of one; shown as a percentage."""
    COUNT = "count"
    NUMBER = "number"
    """A statistic without a unit, as a slope."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where figures come from.

    id: as in S3. says: in words. sql: a query of the books that gives the figures, its parameters
    written in; None for what is not read but computed, and then `of` are the sources that it is
    computed from and says is how. command: what prints the same on a terminal.
    """

    id: str
    says: str
    sql: str | None = None
    command: str | None = None
    of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its source. value: None is not known, and never zero; then `why_not` says why.

    formula: what a workbook writes instead of the number, so that a reviewer can check it: an Excel
    formula in which `{name}` stands for the cells of a name: a column of the same table in the same
    row (`{fee}`), all rows of a column of any table (`{table.fee}`), one cell of a table by its row
    key (`{table.fee.total}`). Its result is the value.
    """

    value: Decimal | int | float | None
    unit: Unit
    source: str
    formula: str | None = None
    why_not: str | None = None


Cell: TypeAlias = Figure | str | date | None


@dataclass(frozen=True, slots=True)
class Column:
    """key: how formulas name it. title: with its unit where all its cells have one."""

    key: str
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """key: unique in its table. is_total: set apart from what it sums up."""

    key: str
    cells: tuple[Cell, ...]
    is_total: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """id: unique in its document: a letter, then letters, digits, `_`. Without rows it is not
    shown, but `empty`, a sentence that says why, and what to do."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    empty: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """Paragraphs."""

    paragraphs: tuple[str, ...]


class Tone(StrEnum):
    """Never by colour alone: shown as a word or sign, too."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Headline:
    """One of the numbers of the first page. note: what it is measured against."""

    label: str
    figure: Figure
    note: str
    tone: Tone = Tone.NONE


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first page: the verdict in words, and five numbers."""

    sentences: tuple[str, ...]
    headlines: tuple[Headline, ...]
    tone: Tone


@dataclass(frozen=True, slots=True)
class SignOff:
    """A line to sign for each role."""

    roles: tuple[str, ...]
    statement: str


Block: TypeAlias = Text | Table | Chart | SignOff


@dataclass(frozen=True, slots=True)
class Section:
    """id: of its anchor, and the name of its sheet."""

    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What makes the same document again. inputs: what was read, and its SHA-256 (or the head of
    its chain). versions: of this program and of what computes."""

    command: str
    inputs: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    seeds: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """title: of the report; subtitle: what it covers, as `2027-01, to 2027-01-20 12:00 UTC`.
    labels: what a reader must know of all of it, as that its prices are simulated."""

    title: str
    subtitle: str
    labels: tuple[str, ...]
    verdict: Verdict
    sections: tuple[Section, ...]
    sources: tuple[Source, ...]
    reproduction: Reproduction

    def tables(self) -> Iterator[Table]:
        for section in self.sections:
            yield from (block for block in section.blocks if isinstance(block, Table))

    def charts(self) -> Iterator[Chart]:
        for section in self.sections:
            yield from (block for block in section.blocks if isinstance(block, Chart))

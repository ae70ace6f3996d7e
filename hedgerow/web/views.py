"""Views: what a story of the dashboard comes to. The desk makes the answer of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from hedgerow.charts import Chart


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page. template: a file of templates/ that extends base.html. values: its variables,
    beside those that every page has."""

    template: str
    title: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a page, for `data-live`: what replaces the inside of an element."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeeOther:
    """After a change: where to look. said: what was done, shown there once."""

    path: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class Download:
    """A file, to be kept under `name`."""

    path: Path
    name: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as CSV: its head, and cells of text that no spreadsheet takes for a formula."""

    name: str
    rows: Sequence[Sequence[str]]


View: TypeAlias = Page | Fragment | Chart | SeeOther | Download | Sheet
"""A Chart is answered as the figure that the page's script draws."""

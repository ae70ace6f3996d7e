"""Chart: what a chart shows, before anybody draws it.

Reports draw it with matplotlib and the dashboard with plotly, so that both show the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Place: TypeAlias = str | float
"""Where a point stands along x: a number, or a label (a day as 2027-01-31, a name)."""


class Mark(StrEnum):
    LINE = "line"
    STEP = "step"
    """Holds its value until the next point."""
    BAR = "bar"
    POINTS = "points"
    LIMIT = "limit"
    """A horizontal line across, as a cap; its one value is y[0]."""


@dataclass(frozen=True, slots=True)
class Series:
    """y: None where nothing is known: a gap. In black and white series differ by dash, hatch and
    marker, in the order in which they stand: at most six of a kind."""

    name: str
    mark: Mark
    x: tuple[Place, ...]
    y: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """The area between two lines, as a forecast's 5% and 95%."""

    name: str
    x: tuple[Place, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """id: of the element that holds it, unique in its document. says: what is to be seen, in a
    sentence, for who cannot see it. Axes with their unit: `USD`, `day (UTC)`. stacked: bars stand
    on one another."""

    id: str
    title: str
    says: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    bands: tuple[Band, ...] = ()
    stacked: bool = False
    notes: tuple[str, ...] = field(default=())

"""Columns: what a file of rows is made of, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

Cell = str | int | float | bool | Decimal | None
"""A moment is an int, nanoseconds since 1970."""


class Kind(Enum):
    """What a column holds."""

    TEXT = "text of ours, or of few values"
    ID = "text that no two rows share"
    LABEL = "text that somebody else wrote"
    FLAG = "true or false"
    COUNT = "a whole number"
    MILLISECONDS = "a measured time"
    NANOS = "nine decimals"
    FINEST = "twenty-one decimals"
    MOMENT = "a moment in UTC"
    SECOND = "a moment in UTC, to the second"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: Kind


Row = tuple[Cell, ...]
"""A cell for each column, in their order."""

"""VolumeTest: whether the purchases that are hedged are still probable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum


class Forecast(StrEnum):
    PROBABLE = "probable"
    """Even the low end of the interval reaches the designated volume."""
    WATCH = "watch"
    """The expected volume reaches it, the low end does not."""
    NOT_PROBABLE = "not probable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class VolumeTest:
    """Of the item's month, in `unit`. actual: bought so far. low, expected, high: of all of the
    month, by the run rate of the days before, an interval of 90%; None: why_not says why."""

    month: date
    unit: str
    designated: Decimal
    actual: Decimal | None
    low: Decimal | None
    expected: Decimal | None
    high: Decimal | None
    forecast: Forecast
    says: str
    why_not: str | None = None

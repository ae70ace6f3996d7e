"""Axis: where the points of a chart stand along x, and what is written there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

import numpy as np
import numpy.typing as npt

from hedgerow.charts import Chart, Mark, Place

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MONTH = re.compile(r"\d{4}-\d\d")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MOST_TICKS = 11
_LONGEST = 30
_LONG = 12
_MANY = 7
_PER_YEAR = 12


class _Kind(Enum):
    NUMBERS = 1
    DAYS = 2
    MONTHS = 3
    NAMES = 4


@dataclass(frozen=True, slots=True)
class Axis:
    """labels: what stands along it, in its order; none for numbers. is_lying: bars lie, since their
    names are long or many. said: what all its labels share, for the axis' name. gap: the least
    between two places."""

    kind: _Kind
    labels: tuple[str, ...]
    places: dict[str, float]
    is_lying: bool
    said: str
    gap: float = 1.0

    @property
    def is_number(self) -> bool:
        return self.kind is _Kind.NUMBERS

    def at(self, points: Sequence[Place]) -> npt.NDArray[np.float64]:
        if self.is_number:
            return np.array(points, dtype=np.float64)
        return np.array([self.places[str(one)] for one in points], dtype=np.float64)

    def ticks(self) -> tuple[list[float], list[str]]:
        """Where something is written, and what: not more than there is room for."""
        if self.is_lying or self.kind is _Kind.NAMES:
            shown = self.labels
        else:
            every = -(-len(self.labels) // _MOST_TICKS)
            shown = self.labels[::every]
        texts = [self._text(one) for one in shown]
        if self.kind is _Kind.MONTHS:
            years = ["", *(one[:4] for one in shown)]
            texts = [
                f"{text}\n{year}" if year != before else text
                for text, year, before in zip(texts, years[1:], years[:-1], strict=True)
            ]
        return [self.places[one] for one in shown], texts

    def _text(self, label: str) -> str:
        if self.kind is _Kind.DAYS:
            day = date.fromisoformat(label)
            return str(day.day) if self.said else f"{day.day} {_MONTHS[day.month - 1]}"
        if self.kind is _Kind.MONTHS:
            return _MONTHS[int(label[5:]) - 1]
        if len(label) <= _LONGEST:
            return label
        half = _LONGEST // 2
        return f"{label[: half - 1]}…{label[-half:]}"


def axis_of(chart: Chart) -> Axis:
    """The places of all series and bands: numbers as they are, days and months in their order with
    room for those that are missing, names as they come."""
    drawn = [one for one in chart.series if one.mark is not Mark.LIMIT]
    points = [x for xs in (*(a.x for a in drawn), *(b.x for b in chart.bands)) for x in xs]
    if points and all(isinstance(one, int | float) for one in points):
        numbers = np.unique(np.array(points, dtype=np.float64))
        gap = float(np.diff(numbers).min()) if len(numbers) > 1 else 1.0
        return Axis(_Kind.NUMBERS, (), {}, is_lying=False, said="", gap=gap)
    labels = tuple(dict.fromkeys(str(one) for one in points))
    if labels and all(_DAY.fullmatch(one) for one in labels):
        labels = tuple(sorted(labels))
        months = {one[:7] for one in labels}
        said = ""
        if len(months) == 1:
            year, month = labels[0].split("-")[:2]
            said = f", {_MONTHS[int(month) - 1]} {year}"
        places = {one: float(date.fromisoformat(one).toordinal()) for one in labels}
        return Axis(_Kind.DAYS, labels, places, is_lying=False, said=said)
    if labels and all(_MONTH.fullmatch(one) for one in labels):
        labels = tuple(sorted(labels))
        places = {one: float(_months(one)) for one in labels}
        return Axis(_Kind.MONTHS, labels, places, is_lying=False, said="")
    is_bars = bool(drawn) and not chart.bands and all(one.mark is Mark.BAR for one in drawn)
    is_lying = is_bars and (len(labels) > _MANY or any(len(one) > _LONG for one in labels))
    places = {one: float(number) for number, one in enumerate(labels)}
    return Axis(_Kind.NAMES, labels, places, is_lying=is_lying, said="")


def _months(label: str) -> int:
    year, month = label.split("-")
    return int(year) * _PER_YEAR + int(month)

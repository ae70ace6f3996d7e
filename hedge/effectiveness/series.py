"""Series: changes of what is hedged and of what hedges it, period by period.

A file is CSV with the columns `date,change` or `date,value`; of values the changes are taken. Two
files are joined on their dates: nothing is filled in, and what has no partner is told.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from math import isfinite
from pathlib import Path

import numpy as np

from hedge.errors import SeriesUnreadable
from hedge.risk import Floats

_CHANGE, _VALUE = "change", "value"


@dataclass(frozen=True, slots=True)
class Series:
    """By date, oldest first. is_levels: values, of which the changes are still to be taken."""

    name: str
    by_date: Mapping[date, float]
    is_levels: bool


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Pairs of changes over the same periods, oldest first; a period is named by its last day.

    unmatched: dates that only one of the two has, or at which a change of one is over more of the
    other's dates: they are in no pair.
    """

    dates: tuple[date, ...]
    item: Floats
    hedge: Floats
    unmatched: tuple[date, ...] = ()

    def __len__(self) -> int:
        return len(self.dates)

    def last(self, count: int) -> Changes:
        """The latest pairs."""
        return Changes(self.dates[-count:], self.item[-count:], self.hedge[-count:])

    def without(self, place: int) -> Changes:
        """All but one."""
        dates = self.dates[:place] + self.dates[place + 1 :]
        return Changes(dates, np.delete(self.item, place), np.delete(self.hedge, place))


def joined(item: Series, hedge: Series) -> Changes:
    """Changes of both over the same periods.

    Two series of values are differenced over the dates that both have, so that a day which one
    lacks lengthens a period of both. A change that is given says nothing of where its period began:
    it is paired with a change of values only if those have the date before it, too.
    """
    both = sorted(item.by_date.keys() & hedge.by_date.keys())
    lone = item.by_date.keys() ^ hedge.by_date.keys()
    if item.is_levels and hedge.is_levels:
        ends, pairs = both[1:], list(pairwise(both))
        return Changes(
            tuple(ends),
            np.array([item.by_date[end] - item.by_date[start] for start, end in pairs]),
            np.array([hedge.by_date[end] - hedge.by_date[start] for start, end in pairs]),
            tuple(sorted(lone)),
        )
    if not item.is_levels and not hedge.is_levels:
        return Changes(
            tuple(both),
            np.array([item.by_date[end] for end in both]),
            np.array([hedge.by_date[end] for end in both]),
            tuple(sorted(lone)),
        )
    levels, given = (item, hedge) if item.is_levels else (hedge, item)
    over = _over_one_period(levels, given)
    kept = sorted(over)
    moved = np.array([over[end] for end in kept])
    told = np.array([given.by_date[end] for end in kept])
    first = min(levels.by_date, default=None)
    apart = (levels.by_date.keys() | given.by_date.keys()) - over.keys() - {first}
    sides = (moved, told) if item.is_levels else (told, moved)
    return Changes(tuple(kept), *sides, tuple(sorted(apart)))


def _over_one_period(levels: Series, given: Series) -> dict[date, float]:
    """Changes of values between neighbours, at dates of the given changes; not where the change
    that is given began at another date, as far as the one before it says."""
    before = dict(pairwise(sorted(levels.by_date)))
    start_of = {end: start for start, end in before.items()}
    ends = sorted(given.by_date)
    found: dict[date, float] = {}
    for earlier, end in zip([None, *ends], ends, strict=False):
        start = start_of.get(end)
        if start is not None and earlier in (None, start):
            found[end] = levels.by_date[end] - levels.by_date[start]
    return found


def read_series(path: Path) -> Series:
    """Raises SeriesUnreadable, with file and line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SeriesUnreadable(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SeriesUnreadable(f"{path} is no text in UTF-8: {error}; export it anew") from error
    rows = csv.reader(text.splitlines(), strict=True)
    by_date: dict[date, float] = {}
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        if header not in (["date", _CHANGE], ["date", _VALUE]):
            raise SeriesUnreadable(
                f"{path}:1: the columns are date,change or date,value; there are:"
                f" {','.join(header) or 'none'}"
            )
        for row in rows:
            if any(cell.strip() for cell in row):
                day, number = _read(f"{path}:{rows.line_num}", row)
                if day in by_date:
                    raise SeriesUnreadable(
                        f"{path}:{rows.line_num}: {day} is there twice: give each period one row"
                    )
                by_date[day] = number
    except csv.Error as error:
        raise SeriesUnreadable(f"{path} is no CSV: {error}; export it anew") from error
    return Series(path.name, dict(sorted(by_date.items())), header[1] == _VALUE)


def _read(where: str, row: list[str]) -> tuple[date, float]:
    if len(row) != 2:
        raise SeriesUnreadable(f"{where}: {len(row)} cells under 2 columns")
    day, number = (cell.strip() for cell in row)
    try:
        # A month stands for its first day.
        at = date.fromisoformat(f"{day}-01" if len(day) == len("2027-01") else day)
    except ValueError:
        raise SeriesUnreadable(
            f"{where}: date: {day!r} is none: write it as 2027-01-31, or a month as 2027-01"
        ) from None
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise SeriesUnreadable(
            f"{where}: {number!r} is no number: leave out the periods for which there is none"
        )
    return at, value

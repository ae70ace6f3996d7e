"""Assessment: whether one series of changes hedges another, by every test that is usual.

Thresholds are those that practice reads out of ASC 815 ("highly effective": 80 to 125%, R² of 80%,
a slope that differs from zero at 95%, 30 pairs); IFRS 9 knows no such line. Support for a
controller's decision: passing all of them is no claim that hedge accounting applies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from hedge.effectiveness.offset import DollarOffset, dollar_offset, is_in_band
from hedge.effectiveness.regression import Regression, regressed
from hedge.effectiveness.series import Changes
from hedge.errors import NothingToRegress
from hedge.risk import Floats

LEAST_R2, LEAST_PAIRS, SIGNIFICANT = 0.80, 30, 0.05
LEAST_REDUCTION = 0.80
LOOKBACKS = (12, 24, 36, 60)
"""Latest pairs that are looked at alone, where there are more."""
CORRELATED = 0.3
"""An autocorrelation of residuals from which on the plain errors mislead."""

Code = Literal[
    "n_below_30",
    "ratio_fitted",
    "small_change",
    "small_sum",
    "no_change",
    "unmatched",
    "autocorrelation",
    "outlier",
    "unstable",
    "perfect_fit",
    "against",
]


@dataclass(frozen=True, slots=True)
class Flag:
    """What a reader has to know of a test. code: the same in every language."""

    code: Code
    says: str

    def __str__(self) -> str:
        return f"{self.code}: {self.says}"


@dataclass(frozen=True, slots=True)
class Passes:
    """Each test by itself. slope: of the item on the hedge as it is held, within 0.80 to 1.25; if
    nobody said how it is held, on the hedge as it stands: at a ratio fitted to the same changes it
    would be 1, always. significance: of the slope at 95%. significance_hac: with errors that allow
    for residuals which lean on one another."""

    slope: bool
    r2: bool
    significance: bool
    significance_hac: bool
    n: bool
    dollar_offset: bool
    variance_reduction: bool

    @property
    def all(self) -> bool:
        return all(getattr(self, name) for name in self.__slots__)


@dataclass(frozen=True, slots=True)
class Part:
    """The regression over some of the pairs. name: `last 12`, `without 2027-01-31`."""

    name: str
    n: int
    slope: float
    r2: float
    p: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """ratio: of the hedge as it is held, fitted here if none was given. variance_reduction: of the
    item, by the hedge at this ratio: below 0 it adds some. lookbacks: over the latest pairs alone.
    outlier: without the pair that pulls the line most; leave_one_out: the range of slopes without
    any one pair."""

    changes: Changes
    ratio: float
    is_ratio_fitted: bool
    regression: Regression
    variance_reduction: float
    offset: DollarOffset
    lookbacks: tuple[Part, ...]
    outlier: Part | None
    leave_one_out: tuple[float, float] | None
    flags: tuple[Flag, ...]
    passes: Passes

    @property
    def slope_as_held(self) -> float | None:
        """Of the item on the hedge times the ratio that was given, or as it stands; None of a ratio
        of zero."""
        return _slope_as_held(self.regression, None if self.is_ratio_fitted else self.ratio)


def assessed(changes: Changes, ratio: float | None = None) -> Assessment:
    """ratio: units of the hedge per unit of the item, as it is held; None takes the one that leaves
    the least variance. Raises NothingToRegress."""
    found = regressed(changes.item, changes.hedge)
    held = found.slope if ratio is None else ratio
    offset = dollar_offset(changes.item, changes.hedge, held)
    left = float(np.var(changes.item - held * changes.hedge))
    reduction = 1 - left / float(np.var(changes.item))
    outlier, range_of_slopes = _without_one(changes, found)
    lookbacks = tuple(_lookbacks(changes))
    return Assessment(
        changes=changes,
        ratio=held,
        is_ratio_fitted=ratio is None,
        regression=found,
        variance_reduction=reduction,
        offset=offset,
        lookbacks=lookbacks,
        outlier=outlier,
        leave_one_out=range_of_slopes,
        flags=tuple(_flags(changes, found, ratio, held, offset, outlier, lookbacks)),
        passes=Passes(
            slope=is_in_band(_slope_as_held(found, ratio)),
            r2=found.r2 >= LEAST_R2,
            significance=found.plain.p < SIGNIFICANT,
            significance_hac=found.hac.p < SIGNIFICANT,
            n=found.n >= LEAST_PAIRS,
            dollar_offset=is_in_band(offset.cumulative),
            variance_reduction=reduction >= LEAST_REDUCTION,
        ),
    )


def _slope_as_held(found: Regression, ratio: float | None) -> float | None:
    if ratio is None:
        return found.slope
    return found.slope / ratio if ratio else None


def _part(name: str, changes: Changes) -> Part | None:
    """None where what is left cannot be regressed."""
    try:
        found = regressed(changes.item, changes.hedge)
    except NothingToRegress:
        return None
    return Part(name, found.n, found.slope, found.r2, found.plain.p)


def _lookbacks(changes: Changes) -> list[Part]:
    parts = [
        _part(f"last {count}", changes.last(count)) for count in LOOKBACKS if count < len(changes)
    ]
    return [part for part in parts if part is not None]


def _without_one(
    changes: Changes, whole: Regression
) -> tuple[Part | None, tuple[float, float] | None]:
    """The pair that pulls most taken out; and the least and the highest slope without any one, by
    the closed form for one that is left out."""
    place = int(np.argmax(whole.cooks_distances))
    outlier = _part(f"without {changes.dates[place]}", changes.without(place))
    x: Floats = changes.hedge - changes.hedge.mean()
    free = 1 - whole.leverages
    if not (free > np.sqrt(np.finfo(float).eps)).all():
        return outlier, None
    slopes = whole.slope - x * whole.residuals / free / float(x @ x)
    return outlier, (float(slopes.min()), float(slopes.max()))


def _flags(
    changes: Changes,
    found: Regression,
    ratio: float | None,
    held: float,
    offset: DollarOffset,
    outlier: Part | None,
    lookbacks: tuple[Part, ...],
) -> list[Flag]:
    flags: list[Flag] = []

    def flag(code: Code, says: str) -> None:
        flags.append(Flag(code, says))

    if found.n < LEAST_PAIRS:
        flag(
            "n_below_30",
            f"{found.n} pairs, fewer than {LEAST_PAIRS}: the regression supports little (n < 30)",
        )
    if ratio is None:
        flag(
            "ratio_fitted",
            f"offset and variance reduction are at the ratio {held:.4f}, which fits these very"
            " changes best: give the ratio that is held",
        )
    if held < 0:
        flag(
            "against",
            "item and hedge move against each other at this ratio: check the sign of the hedge",
        )
    still = [day for day, one in zip(changes.dates, offset.periods, strict=True) if one is None]
    if still:
        flag("no_change", f"the item did not move: no ratio for {_days(still)}")
    small = [
        day
        for day, is_small, one in zip(changes.dates, offset.is_small, offset.periods, strict=True)
        if is_small and one is not None
    ]
    if small:
        flag(
            "small_change",
            f"the item hardly moved, so that the ratio says little, counted all the same:"
            f" {_days(small)}",
        )
    if offset.is_sum_small:
        flag(
            "small_sum",
            "the item's changes nearly cancel out: the cumulative ratio divides by almost nothing",
        )
    if changes.unmatched:
        flag(
            "unmatched",
            f"in no pair, because only one side has the period: {_days(changes.unmatched)}",
        )
    if abs(found.autocorrelation) >= CORRELATED:
        flag(
            "autocorrelation",
            f"residuals lean on those before ({found.autocorrelation:.2f}): read the HAC errors",
        )
    if not found.residuals.any():
        flag("perfect_fit", "every pair lies on the line: t has no finite value")
    parts = [one for one in (*lookbacks, outlier) if one is not None]
    moved = [one for one in parts if (one.r2 >= LEAST_R2) != (found.r2 >= LEAST_R2)]
    if outlier is not None and outlier in moved:
        flag("outlier", f"R² is {outlier.r2:.3f} {outlier.name}, {found.r2:.3f} with it")
    for part in moved:
        if part is not outlier:
            flag("unstable", f"R² is {part.r2:.3f} over the {part.name}, {found.r2:.3f} over all")
    return flags


_MOST_DAYS = 12


def _days(days: Sequence[date]) -> str:
    told = ", ".join(map(str, days[:_MOST_DAYS]))
    more = len(days) - _MOST_DAYS
    return f"{told} and {more} more" if more > 0 else told

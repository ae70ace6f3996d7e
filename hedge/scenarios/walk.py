"""Walk: a line through all loads that were seen, on which what lies close is much alike.

Loads of several workloads have no one order: chat peaks by day, batches by night. Sorted by their
sum, slices of most different loads would stand side by side, and a reservation that serves one
workload would look far too good. So the space of loads is halved again and again, along whichever
workload differs most, and the cells are walked through in a serpentine (as a Gray code is): each
begins next to where the one before ended. With one workload it is the plain order by load.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedge.risk import Floats

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Half:
    """Points with `axis` above `edge` go to the upper side. upper_first: on the walk."""

    axis: int
    edge: float
    lower: Half | None
    upper: Half | None
    upper_first: bool


@dataclass(frozen=True, slots=True)
class Walk:
    root: Half | None

    @classmethod
    def through(cls, points: Floats, cells: int) -> Walk:
        """At most `cells` of about as many points each; busiest first. points [points, axes]."""
        return cls(_halved(points, cells, np.ones(points.shape[1], dtype=np.bool_)))

    @property
    def cells(self) -> int:
        return _count(self.root)

    def cell(self, points: Floats) -> Places:
        """Where on the walk each point lies [points]."""
        places = np.zeros(len(points), dtype=np.int64)
        _place(self.root, points, np.arange(len(points)), 0, places)
        return places


def _halved(points: Floats, cells: int, downwards: NDArray[np.bool_]) -> Half | None:
    """downwards: which axes the walk goes down on, here."""
    if cells < 2 or len(points) < 2:
        return None
    axis = int(points.var(axis=0).argmax())
    edge = float(np.median(points[:, axis]))
    above = points[:, axis] > edge
    if not above.any():  # more than half of them are the highest
        edge = float(np.max(points[:, axis][points[:, axis] < edge], initial=-np.inf))
        above = points[:, axis] > edge
        if above.all():
            return None
    upper_first = bool(downwards[axis])
    first, second = downwards, ~downwards
    second[axis] = downwards[axis]
    upper, lower = (first, second) if upper_first else (second, first)
    return Half(
        axis,
        edge,
        _halved(points[~above], cells // 2, lower),
        _halved(points[above], cells - cells // 2, upper),
        upper_first,
    )


def _count(half: Half | None) -> int:
    return 1 if half is None else _count(half.lower) + _count(half.upper)


def _place(half: Half | None, points: Floats, which: Places, before: int, places: Places) -> None:
    if half is None:
        places[which] = before
        return
    above = points[which, half.axis] > half.edge
    sides = [(half.upper, which[above]), (half.lower, which[~above])]
    for side, some in sides if half.upper_first else reversed(sides):
        _place(side, points, some, before, places)
        before += _count(side)

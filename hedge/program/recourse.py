"""Recourse: the least that each month costs at fixed capacity, and its slope in the capacity."""

from __future__ import annotations

from typing import Protocol

from hedge.program.ascent import Ascent
from hedge.program.cells import Cells
from hedge.program.merit import Costs, MeritOrder
from hedge.risk import Floats


class Recourse(Protocol):
    """is_exact: always. If not, the cost is a little below the true one unless `exact` is asked
    for, and nearly true then."""

    is_exact: bool

    def costs(self, capacity: list[Floats], *, exact: bool = True) -> Costs:
        """At these units of each pool, what is delivered of them [scenarios or 1, months]."""


def recourse_of(cells: Cells) -> Recourse:
    """Exact in one pass where one measure fits all; else by prices that are improved."""
    return MeritOrder.of(cells) or Ascent(cells)

"""Recourse: the least that each month costs at fixed capacity, and its slope in the capacity."""

from __future__ import annotations

from typing import Protocol

from hedge.program.ascent import Ascent
from hedge.program.cells import Cells
from hedge.program.merit import Costs, MeritOrder
from hedge.risk import Floats


class Recourse(Protocol):
    def costs(self, capacity: list[Floats]) -> Costs:
        """At these units of each pool, what is delivered of them [scenarios or 1, months]."""


def recourse_of(cells: Cells) -> Recourse:
    """Exact in one pass where one measure fits all; else by prices that are improved."""
    return MeritOrder.of(cells) or Ascent(cells)

"""Recourse: the least that each month costs at fixed capacity, and its slope in the capacity."""

from __future__ import annotations

from typing import Protocol

from hedge.program.ascent import Ascent
from hedge.program.cells import Cells
from hedge.program.merit import Costs, MeritOrder
from hedge.program.waiting import Waiting
from hedge.risk import Floats


class Recourse(Protocol):
    """is_exact: always. If not, the cost is a little below the true one unless `exact` is asked
    for, and nearly true then."""

    is_exact: bool

    def costs(self, capacity: list[Floats], *, exact: bool = True) -> Costs:
        """At these units of each pool, what is delivered of them [scenarios or 1, months]."""


def recourse_of(cells: Cells, later_usd: Floats | None = None) -> Recourse:
    """Exact in one pass where one measure fits all; else by prices that are improved. later_usd: as
    of Menu, where capacity can still be bought in the month."""
    plain = MeritOrder.of(cells) or Ascent(cells)
    return plain if later_usd is None else Waiting(plain, cells, later_usd)

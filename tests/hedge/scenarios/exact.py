"""The naive model: months slice by slice, as `DurationCurves` would have them without bands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hedge.risk import Floats
from hedge.scenarios.calendar import Span
from hedge.scenarios.demand import DemandPaths
from hedge.scenarios.history import SLICES, DemandHistory
from hedge.scenarios.trend import to_today


def exact_slices(
    history: DemandHistory, paths: DemandPaths, spans: Sequence[Span], scenario: int, month: int
) -> Floats:
    """Five-minute amounts of one month, in the order of time [slices, workloads, 4]."""
    first = sum(one.days for one in spans[:month])
    factors = to_today(history)
    slices: list[Floats] = []
    for place in paths.drawn[scenario, first : first + spans[month].days]:
        day, multiple = paths.variants.day[place], paths.variants.multiple[place]
        for hour in history.amounts[day]:
            at_level = hour * (factors[day] * multiple * paths.level[scenario, month])[:, None]
            shape = history.slices.T[:, :, None] / SLICES
            slices.extend(at_level * piece for piece in shape)
    return np.array(slices)

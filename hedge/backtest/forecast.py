"""Forecast: the product's own scenarios, drawn from what a backtest's rules may see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from hedge.backtest.path import Seen
from hedge.scenarios.calibration import calibrated
from hedge.scenarios.draw import draw
from hedge.scenarios.history import DAY_SLICES, DemandHistory
from hedge.scenarios.months import Months, TokenKind
from hedge.scenarios.workload import Workload

WORKLOAD = Workload("demand", ("demand",))
HISTORY_DAYS = 91
"""Further back it is another business."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The next months as the planner draws them, calibrated on the past that was seen alone, at
    today's prices; the same past draws the same."""

    seed: int
    count: int = 100
    months: int = 6
    blocks: int = 16

    def __call__(self, past: Seen) -> Months:
        history = history_of(past)
        return draw(
            history,
            calibrated(history),
            seed=self.seed,
            count=self.count,
            months=self.months,
            blocks=self.blocks,
            first=past.today,
        )


def history_of(past: Seen) -> DemandHistory:
    """Its last days, at the price of yesterday: what was cheaper once is not cheaper tomorrow."""
    tokens = past.tokens[-HISTORY_DAYS:]
    amounts = np.zeros((len(tokens), DAY_SLICES, 1, len(TokenKind)), dtype=np.int64)
    amounts[..., 0, TokenKind.PROMPT] = tokens
    amounts[..., 0, TokenKind.REQUEST] = tokens > 0
    today = datetime.combine(past.today, datetime.min.time(), UTC)
    return DemandHistory.of_slices(
        (WORKLOAD,),
        amounts,
        (tokens * past.list_nanos[-1])[..., None],
        today - timedelta(days=len(tokens)),
    )

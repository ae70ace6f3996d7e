"""Path: what a backtest's demand and prices really were, and the part of it that a rule may see.

A rule is never handed a Path. It gets Seen, whose arrays are copies that end the evening before the
decision: looking ahead is not forbidden, it is impossible.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hedge.backtest.offer import Offer
from hedge.scenarios.months import Months

Ints = NDArray[np.int64]
SLICES = 288
"""Five-minute slices of a day."""


@dataclass(frozen=True, eq=False)
class Path:
    """One run of demand and prices, whole days from `first` on.

    tokens: capacity units that each five-minute slice needs [days, SLICES], in tokens that weigh
        as they burn down. list_nanos: what one of them costs at pay-as-you-go, nano-USD [days].
    index_usd: a price index of GPU-hours on each day [days]; None if there is none.
    bought_from: the day of the first decision; what lies before is history.
    """

    name: str
    first: date
    bought_from: date
    tokens: Ints
    list_nanos: Ints
    index_usd: NDArray[np.float64] | None = None

    @property
    def days(self) -> int:
        return len(self.tokens)

    @property
    def until(self) -> date:
        return self.first + timedelta(days=self.days)

    def row(self, day: date) -> int:
        return (day - self.first).days

    @cached_property
    def list_cost_nanos(self) -> Ints:
        """What each day costs without any contract [days]."""
        return np.asarray(self.tokens.sum(axis=1) * self.list_nanos, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is known on the morning of `today`: the past, the offer, and one forecast for all.

    tokens, list_nanos, index_usd: as of Path, up to yesterday. held: units that are paid for on
    each of the coming days [days], today first. forecast: the months from today's on, drawn from
    the past alone; only on the first of a month.
    """

    today: date
    first: date
    tokens: Ints
    list_nanos: Ints
    index_usd: NDArray[np.float64] | None
    held: Ints
    offer: Offer
    forecast: Months | None


def seen(path: Path, today: date, held: Ints, offer: Offer, forecast: Months | None) -> Seen:
    """The past of `path` on that morning, as copies."""
    end = path.row(today)
    index = None if path.index_usd is None else path.index_usd[:end].copy()
    return Seen(
        today,
        path.first,
        path.tokens[:end].copy(),
        path.list_nanos[:end].copy(),
        index,
        held.copy(),
        offer,
        forecast,
    )

"""Path: what a backtest's demand and prices really were, and the part of it that a rule may see.

A rule is never handed a Path. It gets Seen, whose arrays are copies that end the evening before the
decision: looking ahead is not forbidden, it is impossible.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from hedge.backtest.offer import Offer
from hedge.scenarios.months import Months

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One run of demand and prices, whole days from `first` on.

    tokens: capacity units that each five-minute slice needs [days, DAY_SLICES], in tokens that
        weigh as they burn down. list_nanos: what one of them costs at pay-as-you-go, nano-USD
        [days].
    bought_from: the day of the first decision; what lies before is history.
    """

    name: str
    first: date
    bought_from: date
    tokens: Ints
    list_nanos: Ints

    @property
    def days(self) -> int:
        return len(self.tokens)

    @property
    def until(self) -> date:
        return self.first + timedelta(days=self.days)

    def row(self, day: date) -> int:
        return (day - self.first).days


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is known on the morning of `today`: the past, the offer, and one forecast for all.

    tokens, list_nanos: as of Path, up to yesterday. held: units that are paid for on
    each of the coming days [days], today first. forecast: the months from today's on, drawn from
    the past alone; only on the first of a month.
    """

    today: date
    first: date
    tokens: Ints
    list_nanos: Ints
    held: Ints
    offer: Offer
    forecast: Months | None


def seen(path: Path, today: date, held: Ints, offer: Offer, forecast: Months | None) -> Seen:
    """The past of `path` on that morning, as copies."""
    end = path.row(today)
    return Seen(
        today,
        path.first,
        path.tokens[:end].copy(),
        path.list_nanos[:end].copy(),
        held.copy(),
        offer,
        forecast,
    )

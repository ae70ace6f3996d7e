"""Bidder: says what a commitment's capacity is worth now, from the requests that want it.

It is told of each request that the commitment could serve, drawn or not, and of how much is left.
No program is solved: a price takes some microseconds to read, some milliseconds to make.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from hedge.bids.demand import Demand
from hedge.bids.minute import MINUTE_S, MinutePrices, minute_prices
from hedge.bids.quota import quota_price
from hedge.bids.wanted import Wanted
from hedge.risk import Floats

LEAST = 20
"""Requests before what is learned from them is believed."""


class QuotaBidder:
    """Of a quota, in one window after the other.

    start_nanos_per_unit: what a unit is worth until LEAST requests were seen: the program's dual.
    """

    def __init__(self, demand: Demand, start_nanos_per_unit: float = 0.0) -> None:
        self._demand = demand
        self._start = start_nanos_per_unit

    @property
    def has_learned(self) -> bool:
        """Whether its price is that of the traffic."""
        return self._demand.requests >= LEAST

    def note(self, one: Wanted) -> None:
        self._demand.note(one)

    def price(self, at_s: float, units_left: float, until_s: float) -> float:
        """Nano-USD per unit, with so much left until the window ends."""
        demand = self._demand
        demand.advance(at_s)
        if not self.has_learned:
            return self._start
        to_come = demand.expected(at_s, until_s)
        return quota_price(units_left, to_come, demand.spread(float(to_come.sum())))


RECENT = 512
"""Requests that are kept: of the last minutes."""
TYPICAL = 64
"""The newest of them stand for all: what units are worth moves with the market."""
RATE_HALF_LIFE_MIN = 4.0
SPREAD_HALF_LIFE_MIN = 30.0
LEAST_SPREAD = 0.03
"""Below it one rate stands for all."""
_DEVIATES = np.array([-1.2247, 0.0, 1.2247])
"""Low, usual and high, equally likely, with a standard deviation of 1."""


class ThroughputBidder:
    """Of capacity per minute. Times are seconds since 1970, and never go back."""

    def __init__(
        self, capacity_units: float, began_s: float, start_nanos_per_unit: float = 0.0
    ) -> None:
        self._capacity = capacity_units
        self._start = start_nanos_per_unit
        self._recent: deque[Wanted] = deque(maxlen=RECENT)
        self._minute = int(began_s // MINUTE_S)
        self._came = 0.0
        self._per_minute: float | None = None
        self._error_square = 0.0

    def note(self, one: Wanted) -> None:
        self.advance(one.at_s)
        self._came += one.count
        self._recent.append(one)

    def advance(self, at_s: float) -> None:
        minute = int(at_s // MINUTE_S)
        if minute <= self._minute:
            return
        self._end_minute(self._came)
        # Silence forgets: after some dozens of empty minutes nothing is left to forget.
        for _ in range(min(minute - self._minute - 1, 60)):
            self._end_minute(0.0)
        self._minute, self._came = minute, 0.0

    def prices(self, at_s: float) -> MinutePrices:
        """By fill and time; good until the traffic changes: some seconds to a minute."""
        self.advance(at_s)
        if self._per_minute is None or len(self._recent) < LEAST:
            return MinutePrices.flat(self._capacity, self._start)
        newest = list(self._recent)[-TYPICAL:]
        units = np.array([one.units / one.count for one in newest])
        # Sizes have heavy tails: their mean is that of all that are kept.
        requests = sum(one.count for one in self._recent)
        mean = sum(one.units for one in self._recent) / requests
        return minute_prices(
            self._capacity,
            self._rates(self._per_minute),
            units * (mean / units.mean()),
            np.array([one.nanos_per_unit for one in newest]),
        )

    def _rates(self, per_minute: float) -> Floats:
        """Equally likely rates, per second: traffic in bursts differs from minute to minute by more
        than chance."""
        beyond_chance = max(0.0, self._error_square - per_minute)
        spread = math.sqrt(math.log1p(beyond_chance / max(per_minute, 1.0) ** 2))
        deviates = _DEVIATES if spread > LEAST_SPREAD else _DEVIATES[1:2]
        rates: Floats = per_minute / MINUTE_S * np.exp(spread * deviates - spread * spread / 2)
        return rates

    def _end_minute(self, came: float) -> None:
        if self._per_minute is None:
            self._per_minute = came
            self._error_square = came
            return
        error = came - self._per_minute
        keep = 0.5 ** (1 / SPREAD_HALF_LIFE_MIN)
        self._error_square = keep * self._error_square + (1 - keep) * error * error
        keep = 0.5 ** (1 / RATE_HALF_LIFE_MIN)
        self._per_minute = keep * self._per_minute + (1 - keep) * came

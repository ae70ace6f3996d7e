"""Demand: what is wanted of a commitment, by the hour of the week, and what each unit is worth.

It begins with a forecast, or with nothing, and learns from each request. Three things are learned
at three speeds: how much more or less than usual comes now (hours), the shape of the week (weeks),
and what units are worth at each hour of the day (days).
"""

from __future__ import annotations

import numpy as np

from hedge.bids.values import BINS, bin_of
from hedge.bids.wanted import Wanted
from hedge.risk import Floats

HOUR_S = 3600.0
DAY_HOURS, WEEK_HOURS = 24, 168
_EPOCH_HOUR = 72
"""1970 began on a Thursday; weeks begin on Mondays."""
LEVEL_HALF_LIFE_S = 18 * HOUR_S
LEVEL_HOURS = 4.0
"""So many usual hours have to say otherwise before half of it is believed."""
WEEK_HALF_LIFE_S = 21 * 86_400.0
VALUE_HALF_LIFE_S = 3 * 86_400.0
SHRINK_S = 2 * HOUR_S
"""An hour of the week that was seen for so long is believed as much as the hour of the day, and
that as much as the whole."""
SHRINK_VALUES = 50.0
"""Requests of an hour of the day whose values are believed as much as those of all hours."""


class Demand:
    """Bounded memory: arrays of fixed size. Times are seconds since 1970, and never go back.

    usual: units per second that are forecast for each hour of the week (UTC, from Monday's first)
    [168]; None forecasts nothing. trust_s: for how long each hour was as good as seen.
    """

    def __init__(
        self, began_s: float, usual: Floats | None = None, trust_s: float = 14 * HOUR_S
    ) -> None:
        self._at_s = began_s
        seen_s = 0.0 if usual is None else trust_s
        self._units = np.zeros(WEEK_HOURS) if usual is None else usual * trust_s
        self._seen_s = np.full(WEEK_HOURS, seen_s)
        self._values = np.zeros((DAY_HOURS, BINS))
        self._requests = np.zeros(DAY_HOURS)
        self._size = self._square = self._count = 0.0
        self._came = self._foreseen = 0.0
        self._rates = self._usual_rates()

    @property
    def is_known(self) -> bool:
        """Whether it was asked for at all."""
        return self._count > 0

    @property
    def level(self) -> float:
        """How much more is wanted now than usual: 1 is as usual."""
        weight = LEVEL_HOURS * HOUR_S * float(self._rates.mean())
        below = weight + self._foreseen
        return 1.0 if below <= 0 else (weight + self._came) / below

    def note(self, one: Wanted) -> None:
        """A request that the commitment could serve, whether it drew or not."""
        self.advance(one.at_s)
        hour = _hour_of(one.at_s)
        self._units[hour] += one.units
        self._came += one.units
        self._values[hour % DAY_HOURS, bin_of(one.nanos_per_unit)] += one.units
        self._requests[hour % DAY_HOURS] += 1
        self._count += 1
        self._size += one.units
        self._square += one.units * one.units

    def advance(self, at_s: float) -> None:
        """Time has passed until then, with no request but those noted."""
        while self._at_s < at_s:
            hour = _hour_of(self._at_s)
            until_s = min(at_s, (self._at_s // HOUR_S + 1) * HOUR_S)
            spent_s = until_s - self._at_s
            self._foreseen += self._rates[hour] * spent_s
            self._seen_s[hour] += spent_s
            self._at_s = until_s
            if until_s % HOUR_S == 0:
                self._fade()

    def expected(self, from_s: float, until_s: float) -> Floats:
        """Units by value bin that are still to come in [from_s, until_s) [BINS]."""
        weights = self._hours(from_s, until_s) * self._rates * self.level
        by_day_hour = weights.reshape(7, DAY_HOURS).sum(axis=0)
        everywhere = self._values.sum(axis=0)
        total = everywhere.sum()
        if total <= 0:
            return np.zeros(BINS)
        mean_size = self._size / self._count
        shrunk = self._values + SHRINK_VALUES * mean_size * everywhere / total
        found: Floats = (by_day_hour / shrunk.sum(axis=1)) @ shrunk
        return found

    def request_spread(self, units: float) -> float:
        """How far so many units to come differ by how many requests come, and of what size: a
        standard deviation, as a share of them."""
        if units <= 0 or self._size <= 0:
            return 0.0
        return float(np.sqrt(self._square / self._size / units))

    def _hours(self, from_s: float, until_s: float) -> Floats:
        """Seconds of each hour of the week in [from_s, until_s) [168]."""
        found = np.zeros(WEEK_HOURS)
        first, last = int(from_s // HOUR_S), int(until_s // HOUR_S)
        hours = np.arange(first, last + 1, dtype=np.int64)
        starts = hours * HOUR_S
        inside = np.minimum(starts + HOUR_S, until_s) - np.maximum(starts, from_s)
        np.add.at(found, (hours + _EPOCH_HOUR) % WEEK_HOURS, np.clip(inside, 0, None))
        return found

    def _usual_rates(self) -> Floats:
        """Units per second by the hour of the week: each shrunk to its hour of the day, and that to
        the whole."""
        whole = float(self._units.sum() / max(self._seen_s.sum(), 1.0))
        seen_s = self._seen_s.reshape(7, DAY_HOURS).sum(axis=0)
        units = self._units.reshape(7, DAY_HOURS).sum(axis=0)
        of_day = (units + SHRINK_S * whole) / (seen_s + SHRINK_S)
        rates: Floats = (self._units + SHRINK_S * np.tile(of_day, 7)) / (self._seen_s + SHRINK_S)
        return rates

    def _fade(self) -> None:
        """An hour is over: what was learned counts less, and what is usual is worked out anew."""
        keep = 0.5 ** (HOUR_S / WEEK_HALF_LIFE_S)
        self._units *= keep
        self._seen_s *= keep
        keep = 0.5 ** (HOUR_S / VALUE_HALF_LIFE_S)
        self._values *= keep
        self._requests *= keep
        self._size, self._square, self._count = (
            keep * one for one in (self._size, self._square, self._count)
        )
        keep = 0.5 ** (HOUR_S / LEVEL_HALF_LIFE_S)
        self._came, self._foreseen = keep * self._came, keep * self._foreseen
        self._rates = self._usual_rates()


def _hour_of(at_s: float) -> int:
    return (int(at_s // HOUR_S) + _EPOCH_HOUR) % WEEK_HOURS

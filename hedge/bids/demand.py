"""Demand: what is wanted of a commitment, by the hour of the week, and what each unit is worth.

It begins with a forecast, or with nothing, and learns from each request. Three things are learned
at three speeds: how much more or less than usual comes now (hours), the shape of the week (weeks),
and what units are worth at each hour of the day (days).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hedge.bids.values import BINS, bin_of
from hedge.bids.wanted import Wanted
from hedge.risk import Floats

HOUR_S, DAY_S = 3600.0, 86_400.0
DAY_HOURS, WEEK_HOURS = 24, 168
_EPOCH_HOUR = 72
"""1970 began on a Thursday; weeks begin on Mondays."""
TIDE_HALF_LIFE_S, TIDE_HOURS = 18 * HOUR_S, 4.0
"""Of what is unusual now. So many usual hours have to say otherwise before half is believed."""
TREND_HALF_LIFE_S, TREND_HOURS = 4 * DAY_S, 24.0
"""Of what has been unusual for long: a forecast that was wrong, growth."""
TIDE_LASTS_S = 5 * DAY_S
"""So slowly is the one believed to go back to the other: a busy day will not stay."""
WEEK_HALF_LIFE_S = 21 * DAY_S
VALUE_HALF_LIFE_S = 3 * DAY_S
FORECAST_SPREAD, UNKNOWN_SPREAD = 0.12, 0.5
"""How far days are from what was expected of them, as a share, before any was seen: a standard
deviation, with a forecast and without one."""
DAYS_REMEMBERED = 4.0
"""Days after which their own spread is believed as much."""
SHRINK_S = 2 * HOUR_S
"""An hour of the week that was seen for so long is believed as much as the hour of the day, and
that as much as the whole."""
SHRINK_VALUES = 50.0
"""Requests of an hour of the day whose values are believed as much as those of all hours."""


@dataclass(slots=True)
class _Level:
    """What came, of what was foreseen: both fade."""

    half_life_s: float
    trusted_hours: float
    came: float = 0.0
    foreseen: float = 0.0

    def of(self, usual_rate: float) -> float:
        trusted = self.trusted_hours * HOUR_S * usual_rate
        below = trusted + self.foreseen
        return (trusted + self.came) / below if below > 0 else 1.0

    def fade(self) -> None:
        keep = 0.5 ** (HOUR_S / self.half_life_s)
        self.came, self.foreseen = keep * self.came, keep * self.foreseen


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
        self._size = self._square = self._count = 0.0
        self._tide = _Level(TIDE_HALF_LIFE_S, TIDE_HOURS)
        self._trend = _Level(TREND_HALF_LIFE_S, TREND_HOURS)
        self._day_came = self._day_expected = 0.0
        self._spread_square = (UNKNOWN_SPREAD if usual is None else FORECAST_SPREAD) ** 2
        self._rates = self._usual_rates()

    @property
    def requests(self) -> float:
        """How many were noted; those of days ago count in part."""
        return self._count

    @property
    def level(self) -> float:
        """How much more is wanted now than usual: 1 is as usual."""
        return self._tide.of(float(self._rates.mean()))

    def note(self, one: Wanted) -> None:
        """Requests that the commitment could serve, whether they drew or not."""
        self.advance(one.at_s)
        hour = _hour_of(one.at_s)
        self._units[hour] += one.units
        if self._rates.any():  # in the first hour nothing was foreseen
            self._tide.came += one.units
            self._trend.came += one.units
        self._day_came += one.units
        self._values[hour % DAY_HOURS, bin_of(one.nanos_per_unit)] += one.units
        self._count += one.count
        self._size += one.units
        self._square += one.units * one.units / one.count

    def advance(self, at_s: float) -> None:
        """Time has passed until then, with no request but those noted."""
        while self._at_s < at_s:
            hour = _hour_of(self._at_s)
            until_s = min(at_s, (self._at_s // HOUR_S + 1) * HOUR_S)
            spent_s = until_s - self._at_s
            foreseen = float(self._rates[hour]) * spent_s
            self._day_expected += self.level * foreseen
            self._tide.foreseen += foreseen
            self._trend.foreseen += foreseen
            self._seen_s[hour] += spent_s
            self._at_s = until_s
            if until_s % HOUR_S == 0:
                self._fade()
            if until_s % DAY_S == 0:
                self._end_day()

    def expected(self, from_s: float, until_s: float) -> Floats:
        """Units by value bin that are still to come in [from_s, until_s) [BINS]."""
        rates = self._rates if self._rates.any() else self._usual_rates()
        weights = self._hours(from_s, until_s) * rates * self._level_of_next(until_s - from_s)
        by_day_hour = weights.reshape(7, DAY_HOURS).sum(axis=0)
        everywhere = self._values.sum(axis=0)
        total = everywhere.sum()
        if total <= 0:
            return np.zeros(BINS)
        mean_size = self._size / self._count
        shrunk = self._values + SHRINK_VALUES * mean_size * everywhere / total
        found: Floats = (by_day_hour / shrunk.sum(axis=1)) @ shrunk
        return found

    def spread(self, units: float) -> float:
        """How far so many units to come may differ from what comes, as a share: a standard
        deviation. As far as days did lately, and by how many requests come and their sizes."""
        if units <= 0 or self._size <= 0:
            return 0.0
        by_chance = math.sqrt(self._square / self._size / units)
        return math.hypot(math.sqrt(self._spread_square), by_chance)

    def _end_day(self) -> None:
        if self._day_expected > 0:
            error = min(abs(self._day_came / self._day_expected - 1), 1.0)
            part = 1 / DAYS_REMEMBERED
            self._spread_square += part * (error * error - self._spread_square)
        self._day_came = self._day_expected = 0.0

    def _level_of_next(self, seconds: float) -> float:
        """The mean of the level over so many seconds from now on."""
        ahead = seconds / TIDE_LASTS_S
        stays = -math.expm1(-ahead) / ahead if ahead > 0 else 1.0
        trend = self._trend.of(float(self._rates.mean()))
        return trend + (self.level - trend) * stays

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
        self._size, self._square, self._count = (
            keep * one for one in (self._size, self._square, self._count)
        )
        self._tide.fade()
        self._trend.fade()
        self._rates = self._usual_rates()


def _hour_of(at_s: float) -> int:
    return (int(at_s // HOUR_S) + _EPOCH_HOUR) % WEEK_HOURS

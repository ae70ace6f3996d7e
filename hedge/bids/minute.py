"""What a unit of throughput is worth in the minute that it perishes with.

V(x, s) is what x units left with s seconds to go will save, when each request to come draws if its
alternative costs more than what its units would save later: a dynamic program over arrivals by
chance (Lee and Hersh 1993, with sizes). The price of a unit is the slope of V: nothing while the
minute will not fill, more the sooner it fills.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedge.risk import Floats

MINUTE_S = 60.0
STEPS = 60
LEVELS = 48
"""Of what is left of the minute's capacity."""
JUST_BELOW = 0.99
"""Where all that will be served is of one value, that value draws."""


@dataclass(frozen=True, slots=True, eq=False)
class MinutePrices:
    """Of one commitment. capacity_units: per minute. nanos_per_unit: by the steps that are left to
    the minute's end, and by what is left of its capacity [STEPS + 1, LEVELS + 1]."""

    capacity_units: float
    nanos_per_unit: Floats

    @classmethod
    def flat(cls, capacity_units: float, nanos_per_unit: float) -> MinutePrices:
        """The same at any time, whatever is left."""
        return cls(capacity_units, np.full((STEPS + 1, LEVELS + 1), nanos_per_unit))

    def price(self, units_left: float, at_s: float) -> float:
        """Nano-USD per unit, at a moment in seconds since 1970. Minutes are those of the clock."""
        step = int((MINUTE_S - at_s % MINUTE_S) * (STEPS / MINUTE_S))
        level = int(units_left / self.capacity_units * LEVELS)
        return self.nanos_per_unit.item(step, min(max(level, 0), LEVELS))


def minute_prices(
    capacity_units: float, arrivals_per_s: Floats, units: Floats, values: Floats
) -> MinutePrices:
    """arrivals_per_s: equally likely rates of requests. units, values: what typical ones take, and
    nano-USD per unit that they cost elsewhere; equally likely, above 0, at least one."""
    prices = [_prices(capacity_units, rate, units, values) for rate in arrivals_per_s.tolist()]
    return MinutePrices(capacity_units, np.mean(prices, axis=0))


def _prices(capacity: float, rate: float, units: Floats, values: Floats) -> Floats:
    per_step = rate * MINUTE_S / STEPS
    # At most one clump of requests comes in a step: of so many, that is as alike as their mean.
    clump = max(1.0, per_step)
    chance = per_step / clump / len(units)
    sizes = (units.mean() + (units - units.mean()) / np.sqrt(clump)) * clump
    taken = np.minimum(sizes / capacity * LEVELS, LEVELS)
    worth = sizes * values
    after = np.arange(LEVELS + 1)[None, :] - taken[:, None]
    is_enough = after >= 0
    low = np.maximum(np.floor(after).astype(np.int64), 0)
    part = np.clip(after - low, 0.0, 1.0)
    high = np.minimum(low + 1, LEVELS)
    kept = np.zeros(LEVELS + 1)
    rows = [kept]
    for _ in range(STEPS):
        without = kept[low] * (1 - part) + kept[high] * part
        gain = np.where(is_enough, worth[:, None] + without - kept, 0.0)
        kept = kept + chance * np.maximum(gain, 0.0).sum(axis=0)
        rows.append(kept)
    saved = np.array(rows)
    # Over a usual request below what is left: nearer to what it gives up than at the edge.
    usual = float(np.clip((units * units).sum() / units.sum() / capacity * LEVELS, 1.0, LEVELS))
    below = np.maximum(np.arange(LEVELS + 1) - usual, 0.0)
    width = np.maximum(np.arange(LEVELS + 1) - below, 1.0)
    floor = below.astype(np.int64)
    share = below - floor
    lower = saved[:, floor] * (1 - share) + saved[:, np.minimum(floor + 1, LEVELS)] * share
    slopes: Floats = (saved - lower) / width * (LEVELS / capacity)
    slopes[:, 0] = slopes[:, 1]
    # Where whole requests hardly fit, a unit less can cost more than any is worth.
    return np.asarray(np.minimum(slopes, values.max()) * JUST_BELOW)

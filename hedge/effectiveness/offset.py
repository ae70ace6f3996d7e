"""DollarOffset: what the hedge moved for each dollar that the item moved, by period and in all.

Where the item hardly moved, the ratio divides by almost nothing and says little (the problem of
small numbers of Hailer and Rump 2005): such periods are flagged, and still counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hedge.risk import Floats

LOW, HIGH = 0.80, 1.25
"""What practice reads "highly effective" as."""
SMALL = 0.1
"""Of the root mean square of the item's changes: what is below is a small change."""


@dataclass(frozen=True, slots=True)
class DollarOffset:
    """periods: ratio × hedge ÷ item of each, None where the item did not move. cumulative: of the
    sums; running: of the sums up to each period. is_small: the item's change was small, by period;
    is_sum_small: so is its sum, beside what so many changes sum to by chance."""

    periods: tuple[float | None, ...]
    running: tuple[float | None, ...]
    is_small: tuple[bool, ...]
    is_sum_small: bool

    @property
    def cumulative(self) -> float | None:
        return self.running[-1]

    @property
    def in_band(self) -> int:
        """Periods whose ratio lies within the band, small ones counted like all."""
        return sum(map(is_in_band, self.periods))


def is_in_band(ratio: float | None) -> bool:
    return ratio is not None and LOW <= ratio <= HIGH


def dollar_offset(item: Floats, hedge: Floats, ratio: float, small: float = SMALL) -> DollarOffset:
    """Of one period or more. ratio: of the hedge, as it is held. The offset is above 0 where both
    move alike: the hedge's sign is that of who is protected by its gain."""
    usual = float(np.sqrt(np.mean(item**2)))
    sums, scaled = np.cumsum(item), ratio * np.cumsum(hedge)
    return DollarOffset(
        periods=_ratios(ratio * hedge, item),
        running=_ratios(scaled, sums),
        is_small=tuple(bool(one) for one in np.abs(item) < small * usual),
        is_sum_small=bool(abs(sums[-1]) < small * usual * np.sqrt(len(item))),
    )


def _ratios(above: Floats, below: Floats) -> tuple[float | None, ...]:
    pairs = zip(above, below, strict=True)
    return tuple(float(top) / float(under) if under else None for top, under in pairs)

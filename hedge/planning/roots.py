"""Roots: where something that costs a second to ask about passes zero."""

from __future__ import annotations

from collections.abc import Callable

ASKED_AT_MOST = 12
NEAR = 0.005
"""Relative: a multiple is told to two digits."""


def where_crosses(value: Callable[[float], float], low: float, high: float) -> float | None:
    """Where `value`, of one sign at `low` and another at `high`, passes zero, both above 0.

    `low` itself where it is no longer below zero there; None where it is below zero at `high`, too.
    By false position (Illinois), which needs a handful of values where the function is almost
    straight, as costs are.
    """
    at_low = value(low)
    if at_low >= 0:
        return low
    at_high = value(high)
    if at_high < 0:
        return None
    last = 0
    for _ in range(ASKED_AT_MOST):
        if high - low <= NEAR * low:
            break
        middle = low + (high - low) * min(0.98, max(0.02, -at_low / (at_high - at_low)))
        found = value(middle)
        if found < 0:
            low, at_low = middle, found
            at_high *= 0.5 if last < 0 else 1.0
            last = -1
        else:
            high, at_high = middle, found
            at_low *= 0.5 if last > 0 else 1.0
            last = 1
    return high

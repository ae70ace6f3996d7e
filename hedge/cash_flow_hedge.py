"""Cash flow hedge: what of a derivative's gain waits in equity, and what is a result at once.

IFRS 9 6.5.11: the reserve is the lower, in absolute amounts, of the cumulative gain or loss on the
derivative and the cumulative change of the hedged item's present value, for which a hypothetical
derivative that fits it perfectly stands. What the derivative gained beyond that is ineffective,
and a result at once. Support for a controller's decision, no claim that hedge accounting applies.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.money import ZERO, Money


@dataclass(frozen=True, slots=True)
class LowerOf:
    """Cumulative amounts: reserve is in other comprehensive income (OCI), result in profit or
    loss. Together they are the derivative's gain."""

    reserve: Money
    result: Money


def lower_of(derivative: Money, item: Money) -> LowerOf:
    """derivative: its cumulative gain (loss below 0). item: the hedged item's cumulative change of
    value; the opposite sign is what the derivative offsets. With the same sign nothing is offset,
    and all is a result."""
    if derivative == 0 or (derivative > 0) == (item > 0):
        return LowerOf(ZERO, derivative)
    size = min(abs(derivative), abs(item))
    reserve = Money(size if derivative > 0 else -size)
    return LowerOf(reserve, Money(derivative - reserve))

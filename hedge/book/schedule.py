"""Schedule: when a commitment's fee is due, and which day it is the expense of.

Amounts are prorated, so that the parts of a term sum to its fee, to the nano-USD.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from hedge.contracts.arithmetic import prorated
from ledger.money import ZERO, Money

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """bills: what is due on which day, in their order. expenses: of each day from `starts` on.

    The sums of both are the fee. What is due upfront is spread over all of the term, what is due
    for a month over the month: so that no day is an expense before it is billed.
    """

    starts: date
    bills: tuple[tuple[date, Money], ...]
    expenses: tuple[Money, ...]

    @classmethod
    def of(cls, fee: Money, upfront: Decimal, bounds: Sequence[date]) -> Schedule:
        """bounds: where the months of the term begin, and where the last one ends."""
        numerator, denominator = upfront.as_integer_ratio()
        ahead = fee * numerator // denominator
        lengths = [(end - start).days for start, end in pairwise(bounds)]
        monthly = _even(fee - ahead, len(lengths))
        daily = [
            part for due, days in zip(monthly, lengths, strict=True) for part in _even(due, days)
        ]
        ahead_daily = _even(ahead, len(daily))
        bills = [
            (bounds[0], Money(ahead + monthly[0])),
            *zip(bounds[1:-1], monthly[1:], strict=True),
        ]
        return cls(
            bounds[0],
            tuple((day, amount) for day, amount in bills if amount),
            tuple(Money(one + other) for one, other in zip(daily, ahead_daily, strict=True)),
        )

    @property
    def ends(self) -> date:
        """The day after the last one."""
        return self.starts + _DAY * len(self.expenses)

    def days(self, since: date, until: date) -> list[tuple[date, Money]]:
        """The expenses of days from `since` on and before `until`."""
        first = max(0, (since - self.starts).days)
        last = min(len(self.expenses), (until - self.starts).days)
        return [(self.starts + _DAY * at, self.expenses[at]) for at in range(first, last)]

    def kept(self, since: date, units: int, of: int) -> Schedule:
        """The same for `units` of `of`: of the expenses from a day on, and the bills after it."""
        at = max(0, (since - self.starts).days)
        due = bisect_right(self.bills, since, key=lambda bill: bill[0])
        later = self.bills[due:]
        bills = _part([amount for _, amount in later], units, of)
        return Schedule(
            self.starts,
            self.bills[:due]
            + tuple((day, bill) for (day, _), bill in zip(later, bills, strict=True)),
            self.expenses[:at] + _part(self.expenses[at:], units, of),
        )


def _even(total: int, parts: int) -> tuple[Money, ...]:
    return prorated(Money(total), [1] * parts)


def _part(amounts: Sequence[int], units: int, of: int) -> tuple[Money, ...]:
    total = Money(sum(amounts) * units // of)
    return prorated(total, amounts) if total else (ZERO,) * len(amounts)

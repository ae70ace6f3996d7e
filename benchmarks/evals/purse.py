"""Purse: what an eval may spend, known before each call."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.errors import CapReached
from ledger.money import ZERO, Money, usd_text


@dataclass(slots=True)
class Purse:
    """A cap that is never exceeded: what each call can cost at most is held before it is made."""

    cap: Money
    spent: Money = ZERO
    held: Money = ZERO

    def hold(self, worst: Money) -> None:
        """Raises CapReached if it might be too much."""
        if self.spent + self.held + worst > self.cap:
            raise CapReached(
                f"the next call may cost {usd_text(worst)} USD, and of {usd_text(self.cap)} USD"
                f" {usd_text(Money(max(0, self.cap - self.spent - self.held)))} are left"
            )
        self.held = Money(self.held + worst)

    def settle(self, worst: Money, cost: Money | None) -> None:
        """A call that was held for is over. cost: None if nobody knows; then it counts whole."""
        self.held = Money(self.held - worst)
        self.spent = Money(self.spent + (worst if cost is None else cost))

"""BidPrice: what the capacity that we own is worth to later requests.

A request draws on a commitment when the cheapest alternative costs more than its bid price; else
the capacity is kept for dearer requests. Both deciders use it: the hedge sets it, the router obeys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.allowances import Allowance, allowance
from ledger.commitments import RATED, Commitment
from ledger.money import ZERO, Money


@dataclass(frozen=True, slots=True)
class BidPrice:
    """A commitment's capacity, in one window.

    left: what nobody has drawn of its allowance, at the moment when it is called, in micro-units.
    rate: what a million capacity units are worth; 0 while nobody has said so: what is paid for is
    used.
    """

    allowance: Allowance
    left: Callable[[], int]
    rate: Money = ZERO

    @property
    def commitment(self) -> Commitment:
        return self.allowance.commitment

    def cost_nanos(
        self, prompt: int, cached: int, completion: int, usual_nanos: float, at_ns: int
    ) -> float | None:
        """What a request takes from later ones; None if so much is not left for it.

        cached: of the prompt, what is likely in a cache. usual_nanos: its cost at pay-as-you-go.
        """
        micro_units = self.commitment.takes(prompt, cached, completion, usual_nanos)
        if micro_units > self.left_at(at_ns):
            return None
        return micro_units * self.rate / RATED

    def left_at(self, at_ns: int) -> int:
        """Of the next window nobody has drawn yet."""
        own = self.allowance
        return self.left() if at_ns < own.until_ns else self.allowance_at(at_ns).micro_units

    def overage_nanos(
        self, prompt: int, cached: int, completion: int, usual_nanos: float
    ) -> float | None:
        """What a request costs that finds nothing left; None where pay-as-you-go takes over."""
        commitment = self.commitment
        if commitment.overage_rate is None:
            return None
        micro_units = commitment.takes(prompt, cached, completion, usual_nanos)
        return micro_units * commitment.overage_rate / RATED

    def allowance_at(self, at_ns: int) -> Allowance:
        """Of the window in which an attempt begins."""
        own = self.allowance
        return own if at_ns < own.until_ns else allowance(self.commitment, at_ns)

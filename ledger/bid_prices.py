"""BidPrice: what the capacity that we own is worth to later requests.

A request draws on a commitment when the cheapest alternative costs more than its bid price; else
the capacity is kept for dearer requests. Both deciders use it: the hedge sets it, the router obeys.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ledger.money import ZERO, Money


@dataclass(frozen=True, slots=True)
class BidPrice:
    """A commitment's capacity at one offer.

    nanos_per_unit: what a capacity unit is worth; 0 while nobody has said so: what is paid for is
    used. A token of the prompt takes `units_per_prompt_token` of them, one of the answer
    `units_per_completion_token`. units_left: its headroom; a request that needs more pays as if
    there were none.
    """

    commitment: str
    units_per_prompt_token: float
    units_per_completion_token: float
    units_left: float
    nanos_per_unit: Money = ZERO

    def cost_nanos(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """What a request takes from it; None if so much is not left."""
        units = (
            prompt_tokens * self.units_per_prompt_token
            + completion_tokens * self.units_per_completion_token
        )
        return None if units > self.units_left else math.ceil(units * self.nanos_per_unit)

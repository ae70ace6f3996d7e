"""FixedFee: what a team pays a month, whatever its usage costs, and how far that goes.

    fee  =  expected cost  +  its share of the platform's tail beyond the mean  +  handling

What is included is counted in tokens of each workload, so that prices and the mix of tokens are the
platform's risk, and the team's volume is its own: tokens beyond are billed as metered, pro rata.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from ledger.money import ZERO, Money


@dataclass(frozen=True, slots=True)
class Metered:
    """A month of one workload of the team, as the books have it: tokens, prompt and completion, and
    their effective cost."""

    tokens: int
    cost: Money


@dataclass(frozen=True, slots=True)
class FixedFee:
    """A month's fee, and what makes it up; each rounded up to a cent, so that they sum to it.

    first, months: the term, in calendar months (UTC). included: tokens of each workload and month.
    expected: of what is included. risk: its share of CVaR beyond the mean, at `confidence`.
    """

    team: str
    first: date
    months: int
    confidence: float
    expected: Money
    risk: Money
    handling: Money
    included: Mapping[str, int]

    @property
    def monthly(self) -> Money:
        return Money(self.expected + self.risk + self.handling)

    def overage(self, used: Mapping[str, Metered]) -> Money:
        """What a month's tokens beyond the included ones cost, rounded up. A workload that is not
        in the agreement is all overage."""
        total = 0
        for workload, metered in used.items():
            beyond = max(0, metered.tokens - self.included.get(workload, 0))
            if beyond:
                total += -(-metered.cost * beyond // metered.tokens)
            elif metered.tokens == 0 and workload not in self.included:
                total += metered.cost
        return Money(total)

    def bill(self, used: Mapping[str, Metered]) -> Bill:
        return Bill(
            self.monthly,
            self.overage(used),
            Money(sum(one.cost for one in used.values())),
        )


@dataclass(frozen=True, slots=True)
class Bill:
    """A team's month. metered: what its usage cost the platform, which it is not billed."""

    fee: Money = ZERO
    overage: Money = ZERO
    metered: Money = ZERO

    @property
    def billed(self) -> Money:
        return Money(self.fee + self.overage)

    @property
    def result(self) -> Money:
        """The platform's own: above 0 the fee was more than what it covered."""
        return Money(self.billed - self.metered)

"""HedgePlan: which units to hold, what that costs, and how sure it is; able to be checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np

from hedge.errors import PlanDoesNotVerify
from hedge.month.bills import bills
from hedge.month.contracts import Contract
from hedge.month.loads import Loads
from hedge.month.scenarios import Scenarios
from hedge.program.attempt import Attempt
from hedge.risk import clopper_pearson, cvar
from ledger.money import as_usd

CENT = Decimal("0.01")
RELATIVE_TOLERANCE = Decimal("0.00001")
"""A solver works to about 1e-6 of the month's cost."""


def cents(amount_usd: float) -> Decimal:
    """An estimate as a plan states it: in USD, to the cent."""
    return Decimal(amount_usd).quantize(CENT)


@dataclass(frozen=True, slots=True)
class PlannedPosition:
    """Units of one contract for the month. cost_usd: their fees. why: in words, for a reader."""

    contract: str
    units: int
    cost_usd: Decimal
    why: str


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """The least expected cost under one cap, and the CVaR that the holding then has."""

    cap_usd: Decimal
    expected_usd: Decimal
    cvar_usd: Decimal


@dataclass(frozen=True, slots=True)
class BidPrice:
    """USD per capacity unit below which a contract's capacity is worth more to a later request."""

    contract: str
    usd_per_unit: Decimal


@dataclass(frozen=True, slots=True)
class HedgePlan:
    """The answer for one month, every amount in USD; its fields are the JSON that we publish.

    expected_usd, cvar_usd: over the plan's scenarios; estimates, to the cent.
    p_within_cap: part of the scenarios whose bill is at most the cap.
    p_interval: 95% Clopper-Pearson interval of that chance. It speaks of sampling only, not of
        whether next month resembles the scenarios.
    positions: one for each contract that was offered, those not bought included.
    bid_prices: empty for a plan of one month; the router then draws what is prepaid first.
    attempts: every solve. inputs_sha256: of the history, contracts, beliefs, cap and confidence.
    """

    status: Literal["optimal"]
    cap_usd: Decimal
    confidence: float
    expected_usd: Decimal
    cvar_usd: Decimal
    p_within_cap: float
    p_interval: tuple[float, float]
    min_reachable_cap_usd: Decimal
    positions: tuple[PlannedPosition, ...]
    frontier: tuple[FrontierPoint, ...]
    bid_prices: tuple[BidPrice, ...]
    attempts: tuple[Attempt, ...]
    inputs_sha256: str
    seed: int

    def verify(self, contracts: Sequence[Contract], scenarios: Scenarios) -> None:
        """Works the plan out again from the contracts' terms, without solver or recourse.

        Raises PlanDoesNotVerify for sizes that are not sold, for fees, expected cost, CVaR or
        chance that plain arithmetic does not arrive at, and for a CVaR above the cap.
        """
        offered = {contract.name: contract for contract in contracts}
        if [one.contract for one in self.positions] != list(offered):
            raise PlanDoesNotVerify("the plan's positions are not the contracts that were offered")
        for one in self.positions:
            contract = offered[one.contract]
            if not contract.sells(one.units):
                raise PlanDoesNotVerify(f"{one.units} units of {one.contract} cannot be bought")
            _agree(f"fees of {one.contract}", one.cost_usd, as_usd(contract.fee) * one.units)

        units = np.array([one.units for one in self.positions], dtype=np.float64)
        total_usd = bills(Loads.of(contracts, scenarios), scenarios.minutes, units).total_usd
        _agree("expected cost", self.expected_usd, cents(float(total_usd.mean())))
        _agree("CVaR", self.cvar_usd, cents(cvar(total_usd, self.confidence)))
        within = int((total_usd <= float(self.cap_usd)).sum())
        if self.p_within_cap != within / scenarios.count:
            raise PlanDoesNotVerify(
                f"the bill is within the cap in {within} of {scenarios.count} scenarios, "
                f"the plan says {self.p_within_cap:.1%}"
            )
        if self.p_interval != clopper_pearson(within, scenarios.count):
            raise PlanDoesNotVerify(f"{self.p_interval} is not the interval of that chance")
        if self.cvar_usd > self.cap_usd + _tolerance(self.cap_usd):
            raise PlanDoesNotVerify(f"CVaR {self.cvar_usd} USD is above the cap {self.cap_usd} USD")


def _tolerance(amount_usd: Decimal) -> Decimal:
    return CENT + RELATIVE_TOLERANCE * abs(amount_usd)


def _agree(what: str, stated_usd: Decimal, recomputed_usd: Decimal) -> None:
    if abs(stated_usd - recomputed_usd) > _tolerance(recomputed_usd):
        raise PlanDoesNotVerify(
            f"the plan states a {what} of {stated_usd} USD, plain arithmetic arrives at "
            f"{recomputed_usd} USD: do not act on this plan, and report it"
        )

"""HedgePlan: what to hold, what the months then cost, how sure that is, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

from hedge.program.attempt import Attempt
from hedge.scenarios.outlook import Estimate, Prior

CENT = Decimal("0.01")

Status = Literal["optimal", "time_limit", "cap_unreachable"]
Multiplied = Literal["demand", "price"]
Measured = Literal["cvar", "expected"]


def cents(amount_usd: float) -> Decimal:
    """An estimate as a plan states it: in USD, to the cent."""
    return Decimal(amount_usd).quantize(CENT)


@dataclass(frozen=True, slots=True)
class LaterStart:
    """Units that the plan would start in a later month, of the same contract and term. Not to be
    bought now: the plan is made anew before. Not whole where the program leaves that open."""

    month: date
    units: float
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Adds:
    """What a position does to the plan: with it, less without it. tail_usd: to the CVaR of the
    month in which that is highest."""

    expected_usd: Decimal
    tail_usd: Decimal


@dataclass(frozen=True, slots=True)
class NoTradeBand:
    """Whoever holds from `low` to `high` units already need not trade: the change would save less
    than it costs, or than the program can tell apart."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class PlannedPosition:
    """Units of one contract to buy now; 0 where it is better not to, and then why says why.

    units: whole; negative lots of a derivative are sold. cost_usd: their fees over the plan's
    months; of a derivative, what it is expected to cost, which may be below 0. why: in words, for a
    reader. term_months: of capacity; month: of a derivative, the one it settles in. later: starts
    after the first month. break_even, utilisation: the part of a unit that has to be used for its
    fee to equal pay-as-you-go, and the part that is expected to be. adds: over the plan without it.
    no_trade: of the largest purchases.
    """

    contract: str
    units: int
    cost_usd: Decimal
    why: str
    term_months: int | None = None
    month: date | None = None
    later: tuple[LaterStart, ...] = ()
    break_even: float | None = None
    utilisation: float | None = None
    adds: Adds | None = None
    no_trade: NoTradeBand | None = None


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """The least expected cost of a month under one cap, and the worst month's CVaR then.

    end_value_usd: a month's part of what lasts beyond the last one. What is least is the expected
    cost less that: a tighter cap never makes it lower.
    """

    cap_usd: Decimal
    expected_usd: Decimal
    cvar_usd: Decimal
    end_value_usd: Decimal


@dataclass(frozen=True, slots=True)
class ContractBid:
    """What one more capacity unit of a contract is worth in the first month, bad runs counted with
    what they take off a cap that costs something: the router keeps it for requests that would cost
    more elsewhere. by_load_usd: the same by how busy it is, busiest first [blocks]."""

    contract: str
    usd_per_unit: float
    by_load_usd: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class MonthAhead:
    """One month of the plan, over the scenarios that it was made on. p_within_cap and its interval:
    over fresh ones. slack_usd: how far the CVaR lies above the cap."""

    month: date
    expected_usd: Decimal
    cvar_usd: Decimal
    fees_usd: Decimal
    p_within_cap: float
    p_interval: tuple[float, float]
    slack_usd: Decimal


@dataclass(frozen=True, slots=True)
class Judged:
    """The plan over one set of scenarios: the mean month, the worst month's CVaR, the least chance
    of any month to stay within the cap, and that all of them do."""

    scenarios: int
    expected_usd: Decimal
    cvar_usd: Decimal
    p_within_cap: float
    p_interval: tuple[float, float]
    p_all_within_cap: float


@dataclass(frozen=True, slots=True)
class Stressed:
    """The plan, as it is held, in a world that it was not made for. breaks_cap: the worst month's
    CVaR lies above the cap there."""

    name: str
    what: str
    expected_usd: Decimal
    cvar_usd: Decimal
    p_within_cap: float
    breaks_cap: bool


@dataclass(frozen=True, slots=True)
class Breaking:
    """Reverse stress. times: what `what` has to be multiplied by until the worst month's `of` lies
    above the cap; 1 where it does already; None: even `searched_to` times does not."""

    what: Multiplied
    of: Measured
    times: float | None
    searched_to: float


@dataclass(frozen=True, slots=True)
class Turn:
    """What would change the answer. now, then: of `what`, in `unit`; then: where the answer turns.
    said: the same as a sentence."""

    contract: str
    term_months: int
    what: Literal["fee", "demand", "price"]
    unit: Literal["usd_per_month", "times"]
    now: float
    then: float
    said: str


@dataclass(frozen=True, slots=True)
class HedgePlan:
    """The answer, every amount in USD; its fields are the JSON that we publish.

    status: `optimal` within the gap of its attempts; `time_limit` the best that was found in time;
        `cap_unreachable` the least that the cap is overrun, see `message`.
    cap_usd: of each month. expected_usd: of the mean month. cvar_usd: of the month in which it is
        highest. Both over the scenarios that the plan was made on: estimates, to the cent.
    p_within_cap, p_interval: on fresh scenarios, which the plan never saw: the chance to stay
        within the cap of the month with the least, and its 95% Clopper-Pearson interval. It speaks
        of sampling only, not of whether the months resemble the scenarios.
    min_reachable_cap_usd: the lowest that all months can be promised with these contracts.
    positions: one for each contract that was offered, those not bought included.
    bid_prices: of what is owned in the first month. attempts: every solve.
    inputs_sha256: of the history, contracts, beliefs, cap and confidence.
    total_expected_usd: of all months. end_value_usd: of what lasts beyond them, which is no cash.
    gap: how far the plan may lie above the best one, relative to its cost.
    in_sample, fresh: the plan on the scenarios it was made on, and on those it was not. stress,
    breaking: the plan in other worlds. turns: what would change it. estimates: what data told of
    the scenarios' process; priors: what no data told. validation: how the scenarios did on what was
    held back. notes: what a buyer has to know beside the numbers.
    """

    status: Status
    cap_usd: Decimal
    confidence: float
    expected_usd: Decimal
    cvar_usd: Decimal
    p_within_cap: float
    p_interval: tuple[float, float]
    min_reachable_cap_usd: Decimal
    positions: tuple[PlannedPosition, ...]
    frontier: tuple[FrontierPoint, ...]
    bid_prices: tuple[ContractBid, ...]
    attempts: tuple[Attempt, ...]
    inputs_sha256: str
    seed: int
    total_expected_usd: Decimal
    end_value_usd: Decimal
    unhedged: Judged
    in_sample: Judged
    fresh: Judged
    months: tuple[MonthAhead, ...]
    gap: float
    message: str | None = None
    stress: tuple[Stressed, ...] = ()
    breaking: tuple[Breaking, ...] = ()
    turns: tuple[Turn, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    priors: tuple[Prior, ...] = ()
    validation: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def buys_nothing(self) -> bool:
        return not any(one.units or one.later for one in self.positions)

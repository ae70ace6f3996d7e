"""Program: the least-cost holding under a cap, in cvxpy. The only module that imports it.

    minimise   fees . n + E[Q(n)]
    subject to fees . n + CVaR[Q(n)] <= cap
               n = min_units * y + step * j,  0 <= j <= most_steps * y,  y binary, j whole

Q(n) is each scenario's recourse. Written out in full, with a variable for every scenario and
block, HiGHS needs seconds for one cap; yet Q is convex in n, and recourse gives its value
and slope at once. So the master program knows E[Q] and CVaR[Q] by their cuts only, is solved, is
told what its answer really costs, and is solved again until bound and cost agree. Cuts hold for
every cap: the lowest reachable one, the capped optimum and the whole frontier share them. Every
solve is a fresh HiGHS model: re-running one after new rows has given bounds above feasible points.

The lowest reachable cap is found first. The capped program is then feasible for sure, and its cap
is a promise that needs no priced slack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

import cvxpy as cp
import numpy as np

from hedge.errors import CapUnreachable, ConfidenceOutOfRange, SolverFailed
from hedge.month.contracts import Contract
from hedge.month.loads import Loads
from hedge.month.recourse import recourse
from hedge.month.scenarios import Floats, Scenarios
from hedge.program.attempt import Attempt
from hedge.risk import highest_confidence, tail_weights
from ledger.money import NANOS_PER_USD, Money, usd

TOLERANCE = 1e-6
"""Relative to the cost of the unhedged month; the plan is rounded to cents."""
MIP_GAP = 1e-8
MAX_ROUNDS = 100
MAX_SECONDS = 20.0
"""For one solve of the master, which has a handful of variables: milliseconds are usual."""
START_SHARES = (0.0, 0.3, 0.6, 0.9)
"""Where the first cuts are taken: one contract alone, carrying so much of the mean load."""


@dataclass(frozen=True, slots=True, eq=False)
class Holding:
    """Units of each contract and what the month then costs, fees included [scenarios]."""

    units: Floats
    cost_usd: Floats
    expected_usd: float
    cvar_usd: float


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """E[Q] and CVaR[Q], each at least constant + slope . units."""

    expected: tuple[float, Floats]
    tail: tuple[float, Floats]


def cap_over(cvar_usd: float) -> Money:
    """The lowest cap in whole cents that is not below `cvar_usd`."""
    return usd(Decimal(cvar_usd).quantize(Decimal("0.01"), rounding=ROUND_CEILING))


class Program:
    """One set of contracts and scenarios, asked about any number of caps.

    relaxed drops whole units and minimum sizes: the linear program, for checks and prices.
    """

    def __init__(
        self,
        contracts: Sequence[Contract],
        scenarios: Scenarios,
        confidence: float,
        *,
        relaxed: bool = False,
        max_rounds: int = MAX_ROUNDS,
    ) -> None:
        highest = highest_confidence(scenarios.count)
        if not 0.5 <= confidence <= highest + 1e-12:
            raise ConfidenceOutOfRange(confidence, highest)
        self.contracts = tuple(contracts)
        self.confidence = confidence
        self.loads = Loads.of(contracts, scenarios)
        self.attempts: list[Attempt] = []
        self._relaxed = relaxed
        self._max_rounds = max_rounds
        self._scale_usd = float(scenarios.list_usd.sum(axis=1).mean())
        self._cuts: list[_Cut] = []
        self._lowest: Holding | None = None
        for units in self._start():
            self._cost(units)

    def lowest(self) -> Holding:
        """The holding with the least CVaR: no lower cap can be promised."""
        if self._lowest is None:
            self._lowest = self._solve("lowest cap", None)
        return self._lowest

    def lowest_cap(self) -> Money:
        """The lowest reachable cap, rounded up to a cent, so that it can be asked for."""
        return cap_over(self.lowest().cvar_usd)

    def cheapest(self, cap: Money | None = None) -> Holding:
        """The least expected cost, with CVaR under `cap` if there is one.

        Raises CapUnreachable, with the lowest reachable cap, and SolverFailed.
        """
        if cap is None:
            return self._solve("cheapest", None)
        if cap < self.lowest_cap():
            raise CapUnreachable(cap, self.lowest_cap(), self.confidence)
        return self._solve("cheapest under cap", cap / NANOS_PER_USD)

    def _solve(self, purpose: str, cap_usd: float | None) -> Holding:
        if not self.contracts:
            return self._cost(np.zeros(0))
        for _ in range(self._max_rounds):
            units, bound_usd, attempt = self._master(purpose, cap_usd)
            holding = self._cost(units)
            cost = holding.cvar_usd if purpose == "lowest cap" else holding.expected_usd
            gap = (cost - bound_usd) / self._scale_usd
            self.attempts.append(
                Attempt(*attempt, objective_usd=round(bound_usd, 2), gap=max(0.0, gap))
            )
            if gap < -TOLERANCE:
                raise SolverFailed(
                    f"HiGHS claims that nothing costs less than {bound_usd:.2f} USD, "
                    f"and its own answer costs {cost:.2f}",
                    tuple(self.attempts),
                )
            over_cap = 0.0 if cap_usd is None else holding.cvar_usd - cap_usd
            if max(gap, over_cap / self._scale_usd) <= TOLERANCE:
                return holding
        raise SolverFailed(f"no agreement in {self._max_rounds} rounds", tuple(self.attempts))

    def _master(
        self, purpose: str, cap_usd: float | None
    ) -> tuple[Floats, float, tuple[str, str, str, float]]:
        """Units, the bound in USD, and the attempt's purpose, solver, status and seconds."""
        minimum, step, most = (
            np.array([getattr(one, size) for one in self.contracts], dtype=np.float64)
            for size in ("min_units", "step", "most_steps")
        )
        held = cp.Variable(len(minimum), boolean=not self._relaxed, bounds=[0, 1])
        steps = cp.Variable(len(minimum), integer=not self._relaxed, bounds=[0, most])
        units = cp.multiply(minimum, held) + cp.multiply(step, steps)
        fees = (self.loads.fee_usd / self._scale_usd) @ units
        expected, tail = cp.Variable(), cp.Variable()
        constraints = [steps <= cp.multiply(most, held)]
        for bounded, cuts in (
            (expected, [cut.expected for cut in self._cuts]),
            (tail, [cut.tail for cut in self._cuts]),
        ):
            constants = np.array([constant for constant, _ in cuts]) / self._scale_usd
            slopes = np.array([slope for _, slope in cuts]) / self._scale_usd
            constraints.append(bounded >= constants + slopes @ units)
        if cap_usd is not None:
            constraints.append(fees + tail <= cap_usd / self._scale_usd)
        problem = cp.Problem(
            cp.Minimize(fees + (tail if purpose == "lowest cap" else expected)), constraints
        )
        options = {"mip_rel_gap": MIP_GAP, "time_limit": MAX_SECONDS, "threads": 1}
        try:
            problem.solve(solver=cp.HIGHS, **options)
        except cp.error.SolverError as error:
            self.attempts.append(Attempt(purpose, "HIGHS", "error", 0.0, None, None))
            raise SolverFailed(f"HiGHS stopped ({error})", tuple(self.attempts)) from error
        seconds = float(problem.solver_stats.solve_time or 0.0)
        attempt = (purpose, "HIGHS", str(problem.status), seconds)
        if problem.status != cp.OPTIMAL:
            self.attempts.append(Attempt(*attempt, objective_usd=None, gap=None))
            raise SolverFailed(f"HiGHS says {problem.status}", tuple(self.attempts))
        found = np.asarray(units.value, dtype=np.float64)
        found = np.maximum(found, 0.0) if self._relaxed else np.round(found)
        return found, float(problem.value) * self._scale_usd, attempt

    def _cost(self, units: Floats) -> Holding:
        """What `units` really cost; the cuts there are kept."""
        found = recourse(self.loads, units)
        weights = tail_weights(found.cost_usd, self.confidence)
        mean = np.full(len(weights), 1 / len(weights))
        at: list[tuple[float, Floats]] = []
        for weight in (mean, weights):
            slope = weight @ found.slope_usd
            at.append((float(weight @ found.cost_usd - slope @ units), slope))
        self._cuts.append(_Cut(*at))
        fees_usd = float(self.loads.fee_usd @ units)
        return Holding(
            units,
            fees_usd + found.cost_usd,
            fees_usd + float(mean @ found.cost_usd),
            fees_usd + float(weights @ found.cost_usd),
        )

    def _start(self) -> list[Floats]:
        """Holdings of one contract each, from nothing to most of the mean load."""
        unit = np.eye(len(self.contracts))
        carries = [self._carried(k) for k in range(len(self.contracts))]
        return [
            row * np.ceil(share / carried)
            for row, carried in zip(unit, carries, strict=True)
            for share in START_SHARES
            if carried > 0
        ]

    def _carried(self, contract: int) -> float:
        """The part of a mean month that one unit could carry."""
        quota = sum(t.mtok for t in self.loads.tranches if t.contract == contract)
        by_quota = quota / float(self.loads.mtok.sum(axis=1).mean())
        return by_quota + float(self.loads.share[contract].mean())

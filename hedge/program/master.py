"""Master: the first stage against the cuts, in cvxpy. The only module that imports it.

    minimise   Σ_t fees_t . n + E_t + slack_price Σ_t ζ_t      (or the cap itself, or the tail)
    subject to E_t >= every mean cut,  R_t >= every tail cut of month t
               fees_t . n + R_t <= cap_t + ζ_t
               n = least y + step j, y binary, j whole: where purchases are whole
               0 <= lots h of lines, exposures, limits, margin and margin calls

Every solve is a fresh HiGHS model: running one again after new rows has given bounds above feasible
points. HiGHS gets no threads of its own, so that the same question has the same answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from hedge.program.cuts import Cut, Cuts
from hedge.program.menu import Menu
from hedge.program.purchases import Purchases
from hedge.risk import Floats

Aim = Literal["lowest", "cheapest", "averse"]

TIE_BREAK = 1e-4
"""Of the expected cost, in the lowest cap: months that do not bind buy nothing needless."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """caps_usd: one per month; None is no cap. kappa: weight of the horizon's CVaR."""

    aim: Aim
    caps_usd: Floats | None = None
    slack_usd_per_usd: float = 0.0
    kappa: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """units: by purchase. lots: by line. bound_usd: proved on what is minimised.

    cap_usd_per_usd: what a USD more of each month's cap would save, without whole units only
    [months]; None where there are caps of none. status: the solver's word.
    """

    units: Floats
    lots: Floats
    bound_usd: float
    cap_usd_per_usd: Floats | None
    status: str
    seconds: float


class Unsolved(Exception):
    """No answer: why, and after how long."""

    def __init__(self, status: str, seconds: float) -> None:
        super().__init__(status)
        self.status = status
        self.seconds = seconds


def solve(
    menu: Menu,
    buys: Purchases,
    cuts: Cuts,
    calls: Sequence[Floats],
    question: Question,
    whole: NDArray[np.bool_],
    *,
    whole_lines: bool,
    scale_usd: float,
    gap: float,
    max_seconds: float,
    between: tuple[Floats, Floats] | None = None,
) -> Answer:
    """between: the least and most units of each purchase, where only so much is asked for.
    calls: cuts of the CVaR of margin calls, USD per lot [lines]. whole: which purchases are.

    Raises Unsolved.
    """
    pools, months = menu.held.shape
    # cvxpy has no variables of size 0: one that nothing asks for stands in.
    units = cp.Variable(max(1, buys.count), nonneg=True)[: buys.count]
    lots = cp.Variable(max(1, len(menu.lines)), nonneg=True)[: len(menu.lines)]
    mean, tail = cp.Variable(months), cp.Variable(months)
    size = _pool_scale(menu, buys)
    capacity = cp.Variable(pools * months)
    brings = buys.brings / np.repeat(size, months)[:, None]
    rules: list[cp.Constraint] = [
        units <= buys.most,
        capacity == (menu.held / size[:, None]).ravel() + brings @ units,
    ]
    chosen = np.flatnonzero(whole)
    if len(chosen):
        bought = cp.Variable(len(chosen), boolean=True)
        most = np.floor((buys.most - buys.least) / buys.step)[chosen]
        steps = cp.Variable(len(chosen), integer=True, bounds=[np.zeros(len(chosen)), most])
        sold = cp.multiply(buys.least[chosen], bought) + cp.multiply(buys.step[chosen], steps)
        rules += [units[chosen] == sold, steps <= cp.multiply(most, bought)]
    if between is not None:
        rules += [units >= between[0], units <= between[1]]
    if len(buys.held):
        rules.append(buys.held @ units <= buys.held_most)
    for row, at_most in zip(buys.limit, buys.limit_most, strict=True):
        # Rows of units and rows of USD side by side: each in its own size.
        own = max(float(np.abs(row).max(initial=0.0)), 1e-300)
        rules.append((row / own) @ units <= at_most / own)

    linear = _Linear(menu, buys, units, lots, capacity, size, scale_usd)
    rules.append(linear.monthly(mean, cuts.mean))
    if question.aim != "averse":
        rules.append(linear.monthly(tail, cuts.tail))
    fees = (menu.held_fee_usd / scale_usd) + (buys.fee_usd / scale_usd) @ units
    cost = cp.sum(fees) + cp.sum(mean) - (buys.end_value_usd / scale_usd) @ units
    capped, objective = None, cost
    match question.aim:
        case "lowest":
            cap = cp.Variable()
            rules.append(fees + tail <= cap)
            objective = cap + TIE_BREAK / months * cost
        case "averse":
            horizon = cp.Variable()
            rules.append(linear.horizon(horizon, cuts.horizon))
            objective = cost + question.kappa * (cp.sum(fees) + horizon)
        case "cheapest":
            if question.caps_usd is not None:
                slack = cp.Variable(months, nonneg=True)
                capped = fees + tail <= question.caps_usd / scale_usd + slack
                rules.append(capped)
                objective = cost + question.slack_usd_per_usd * cp.sum(slack)
    if menu.lines:
        rules += _line_rules(menu, lots, calls, whole_lines=whole_lines)
    problem = cp.Problem(cp.Minimize(objective), rules)
    try:
        problem.solve(
            solver=cp.HIGHS,
            threads=1,
            random_seed=0,
            mip_rel_gap=gap,
            time_limit=max(max_seconds, 0.01),
        )
    except cp.error.SolverError as error:
        raise Unsolved(f"error: {error}", 0.0) from error
    stats = problem.solver_stats
    seconds = float(stats.solve_time or 0.0)
    status = "time_limit" if problem.status == cp.USER_LIMIT else str(problem.status)
    if units.value is None or not np.isfinite(problem.value) or not np.isfinite(units.value).all():
        raise Unsolved(status, seconds)
    is_whole = problem.is_mixed_integer()
    # HiGHS proves its bound without the constant part of the objective.
    left_usd = 0.0
    if is_whole:
        info = stats.extra_stats
        left_usd = max(0.0, info.objective_function_value - info.mip_dual_bound) * scale_usd
    price = None if capped is None or is_whole else np.asarray(capped.dual_value)
    return Answer(
        np.maximum(np.asarray(units.value, dtype=np.float64), 0.0),
        np.maximum(np.asarray(lots.value, dtype=np.float64), 0.0).reshape(len(menu.lines)),
        float(problem.value) * scale_usd - left_usd,
        price,
        status,
        seconds,
    )


def _pool_scale(menu: Menu, buys: Purchases) -> Floats:
    """What a pool's capacity is counted in, so that rows of tokens and of USD are of one size."""
    by_pool = buys.brings.reshape(*menu.held.shape, buys.count)
    most = np.maximum(
        menu.held.max(axis=1), (by_pool.max(axis=1) * buys.least).max(axis=1, initial=0.0)
    )
    return np.where(most > 0, most, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    """Cuts as rows. What units lose and lots gain by scenario is linear, and belongs to each."""

    menu: Menu
    buys: Purchases
    units: cp.Expression
    lots: cp.Expression
    capacity: cp.Variable
    size: Floats
    scale_usd: float

    def monthly(self, bounded: cp.Variable, cuts: Sequence[deque[Cut]]) -> cp.Constraint:
        """Each month's entry of `bounded` is at least each of its cuts."""
        months = np.repeat(np.arange(len(cuts)), [len(one) for one in cuts])
        every = list(chain.from_iterable(cuts))
        slopes = np.array([cut.slope_usd for cut in every]) * self.size / self.scale_usd
        rows, pools = slopes.shape
        matrix = np.zeros((rows, pools * len(cuts)))
        matrix[np.arange(rows)[:, None], np.arange(pools) * len(cuts) + months[:, None]] = slopes
        return bounded[months] >= self._at_least(every, matrix, months)

    def horizon(self, bounded: cp.Variable, cuts: deque[Cut]) -> cp.Constraint:
        slopes = np.array([(cut.slope_usd * self.size).T.ravel() for cut in cuts])
        return bounded >= self._at_least(list(cuts), slopes / self.scale_usd, None)

    def _at_least(
        self, cuts: list[Cut], slopes: Floats, months: NDArray[np.int64] | None
    ) -> cp.Expression:
        weights = np.array([cut.weights for cut in cuts])
        constants = np.array([cut.constant_usd for cut in cuts])
        if self.menu.held_gain_usd is not None:
            constants = (
                constants - _weighed(weights, self.menu.held_gain_usd[..., None], months)[:, 0]
            )
        value = constants / self.scale_usd + slopes @ self.capacity
        if self.buys.loss_usd is not None:
            lost = _weighed(weights, self.buys.loss_usd, months)
            value = value + (lost / self.scale_usd) @ self.units
        if self.menu.lines:
            gain = np.stack([line.gain_usd for line in self.menu.lines], axis=2)
            value = value - (_weighed(weights, gain, months) / self.scale_usd) @ self.lots
        return value


def _weighed(weights: Floats, by_scenario: Floats, months: NDArray[np.int64] | None) -> Floats:
    """Means of [scenarios, months, n] under each cut's weights, in its month [cuts, n]; of the sum
    of all months without one."""
    if months is None:
        return np.asarray(weights @ by_scenario.sum(axis=1))
    found = np.empty((len(weights), by_scenario.shape[2]))
    for t in range(by_scenario.shape[1]):
        found[months == t] = weights[months == t] @ by_scenario[:, t]
    return found


def _line_rules(
    menu: Menu, lots: cp.Variable, calls: Sequence[Floats], *, whole_lines: bool
) -> list[cp.Constraint]:
    rules: list[cp.Constraint] = [lots <= np.array([float(line.max_lots) for line in menu.lines])]
    for exposure in menu.exposures:
        together = np.stack(
            [
                line.exposure_units if line.index == exposure.index else 0 * line.exposure_units
                for line in menu.lines
            ],
            axis=1,
        )
        own = max(float(np.abs(together).max()), 1e-300)
        rules += [
            (together / own) @ lots >= 0,
            (together / own) @ lots <= exposure.most_units / own,
        ]
    if menu.liquidity_usd is not None:
        margin = np.array([line.margin_usd for line in menu.lines])
        rows = np.array([margin, *(margin + call for call in calls)])
        own = max(float(np.abs(rows).max()), 1e-300)
        rules.append((rows / own) @ lots <= menu.liquidity_usd / own)
    chosen = [i for i, line in enumerate(menu.lines) if line.is_whole]
    if whole_lines and chosen:
        rules.append(lots[chosen] == cp.Variable(len(chosen), integer=True))
    return rules

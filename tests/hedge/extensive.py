"""The program written out, a variable for every choice: the judge on small cases."""

from __future__ import annotations

import cvxpy as cp
import numpy as np

from hedge.program.menu import Menu
from hedge.risk import Floats
from hedge.scenarios.months import Months


def serving(
    menu: Menu, months: Months, capacity: cp.Expression | Floats, s: int, t: int
) -> tuple[cp.Expression, list[cp.Constraint]]:
    """What one month of one scenario costs at `capacity` [pools], and the rules of serving it."""
    list_usd = months.list_usd[s, t]
    cost = cp.Constant(list_usd.sum())
    rules: list[cp.Constraint] = []
    total = cp.Constant(np.zeros_like(list_usd))
    for p, pool in enumerate(menu.pools):
        takes = months.amounts[s, t] @ pool.takes + pool.takes_list_usd * list_usd
        share = cp.Variable(list_usd.shape, nonneg=True)
        can = (takes > 0) & pool.serves.astype(bool)
        if (~can).any():
            rules.append(share[~can] == 0)
        there = capacity[p] * (1.0 if pool.delivered is None else pool.delivered[s, t])
        used = cp.multiply(np.where(can, takes, 0.0), share)
        if pool.perishes:
            rules.append(cp.sum(used, axis=1) <= there * months.minutes[t])
        else:
            more = cp.Constant(0.0)
            for tranche in pool.overage:
                over = cp.Variable(nonneg=True)
                # Without an end, but not without a contract.
                rules.append(over <= min(tranche.units, 1e4) * there)
                more = more + over
                cost = cost + tranche.usd_per_unit * over
            rules.append(cp.sum(used) <= there + more)
        cost = cost - cp.sum(cp.multiply(list_usd, share))
        total = total + share
    rules.append(total <= 1)
    return cost, rules


def recourse_usd(menu: Menu, months: Months, capacity: Floats) -> Floats:
    """[scenarios, months] at `capacity` [pools, months]."""
    scenarios, count = months.list_usd.shape[:2]
    rules, costs = [], []
    for s in range(scenarios):
        for t in range(count):
            cost, more = serving(menu, months, capacity[:, t], s, t)
            costs.append(cost)
            rules += more
    cp.Problem(cp.Minimize(sum(costs)), rules).solve(solver=cp.HIGHS)
    return np.array([float(cost.value) for cost in costs]).reshape(scenarios, count)


def tail(costs: cp.Expression, confidence: float) -> tuple[cp.Expression, list[cp.Constraint]]:
    """CVaR as Rockafellar and Uryasev write it."""
    edge, above = cp.Variable(), cp.Variable(costs.size, nonneg=True)
    return edge + cp.sum(above) / ((1 - confidence) * costs.size), [above >= costs - edge]


def least_usd(
    menu: Menu,
    months: Months,
    confidence: float,
    caps_usd: Floats | None = None,
    *,
    slack_usd_per_usd: float = 10.0,
    kappa: float | None = None,
    lowest: bool = False,
    integer_months: int = 99,
) -> float:
    """What the best holding comes to, in what is asked for."""
    scenarios, count = months.list_usd.shape[:2]
    rules: list[cp.Constraint] = []
    capacity = [
        [cp.Constant(menu.held[p, t]) for t in range(count)] for p in range(len(menu.pools))
    ]
    fees = [cp.Constant(menu.held_fee_usd[t]) for t in range(count)]
    cost = [[cp.Constant(0.0) for _ in range(count)] for _ in range(scenarios)]
    bought: dict[tuple[int, int], cp.Expression] = {}
    end_value = cp.Constant(0.0)
    for k, lot in enumerate(menu.lots):
        for start in range(count):
            if start < integer_months:
                some = cp.Variable(boolean=True)
                steps = cp.Variable(integer=True, nonneg=True)
                units = lot.min_units * some + lot.step * steps
                rules.append(steps <= (lot.max_units - lot.min_units) // lot.step * some)
            else:
                units = cp.Variable(nonneg=True)
            bought[k, start] = units
            end_value = end_value + lot.end_value_usd[start] * units
            for t in range(count):
                capacity[lot.pool][t] = capacity[lot.pool][t] + lot.brings[start, t] * units
                fees[t] = fees[t] + lot.fee_usd[start, t] * units
                if lot.loss_usd is not None:
                    for s in range(scenarios):
                        cost[s][t] = cost[s][t] + lot.loss_usd[s, start, t] * units
        for t in range(count):
            held = [bought[k, start] for start in range(count) if lot.brings[start, t] > 0]
            if held:
                rules.append(sum(held) <= lot.max_units)
    for limit in menu.limits:
        taken = sum(
            limit.per_unit[k][start] * units
            for (k, start), units in bought.items()
            if k in limit.per_unit
        )
        rules.append(taken <= limit.at_most)
    lots = [cp.Variable(integer=line.is_whole) for line in menu.lines]
    for line, h in zip(menu.lines, lots, strict=True):
        rules += [h >= 0, h <= line.max_lots]
    for exposure in menu.exposures:
        for t in range(count):
            together = sum(
                line.exposure_units[t] * h
                for line, h in zip(menu.lines, lots, strict=True)
                if line.index == exposure.index
            )
            rules += [together >= 0, together <= exposure.most_units[t]]
    if menu.liquidity_usd is not None and lots:
        calls = []
        for s in range(scenarios):
            worst = cp.Variable(nonneg=True)
            for d in range(menu.lines[0].marked_usd.shape[1]):
                marked = sum(
                    line.marked_usd[s, d] * h for line, h in zip(menu.lines, lots, strict=True)
                )
                rules.append(worst >= -marked)
            calls.append(worst)
        called, more = tail(cp.hstack(calls), confidence)
        margin = sum(line.margin_usd * h for line, h in zip(menu.lines, lots, strict=True))
        rules += [*more, margin + called <= menu.liquidity_usd]
    for s in range(scenarios):
        for t in range(count):
            there = cp.hstack([capacity[p][t] for p in range(len(menu.pools))])
            served, more = serving(menu, months, there, s, t)
            rules += more
            cost[s][t] = cost[s][t] + served + fees[t]
            for line, h in zip(menu.lines, lots, strict=True):
                cost[s][t] = cost[s][t] - line.gain_usd[s, t] * h
            if menu.held_gain_usd is not None:
                cost[s][t] = cost[s][t] - menu.held_gain_usd[s, t]
    expected = sum(sum(row) for row in cost) / scenarios - end_value
    objective = expected
    if kappa is not None:
        horizon, more = tail(cp.hstack([sum(row) for row in cost]), confidence)
        rules += more
        objective = expected + kappa * horizon
    elif lowest or caps_usd is not None:
        cap = cp.Variable()
        for t in range(count):
            month, more = tail(cp.hstack([row[t] for row in cost]), confidence)
            rules += more
            if caps_usd is None:
                rules.append(month <= cap)
            else:
                slack = cp.Variable(nonneg=True)
                rules.append(month <= caps_usd[t] + slack)
                objective = objective + slack_usd_per_usd * slack
        if caps_usd is None:
            objective = cap
    problem = cp.Problem(cp.Minimize(objective), rules)
    return float(problem.solve(solver=cp.HIGHS, mip_rel_gap=1e-9))

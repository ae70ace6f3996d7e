"""The program written out, a variable for every choice: the judge on small cases."""

from __future__ import annotations

from dataclasses import dataclass

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
    found = np.zeros((scenarios, count))
    for s in range(scenarios):
        for t in range(count):
            cost, rules = serving(menu, months, capacity[:, t], s, t)
            problem = cp.Problem(cp.Minimize(cost), rules)
            found[s, t] = problem.solve(solver=cp.HIGHS)
    return found

"""The dual closed form against the greedy bill, and both against the linear program itself."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.month.bills import bills
from hedge.month.loads import Loads
from hedge.month.recourse import recourse
from hedge.month.scenarios import Scenarios
from tests.hedge.months import flat, one_block, random_contracts, random_months, throughput

seeds = st.integers(0, 10_000)
some_units = st.lists(st.floats(0, 8), min_size=4, max_size=4).map(np.array)


def loads_of(seed: int) -> tuple[Loads, np.ndarray]:
    months = random_months(seed)
    return Loads.of(random_contracts(seed), months), months.minutes


@settings(deadline=None)
@given(seeds, some_units)
def test_dual_equals_primal(seed: int, units: np.ndarray) -> None:
    """Strong duality: the closed form costs what the greedy bill adds up to, month by month."""
    loads, minutes = loads_of(seed)
    dual = recourse(loads, units).cost_usd + units @ loads.fee_usd
    np.testing.assert_allclose(dual, bills(loads, minutes, units).total_usd, rtol=1e-9, atol=1e-9)


@settings(deadline=None)
@given(seeds, some_units, some_units)
def test_cuts_never_cut_off(seed: int, here: np.ndarray, there: np.ndarray) -> None:
    """The linearisation at one holding is a lower bound at every other."""
    loads, minutes = loads_of(seed)
    at = recourse(loads, here)
    true = bills(loads, minutes, there).total_usd - there @ loads.fee_usd
    assert (at.cost_usd + at.slope_usd @ (there - here) <= true + 1e-9).all()


@pytest.mark.parametrize("seed", range(3))
def test_greedy_is_the_linear_program(seed: int) -> None:
    """Serving by hand costs what an LP with every choice open costs."""
    months = random_months(seed, count=3)
    loads = Loads.of(random_contracts(seed), months)
    units = np.array([2.0, 1.0, 1.0, 1.0]) * (seed + 1) / 2
    greedy = bills(loads, months.minutes, units).total_usd - units @ loads.fee_usd
    for s in range(months.count):
        carried = [cp.Variable(loads.mtok.shape[1], nonneg=True) for _ in units]
        drawn = [cp.Variable(loads.mtok.shape[1], nonneg=True) for _ in loads.tranches]
        served = sum([*carried, *drawn])
        limits = [served <= loads.mtok[s]]
        for k, tokens in enumerate(carried):
            # In capacity, not in tokens: each contract burns down at its own rate.
            share = loads.share[k, s]
            limits.append(tokens <= cp.multiply(units[k] * share, loads.mtok[s]))
        for tranche, tokens in zip(loads.tranches, drawn, strict=True):
            limits.append(cp.sum(tokens) <= tranche.mtok * units[tranche.contract])
        cost = loads.list_usd[s].sum() - loads.usd_per_mtok[s] @ served
        for tranche, tokens in zip(loads.tranches, drawn, strict=True):
            cost += tranche.usd_per_mtok * cp.sum(tokens)
        problem = cp.Problem(cp.Minimize(cost), limits)
        problem.solve(solver=cp.HIGHS)
        assert greedy[s] == pytest.approx(problem.value, rel=1e-6, abs=1e-6)


def test_utilisation_is_what_was_used_of_what_was_brought() -> None:
    """100 tokens a minute on 4 x 50 are half of it; overage is not use of the quota."""
    months = one_block(np.array([100.0, 100.0]), 3.0)
    contracts = (
        throughput(per_minute=50),
        flat(fee="1", quota="0.00002", overage=("1", "0.00001")),
    )
    loads = Loads.of(contracts, months)
    assert bills(loads, months.minutes, np.array([4.0, 0.0])).utilisation.tolist() == [0.5, 0.0]
    assert bills(loads, months.minutes, np.array([0.0, 10.0])).utilisation.tolist() == [0.0, 0.5]
    mixed = bills(loads, months.minutes, np.array([1.0, 2.0]))
    assert mixed.utilisation.tolist() == [1.0, 1.0]
    # 50 reserved, 40 in the quota, 10 as overage at 1e-6 USD each; fees 2.40 and 2 x 1.
    assert mixed.total_usd == pytest.approx(2.4 + 2 + 10 * 1e-6)


def test_a_completion_token_burns_down_what_its_contract_says() -> None:
    """80 + 20 tokens a minute at a burn-down of 6 load 200: two units of 50 carry half of it."""
    months = Scenarios("m", np.ones(1), np.array([[80.0]]), np.array([[20.0]]), np.array([[300.0]]))
    loads = Loads.of((throughput(fee="10", per_minute=50, burndown="6"),), months)
    found = bills(loads, months.minutes, np.array([2.0]))
    assert found.total_usd == pytest.approx(20 + 150)
    assert found.utilisation.tolist() == [1.0]

"""The program against published values, brute force, the extensive form, and its invariants."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import NormalDist

import cvxpy as cp
import numpy as np
import pytest

from hedge.errors import CapUnreachable, ConfidenceOutOfRange, SolverFailed
from hedge.month.bills import bills
from hedge.month.contracts import Contract
from hedge.month.loads import Loads
from hedge.month.program import Program
from hedge.month.scenarios import Floats, Scenarios
from hedge.risk import cvar
from ledger.money import Money, as_usd, usd
from tests.hedge.months import (
    flat,
    holdings,
    one_block,
    random_contracts,
    random_months,
    throughput,
)

NEWSVENDOR = one_block(
    np.array([NormalDist(100, 20).inv_cdf((i + 0.5) / 2000) for i in range(2000)]), 3.0
)
"""Normal demand of mean 100 and deviation 20 at 3 USD, by 2000 mid-quantiles."""


@pytest.fixture(scope="module")
def newsvendor() -> Program:
    return Program((throughput(fee="2.4"),), NEWSVENDOR, 0.95, relaxed=True)


def test_newsvendor(newsvendor: Program) -> None:
    """n* = F^-1(1 - c/p) = 83.16758, cost 256.79772; a grid of 2000 is within 0.1 and 0.01."""
    found = newsvendor.cheapest()
    assert found.units[0] == pytest.approx(83.16758, abs=0.1)
    assert found.expected_usd == pytest.approx(256.79772, abs=0.01)


def test_cvar_newsvendor(newsvendor: Program) -> None:
    """n* = F^-1(1 - (1 - beta) c/p) = 135.01372, CVaR 343.40853; the tail's grid is coarser."""
    found = newsvendor.lowest()
    assert found.units[0] == pytest.approx(135.01372, abs=0.2)
    assert found.cvar_usd == pytest.approx(343.40853, abs=0.1)


def test_newsvendor_under_a_cap(newsvendor: Program) -> None:
    """With a cap of 360: n = 106.1866 at an expected cost of 270.6381."""
    found = newsvendor.cheapest(usd(360))
    assert found.units[0] == pytest.approx(106.1866, abs=1e-3)
    assert found.expected_usd == pytest.approx(270.6381, abs=1e-3)
    assert found.cvar_usd == pytest.approx(360, abs=1e-3)


def brute_force(
    contracts: Sequence[Contract], months: Scenarios, beta: float
) -> list[tuple[float, float]]:
    """Expected cost and CVaR of every holding there is, by the bills."""
    loads = Loads.of(contracts, months)
    totals = [bills(loads, months.minutes, units).total_usd for units in holdings(contracts)]
    return [(float(total.mean()), cvar(total, beta)) for total in totals]


@pytest.mark.parametrize("seed", range(4))
def test_whole_units_equal_brute_force(seed: int) -> None:
    """Lowest cap, free optimum and capped optimum are the best of all holdings."""
    months, contracts = random_months(seed), random_contracts(seed)
    known = brute_force(contracts, months, 0.85)
    program = Program(contracts, months, 0.85)
    scale = max(expected for expected, _ in known)

    lowest = min(tail for _, tail in known)
    assert program.lowest().cvar_usd == pytest.approx(lowest, abs=2e-6 * scale)
    free = program.cheapest()
    assert free.expected_usd == pytest.approx(min(e for e, _ in known), abs=2e-6 * scale)
    for share in (0.0, 0.3, 0.7):
        cap = program.lowest_cap() + (free.cvar_usd - lowest) * share * 1e9
        best = min(e for e, tail in known if tail <= cap / 1e9)
        found = program.cheapest(Money(int(cap)))
        assert found.expected_usd == pytest.approx(best, abs=2e-6 * scale)
        assert found.cvar_usd <= cap / 1e9 + 2e-6 * scale


def extensive(
    contracts: Sequence[Contract], months: Scenarios, beta: float, cap_usd: float
) -> tuple[float, Floats]:
    """The program written out, a variable for every month and block: expected cost and units."""
    loads = Loads.of(contracts, months)
    minimum, step, most = (
        np.array([getattr(one, size) for one in contracts], dtype=float)
        for size in ("min_units", "step", "most_steps")
    )
    held = cp.Variable(len(contracts), boolean=True)
    steps = cp.Variable(len(contracts), integer=True, bounds=[0, most])
    units = cp.multiply(minimum, held) + cp.multiply(step, steps)
    limits = [steps <= cp.multiply(most, held)]
    carried = cp.Variable(loads.mtok.shape, bounds=[0, 1])
    drawn = [cp.Variable(loads.mtok.shape, nonneg=True) for _ in loads.tranches]
    offered = sum(loads.share[k] * units[k] for k in range(len(contracts)))
    served = cp.multiply(loads.mtok, carried) + sum(drawn)
    limits += [carried <= offered, served <= loads.mtok]
    spared = cp.sum(cp.multiply(loads.usd_per_mtok, served), axis=1)
    cost = loads.fee_usd @ units + loads.list_usd.sum(axis=1) - spared
    for tranche, tokens in zip(loads.tranches, drawn, strict=True):
        used = cp.sum(tokens, axis=1)
        limits.append(used <= tranche.mtok * units[tranche.contract])
        cost += tranche.usd_per_mtok * used
    edge, above = cp.Variable(), cp.Variable(months.count, nonneg=True)
    limits += [
        above >= cost - edge,
        edge + cp.sum(above) / ((1 - beta) * months.count) <= cap_usd,
    ]
    problem = cp.Problem(cp.Minimize(cp.sum(cost) / months.count), limits)
    problem.solve(solver=cp.HIGHS, mip_rel_gap=1e-8)
    return float(problem.value), np.round(units.value)


@pytest.mark.parametrize("seed", [5, 6])
def test_equals_the_extensive_form(seed: int) -> None:
    """Cuts lead to the same optimum as the whole program in one piece."""
    months, contracts = random_months(seed, count=30, blocks=4), random_contracts(seed)
    program = Program(contracts, months, 0.8)
    cap = usd(round(as_usd(program.lowest_cap()) * 102 / 100, 2))
    found = program.cheapest(cap)
    expected, _ = extensive(contracts, months, 0.8, float(as_usd(cap)))
    assert found.expected_usd == pytest.approx(expected, rel=5e-6)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_tighter_cap_never_lowers_the_cost(seed: int) -> None:
    """Along the frontier, expected cost falls as the cap rises."""
    program = Program(random_contracts(seed), random_months(seed), 0.85)
    lowest, free = program.lowest_cap(), program.cheapest()
    caps = [lowest + round((free.cvar_usd * 1e9 - lowest) * part / 6) for part in range(7)]
    costs = [program.cheapest(Money(max(cap, lowest))).expected_usd for cap in caps]
    assert all(tight >= loose - 1e-4 for tight, loose in pairwise(costs))
    assert costs[-1] >= free.expected_usd - 1e-4


@pytest.mark.parametrize("seed", [1, 2])
def test_whole_units_never_beat_fractions(seed: int) -> None:
    """The relaxation is a lower bound on cost and on the reachable cap."""
    months, contracts = random_months(seed), random_contracts(seed)
    whole = Program(contracts, months, 0.85)
    fractions = Program(contracts, months, 0.85, relaxed=True)
    assert fractions.lowest().cvar_usd <= whole.lowest().cvar_usd + 1e-4
    assert fractions.cheapest().expected_usd <= whole.cheapest().expected_usd + 1e-4


def test_more_confidence_never_lowers_the_reachable_cap() -> None:
    """The promise about a worse tail costs at least as much."""
    caps = [
        Program(random_contracts(3), random_months(3), beta).lowest_cap()
        for beta in (0.5, 0.7, 0.85)
    ]
    assert caps == sorted(caps)


def test_without_contracts_the_month_stays_unhedged() -> None:
    """No contracts: pay-as-you-go is the only cost, and its CVaR the only cap."""
    program = Program((), NEWSVENDOR, 0.95)
    found = program.cheapest()
    assert found.cost_usd == pytest.approx(NEWSVENDOR.list_usd[:, 0])
    assert found.expected_usd == pytest.approx(300)
    assert found.cvar_usd == pytest.approx(423.76277, abs=0.1)
    assert program.attempts == []


def test_an_unreachable_cap_names_the_lowest_that_can_be_had() -> None:
    """The cap that the error names is granted, a cent less is refused."""
    program = Program(random_contracts(4), random_months(4), 0.85)
    with pytest.raises(CapUnreachable) as refused:
        program.cheapest(usd(1))
    lowest = refused.value.lowest
    assert f"{as_usd(lowest):.2f}" in str(refused.value)
    assert program.cheapest(lowest).cvar_usd <= lowest / 1e9 + 1e-4
    with pytest.raises(CapUnreachable):
        program.cheapest(Money(lowest - 10_000_000))


@pytest.mark.parametrize("fee", ["3", "3.3"])
def test_nothing_is_bought_at_the_price_of_pay_as_you_go(fee: str) -> None:
    """A unit at 100% of pay-as-you-go or more, never always used, is not worth its fee."""
    contracts = (throughput(fee=fee), flat(fee=fee, quota="0.000001"))
    assert not Program(contracts, NEWSVENDOR, 0.95).cheapest().units.any()


def test_confidence_beyond_the_scenarios_is_refused() -> None:
    """40 months say nothing about the worst one in a hundred."""
    with pytest.raises(ConfidenceOutOfRange, match=r"outside 0\.5 to 0\.875"):
        Program(random_contracts(0), random_months(0), 0.99)


def test_every_solve_is_kept(newsvendor: Program) -> None:
    """Attempts name purpose, solver and status; the last of each purpose has closed its gap."""
    newsvendor.cheapest()
    last = newsvendor.attempts[-1]
    assert (last.purpose, last.solver, last.status) == ("cheapest", "HIGHS", "optimal")
    assert last.gap is not None
    assert last.gap <= 1e-6


def test_rounds_are_bounded() -> None:
    """A program that finds no agreement in time says so, with every attempt."""
    program = Program(random_contracts(1), random_months(1), 0.85, max_rounds=1)
    with pytest.raises(SolverFailed, match="no agreement in 1 rounds") as failed:
        program.cheapest()
    assert len(failed.value.attempts) == 1

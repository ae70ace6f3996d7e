"""The program against published values, brute force, finite differences and its invariants."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import pairwise, product
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.errors import ConfidenceOutOfRange, MenuInvalid, SolverFailed
from hedge.program.dispatch import dispatch
from hedge.program.menu import Exposure, Limit, Line, Lot, Menu, Pool
from hedge.program.program import Program
from hedge.risk import Floats, cvar
from hedge.scenarios.months import Months
from tests.hedge.program_cases import PER_TOKEN, some_menu, some_months

CONFIDENCE = 0.5
seeds = st.integers(0, 100_000)
few = settings(deadline=None, max_examples=3)


def newsvendor_months(scenarios: int = 2000) -> Months:
    """Normal demand of mean 100 and deviation 20 at 3 USD, by mid-quantiles, in a month of one
    minute."""
    demand = [NormalDist(100, 20).inv_cdf((i + 0.5) / scenarios) for i in range(scenarios)]
    amounts = np.zeros((scenarios, 1, 1, 1, 4))
    amounts[:, 0, 0, 0, 0] = demand
    list_usd = 3 * amounts[..., 0]
    return Months(("w",), (date(2027, 1, 1),), np.ones((1, 1)), amounts, list_usd)


def newsvendor_menu(fee_usd: float = 2.4) -> Menu:
    pool = Pool("p", True, PER_TOKEN, np.ones(1))
    one = np.ones((1, 1))
    lot = Lot("reserved", 1, 0, 1, 1, 1000, fee_usd * one, one, np.zeros(1))
    return Menu((pool,), (lot,), np.zeros((1, 1)), np.zeros(1))


@pytest.fixture(scope="module")
def newsvendor() -> Program:
    return Program(newsvendor_menu(), newsvendor_months(), 0.95, relaxed=True, gap=1e-7)


def test_newsvendor(newsvendor: Program) -> None:
    """n* = F^-1(1 - c/p) = 83.16758, cost 256.79772; a grid of 2000 is within 0.1 and 0.01."""
    found = newsvendor.cheapest()
    assert found.starts[0, 0] == pytest.approx(83.16758, abs=0.1)
    assert found.expected_usd == pytest.approx(256.79772, abs=0.01)
    assert newsvendor.months.month_usd().mean() == pytest.approx(300)


def test_cvar_newsvendor(newsvendor: Program) -> None:
    """n* = F^-1(1 - (1 - beta) c/p) = 135.01372, CVaR 343.40853; the tail's grid is coarser."""
    found = newsvendor.lowest()
    assert found.starts[0, 0] == pytest.approx(135.01372, abs=0.2)
    assert found.cvar_usd[0] == pytest.approx(343.40853, abs=0.1)
    assert newsvendor.lowest_cap() / 1e9 == pytest.approx(343.40853, abs=0.1)


def test_dual_identity(newsvendor: Program) -> None:
    """Without a cap the prices of capacity sum to its fee of 2.4. With a cap of 360: n = 106.1866,
    expected 270.6381, the cap's price 2.1075, and 2.4 x 3.1075 = 7.458 = the sum of prices."""
    free = newsvendor.duals(newsvendor.cheapest())
    assert free.more_usd[0, 0] == pytest.approx(2.4, abs=2e-3)
    caps = np.array([360.0])
    found = newsvendor.cheapest(caps)
    assert found.starts[0, 0] == pytest.approx(106.1866, abs=1e-4)
    assert found.expected_usd == pytest.approx(270.6381, abs=1e-4)
    assert found.slack_usd.sum() == pytest.approx(0, abs=1e-6)
    duals = newsvendor.duals(found, caps)
    assert duals.cap_usd_per_usd[0] == pytest.approx(2.1075, abs=1e-4)
    assert duals.weights.sum() == pytest.approx(3.1075, abs=1e-4)
    assert (duals.weights * duals.unit_usd[:, :, 0, 0]).sum() == pytest.approx(7.458, abs=1e-3)
    assert duals.worth_usd()[0, 0, 0] == pytest.approx(2.4, abs=1e-3)


@few
@given(seeds, st.booleans())
def test_duals_are_finite_differences(seed: int, alike: bool) -> None:
    """A capacity unit more or fewer changes the weighted cost of serving by what the duals say."""
    months = some_months(seed, scenarios=20)
    menu = some_menu(seed, months, perishing=2, quotas=0, alike=alike)
    program = Program(menu, months, CONFIDENCE)
    held = program.cheapest()
    duals = program.duals(held)
    capacity = menu.capacity(held.starts)

    def cost(there: Floats) -> float:
        return float((duals.weights * dispatch(menu, months, there).cost_usd).sum())

    for p, t in product(range(2), range(2)):
        for step, slope in ((1e-5, duals.more_usd), (-1e-5, duals.fewer_usd)):
            moved = capacity.copy()
            moved[p, t] = max(0.0, moved[p, t] * (1 + step))
            change = moved[p, t] - capacity[p, t]
            if change:
                difference = (cost(capacity) - cost(moved)) / change
                assert difference == pytest.approx(slope[p, t], rel=1e-3, abs=1e-7)


def test_the_price_of_a_cap_is_a_finite_difference(newsvendor: Program) -> None:
    """A USD more of cap saves what the duals say, to first order."""
    caps = np.array([365.0])
    price = newsvendor.duals(newsvendor.cheapest(caps), caps).cap_usd_per_usd[0]
    tight, loose = (newsvendor.cheapest(caps + d).expected_usd for d in (-0.5, 0.5))
    assert tight - loose == pytest.approx(price, rel=0.01)


def holdings(menu: Menu, months: int) -> list[Floats]:
    """Every whole purchase of every lot in every month that keeps within what may be held."""
    sizes = [
        [
            n
            for n in range(lot.max_units + 1)
            if n == 0 or (n >= lot.min_units and (n - lot.min_units) % lot.step == 0)
        ]
        for lot in menu.lots
    ]
    found = []
    for flat in product(*(size for size in sizes for _ in range(months))):
        starts = np.array(flat, dtype=np.float64).reshape(len(menu.lots), months)
        held = (
            ((starts[k][:, None] * (lot.brings > 0)).sum(axis=0) <= lot.max_units).all()
            for k, lot in enumerate(menu.lots)
        )
        limited = (
            sum(starts[k] @ per_unit for k, per_unit in limit.per_unit.items()) <= limit.at_most
            for limit in menu.limits
        )
        if all(held) and all(limited):
            found.append(starts)
    return found


@few
@given(seeds)
def test_whole_units_equal_brute_force(seed: int) -> None:
    """The best of all holdings, by dispatch: minimum, steps, what may be held, limits and all."""
    months = some_months(seed, scenarios=10, blocks=2)
    menu = some_menu(seed, months, perishing=1, quotas=1, lots=2)
    menu = replace(
        menu, lots=tuple(replace(one, max_units=one.min_units + 2 * one.step) for one in menu.lots)
    )
    program = Program(menu, months, CONFIDENCE, gap=1e-6)
    costs, caps = [], []
    for starts in holdings(menu, 2):
        total = dispatch(menu, months, menu.capacity(starts)).cost_usd + menu.held_fee_usd
        end_value = 0.0
        for lot, units in zip(menu.lots, starts, strict=True):
            total = total + units @ lot.fee_usd
            end_value += float(units @ lot.end_value_usd)
            if lot.loss_usd is not None:
                total = total + np.einsum("t,stm->sm", units, lot.loss_usd)
        costs.append(total.mean(axis=0).sum() - end_value)
        caps.append(max(cvar(month, CONFIDENCE) for month in total.T))
    scale = max(costs)
    assert program.cheapest().expected_usd == pytest.approx(min(costs), abs=1e-5 * scale)
    lowest = float(program.lowest().cvar_usd.max())
    assert lowest == pytest.approx(min(caps), abs=2e-4 * scale)
    for share in (0.2, 0.6):
        cap = lowest + (max(caps) - lowest) * share
        best = min(one for one, tail in zip(costs, caps, strict=True) if tail <= cap)
        found = program.cheapest(np.full(2, cap), 1e4)
        assert found.expected_usd == pytest.approx(best, abs=1e-5 * scale)
        assert found.cvar_usd.max() <= cap + 1e-6 * scale


@few
@given(seeds)
def test_invariants(seed: int) -> None:
    """A tighter cap never lowers the cost, whole units never beat fractions, more confidence never
    lowers the reachable cap; in another currency only the amounts change."""
    months = some_months(seed, scenarios=20)
    menu = some_menu(seed, months, perishing=2, quotas=0, lots=3)
    program = Program(menu, months, CONFIDENCE, gap=1e-5)
    free, low = program.cheapest(), program.lowest()
    scale = free.expected_usd
    levels = np.linspace(low.cvar_usd.max(), max(free.cvar_usd.max(), low.cvar_usd.max()), 4)
    costs = [program.cheapest(np.full(2, cap)).expected_usd for cap in levels]
    assert all(tight >= loose - 1e-4 * scale for tight, loose in pairwise(costs))
    fractions = Program(menu, months, CONFIDENCE, gap=1e-5, relaxed=True)
    assert fractions.cheapest().expected_usd <= free.expected_usd + 1e-4 * scale
    assert fractions.lowest_cap() <= program.lowest_cap() * (1 + 2e-4)
    surer = Program(menu, months, 0.7, gap=1e-5)
    assert surer.lowest_cap() >= program.lowest_cap() * (1 - 4e-4)

    relaxed = fractions.cheapest(np.full(2, levels[1]))
    dear = Program(_in_cents(menu), _months_in_cents(months), CONFIDENCE, gap=1e-5, relaxed=True)
    scaled = dear.cheapest(np.full(2, levels[1] * 100))
    assert scaled.expected_usd == pytest.approx(100 * relaxed.expected_usd, rel=1e-4)
    here = fractions.duals(relaxed).unit_usd
    there = dear.duals(relaxed).unit_usd
    np.testing.assert_allclose(there, 100 * here, rtol=1e-6, atol=1e-9)


def _in_cents(menu: Menu) -> Menu:
    lots = tuple(
        replace(
            lot,
            fee_usd=lot.fee_usd * 100,
            end_value_usd=lot.end_value_usd * 100,
            loss_usd=None if lot.loss_usd is None else lot.loss_usd * 100,
        )
        for lot in menu.lots
    )
    return replace(menu, lots=lots, held_fee_usd=menu.held_fee_usd * 100)


def _months_in_cents(months: Months) -> Months:
    return replace(months, list_usd=months.list_usd * 100)


def hedged(gain_per_usd: float, *, most: int = 4) -> tuple[Menu, Months]:
    """A month at a list price that moves with an index, and a future on that index: 730 units at 10
    USD a lot; 4 lots are all of it."""
    months = newsvendor_months(100)
    total = months.month_usd()
    gain = (total - total.mean()) / 4 * gain_per_usd
    line = Line("future", 0, 1, most, gain, gain, 1.0, "gpu", np.full(1, 730.0), is_whole=True)
    exposure = Exposure("gpu", np.full(1, 4 * 730.0))
    menu = replace(newsvendor_menu(), lots=(), lines=(line,), exposures=(exposure,))
    return menu, months


def test_a_perfect_hedge_leaves_no_variance() -> None:
    """Four lots that gain what the month costs more: every scenario costs the mean, to the cent."""
    menu, months = hedged(1.0)
    found = Program(menu, months, 0.9).lowest()
    assert found.lines.tolist() == [4.0]
    assert np.ptp(found.cost_usd) == pytest.approx(0, abs=1e-9)
    assert found.cvar_usd[0] == pytest.approx(300)


def test_no_lots_reproduce_the_unhedged_months() -> None:
    """Risk-neutral and at a cost, no lot is bought, and months cost what they did."""
    menu, months = hedged(1.0)
    line = replace(menu.lines[0], gain_usd=menu.lines[0].gain_usd - 0.5)
    found = Program(replace(menu, lines=(line,)), months, 0.9).cheapest()
    assert found.lines.tolist() == [0.0]
    np.testing.assert_array_equal(found.cost_usd, months.month_usd())


def test_no_more_lots_than_there_is_exposure_or_liquidity() -> None:
    """Exposure of 3 lots: 3; margin of 1 a lot and calls of their CVaR out of what there is: 2."""
    menu, months = hedged(1.0)
    less = replace(menu, exposures=(Exposure("gpu", np.full(1, 3.5 * 730)),))
    assert Program(less, months, 0.9).lowest().lines.tolist() == [3.0]
    called = np.maximum(-menu.lines[0].marked_usd[:, 0], 0.0)
    needed = 1.0 + cvar(called, 0.9)
    poor = replace(menu, liquidity_usd=2.5 * needed)
    assert Program(poor, months, 0.9).lowest().lines.tolist() == [2.0]
    broke = replace(menu, liquidity_usd=0.0)
    assert Program(broke, months, 0.9).lowest().lines.tolist() == [0.0]


@pytest.mark.parametrize("fee_usd", [3.0, 3.3])
def test_nothing_is_bought_at_the_price_of_pay_as_you_go(fee_usd: float) -> None:
    """A unit at 100% of pay-as-you-go or more, never always used, is not worth its fee."""
    found = Program(newsvendor_menu(fee_usd), newsvendor_months(), 0.95).cheapest()
    assert not found.starts.any()
    assert found.expected_usd == pytest.approx(300)


def test_an_unreachable_cap_is_missed_by_as_little_as_can_be() -> None:
    """Far below what can be had: the slack is what the lowest cap leaves, and priced in."""
    program = Program(newsvendor_menu(), newsvendor_months(), 0.95)
    found = program.cheapest(np.array([100.0]), 1e3)
    lowest = float(program.lowest().cvar_usd[0])
    assert found.slack_usd[0] == pytest.approx(lowest - 100, rel=2e-3)
    assert found.bound_usd <= found.expected_usd + 1e3 * found.slack_usd[0]


def test_the_lowest_cap_can_be_asked_for() -> None:
    """Asked for, it is kept; a USD less is not."""
    months = some_months(3, scenarios=20)
    program = Program(some_menu(3, months), months, CONFIDENCE, gap=1e-5)
    cap = program.lowest_cap() / 1e9
    assert program.cheapest(np.full(2, cap), 1e3).slack_usd.max() <= 1e-5
    assert program.cheapest(np.full(2, cap - 0.05), 1e3).slack_usd.max() > 0.01


def test_other_fees_keep_what_was_learned() -> None:
    """The same answer as from nothing, by fewer rounds; other capacity is refused."""
    months = some_months(5, scenarios=20)
    menu = some_menu(5, months, perishing=2, quotas=0)
    program = Program(menu, months, CONFIDENCE)
    program.cheapest()
    dearer = replace(menu, lots=tuple(replace(lot, fee_usd=lot.fee_usd * 1.2) for lot in menu.lots))
    again, anew = program.with_fees(dearer), Program(dearer, months, CONFIDENCE)
    assert again.cheapest().expected_usd == pytest.approx(anew.cheapest().expected_usd, rel=1e-3)
    assert len(again.attempts) <= len(anew.attempts)
    more = replace(menu, lots=tuple(replace(lot, brings=lot.brings * 2) for lot in menu.lots))
    with pytest.raises(MenuInvalid, match="make a new Program"):
        program.with_fees(more)


def test_out_of_time_gives_the_best_so_far_marked_or_says_so() -> None:
    """After the first rounds: an answer with its gap, `time_limit`. Before any: what to do."""
    months = some_months(7, scenarios=20)
    menu = some_menu(7, months, perishing=2, quotas=0)
    ticks = iter(range(1000))
    program = Program(menu, months, CONFIDENCE, max_seconds=2.5, clock=lambda: float(next(ticks)))
    found = program.cheapest()
    assert found.status == "time_limit"
    assert found.gap > 5e-4
    assert found.bound_usd <= found.expected_usd
    late = Program(menu, months, CONFIDENCE, max_seconds=0.5, clock=lambda: float(next(ticks)))
    with pytest.raises(SolverFailed, match="no bound within"):
        late.cheapest()


def test_confidence_beyond_the_scenarios_is_refused() -> None:
    """20 months say nothing about the worst one in a hundred."""
    months = some_months(0, scenarios=20)
    with pytest.raises(ConfidenceOutOfRange, match=r"outside 0\.5 to 0\.75"):
        Program(some_menu(0, months), months, 0.99)


def test_limits_that_contradict_holding_nothing_are_named() -> None:
    """A provider's limit below 0, an exposure below 0, a fee that is no number: each by name."""
    months = some_months(0, scenarios=20)
    menu = some_menu(0, months)
    limit = Limit("credit of acme", {0: np.ones(2)}, -1.0)
    with pytest.raises(MenuInvalid, match="credit of acme is -1"):
        Program(replace(menu, limits=(limit,)), months, CONFIDENCE)
    exposure = Exposure("gpu", np.array([1.0, -2.0]))
    with pytest.raises(MenuInvalid, match="gpu may be at most -2"):
        Program(replace(menu, exposures=(exposure,)), months, CONFIDENCE)
    broken = replace(menu.lots[0], fee_usd=np.full((2, 2), np.nan))
    with pytest.raises(MenuInvalid, match="fees of lot 0"):
        Program(replace(menu, lots=(broken, *menu.lots[1:])), months, CONFIDENCE)


def test_every_solve_is_kept() -> None:
    """Attempts name purpose, solver and status; the last of a purpose has closed its gap."""
    program = Program(newsvendor_menu(), newsvendor_months(), 0.95)
    program.cheapest()
    last = program.attempts[-1]
    assert (last.purpose, last.solver, last.status) == ("cheapest", "HIGHS", "optimal")
    assert last.gap is not None
    assert last.gap <= 5e-4


def test_without_contracts_the_months_stay_unhedged() -> None:
    """Nothing to buy: pay-as-you-go is the only cost, and its CVaR the only cap."""
    program = Program(replace(newsvendor_menu(), lots=()), newsvendor_months(), 0.95)
    assert program.cheapest().expected_usd == pytest.approx(300)
    assert program.lowest().cvar_usd[0] == pytest.approx(423.76277, abs=0.1)
    assert program.attempts == []

"""Recourse and dispatch against the linear program with every choice open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hedge.program.ascent import Ascent
from hedge.program.cells import Cells, delivered
from hedge.program.dispatch import dispatch
from hedge.program.menu import Menu, Pool, Tranche
from hedge.program.merit import MeritOrder
from hedge.program.recourse import recourse_of
from hedge.risk import Floats
from hedge.scenarios.months import Months
from tests.hedge.extensive import recourse_usd
from tests.hedge.program_cases import PER_TOKEN, some_months, some_pools

seeds = st.integers(0, 100_000)
few = settings(deadline=None, max_examples=25)
WHOLE = slice(None)


def case(
    seed: int, *, perishing: int, quotas: int, alike: bool, overage: bool = False
) -> tuple[Menu, Months, Floats]:
    """Pools with capacity for none to most of what they could be asked."""
    months = some_months(seed, scenarios=3, count=1, blocks=3, workloads=3)
    pools = some_pools(
        seed, months, perishing=perishing, quotas=quotas, alike=alike, overage=overage
    )
    rng = np.random.default_rng([seed, 4])
    capacity = np.zeros((len(pools), 1))
    for p, pool in enumerate(pools):
        asked = months.amounts @ pool.takes + pool.takes_list_usd * months.list_usd
        month = asked[..., pool.serves.astype(bool)].sum(axis=(2, 3)).mean()
        whole = month / months.minutes.sum() if pool.perishes else month
        capacity[p] = whole * rng.choice([0.0, 0.2, 0.4, 0.9])
    return Menu(pools, (), capacity, np.zeros(1)), months, capacity


@few
@given(seeds, st.integers(0, 3), st.integers(0, 2))
def test_merit_order_is_the_linear_program(seed: int, perishing: int, quotas: int) -> None:
    """Whoever may serve whom, blocks and months: to the last digit, where takes are in proportion;
    its slope is a subgradient, and its dispatch is at least as dear and feasible."""
    assume(perishing + quotas)
    menu, months, capacity = case(seed, perishing=perishing, quotas=quotas, alike=True)
    cells = Cells.of(menu, months)
    merit = MeritOrder.of(cells)
    assert merit is not None
    found = merit.costs(delivered(menu.pools, capacity, WHOLE))
    scale = months.month_usd().max()
    true = recourse_usd(menu, months, capacity)
    np.testing.assert_allclose(found.cost_usd, true, atol=1e-9 * scale)
    there = merit.costs(delivered(menu.pools, capacity * 1.7 + 1.0, WHOLE))
    moved = np.stack(
        [
            (b - a) * np.ones_like(true)
            for a, b in zip(
                delivered(menu.pools, capacity, WHOLE),
                delivered(menu.pools, capacity * 1.7 + 1.0, WHOLE),
                strict=True,
            )
        ],
        axis=2,
    )
    below = found.cost_usd + (found.slope_usd * moved).sum(axis=2)
    assert (below <= there.cost_usd + 1e-9 * scale).all()


@few
@given(seeds, st.integers(1, 3))
def test_any_takes_are_the_linear_program_where_capacity_perishes(seed: int, pools: int) -> None:
    """Prices that rise and fall together reach the optimum: 8 digits, never above it."""
    menu, months, capacity = case(seed, perishing=pools, quotas=0, alike=False)
    found = Ascent(Cells.of(menu, months)).costs(delivered(menu.pools, capacity, WHOLE))
    true = recourse_usd(menu, months, capacity)
    scale = months.month_usd().max()
    np.testing.assert_allclose(found.cost_usd, true, atol=1e-7 * scale)
    assert (found.cost_usd <= true + 1e-9 * scale).all()


@few
@given(seeds, st.integers(0, 2), st.booleans(), st.booleans())
def test_quotas_of_any_takes_are_nearly_the_linear_program(
    seed: int, perishing: int, alike: bool, overage: bool
) -> None:
    """With overage, spend commitments and what is not delivered: within 0.1% of a month, below."""
    menu, months, capacity = case(seed, perishing=perishing, quotas=1, alike=alike, overage=overage)
    found = Ascent(Cells.of(menu, months)).costs(delivered(menu.pools, capacity, WHOLE))
    true = recourse_usd(menu, months, capacity)
    scale = months.month_usd().max()
    assert (found.cost_usd <= true + 1e-9 * scale).all()
    np.testing.assert_allclose(found.cost_usd, true, atol=1e-3 * scale)


@few
@given(seeds, st.integers(0, 2), st.integers(0, 2), st.booleans(), st.booleans())
def test_a_dispatch_is_feasible_and_costs_what_it_says(
    seed: int, perishing: int, quotas: int, alike: bool, overage: bool
) -> None:
    """No share is negative, no cell served twice, no pool beyond its room; the cost is that of what
    is left plus overage, and lies between the truth and a little more."""
    assume(perishing + quotas)
    menu, months, capacity = case(
        seed, perishing=perishing, quotas=quotas, alike=alike, overage=overage
    )
    found = dispatch(menu, months, capacity)
    scale = months.month_usd().max()
    assert found.served.min() >= -1e-9
    assert found.served.sum(axis=-1).max() <= 1 + 1e-9
    paid = (months.list_usd * (1 - found.served.sum(axis=-1))).sum(axis=(2, 3))
    for p, pool in enumerate(menu.pools):
        takes = months.amounts @ pool.takes + pool.takes_list_usd * months.list_usd
        used = takes * found.served[..., p]
        assert used[..., pool.serves == 0].sum() == 0
        there = capacity[p] * (1.0 if pool.delivered is None else pool.delivered)
        if pool.perishes:
            room = np.broadcast_to(there, used.shape[:2])[..., None] * months.minutes
            assert (used.sum(axis=3) <= room * (1 + 1e-9) + 1e-9).all()
        else:
            over = found.overage_units[..., p]
            assert (used.sum(axis=(2, 3)) <= there + over + 1e-9 * (1 + capacity[p])).all()
            if pool.overage:
                paid = paid + over * pool.overage[0].usd_per_unit
    np.testing.assert_allclose(found.cost_usd, paid, atol=1e-9 * scale)
    assert (found.proved_usd <= found.cost_usd + 1e-9 * scale).all()
    if not quotas:
        np.testing.assert_allclose(found.cost_usd, found.proved_usd, atol=1e-7 * scale)


def test_dearest_first() -> None:
    """By hand: 10 units a minute for 10 minutes serve the 80 tokens at 3 USD and 20 of the others;
    a second block has no use for them."""
    amounts = np.zeros((1, 1, 2, 2, 4))
    amounts[0, 0, 0, :, 0] = (100.0, 80.0)
    list_usd = np.array([[[[100.0, 240.0], [0.0, 0.0]]]])
    first = some_months(0).firsts[:1]
    months = Months(("a", "b"), first, np.full((1, 2), 10.0), amounts, list_usd)
    menu = Menu((Pool("p", True, PER_TOKEN, np.ones(2)),), (), np.full((1, 1), 10.0), np.zeros(1))
    found = dispatch(menu, months, menu.held)
    assert found.cost_usd[0, 0] == pytest.approx(80)
    assert found.served[0, 0, 0, :, 0].tolist() == pytest.approx([0.2, 1.0])
    assert found.unit_usd[0, 0, :, 0].tolist() == pytest.approx([1.0, 0.0])


def test_overage_is_used_where_it_is_cheaper() -> None:
    """By hand: a quota of 50 at nothing, 25 more at 2 USD, for tokens at 3 and at 1: 50 + 25 of the
    100 at 3 go there, none of the others; a unit of quota saves the 3 that is left over, and the
    half unit of overage that it brings 1 each."""
    amounts = np.zeros((1, 1, 1, 2, 4))
    amounts[0, 0, 0, :, 0] = (100.0, 100.0)
    list_usd = np.array([[[[300.0, 100.0]]]])
    first = some_months(0).firsts[:1]
    months = Months(("a", "b"), first, np.ones((1, 1)), amounts, list_usd)
    pool = Pool("q", False, PER_TOKEN, np.ones(2), overage=(Tranche(2.0, 0.5),))
    menu = Menu((pool,), (), np.full((1, 1), 50.0), np.zeros(1))
    found = dispatch(menu, months, menu.held)
    assert found.cost_usd[0, 0] == pytest.approx(25 * 3 + 25 * 2 + 100)
    assert found.overage_units[0, 0, 0] == pytest.approx(25)
    costs = recourse_of(Cells.of(menu, months)).costs(delivered(menu.pools, menu.held, WHOLE))
    assert costs.slope_usd[0, 0, 0] == pytest.approx(-3.5, rel=2e-3)


@pytest.mark.parametrize("alike", [True, False])
def test_what_is_paid_for_being_used_stays_where_it_is(alike: bool) -> None:
    """At a negative price nothing is served from capacity, and no cost goes below pay-as-you-go's
    negative part."""
    menu, months, capacity = case(3, perishing=2, quotas=1, alike=alike)
    sign = np.where(np.arange(3) == 1, -1.0, 1.0)
    odd = replace(months, list_usd=months.list_usd * sign)
    found = dispatch(menu, odd, capacity)
    assert found.served[..., 1, :].sum() == 0
    true = recourse_usd(menu, odd, capacity)
    np.testing.assert_allclose(found.proved_usd, true, atol=1e-3 * months.month_usd().max())

"""A plan is held against other worlds; what breaks its cap, and what would change it, is found."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.planning.evaluation import Choice, World
from hedge.planning.plan import HedgePlan
from hedge.planning.planning import plan_months
from hedge.planning.stress import breaking
from hedge.program.menu import Menu, Pool, Tranche
from hedge.scenarios.months import Months
from tests.hedge.planning.worlds import menu, months, question

CAP = "420"


@cache
def planned() -> HedgePlan:
    return plan_months(question(CAP, is_traded=True))


def test_every_stress_of_the_list_is_told() -> None:
    """Price, demand both ways, the provider most relied on, short delivery, index, chips."""
    stress = {one.name: one for one in planned().stress}
    assert list(stress) == [
        "price_spike",
        "demand_shock",
        "demand_slump",
        "provider_failure",
        "delivery_shortfall",
        "index_restatement",
        "chip_generation",
    ]
    base = planned().in_sample
    for worse in ("price_spike", "demand_shock", "provider_failure", "delivery_shortfall"):
        assert stress[worse].expected_usd > base.expected_usd
        assert stress[worse].cvar_usd > base.cvar_usd
        assert stress[worse].p_within_cap <= base.p_within_cap
    for better in ("demand_slump", "chip_generation"):
        assert stress[better].expected_usd < base.expected_usd
    assert stress["demand_shock"].breaks_cap
    assert not stress["demand_slump"].breaks_cap
    assert "host delivers nothing" in stress["provider_failure"].what


def test_reverse_stress_stands_at_the_edge_of_the_cap() -> None:
    """What breaks the mean of the bad months is less than what breaks the expected month."""
    found = {(one.what, one.of): one.times for one in planned().breaking}
    for what in ("demand", "price"):
        tail, mean = found[what, "cvar"], found[what, "expected"]
        assert tail is not None
        assert mean is not None
        assert 1 <= tail < mean < 10


def test_reverse_stress_agrees_with_a_search_by_hand() -> None:
    """Without any contract cost is proportional, so the multiple is cap over CVaR."""
    drawn = months(5, 100)
    world = World.of(menu(drawn), drawn)
    nothing = Choice.nothing(world.menu, drawn)
    tail = float(world.outcome(nothing).cvar_usd(0.9).max())
    for one in breaking(world, nothing, 0.9, 3 * tail):
        if one.of == "cvar":
            assert one.times == pytest.approx(3.0, rel=0.02)
    assert {one.times for one in breaking(world, nothing, 0.9, 30 * tail)} == {None}


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0.3, 3.0), st.floats(0.3, 3.0), st.integers(0, 30), st.integers(0, 30), st.booleans()
)
def test_times_are_those_of_months_that_are_drawn_anew(
    demand: float, price: float, reserved: int, flat: int, bills: bool
) -> None:
    """So many times demand and price, by proportion, cost what months with so many tokens at such
    prices do: with capacity that perishes, a quota with overage, and a spend commitment."""
    drawn = months(5, 20, length=2)
    world = World.of(_with_spend(menu(drawn), bills), drawn)
    choice = Choice.nothing(world.menu, drawn).with_lot(0, reserved).with_lot(2, flat)
    scaled = replace(
        drawn, amounts=drawn.amounts * demand, list_usd=drawn.list_usd * demand * price
    )
    anew = World.of(_with_spend(menu(scaled), bills), scaled).outcome(choice)
    found = world.times(choice, demand=demand, price=price)
    np.testing.assert_allclose(found.cost_usd, anew.cost_usd, rtol=2e-3, atol=0.05)


def _with_spend(made: Menu, bills: bool) -> Menu:
    """The quota with overage if it bills it, and a commitment to spend 60 USD a month that is
    held."""
    reserved, quota = made.pools
    quota = replace(quota, overage=(Tranche(0.0009, 0.2),) if bills else ())
    spend = Pool("spend", False, np.zeros(4), np.array([True, False]), takes_list_usd=1.0)
    held = np.vstack([made.held, np.full((1, made.held.shape[1]), 60.0)])
    return replace(made, pools=(reserved, quota, spend), held=held)


def test_turns_name_fee_demand_and_price() -> None:
    """For the contracts nearest to break-even; the sentence carries the number."""
    plan = planned()
    assert {turn.what for turn in plan.turns} == {"fee", "demand", "price"}
    for turn in plan.turns:
        assert turn.now != turn.then
        assert turn.contract in turn.said


def test_a_fee_turns_where_it_is_said_to() -> None:
    """Asked again with the fee on either side, the plan buys the contract, and does not."""
    turn = next(turn for turn in planned().turns if turn.what == "fee")

    def bought(multiple: float) -> bool:
        def offer(of: Months) -> Menu:
            made = menu(of)
            return replace(
                made,
                lots=tuple(
                    replace(one, fee_usd=one.fee_usd * multiple)
                    if (one.contract, one.term_months) == (turn.contract, turn.term_months)
                    else one
                    for one in made.lots
                ),
            )

        plan = plan_months(question(CAP, offer=offer), is_shaken=False)
        return any(
            (one.contract, one.term_months) == (turn.contract, turn.term_months)
            and (one.units or one.later)
            for one in plan.positions
        )

    step = 0.08 if turn.then > turn.now else -0.08
    near, far = (turn.then / turn.now * (1 + sign * step) for sign in (-1, 1))
    assert bought(near) != bought(far)

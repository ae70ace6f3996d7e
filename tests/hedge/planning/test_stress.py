"""A plan is held against other worlds; what breaks its cap, and what would change it, is found."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from hedge.planning.evaluation import Choice, World
from hedge.planning.plan import HedgePlan, Multiplied
from hedge.planning.planning import plan_months
from hedge.planning.stress import times
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


@pytest.mark.parametrize("what", ["demand", "price"])
def test_reverse_stress_agrees_with_a_search_by_hand(what: Multiplied) -> None:
    """Without any contract cost is proportional, so the multiple is cap over CVaR."""
    from hedge.planning.stress import breaking

    drawn = months(5, 100)
    nothing = Choice.nothing(menu(drawn), drawn)
    tail = float(World.of(menu(drawn), drawn).outcome(nothing).cvar_usd(0.9).max())
    found = {(one.what, one.of): one.times for one in breaking(menu, drawn, nothing, 0.9, 3 * tail)}
    assert found[what, "cvar"] == pytest.approx(3.0, rel=0.02)
    far = {(one.what, one.of): one.times for one in breaking(menu, drawn, nothing, 0.9, 30 * tail)}
    assert far[what, "cvar"] is None


def test_times_the_demand_is_not_times_the_price() -> None:
    """Both scale what pay-as-you-go costs; only demand scales tokens."""
    drawn = months(5, 10)
    more, dearer = times("demand", drawn, 2.0), times("price", drawn, 2.0)
    np.testing.assert_allclose(more.list_usd, 2 * drawn.list_usd)
    np.testing.assert_allclose(dearer.list_usd, 2 * drawn.list_usd)
    np.testing.assert_allclose(more.amounts, 2 * drawn.amounts)
    np.testing.assert_allclose(dearer.amounts, drawn.amounts)


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
    lots = menu(months(1, 10)).lots

    def bought(multiple: float) -> bool:
        from dataclasses import replace

        def offer(of):  # type: ignore[no-untyped-def]
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

    assert lots
    step = 0.08 if turn.then > turn.now else -0.08
    near, far = (turn.then / turn.now * (1 + sign * step) for sign in (-1, 1))
    assert bought(near) != bought(far)

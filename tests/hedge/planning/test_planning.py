"""A plan is the same for the same inputs, explains itself, and says what it cannot promise."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from functools import cache
from itertools import chain, pairwise, repeat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.contracts.menu import menu_of
from hedge.contracts.offered import Offered
from hedge.errors import ConfidenceOutOfRange, DemandInvalid, HedgeError
from hedge.planning.plan import HedgePlan
from hedge.planning.planning import plan_months
from hedge.planning.question import Question
from hedge.program.menu import Exposure, Menu
from hedge.risk import clopper_pearson, cvar
from hedge.scenarios.months import Months
from ledger.money import usd
from tests.hedge.contracts.builders import FIRSTS, TODAY, days_in, serving
from tests.hedge.planning.worlds import dearer, empty, lot, menu, months, question

CAP = "420"


@cache
def planned(cap: str = CAP) -> HedgePlan:
    return plan_months(question(cap))


def test_the_plan_keeps_its_cap_and_explains_every_contract() -> None:
    """The cap binds; something is bought; each contract that was offered has a reason."""
    plan = planned()
    assert plan.status == "optimal"
    assert plan.message is None
    assert plan.min_reachable_cap_usd <= plan.cap_usd
    assert plan.cvar_usd <= plan.cap_usd < plan.unhedged.cvar_usd
    assert {one.contract for one in plan.positions} == {"reserve", "flat", "never", "pending"}
    assert any(one.units for one in plan.positions)
    assert all(
        one.why.endswith("Its terms are assumed.") or one.contract == "pending"
        for one in plan.positions
    )
    never = next(one for one in plan.positions if one.contract == "never")
    assert never.units == 0
    assert never.why.startswith("Even fully used, a unit costs 4")
    pending = next(one for one in plan.positions if one.contract == "pending")
    assert pending.why == "Not offered: it is announced only."


def test_the_months_add_up_to_the_plan() -> None:
    """Expected cost is the mean of the months, CVaR their highest, the chance their least."""
    plan = planned()
    assert len(plan.months) == 3
    assert plan.total_expected_usd == pytest.approx(
        sum(one.expected_usd for one in plan.months), abs=Decimal("0.05")
    )
    assert plan.expected_usd == pytest.approx(plan.total_expected_usd / 3, abs=Decimal("0.02"))
    assert plan.cvar_usd == max(one.cvar_usd for one in plan.months)
    assert plan.p_within_cap == min(one.p_within_cap for one in plan.months)
    assert plan.fresh.p_all_within_cap <= plan.p_within_cap


def test_the_chance_is_that_on_scenarios_which_the_plan_never_saw() -> None:
    """Both sets are told; the published chance is the fresh one's, with its exact interval."""
    plan = planned()
    fresh = plan.fresh
    assert (plan.p_within_cap, plan.p_interval) == (fresh.p_within_cap, fresh.p_interval)
    hits = round(fresh.p_within_cap * fresh.scenarios)
    assert fresh.p_interval == clopper_pearson(hits, fresh.scenarios)
    assert plan.in_sample.cvar_usd == plan.cvar_usd != fresh.cvar_usd


def test_one_seed_gives_one_plan() -> None:
    """Equal inputs give equal plans but for the solver's seconds; seed and cap matter."""
    again = plan_months(question(CAP), is_shaken=False)
    assert again == replace(
        planned(),
        positions=again.positions,
        stress=(),
        breaking=(),
        turns=(),
        attempts=again.attempts,
    )
    other = plan_months(question(CAP, seed=2), is_shaken=False)
    assert other.expected_usd != planned().expected_usd
    assert other.inputs_sha256 == planned().inputs_sha256
    assert planned("450").inputs_sha256 != planned().inputs_sha256


def test_the_frontier_runs_from_near_the_lowest_cap_to_where_it_no_longer_binds() -> None:
    """At least five caps; they rise, expected cost falls, CVaR stays under its cap."""
    points = planned().frontier
    assert len(points) >= 5
    lowest = planned().min_reachable_cap_usd
    assert lowest <= points[0].cap_usd <= lowest + (points[-1].cap_usd - lowest) / 50
    caps, costs = ([getattr(at, of) for at in points] for of in ("cap_usd", "expected_usd"))
    assert caps == sorted(caps)
    assert all(one >= other - Decimal("0.5") for one, other in pairwise(costs))
    assert all(at.cvar_usd <= at.cap_usd + Decimal("0.5") for at in points)


def test_buying_nothing_is_an_explained_answer() -> None:
    """Where every fee lies above pay-as-you-go and the cap is wide, nothing is bought, and each
    contract says why; what it would cost to buy all the same is in its reason."""
    plan = plan_months(question("5000", offer=dearer(3.5)), is_shaken=False)
    assert plan.buys_nothing
    assert plan.status == "optimal"
    assert plan.p_within_cap == 1.0
    for one in plan.positions:
        if one.contract != "pending":
            assert one.why.startswith("Even fully used, a unit costs ")
            assert "Not bought: it would raise the expected cost of all 3 months by" in one.why
            assert one.adds is not None
            assert one.adds.expected_usd > 0


def test_a_cap_out_of_reach_gives_the_best_there_is_and_says_so() -> None:
    """The status and a sentence with the lowest reachable cap and the months; that cap, asked
    for, is kept."""
    plan = plan_months(question("100"), is_shaken=False)
    assert plan.status == "cap_unreachable"
    assert plan.message is not None
    assert f"the lowest reachable cap is {plan.min_reachable_cap_usd:,.2f} USD" in plan.message
    assert "overruns it in 2026-12, 2027-01" in plan.message
    assert any(one.slack_usd > 0 for one in plan.months)
    again = plan_months(question(str(plan.min_reachable_cap_usd)), is_shaken=False)
    assert again.status == "optimal"


def test_the_lowest_cap_is_kept_whatever_certainty_costs() -> None:
    """A fee that takes five cents off the bad months at some thousand times that: the lowest cap
    can be asked for all the same, and the frontier begins with a plan that keeps its cap."""
    usd = months(1, 120, 1).list_usd.sum(axis=2)[:, 0]
    fee = cvar(usd.sum(axis=1), 0.9) - cvar(usd[:, 0], 0.9) - 0.05

    def barely(of: Months) -> Menu:
        return replace(menu(of), lots=(lot("flat", 1, 1, fee=fee, units=1e9, most=1),))

    lowest = plan_months(question("100", length=1, offer=barely), is_shaken=False)
    cap_usd = lowest.min_reachable_cap_usd
    assert lowest.unhedged.cvar_usd - cap_usd == pytest.approx(Decimal("0.05"), abs=Decimal("0.02"))
    kept = plan_months(question(str(cap_usd), length=1, offer=barely), is_shaken=False)
    assert (kept.status, kept.positions[1].units) == ("optimal", 1)
    assert kept.cvar_usd <= cap_usd
    assert kept.expected_usd - kept.unhedged.expected_usd > 20
    assert kept.frontier[0].cvar_usd <= kept.frontier[0].cap_usd


@pytest.mark.parametrize(
    ("exposed", "said"),
    [
        (4.0, "Not traded: one lot bought for"),
        (2.0, "One lot is more than may be hedged: 3 units of H100 for 2026-12, where 2 are"),
        (0.0, "Nothing of it can be executed, or nothing is exposed to its index"),
    ],
)
def test_no_lots_says_why_of_a_lot_that_may_be_held(exposed: float, said: str) -> None:
    """Sold alone is no hedge, however good it would look; a lot may be more than is exposed."""

    def offer(of: Months) -> Menu:
        most = Exposure("H100", np.full(len(of.firsts), exposed))
        lines = tuple(
            replace(one, gain_usd=one.gain_usd - one.side) for one in menu(of, is_traded=True).lines
        )
        return replace(menu(of), lines=lines, exposures=(most,))

    plan = plan_months(question("5000", offer=offer, is_traded=True), is_shaken=False)
    lots = next(one for one in plan.positions if one.contract == "gpu")
    assert (lots.units, lots.why.startswith(said)) == (0, True), lots.why
    assert (lots.adds is None) == (exposed < 3)


def test_no_contracts_is_a_plan_too() -> None:
    """Nothing to buy: the plan is the unhedged months, and the lowest cap their worst CVaR."""
    plan = plan_months(question("5000", offer=empty), is_shaken=False)
    assert plan.buys_nothing
    assert plan.in_sample == plan.unhedged
    assert 0 <= plan.min_reachable_cap_usd - plan.cvar_usd <= Decimal("0.02")


def test_what_owes_its_place_to_certainty_says_its_price() -> None:
    """A position that raises the expected cost and lowers bad months tells the ratio."""
    assert any(
        "The price of certainty: " in one.why
        and one.adds is not None
        and one.adds.expected_usd > 0 > one.adds.tail_usd
        for one in planned().positions
    )


@settings(max_examples=8, deadline=None)
@given(
    st.floats(1e-7, 1e7),
    st.floats(0.0, 50.0),
    st.integers(1, 9 * 10**11),
    st.sampled_from([0.5, 0.8, 0.9]),
    st.integers(1, 2),
)
def test_absurd_worlds_give_a_plan_or_a_sentence(
    level: float, dear: float, cap_cents: int, confidence: float, length: int
) -> None:
    """Demand from next to nothing to ten million times the usual, fees from nothing up, caps from
    a cent: what comes back has been verified, or is an error of ours with words in it."""
    asked = question(
        f"{cap_cents // 100}.{cap_cents % 100:02d}",
        confidence=confidence,
        length=length,
        level=level,
        offer=dearer(dear),
    )
    made = None
    with suppress(HedgeError):
        made = plan_months(asked, is_shaken=False)
    if made is None:
        return
    assert (made.status == "cap_unreachable") == (made.message is not None)
    if made.status == "optimal":
        assert made.cvar_usd <= made.cap_usd * (1 + Decimal("1e-5")) + Decimal("0.02")


@pytest.mark.parametrize("confidence", [0.4, 0.999, 1.0])
def test_a_confidence_without_a_tail_is_refused(confidence: float) -> None:
    """Neither a coin toss nor certainty can be planned for."""
    with pytest.raises(ConfidenceOutOfRange):
        plan_months(question(CAP, confidence=confidence))


@pytest.mark.parametrize(
    ("said", "change"),
    [
        ("negative", lambda of: replace(of, list_usd=of.list_usd - 1e4)),
        ("negative", lambda of: replace(of, amounts=of.amounts - 1e7)),
        ("numbers that are none", lambda of: replace(of, list_usd=of.list_usd * np.nan)),
        ("numbers that are none", lambda of: replace(of, amounts=of.amounts + np.inf)),
        ("nothing to hedge", lambda of: replace(of, list_usd=of.list_usd * 0)),
    ],
)
def test_scenarios_that_cannot_be_are_a_sentence(said: str, change: object) -> None:
    """Negative prices, no numbers, no cost: refused before a solver sees them."""

    def draw(seed: int, _count: int) -> Months:
        assert callable(change)
        changed = change(months(seed, 60))
        assert isinstance(changed, Months)
        return changed

    with pytest.raises(DemandInvalid, match=said):
        plan_months(replace(question(CAP), draw=draw))


# -- one month that can be worked out by hand: 95 million tokens at a USD each million, quotas of 10


def steady(of_unit: dict[str, object], cap: str = "200", kind: str = "flat_plan") -> Question:
    minutes = np.array([[days_in(FIRSTS[0]) * 24 * 60.0]])
    tokens = np.zeros((100, 1, 1, 1, 4))
    tokens[..., 0] = 95e6
    ahead = Months(("oak",), FIRSTS[:1], minutes, tokens, tokens[..., 0] * 1e-6)
    offered = Offered([serving(kind, **{"quota_units": "10000000"} | of_unit)])
    return Question(
        draw=lambda *_: ahead,
        offer=lambda of: menu_of(offered, of, today=TODAY, seed=1),
        contracts=offered.contracts,
        cap=usd(cap),
        confidence=0.95,
        seed=1,
        inputs=("by hand",),
    )


@pytest.mark.parametrize(
    ("of_unit", "units", "cost"),
    [
        ({"prices": [{"usd_per_month": "8"}]}, 9, "77"),
        ({"prices": [{"usd_per_month": "11"}]}, 0, "95"),
        # "no limit", as people write it
        ({"prices": [{"usd_per_month": "8"}], "quota_units": "1000000000000000"}, 1, "8"),
        # overage without an end: cheaper than any fee, and dearer than one
        (
            {
                "prices": [{"usd_per_month": "8"}],
                "overage": {"then": "bill", "usd_per_unit": "0.0000001"},
            },
            1,
            "16.50",
        ),
        (
            {
                "prices": [{"usd_per_month": "5"}],
                "overage": {"then": "bill", "usd_per_unit": "0.0000006"},
            },
            9,
            "48",
        ),
    ],
)
def test_a_month_worked_out_by_hand(of_unit: dict[str, object], units: int, cost: str) -> None:
    """Units and cost are those of counting, whatever the sizes of the numbers."""
    plan = plan_months(steady(of_unit), is_shaken=False)
    assert [one.units for one in plan.positions] == [units]
    assert plan.expected_usd == plan.cvar_usd == Decimal(cost)
    assert abs(plan.min_reachable_cap_usd - Decimal(cost)) <= Decimal("0.01")


def test_a_tighter_cap_is_never_cheaper_with_what_outlasts_the_plan() -> None:
    """Of a year's term one month is planned: each unit saves 2 USD of it, and leaves 17.60 to be
    paid that nobody uses (a fifth of 88). Tighter caps look cheaper, until that is counted."""
    year: dict[str, object] = {"prices": [{"months": 12, "usd_per_month": "8"}]}
    points = plan_months(steady(year), is_shaken=False).frontier
    assert points[0].expected_usd < points[-1].expected_usd
    nets = [at.expected_usd - at.end_value_usd for at in points]
    assert all(one >= other for one, other in pairwise(nets))
    assert (points[0].end_value_usd, nets[-1]) == (Decimal("-158.40"), Decimal(95))


def test_what_time_did_not_allow_to_search_is_not_called_out_of_reach() -> None:
    """A lowest cap that was not proved when the time was over is told as the lowest found."""

    def late(cap: str) -> Question:
        """So that the time is over after the first look at the lowest cap."""
        told_s = chain((0.0, 0.0, 0.0), repeat(100.0))
        flat: dict[str, object] = {"prices": [{"usd_per_month": "8"}]}
        return replace(steady(flat, cap), clock=lambda: next(told_s))

    plan = plan_months(late("76"), is_shaken=False)
    assert plan.message is not None
    assert "the lowest cap found is 77.00 USD" in plan.message
    assert "reachable cap is" not in plan.message
    assert "ran out of time (60 s)" in plan_months(late("200"), is_shaken=False).notes[-1]

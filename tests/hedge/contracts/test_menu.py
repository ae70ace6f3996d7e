"""The menu: the program's arrays say what the contracts say, month by month."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.contracts.counterparty import Counterparty
from hedge.contracts.limits import HedgeLimits
from hedge.contracts.menu import menu_of
from hedge.contracts.offered import Offered, Owned
from hedge.contracts.terms import Size
from hedge.program.menu import Lot, Menu
from hedge.program.program import Program
from hedge.scenarios.months import Months, TokenKind
from hedge.scenarios.workload import Workload
from hedge.venues.executable import Executable, Level
from ledger.commitments import Commitment, CommitmentKind, Covered
from ledger.instants import as_ns
from ledger.money import Money, usd
from tests.hedge.contracts.builders import FIRSTS, SOURCE, TODAY, days_in, months, serving

YEAR = tuple(date(2027, month, 1) for month in range(1, 13))


def menu(offered: Offered, ahead: Months | None = None, today: date = TODAY) -> Menu:
    return menu_of(offered, ahead or months(), today=today, seed=1)


def only_lot(found: Menu) -> Lot:
    (lot,) = found.lots
    return lot


def counterparty(**more: Any) -> Counterparty:
    sure = {
        "default_per_year": 0,
        "recovery": 0,
        "shortfall_chance": 0,
        "shortfall": 0,
        "source": SOURCE,
    }
    return Counterparty.model_validate({"name": "acme", **sure, **more})


# -- lots


@given(
    st.integers(1, 15),
    st.sampled_from(("0", "0.25", "1")),
    st.integers(0, 10**6),
    st.sampled_from(("0", "0.5", "1")),
)
def test_a_term_is_due_and_there_for_as_long_as_it_lasts(
    term: int, upfront: str, cents: int, used: str
) -> None:
    """Started in any month of a year: the fees within it, and those that are due later, sum to the
    term's fee; capacity is there for the term and no longer; what is left at the end is worth what
    the terms say."""
    price = {"months": term, "usd_per_month": f"{cents}e-2", "upfront": upfront}
    resale = {"venue": "acme", "haircut": "0.25"}
    contract = serving("throughput_reservation", prices=[price], resale=resale)
    limits = HedgeLimits(later_use=Decimal(used))
    lot = only_lot(menu(Offered([contract], limits=limits), months(firsts=YEAR, scenarios=2)))
    fee_usd = cents / 100
    rest_usd = fee_usd * (1 - float(upfront))
    for start, month in product(range(12), range(12)):
        is_there = start <= month < start + term
        due = rest_usd + (fee_usd * term * float(upfront) if month == start else 0)
        assert lot.fee_usd[start, month] == pytest.approx(due if is_there else 0, abs=1e-7)
        assert lot.brings[start, month] == (1000 if is_there else 0)
    for start in range(12):
        left = max(0, start + term - 12)
        prepaid_usd = fee_usd * term * float(upfront) * left / term
        worth = prepaid_usd * float(used) * 0.75 - rest_usd * left * (1 - float(used))
        assert lot.end_value_usd[start] == pytest.approx(worth, abs=1e-6)


def test_what_cannot_be_sold_on_is_worth_nothing_at_the_end() -> None:
    """Without a resale the upfront fee of later months is gone."""
    price = {"months": 12, "usd_per_month": "10", "upfront": "1"}
    lot = only_lot(menu(Offered([serving("flat_plan", prices=[price])])))
    assert (lot.end_value_usd == 0).all()


def test_each_kind_brings_what_it_sells() -> None:
    """A plan its quota each month, a prepaid quota an even share, a commitment the spend that it
    covers, by the minute where it is lost by the hour."""
    year = [{"months": 6, "usd_per_month": "80"}]
    of = {
        "flat": serving("flat_plan", prices=year),
        "quota": serving("prepaid_quota", prices=year),
        "month": serving("spend_commitment", prices=year),
        "hour": serving("spend_commitment", prices=year, per="hour"),
        "gpus": serving("dedicated_endpoint", prices=year),
    }
    named = [one.model_copy(update={"name": name}) for name, one in of.items()]
    found = menu(Offered(named))
    brings = {lot.contract: lot.brings[0] for lot in found.lots}
    pools = {lot.contract: found.pools[lot.pool] for lot in found.lots}
    minutes = np.array([days_in(first) * 24 * 60 for first in FIRSTS])
    assert brings["flat"].tolist() == [1e6] * 3
    assert brings["quota"] == pytest.approx(1e6 / 6)
    assert brings["month"] == pytest.approx(100)
    assert brings["hour"] == pytest.approx(100 / minutes)
    assert brings["gpus"].tolist() == [1000] * 3
    perishing = {name for name, pool in pools.items() if pool.perishes}
    assert perishing == {"hour", "gpus"}
    assert (pools["month"].takes_list_usd, pools["month"].takes.sum()) == (1, 0)
    assert (pools["flat"].takes_list_usd, pools["flat"].takes.tolist()) == (0, [1, 1, 1, 0])
    assert any("quota: its quota is planned in even monthly shares" in one for one in found.notes)


def test_a_block_is_there_in_its_window() -> None:
    """From 10 December to 5 January: bought now, paid in December, 22 and 5 days of capacity."""
    lot = only_lot(menu(Offered([serving("gpu_block")])))
    assert lot.fee_usd.tolist() == [[100, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert lot.brings[0] == pytest.approx([1000 * 22 / 31, 1000 * 5 / 31, 0])
    assert not lot.brings[1:].any()


def test_a_block_costs_what_a_venue_asks() -> None:
    """27 days of 8 GPUs at a limit of 3 USD per GPU-hour: of 2 at 2.00, 1 at 2.90 and 9 at 3.10,
    three can be had, at 2.30 on average; in steps of two, only two; none where all is dearer."""
    hours = 27 * 24 * 8
    block = serving("gpu_block", prices=[{"usd_per_month": str(3 * hours)}])
    levels = (("2.00", 2), ("2.90", 1), ("3.10", 9))

    def found(size: dict[str, int], asks: tuple[tuple[str, int], ...]) -> Menu:
        sized = block.model_copy(update={"size": Size.model_validate(size)})
        book = Executable(
            block.name,
            None,
            datetime(2026, 11, 20, tzinfo=UTC),
            (),
            tuple(Level(Decimal(price), lots) for price, lots in asks),
            "q.csv",
        )
        return menu(Offered([sized], books=[book]))

    lot = only_lot(found({"max": 50}, levels))
    assert (lot.max_units, lot.fee_usd[0, 0]) == (3, pytest.approx(2.3 * hours))
    by_two = only_lot(found({"min": 2, "step": 2, "max": 50}, levels))
    assert (by_two.max_units, by_two.fee_usd[0, 0]) == (2, pytest.approx(2 * hours))
    dear = found({"max": 50}, levels[2:])
    assert dear.lots == ()
    assert "no venue sells 1 at its limit of 3.0000 USD per GPU-hour" in dear.notes[0]
    unquoted = menu(Offered([block]))
    assert only_lot(unquoted).fee_usd[0, 0] == 3 * hours
    assert any(
        "no quote: its limit price is planned, and may not fill" in note for note in unquoted.notes
    )


def test_what_is_sold_for_a_time_starts_in_its_months() -> None:
    """From 15 January to 15 February: only in February, on whose first day it can be bought. Today
    counts for the month that has begun."""
    contract = serving("flat_plan", valid_from="2027-01-15", valid_to="2027-02-15")
    lot = only_lot(menu(Offered([contract])))
    assert lot.fee_usd.any(axis=1).tolist() == [False, False, True]
    begun = only_lot(menu(Offered([contract]), today=date(2027, 1, 20)))
    assert begun.fee_usd.any(axis=1).tolist() == [True, True, True]


# -- what is left out


@pytest.mark.parametrize(
    ("contract", "says"),
    [
        (serving("flat_plan", status="pending"), "it is announced and cannot be bought yet"),
        (serving("flat_plan", valid_to="2026-11-19"), "it could be bought until 2026-11-19"),
        (serving("flat_plan", valid_from="2028-01-01"), "cannot be bought in the 3 months from"),
        (serving("flat_plan", models=[]), "it says for no model that it serves it: write covers"),
        (serving("flat_plan", models=["elm"]), "it does not serve oak"),
        (serving("gpu_block", starts="2026-11-01"), "its window has begun on 2026-11-01"),
    ],
)
def test_what_cannot_be_held_is_left_out_with_why(contract: Any, says: str) -> None:
    """A note, and nothing to buy; it is not an error."""
    found = menu(Offered([contract]))
    assert found.lots == ()
    assert found.held.shape == (0, 3)
    (note,) = found.notes
    assert note.startswith(f"{contract.name}: ")
    assert says in note


@pytest.mark.parametrize(
    ("workload", "more", "serves"),
    [
        (Workload("w", ("oak",)), {}, True),
        (Workload("w", ("oak", "elm")), {}, False),
        (Workload("w", ("oak", "elm")), {"models": ["elm", "oak", "ash"]}, True),
        (Workload("w", ("oak",), quality_at_least=0.7), {}, False),
        (Workload("w", ("oak",), quality_at_least=0.7), {"quality": 0.69}, False),
        (Workload("w", ("oak",), quality_at_least=0.7), {"quality": 0.7}, True),
        (Workload("w", ("oak",), ttft_ms_p95_max=900), {}, False),
        (Workload("w", ("oak",), ttft_ms_p95_max=900), {"ttft_ms_p95": 901}, False),
        (Workload("w", ("oak",), ttft_ms_p95_max=900), {"ttft_ms_p95": 900}, True),
    ],
)
def test_eligibility(workload: Workload, more: dict[str, Any], serves: bool) -> None:
    """A contract serves all models of a workload, at its quality and latency, or none of it."""
    found = menu(
        Offered([serving("flat_plan", **more), serving("prepaid_quota")], [workload]),
        months(workloads=("w", "oak")),
    )
    of = {lot.contract: found.pools[lot.pool].serves.tolist() for lot in found.lots}
    assert of["flat_plan"][0] is serves


# -- pools


def test_perfect_substitutes_share_a_pool() -> None:
    """Price, term and size make no difference; what a token takes, whom it serves, when it
    perishes, its overage and who may not deliver do."""
    same = [
        serving("throughput_reservation", name="a"),
        serving("throughput_reservation", name="b", prices=[{"usd_per_month": "7", "months": 3}]),
        serving("dedicated_endpoint", name="c", provider="other", units_per_minute="5"),
    ]
    bill = {"then": "bill", "usd_per_unit": "0.001"}
    other = [
        serving("throughput_reservation", name="d", burndown={"completion": 8}),
        serving("throughput_reservation", name="e", models=["oak", "elm"]),
        serving("flat_plan", name="f"),
        serving("flat_plan", name="g", overage=bill),
        serving("flat_plan", name="h", overage={**bill, "limit_units": "500000"}),
        serving("throughput_reservation", name="i", provider="shaky"),
    ]
    shaky = counterparty(name="shaky", default_per_year=0.5)
    offered = Offered([*same, *other], counterparties=[shaky])
    found = menu(offered, months(workloads=("oak", "elm")))
    places = {lot.contract: lot.pool for lot in found.lots}
    assert [places[one.name] for one in same] == [0, 0, 0]
    assert sorted(places.values()) == [0, 0, 0, *range(1, 7)]
    assert found.pools[places["h"]].overage[0].units == 0.5
    assert found.pools[places["g"]].overage[0].units == np.inf


# -- counterparties


def test_all_contracts_of_a_counterparty_fail_together() -> None:
    """One draw for all of its pools; a failure is for ever; about as many fail as are said to, and
    fall short by what is said."""
    shaky = counterparty(default_per_year=0.4, shortfall_chance=0.3, shortfall=0.25)
    ahead = months(firsts=YEAR, scenarios=4000)
    found = menu(Offered([serving("flat_plan"), serving("gpu_block")], (), [shaky]), ahead)
    first = menu(Offered([serving("flat_plan")], (), [shaky]), ahead)
    delivered = [pool.delivered for pool in (*found.pools, *first.pools)]
    assert all(one is not None and (one == delivered[0]).all() for one in delivered)
    there = delivered[0]
    assert there is not None
    is_alive = there > 0
    assert (is_alive[:, 1:] <= is_alive[:, :-1]).all()
    assert abs((~is_alive[:, -1]).mean() - 0.4) < 0.03
    assert abs((there[is_alive] < 1).mean() - 0.3) < 0.02
    assert set(np.unique(there)) == {0, 0.75, 1}


def test_what_a_failure_takes_is_counted() -> None:
    """By hand, in every scenario: what is paid upfront is lost but for the recovery of what was not
    used up; from the month after on nothing is due; nothing is bought of who has failed."""
    shaky = counterparty(default_per_year=0.9, recovery=0.5)
    price = {"months": 4, "usd_per_month": "30", "upfront": "1"}
    offered = Offered([serving("flat_plan", prices=[price])], (), [shaky])
    found = menu(offered, months(scenarios=200))
    lot, delivered = only_lot(found), found.pools[0].delivered
    assert lot.loss_usd is not None
    assert delivered is not None
    seen = set()
    for scenario in range(200):
        dead = np.flatnonzero(delivered[scenario] == 0)
        fails_in = int(dead[0]) if dead.size else 3
        seen.add(fails_in)
        for start in range(3):
            paid = [lot.fee_usd[start, m] + lot.loss_usd[scenario, start, m] for m in range(3)]
            left = 120 * (4 - (fails_in - start)) / 4
            if start > fails_in:
                assert paid == [0, 0, 0]
            elif fails_in == 3:
                assert sum(paid) == 120
            else:
                assert sum(paid) == pytest.approx(120 - 0.5 * left)
    assert seen == {0, 1, 2, 3}


def test_counterparties_fail_apart_from_each_other() -> None:
    """Two of the same chances have draws of their own, the same ones whoever else is there."""
    names = ("one", "two")
    contracts = [serving("flat_plan", name=name, provider=name) for name in names]
    owing = [counterparty(name=name, default_per_year=0.9) for name in names]
    ahead = months(scenarios=200)
    both = menu(Offered(contracts, (), owing), ahead).pools
    alone = menu(Offered(contracts[1:], (), owing[1:]), ahead).pools
    first, second, same = (pool.delivered for pool in (*both, *alone))
    assert first is not None
    assert second is not None
    assert same is not None
    assert (first != second).any()
    assert (second == same).all()


def test_the_sure_counterparty_changes_nothing() -> None:
    """Without a chance of failure or shortfall all is delivered, and nothing is lost."""
    found = menu(Offered([serving("flat_plan")], (), [counterparty()]))
    assert only_lot(found).loss_usd is None
    assert found.pools[0].delivered is not None
    assert (found.pools[0].delivered == 1).all()


def test_limits_count_what_is_prepaid_in_each_month() -> None:
    """Units of a year paid upfront in December weigh 12, 11 and 10 months; what is paid monthly
    weighs nothing."""
    year = {"months": 12, "usd_per_month": "10", "upfront": "1"}
    offered = Offered(
        [serving("flat_plan", prices=[year, {"usd_per_month": "12"}])],
        (),
        [counterparty(limit_usd=500)],
    )
    found = menu(offered)
    assert [limit.at_most for limit in found.limits] == [500] * 3
    weights = [limit.per_unit[0].tolist() for limit in found.limits]
    assert weights == [[120, 0, 0], [110, 120, 0], [100, 110, 120]]
    assert not any(limit.per_unit[1].any() for limit in found.limits)


def test_no_provider_gets_more_than_its_share() -> None:
    """The fees due to it in a month, of the mean spend of that month."""
    ahead = months()
    limits = HedgeLimits(provider_share=Decimal("0.5"))
    found = menu(Offered([serving("flat_plan")], limits=limits), ahead)
    spend_usd = ahead.month_usd().mean(axis=0)
    for month, limit in enumerate(found.limits):
        assert limit.per_unit[0].tolist() == [100 if at == month else 0 for at in range(3)]
        assert limit.at_most == pytest.approx(spend_usd[month] / 2)


# -- what is owned


def owned(kind: CommitmentKind, starts: date, ends: date, **more: Any) -> Owned:
    """Of the contract that a test offers. ends: the first day after it."""
    commitment = Commitment(
        id="c1",
        contract="held",
        provider="acme",
        kind=kind,
        covers=(Covered("acme", None),),
        units=2,
        capacity_units=500,
        micro_units_per_prompt=1_000_000,
        micro_units_per_cached=1_000_000,
        micro_units_per_completion=1_000_000,
        micro_units_per_request=0,
        starts_ns=ns(starts),
        ends_ns=ns(ends),
        is_monthly=True,
        fee=usd("620"),
        team_rate=Money(0),
    )
    left_units = more.pop("left_units", None)
    return Owned(replace(commitment, **more), left_units)


def ns(day: date) -> int:
    return as_ns(datetime(day.year, day.month, day.day, tzinfo=UTC))


def test_owned_capacity_is_there_for_the_rest_of_its_term() -> None:
    """From 16 November to 16 January: all of December and 15 days of January; its fee by days."""
    contract = serving("throughput_reservation", name="held")
    term = (date(2026, 11, 16), date(2027, 1, 16))
    found = menu(Offered([contract], owned=[owned(CommitmentKind.THROUGHPUT, *term)]))
    assert found.held[0] == pytest.approx([1000, 1000 * 15 / 31, 0])
    assert found.held_fee_usd == pytest.approx([620 * 31 / 61, 620 * 15 / 61, 0])
    assert only_lot(found).pool == 0
    assert only_lot(found).max_units == 48


def test_what_is_over_of_a_month_is_over() -> None:
    """On 17 January, 15 of the month's 31 days are left, in fee as in capacity."""
    contract = serving("throughput_reservation", name="held")
    one = owned(CommitmentKind.THROUGHPUT, date(2026, 12, 1), date(2027, 2, 1))
    offered = Offered([contract], owned=[one])
    found = menu(offered, months(firsts=FIRSTS[1:]), today=date(2027, 1, 17))
    assert found.held[0] == pytest.approx([1000 * 15 / 31, 0])
    assert found.held_fee_usd == pytest.approx([620 * 15 / 62, 0])


def test_what_is_left_of_an_owned_quota_is_spread_over_what_is_left_of_its_term() -> None:
    """300 of 1,000 units to the end of January; a quota of each month is there each month."""
    contract = serving("prepaid_quota", name="held")
    term = (date(2026, 10, 1), date(2027, 2, 1))
    quota = owned(CommitmentKind.QUOTA, *term, is_monthly=False, left_units=310.0)
    found = menu(Offered([contract], owned=[quota]))
    assert found.held[0] == pytest.approx([155, 155, 0])
    monthly = menu(Offered([contract], owned=[owned(CommitmentKind.QUOTA, *term)]))
    assert monthly.held[0] == pytest.approx([1000, 1000, 0])


@pytest.mark.parametrize("per", ["hour", "month"])
def test_owned_spend_is_counted_as_its_pool_counts(per: str) -> None:
    """1,000 USD a month: by the minute where it is lost by the hour, in the pool of what can be
    bought of it."""
    contract = serving("spend_commitment", name="held", per=per)
    one = owned(CommitmentKind.SPEND, date(2026, 12, 1), date(2027, 2, 1))
    found = menu(Offered([contract], owned=[one]))
    minutes = np.array([days_in(first) * 24 * 60 for first in FIRSTS])
    counted = minutes if per == "hour" else np.ones(3)
    assert len(found.pools) == 1
    assert found.held[0] * counted == pytest.approx([1000, 1000, 0])


def test_an_owned_contract_that_is_not_sold_any_more_still_serves() -> None:
    """Its pool has what is held, and no lot; one whose terms nobody has costs, and is told."""
    gone = serving("throughput_reservation", name="held", valid_to="2026-11-01")
    one = owned(CommitmentKind.THROUGHPUT, date(2026, 11, 1), date(2027, 3, 1))
    found = menu(Offered([gone], owned=[one]))
    assert found.lots == ()
    assert found.held.tolist() == [[1000, 1000, 1000]]
    unknown = menu(Offered([], owned=[one]))
    assert unknown.held.shape == (0, 3)
    assert unknown.held_fee_usd.sum() == pytest.approx(620 * 90 / 120)
    assert "no contract file has the terms of held: its fee is counted" in unknown.notes[0]


# -- with the program


def naive_usd(ahead: Months, units: int, fee_usd: float, per_minute: float) -> float:
    """Mean cost of all months of holding `units` throughout, worked out block by block."""
    total = 0.0
    for scenario, month, block in product(*map(range, ahead.list_usd.shape[:3])):
        amounts = ahead.amounts[scenario, month, block, 0]
        load = sum(amounts[kind] for kind in TokenKind if kind is not TokenKind.REQUEST)
        capacity = units * per_minute * ahead.minutes[month, block]
        left = max(0.0, 1 - capacity / load)
        total += ahead.list_usd[scenario, month, block, 0] * left
    return total / ahead.count + units * fee_usd * len(ahead.firsts)


def test_the_program_buys_what_counting_says() -> None:
    """One reservation for all three months: the plan of the menu is the cheapest of all numbers of
    units, worked out from the contract's own terms."""
    ahead = months(scenarios=100)
    price = {"months": 3, "usd_per_month": "90"}
    contract = serving("throughput_reservation", units_per_minute="20", prices=[price])
    found = menu(Offered([contract], limits=HedgeLimits(later_use=Decimal(1))), ahead)
    one = found.lots[0]
    whole = Menu(
        found.pools,
        (replace(one, brings=one.brings * [[1], [0], [0]]),),
        found.held,
        found.held_fee_usd,
    )
    holding = Program(whole, ahead, 0.9).cheapest()
    costs = [naive_usd(ahead, units, 90, 20) for units in range(51)]
    bought = int(holding.starts[0].sum())
    assert 0 < bought < 50
    assert holding.expected_usd == pytest.approx(min(costs), rel=1e-3)
    assert costs[bought] == pytest.approx(holding.expected_usd, rel=1e-6)

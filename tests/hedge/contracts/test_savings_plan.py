"""Savings plans: AWS's published scenarios to the digit, and what holds for any of them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.contracts.savings_plan import SavingsPlan, UsageLine, applied
from hedge.errors import ContractInvalid
from ledger.money import Money, usd

COMPUTE, FAMILY = "compute", "family"


def hour(*, reserved: int = 0, has_family: bool = False) -> list[UsageLine]:
    """The hour of AWS's example: four r5.4xlarge, 400 vCPU and 1,600 GB of Fargate, one
    m5.24xlarge, 1.5 million GB-seconds of Lambda and its requests."""

    def line(name: str, quantity: str, on_demand: str, plan: str) -> UsageLine:
        return UsageLine(name, Decimal(quantity), Decimal(on_demand), {COMPUTE: Decimal(plan)})

    rates = {COMPUTE: Decimal("0.70")} | ({FAMILY: Decimal("0.60")} if has_family else {})
    return [
        UsageLine("r5.4xlarge", Decimal(4), Decimal("1.00"), rates, Decimal(reserved)),
        line("Fargate vCPU", "400", "0.04", "0.03"),
        line("Fargate GB", "1600", "0.004", "0.003"),
        line("m5.24xlarge", "1", "10", "8.20"),
        line("Lambda GB-s", "1500000", "0.000015", "0.00001275"),
        line("Lambda requests", "1", "0.20", "0.20"),
    ]


def test_without_plans() -> None:
    """All on demand: 59.10."""
    assert applied(hour(), []).on_demand == usd("59.10")


def test_scenario_1_covers_everything() -> None:
    """A compute plan of 50 consumes 47.125; 2.875 are stranded."""
    found = applied(hour(), [SavingsPlan(COMPUTE, Decimal(50))])
    assert found.on_demand == 0
    assert (found.plans[0].used, found.plans[0].unused) == (usd("47.125"), usd("2.875"))


def test_scenario_2_covers_some() -> None:
    """A plan of 2 goes to the r5 first, which it saves most on: 56.242857 on demand."""
    found = applied(hour(), [SavingsPlan(COMPUTE, Decimal(2))])
    assert round(found.on_demand / 10**9, 6) == 56.242857
    assert found.plans[0].unused == 0


def test_scenario_3_covers_the_best_three() -> None:
    """A plan of 19.60 covers r5 and Fargate, to the cent: 32.70 on demand."""
    found = applied(hour(), [SavingsPlan(COMPUTE, Decimal("19.60"))])
    assert (found.on_demand, found.plans[0].used) == (usd("32.70"), usd("19.60"))


def test_scenario_4_reservations_come_first() -> None:
    """Two of the r5 are reserved: 18.20 do for what 19.60 did."""
    found = applied(hour(reserved=2), [SavingsPlan(COMPUTE, Decimal("18.20"))])
    assert (found.on_demand, found.plans[0].used) == (usd("32.70"), usd("18.20"))


def test_scenario_5_the_plan_of_the_family_comes_first() -> None:
    """Of 3.00 for the family 2.40 are used, and the compute plan's 16.80 for Fargate alone."""
    plans = [SavingsPlan(COMPUTE, Decimal("16.80"), 1), SavingsPlan(FAMILY, Decimal(3), 0)]
    found = applied(hour(has_family=True), plans)
    assert [use.used for use in found.plans] == [usd("16.80"), usd("2.40")]
    assert found.plans[1].unused == usd("0.60")
    assert found.on_demand == usd("32.70")


def test_of_equal_savings_the_lowest_rate_comes_first() -> None:
    """Fargate's GB and vCPU save 25% both: 4.80 after the r5 take all GB, and leave the vCPU to a
    plan that covers nothing else."""
    lines = [
        UsageLine(one.name, one.quantity, one.on_demand, {**one.rates, FAMILY: Decimal("0.02")})
        if one.name == "Fargate vCPU"
        else one
        for one in hour()
    ]
    plans = [SavingsPlan(COMPUTE, Decimal("7.60"), 0), SavingsPlan(FAMILY, Decimal(8), 1)]
    found = applied(lines, plans)
    assert [use.unused for use in found.plans] == [0, 0]
    assert found.on_demand == usd("32.70")


PRICE = st.decimals("0.01", 10, places=3)
LINE = st.builds(
    lambda quantity, price, share, reserved: UsageLine(
        "x", quantity, price, {COMPUTE: (price * share).quantize(Decimal("0.001"))}, reserved
    ),
    st.decimals(0, 50, places=2),
    PRICE,
    st.decimals("0.1", 1, places=2),
    st.decimals(0, 5, places=1),
)


def naive_on_demand(lines: list[UsageLine], committed: Decimal) -> float:
    """By hand, in floats: the best share first, then the lowest rate."""
    rest, total = float(committed), 0.0
    order = sorted(
        lines, key=lambda line: (line.rates[COMPUTE] / line.on_demand, line.rates[COMPUTE])
    )
    for line in order:
        left = max(0.0, float(line.quantity - line.reserved))
        taken = min(left, rest / float(line.rates[COMPUTE]))
        rest -= taken * float(line.rates[COMPUTE])
        total += (left - taken) * float(line.on_demand)
    return total


@given(st.lists(LINE, max_size=6), st.decimals(0, 500, places=2), st.decimals(0, 5, places=2))
def test_any_hour(lines: list[UsageLine], committed: Decimal, more: Decimal) -> None:
    """used + unused = committed to the nano-USD; a larger plan never leaves more on demand; and it
    is what a naive bill says."""
    lines = [line for line in lines if line.rates[COMPUTE] > 0]
    found = applied(lines, [SavingsPlan(COMPUTE, committed)])
    larger = applied(lines, [SavingsPlan(COMPUTE, committed + more)])
    use = found.plans[0]
    assert use.used + use.unused == use.committed == usd(committed)
    assert use.unused >= 0
    assert larger.on_demand <= found.on_demand
    assert found.on_demand / 10**9 == pytest.approx(naive_on_demand(lines, committed), abs=1e-6)


@pytest.mark.parametrize(
    ("lines", "plans", "says"),
    [
        ([UsageLine("a", Decimal(-1), Decimal(1), {})], [], "a: a negative quantity or price"),
        (
            [UsageLine("a", Decimal(1), Decimal(1), {COMPUTE: Decimal(2)})],
            [],
            "a: a plan's rate is above on demand",
        ),
        ([], [SavingsPlan("p", Decimal(1)), SavingsPlan("p", Decimal(2))], "have one name"),
    ],
)
def test_contradictions(lines: list[UsageLine], plans: list[SavingsPlan], says: str) -> None:
    """Refused with what is wrong."""
    with pytest.raises(ContractInvalid, match=says):
        applied(lines, plans)


def test_a_rate_of_nothing_takes_nothing_of_a_plan() -> None:
    """Usage that a plan covers for free leaves the plan whole."""
    free = UsageLine("a", Decimal(5), Decimal(1), {COMPUTE: Decimal(0)})
    found = applied([free], [SavingsPlan(COMPUTE, Decimal(1))])
    assert (found.on_demand, found.plans[0].used) == (Money(0), Money(0))

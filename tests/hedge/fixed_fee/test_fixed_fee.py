"""A fixed fee for a team: what it is made of, and what it covers."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hedge.errors import NothingToQuote
from hedge.fixed_fee.allocation import euler_shares
from hedge.fixed_fee.quoting import fixed_fee
from hedge.risk import Floats, cvar
from hedge.scenarios.months import Months
from ledger.fixed_fees import FixedFee, Metered
from ledger.money import ZERO, Money, as_usd, usd

COSTS = arrays(np.float64, (3, 40), elements=st.floats(0, 1e6, width=32))


@given(COSTS, st.sampled_from((0.5, 0.8, 0.875)))
def test_shares_sum_to_the_risk_of_all(costs: Floats, confidence: float) -> None:
    """And no part bears more than it would alone (subadditivity)."""
    shares = euler_shares(costs, confidence)
    assert shares.sum() == pytest.approx(cvar(costs.sum(axis=0), confidence), rel=1e-9, abs=1e-6)
    for share, cost in zip(shares, costs, strict=True):
        assert share <= cvar(cost, confidence) * (1 + 1e-9) + 1e-6


def test_a_share_is_the_slope_of_the_risk() -> None:
    """What CVaR of the whole gains per part of a team added, by finite difference."""
    costs = np.random.default_rng(5).lognormal(3.0, 0.5, (3, 400))
    shares = euler_shares(costs, 0.95)
    for team in range(3):
        more = costs.copy()
        more[team] *= 1 + 1e-7
        slope = (cvar(more.sum(axis=0), 0.95) - cvar(costs.sum(axis=0), 0.95)) / 1e-7
        assert slope == pytest.approx(shares[team], rel=1e-4)


def months(tokens: Floats, usd_per_mtok: float) -> Months:
    """Months of one block, of tokens [scenarios, months, workloads] that are all prompts."""
    amounts = np.zeros((*tokens.shape[:2], 1, tokens.shape[2], 4))
    amounts[:, :, 0, :, 0] = tokens
    firsts = tuple(date(2027, 1 + month, 1) for month in range(tokens.shape[1]))
    names = tuple(f"w{place}" for place in range(tokens.shape[2]))
    minutes = np.full((tokens.shape[1], 1), 43_200.0)
    return Months(names, firsts, minutes, amounts, amounts[..., 0] * usd_per_mtok / 1e6)


def test_a_sure_team_pays_what_it_costs() -> None:
    """Without chance there is no risk to pay for; what it uses is included."""
    tokens = np.full((100, 3, 2), 5e6)
    seen = months(tokens, 2.0)
    fee = fixed_fee("t", (0,), seen, seen.list_usd.sum(axis=2), 0.95, usd("1.50")).fee
    assert (fee.expected, fee.risk, fee.monthly) == (usd("10"), ZERO, usd("11.50"))
    assert fee.included == {"w0": 5_000_000}


def test_a_team_against_the_stream_pays_no_risk() -> None:
    """One that is quiet when the platform is busy is charged less than its own tail; one that is
    busy with it, its own tail nearly."""
    rng = np.random.default_rng(3)
    level = rng.lognormal(0.0, 0.4, (400, 1))
    rest, along, against = 50e6 * level, 5e6 * level, 5e6 / level
    fees = []
    for mine in (along, against):
        seen = months(np.stack([mine, rest], axis=2), 2.0)
        fees.append(fixed_fee("t", (0,), seen, seen.list_usd.sum(axis=2), 0.95).fee)
    assert fees[0].risk > usd("5")
    assert fees[1].risk == ZERO


def test_fees_of_all_teams_carry_the_platform_to_its_confidence() -> None:
    """Every team on a fee: together they pay the CVaR of what they cost, to a cent a team."""
    tokens = np.random.default_rng(7).lognormal(15.0, 0.5, (400, 2, 3))
    seen = months(tokens, 3.0)
    cost = seen.list_usd.sum(axis=2)
    included = np.ceil(np.quantile(tokens, 0.95, axis=0).max(axis=0))
    covered = np.minimum(1, included / tokens) * cost
    fees = []
    for team in range(3):
        costs = cost.copy()
        others = [other for other in range(3) if other != team]
        costs[..., others] = covered[..., others]
        fees.append(fixed_fee("t", (team,), seen, costs, 0.9).fee)
    paid = float(sum(as_usd(fee.monthly) for fee in fees)) * 2
    assert paid == pytest.approx(cvar(covered.sum(axis=(1, 2)), 0.9), abs=0.13)


def test_a_team_without_usage_gets_no_quote() -> None:
    """With a sentence that says where to look."""
    seen = months(np.zeros((50, 1, 1)), 1.0)
    with pytest.raises(NothingToQuote, match="team ghost has used nothing"):
        fixed_fee("ghost", (0,), seen, seen.list_usd.sum(axis=2), 0.9)


FEE = FixedFee("t", date(2027, 1, 1), 1, 0.95, usd("90"), usd("10"), ZERO, {"a": 1_000, "b": 500})


@pytest.mark.parametrize(
    ("used", "overage"),
    [
        ({"a": Metered(1_000, usd(80))}, "0"),
        ({"a": Metered(2_000, usd(80))}, "40"),
        ({"a": Metered(1_000, usd(1)), "b": Metered(600, usd(6))}, "1"),
        ({"other": Metered(10, usd(7))}, "7"),
        ({"other": Metered(0, usd(7))}, "7"),
        ({}, "0"),
    ],
)
def test_what_is_beyond_is_billed_as_metered(used: dict[str, Metered], overage: str) -> None:
    """Pro rata of its workload's cost; a workload that nobody agreed on is all beyond."""
    bill = FEE.bill(used)
    assert bill.overage == usd(Decimal(overage))
    assert bill.result == bill.fee + bill.overage - sum(one.cost for one in used.values())


@given(
    st.dictionaries(
        st.sampled_from("abc"),
        st.builds(Metered, st.integers(0, 10**12), st.integers(0, 10**15).map(Money)),
    )
)
def test_overage_is_never_more_than_what_was_metered(used: dict[str, Metered]) -> None:
    """Nor less than nothing."""
    assert 0 <= FEE.overage(used) <= sum(one.cost for one in used.values())

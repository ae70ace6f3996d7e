"""Waiting: capacity that can be bought later, against a search over what could be bought."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.errors import MenuInvalid
from hedge.program.cells import Cells
from hedge.program.menu import Lot, Menu, Pool
from hedge.program.program import Program
from hedge.program.recourse import recourse_of
from hedge.scenarios.months import Months

TAKES = np.array([1.0, 0, 0, 0])
TRIED = np.arange(0, 71, 0.5)


def months(seed: int, scenarios: int = 20, workloads: int = 1) -> Months:
    """Two months of three blocks of a minute."""
    rng = np.random.default_rng(seed)
    amounts = np.zeros((scenarios, 2, 3, workloads, 4))
    amounts[..., 0] = rng.integers(0, 60, amounts.shape[:-1])
    list_usd = amounts[..., 0] * rng.uniform(0.5, 1.5, (1, 1, 1, workloads))
    names = tuple(f"w{w}" for w in range(workloads))
    firsts = (date(2026, 1, 1), date(2026, 2, 1))
    return Months(names, firsts, np.ones((2, 3)), amounts, list_usd)


def menu(later: float, pools: int = 1, workloads: int = 1) -> Menu:
    """One lot of two months at 1.2 each; in the second, units can be bought at `later`."""
    fee, brings = np.array([[1.2, 1.2], [0, 0]]), np.array([[1.0, 1], [0, 0]])
    return Menu(
        tuple(
            Pool(f"p{p}", True, TAKES, (np.arange(workloads) >= p).astype(np.float64))
            for p in range(pools)
        ),
        (Lot("lot", 2, 0, 1, 1, 100, fee, brings, np.zeros(2)),),
        np.zeros((pools, 2)),
        np.zeros(2),
        later_usd=np.array([[np.inf, later]] * pools),
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.2, 4.0), st.floats(0, 70))
def test_one_pool_is_exact(seed: int, later: float, held: float) -> None:
    """The cost is the least over all that could be bought beside it, month by month."""
    what, some = menu(later), months(seed)
    cells = Cells.of(what, some)
    found = recourse_of(cells, what.later_usd).costs([np.full((1, 2), held)])
    plain = recourse_of(cells)
    tried = [plain.costs([np.full((1, 2), held + more)]).cost_usd for more in TRIED]
    assert found.cost_usd[:, 0] == pytest.approx(tried[0][:, 0])
    bought = np.stack([cost[:, 1] for cost in tried]) + later * TRIED[:, None]
    least = bought.min(axis=0)
    assert (found.cost_usd[:, 1] <= least + 1e-6).all()
    # The search goes by halves of a unit: within one, cost falls by no more than the dearest block.
    assert (found.cost_usd[:, 1] >= least - 0.25 * (later + 4.5)).all()
    assert (found.slope_usd[:, 1] >= -later - 1e-9).all()


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 1000), st.floats(0.2, 4.0), st.lists(st.floats(0, 70), min_size=4, max_size=4)
)
def test_the_linearisation_is_below(seed: int, later: float, at: list[float]) -> None:
    """With two pools, what is learned at one capacity is a bound at every other, whatever is bought
    there."""
    what, some = menu(later, 2, 2), months(seed, workloads=2)
    here, there = ([np.full((1, 2), at[i]), np.full((1, 2), at[i + 1])] for i in (0, 2))
    learned = recourse_of(Cells.of(what, some), what.later_usd).costs(here)
    moved = np.stack([b - a for a, b in zip(here, there, strict=True)], axis=2)
    bound = learned.cost_usd + (learned.slope_usd * moved).sum(axis=2)
    plain = recourse_of(Cells.of(what, some))
    for more in (0.0, 7.0, 31.0):
        for other in (0.0, 13.0):
            cost = plain.costs([there[0] + more, there[1] + other]).cost_usd
            assert (bound[:, 1] <= cost[:, 1] + later * (more + other) + 1e-6).all()


def test_who_can_wait_commits_to_less() -> None:
    """With demand that may be gone in the second month, fewer units are bought for both if they can
    be bought then."""
    some = months(4)
    some.amounts[::2, 1] *= 0.1
    some.list_usd[::2, 1] *= 0.1
    waits = menu(1.3)
    fixed = replace(waits, later_usd=None)
    units = [
        Program(one, some, 0.5, integer_months=1).cheapest().starts[0, 0] for one in (waits, fixed)
    ]
    assert 0 < units[0] < units[1]


def test_other_commitments_keep_the_cuts() -> None:
    """A program told of other capacity that is held answers as one made anew; of other later
    prices, it is refused."""
    some = months(9)
    first = Program(menu(1.3), some, 0.5, integer_months=1)
    first.cheapest()
    other = replace(menu(1.3), held=np.full((1, 2), 12.0), pools=first.menu.pools)
    again = first.with_fees(other).cheapest()
    anew = Program(other, some, 0.5, integer_months=1).cheapest()
    assert again.expected_usd == pytest.approx(anew.expected_usd, rel=1e-3)
    with pytest.raises(MenuInvalid, match="later"):
        first.with_fees(replace(menu(1.4), pools=first.menu.pools))

"""The event simulation of bid prices, in small: its judge is right, and the prices save."""

from __future__ import annotations

from pathlib import Path

import cvxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluate.bids_evaluation import Case, Outcome, cases, evaluate, outcome
from tests.evaluate.bids_page import page
from tests.evaluate.owned_draws import dearest_served
from tests.evaluate.owned_traffic import EQUAL, FOUR, TWO

A_MONTH = "by chance, a month"
REQUESTS = st.lists(st.tuples(st.floats(1, 100), st.floats(0.1, 100)), min_size=1, max_size=8)


@settings(max_examples=25, deadline=None)
@given(REQUESTS, st.floats(0, 300))
def test_the_clairvoyant_is_the_optimum_of_the_linear_program(
    requests: list[tuple[float, float]], quota: float
) -> None:
    """What it leaves to pay is what a solver finds."""
    units, nanos = (np.array(one) for one in zip(*requests, strict=True))
    served = cvxpy.Variable(len(units))
    fits = [served >= 0, served <= 1, units @ served <= quota]
    least = cvxpy.Problem(cvxpy.Minimize(nanos @ (1 - served)), fits).solve(solver=cvxpy.HIGHS)
    assert dearest_served(units, nanos, quota) == pytest.approx(least, abs=1e-6 * nanos.sum())


@pytest.mark.parametrize(
    ("case", "least", "part"),
    [
        (Case(A_MONTH, TWO, True, 0.7, per_minute=0.1), 0.15, 0.75),
        (Case(A_MONTH, FOUR, True, 0.9, per_minute=0.1), 0.04, 0.7),
        (Case("minutes", TWO, False, 0.8, per_minute=60.0), 0.05, 0.7),
    ],
    ids=str,
)
def test_it_saves(case: Case, least: float, part: float) -> None:
    """As much as is asked for, and most of what one could who knows the future."""
    found = outcome(case, seeds=2)
    assert found.worst >= least
    assert found.part_of_best is not None
    assert part <= found.part_of_best <= 1
    assert found.spread > 2


@pytest.mark.parametrize("owned", [0.7, 1.2])
def test_equal_alternatives_cost_nothing(owned: float) -> None:
    """Nothing to choose: never worse by half a percent."""
    for case in (
        Case(A_MONTH, EQUAL, True, owned, per_minute=0.1),
        Case("minutes", EQUAL, False, owned, per_minute=30.0),
    ):
        assert outcome(case, seeds=2).worst >= -0.005


@pytest.mark.parametrize(("forecast", "levels"), [(1.3, (1.0,)), (0.7, (1.0,)), (1.0, (0.8, 1.2))])
def test_a_wrong_forecast_still_saves(forecast: float, levels: tuple[float, ...]) -> None:
    """It is put right from what comes: three quarters of what can be saved at least."""
    case = Case("wrong", FOUR, True, 0.7, per_minute=0.1, forecast=forecast, levels=levels)
    found = outcome(case, seeds=2)
    assert found.part_of_best is not None
    assert found.part_of_best > 0.75


def test_the_page_says_what_is_not_reached() -> None:
    """A target that is missed is marked in its row, and told at the top."""
    case = Case("too little", TWO, True, 0.7, target=0.08)
    equal = Case("alike", EQUAL, True, 1.0)
    outcomes = [
        Outcome(case, 0.05, (0.04, 0.06), 0.03, 0.1, 0.2, 6.7),
        Outcome(equal, 0.0, (0.0, 0.0), 0.0, 0.0, 0.0, 1.0),
    ]
    text = page(outcomes, 20)
    assert "8%, missed" in text
    assert "**Not reached**: too little" in text


def test_every_case_has_its_place(tmp_path: Path) -> None:
    """No two cases are the same; all targets of the issue are among them."""
    every = list(cases(tmp_path))
    assert len(set(every)) == len(every)
    targets = {(one.is_quota, one.owned, one.target) for one in every if one.target}
    assert targets >= {(True, 0.7, 0.08), (True, 0.9, 0.04), (False, 0.9, 0.05), (False, 1.1, 0.03)}
    assert evaluate([], 1) == []

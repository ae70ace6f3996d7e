"""Forecasts are judged as the books on forecasting have it, and see nothing of what is to come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.scenarios.history import DemandHistory
from hedge.scenarios.validation import _kolmogorov, energy_score, validated
from tests.hedge.scenarios.histories import made


def test_energy_score_by_hand() -> None:
    """Of one draw it is the distance; of two, the mean distance less a quarter of theirs."""
    assert energy_score(np.array([[3.0, 4.0]]), np.zeros(2)) == pytest.approx(5.0)
    two = np.array([[1.0], [5.0]])
    assert energy_score(two, np.array([2.0])) == pytest.approx((1 + 3) / 2 - 4 / 4)


@settings(max_examples=6)
@given(st.integers(0, 10_000))
def test_the_true_distribution_has_the_best_score(seed: int) -> None:
    """On average over what comes, a forecast that is biased or too narrow scores worse."""
    rng = np.random.default_rng(seed)
    true = rng.standard_normal((200, 2))
    came = rng.standard_normal((60, 2))

    def score(drawn: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
        return float(np.mean([energy_score(drawn, one) for one in came]))

    assert score(true) < min(score(true + 1.0), score(true * 0.1))


def test_uneven_histograms_are_unlikely() -> None:
    """Evenly spread places are likely, ones at one end are not; the published 5% point of n = 10
    is a gap of 0.409."""
    assert _kolmogorov(list((np.arange(20) + 0.5) / 20)) > 0.99
    assert _kolmogorov([0.95] * 6) < 0.001
    at_the_point = [0.409 + 0.591 * (place + 0.5) / 10 for place in range(10)]
    gap = max(abs(one - place / 10) for place, one in enumerate(at_the_point))
    assert _kolmogorov(at_the_point) == pytest.approx(0.05, abs=0.03)
    assert gap == pytest.approx(0.409, abs=0.05)


def test_weeks_that_follow_the_model_are_covered() -> None:
    """Over histories of one true process, what came lies in its 50%, 80% and 95% intervals at least
    about so often, and the forecasts beat the latest weeks taken again."""
    found = [validated(made(98, 2, seed), seed=seed) for seed in range(6)]
    told = [one for one in found if one is not None]
    assert len(told) == 6
    for place, nominal in enumerate((0.5, 0.8, 0.95)):
        hits = sum(one.week[place].hits for one in told)
        trials = sum(one.week[place].trials for one in told)
        assert trials == 6 * 12
        assert nominal - 0.1 < hits / trials
    assert sum(one.energy_score for one in told) < sum(one.naive_score for one in told)
    assert sum(told[0].pit) == told[0].weeks
    low, high = told[0].week[1].interval
    assert low <= told[0].week[1].seen <= high


def test_no_forecast_sees_what_comes() -> None:
    """Weeks that are ten times as busy at the very end change no forecast of earlier ones: only the
    last weeks are missed, and all others lie where they lay."""
    usual = made(70, 1)
    amounts, nanos = usual.amounts.copy(), usual.list_nanos.copy()
    amounts[-7:] *= 10
    nanos[-7:] *= 10
    shocked = DemandHistory.of_hours(
        usual.workloads, amounts, nanos, usual.since, usual.slices, spend=usual.spend
    )
    before, after = validated(usual, seed=1), validated(shocked, seed=1)
    assert before is not None
    assert after is not None
    moved = np.abs(np.array(before.pit) - np.array(after.pit)).sum()
    assert moved <= 2
    assert after.pit[-1] >= 1
    assert after.week[2].hits >= before.week[2].hits - 1


def test_too_short_to_hold_back() -> None:
    """Under three weeks nothing is validated; with three, one week is, and no month."""
    assert validated(made(20), seed=1) is None
    one = validated(made(21), seed=1)
    assert one is not None
    assert (one.weeks, one.month) == (1, ())
    assert one.sentence().startswith("calibrated on 21 days; 1 weeks forecast")

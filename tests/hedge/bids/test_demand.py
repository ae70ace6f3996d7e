"""What is wanted of a commitment: forecasts, learning, and time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hedge.bids.demand import DAY_S, HOUR_S, WEEK_HOURS, Demand
from hedge.bids.values import bin_of
from hedge.bids.wanted import Wanted

MONDAY_S = 4 * DAY_S
"""The first one of 1970."""


def told(demand: Demand, from_s: float, hours: int, by_hour: np.ndarray) -> None:
    """One request of value 2 in each hour, as large as all of the hour's."""
    for hour in range(hours):
        at_s = from_s + hour * HOUR_S
        units = float(by_hour[hour % WEEK_HOURS])
        demand.note(Wanted(at_s, units, 2 * units))
    demand.advance(from_s + hours * HOUR_S)


@given(st.floats(0, 10 * DAY_S), st.floats(60, 20 * DAY_S))
def test_a_forecast_is_summed_over_the_hours_that_are_left(start_s: float, more_s: float) -> None:
    """Parts of hours count in part; weeks repeat, from Monday's first hour."""
    usual = np.linspace(1, 3, WEEK_HOURS)
    demand = Demand(MONDAY_S, usual, trust_s=1e9)
    demand.note(Wanted(MONDAY_S, 1.0, 5.0))
    from_s = MONDAY_S + start_s
    until_s = from_s + more_s
    seconds = np.linspace(from_s, until_s, 20_001)[:-1] + more_s / 40_000
    hours = ((seconds - MONDAY_S) // HOUR_S).astype(int) % WEEK_HOURS
    expected = demand.expected(from_s, until_s)
    assert expected.sum() == pytest.approx(usual[hours].mean() * more_s, rel=2e-3, abs=1)
    assert expected.argmax() == bin_of(5.0)


def test_without_a_forecast_the_week_is_learned() -> None:
    """After three weeks of days that differ from nights the next day is foreseen hour by hour."""
    by_hour = np.tile(np.where(np.arange(24) < 12, 100.0, 500.0), 7)
    demand = Demand(MONDAY_S)
    told(demand, MONDAY_S, 3 * WEEK_HOURS, by_hour)
    now_s = MONDAY_S + 3 * WEEK_HOURS * HOUR_S
    morning = demand.expected(now_s, now_s + 12 * HOUR_S).sum()
    evening = demand.expected(now_s + 12 * HOUR_S, now_s + 24 * HOUR_S).sum()
    assert morning == pytest.approx(1200, rel=0.3)
    assert evening == pytest.approx(6000, rel=0.1)


@pytest.mark.parametrize("times", [0.7, 1.0, 1.3])
def test_a_wrong_forecast_is_put_right_within_days(times: float) -> None:
    """Demand that stays 30% off its forecast is believed; what it may still be wrong by is told."""
    usual = np.full(WEEK_HOURS, 1.0)
    demand = Demand(MONDAY_S, usual)
    told(demand, MONDAY_S, 5 * 24, np.full(WEEK_HOURS, times * HOUR_S))
    now_s = MONDAY_S + 5 * DAY_S
    assert demand.level == pytest.approx(times, rel=0.08)
    month = demand.expected(now_s, now_s + 25 * DAY_S).sum()
    assert month == pytest.approx(times * 25 * DAY_S, rel=0.1)
    assert demand.spread(month) < 0.2


def test_silence_is_heard() -> None:
    """Where nobody asks any more, less is expected with each hour that passes."""
    demand = Demand(MONDAY_S, np.full(WEEK_HOURS, 1.0))
    told(demand, MONDAY_S, 24, np.full(WEEK_HOURS, HOUR_S))
    levels = []
    for hour in range(24, 72, 8):
        demand.advance(MONDAY_S + hour * HOUR_S)
        levels.append(demand.level)
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] < 0.5


def test_nothing_is_known_of_what_was_never_asked_for() -> None:
    """No requests, no forecast: nothing is expected, and that is said."""
    demand = Demand(MONDAY_S)
    demand.advance(MONDAY_S + 3 * DAY_S)
    assert demand.requests == 0
    assert demand.expected(MONDAY_S, MONDAY_S + DAY_S).sum() == 0

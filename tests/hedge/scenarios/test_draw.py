"""Months are drawn as they are said to be: nothing lost, nothing moved but what was changed."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedge.errors import DemandInvalid
from hedge.scenarios.calendar import month_spans
from hedge.scenarios.demand import demand_paths, shocks
from hedge.scenarios.draw import draw
from hedge.scenarios.duration import DurationCurves
from hedge.scenarios.history import DemandHistory
from hedge.scenarios.months import Months
from hedge.scenarios.outlook import (
    Basis,
    DemandOutlook,
    HourPrices,
    IndexOutlook,
    Outlook,
    Retirement,
    Scarcity,
    TokenPriceOutlook,
    WorkloadOutlook,
)
from hedge.scenarios.trend import to_today
from tests.hedge.scenarios.exact import exact_slices
from tests.hedge.scenarios.histories import made

STILL = WorkloadOutlook("", growth=0, growth_sd=0, level_sd=0, changes_per_month=0)
CERTAIN = Outlook(
    demand=DemandOutlook(usual=STILL, drift_sd=0, surges_per_month=0),
    prices=TokenPriceOutlook(changes_per_month=0),
    scarcity=Scarcity(begins=0, dependence=0),
)
"""Nothing happens but what the history has."""
INDEXED = Outlook(
    indices=(IndexOutlook("H100", 2.8), IndexOutlook("B200", 5.0)),
    bases=(Basis("lambda", "H100"),),
)


def same(one: Months, other: Months, scenarios: int) -> None:
    for array, its in (
        (one.amounts[:scenarios], other.amounts[:scenarios]),
        (one.list_usd[:scenarios], other.list_usd[:scenarios]),
    ):
        np.testing.assert_allclose(array, its, rtol=1e-9)
    assert one.indices.keys() == other.indices.keys()
    for name, path in one.indices.items():
        np.testing.assert_array_equal(
            path.level_usd[:scenarios], other.indices[name].level_usd[:scenarios]
        )


@settings(max_examples=12, deadline=None)
@given(
    days=st.integers(3, 40),
    workloads=st.integers(1, 4),
    seed=st.integers(0, 99),
    blocks=st.integers(1, 40),
)
def test_blocks_sum_to_what_was_drawn(days: int, workloads: int, seed: int, blocks: int) -> None:
    """All blocks of a month hold what its slices hold, of every kind, and last as long."""
    history = made(days, workloads, seed)
    spans = month_spans(date(2026, 11, 1), 2)
    paths = demand_paths(
        history, INDEXED, spans, shocks(INDEXED.scarcity, 2, seed=seed, count=3), seed=seed
    )
    curves = DurationCurves(history, to_today(history), paths.variants, np.ones((24, workloads)))
    minutes, amounts, list_usd = curves.blocks(paths, spans, blocks)
    assert minutes.shape == (2, blocks)
    np.testing.assert_allclose(minutes.sum(axis=1), [30 * 1440, 31 * 1440])
    exact = exact_slices(history, paths, spans, 2, 1)
    np.testing.assert_allclose(amounts[2, 1].sum(axis=0), exact.sum(axis=0), rtol=1e-9)
    # These histories have one price for each kind of token.
    np.testing.assert_allclose(
        list_usd[2, 1], amounts[2, 1] @ np.array([600, 60, 800, 0]) / 1e9, rtol=1e-6
    )
    assert (amounts >= 0).all()
    busiest = list_usd.sum(axis=3)
    assert (np.diff(busiest, axis=2) <= 1e-9).all()


def test_blocks_serve_as_slices_do() -> None:
    """What a reservation serves in blocks is what it serves in five-minute slices: to 0.5% for one
    workload, and 1% on average over sizes for several that share it, whose clocks differ."""
    history = made()
    spans = month_spans(date(2026, 12, 1), 12)
    outlook = Outlook()
    paths = demand_paths(
        history, outlook, spans, shocks(outlook.scarcity, 12, seed=1, count=2), seed=1
    )
    curves = DurationCurves(history, to_today(history), paths.variants, np.ones((24, 3)))
    minutes, amounts, _ = curves.blocks(paths, spans, 24)
    burndown = np.array([1, 0.3, 2, 0])
    for served in ([0], [1], [2], [0, 1], [0, 1, 2]):
        errors = []
        for scenario, month in ((0, 0), (1, 0), (0, 11), (1, 11)):
            slices = exact_slices(history, paths, spans, scenario, month)
            load = (slices[:, served] @ burndown).sum(axis=1)
            block = (amounts[scenario, month][:, served] @ burndown).sum(axis=1)
            lasting = minutes[month] / 5
            for quantile in (0.1, 0.3, 0.5, 0.7, 0.9, 0.97):
                capacity = np.quantile(load, quantile)
                exact = np.minimum(load, capacity).sum()
                errors.append(np.minimum(block, capacity * lasting).sum() / exact - 1)
        worst, usual = np.abs(errors).max(), np.abs(errors).mean()
        assert usual < (0.002 if len(served) == 1 else 0.01)
        assert worst < (0.005 if len(served) == 1 else 0.025)


def test_seeds() -> None:
    """Equal seeds give equal months, others give others; fewer scenarios are the first of more."""
    history = made(28)
    one = draw(history, INDEXED, seed=3, count=40, months=3)
    same(one, draw(history, INDEXED, seed=3, count=40, months=3), 40)
    same(draw(history, INDEXED, seed=3, count=15, months=3), one, 15)
    other = draw(history, INDEXED, seed=4, count=40, months=3)
    assert not np.allclose(one.list_usd, other.list_usd)


def test_a_year_is_drawn_in_a_second_and_little_memory() -> None:
    """300 scenarios of 12 months, 24 blocks, 3 workloads: a quarter of a second of CPU time where
    it was measured, here with room for slow machines; and under 300 MB at any time."""
    history = made()
    before = time.process_time()
    months = draw(history, INDEXED, seed=1, count=300, months=12, blocks=24)
    assert time.process_time() - before < 2
    assert months.amounts.shape == (300, 12, 24, 3, 4)
    tracemalloc.start()
    try:
        draw(history, INDEXED, seed=1, count=300, months=12, blocks=24)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 300e6


def test_a_changed_belief_leaves_other_draws_alone() -> None:
    """Dearer tokens move no demand and no index; another index moves nothing else; another
    workload leaves the levels of the first ones as they were."""
    history = made(28)
    usual = draw(history, INDEXED, seed=3, count=20, months=3)
    dearer = replace(INDEXED, prices=TokenPriceOutlook(changes_per_month=0.5, rise_share=0.9))
    changed = draw(history, dearer, seed=3, count=20, months=3)
    np.testing.assert_array_equal(changed.amounts, usual.amounts)
    assert not np.allclose(changed.list_usd, usual.list_usd)
    more = replace(INDEXED, indices=(*INDEXED.indices, IndexOutlook("A100", 1.2)))
    np.testing.assert_array_equal(
        draw(history, more, seed=3, count=20, months=3).indices["H100"].fixing_usd,
        usual.indices["H100"].fixing_usd,
    )
    both = shocks(INDEXED.scarcity, 3, seed=3, count=20)
    spans = month_spans(date(2026, 11, 1), 3)
    three = demand_paths(made(28, 3), INDEXED, spans, both, seed=3)
    two = demand_paths(made(28, 2), INDEXED, spans, both, seed=3)
    np.testing.assert_allclose(two.level, three.level[:, :, :2])


def test_without_chance_months_are_the_history() -> None:
    """With nothing to happen, a mean month costs what the history's days cost at today's level."""
    history = made(56, day_sd=0.0)
    months = draw(history, CERTAIN, seed=1, count=200, months=2)
    daily = (history.hourly_usd() * to_today(history)[:, None]).sum(axis=(1, 2))
    by_weekday = daily.reshape(8, 7).mean(axis=0)
    for month, first in enumerate(months.firsts):
        usual = sum(by_weekday[(first.weekday() + day) % 7] for day in range(31))
        assert months.month_usd()[:, month].mean() == pytest.approx(usual, rel=0.005)
    assert months.firsts == (date(2026, 12, 1), date(2027, 1, 1))


def test_time_of_day_prices_stay_in_their_hours() -> None:
    """Doubling the price of an hour adds what that hour costs, and moves no tokens."""
    history = made(28, 1)
    usual = draw(history, CERTAIN, seed=1, count=30, months=1)
    peak = tuple(2.0 if hour == 14 else 1.0 for hour in range(24))
    prices = replace(CERTAIN.prices, hours=(HourPrices("m0", peak),))
    dear = draw(history, replace(CERTAIN, prices=prices), seed=1, count=30, months=1)
    np.testing.assert_allclose(dear.amounts, usual.amounts)
    share = history.list_nanos[:, 14].sum() / history.list_nanos.sum()
    added = dear.month_usd().sum() / usual.month_usd().sum() - 1
    assert added == pytest.approx(share, rel=0.05)


def test_a_retirement_changes_the_price_from_its_day_on() -> None:
    """Half a month after a move to a model of double price costs half as much again."""
    history = made(28, 1)
    gone = Retirement("m0", date(2026, 11, 16), log_ratio=float(np.log(2)), log_ratio_sd=0)
    prices = replace(CERTAIN.prices, retirements=(gone,))
    usual = draw(history, CERTAIN, seed=1, count=10, months=2)
    moved = draw(
        history,
        replace(CERTAIN, prices=prices),
        seed=1,
        count=10,
        months=2,
        first=date(2026, 11, 1),
    )
    ratio = moved.month_usd() / usual.month_usd()
    np.testing.assert_allclose(ratio, np.broadcast_to([1.5, 2.0], (10, 2)))


def test_demand_and_prices_rise_together() -> None:
    """Costs of months have a fatter tail when demand and prices depend on each other, and prices
    alone are as likely to rise as they were."""
    history = made(28, 1)
    jumpy = TokenPriceOutlook(changes_per_month=0.6, rise_share=0.5)
    demand = DemandOutlook(usual=STILL, drift_sd=0.3, common=1.0)
    free, bound = (
        replace(CERTAIN, prices=jumpy, demand=demand, scarcity=Scarcity(0, dependence=rho))
        for rho in (0.0, 0.9)
    )
    costs, prices, tokens = [], [], []
    for outlook in (free, bound):
        months = draw(history, outlook, seed=5, count=3000, months=1)
        costs.append(months.month_usd()[:, 0])
        tokens.append(months.amounts[:, 0, :, 0, 0].sum(axis=1))
        prices.append(costs[-1] / tokens[-1])
    np.testing.assert_allclose(tokens[0], tokens[1])
    assert abs(np.corrcoef(tokens[0], prices[0])[0, 1]) < 0.05
    assert np.corrcoef(tokens[1], prices[1])[0, 1] > 0.3
    rises = [float((price > np.median(price) * 1.01).mean()) for price in prices]
    assert rises[0] == pytest.approx(rises[1], abs=0.03)
    assert np.quantile(costs[1], 0.95) > 1.05 * np.quantile(costs[0], 0.95)


def test_scarcity_lifts_demand_prices_and_indices() -> None:
    """Where every month is scarce, all three lie above where none is."""
    history = made(28, 1)
    outlook = replace(INDEXED, prices=TokenPriceOutlook(changes_per_month=0.3))
    never, always = (
        draw(
            history,
            replace(outlook, scarcity=Scarcity(begins=chance, ends=0)),
            seed=5,
            count=400,
            months=3,
        )
        for chance in (0.0, 1.0)
    )
    assert (always.amounts.sum(axis=(2, 3)) > never.amounts.sum(axis=(2, 3))).all()
    price = [one.month_usd().sum() / one.amounts[..., 0].sum() for one in (never, always)]
    assert price[1] > price[0]
    assert (always.indices["H100"].fixing_usd > never.indices["H100"].fixing_usd).all()


@pytest.mark.parametrize("first", [date(2026, 10, 1), date(2027, 3, 1)])
def test_months_that_do_not_follow_are_refused(first: date) -> None:
    """Months that were seen already, or begin long after, are no months to plan for."""
    with pytest.raises(DemandInvalid, match="do not follow"):
        draw(made(56), Outlook(), seed=1, first=first)


def test_workdays_alone_know_no_weekend() -> None:
    """Four workdays of history: weekends come at the prior's level of a workday."""
    history = made(4, 1, day_sd=0.0)
    outlook = replace(CERTAIN, demand=replace(CERTAIN.demand, weekend=0.5))
    spans = month_spans(date(2026, 10, 1), 1)
    paths = demand_paths(
        history, outlook, spans, shocks(CERTAIN.scarcity, 1, seed=1, count=5), seed=1
    )
    multiples = paths.variants.multiple[paths.drawn]
    weekend = [(date(2026, 10, 1).weekday() + day) % 7 >= 5 for day in range(31)]
    assert (multiples == np.where(weekend, 0.5, 1.0)).all()


def test_a_week_stays_a_week() -> None:
    """Days of one week are of one stretch of the history, each on its own weekday."""
    history = made(30, 1)
    spans = month_spans(date(2026, 11, 1), 2)
    paths = demand_paths(
        history, CERTAIN, spans, shocks(CERTAIN.scarcity, 2, seed=1, count=50), seed=1
    )
    row = paths.variants.day[paths.drawn]
    coming = np.arange(61) + date(2026, 11, 1).toordinal()
    assert ((history.since.toordinal() + row) % 7 == coming % 7).all()
    week = (coming - 1) // 7
    stretch = (history.days - 1 - row) // 7
    for one in np.unique(week):
        assert (stretch[:, week == one] == stretch[:, week == one][:, :1]).all()
    assert len(np.unique(stretch)) == 4


def test_an_idle_workload_is_drawn_as_idle() -> None:
    """A workload that used nothing costs nothing, and breaks nothing."""
    history = made(28, 2)
    amounts, nanos = history.amounts.copy(), history.list_nanos.copy()
    amounts[:, :, 1] = nanos[:, :, 1] = 0
    idle = DemandHistory.of_hours(
        history.workloads, amounts, nanos, history.since, history.slices, spend=history.spend[:1]
    )
    months = draw(idle, Outlook(), seed=1, count=20, months=2)
    assert not months.list_usd[..., 1].any()
    assert months.list_usd[..., 0].all()

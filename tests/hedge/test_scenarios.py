"""Scenarios keep the history's totals, week and bursts, and draw the same months for one seed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from hedge.month.demand import DemandHistory, Used
from hedge.month.sample import sample
from hedge.month.scenarios import Outlook, draw
from ledger.money import Money
from tests.hedge.months import MODEL, SINCE, hourly_history

CERTAIN = Outlook(growth=0.0, level_sd=0.0, price_jump_chance=0.0)


def weekly_history() -> DemandHistory:
    """Four equal weeks, each weekday different."""
    rows = [
        Used(SINCE + timedelta(days=day, hours=9), 1000 * (1 + day % 7), 0, Money(10**9))
        for day in range(28)
    ]
    return DemandHistory.of(MODEL, rows, SINCE, SINCE + timedelta(days=28))


def test_a_month_without_chance_is_the_history() -> None:
    """No growth, no shock, equal weeks: every scenario of 28 days totals what the history does."""
    history = weekly_history()
    months = draw(history, CERTAIN, seed=3, count=5, days=28)
    assert months.mtok.sum(axis=1) * 1e6 == pytest.approx(np.full(5, history.tokens))
    assert months.list_usd.sum(axis=1) == pytest.approx(np.full(5, history.list_cost / 1e9))
    assert months.minutes.sum() == 28 * 24 * 60


def test_days_keep_their_weekday() -> None:
    """A week from the history's end on repeats its weekdays, whichever weeks they come from."""
    months = draw(weekly_history(), CERTAIN, seed=3, count=4, blocks=7 * 24 * 12, days=7)
    busy = np.sort(months.mtok.round(9), axis=1)[:, ::-1]
    assert len({tuple(row) for row in busy}) == 1


def test_blocks_flatter_a_reservation_by_less_than_one_percent() -> None:
    """What capacity serves in 24 blocks is at least, and within 1% of, what it serves in slices."""
    history = sample().history
    coarse = draw(history, Outlook(), seed=1, count=3, blocks=24)
    fine = draw(history, Outlook(), seed=1, count=3, blocks=30 * 24 * 12)
    for per_minute in np.linspace(0.05, 2.5, 25) * fine.prompt_per_minute.mean():
        served = [
            (np.minimum(m.prompt_per_minute + m.completion_per_minute, per_minute) @ m.minutes)
            for m in (coarse, fine)
        ]
        assert (served[0] >= served[1] * (1 - 1e-9)).all()
        assert served[0] == pytest.approx(served[1], rel=0.01)


def test_one_seed_draws_one_set_of_months() -> None:
    """Equal seeds are equal to the bit, others differ."""
    history = hourly_history()
    one, same, other = (draw(history, Outlook(), seed=s, count=4) for s in (7, 7, 8))
    assert (one.list_usd == same.list_usd).all()
    assert (one.list_usd != other.list_usd).any()


def test_a_belief_changes_only_its_own_draws() -> None:
    """Another spread of levels leaves days and prices alone: USD per token of a month stays."""
    history = hourly_history()
    narrow, wide = (
        draw(history, replace(Outlook(), level_sd=sd), seed=7, count=20) for sd in (0.1, 0.4)
    )
    price = [m.list_usd.sum(axis=1) / m.mtok.sum(axis=1) for m in (narrow, wide)]
    assert price[0] == pytest.approx(price[1])
    assert np.log(wide.mtok.sum(axis=1)).std() > 2 * np.log(narrow.mtok.sum(axis=1)).std()


def test_prices_move_both_ways() -> None:
    """With certain jumps some months are dearer than the history's 1 USD per Mtok, some cheaper."""
    months = draw(hourly_history(), replace(Outlook(), price_jump_chance=1.0), seed=7, count=40)
    price = months.list_usd.sum(axis=1) / months.mtok.sum(axis=1)
    assert price.min() < 0.95
    assert price.max() > 1.05

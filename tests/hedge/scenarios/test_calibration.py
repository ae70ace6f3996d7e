"""Beliefs move as far as data carry, and what no data moved is told as a prior."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from benchmarks.capacity.prices import keep
from benchmarks.feeds.reading import CapacityRow
from benchmarks.market import Quoted
from benchmarks.offers import Offer
from benchmarks.quotes import Override, Quote, UtcHours
from benchmarks.tables.database import open_market
from benchmarks.tables.history import MarketHistory
from hedge.errors import DemandInvalid
from hedge.risk import Floats
from hedge.scenarios.calibration import calibrated
from hedge.scenarios.history import DemandHistory
from hedge.scenarios.market_moves import (
    IndexSeries,
    PriceRecord,
    PriceStep,
    at_todays_prices,
    hour_prices,
    index_series,
    price_records,
    retirements,
)
from hedge.scenarios.outlook import IndexOutlook, Outlook, Retirement
from hedge.scenarios.trend import to_today, trends
from ledger.databases.sql import Sql
from ledger.rates import RateCard
from tests.hedge.scenarios.histories import made

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def grown(history: DemandHistory, factors: Floats) -> DemandHistory:
    """The history, each day times its factor."""
    return DemandHistory.of_hours(
        history.workloads,
        np.rint(history.amounts * factors[:, None, None, None]).astype(np.int64),
        np.rint(history.list_nanos * factors[:, None, None]).astype(np.int64),
        history.since,
        history.slices,
        spend=history.spend,
    )


def test_growth_is_found_and_shrunk() -> None:
    """Half a year of 5% a month is told as such; two weeks of it say nearly nothing, and less
    surely."""
    per_day = 0.05 / 30.4375
    long = trends(made(180, 1, growth_per_day=per_day))[0]
    short = trends(made(14, 1, growth_per_day=per_day))[0]
    assert long.growth == pytest.approx(0.05, abs=3 * long.growth_sd)
    assert long.growth_sd < 0.02 < short.growth_sd
    assert not long.changes


def test_a_change_for_good_is_found_and_a_surge_is_none() -> None:
    """Demand that doubles on day 40 is brought to today's level; a week's noise and a day of
    fivefold demand are left as they are."""
    history = made(84, 1)
    step = np.where(np.arange(84) < 40, 0.5, 1.0)
    found = trends(grown(history, step))[0]
    assert found.changes == pytest.approx([np.log(2)], abs=0.15)
    factors = to_today(grown(history, step))[:, 0]
    assert factors[:38] == pytest.approx(2.0, abs=0.35)
    surge = np.where(np.arange(84) == 40, 5.0, 1.0)
    assert not trends(grown(history, surge))[0].changes
    assert to_today(grown(history, surge))[:, 0] == pytest.approx(1.0, abs=0.2)


def test_level_today_is_as_sure_as_it_is() -> None:
    """Over many histories of one true level, the error of today's level is of the size told."""
    errors = []
    for seed in range(30):
        history = made(42, 1, seed)
        found = trends(history)[0]
        # The true level of all days, by a naive mean over six whole weeks.
        true = np.log(history.load().sum(axis=1)[:, 0]).mean()
        errors.append((found.level[-1] - true) / found.level_sd)
    assert np.std(errors) < 1.5


def test_short_histories_say_that_they_rest_on_priors() -> None:
    """Five days: growth is a prior, with why; eight weeks: it is an estimate."""
    short, long = calibrated(made(5, 2)), calibrated(made(56, 2))
    told = {one.name: one for one in short.priors}
    assert "5 days are too few" in told["growth of w0 per month"].why
    assert told["growth of w0 per month"].value == Outlook().demand.usual.growth
    assert {"weekend", "common", "drift_sd", "price size"} <= told.keys()
    assert short.demand.of("w0").level_sd >= 0.15 > long.demand.of("w0").level_sd
    assert "growth of w0 per month" in {one.name for one in long.estimates}
    assert "growth of w0 per month" not in {one.name for one in long.priors}


def test_workloads_that_move_together_share_more() -> None:
    """Twenty weeks of one level for all against twenty of three that wander alone."""
    rng = np.random.default_rng(5)
    walk = np.exp(np.repeat(np.cumsum(rng.normal(0, 0.1, 20)), 7))
    together = calibrated(grown(made(140, 3, day_sd=0.02), walk)).demand
    alone = calibrated(made(140, 3)).demand
    assert together.common > 0.6 > alone.common
    assert together.drift_sd > 0.12 > alone.drift_sd


def record(months: float, *logs: float) -> PriceRecord:
    return PriceRecord("m0", months, tuple(PriceStep(NOW, log) for log in logs))


def test_the_history_at_todays_prices() -> None:
    """A price that was halved on day 20 halves what came before it, by its model's part of the
    workload; tokens and what came after stay."""
    history = made(28, 2)
    halved = PriceStep(history.since + timedelta(days=20), float(np.log(0.5)))
    now = at_todays_prices(history, [PriceRecord("m1", 1, (halved,)), PriceRecord("x", 1, ())])
    np.testing.assert_array_equal(now.amounts, history.amounts)
    np.testing.assert_array_equal(now.list_nanos[:, :, 0], history.list_nanos[:, :, 0])
    np.testing.assert_array_equal(now.list_nanos[20:], history.list_nanos[20:])
    np.testing.assert_allclose(now.list_nanos[:20, :, 1] * 2, history.list_nanos[:20, :, 1], atol=1)


def test_price_changes_count_against_the_prior() -> None:
    """Nothing seen in ten model-years makes changes rare; many, mostly rises, make rises likely;
    two of them leave what they look like to the prior, and say so."""
    prior = Outlook().prices
    quiet = calibrated(made(28, 1), prices=[record(120)]).prices
    assert quiet.changes_per_month == pytest.approx(prior.changes_per_month * 12 / 132)
    rising = calibrated(made(28, 1), prices=[record(24, *(0.5,) * 30, *(-0.1,) * 5)])
    assert rising.prices.rise_share == pytest.approx((5 * prior.rise_share + 30) / 40)
    assert rising.prices.changes_per_month > prior.changes_per_month
    few = calibrated(made(28, 1), prices=[record(24, 0.5, -0.2)])
    assert few.prices.rise_share == prior.rise_share
    assert "2 changes" in {one.name: one.why for one in few.priors}["price rise_share"]


def test_an_index_is_calibrated_with_reserve() -> None:
    """Volatility moves towards a long series', drift far less; what spot cannot tell stays prior,
    and a short series moves nothing."""
    rng = np.random.default_rng(2)
    days = [date(2025, 1, 1) + timedelta(days=day) for day in range(600)]
    logs = np.cumsum(rng.normal(0.0, 0.04, 600))
    series = IndexSeries.of("X", zip(days, (3 * np.exp(logs)).tolist(), strict=True))
    (wild,) = calibrated(made(28, 1), series=[series]).indices
    prior = IndexOutlook("X", series.usd[-1])
    assert wild.level_usd == series.usd[-1]
    assert 0.022 < wild.walk_sd < 0.05
    trend = float(logs[-1] - logs[0]) / (599 / 30.4375)
    assert abs(wild.drift_per_month - prior.drift_per_month) < abs(trend - prior.drift_per_month)
    assert wild.launch_mean == prior.launch_mean
    short = IndexSeries.of("X", list(zip(series.days, series.usd, strict=True))[:20])
    outlook = calibrated(made(28, 1), series=[short])
    assert outlook.indices == (IndexOutlook("X", short.usd[-1]),)
    assert any("too few" in one.why for one in outlook.priors)


@pytest.mark.parametrize("usd", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_price_is_refused(usd: float) -> None:
    """A series with a price that is none is refused, with its day."""
    with pytest.raises(DemandInvalid, match="X of 2026-01-02"):
        IndexSeries.of("X", [(date(2026, 1, 1), 2.0), (date(2026, 1, 2), usd)])


def card(usd: str) -> RateCard:
    return RateCard.of(Decimal(usd), Decimal(usd))


def quote(usd: str, at: datetime, *overrides: Override) -> Quote:
    return Quote(card(usd), None, overrides, "test", at)


def test_price_records_follow_the_cheapest_offer(sql: Sql) -> None:
    """A model's price is its cheapest offer's: dearer ones move nothing, and one that is gone
    leaves the next. Months count from the first price that was known."""
    open_market(sql)
    first, second = Offer("a", "m"), Offer("b", "m")
    begun = NOW - timedelta(days=61)
    for days, cheap, dear in (
        (0, "1", "2"),
        (10, "0.5", "2"),
        (20, "0.5", "3"),
        (30, None, "3"),
        (40, "0.5001", "3"),
        (50, "0.5002", "3"),
    ):
        at = begun + timedelta(days=days)
        offers = [
            Quoted(first, quote(cheap, at) if cheap else None),
            Quoted(second, quote(dear, at)),
        ]
        with sql.transaction():
            MarketHistory(sql).keep({"m": offers}, at)
    (found,) = price_records(
        sql, {"m": [first.id, second.id], "unknown": ["c/n"]}, NOW - timedelta(days=90), NOW
    )
    assert [step.log for step in found.steps] == pytest.approx(np.log([0.5, 6, 0.5001 / 3]))
    assert [(step.at - begun).days for step in found.steps] == [10, 30, 40]
    assert found.months == pytest.approx(61 / 30.4375)


def test_an_index_out_of_the_market_history(sql: Sql) -> None:
    """Prints that the market's history keeps, by day; what is known later is not there yet."""
    open_market(sql)
    days = [NOW - timedelta(days=day) for day in (3, 2, 1)]
    rows = [
        CapacityRow(
            at=day,
            provider="index/x",
            region=None,
            gpu="H100-SXM",
            gpus=None,
            contract="on-demand",
            usd_per_gpu_hour=Decimal(price),
            stat="index",
            offers=None,
            source="x",
        )
        for day, price in zip(days, ("2.81", "2.90", "2.85"), strict=True)
    ]
    keep(sql, rows[:2], days[1])
    keep(sql, rows[2:], NOW + timedelta(days=1))
    ((subject,),) = sql.execute("SELECT DISTINCT subject FROM market_facts").fetchall()
    series = index_series(sql, "X-H100", subject, NOW - timedelta(days=9), NOW)
    assert series == IndexSeries("X-H100", tuple(day.date() for day in days[:2]), (2.81, 2.90))


def test_new_hours_are_told_over_the_old_price() -> None:
    """Twice the price from 01:00 to 04:00 UTC, beside a card that has risen by half."""
    peak = Override(card("6"), hours=UtcHours(60, 240))
    told = hour_prices("m0", quote("3", NOW, peak), card("2"), NOW)
    assert told.factors == tuple(3.0 if 1 <= hour < 4 else 1.5 for hour in range(24))
    with pytest.raises(DemandInvalid, match="was free"):
        hour_prices("m0", quote("3", NOW), card("0"), NOW)


def test_ends_of_offers_are_foreseen() -> None:
    """The cheapest of three ends, then the next: prices step to who is left; a model that nobody
    sells any more has a successor of unknown price; offers that end while dearer change nothing."""

    def sold(name: str, usd: str, ends: int | None) -> Quoted:
        end = None if ends is None else NOW + timedelta(days=ends)
        return Quoted(Offer(name, "m", ends_at=end), quote(usd, NOW))

    models = {
        "m": [sold("a", "3", None), sold("b", "1", 10), sold("c", "2", 40), sold("d", "2.5", 20)],
        "gone": [sold("a", "1", 5), sold("b", "2", 3)],
        "stays": [sold("a", "1", None), sold("b", "2", 3), Quoted(Offer("c", "m"), None)],
        "over": [sold("a", "1", -3), sold("b", "4", None)],
    }
    day = NOW.date()
    assert retirements(models, NOW) == (
        Retirement("m", day + timedelta(days=10), float(np.log(2)), 0.0),
        Retirement("m", day + timedelta(days=40), float(np.log(1.5)), 0.0),
        Retirement("gone", day + timedelta(days=5)),
    )

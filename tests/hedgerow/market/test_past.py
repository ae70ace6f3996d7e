"""The past of an offer, and of GPU-hours, against what was kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median

import pytest

from benchmarks.capacity.prices import keep as keep_capacity
from benchmarks.evals.history import EvalHistory, EvalRun
from benchmarks.market import Quoted
from benchmarks.offers import Offer
from benchmarks.quotes import Quote
from benchmarks.stats import Percentiles, Stats
from benchmarks.tables.database import open_market
from benchmarks.tables.history import MarketHistory
from hedgerow.market.capacity_past import FRESH, MOST_POINTS, capacity_past
from hedgerow.market.offer_past import offer_past
from ledger.databases.sql import Sql
from ledger.rates import RateCard

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ELM = Offer("acme", "elm")


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def quoted(usd: int, at: datetime) -> Quoted:
    quote = Quote(RateCard.of(Decimal(usd), Decimal(usd)), None, (), "feed", at)
    return Quoted(ELM, quote, Stats(at, "feed", Percentiles(p50=float(usd))))


def test_what_became_of_an_offer(sql: Sql) -> None:
    """Its prices with what held at first, what feeds said, and its evals alone, as they were known
    then."""
    open_market(sql)
    with sql.transaction():
        for day, usd in ((20, 1), (6, 2), (3, 3)):
            MarketHistory(sql).keep({"m": [quoted(usd, ago(day))]}, ago(day - 1))
        for offer, day in ((ELM.id, 5), ("other acme/elm", 4), (ELM.id, 30)):
            run = EvalRun("ours", offer, "m", 0.7, 0.6, 0.8, 20, 0, 0, 0, 0, None, {})
            EvalHistory(sql).keep([run], ago(day), ago(day))
    found = offer_past(sql, ELM.id, ago(7), NOW, NOW)
    assert [one.said and one.said.rates.input for one in found.prices] == [1, 2, 3]
    assert [one.said and one.said.ttft_ms.p50 for one in found.stats] == [1.0, 2.0, 3.0]
    assert [one.value_time for one in found.evals] == [ago(30), ago(5)]
    then = offer_past(sql, ELM.id, ago(7), NOW, ago(4))
    assert [one.said and one.said.rates.input for one in then.prices] == [1, 2]
    assert offer_past(sql, "b/oak", ago(7), NOW, NOW).is_empty


@pytest.mark.parametrize("most", [2, 3, 7, 40])
def test_some_of_many(sql: Sql, most: int) -> None:
    """As many as may be, in order, each once, the first and the last among them; the others are
    counted."""
    open_market(sql)
    with sql.transaction():
        for hour in range(24):
            MarketHistory(sql).keep({"m": [quoted(1 + hour, ago(hour / 24))]}, ago(hour / 24))
    quotes = MarketHistory(sql).quotes
    every = quotes.changes(ELM.id, ago(2), NOW, NOW)
    few, left_out = quotes.some_changes(ELM.id, ago(2), NOW, NOW, most)
    assert len(few) + left_out == len(every)
    assert len(few) == min(most, len(every))
    times = [one.value_time for one in few]
    assert times == sorted(set(times))
    assert (few[0], few[-1]) == (every[0], every[-1])


@dataclass(frozen=True, slots=True)
class Asked:
    """A price of capacity, as a feed states it."""

    provider: str
    usd_per_gpu_hour: Decimal
    at: datetime
    contract: str = "on-demand"
    gpu: str = "H200"
    region: str = "us"
    stat: str = "list"
    source: str = "feed"


def test_gpu_hours_day_by_day(sql: Sql) -> None:
    """At each moment the median over what every provider said last, if that was within a week; the
    grade that is asked for, or the one that most sell."""
    open_market(sql)
    rows = [
        Asked(name, Decimal(100 + 7 * place + day % 5) / 100, ago(day))
        for day in range(2, 50, 2)
        for place, name in enumerate("xyz")
        if not 20 <= day <= 34
    ]
    rows += [Asked("x", Decimal(1), ago(1), "spot"), Asked("x", Decimal(9), ago(1), stat="index")]
    keep_capacity(sql, rows, NOW)
    found = capacity_past(sql, None, ago(60), NOW)
    assert [str(one.grade.term) for one in found.now] == ["on-demand", "spot"]
    assert found.grade == found.now[0].grade
    assert found.days[-1] == (NOW, found.now[0])
    assert len(found.days) <= MOST_POINTS
    usual = [one for one in rows if one.contract == "on-demand" and one.stat == "list"]
    for at, index in found.days:
        last = {one.provider: one for one in sorted(usual, key=lambda one: one.at) if one.at <= at}
        fresh = [one.usd_per_gpu_hour for one in last.values() if at - FRESH <= one.at]
        assert (index.usd_per_gpu_hour if index else None) == (median(fresh) if fresh else None)
    spot = capacity_past(sql, str(found.now[1].grade), ago(60), NOW)
    assert spot.grade == found.now[1].grade
    assert capacity_past(sql, None, ago(400), ago(399)).grade is None

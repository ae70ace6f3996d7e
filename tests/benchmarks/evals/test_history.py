"""What evals found, kept: by offer, by benchmark, and as it was known then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from benchmarks.evals.history import EvalHistory, EvalRun
from benchmarks.tables.database import open_market
from ledger.databases.sql import Sql

BEGAN = datetime(2026, 8, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return BEGAN + timedelta(days=number)


def run_of(offer: str, score: float, benchmark: str = "ours", model: str = "oak") -> EvalRun:
    return EvalRun(
        benchmark=benchmark,
        offer=offer,
        model=model,
        score=score,
        low=score - 0.1,
        high=score + 0.1,
        n=40,
        failed=0,
        ungraded=1,
        cost_nanos=5,
        grading_nanos=0,
        seconds_p50=None,
        scores={"a": [1.0, 0.0], "b": [score]},
    )


def kept(sql: Sql) -> EvalHistory:
    """Two offers of a model, the first measured twice; and another benchmark."""
    open_market(sql)
    history = EvalHistory(sql)
    with sql.transaction():
        assert history.keep([run_of("x/oak", 0.8), run_of("y/oak@fp8", 0.6)], day(0), day(0)) == 2
        assert history.keep([run_of("x/oak", 0.7)], day(2), day(3)) == 1
        assert history.keep([run_of("x/oak", 0.5, "code")], day(4), day(4)) == 1
    return history


def test_the_newest_run_counts(sql: Sql) -> None:
    """Of each offer on each benchmark, with its interval and who says so."""
    found = kept(sql).qualities(day(5))
    assert set(found) == {"x/oak", "y/oak@fp8"}
    ours = found["x/oak"]["ours"]
    assert (ours.score, ours.low, ours.high, ours.n) == (0.7, 0.7 - 0.1, 0.7 + 0.1, 40)
    assert (ours.as_of, ours.source) == (day(2), "eval 2026-08-03T00:00:00Z")
    assert found["x/oak"]["code"].score == 0.5


def test_what_was_not_known_yet_is_not_there(sql: Sql) -> None:
    """A run counts from when we knew of it, whenever it was measured."""
    history = kept(sql)
    assert history.qualities(day(-1)) == {}
    assert history.qualities(day(2.5))["x/oak"]["ours"].score == 0.8
    assert [one.at for one in history.runs("ours", "x/oak", day(2.5))] == [day(0)]
    assert [one.at for one in history.runs("ours", "x/oak", day(5))] == [day(0), day(2)]


def test_a_run_that_is_graded_anew_takes_the_place_of_the_old_one(sql: Sql) -> None:
    """For whoever asks from then on; who asks as of before, sees what was known then."""
    history = kept(sql)
    with sql.transaction():
        history.keep([run_of("x/oak", 0.9)], day(2), day(6))
    assert history.qualities(day(5))["x/oak"]["ours"].score == 0.7
    assert history.qualities(day(6))["x/oak"]["ours"].score == 0.9
    runs = history.runs("ours", "x/oak", day(7))
    assert [one.scores["b"] for one in runs] == [[0.8], [0.9]]


def test_the_same_again_is_news(sql: Sql) -> None:
    """A run that finds what the last one found is a run all the same: drift counts them."""
    history = kept(sql)
    with sql.transaction():
        assert history.keep([run_of("x/oak", 0.7)], day(5), day(5)) == 1
    assert len(history.runs("ours", "x/oak", day(5))) == 3

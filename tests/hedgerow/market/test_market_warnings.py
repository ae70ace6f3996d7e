"""What `hedgerow check` says of the market: valid, and hardly meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.evals.history import EvalHistory, EvalRun
from benchmarks.feeds.beliefs import Belief
from benchmarks.tables.database import open_market
from hedgerow.config import load_config
from hedgerow.market.last_good import LastGood
from hedgerow.market.market_warnings import market_warnings
from ledger.databases.sql import Sql
from ledger.databases.sqlite_file import SqliteFile

NOW = datetime(2026, 11, 20, tzinfo=UTC)
PRICED = "price: {input: 1, output: 2}"


def warned(
    folder: Path, *feeds: str, priced: str = PRICED, oak: str = "", more: str = ""
) -> list[str]:
    """Where, and what, for a model `oak` with one offer."""
    path = folder / "hedgerow.yaml"
    path.write_text(
        f"market: {{feeds: [{', '.join(feeds)}]}}\n"
        "providers: {a: {base_url: http://127.0.0.1:9/v1}}\n"
        f"models:\n  oak: {{offers: [{{provider: a, model: oak-1, {priced}}}], {oak}}}\n  {more}\n"
    )
    config = load_config(path, {})
    return [f"{one.where}: {one.message}" for one in market_warnings(config, NOW)]


@contextmanager
def market_of(folder: Path) -> Iterator[Sql]:
    with closing(SqliteFile.open(folder / "hedgerow.db")) as sql:
        open_market(sql)
        yield sql


OPENROUTER = "{kind: openrouter, url: http://127.0.0.1:9/api/v1}"
ANALYSIS = "{kind: artificial_analysis, api_key: k}"
NAMELESS = "market.feeds[0]: tells nothing: no model says what it is called there"


@pytest.mark.parametrize("feed", [OPENROUTER, ANALYSIS])
def test_a_feed_of_models_that_nobody_names(tmp_path: Path, feed: str) -> None:
    """It would be asked for nothing."""
    assert warned(tmp_path, feed) == [NAMELESS]


def test_a_name_that_no_feed_asks_for(tmp_path: Path) -> None:
    """The other way round; together they are fine."""
    names = "openrouter: oak/oak-1, artificial_analysis: oak-1"
    assert warned(tmp_path, oak=names) == [
        "models.oak.openrouter: no feed asks for it",
        "models.oak.artificial_analysis: no feed asks for it",
    ]
    assert warned(tmp_path, OPENROUTER, ANALYSIS, oak=names) == []


def test_an_index_that_is_not_there(tmp_path: Path) -> None:
    feed = "{kind: gpu_index, path: indices/*.csv}"
    assert warned(tmp_path, feed) == ["market.feeds[0]: tells nothing: there is no such file"]
    (tmp_path / "indices").mkdir()
    (tmp_path / "indices/a.csv").touch()
    assert warned(tmp_path, feed) == []


def test_our_own_prices(tmp_path: Path) -> None:
    """The file is read as a server reads it: what is wrong in it, and what it has of nobody."""
    feed, file = "{kind: prices}", tmp_path / "prices.yaml"
    (gone,) = warned(tmp_path, feed)
    assert gone.startswith("market.feeds[0]: unreachable: ")
    file.write_text("prices:\n  - {provider: a, model: oak-1, input: 1, outptu: 2}\n")
    (wrong,) = warned(tmp_path, feed)
    assert f"{file}:2: prices[0].outptu: unknown key" in wrong
    ours, other = (
        f"  - {{provider: {one}, input: 1, output: 2}}\n"
        for one in ("a, model: oak-1", "aa, model: oak-1")
    )
    file.write_text(f"prices:\n{ours}{other}")
    of_nobody = "market.feeds[0]: has prices of what is no offer here: aa/oak-1"
    assert warned(tmp_path, feed) == [of_nobody]
    file.write_text(f"prices:\n{ours}")
    assert warned(tmp_path, feed, priced=f"region: eu, {PRICED}") == [
        of_nobody.replace("aa/", "a/")
    ]


def test_a_price_that_a_feed_may_know(tmp_path: Path) -> None:
    """Nobody says that nobody knows a price before the feed was asked that may know it."""
    feed, names = OPENROUTER, "openrouter: oak/oak-1"
    offer, model = warned(tmp_path, feed, priced="", oak=names)
    assert offer.startswith("models.oak.offers[0]: its price is not known before a feed is asked")
    assert model.endswith("for want of a price, until a feed is asked")
    with market_of(tmp_path) as sql:
        LastGood(sql).save("openrouter oak/oak-1", Belief("openrouter"), None, 1)
    offer, _ = warned(tmp_path, feed, priced="", oak=names)
    assert offer.startswith("models.oak.offers[0]: nobody knows its price")


FLOOR = "any_of: [oak], quality: {benchmark: BENCHMARK, at_least: 0.7}"


@pytest.mark.parametrize("benchmark", ["ours", "sums", "artificial_analysis_math"])
def test_a_floor_that_nobody_has_measured(tmp_path: Path, benchmark: str) -> None:
    """It refuses nobody, until it is measured or a feed brings it."""
    good = f"good: {{{FLOOR.replace('BENCHMARK', benchmark)}}}"
    (warning,) = warned(tmp_path, more=good)
    assert warning == "models.good.quality.benchmark: refuses nobody: it has not been measured"
    if benchmark.startswith("artificial"):
        assert warned(tmp_path, ANALYSIS, more=good) == [NAMELESS, warning]
        assert warned(tmp_path, ANALYSIS, oak="artificial_analysis: oak-1", more=good) == []
        return
    run = EvalRun(benchmark, "a/oak-1", "oak", 0.5, 0.4, 0.6, 20, 0, 0, 0, 0, None, {})
    with market_of(tmp_path) as sql, sql.transaction():
        EvalHistory(sql).keep([run], NOW, NOW)
    assert warned(tmp_path, more=good) == []

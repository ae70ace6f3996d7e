"""`market` and `route`: the price board, and what would be chosen now."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from benchmarks.evals.history import EvalHistory, EvalRun
from benchmarks.tables.database import open_market
from hedgerow.cli import hedgerow
from ledger.databases.sqlite_file import SqliteFile
from tests.hedgerow.processes import NOWHERE, write_config
from tests.serving import MODEL


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = write_config(
        tmp_path,
        NOWHERE,
        more="      - {provider: b, model: unpriced}\n  elm:\n    offers:\n"
        "      - {provider: b, model: elm, price: {input: 0.5, output: 0.5, request: 0.001}}",
    )
    # a feed may know offers that name no price; this one does not
    path.write_text(path.read_text().replace("feeds: []", "feeds: [{kind: litellm}]"))
    return path


def said(config: Path, *words: str) -> str:
    done = CliRunner().invoke(hedgerow, [*words, "-c", str(config)], catch_exceptions=False)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def told(config: Path, *words: str) -> Any:
    return msgspec.json.decode(said(config, *words, "--json"))


def route(config: Path, *words: str, tokens: int = 1000) -> Any:
    return told(config, "route", "--model", MODEL, "--input-tokens", str(tokens), *words)


def names(offers: list[Any]) -> list[str]:
    return [one["offer"].split("/")[0] for one in offers]


def test_the_price_board(config: Path) -> None:
    """Every offer of every model with its price and where that comes from; unknown is null."""
    models = told(config, "market")["models"]
    assert list(models) == [MODEL, "elm"]
    a, b, unpriced = models[MODEL]
    assert a["price"] == {
        "input": 1,
        "output": 2,
        "cache_read": 1,
        "cache_write": 1,
        "request": 0,
    }
    assert (b["provider"], b["source"], b["context_tokens"]) == ("b", "configuration", 8000)
    assert (unpriced["price"], unpriced["source"]) == (None, None)
    assert list(told(config, "market", "--model", "elm")["models"]) == ["elm"]


def test_the_price_board_for_people(config: Path) -> None:
    """A table for each model; an offer without a price says what that means."""
    text = said(config, "market")
    assert text.startswith(f"{MODEL}\n\n")
    assert "\n\nelm\n\n" in text
    assert "nobody: it gets no requests" in text


def test_a_feed_that_was_never_asked(config: Path) -> None:
    """The board asks nobody: it says who would have to be asked before prices are missed."""
    feed = "{kind: litellm, url: http://127.0.0.1:9/prices.json}"
    config.write_text(config.read_text().replace("{kind: litellm}", feed))
    done = CliRunner().invoke(hedgerow, ["market", "-c", str(config), "--json"])
    assert done.exit_code == 0
    name = "litellm http://127.0.0.1:9/prices.json"
    assert done.stderr == f"not asked yet: {name}; `hedgerow market refresh` asks\n"


def test_no_network_and_no_books(config: Path) -> None:
    """Neither command makes a file."""
    said(config, "market")
    route(config)
    assert [one.name for one in config.parent.iterdir()] == ["hedgerow.yaml"]


def test_the_cheapest_goes_first(config: Path) -> None:
    """Offers in order of the expected cost of this request; one without a price is refused."""
    found = route(config, "--output-tokens", "500")
    assert names(found["candidates"]) == ["a", "b"]
    costs = [one["expected_cost_usd"] for one in found["candidates"]]
    assert costs == [(1000 * 1 + 500 * 2) / 1e6, (1000 * 3 + 500 * 6) / 1e6]
    (refused,) = found["refused"]
    assert "price" in refused["why"]


def test_max_tokens_bounds_what_is_expected(config: Path) -> None:
    """A client that allows fewer tokens than expected gets no more."""
    found = route(config, "--output-tokens", "500", "--max-tokens", "100")
    assert (found["completion_tokens"], found["max_completion_tokens"]) == (100, 100)
    assert found["candidates"][0]["expected_cost_usd"] == (1000 + 200) / 1e6


@pytest.mark.parametrize("needs", [("tools",), ("vision",), ("tools", "logprobs")])
def test_needs(needs: tuple[str, ...], config: Path) -> None:
    """A need that no offer meets refuses them all and names the need; one that is met, none."""
    found = route(config, *(word for need in needs for word in ("--needs", need)))
    assert found["features"] == sorted(needs)
    if needs == ("tools",):
        assert names(found["candidates"]) == ["a", "b"]
    else:
        assert found["candidates"] == []
        missing = {"vision", "logprobs"} & set(needs)
        assert all(one in found["refused"][0]["why"] for one in missing)


def test_too_long_a_prompt(config: Path) -> None:
    """It is refused with both numbers; the table says that nothing is left."""
    found = route(config, tokens=100_000)
    assert found["candidates"] == []
    assert "8000" in found["refused"][0]["why"]
    text = said(config, "route", "--model", MODEL, "--input-tokens", "100000")
    assert "refused: " in text


def test_what_evals_have_measured(config: Path) -> None:
    """A floor refuses here what it refuses in a server: the scores are those of the books."""
    floor = f"  good: {{any_of: [{MODEL}, elm], quality: {{benchmark: ours, at_least: 0.7}}}}\n"
    config.write_text(config.read_text() + floor)
    at = datetime.now(UTC)
    run = EvalRun("ours", "b/elm", "elm", 0.5, 0.4, 0.6, 20, 0, 0, 0, 0, None, {})
    with closing(SqliteFile.open(config.parent / "hedgerow.db")) as sql:
        open_market(sql)
        with sql.transaction():
            EvalHistory(sql).keep([run], at, at)
    found = told(config, "route", "--model", "good", "--input-tokens", "1000")
    assert found["model"] == "good"
    assert names(found["candidates"]) == ["a", "b"]
    refused = {one["offer"]: (one["model"], one["why"]) for one in found["refused"]}
    assert refused["b/elm"][0] == "elm"
    assert "0.7 is wanted" in refused["b/elm"][1]

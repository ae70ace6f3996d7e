"""`hedgerow market`: the board with what the books know, the past, and GPU-hours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from benchmarks.capacity.prices import keep as keep_capacity
from benchmarks.evals.history import EvalHistory, EvalRun
from benchmarks.market import Quoted
from benchmarks.offers import Offer
from benchmarks.quality import Quality
from benchmarks.quotes import Override, Quote, UtcHours
from benchmarks.stats import Percentiles, Stats
from benchmarks.tables.database import open_market
from benchmarks.tables.history import MarketHistory
from benchmarks.tables.latest import Latest, Word
from benchmarks.text_price import Tokenizer
from benchmarks.traffic.observations import Observation, Observations, Outcome
from benchmarks.traffic.observed import tell as tell_observed
from benchmarks.traffic.observed import told as told_observed
from benchmarks.traffic.tokenizers import LEAST_ANSWERS, tokenizers
from benchmarks.traffic.tokenizers import tell as tell_tokenizers
from hedgerow.cli import hedgerow
from hedgerow.commands.market import described, texts
from hedgerow.market.board import Line, board, past
from ledger.databases.sql import Sql
from ledger.databases.sqlite_file import SqliteFile
from ledger.instants import instant
from ledger.rates import RateCard
from ledger.usage import TokenUsage
from tests.ledger.databases import Postgres
from tests.ledger.entries_of import SECOND_NS, Made, Who, write
from tests.serving import serving

NOW_NS = 1_785_600_000_000_000_000
NOW = instant(NOW_NS)
ELM = Offer("acme", "acme-elm", context_tokens=8000)
OTHER = Offer("zeta", "zeta-elm")
CARD = RateCard.of(Decimal(1), Decimal(2), Decimal("0.1"))


CONFIG = """\
market: {feeds: []}
providers:
  a: {dialect: openai, base_url: "http://127.0.0.1:9/v1"}
models:
  elm:
    offers:
      - {provider: a, model: elm-1, price: {input: 1, output: 2}}
"""


def write_config(folder: Path, before: str = "") -> Path:
    path = folder / "hedgerow.yaml"
    path.write_text(before + CONFIG)
    return path


def hours_ago(count: float) -> datetime:
    return NOW - timedelta(hours=count)


def quoted(offer: Offer, card: RateCard | None = CARD, *overrides: Override) -> Quoted:
    if card is None:
        return Quoted(offer, None)
    return Quoted(offer, Quote(card, None, overrides, "feed 7", hours_ago(50)))


@pytest.fixture
def market(sql: Sql) -> Sql:
    open_market(sql)
    return sql


def asked(times: int, provider: str) -> list[Made]:
    """Requests of the last hour, a tenth of their prompts from a cache."""
    who = Who(model="elm", provider=provider)
    usage = TokenUsage(prompt=1000, completion=100, cached=100)
    return [
        Made(at_ns=NOW_NS - 60 * SECOND_NS * number, who=who, usage=usage)
        for number in range(1, times + 1)
    ]


def lines(sql: Sql, *offers: Quoted) -> Sequence[Line]:
    return board({"elm": offers}, past(sql, NOW), NOW).models["elm"]


def test_what_the_books_know(market: Sql) -> None:
    """Since when a price holds, our share of the traffic, what text like ours costs, and what
    workers saw: of each offer its own."""
    write(market, [*asked(30, "acme"), *asked(10, "zeta")])
    seen = Observations()
    for ttft_ms in (100.0, 200.0):
        seen.note(ELM.id, Observation(NOW_NS / 1e9, Outcome.ANSWERED, ttft_ms, 10.0))
    with market.transaction():
        MarketHistory(market).keep({"elm": [quoted(ELM)]}, hours_ago(48))
        tell_tokenizers(market, "w", [Tokenizer("elm", 5.0, 100)], NOW_NS)
        tell_observed(market, "w", seen.published(), NOW_NS)
    first, second = lines(market, quoted(ELM), quoted(OTHER))
    assert first.share is not None
    assert second.share is not None
    assert (first.share.value, second.share.value) == (Decimal("0.75"), Decimal("0.25"))
    assert not first.share.is_joint
    assert (first.since, second.since) == (hours_ago(50), None)
    assert first.text is not None
    assert first.text.assumed == ()
    # of 1,100 tokens 900 at $1, 100 at $0.10 and 100 at $2; 5 characters each
    assert first.text.usd_per_mchar == pytest.approx(Decimal(1110) / 5500, rel=Decimal("1e-6"))
    assert first.seen.attempts == 2
    assert first.seen.ttft_ms_p95 == 200
    assert second.seen.attempts == 0


def test_what_another_version_has_written(market: Sql) -> None:
    """Workers of two versions share the books while one takes the other's place: what they cannot
    read of each other is left out."""
    with market.transaction():
        for kind in ("observed", "tokenizer"):
            Latest(market, kind).put(Word("1/w/elm", NOW_NS, b"\x92\xa1w\x80"))
    assert told_observed(market, 0) == []
    assert tokenizers(market) == {}


def test_what_the_books_do_not_tell_apart(market: Sql) -> None:
    """Offers that differ in their region alone share what the books know of both."""
    write(market, asked(4, "acme"))
    here, there = (Offer("acme", "acme-elm", region=one) for one in ("eu", "us"))
    found = lines(market, quoted(here), quoted(there), quoted(OTHER))
    assert [one.share and (int(one.share.value), one.share.is_joint) for one in found] == [
        *((1, True), (1, True)),
        (0, False),
    ]


def test_a_price_that_changed_just_now(market: Sql) -> None:
    """What was kept of another price says nothing of this one."""
    other = RateCard.of(Decimal(9), Decimal(9))
    with market.transaction():
        MarketHistory(market).keep({"elm": [quoted(ELM, other)]}, hours_ago(1))
    (found,) = lines(market, quoted(ELM))
    assert found.since is None


def test_what_our_evals_found(market: Sql) -> None:
    """An offer has the score of its newest run, beside what an index says; others have none."""
    index = Quality("aa", 0.5, 0.5, 0.5, None, NOW, "index")
    runs = [
        EvalRun("ours", ELM.id, "elm", score, 0.6, 0.9, 20, 0, 0, 0, 0, None, {})
        for score in (0.7, 0.8)
    ]
    with market.transaction():
        for at, run in zip((hours_ago(9), hours_ago(2)), runs, strict=True):
            EvalHistory(market).keep([run], at, at)
    first, second = lines(market, replace(quoted(ELM), quality={"aa": index}), quoted(OTHER))
    assert first.quoted.quality["aa"] == index
    assert first.quoted.quality["ours"].score == 0.8
    assert second.quoted.quality == {}


def test_nothing_known(market: Sql) -> None:
    """An offer without a price has no effective one; without traffic there are no shares."""
    (found,) = lines(market, quoted(ELM, None))
    assert found == Line(quoted(ELM, None), None, None, found.seen, None, None)


def test_for_people(market: Sql) -> None:
    """Columns in which nothing stands are left out; those of hours, quality and ends are not."""
    (plain, mix) = texts(board({"elm": [quoted(ELM)]}, past(market, NOW), NOW))
    assert "per request" not in plain
    assert "quality" not in plain
    assert "?" in plain
    assert "(assumed)" in mix
    ends = Offer("acme", "acme-elm", ends_at=datetime(2027, 1, 31, tzinfo=UTC))
    score = Quality("ours", 0.8, 0.75, 0.85, 40, NOW, "eval")
    night = Override(RateCard.of(Decimal("0.5"), Decimal(1)), hours=UtcHours(0, 60))
    quote = Quote(CARD, None, (night,), "feed 7", hours_ago(50))
    stats = Stats(NOW, "openrouter", Percentiles(p50=312.0), Percentiles(p50=80.0))
    rich = Quoted(ends, quote, stats, {"ours": score})
    (text, _) = texts(board({"elm": [rich]}, past(market, NOW), NOW))
    for words in (
        "0.80 (0.75–0.85) ours",
        "2027-01-31",
        "0.5/1",
        "(other prices by hours)",
        "~312 ms",
        "~80",
    ):
        assert words in text
    (line,) = described(board({"elm": [rich]}, past(market, NOW), NOW))["models"]["elm"]  # type: ignore[index]
    assert line["quality"]["ours"]["low"] == 0.75
    assert (line["ttft_ms_p50"], line["feed_stats"]["ttft_ms_p50"]) == (None, 312)
    assert line["ends_at"] == "2027-01-31T00:00:00Z"
    assert line["next_change"]["price"]["input"] == Decimal("0.5")


async def test_after_a_server(tmp_path: Path) -> None:
    """What a server saw, learned, kept and charged is on the board when it has gone: nothing of the
    effective price is assumed any more."""
    async with serving(tmp_path) as proxy:
        await asyncio.gather(*(proxy.ask(stream=True) for _ in range(LEAST_ANSWERS)))
        await proxy.settled(LEAST_ANSWERS)
        await proxy.stop()
        found = await asyncio.to_thread(told, proxy.config.path)
    assert found["text"]["is_measured"]
    ((line,),) = found["models"].values()
    assert line["attempts"] == found["text"]["requests"] == LEAST_ANSWERS
    assert line["assumed"] == []
    assert line["effective_usd_per_mchar"] > 0
    assert line["ttft_ms_p95"] >= line["ttft_ms_p50"] > 0
    assert (line["error_rate"], line["share"]) == (0, 1)
    assert line["price_since"] is not None


# -- the commands


def run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(hedgerow, ["market", *words, "-c", str(config)])


def told(config: Path, *words: str) -> Any:
    done = run(config, *words, "--json")
    assert (done.exit_code, done.stderr) == (0, ""), done.stderr
    return msgspec.json.decode(done.stdout)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


@pytest.fixture
def kept(config: Path) -> Path:
    """A configuration with books, in which an offer's price was put right after two days."""
    first, second = (RateCard.of(Decimal(price), Decimal(price)) for price in (1, 2))
    offer = Offer("a", "elm-1")
    with closing(SqliteFile.open(config.parent / "hedgerow.db")) as sql:
        open_market(sql)
        with sql.transaction():
            for known, card in ((3, first), (1, second)):
                quote = Quote(card, None, (), "feed", NOW - timedelta(days=3))
                MarketHistory(sql).keep({"m": [Quoted(offer, quote)]}, NOW - timedelta(days=known))
    return config


def day(ago: int) -> str:
    return (NOW - timedelta(days=ago)).strftime("%Y-%m-%dT%H:%M:%S")


def test_history(kept: Path) -> None:
    """What held, as it is known now; and as it was known before it was put right."""
    (now,) = told(kept, "history")["prices"]
    assert (now["offer"], now["price"]["input"], now["source"]) == ("a/elm-1", 2, "feed")
    (then,) = told(kept, "history", "--known-at", day(2))["prices"]
    assert then["price"]["input"] == 1
    assert then["since"] == now["since"]
    assert told(kept, "history", "--known-at", day(4))["prices"] == []
    text = run(kept, "history", "--offer", "a/elm-1").stdout
    assert "a/elm-1" in text
    assert "nothing is known" in run(kept, "history", "--known-at", day(4)).stdout


def test_history_of_what_is_not_there(kept: Path, tmp_path: Path) -> None:
    """An offer that was never kept is named with those that were; there is no time before --from;
    without books there is no history."""
    unknown = run(kept, "history", "--offer", "b/oak")
    assert unknown.exit_code == 1
    assert "there are a/elm-1" in unknown.stderr
    assert run(kept, "history", "--from", day(1), "--to", day(2)).exit_code == 2
    (tmp_path / "new").mkdir()
    without = run(write_config(tmp_path / "new"), "history")
    assert without.exit_code == 1
    assert "there are no books" in without.stderr


@dataclass(frozen=True, slots=True)
class Asked:
    """A price of capacity, as a feed states it."""

    provider: str
    usd_per_gpu_hour: Decimal
    contract: str = "on-demand"
    gpu: str = "H200"
    region: str = "us"
    at: datetime = datetime.now(UTC) - timedelta(hours=1)
    stat: str = "list"
    source: str = "feed"


def test_capacity(kept: Path) -> None:
    """A line for each grade, compared with the reference by what is asked for, and what terms are
    worth; prices that are too old do not count."""
    rows = [
        Asked("x", Decimal(4)),
        Asked("y", Decimal(6)),
        Asked("x", Decimal(3), "reserved-1y"),
        Asked("x", Decimal(1), gpu="L4", at=datetime.now(UTC) - timedelta(days=8)),
    ]
    with closing(SqliteFile.open(kept.parent / "hedgerow.db")) as sql:
        keep_capacity(sql, rows, datetime.now(UTC))
    found = told(kept, "capacity", "--by", "bandwidth")
    demand, year = found["grades"]
    assert (demand["chip"], demand["area"], demand["term"]) == ("H200", "us", "on-demand")
    assert (demand["usd_per_gpu_hour"], demand["low"], demand["high"]) == (5, 4, 6)
    assert demand["usd_per_reference_hour"] == pytest.approx(5 * 3350 / 4800)
    assert (year["term"], year["usd_per_gpu_hour"]) == ("reserved-12m", 3)
    assert found["terms"] == [{"term": "reserved-12m", "ratio": 0.75, "providers": 1}]
    text = run(kept, "capacity", "--days", "9").stdout
    assert "L4" in text
    assert "75%" in text
    assert "there are H200" in run(kept, "capacity", "--chip", "B200").stdout


def test_where_options_stand(config: Path) -> None:
    """The board needs a configuration; options of a subcommand stand behind it."""
    assert CliRunner().invoke(hedgerow, ["market"]).exit_code == 2
    mixed = CliRunner().invoke(hedgerow, ["market", "-c", str(config), "history"])
    assert mixed.exit_code == 2
    assert "write them behind it" in mixed.stderr


def test_a_database_that_is_away(tmp_path: Path, postgres: Postgres) -> None:
    """Prices are shown all the same, with a word on what is not."""
    gone = postgres.url("postgres").replace("/postgres?", "/nowhere?")
    done = run(write_config(tmp_path, f'ledger: {{url: "{gone}"}}\n'))
    assert done.exit_code == 0
    assert done.stderr.startswith("prices only, nothing of the past: ")
    assert "a/" in done.stdout

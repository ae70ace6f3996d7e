"""`hedgerow simulate`: a trace through one's own configuration, without one's own providers; one's
own history against other budgets."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.feeds.litellm import read_installed
from ledger.databases.sqlite_file import SqliteFile
from ledger.journal_records import held_of, posted_of
from ledger.money import Money
from ledger.requests import RequestRecord
from ledger.store import Store
from tests.hedgerow.processes import NOWHERE, hedgerow, told, write_config
from tests.ledger.entries import NOW_NS, attempt, settlement

TRACE = "t_seconds,input_tokens,output_tokens\n" + "".join(
    f"{at / 10},{20 + at},{5 + at % 7}\n" for at in range(40)
)
INPUT_TOKENS = sum(20 + at for at in range(40))
OUTPUT_TOKENS = sum(5 + at % 7 for at in range(40))
FAST = ("--speedup", "1000")


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(TRACE)
    return path


async def test_a_trace(trace: Path) -> None:
    """Every request is answered and charged by the configuration's prices; its own books are not
    made and its providers never reached, though it names some that would refuse."""
    reached: list[str] = []

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append("somebody came")
        writer.close()

    async with await asyncio.start_server(note, "127.0.0.1", 0) as provider:
        url = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}/v1"
        config = write_config(trace.parent, {"a": url, "b": url})
        before = {one.name for one in trace.parent.iterdir()}
        found = await told("simulate", "-c", config, "--trace", trace, *FAST)
        assert {one.name for one in trace.parent.iterdir()} == before
    assert reached == []
    assert (found["requests"], found["succeeded"], found["blocked"]) == (40, 40, 0)
    assert found["prompt_tokens"] == INPUT_TOKENS
    assert found["completion_tokens"] == OUTPUT_TOKENS
    assert found["ledger_verified"] is True
    # b is listed at three times the price of a, and first is a
    assert found["cheapest_possible_usd"] == (INPUT_TOKENS + 2 * OUTPUT_TOKENS) / 1e6
    assert found["first_offer_usd"] == found["cheapest_possible_usd"]
    assert found["dearest_usd"] == pytest.approx(3 * found["cheapest_possible_usd"])
    assert found["spend_usd"] >= found["cheapest_possible_usd"]


async def test_prices_are_those_of_the_real_hosts(trace: Path) -> None:
    """An offer without a price of its own costs what the price file says of its real host."""
    config = trace.parent / "hosts.yaml"
    config.write_text(
        "providers:\n"
        "  mine: {dialect: openai, base_url: https://api.deepinfra.com/v1/openai}\n"
        "models:\n"
        "  llama: {offers: [{provider: mine, model: meta-llama/Llama-3.3-70B-Instruct-Turbo}]}\n"
    )
    found = await told("simulate", "-c", config, "--trace", trace, *FAST)
    known = (await asyncio.to_thread(read_installed)).find(
        "deepinfra", "meta-llama/Llama-3.3-70B-Instruct-Turbo"
    )
    assert known is not None
    assert known.rates is not None
    cost = known.rates.input * found["prompt_tokens"]
    cost += known.rates.output * found["completion_tokens"]
    assert found["succeeded"] > 30  # it is alone, and fails now and then
    assert found["cheapest_possible_usd"] == pytest.approx(float(cost / 1_000_000), abs=40e-9)


async def test_budgets_hold(trace: Path) -> None:
    """The configuration's budgets apply to the team that is named, from nothing spent."""
    budgets = "  - {name: b, scope: {team: ops}, window: lifetime, cap_usd: 0.0005}\n"
    config = write_config(trace.parent, NOWHERE, budgets=budgets)
    command = ("simulate", "-c", config, "--trace", trace, *FAST, "--max-tokens", "20")
    blocked, free = await asyncio.gather(told(*command, "--team", "ops"), told(*command))
    assert blocked["blocked"] > 0
    assert blocked["succeeded"] + blocked["blocked"] == 40
    assert 0 < blocked["spend_usd"] <= 0.0005
    assert (free["blocked"], free["succeeded"]) == (0, 40)


async def test_for_people_and_compressed(trace: Path) -> None:
    """A .gz is read as it is; --rows takes the first; a pipe sees no progress."""
    packed = trace.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(TRACE.encode()))
    config = write_config(trace.parent, NOWHERE)
    done = await hedgerow("simulate", "-c", config, "--trace", packed, "--rows", "3", *FAST)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("3 requests in ")
    assert "\nverified: " in done.out


async def test_failures_have_reasons(trace: Path) -> None:
    """A model that nobody sells at a known price: every request fails, and it says why."""
    config = write_config(trace.parent, NOWHERE)
    text = config.read_text().replace("feeds: []", "feeds: [{kind: litellm}]")
    text = text.replace("features: [tools], context_tokens: 8000, price", "context_tokens: 8000 #")
    config.write_text(text.replace(" #: ", "} # "))
    done = await hedgerow("simulate", "-c", config, "--trace", trace, *FAST)
    assert done.code == 0
    assert "0 answered, 0 blocked by a budget, 40 failed" in done.out
    assert "\nfailed: " in done.out


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("t_seconds,input_tokens,output_tokens\n0,1,1\n1,1,-4\n", 3),
        ("t_seconds,input_tokens,output_tokens\n0,1,1\n1,one,1\n", 3),
        ("t_seconds,input_tokens,output_tokens\n1,1,1\n0,1,1\n", 3),
        ("t_seconds,input_tokens,output_tokens\nnan,1,1\n", 2),
        ("t_seconds,input_tokens,output_tokens\n", 1),
        ("seconds,tokens\n0,1\n", 1),
        ("", 1),
    ],
)
async def test_a_bad_trace(text: str, line: int, trace: Path) -> None:
    """One line with file and line of the first fault."""
    await asyncio.to_thread(trace.write_text, text)
    config = write_config(trace.parent, NOWHERE)
    done = await hedgerow("simulate", "-c", config, "--trace", trace)
    assert done.failed_in_one_line
    assert f"{trace}:{line}: " in done.err


# Against other budgets


async def history(trace: Path) -> Path:
    """A configuration whose books have four requests of a team, 0.4 USD each, and one refused."""
    config = write_config(trace.parent, NOWHERE, budgets=f"{A_BUDGET.format(cap=100)}\n")

    def book() -> None:
        path = trace.parent / "hedgerow.db"
        with closing(Store(SqliteFile.open(path))) as store, store.transaction():
            writer_id, _ = store.writers.open("w", NOW_NS)
            for number in range(4):
                at_ns = NOW_NS + number * HOUR_NS
                one = attempt(f"a{number}", 500_000_000, at_ns=at_ns, model="oak")
                end = settlement(400_000_000, cheapest=300_000_000, at_ns=at_ns + 10**9)
                store.writers.write(writer_id, [(held_of(one, ()), posted_of(one, end, []))])
            store.requests.add(CUT_OFF)

    await asyncio.to_thread(book)
    return config


A_BUDGET = "  - {{name: research, scope: {{team: research}}, window: month, cap_usd: {cap}}}"
HOUR_NS = 3600 * 10**9
CUT_OFF = RequestRecord(
    id="req_cut_off",
    at_ns=NOW_NS + 5 * HOUR_NS,
    key_id="key_1",
    team="research",
    user="ada",
    model="oak",
    outcome="budget_exceeded",
    status=402,
    attempts=0,
    would_have_cost=Money(200_000_000),
    decision=None,
)


def policy_file(folder: Path, cap: str, name: str = "new.yaml") -> Path:
    path = folder / name
    path.write_text(f"budgets:\n{A_BUDGET.format(cap=cap)}\n")
    return path


async def test_history_against_another_policy(trace: Path) -> None:
    """The books' own requests: what a smaller cap would have refused, and a larger one let in;
    it does not need the trace, and is exact."""
    config = await history(trace)
    small, large = (policy_file(trace.parent, cap, f"{cap}.yaml") for cap in ("1", "50"))
    tight = await told("simulate", "-c", config, "--policy", small)
    assert (tight["requests"], tight["refused_then"], tight["refused"]) == (5, 1, 2)
    assert (tight["newly_refused"], tight["newly_admitted"]) == (2, 1)
    assert (tight["spent_then_usd"], tight["spent_usd"]) == (1.6, 1.0)
    assert (tight["not_spent_usd"], tight["newly_spent_usd"]) == (0.8, 0.2)
    (effect,) = tight["budgets"]
    assert (effect["budget"], effect["cap"], effect["blocked"]) == ("research", 1, 2)
    assert effect["peak"] == 1.0
    assert effect["first_refused_at"] == "2026-03-14T17:09:26+00:00"
    assert [one["team"] for one in tight["by_team"]] == ["research"]
    wide = await told("simulate", "-c", config, "--policy", large)
    assert (wide["refused"], wide["newly_admitted"], wide["spent_usd"]) == (0, 1, 1.8)
    late = await told("simulate", "-c", config, "--policy", small, "--from", "2026-03-14T18:00:00")
    assert (late["requests"], late["refused"]) == (2, 2)


async def test_history_for_people(trace: Path) -> None:
    """The first line says the whole of it; the budget's line says when it was first in the way."""
    config = await history(trace)
    small = policy_file(trace.parent, "1")
    done = await hedgerow("simulate", "-c", config, "--policy", small)
    assert (done.code, done.err) == (0, "")
    first, *rest = done.out.splitlines()
    assert first == (
        "With these budgets, 2 of 5 requests would have been refused, against 1 then; 0 would have"
        " gone to the cheapest offer; $1.00 would have been spent, $0.60 less than then."
    )
    (row,) = [line for line in rest if line.startswith("research  $1.00")]
    assert "2026-03-14 17:09:26 UTC" in row


async def test_the_json_is_in_the_documents(trace: Path) -> None:
    """Every field that --json prints stands in docs/simulate.md."""
    config = await history(trace)
    found = await told("simulate", "-c", config, "--policy", policy_file(trace.parent, "1"))
    page = (Path(__file__).parents[2] / "docs" / "simulate.md").read_text(encoding="utf-8")
    fields = set(found) | set(found["budgets"][0]) | {"member", "spent", "notify", "at"}
    assert {one for one in fields if f"`{one}`" not in page} == set()


async def test_a_trace_against_another_policy(trace: Path) -> None:
    """The new budgets stand in for those of the configuration, which could refuse nothing."""
    config = write_config(trace.parent, NOWHERE, budgets=f"{A_BUDGET.format(cap=100)}\n")
    small = policy_file(trace.parent, "0.0005")
    limits = ("--max-tokens", "20", "--team", "research")
    command = ("simulate", "-c", config, "--trace", trace, *FAST, *limits)
    free, blocked = await asyncio.gather(told(*command), told(*command, "--policy", small))
    assert free["blocked"] == 0
    assert blocked["blocked"] > 0


async def test_a_wrong_policy_is_refused_by_line(trace: Path) -> None:
    """With file and line, as `check` does; nothing is read from the books."""
    config = await history(trace)
    wrong = trace.parent / "wrong.yaml"
    await asyncio.to_thread(wrong.write_text, "budgets:\n  - {name: a, scope: {}, window: moon}\n")
    done = await hedgerow("simulate", "-c", config, "--policy", wrong)
    assert (done.code, done.out) == (1, "")
    assert f"{wrong}:2: budgets[0].window" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--policy FILE"),
        (("--policy", "new.yaml", "--rows", "3"), "--trace"),
        (("--policy", "new.yaml", "--from", "2026-03-02", "--to", "2026-03-01"), "--from"),
        (("--trace", "trace.csv", "--from", "2026-03-02"), "--trace"),
    ],
)
async def test_options_that_go_together(words: tuple[str, ...], said: str, trace: Path) -> None:
    """Those of a trace need one, those of history need none; nothing at all is no question."""
    config = write_config(trace.parent, NOWHERE)
    policy_file(trace.parent, "1")
    there = [trace.parent / one if one.endswith((".yaml", ".csv")) else one for one in words]
    done = await hedgerow("simulate", "-c", config, *there)
    assert (done.code, done.out) == (2, "")
    assert said in done.err

"""`hedgerow simulate`: a trace through one's own configuration, without one's own providers."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from benchmarks.feeds.litellm import read_installed
from tests.hedgerow.processes import NOWHERE, hedgerow, told, write_config

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

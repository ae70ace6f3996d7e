"""`eval run` and `eval show`: quality of offers, through the proxy and its books."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.sandbox import Behaviour, SandboxProvider
from hedgerow.config import load_config
from ledger.audit import verify
from ledger.statements import Charged, charged
from ledger.store import Store
from tests.hedgerow.processes import hedgerow, serve, told
from tests.serving import UPSTREAM_MODEL, read_books

ANSWERS = {f"what is {n} plus {n}?": f"it is {2 * n}" for n in range(40)}
GOOD = Behaviour(models=(UPSTREAM_MODEL,), time_scale=0, output_tokens_median=3, answers=ANSWERS)
BAD = Behaviour(
    models=(UPSTREAM_MODEL,),
    time_scale=0,
    output_tokens_median=3,
    answers=ANSWERS,
    wrong_rate=0.6,
    seed=1,
)


def prompts_file(folder: Path, *more: Mapping[str, Any]) -> Path:
    lines: list[Mapping[str, Any]] = [
        {
            "id": f"sum-{n}",
            "prompt": asked,
            "expect": said.removeprefix("it is "),
            "grader": {"kind": "regex", "pattern": "([0-9]+)"},
            "max_tokens": 16,
            "task": "sums",
        }
        for n, (asked, said) in enumerate(ANSWERS.items())
    ]
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in [*lines, *more]))
    return path


def config_file(folder: Path, urls: Mapping[str, str]) -> Path:
    """A model for each provider, so that each offer can be asked for by a model's name."""
    lines = ["market: {feeds: []}", "providers:"]
    lines += [f"  {name}: {{dialect: openai, base_url: {url}}}" for name, url in urls.items()]
    lines += ["models:"]
    for name in urls:
        offer = f"{{provider: {name}, model: {UPSTREAM_MODEL}, price: {{input: 1, output: 2}}}}"
        lines += [f"  {name}-model:", f"    offers: [{offer}]"]
    path = folder / "hedgerow.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


async def test_in_one_command(tmp_path: Path) -> None:
    """Nobody serves: the proxy runs for the eval. The scores are those of the planted quality, the
    cost is what the books have, and the key is gone afterwards."""
    async with SandboxProvider(GOOD) as good, SandboxProvider(BAD) as bad:
        config = config_file(tmp_path, {"good": good.base_url, "bad": bad.base_url})
        outcomes = tmp_path / "outcomes.jsonl"
        ran = await told(
            *("eval", "run", prompts_file(tmp_path), "-c", config),
            *("--repeat", "2", "--outcomes", outcomes),
        )
        shown = await told("eval", "show", "-c", config)
        keys = await told("key", "list", "-c", config)
    best, worst = ran["offers"]
    assert (best["offer"], best["score"], best["high"], best["prompts"]) == (
        f"good/{UPSTREAM_MODEL}",
        1.0,
        1.0,
        40,
    )
    assert worst["low"] < 0.4 < worst["high"]
    assert worst["score"] == bad_share(outcomes)
    rows = await asyncio.to_thread(charges, config)
    assert len(rows) == 160
    spent = sum(Decimal(row.effective) for row in rows) / 10**9
    assert spent == sum(Decimal(str(one["cost_usd"])) for one in ran["offers"])
    assert [one["score"] for one in shown["benchmarks"][0]["offers"]] == [
        one["score"] for one in sorted(ran["offers"], key=lambda one: one["offer"])
    ]
    assert [(one["team"], one["revoked_at"] is not None) for one in keys["keys"]] == [
        ("evals", True)
    ]


def charges(config: Path) -> list[Charged]:
    """What was charged, from books that verify."""

    def look(store: Store) -> list[Charged]:
        assert verify(store.sql).findings == ()
        return list(charged(store.sql))

    return read_books(load_config(config, {}), look)


def bad_share(outcomes: Path) -> float:
    found = [json.loads(line) for line in outcomes.read_text().splitlines()]
    own = [one for one in found if one["model"] == "bad-model"]
    assert len(own) == 80
    assert set(own[0]) >= {"prompt_id", "prompt", "task", "offer", "cost_usd", "seconds"}
    return float(sum(one["score"] for one in own) / len(own))


async def test_the_cap_is_kept(tmp_path: Path) -> None:
    """What an eval spends, by the books, is never above its cap; it says that it ended early."""
    async with SandboxProvider(GOOD) as good:
        config = config_file(tmp_path, {"good": good.base_url})
        prompts = prompts_file(tmp_path)
        done = await hedgerow(
            *("eval", "run", prompts, "-c", config, "--budget-usd", "0.0004", "--json")
        )
    assert done.code == 0
    assert done.err.startswith("ended early: ")
    rows = await asyncio.to_thread(charges, config)
    assert 0 < sum(row.effective for row in rows) <= 400_000
    assert len(rows) == done.json["offers"][0]["prompts"] < 40


async def test_beside_a_server(tmp_path: Path) -> None:
    """A proxy that has the books open already is asked, with a new key that it comes to know."""
    async with SandboxProvider(GOOD) as good:
        config = config_file(tmp_path, {"good": good.base_url})
        prompts = prompts_file(tmp_path)
        async with serve(config) as server:
            nowhere = await hedgerow("eval", "run", prompts, "-c", config)
            assert nowhere.failed_in_one_line
            assert "--url" in nowhere.err
            ran = await told("eval", "run", prompts, "-c", config, "--url", server.base_url)
    assert ran["offers"][0]["score"] == 1.0


async def test_a_drop_of_quality(tmp_path: Path) -> None:
    """An offer that becomes worse is found by its next run: `show --check` exits with 1, and says
    by how much. One that stays as it is raises no alarm."""
    async with SandboxProvider(GOOD) as good:
        config = config_file(tmp_path, {"good": good.base_url})
        run = ("eval", "run", prompts_file(tmp_path), "-c", config)
        for _ in range(2):
            await told(*run)
        before = await hedgerow("eval", "show", "-c", config, "--check")
        good.behaviour = BAD
        await told(*run)
    after = await hedgerow("eval", "show", "-c", config, "--check")
    as_json = await hedgerow("eval", "show", "-c", config, "--check", "--json")
    assert (before.code, "quality_drop" in before.out) == (0, False)
    assert after.code == 1
    assert f"quality_drop: good/{UPSTREAM_MODEL}: 1.000 ->" in after.out
    (alarm,) = [
        one for one in as_json.json["benchmarks"][0]["alarms"] if one["against"] == "its past"
    ]
    assert 0.4 < alarm["drop"] < 0.8
    assert alarm["p"] < 0.001


async def test_what_cannot_be_asked(tmp_path: Path) -> None:
    """Offers that there are not, judges that are not configured and lines that are no prompts are
    refused in one line, before anything is spent."""
    async with SandboxProvider(GOOD) as good:
        config = config_file(tmp_path, {"good": good.base_url})
        prompts = prompts_file(tmp_path)
        no_offer = await hedgerow("eval", "run", prompts, "-c", config, "--offers", "elm/elm")
        judge = {"kind": "judge", "model": "elm", "rubric": "is it right?"}
        prompts_file(tmp_path, {"id": "one", "prompt": "a", "grader": judge})
        no_judge = await hedgerow("eval", "run", prompts, "-c", config)
        prompts_file(tmp_path, {"id": "one", "prompt": "a"})
        no_grader = await hedgerow("eval", "run", prompts, "-c", config)
        assert good.tally.requests == 0
    assert "there is no offer elm/elm to be measured" in no_offer.err
    assert "prompt one: its grader asks elm" in no_judge.err
    assert "prompts.jsonl:41: " in no_grader.err
    assert all(one.failed_in_one_line for one in (no_offer, no_judge, no_grader))

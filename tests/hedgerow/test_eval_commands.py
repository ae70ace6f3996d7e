"""`eval run` and `eval show`: quality of offers, through the proxy and its books."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evals.asking import COMPARE_PROMPT, SCALE_PROMPT
from benchmarks.predictor.outcomes import read_outcomes
from benchmarks.sandbox import Behaviour, SandboxProvider
from hedgerow.config import load_config
from ledger.audit import verify
from ledger.statements import Charged, charged
from ledger.store import Store
from tests.hedgerow import processes
from tests.hedgerow.beside import providers, said, told, urls
from tests.serving import MODEL, UPSTREAM_MODEL, read_books

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
    """One model, with an offer of each provider at the same price."""
    lines = ["market: {feeds: []}", "providers:"]
    lines += [f"  {name}: {{dialect: openai, base_url: {url}}}" for name, url in urls.items()]
    lines += ["models:", f"  {MODEL}:", "    offers:"]
    for name in urls:
        offer = f"{{provider: {name}, model: {UPSTREAM_MODEL}, price: {{input: 1, output: 2}}}}"
        lines.append(f"      - {offer}")
    path = folder / "hedgerow.yaml"
    lines.append(f"  either: {{any_of: [{MODEL}]}}")
    path.write_text("\n".join(lines) + "\n")
    return path


def charges(config: Path) -> list[Charged]:
    """What was charged, from books that verify."""

    def look(store: Store) -> list[Charged]:
        assert verify(store.sql).findings == ()
        return list(charged(store.sql))

    return read_books(load_config(config, {}), look)


def test_in_one_command(tmp_path: Path) -> None:
    """Nobody serves: the proxy runs for the eval. The scores are those of the planted quality, the
    cost is what the books have, and the key is gone afterwards."""
    outcomes = tmp_path / "outcomes.jsonl"
    with providers(good=GOOD, bad=BAD) as both:
        config = config_file(tmp_path, urls(both))
        ran = told(
            *("eval", "run", prompts_file(tmp_path), "-c", config),
            *("--repeat", "2", "--outcomes", outcomes),
        )
    shown, keys = told("eval", "show", "-c", config), told("key", "list", "-c", config)
    best, worst = ran["offers"]
    assert (best["score"], best["high"], best["prompts"]) == (1.0, 1.0, 40)
    assert worst["low"] < 0.4 < worst["high"]
    found = [json.loads(line) for line in outcomes.read_text().splitlines()]
    own = [one["score"] for one in found if one["offer"] == f"bad/{UPSTREAM_MODEL}"]
    assert (len(own), sum(own) / len(own)) == (80, worst["score"])
    learned = read_outcomes(outcomes)
    assert {(one.task, one.model) for one in learned} == {("sums", MODEL)}
    assert {one.prompt for one in learned} == set(ANSWERS)
    rows = charges(config)
    assert len(rows) == 160
    spent = sum(Decimal(row.effective) for row in rows) / 10**9
    assert spent == sum(Decimal(str(one["cost_usd"])) for one in ran["offers"])
    assert spent == sum(Decimal(str(one["cost_usd"])) for one in found)
    measured = {one["offer"]: one["score"] for one in shown["benchmarks"][0]["offers"]}
    assert measured == {one["offer"]: one["score"] for one in ran["offers"]}
    assert [(one["team"], one["revoked_at"] is not None) for one in keys["keys"]] == [
        ("evals", True)
    ]


def test_the_cap_is_kept(tmp_path: Path) -> None:
    """What an eval spends, by the books, is never above its cap; it says that it ended early."""
    with providers(good=GOOD) as good:
        config = config_file(tmp_path, urls(good))
        run = ("eval", "run", prompts_file(tmp_path), "-c", config, "--model", "either")
        done = said(*run, "--budget-usd", "0.0004", "--json")
    assert done.exit_code == 0
    assert done.stderr.startswith("ended early: the next call may cost")
    rows = charges(config)
    assert 0 < sum(row.effective for row in rows) <= 400_000
    assert len(rows) == json.loads(done.stdout)["offers"][0]["prompts"] < 40


def test_nothing_graded(tmp_path: Path) -> None:
    """A script sees that there are no scores."""
    with providers(good=GOOD) as good:
        config = config_file(tmp_path, urls(good))
        run = ("eval", "run", prompts_file(tmp_path), "-c", config, "--budget-usd", "0.000001")
        done = said(*run, "--json")
    assert (done.exit_code, json.loads(done.stdout)["offers"]) == (1, [])


def test_a_floor_that_few_prompts_do_not_reach(tmp_path: Path) -> None:
    """All answers are right, and still nobody is sure to be that good: who runs it is told what
    that does."""
    with providers(good=GOOD) as good:
        config = config_file(tmp_path, urls(good))
        floor = "any_of: [oak], quality: {benchmark: ours, at_least: 0.999}"
        config.write_text(config.read_text().replace("any_of: [oak]", floor))
        done = said("eval", "run", prompts_file(tmp_path), "-c", config)
    assert done.exit_code == 0
    assert done.stderr.startswith("either: every request is refused now: it wants 0.999")


async def test_beside_a_server(tmp_path: Path) -> None:
    """A proxy that has the books open already is asked, with a new key that it comes to know."""
    async with SandboxProvider(GOOD) as good:
        config = config_file(tmp_path, {"good": good.base_url})
        prompts = prompts_file(tmp_path)
        async with processes.serve(config) as server:
            run = ("eval", "run", prompts, "-c", config, "--url", server.base_url)
            ran = await processes.told(*run)
    assert ran["offers"][0]["score"] == 1.0


async def test_what_was_paid_for_is_kept(tmp_path: Path) -> None:
    """Ctrl-C ends a run; what had been answered until then is graded, kept and told."""
    async with SandboxProvider(GOOD) as good:
        config = config_file(tmp_path, {"good": good.base_url})
        run = ("eval", "run", prompts_file(tmp_path), "-c", config, "--repeat", "100", "--json")
        process = await asyncio.create_subprocess_exec(
            processes.SCRIPT, *run, stdout=PIPE, stderr=PIPE
        )
        while good.tally.requests < 100:  # noqa: ASYNC110 - nothing here tells of each
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "ended early: interrupted\n")
    (told_of,) = json.loads(out)["offers"]
    assert told_of["score"] == 1.0
    shown = await asyncio.to_thread(told, "eval", "show", "-c", config)
    assert shown["benchmarks"][0]["offers"][0]["cost_usd"] == told_of["cost_usd"]


def test_a_drop_of_quality(tmp_path: Path) -> None:
    """An offer that becomes worse is found by its next run: `show --check` exits with 1, and says
    by how much. One that stays as it is raises no alarm."""
    with providers(good=GOOD) as good:
        config = config_file(tmp_path, urls(good))
        run = ("eval", "run", prompts_file(tmp_path), "-c", config)
        for _ in range(2):
            told(*run)
        before = said("eval", "show", "-c", config, "--check")
        good["good"].behaviour = BAD
        told(*run)
    after = said("eval", "show", "-c", config, "--check")
    as_json = json.loads(said("eval", "show", "-c", config, "--check", "--json").stdout)
    assert (before.exit_code, "quality_drop" in before.stdout) == (0, False)
    assert after.exit_code == 1
    assert f"quality_drop: good/{UPSTREAM_MODEL}: 1.000 ->" in after.stdout
    alarms = {one["against"]: one for one in as_json["benchmarks"][0]["alarms"]}
    assert 0.4 < alarms["its past"]["drop"] < 0.8
    assert alarms["its past"]["p"] < 0.001


@pytest.mark.parametrize(
    ("words", "line", "why"),
    [
        (("--offers", "elm/elm"), None, "there is no offer elm/elm to be measured"),
        (("--model", "elm"), None, "there is no model elm"),
        (("--url", "http://127.0.0.1:9/v1"), None, "does not answer"),
        (("--benchmark", "a b"), None, "use letters, digits"),
        ((), {"id": "one", "prompt": "a"}, "prompts.jsonl:41: "),
        ((), {"id": "sum-0", "prompt": "a", "grader": {"kind": "regex", "pattern": "a"}}, "line 1"),
        (
            (),
            {
                "id": "one",
                "prompt": "a",
                "grader": {"kind": "judge", "model": "elm", "rubric": "is it right?"},
            },
            "prompt one: its grader asks elm",
        ),
    ],
)
def test_what_cannot_be_asked(
    tmp_path: Path, words: tuple[str, ...], line: Mapping[str, Any] | None, why: str
) -> None:
    """Offers that there are not, judges that are not configured and lines that are no prompts are
    refused, before anything is asked."""
    config = config_file(tmp_path, {"good": processes.NOWHERE["a"]})
    prompts = prompts_file(tmp_path, *([] if line is None else [line]))
    done = said("eval", "run", prompts, "-c", config, *words)
    assert done.exit_code in (1, 2)
    assert why in done.stderr


def test_the_judge_s_prompts_are_published() -> None:
    """docs/evals.md has them word for word."""
    page = (Path(__file__).parents[2] / "docs" / "evals.md").read_text(encoding="utf-8")
    assert f"```text\n{SCALE_PROMPT}\n```" in page
    assert f"```text\n{COMPARE_PROMPT}\n```" in page

"""`hedgerow eval train`: from a file of outcomes to a predictor with its verdict."""

from __future__ import annotations

import json
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

from benchmarks.predictor.predictor import load_predictor
from hedgerow.commands.check import check
from hedgerow.commands.eval_train import train
from hedgerow.errors import NotFound
from ledger.money import as_usd
from tests.benchmarks.predictor.synthetic import STRONG, WEAK, outcomes

CONFIG = """
providers:
  here: {dialect: openai, base_url: http://127.0.0.1:9, api_key: k}
models:
  weak: {offers: [{provider: here, model: w, price: {input: 1, output: 1}}]}
  strong: {offers: [{provider: here, model: s, price: {input: 9, output: 9}}]}
  both: {any_of: [weak, strong]}
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The configuration, and outcomes without costs of the strong model."""
    config, graded = tmp_path / "hedgerow.yaml", tmp_path / "outcomes.jsonl"
    config.write_text(CONFIG)
    lines = [
        {
            "prompt_id": one.prompt_id,
            "prompt": one.prompt,
            "task": "chat",
            "model": one.model,
            "score": one.score,
            "cost_usd": as_usd(one.cost) if one.cost and one.model == WEAK else None,
        }
        for one in outcomes(300, seed=1)
    ]
    encode = msgspec.json.Encoder(decimal_format="number").encode
    graded.write_bytes(b"\n".join(map(encode, lines)))
    return config, graded


def test_it_writes_a_predictor_and_says_its_verdict(files: tuple[Path, Path]) -> None:
    """The same in the file, on the terminal and as JSON."""
    config, graded = files
    to = config.parent / "predictor.json"
    asked = [str(graded), "-c", str(config), "--class", "both", "-o", str(to)]
    asked += ["--cost", f"{STRONG}=0.001"]
    told = CliRunner().invoke(train, asked, catch_exceptions=False)
    assert told.exit_code == 0
    predictor = load_predictor(to)
    evidence = predictor.evidence
    assert predictor.vocabulary.tasks == ()  # no request says its task
    assert evidence.verdict.is_on
    assert f"on: {evidence.verdict.reason}" in told.output
    assert "300 prompts, 300 of them distinct" in told.output
    as_json = CliRunner().invoke(train, [*asked, "--json"], catch_exceptions=False)
    assert json.loads(as_json.output)["evidence"]["verdict"]["is_on"] is True


def test_the_class_that_uses_it(files: tuple[Path, Path]) -> None:
    """`check` fails without the file, as a server would; training it does not. It says so where the
    predictor chooses nothing."""
    config, graded = files
    to = config.parent / "predictor.json"
    its = f"any_of: [weak, strong], choose_by_prompt: {{predictor: {to.name}, worth_usd: 0.01}}"
    config.write_text(CONFIG.replace("any_of: [weak, strong]", its))

    def checked() -> tuple[int, str]:
        done = CliRunner().invoke(check, ["-c", str(config)], catch_exceptions=False)
        return done.exit_code, done.stderr

    code, said = checked()
    assert (code, said.count("\n")) == (1, 1)
    assert f"{config}:7: models.both.choose_by_prompt.predictor: {to}: cannot be read" in said
    asked = [str(graded), "-c", str(config), "--class", "both", "-o", str(to)]
    trained = CliRunner().invoke(train, [*asked, "--cost", f"{STRONG}=0.001"])
    assert (trained.exit_code, checked()) == (0, (0, ""))
    others = CONFIG.replace("strong: {offers", "other: {offers")
    config.write_text(others.replace("any_of: [weak, strong]", its.replace("strong", "other")))
    code, said = checked()
    assert code == 0
    assert "chooses nothing: it knows " in said


def test_only_a_class_is_trained(files: tuple[Path, Path]) -> None:
    """A model alone offers no choice."""
    config, graded = files
    asked = [str(graded), "-c", str(config), "-o", str(config.parent / "p.json")]
    with pytest.raises(NotFound, match="weak is one model, no class"):
        CliRunner().invoke(train, [*asked, "--class", "weak"], catch_exceptions=False)


def test_a_cost_that_is_none_is_refused(files: tuple[Path, Path]) -> None:
    """As a wrong use of the option."""
    config, graded = files
    asked = [str(graded), "-c", str(config), "-o", str(config.parent / "p.json")]
    for wrong in ("strong", "strong=cheap", "=1", "strong=-1"):
        told = CliRunner().invoke(train, [*asked, "--class", "both", "--cost", wrong])
        assert told.exit_code == click.UsageError.exit_code
        assert "--cost" in told.output

"""`hedgerow eval train`: learn which model of a class suffices for which prompt."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.predictor.outcomes import read_outcomes, tabulated
from benchmarks.predictor.predictor import Predictor
from benchmarks.predictor.training import train as trained
from hedgerow.config import load_config
from hedgerow.errors import FolderRefused, NotFound
from hedgerow.printing import config_option, json_option, print_json, table
from ledger.errors import NotMoney
from ledger.money import Money, usd


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="OUTCOMES.jsonl…",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@config_option
@click.option("--class", "name", required=True, metavar="NAME", help="The class of models.")
@click.option(
    "-o",
    "--output",
    "to",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the predictor is written, as JSON.",
)
@click.option(
    "--cost",
    "costs",
    multiple=True,
    metavar="MODEL=USD",
    help="What one answer of a model costs, where the outcomes do not say it.",
)
@click.option(
    "--benchmark", default="ours", show_default=True, help="What these prompts are called."
)
@json_option
def train(
    files: tuple[Path, ...],
    path: Path,
    name: str,
    to: Path,
    costs: tuple[str, ...],
    benchmark: str,
    as_json: bool,
) -> None:
    """Learn from graded answers which model suffices for a prompt; say if that is of any use.

    OUTCOMES.jsonl is what `hedgerow eval run` writes: one answer per line with prompt_id, prompt,
    task, model, score and cost_usd. The predictor is used by a class that names its file, and only
    if cross-validation is sure that it gains something.
    """
    config = load_config(path, os.environ)
    members = config.model(name).any_of
    if not members:
        raise NotFound(f"{name} is one model, no class: name one that has any_of in {path}")
    # No request says what its task is: what is learned must not lean on it.
    outcomes = [replace(one, task=None) for file in files for one in read_outcomes(file)]
    predictor = trained(
        tabulated(outcomes, members, _costs(costs)), benchmark, datetime.now(UTC).date()
    )
    try:
        predictor.save(to)
    except OSError as error:
        raise FolderRefused(f"{to}: cannot be written ({error.strerror})") from None
    _show(predictor, to, as_json)


def _costs(written: tuple[str, ...]) -> Mapping[str, Money]:
    costs = {}
    for one in written:
        model, _, amount = one.rpartition("=")
        try:
            costs[model] = usd(amount)
        except NotMoney as error:
            raise click.BadParameter(str(error), param_hint="--cost") from None
        if not model or costs[model] < 0:
            raise click.BadParameter(f"{one}: write MODEL=USD", param_hint="--cost")
    return costs


def _show(predictor: Predictor, to: Path, as_json: bool) -> None:
    seen = predictor.evidence
    if as_json:
        print_json({"file": str(to), "evidence": seen})
        return
    click.echo(
        table(
            ("model", "right", "a call", "log loss", "of the mean alone"),
            [
                (
                    one.model,
                    f"{one.accuracy:.1%}",
                    f"${one.mean_cost_usd:.6f}",
                    f"{one.log_loss:.4f}",
                    f"{one.log_loss_of_mean:.4f}",
                )
                for one in seen.fits
            ],
        )
    )
    left_out = f"; {seen.incomplete} that not all answered" if seen.incomplete else ""
    click.echo(f"{seen.prompts} prompts, {seen.distinct} of them distinct{left_out}")
    click.echo(f"{'on' if seen.verdict.is_on else 'off'}: {seen.verdict.reason}")
    click.echo(f"written to {to}")

"""`hedgerow simulate`: a trace through your own configuration, without your providers."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from benchmarks.trace import TraceRow, read_trace
from hedgerow.app import running
from hedgerow.arguments import LABEL, Ratio
from hedgerow.commands.ledger import audit_line
from hedgerow.commands.rehearsals import progress, rehearsed_json, rehearsed_lines
from hedgerow.config import Config, load_config
from hedgerow.loops import run
from hedgerow.printing import config_option, json_option, print_json
from hedgerow.rehearsal import Rehearsed, rehearse, sandbox_instead, team_key
from proxy.clock import SystemClock


@click.command()
@config_option
@click.option(
    "--trace",
    type=click.Path(path_type=Path),
    required=True,
    help="A CSV with t_seconds, input_tokens, output_tokens; .gz too.",
)
@click.option("--model", help="What is asked for. [default: the first model]")
@click.option("--rows", type=click.IntRange(1), help="Only so many requests of the trace.")
@click.option(
    "--speedup",
    type=Ratio(min=0.001),
    default=10.0,
    show_default=True,
    help="How many times faster than it happened.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(1),
    default=4096,
    show_default=True,
    help="What its clients allow for an answer.",
)
@click.option(
    "--team", type=LABEL, default="simulation", show_default=True, help="Whose budgets apply."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of everything random.")
@json_option
def simulate(
    path: Path,
    trace: Path,
    model: str | None,
    rows: int | None,
    speedup: float,
    max_tokens: int,
    team: str,
    seed: int,
    as_json: bool,
) -> None:
    """Replay a trace through this configuration, without your providers.

    Its offers, prices, routing and budgets are the real ones.

    Sandbox providers on this machine stand in for the others, and the books are new and
    temporary: nothing is spent, and your own books are not touched.
    """
    config = load_config(path, os.environ)
    wanted = model or next(iter(config.models))
    config.model(wanted)
    requests = read_trace(trace)[:rows]
    with tempfile.TemporaryDirectory(prefix="hedgerow-") as folder:
        own_books = replace(config.ledger, path=Path(folder) / "simulation.db")
        own_files = replace(config.files, path=Path(folder) / "files")
        apart = replace(config, ledger=own_books, files=own_files)
        rehearsed = run(
            _simulate(apart, requests, wanted, speedup, max_tokens, team, seed, quiet=as_json)
        )
    if as_json:
        print_json(rehearsed_json(rehearsed))
    else:
        click.echo("\n".join([*rehearsed_lines(rehearsed), "", audit_line(rehearsed.audit)]))


async def _simulate(
    written: Config,
    requests: list[TraceRow],
    model: str,
    speedup: float,
    max_tokens: int,
    team: str,
    seed: int,
    *,
    quiet: bool,
) -> Rehearsed:
    key = team_key(written, team, SystemClock())
    async with (
        sandbox_instead(written, seed) as config,
        running(config, port=0) as server,
    ):
        return await rehearse(
            config,
            server.base_url,
            requests,
            keys=[key],
            model=model,
            speedup=speedup,
            max_tokens=max_tokens,
            seed=seed,
            on_progress=None if quiet else progress(),
        )

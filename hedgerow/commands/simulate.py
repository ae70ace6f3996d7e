"""`hedgerow simulate`: your own history against other budgets, or a trace through a configuration,
without your providers."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from benchmarks.trace import TraceRow, read_trace
from hedgerow.app import running
from hedgerow.arguments import LABEL, MOMENT, Ratio
from hedgerow.books import books
from hedgerow.commands.ledger import audit_line
from hedgerow.commands.rehearsals import progress, rehearsed_json, rehearsed_lines
from hedgerow.commands.simulated import simulated_json, simulated_lines
from hedgerow.config import Config, load_config
from hedgerow.loops import run
from hedgerow.printing import config_option, json_option, print_json
from hedgerow.rehearsal import Rehearsed, rehearse, sandbox_instead, team_key
from ledger.money import MAX_NANOS
from ledger.simulation.past import PastAttempt, past_attempts
from ledger.simulation.simulate import Simulation, counted_since_ns
from ledger.simulation.simulate import simulate as simulate_past
from proxy.clock import SystemClock

SHOWN_EVERY = 10_000


@click.command()
@config_option
@click.option(
    "--policy",
    "policies",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="A policy file in the place of those that the configuration names; more than once.",
)
@click.option("--from", "since", type=MOMENT, help="History from this day on (UTC).")
@click.option("--to", "until", type=MOMENT, help="History before this day (UTC).")
@click.option(
    "--trace",
    type=click.Path(path_type=Path),
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
@click.pass_context
def simulate(
    context: click.Context,
    path: Path,
    policies: tuple[Path, ...],
    since: int | None,
    until: int | None,
    trace: Path | None,
    model: str | None,
    rows: int | None,
    speedup: float,
    max_tokens: int,
    team: str,
    seed: int,
    as_json: bool,
) -> None:
    """Say what other budgets would have done, or replay a trace.

    With --policy: what has been asked of Hedgerow so far, as its books have it, against the
    budgets of that file. It says what would have been refused, sent to the cheapest offer and
    saved. Budgets that were made with keys stay.

    With --trace: a trace through this configuration, without your providers. Its offers, prices,
    routing and budgets (those of --policy, if it is given) are the real ones. Sandbox providers on
    this machine stand in for the others, and the books are new and temporary: nothing is spent, and
    your own books are not touched.
    """
    config = load_config(path, os.environ, policies or None)
    if trace is None:
        _refuse_options(context, _OF_A_TRACE, "needs --trace")
        if not policies:
            raise click.UsageError("say what is to be simulated: --policy FILE, --trace FILE")
        if since is not None and until is not None and since >= until:
            raise click.BadParameter("it is not after --from", param_hint="--to")
        found = _history(config, since or 0, MAX_NANOS if until is None else until)
        if as_json:
            print_json(simulated_json(found))
        else:
            click.echo("\n".join(simulated_lines(found)))
        return
    _refuse_options(context, ("since", "until"), "is for history: take --trace out")
    wanted = model or next(iter(config.models))
    config.model(wanted)
    requests = read_trace(trace)[:rows]
    with tempfile.TemporaryDirectory(prefix="hedgerow-") as folder:
        own_books = replace(
            config.ledger,
            url="",
            path=Path(folder) / "simulation.db",
            journals=Path(folder) / "simulation.journal",
        )
        own_files = replace(config.files, path=Path(folder) / "files")
        apart = replace(config, ledger=own_books, files=own_files)
        rehearsed = run(
            _simulate(apart, requests, wanted, speedup, max_tokens, team, seed, quiet=as_json)
        )
    if as_json:
        print_json(rehearsed_json(rehearsed))
    else:
        click.echo("\n".join([*rehearsed_lines(rehearsed), "", audit_line(rehearsed.audit)]))


_OF_A_TRACE = ("model", "rows", "speedup", "max_tokens", "team", "seed")


def _refuse_options(context: click.Context, names: Collection[str], why: str) -> None:
    for one in context.command.params:
        source = context.get_parameter_source(one.name or "")
        if one.name in names and source is ParameterSource.COMMANDLINE:
            raise click.BadParameter(why, param=one)


def _history(config: Config, since_ns: int, until_ns: int) -> Simulation:
    """What the books have, against the budgets of a configuration and those made by API."""
    with books(config, create=False) as store, store.view():
        rules = config.rules()
        budgets = (*rules.budgets, *store.policy.budgets())
        raises = (*rules.raises, *store.policy.raises())
        past = past_attempts(store.sql, counted_since_ns(budgets, since_ns), until_ns)
        return simulate_past(_shown(past), budgets, raises, since_ns)


def _shown(past: Iterator[PastAttempt]) -> Iterator[PastAttempt]:
    """A running count on a terminal; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield from past
        return
    number = 0
    for number, one in enumerate(past, start=1):
        if number % SHOWN_EVERY == 0:
            click.echo(f"\r  {number:,} attempts", err=True, nl=False)
        yield one
    if number >= SHOWN_EVERY:
        click.echo(err=True)


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
            server,
            requests,
            keys=[key],
            model=model,
            speedup=speedup,
            max_tokens=max_tokens,
            seed=seed,
            on_progress=None if quiet else progress(),
        )

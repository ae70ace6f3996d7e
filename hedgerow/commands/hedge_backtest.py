"""`hedgerow hedge backtest`: what the program would have cost, beside simpler rules."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hedgerow.arguments import USD
from hedgerow.config import load_config
from hedgerow.printing import json_option, print_json, table
from ledger.money import NANOS_PER_USD, Money

if TYPE_CHECKING:
    from hedge.backtest.contest import Contest, Played
    from hedge.contracts.capacity import ThroughputReservation
    from hedge.contracts.contract import Contract
    from hedge.scenarios.history import DemandHistory

WIDTH = 100
PLANNED_MONTHS = 6
"""That the program looks ahead, or as long as the longest term."""


class _NeedsMore(click.ClickException):
    exit_code = 2


@click.command()
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration, hedgerow.yaml: its ledger and its contracts.",
)
@click.option("--demo", is_flag=True, help="On the bundled sample, which is simulated.")
@click.option("--contract", metavar="NAME", help="Which contract. [default: the first that serves]")
@click.option(
    "--paths", type=click.IntRange(2, 500), default=20, show_default=True, help="Drawn histories."
)
@click.option(
    "--months",
    "length",
    type=click.IntRange(1, 24),
    default=6,
    show_default=True,
    help="How long each goes on.",
)
@click.option(
    "--cap-usd",
    "cap",
    type=USD,
    help="The cap of each month, in the pictures. [default: what 9 of 10 months cost unhedged]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=1,
    show_default=True,
    help="Of paths and scenarios: equal seeds give equal tables.",
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Draw the fan, the frontier and the exceedances there, as SVG.",
)
@json_option
def backtest(
    path: Path | None,
    demo: bool,
    contract: str | None,
    paths: int,
    length: int,
    cap: Money | None,
    seed: int,
    pictures: Path | None,
    as_json: bool,
) -> None:
    """Try the program and simpler rules on months like your own.

    Each path is the history and then weeks of it, drawn anew; every rule lives through it without
    seeing what comes, with the same forecasts and the same contract, and is billed exactly. One
    throughput reservation is tried at a time. Nothing is bought by it.
    """
    if demo == (path is not None):
        raise _NeedsMore(
            "say what to try it on: -c FILE for your own ledger and contracts, or --demo for the"
            " bundled sample, not both"
        )
    from hedge.backtest.contest import contest
    from hedge.backtest.forecast import Forecast
    from hedge.backtest.own import own_offer, own_paths
    from hedge.backtest.walk import Walk
    from hedge.errors import HedgeError  # numpy and cvxpy, which take a second to import

    try:
        label, history, contracts = _inputs(path)
        chosen = _chosen(contract, contracts, history)
        terms = sorted(price.months for price in chosen.prices if price.months <= length)
        if not terms:
            raise click.ClickException(
                f"the shortest term of {chosen.name} is longer than {length} months: say --months"
            )
        forecast = Forecast(seed=seed, months=max(PLANNED_MONTHS, *terms))
        walks = [
            Walk(one, lambda path, _: own_offer(chosen, path), forecast)
            for one in own_paths(history, chosen, paths=paths, months=length, seed=seed)
        ]
        found = contest(walks, terms, seed=seed)
    except HedgeError as error:
        raise click.ClickException(str(error)) from error
    told = _told(found, chosen.name, label)
    if as_json:
        print_json(told)
    else:
        head = f"{label} Contract {chosen.name}, {paths} paths of {length} months."
        click.echo("\n".join([*textwrap.wrap(head, WIDTH), "", *_lines(told)]))
    if pictures is not None:
        _draw(found, cap, pictures)


def _inputs(path: Path | None) -> tuple[str, DemandHistory, Sequence[Contract]]:
    """What to say of it, the history, and the contracts."""
    if path is None:
        from hedge.planning.sample import sample

        bundled = sample()
        return bundled.label, bundled.history, bundled.contracts
    from hedge.scenarios.forecast import forecast
    from hedgerow.books import books
    from hedgerow.hedging import offered
    from hedgerow.market.last_good import known_prices
    from hedgerow.market.offers import quoted_offers

    config = load_config(path, os.environ)
    at = datetime.now(UTC)
    what = offered(config, at)
    with books(config, create=False) as store:
        quoted = quoted_offers(config, known_prices(config, at), at)
        history = forecast(store.sql, at, quoted, workloads=what.workloads).history
    label = f"Weeks of your own {history.days} days up to {history.until:%Y-%m-%d}, drawn anew."
    return label, history, what.contracts


def _chosen(
    name: str | None, contracts: Sequence[Contract], history: DemandHistory
) -> ThroughputReservation:
    from hedge.backtest.own import backtestable
    from hedge.contracts.capacity import ThroughputReservation

    tried = [
        one
        for one in contracts
        if isinstance(one, ThroughputReservation) and backtestable(one, history)
    ]
    for one in tried:
        if name in (None, one.name):
            return one
    can = ", ".join(one.name for one in tried) or "none of the contracts"
    raise click.ClickException(
        f"{'nothing can' if name is None else f'{name} cannot'} be tried: it takes a throughput"
        f" reservation that serves a model that was used; {can} can"
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """One rule. of_never, program_less_it: in parts of what never reserving costs on average."""

    rule: str
    mean_usd: float
    cvar_usd: float
    worst_usd: float
    of_never: float
    used: float
    program_less_it: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Told:
    label: str
    contract: str
    paths: int
    clairvoyant_usd: float
    regret: float
    rules: tuple[_Row, ...]


def _told(found: Contest, contract: str, label: str) -> _Told:
    shown = [*found.frontier, *sorted(found.families(), key=lambda one: one.mean_usd)]
    return _Told(
        label,
        contract,
        found.paths,
        round(float(found.clairvoyant_usd.mean()), 2),
        round(found.regret, 4),
        tuple(_row(found, one) for one in shown),
    )


def _row(found: Contest, one: Played) -> _Row:
    gap = found.compared(one)
    low, high = gap.mean_interval
    return _Row(
        one.name,
        round(one.mean_usd, 2),
        round(one.cvar_usd, 2),
        round(float(one.usd.max()), 2),
        round(one.mean_usd / found.never.mean_usd, 4),
        round(one.used, 4),
        round(gap.mean, 4),
        (round(low, 4), round(high, 4)),
    )


def _lines(told: _Told) -> list[str]:
    rows = [
        (
            row.rule,
            f"{row.mean_usd:,.0f}",
            f"{row.of_never:.1%}",
            f"{row.cvar_usd:,.0f}",
            f"{row.worst_usd:,.0f}",
            f"{row.used:.0%}",
            f"{row.program_less_it:+.1%} ({row.interval[0]:+.1%} to {row.interval[1]:+.1%})",
        )
        for row in told.rules
    ]
    heads = ("rule", "mean USD", "of never", "CVaR95", "worst", "used", "program less it")
    return [
        table(heads, rows),
        "",
        f"Knowing all: {told.clairvoyant_usd:,.0f} USD; the program is {told.regret:.1%} above it.",
        *textwrap.wrap(
            "CVaR95 is the mean of the worst 5% of paths. Rules with a term length stand with the"
            " one that was best in hindsight. The last column is in parts of what never reserving"
            " costs, with the middle 95% of paired differences.",
            WIDTH,
        ),
    ]


def _draw(found: Contest, cap: Money | None, folder: Path) -> None:
    import numpy as np

    from hedge.backtest.pictures import draw

    usual = float(np.quantile(found.never.months_usd, 0.9))
    for path in draw(found, usual if cap is None else cap / NANOS_PER_USD, folder):
        click.echo(f"{path}", err=True)

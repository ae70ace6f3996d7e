"""`hedgerow hedge plan`: which contracts to hold, and why."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hedgerow.arguments import LABEL, USD, Ratio
from hedgerow.books import books
from hedgerow.config import Config, load_config
from hedgerow.printing import json_bytes, json_option, print_json
from ledger.money import Money

if TYPE_CHECKING:
    from hedge.contracts.contract import CapacityContract, DerivativeContract
    from hedge.planning.plan import HedgePlan

WIDTH = 100


class _NeedsMore(click.ClickException):
    exit_code = 2


@click.command()
@click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration, hedgerow.yaml: its ledger, its contracts, its market.",
)
@click.option("--demo", is_flag=True, help="Plan for the bundled sample, which is simulated.")
@click.option(
    "--cap-usd",
    "cap",
    type=USD,
    help="The cap of each month. [default: the budget for everything of a month; the sample's]",
)
@click.option(
    "--confidence",
    type=Ratio(0.5, 0.99),
    default=0.95,
    show_default=True,
    help="The mean of the months worse than this stays under the cap (CVaR).",
)
@click.option(
    "--months",
    "length",
    type=click.IntRange(1, 24),
    default=12,
    show_default=True,
    help="How many months are planned.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=1,
    show_default=True,
    help="Of the scenarios: equal seeds give equal plans.",
)
@click.option("--save", "is_saved", is_flag=True, help="Keep it in the books, for approval; --by.")
@click.option("--by", "who", type=LABEL, help="Who made the plan: a second person approves it.")
@json_option
def plan(
    path: Path | None,
    demo: bool,
    cap: Money | None,
    confidence: float,
    length: int,
    seed: int,
    is_saved: bool,
    who: str | None,
    as_json: bool,
) -> None:
    """Say how many units of each contract to hold, and why.

    Nothing is bought by it, and nothing is sent anywhere. Exit code 0: a plan, checked. 1: no plan,
    or a cap that no holding can promise, with the reason on stderr; with --json the plan that
    overruns it least is printed all the same.
    """
    if demo == (path is not None):
        raise _NeedsMore(
            "say what to plan for: -c FILE for your own ledger and contracts, or --demo for the"
            " bundled sample, not both"
        )
    if is_saved and (path is None or who is None):
        raise _NeedsMore("--save keeps a plan in the books: it needs -c FILE, and --by NAME")
    from hedge.errors import HedgeError  # numpy and cvxpy, which take a second to import
    from hedge.planning.planning import plan_months
    from hedge.planning.sample import sample
    from hedgerow.commands.hedge_planned import plan_lines
    from hedgerow.plan_question import of_config, of_sample

    label: str | None = None
    config: Config | None = None
    try:
        if path is None:
            bundled = sample()
            label = bundled.label
            asked = of_sample(bundled, cap, confidence=confidence, months=length, seed=seed)
        else:
            config = load_config(path, os.environ)
            asked = of_config(
                config, cap, datetime.now(UTC), confidence=confidence, months=length, seed=seed
            )
        planned = plan_months(asked)
    except HedgeError as error:
        raise click.ClickException(str(error)) from error
    if is_saved and config is not None and who is not None:
        click.echo(f"kept as {_keep(config, planned, asked.contracts, who)}", err=True)
    if as_json:
        print_json(planned)
    elif planned.message is None:
        shown = [] if label is None else [*textwrap.wrap(label, WIDTH), ""]
        click.echo("\n".join([*shown, *plan_lines(planned)]))
    if planned.message is not None:
        raise click.ClickException(planned.message)


def _keep(
    config: Config,
    planned: HedgePlan,
    contracts: Sequence[CapacityContract | DerivativeContract],
    who: str,
) -> str:
    """The id under which `hedgerow hedge approve` finds it."""
    from hedge.book.approving import keep
    from hedge.book.book import HedgeBook

    with books(config, create=False) as store, store.transaction():
        book = HedgeBook(store.sql, time.time_ns())
        return keep(book, json_bytes(planned), contracts, who).id

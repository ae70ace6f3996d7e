"""`hedgerow hedge approve`: a second person's word that a plan may be bought."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from hedgerow.arguments import LABEL
from hedgerow.books import books
from hedgerow.config import load_config
from hedgerow.printing import config_option, iso, json_option, moment, print_json


@click.command()
@config_option
@click.argument("plan")
@click.option("--by", "who", type=LABEL, required=True, help="Who approves: not who made the plan.")
@click.option("--note", type=LABEL, help="What is said with it; it is kept.")
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    default=14,
    show_default=True,
    help="For how long fills may be made of it.",
)
@click.option("--withdraw", is_flag=True, help="From now on no fills may be made of it.")
@json_option
def approve(
    path: Path, plan: str, who: str, note: str | None, days: int, withdraw: bool, as_json: bool
) -> None:
    """Let a kept plan be bought, or withdraw that.

    An approval names the plan by the hash of all that it says, with the terms of its contracts.
    Nothing is sent to any venue: what was bought is told with `hedgerow hedge book`.
    """
    from hedge.book.approving import approve as approved
    from hedge.book.approving import withdraw as withdrawn
    from hedge.book.book import HedgeBook

    now_ns = time.time_ns()
    with books(load_config(path, os.environ), create=False) as store, store.transaction():
        book = HedgeBook(store.sql, now_ns)
        if withdraw:
            found, until_ns = withdrawn(book, plan, who, note), now_ns
        else:
            found, until_ns = approved(book, plan, who, note, days)
    if as_json:
        print_json(
            {
                "plan": found.id,
                "sha256": found.sha256,
                "state": found.state(now_ns),
                "by": who,
                "until": iso(until_ns),
            }
        )
    elif withdraw:
        click.echo(f"{found.id} is approved no more", err=True)
    else:
        click.echo(f"{found.id} is approved until {moment(until_ns)} ({found.sha256})", err=True)

"""`hedgerow spend` and `hedgerow budget`: where the money went, and how much there is left."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from hedgerow.arguments import MOMENT
from hedgerow.books import books
from hedgerow.config import load_config
from hedgerow.printing import config_option, dollars, json_option, print_json, table
from ledger.budgets import Balance
from ledger.money import as_usd
from ledger.statements import Dimension, SpendRow, standing
from ledger.statements import spend as spent


@click.command()
@config_option
@click.option(
    "--by",
    type=click.Choice([one.value for one in Dimension]),
    default=Dimension.TEAM.value,
    show_default=True,
    help="What the rows are.",
)
@click.option("--from", "since", type=MOMENT, help="From this day on (UTC), as in 2027-01-31.")
@click.option("--to", "until", type=MOMENT, help="Before this day (UTC).")
@json_option
def spend(path: Path, by: str, since: int | None, until: int | None, as_json: bool) -> None:
    """Charged requests, their tokens and their cost."""
    if since is not None and until is not None and since >= until:
        raise click.BadParameter("it is not after --from", param_hint="--to")
    with books(load_config(path, os.environ), create=False) as store:
        found = spent(store.sql, Dimension(by), since, until)
    if as_json:
        print_json(
            {
                "rows": [{by: row.name, **_described(row)} for row in found.rows],
                "total": _described(found.total),
            }
        )
        return
    rows = [*found.rows, found.total] if len(found.rows) > 1 else list(found.rows)
    if not rows:
        click.echo("nothing has been charged in this time")
        return
    click.echo(
        table(
            (by, "requests", "tokens in", "tokens out", "cost", "at the first offer", "estimated"),
            [
                (
                    "total" if row is found.total else row.name or "(none)",
                    f"{row.requests:,}",
                    f"{row.prompt_tokens:,}",
                    f"{row.completion_tokens:,}",
                    dollars(row.cost),
                    dollars(row.first_offer),
                    f"{row.estimated:,}",
                )
                for row in rows
            ],
        )
    )


@click.group()
def budget() -> None:
    """The budgets and how they stand."""


@budget.command()
@config_option
@json_option
def status(path: Path, as_json: bool) -> None:
    """Every budget in its window of this moment."""
    config = load_config(path, os.environ)
    with books(config, create=False) as store:
        budgets = (*(one.budget() for one in config.budgets), *store.policy.budgets())
        balances = standing(store.sql, budgets, datetime.now(UTC))
    if as_json:
        print_json({"budgets": [_balance(one) for one in balances]})
        return
    if not balances:
        click.echo("there are no budgets: name policy files in the configuration")
        return
    click.echo(
        table(
            ("budget", "scope", "cap", "spent", "held", "left", "resets"),
            [
                (
                    one.account.budget,
                    one.account.scope,
                    dollars(one.account.cap),
                    dollars(one.posted),
                    dollars(one.pending),
                    dollars(one.left),
                    _reset(one),
                )
                for one in balances
            ],
        )
    )


def _described(row: SpendRow) -> dict[str, object]:
    return {
        "requests": row.requests,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "cost_usd": as_usd(row.cost),
        "first_offer_usd": as_usd(row.first_offer),
        "cheapest_usd": as_usd(row.cheapest),
        "estimated": row.estimated,
    }


def _balance(one: Balance) -> dict[str, object]:
    resets = one.account.resets_at
    return {
        "budget": one.account.budget,
        "scope": one.account.scope,
        "cap_usd": as_usd(one.account.cap),
        "spent_usd": as_usd(one.posted),
        "held_usd": as_usd(one.pending),
        "left_usd": as_usd(one.left),
        "resets_at": None if resets is None else resets.isoformat(),
    }


def _reset(one: Balance) -> str:
    resets = one.account.resets_at
    return "never" if resets is None else resets.strftime("%Y-%m-%d %H:%M UTC")

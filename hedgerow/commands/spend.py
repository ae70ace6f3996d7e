"""`hedgerow spend` and `hedgerow budget`: where the money went, and how much there is left."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import click

from hedgerow.arguments import MOMENT
from hedgerow.books import books
from hedgerow.config import load_config
from hedgerow.printing import config_option, dollars, json_option, print_json, table
from ledger.budgets import Balance
from ledger.measures import Measure
from ledger.money import Money, as_usd
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
        raises = store.policy.raises(time.time_ns())
        balances = standing(store.sql, budgets, datetime.now(UTC), raises)
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
                    *(_amount(one, of) for of in (one.account.cap, one.posted)),
                    *(_amount(one, of) for of in (one.pending, one.left)),
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
        "measure": one.account.measure.value,
        **{f"{name}{_unit(one)}": _number(one, of) for name, of in _amounts(one).items()},
        "mode": "shadow" if one.account.is_shadow else "enforce",
        "resets_at": None if resets is None else resets.isoformat(),
    }


def _amounts(one: Balance) -> dict[str, int | None]:
    return {"cap": one.account.cap, "spent": one.posted, "held": one.pending, "left": one.left}


def _unit(one: Balance) -> str:
    return f"_{one.account.measure}"


def _number(one: Balance, amount: int | None) -> Decimal | int | None:
    """In USD, or in whole numbers of what it counts; None where there is no cap."""
    if amount is None or one.account.measure is not Measure.USD:
        return amount
    return as_usd(Money(amount))


def _amount(one: Balance, amount: int | None) -> str:
    if amount is None:
        return "any"
    if one.account.measure is Measure.USD:
        return dollars(Money(amount))
    return f"{amount:,} {one.account.measure}"


def _reset(one: Balance) -> str:
    resets = one.account.resets_at
    return "never" if resets is None else resets.strftime("%Y-%m-%d %H:%M UTC")

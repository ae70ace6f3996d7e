"""`hedgerow spend` and `hedgerow budget`: where the money went, and how much there is left."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from hedgerow.arguments import LOCAL_MOMENT, ZONE, nanos
from hedgerow.books import books
from hedgerow.commands.budgets import add, list_budgets, raise_, remove
from hedgerow.config import load_config
from hedgerow.printing import config_option, dollars, json_option, print_json, table
from ledger.budgets import Balance
from ledger.measures import Measure
from ledger.money import Money, as_usd
from ledger.rollups import NANOS_PER_S
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
@click.option("--from", "since", type=LOCAL_MOMENT, help="From this day on, as in 2027-01-31.")
@click.option("--to", "until", type=LOCAL_MOMENT, help="Before this day.")
@click.option(
    "--timezone",
    "zone",
    type=ZONE,
    default="UTC",
    show_default=True,
    help="Where days begin, as in Europe/Berlin: for --by day, and for --from and --to.",
)
@json_option
def spend(
    path: Path,
    by: str,
    since: datetime | None,
    until: datetime | None,
    zone: ZoneInfo,
    as_json: bool,
) -> None:
    """Charged requests, their tokens and their cost."""
    first_ns, last_ns = (None if at is None else nanos(at, zone) for at in (since, until))
    if first_ns is not None and last_ns is not None and first_ns >= last_ns:
        raise click.BadParameter("it is not after --from", param_hint="--to")
    with books(load_config(path, os.environ), create=False) as store:
        found = spent(store.sql, Dimension(by), first_ns, last_ns, zone)
    if as_json:
        print_json(
            {
                "rows": [{by: row.name, **_described(row)} for row in found.rows],
                "total": _described(found.total),
                "from": _at(found.since_ns, zone),
                "to": _at(found.until_ns, zone),
            }
        )
        return
    if (found.since_ns, found.until_ns) != (first_ns, last_ns):
        first, last = _at(found.since_ns, zone), _at(found.until_ns, zone)
        click.echo(
            "of this time there are only sums of days, or of quarters of an hour: counted is"
            f" {first or 'the beginning'} to {last or 'now'}",
            err=True,
        )
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


for _command in (list_budgets, add, remove, raise_):
    budget.add_command(_command)


@budget.command()
@config_option
@json_option
def status(path: Path, as_json: bool) -> None:
    """Every budget in its window of this moment."""
    config = load_config(path, os.environ)
    with books(config, create=False) as store:
        budgets = (*(one.budget() for one in config.budgets), *store.policy.budgets())
        raises = (*config.raises, *store.policy.raises(time.time_ns()))
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


def _at(at_ns: int | None, zone: ZoneInfo) -> str | None:
    """None for no limit."""
    if at_ns is None:
        return None
    at = datetime.fromtimestamp(at_ns // NANOS_PER_S, zone)
    return at.isoformat(timespec="seconds")


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

"""`hedgerow spend` and `hedgerow budget`: where the money went, and how much there is left."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from hedgerow.arguments import LOCAL_MOMENT, ZONE, nanos
from hedgerow.books import books
from hedgerow.commands.budgets import add, amount_text, list_budgets, lower, raise_, remove
from hedgerow.config import load_config
from hedgerow.printing import config_option, dollars, json_option, limits_option, print_json, table
from ledger.budgets import Balance
from ledger.measures import Measure
from ledger.money import Money, as_usd
from ledger.statements import Dimension, SpendRow, spend_per, standing
from ledger.statements import spend as spent
from ledger.tables.policy import name_told
from ledger.tables.rollups import NANOS_PER_S
from ledger.windows import Window


@click.command()
@config_option
@click.option(
    "--by",
    type=click.Choice([one.value for one in Dimension]),
    default=Dimension.TEAM.value,
    show_default=True,
    help="What the rows are.",
)
@click.option(
    "--per",
    type=click.Choice([Window.DAY.value, Window.WEEK.value, Window.MONTH.value]),
    help="The rows of each such time by itself; weeks begin on Monday.",
)
@click.option(
    "--from", "since", type=LOCAL_MOMENT, help="From this day on, as in 2027-01-31 or 2027-01."
)
@click.option("--to", "until", type=LOCAL_MOMENT, help="Before this day.")
@click.option(
    "--timezone",
    "zone",
    type=ZONE,
    default="UTC",
    show_default=True,
    help="Where days begin, as in Europe/Berlin: for days, weeks and months, --from and --to.",
)
@json_option
def spend(
    path: Path,
    by: str,
    per: str | None,
    since: datetime | None,
    until: datetime | None,
    zone: ZoneInfo,
    as_json: bool,
) -> None:
    """Charged requests, their tokens and their cost."""
    first_ns, last_ns = (None if at is None else nanos(at, zone) for at in (since, until))
    if first_ns is not None and last_ns is not None and first_ns >= last_ns:
        raise click.BadParameter("it is not after --from", param_hint="--to")
    if per is not None and by == Dimension.DAY:
        raise click.BadParameter("rows of days are per day already", param_hint="--per")
    dimension = Dimension(by)
    rows: list[tuple[tuple[str | None, ...], SpendRow]]
    with books(load_config(path, os.environ), create=False) as store:
        if per is None:
            found = spent(store.sql, dimension, first_ns, last_ns, zone)
            rows = [((row.name,), row) for row in found.rows]
        else:
            periods, found = spend_per(store.sql, dimension, Window(per), first_ns, last_ns, zone)
            rows = [((period.name, row.name), row) for period in periods for row in period.rows]
        called = store.policy.names(by, {row.name for _, row in rows})
    names = (by,) if per is None else (per, by)
    if as_json:
        print_json(
            {
                "rows": [
                    {
                        **dict(zip(names, named, strict=True)),
                        **_described(row),
                        **name_told(by, row.name, called),
                    }
                    for named, row in rows
                ],
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
    if not rows:
        click.echo("nothing has been charged in this time")
        return
    lines = [(*named[:-1], _called(row.name, called), *_numbers(row)) for named, row in rows]
    if len(rows) > 1:
        lines.append(("total", *[""] * (len(names) - 1), *_numbers(found.total)))
    headers = ("requests", "tokens in", "tokens out", "cost", "at the first offer", "estimated")
    click.echo(table((*names, *headers), lines))


def _called(name: str | None, called: Mapping[str, str]) -> str:
    if name is None:
        return "(none)"
    return f"{called[name]} ({name})" if name in called else name


def _numbers(row: SpendRow) -> tuple[str, ...]:
    return (
        f"{row.requests:,}",
        f"{row.prompt_tokens:,}",
        f"{row.completion_tokens:,}",
        dollars(row.cost),
        dollars(row.first_offer),
        f"{row.estimated:,}",
    )


@click.group()
def budget() -> None:
    """The budgets and how they stand."""


for _command in (list_budgets, add, remove, raise_, lower):
    budget.add_command(_command)


@budget.command()
@config_option
@limits_option
@json_option
def status(path: Path, has_limits: bool, as_json: bool) -> None:
    """Every budget in its window of this moment, with the increases of this moment."""
    config = load_config(path, os.environ)
    with books(config, create=False) as store:
        own = store.policy.budgets() if has_limits else store.policy.named_budgets()
        budgets = (*(one.budget() for one in config.budgets), *own)
        raises = (*config.raises, *store.policy.raises(time.time_ns()))
        balances = standing(store.sql, budgets, datetime.now(UTC), raises)
    if as_json:
        print_json({"budgets": [_balance(one) for one in balances]})
        return
    if not balances:
        click.echo(
            "there are no budgets: name policy files, or `hedgerow budget add` one; --limits shows"
            " those of keys and their owners"
        )
        return
    click.echo(
        table(
            ("budget", "scope", "window", "cap", "spent", "held", "left", "resets"),
            [
                (
                    f"{one.account.budget} (shadow)"
                    if one.account.is_shadow
                    else one.account.budget,
                    one.account.scope,
                    one.account.window,
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
        "window": one.account.window,
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
    return "any" if amount is None else amount_text(amount, one.account.measure)


def _reset(one: Balance) -> str:
    resets = one.account.resets_at
    return "never" if resets is None else resets.strftime("%Y-%m-%d %H:%M UTC")

"""`hedgerow budget list|add|remove|raise|lower`: budgets kept in the books, and increases."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from hedgerow.arguments import COUNT, LABEL, MOMENT, USD, WINDOW, ZONE
from hedgerow.books import books
from hedgerow.config import Config, load_config
from hedgerow.errors import NotFound
from hedgerow.printing import (
    config_option,
    dollars,
    iso,
    json_option,
    limits_option,
    moment,
    print_json,
    table,
)
from ledger.budgets import DIMENSIONS, Budget, Mode, Raise, Scope
from ledger.ids import new_id
from ledger.limits import KINDS, is_reserved
from ledger.measures import Measure
from ledger.money import Money, as_usd
from ledger.store import Store
from ledger.windows import AnyWindow, Window


@click.command("list")
@config_option
@limits_option
@json_option
def list_budgets(path: Path, has_limits: bool, as_json: bool) -> None:
    """The budgets that there are, of files and of the books, and increases that are not over."""
    config, now_ns = load_config(path, os.environ), time.time_ns()
    of_files = [one for one in config.raises if one.until_ns > now_ns]
    with books(config, create=False) as store:
        own = store.policy.budgets() if has_limits else store.policy.named_budgets()
        raises = [(one, "file") for one in of_files]
        raises += [(one, "books") for one in store.policy.raises(now_ns)]
        measures = {one.name: one.measure for one in (*_of_files(config), *store.policy.budgets())}
    found = [(one, "file") for one in _of_files(config)] + [(one, "books") for one in own]
    if as_json:
        print_json(
            {
                "budgets": [_described(one) | {"kept_in": place} for one, place in found],
                "increases": [
                    _raised(one, measures.get(one.budget)) | {"kept_in": place}
                    for one, place in raises
                ],
            }
        )
        return
    if not found:
        click.echo("there are no budgets: name policy files, or `hedgerow budget add` one")
        return
    click.echo(
        table(
            ("budget", "scope", "window", "cap", "mode", "kept in"),
            [
                (one.name, str(one.scope), str(one.window), _cap(one), str(one.mode), place)
                for one, place in found
            ],
        )
    )
    if raises:
        click.echo()
        click.echo(_raises_table(raises, measures))


def _raises_table(raises: list[tuple[Raise, str]], measures: dict[str, Measure]) -> str:
    return table(
        ("increase", "of", "member", "by", "from", "until", "id"),
        [
            (
                one.name,
                one.budget,
                one.member or "each",
                amount_text(one.amount, measures.get(one.budget)),
                moment(one.since_ns),
                moment(one.until_ns),
                "(of a file)" if place == "file" else one.id,
            )
            for one, place in raises
        ],
    )


@click.command()
@config_option
@click.argument("name", type=LABEL)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="DIMENSION=NAME",
    help="What it covers, as team=research, or user=* for one each; several must all match."
    " [default: everything]",
)
@click.option("--window", type=WINDOW, help="What it counts over, as month or rolling:30d.")
@click.option("--timezone", type=ZONE, default="UTC", show_default=True, help="Where days begin.")
@click.option("--usd", type=USD, help="The most that may be spent.")
@click.option("--tokens", type=COUNT, help="The most tokens.")
@click.option("--requests", type=COUNT, help="The most requests.")
@click.option("--parallel", type=COUNT, help="The most requests at once; it has no window.")
@click.option("--shadow", is_flag=True, help="Refuse nothing, and say what would be.")
@json_option
def add(
    path: Path,
    name: str,
    scopes: tuple[str, ...],
    window: AnyWindow | None,
    timezone: ZoneInfo,
    usd: Money | None,
    tokens: int | None,
    requests: int | None,
    parallel: int | None,
    shadow: bool,
    as_json: bool,
) -> None:
    """Keep a budget in the books; it acts within a second, and ends with `budget remove`."""
    config = load_config(path, os.environ)
    if is_reserved(name):
        raise click.BadParameter(
            f"names that begin with {', '.join(KINDS)} are those of limits", param_hint="NAME"
        )
    if any(one.name == name for one in _of_files(config)):
        raise click.BadParameter(
            f"a policy file of {path} has a budget {name} already", param_hint="NAME"
        )
    caps = {
        Measure.USD: usd,
        Measure.TOKENS: tokens,
        Measure.REQUESTS: requests,
        Measure.PARALLEL: parallel,
    }
    found = [(measure, cap) for measure, cap in caps.items() if cap is not None]
    if len(found) != 1:
        raise click.UsageError("write one of --usd, --tokens, --requests and --parallel")
    ((measure, cap),) = found
    if (measure is Measure.PARALLEL) != (window is None):
        said = "it has no window" if measure is Measure.PARALLEL else "write one, as in month"
        raise click.BadParameter(said, param_hint="--window")
    budget = Budget(
        name,
        _scope(scopes),
        Window.LIFETIME if window is None else window,
        timezone.key,
        cap,
        measure,
        mode=Mode.SHADOW if shadow else Mode.ENFORCE,
    )
    with books(config) as store, store.transaction():
        store.policy.add_budget(budget, time.time_ns())
    if as_json:
        print_json(_described(budget) | {"kept_in": "books"})
    else:
        click.echo(f"added {name}", err=True)


@click.command()
@config_option
@click.argument("name")
def remove(path: Path, name: str) -> None:
    """Count by a budget of the books no more. What was spent stays in the books."""
    config = load_config(path, os.environ)
    with books(config, create=False) as store, store.transaction():
        if all(one.name != name for one in store.policy.named_budgets()):
            if any(one.name == name for one in _of_files(config)):
                raise NotFound(f"budget {name} is kept in a policy file of {path}: remove it there")
            raise NotFound(f"there is no budget {name}: `hedgerow budget list` shows those")
        store.policy.remove_budget(name)
    click.echo(f"removed {name}", err=True)


@click.command("raise")
@config_option
@click.argument("budget")
@click.option("--by-usd", type=USD, help="How much more, of a budget of USD.")
@click.option("--by", type=COUNT, help="How much more, of a budget of tokens or requests.")
@click.option("--until", type=MOMENT, required=True, help="When it is over (UTC).")
@click.option("--name", type=LABEL, required=True, help="Why, for people.")
@click.option("--member", type=LABEL, help="Of one account alone, as in user=ada.")
@json_option
def raise_(
    path: Path,
    budget: str,
    by_usd: Money | None,
    by: int | None,
    until: int,
    name: str,
    member: str | None,
    as_json: bool,
) -> None:
    """Give more for a while, with a name that says why; also of a budget of a file."""
    config, at_ns = load_config(path, os.environ), time.time_ns()
    if until <= at_ns:
        raise click.BadParameter(f"{moment(until)} is over", param_hint="--until")
    with books(config, create=False) as store, store.transaction():
        found = _named(config, store, budget)
        is_usd = found.measure is Measure.USD
        amount, other = (by_usd, by) if is_usd else (by, by_usd)
        if not amount or other is not None:
            option = "--by-usd" if is_usd else "--by"
            raise click.UsageError(f"budget {budget} counts {found.measure}: write {option} alone")
        raise_id = new_id("raise", at_ns, secrets.token_bytes)
        one = Raise(raise_id, budget, member, amount, at_ns, until, name)
        store.policy.add_raise(one)
    if as_json:
        print_json(_raised(one, found.measure) | {"kept_in": "books"})
    else:
        click.echo(f"raised {budget} until {moment(until)} ({raise_id})", err=True)


@click.command()
@config_option
@click.argument("increase_id")
def lower(path: Path, increase_id: str) -> None:
    """End an increase at once; `budget list` tells its id."""
    config = load_config(path, os.environ)
    with books(config, create=False) as store, store.transaction():
        if not store.policy.end_raise(increase_id, time.time_ns()):
            raise NotFound(
                f"there is no increase {increase_id} in the books that is not over:"
                " `hedgerow budget list` shows those; one of a policy file ends there"
            )
    click.echo(f"ended {increase_id}", err=True)


def _named(config: Config, store: Store, name: str) -> Budget:
    """Raises NotFound."""
    of_file = next((one for one in _of_files(config) if one.name == name), None)
    found = store.policy.budget(name) if of_file is None else of_file
    if found is None:
        raise NotFound(f"there is no budget {name}: `hedgerow budget list` shows those there are")
    return found


def _of_files(config: Config) -> tuple[Budget, ...]:
    return tuple(one.budget() for one in config.budgets)


def _scope(written: tuple[str, ...]) -> Scope:
    named: dict[str, str] = {}
    for one in written:
        dimension, has_name, value = one.partition("=")
        if dimension not in DIMENSIONS or not has_name or not value or dimension in named:
            known = ", ".join(DIMENSIONS)
            raise click.BadParameter(
                f"{one!r} is none: write one of {known}, once, as in team=research",
                param_hint="--scope",
            )
        named[dimension] = value
    return Scope(**named)


def _cap(one: Budget) -> str:
    return amount_text(one.cap, one.measure)


def amount_text(amount: int, measure: Measure | None) -> str:
    """An amount of what a budget counts, for people. None: of a budget that is gone."""
    if measure is Measure.USD:
        return dollars(Money(amount))
    return f"{amount:,}" if measure is None else f"{amount:,} {measure}"


def _described(one: Budget) -> dict[str, object]:
    return {
        "budget": one.name,
        "scope": str(one.scope),
        "window": str(one.window),
        "timezone": one.timezone,
        f"cap_{one.measure}": as_usd(Money(one.cap)) if one.measure is Measure.USD else one.cap,
        "mode": str(one.mode),
    }


def _raised(one: Raise, measure: Measure | None) -> dict[str, object]:
    """With the names of the admin API."""
    is_usd = measure is Measure.USD
    return {
        "id": one.id,
        "budget": one.budget,
        "member": one.member,
        "by_usd" if is_usd else "by": as_usd(Money(one.amount)) if is_usd else one.amount,
        "since": iso(one.since_ns),
        "until": iso(one.until_ns),
        "name": one.name,
    }

"""`hedgerow ledger`: the books themselves."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hedgerow.books import books, resting
from hedgerow.config import load_config
from hedgerow.printing import config_option, dollars, json_option, print_json
from ledger.audit import Audit
from ledger.audit import verify as audit
from ledger.migrations.history import NEWEST
from ledger.money import as_usd


@click.group()
def ledger() -> None:
    """The books: check them, change their tables."""


@ledger.command()
@config_option
@json_option
@click.pass_context
def verify(ctx: click.Context, path: Path, as_json: bool) -> None:
    """Recompute every balance and every charge from the rows.

    Exit code 0: they agree. 1: they do not, with one line on stderr for each place.
    """
    with books(load_config(path, os.environ), create=False) as store:
        found = audit(store.sql)
    if as_json:
        print_json(
            {
                "verified": found.verified,
                "accounts": found.accounts,
                "attempts": found.attempts,
                "charges": found.charges,
                "open_holds": found.open_holds,
                "overrun_usd": as_usd(found.overrun),
                "findings": [{"where": one.where, "what": one.what} for one in found.findings],
            }
        )
    else:
        for one in found.findings:
            click.echo(f"{one.where}: {one.what}", err=True)
        click.echo(audit_line(found))
    if not found.verified:
        ctx.exit(1)


@ledger.command()
@config_option
@click.option(
    "--to",
    type=int,
    metavar="VERSION",
    help="For a Hedgerow of before; what it cannot hold goes. [default: the newest]",
)
@json_option
def migrate(path: Path, to: int | None, as_json: bool) -> None:
    """Bring the tables of the books to another version, with all that is in them.

    Opening older books does so by itself; this is for the way back, and for books that are so large
    that it takes long. No server may have them open.
    """
    with resting(load_config(path, os.environ).ledger) as sql:
        before, to = sql.version, NEWEST if to is None else to
        dropped = sql.migrate(to) if before != to else ()
    if as_json:
        print_json({"from": before, "to": to, "dropped": dropped})
        return
    for one in dropped:
        click.echo(f"dropped: {one}")
    newest = "" if to == NEWEST else f"; the newest is {NEWEST}"
    click.echo(f"version {to}{newest}" if before == to else f"version {before} → {to}{newest}")


def audit_line(found: Audit) -> str:
    """An audit in one sentence."""
    places = len(found.findings)
    verdict = (
        "verified"
        if found.verified
        else f"{places} place{'s do' if places > 1 else ' does'} not agree"
    )
    return (
        f"{verdict}: {found.accounts} balances and {found.charges} charges recomputed from"
        f" {found.attempts} attempts, {found.open_holds} holds open,"
        f" {dollars(found.overrun)} above holds"
    )

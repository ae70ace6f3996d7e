"""`hedgerow ledger`: the books themselves."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from hedgerow.arguments import MOMENT
from hedgerow.books import books, resting
from hedgerow.commands.ledger_close import chargeback_, close
from hedgerow.commands.ledger_files import export, reconcile
from hedgerow.config import load_config
from hedgerow.errors import NotFound
from hedgerow.printing import config_option, dollars, iso, json_option, moment, print_json, table
from ledger.audit import Audit
from ledger.audit import verify as audit
from ledger.databases.migrations.history import NEWEST
from ledger.databases.partitions import drop_empty_partitions
from ledger.money import as_usd
from ledger.retention import Keep, Limits
from ledger.retention import retire as retire_rows
from ledger.statements import Head
from ledger.statements import heads as heads_now
from ledger.tables.verifications import VerificationTable
from ledger.tables.write_offs import WriterState

_PAUSE_S = 0.01
"""Between two batches: a server that waits to write comes first."""


@click.group()
def ledger() -> None:
    """Check the books, hand them on, let go of what is old."""


ledger.add_command(export)
ledger.add_command(reconcile)
ledger.add_command(chargeback_)
ledger.add_command(close)


@ledger.command()
@config_option
@click.option(
    "--heads",
    "heads_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What `hedgerow ledger heads --json` has said earlier: each must lie on its chain still.",
)
@json_option
@click.pass_context
def verify(ctx: click.Context, path: Path, heads_file: Path | None, as_json: bool) -> None:
    """Recompute every chain, charge, balance and rollup from the rows.

    The result is kept in the books, with the ends of the chains: reports say when they were
    verified last.

    Exit code 0: they agree. 1: they do not, with one line on stderr for each place.
    """
    known = () if heads_file is None else _heads_of(heads_file)
    now_ns = time.time_ns()
    with books(load_config(path, os.environ), create=False) as store:
        heads_before = heads_now(store.sql)
        found = audit(store.sql, known)
        with store.transaction():
            VerificationTable(store.sql).add(now_ns, found, heads_before)
    if as_json:
        print_json(
            {
                "verified": found.verified,
                "accounts": found.accounts,
                "attempts": found.attempts,
                "charges": found.charges,
                "open_holds": found.open_holds,
                "overrun_usd": as_usd(found.overrun),
                "retired": found.retired,
                "heads": found.heads,
                "heads_gone": found.heads_gone,
                "records": found.records,
                "places": found.places,
                "findings": [{"where": one.where, "what": one.what} for one in found.findings],
            }
        )
    else:
        for one in found.findings:
            click.echo(f"{one.where}: {one.what}", err=True)
        if found.places > len(found.findings):
            click.echo(f"and {found.places - len(found.findings)} more", err=True)
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
    if to != NEWEST:
        click.echo(
            "every command of this Hedgerow brings them up again: go on with the earlier one",
            err=True,
        )


@ledger.command()
@config_option
@json_option
def writers(path: Path, as_json: bool) -> None:
    """Who writes these books: each slot of each host, and what it has taken of budgets."""
    with books(load_config(path, os.environ), create=False) as store, store.view():
        found = store.write_offs.writers()
    now_ns = time.time_ns()
    if as_json:
        print_json({"writers": [_described(one, now_ns) for one in found]})
        return
    rows = [
        (
            one.name,
            _state(one, now_ns),
            moment(one.seen_at_ns),
            f"{one.entries:,}",
            f"{one.leases:,}",
            dollars(one.leased),
        )
        for one in found
    ]
    click.echo(table(("writer", "state", "seen", "entries", "slices", "largest slice"), rows))


@ledger.command("write-off")
@config_option
@click.argument("writer")
@click.option("--name", "who", required=True, help="Who does this: it is kept in the books.")
def write_off(path: Path, writer: str, who: str) -> None:
    """Return the slices of a writer whose journal is gone for good.

    What it had charged and not yet written to the books is lost with its journal. A host that comes
    back with its journal returns its slices by itself: it needs none of this.
    """
    now_ns = time.time_ns()
    with books(load_config(path, os.environ), create=False) as store, store.transaction():
        found = {one.name: one for one in store.write_offs.writers()}
        if writer not in found:
            raise NotFound(f"there is no writer {writer}: `hedgerow ledger writers` shows them")
        if found[writer].is_alive(now_ns):
            raise NotFound(
                f"{writer} serves at this moment, and returns its slices when it stops: stop it"
            )
        count = store.write_offs.write_off(writer, now_ns, who)
    click.echo(f"returned {count} slices of {writer}", err=True)


def _described(one: WriterState, now_ns: int) -> dict[str, object]:
    return {
        "writer": one.name,
        "state": _state(one, now_ns),
        "seen_at": iso(one.seen_at_ns),
        "entries": one.entries,
        "slices": one.leases,
        "largest_slice_usd": as_usd(one.leased),
    }


def _state(one: WriterState, now_ns: int) -> str:
    """Lost is one that has slices, and was not seen for a while."""
    return "serves" if one.is_alive(now_ns) else "lost" if one.leases else "stopped"


def audit_line(found: Audit) -> str:
    """An audit in one sentence."""
    places = found.places
    verdict = (
        "verified"
        if found.verified
        else f"{places} place{'s do' if places > 1 else ' does'} not agree"
    )
    retired = f", {found.retired} older ones retired" if found.retired else ""
    heads = ""
    if found.heads:
        heads = f", {found.heads - found.heads_gone} of {found.heads} heads looked for"
        if found.heads_gone:
            heads += " (the others lie in what is retired: nothing can be said of them)"
    hedge = f", {found.records} records of the hedge's book" if found.records else ""
    return (
        f"{verdict}: {found.accounts} balances and {found.charges} charges recomputed from"
        f" {found.attempts} attempts, {found.open_holds} holds open,"
        f" {dollars(found.overrun)} above holds{retired}{hedge}{heads}"
    )


@ledger.command()
@config_option
@json_option
def heads(path: Path, as_json: bool) -> None:
    """The end of each writer's chain, and of the hedge's book. Kept elsewhere, they show later that
    nobody has written the history before them anew."""
    with books(load_config(path, os.environ), create=False) as store:
        found = heads_now(store.sql)
    if as_json:
        print_json(
            {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "heads": [_Head(one.writer, one.seq, one.hash.hex()) for one in found],
            }
        )
    elif found:
        rows = [(one.writer, f"{one.seq:,}", one.hash.hex()) for one in found]
        click.echo(table(("writer", "entries", "head"), rows))
    else:
        click.echo("nobody has written anything yet")


class _Head(msgspec.Struct):
    writer: str
    seq: int
    head: str


class _Heads(msgspec.Struct):
    heads: list[_Head]


def _heads_of(file: Path) -> list[Head]:
    try:
        said = msgspec.json.decode(file.read_bytes(), type=_Heads)
        return [Head(one.writer, one.seq, bytes.fromhex(one.head)) for one in said.heads]
    except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
        raise click.BadParameter(
            f"{file} cannot be read as what `hedgerow ledger heads --json` says: {error}",
            param_hint="--heads",
        ) from error


@ledger.command()
@config_option
@click.option("--before", type=MOMENT, help="Entries that ended before this day (UTC) go.")
@click.option(
    "--details-before",
    type=MOMENT,
    help="What was decided for requests before this day (UTC) goes, and quarters of an hour of"
    " statements.",
)
@json_option
def retire(path: Path, before: int | None, details_before: int | None, as_json: bool) -> None:
    """Delete what is old: without a date, what is older than ledger.keep and keep_requests say.

    Sums of days stay, and balances; the books are verified as before. A server may go on meanwhile.
    Broken off, it goes on where it was when it is called again.
    """
    now_ns = time.time_ns()
    for name, at_ns in (("--before", before), ("--details-before", details_before)):
        if at_ns is not None and at_ns > now_ns:
            raise click.BadParameter("it lies in the future", param_hint=name)
    limits = Limits(before or 0, details_before or 0)
    config = load_config(path, os.environ)
    if before is None and details_before is None:
        keep = Keep.days(config.ledger.keep_days, config.ledger.keep_requests_days)
        limits = keep.limits(now_ns)
        if not (limits.entries_ns or limits.details_ns):
            raise click.UsageError(
                "nothing to delete: give --before, --details-before or both, or write ledger.keep"
            )
    with books(config, create=False) as store:
        gone = retire_rows(store.sql, limits, pause=lambda: time.sleep(_PAUSE_S))
        dropped = drop_empty_partitions(store.sql, datetime.now(UTC))
    if as_json:
        print_json(
            {
                "entries": gone.entries,
                "requests": gone.requests,
                "rollups": gone.rollups,
                "partitions": list(dropped),
            }
        )
        return
    click.echo(
        f"deleted {gone.entries:,} entries, {gone.requests:,} requests,"
        f" {gone.rollups:,} rollups of a quarter of an hour"
    )

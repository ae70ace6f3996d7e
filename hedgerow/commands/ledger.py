"""`hedgerow ledger`: the books themselves."""

from __future__ import annotations

import os
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from hedgerow.arguments import MOMENT, PERCENT, RATE, USD_OR_NOTHING, ZONE
from hedgerow.books import books
from hedgerow.commands.reconciled import reconciled_json, reconciled_lines, watched
from hedgerow.config import Config, load_config
from hedgerow.invoice_mapping import MappingFile, load_mapping
from hedgerow.printing import config_option, dollars, json_option, print_json
from ledger.audit import Audit
from ledger.audit import verify as audit
from ledger.charges import ChargeRow, charge_rows
from ledger.exports.export import Format, export_csv, export_focus, export_parquet
from ledger.exports.focus_row import FocusVersion
from ledger.invoices.invoice_csv import read_invoice
from ledger.money import Money, as_usd
from ledger.reconcile import Reading, span_ns
from ledger.reconcile import reconcile as compare


@click.group()
def ledger() -> None:
    """The books: check them, hand them on, compare them."""


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

    Exit code 0: they agree. 1: they do not, with one line on stderr for each place.
    """
    known = () if heads_file is None else _heads_of(heads_file)
    with books(load_config(path, os.environ), create=False) as store:
        found = audit(store.sql, known)
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
    return (
        f"{verdict}: {found.accounts} balances and {found.charges} charges recomputed from"
        f" {found.attempts} attempts, {found.open_holds} holds open,"
        f" {dollars(found.overrun)} above holds{retired}{heads}"
    )


@ledger.command()
@config_option
@json_option
def heads(path: Path, as_json: bool) -> None:
    """The end of each writer's chain. Kept elsewhere, they show later that nobody has written the
    history before them anew."""
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


@ledger.command()
@config_option
@click.option(
    "--format",
    "form",
    type=click.Choice([one.value for one in Format]),
    required=True,
    help="csv and parquet: a row for each charge. focus: FOCUS Cost and Usage.",
)
@click.option(
    "--focus-version",
    "version",
    type=click.Choice([one.value for one in FocusVersion]),
    help="Of FOCUS.  [default: 1.2]",
)
@click.option("--from", "since", type=MOMENT, help="From this day on (UTC), as in 2027-01-31.")
@click.option("--to", "until", type=MOMENT, help="Before this day (UTC).")
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="The file to write. FOCUS is Parquet if its name ends in .parquet, else CSV.",
)
@json_option
def export(
    path: Path,
    form: str,
    version: str | None,
    since: int | None,
    until: int | None,
    file: Path,
    as_json: bool,
) -> None:
    """Write what was charged to a file, exactly: for a spreadsheet, a warehouse, FinOps tools.

    docs/finance.md names the columns. Parquet needs `pip install 'hedgerow[parquet]'`.
    """
    if since is not None and until is not None and since >= until:
        raise click.BadParameter("it is not after --from", param_hint="--to")
    if version is not None and form != Format.FOCUS:
        raise click.BadParameter("it goes with --format focus", param_hint="--focus-version")
    with books(load_config(path, os.environ), create=False) as store, store.sql.view():
        charges = watched(charge_rows(store.sql, since, until))
        count = _exported(file, Format(form), charges, FocusVersion(version or FocusVersion.V1_2))
    if as_json:
        print_json({"file": str(file), "rows": count})
    else:
        click.echo(f"{count:,} rows in {file}", err=True)


@ledger.command()
@click.argument("invoice", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@click.option("--provider", help="Whose invoice it is, as the configuration names it.")
@click.option("--account", help="Which of our accounts there it is for.  [default: all]")
@click.option(
    "--mapping",
    "mapping_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A YAML file that says which columns are which.",
)
@click.option(
    "--rate",
    "rates",
    type=RATE,
    multiple=True,
    metavar="EUR=1.08",
    help="What one of a currency is in USD.  [several]",
)
@click.option(
    "--discount",
    type=PERCENT,
    default="0%",
    show_default=True,
    help="What was agreed to be taken off the list price.",
)
@click.option(
    "--timezone",
    "zone",
    type=ZONE,
    help="In which the invoice's days begin.  [default: UTC, unless its counts fit another]",
)
@click.option(
    "--tolerance-usd",
    "tolerance",
    type=USD_OR_NOTHING,
    default="0.01",
    show_default=True,
    help="How much may be open.",
)
@json_option
@click.pass_context
def reconcile(
    ctx: click.Context,
    invoice: Path,
    path: Path,
    provider: str | None,
    account: str | None,
    mapping_path: Path | None,
    rates: tuple[tuple[str, Decimal], ...],
    discount: Decimal,
    zone: ZoneInfo | None,
    tolerance: Money,
    as_json: bool,
) -> None:
    """Compare a provider's invoice with the books, and name the causes of every difference.

    Exit code 0: what is open (counts, prices, missing lines) is within the tolerance. 1: it is not.
    docs/finance.md says which files are understood and what each cause means.
    """
    config = load_config(path, os.environ)
    mapping = load_mapping(mapping_path, os.environ) if mapping_path else MappingFile()
    read = read_invoice(invoice, mapping.mapping)
    told = zone or (ZoneInfo(mapping.timezone) if mapping.timezone else None)
    whose = _provider(config, provider or mapping.provider)
    reading = Reading(dict(rates), discount, mapping.models, told, account)
    with books(config, create=False) as store, store.sql.view():
        found = compare(whose, watched(charge_rows(store.sql, *span_ns(read))), read, reading)
    if as_json:
        print_json(reconciled_json(found, read.form, as_usd(tolerance)))
    else:
        for line in reconciled_lines(found, read.form, as_usd(tolerance)):
            click.echo(line)
    if not found.is_explained(as_usd(tolerance)):
        ctx.exit(1)


def _exported(file: Path, form: Format, charges: Iterable[ChargeRow], version: FocusVersion) -> int:
    match form:
        case Format.CSV:
            return export_csv(file, charges)
        case Format.PARQUET:
            return export_parquet(file, charges)
        case Format.FOCUS:
            return export_focus(file, charges, version)


def _provider(config: Config, name: str | None) -> str:
    """The one that is meant; where there is but one, nobody need say so."""
    known = sorted(config.providers)
    if name is None and len(known) == 1:
        return known[0]
    if name not in known:
        raise click.BadParameter(
            f"whose invoice is it? One of {', '.join(known)}", param_hint="--provider"
        )
    return name

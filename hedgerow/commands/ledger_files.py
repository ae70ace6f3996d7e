"""`hedgerow ledger export` and `reconcile`: the books for finance, and an invoice against them."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from hedgerow.arguments import LOCAL_MOMENT, PERCENT, RATE, USD_FROM_ZERO, ZONE, nanos
from hedgerow.books import books
from hedgerow.commands.reconciled import reconciled_json, reconciled_lines, watched
from hedgerow.config import Config, load_config
from hedgerow.files.invoice_mapping import MappingFile, load_mapping
from hedgerow.printing import config_option, json_option, print_json
from ledger.charges import charge_rows
from ledger.exports.commitments import commitment_rows
from ledger.exports.contract_commitments import contract_commitments
from ledger.exports.export import (
    Dataset,
    Format,
    export_contract_commitments,
    export_csv,
    export_focus,
    export_parquet,
)
from ledger.exports.focus_row import FocusVersion
from ledger.invoices.invoice_csv import read_invoice
from ledger.invoices.kept import kept_of
from ledger.invoices.reconcile import Reading, span_ns
from ledger.invoices.reconcile import reconcile as compare
from ledger.money import MAX_NANOS, Money, as_usd
from ledger.tables.reconciliations import ReconciliationTable


@click.command()
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
    help="Of FOCUS Cost and Usage.  [default: 1.2]",
)
@click.option(
    "--dataset",
    type=click.Choice([one.value for one in Dataset]),
    help="Of FOCUS: what was charged, or (of FOCUS 1.4) what was committed to, by contract."
    "  [default: cost-and-usage]",
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
    help="Where the days of --from and --to begin; times in the file are UTC.",
)
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
    dataset: str | None,
    since: datetime | None,
    until: datetime | None,
    zone: ZoneInfo,
    file: Path,
    as_json: bool,
) -> None:
    """Write what was charged to a file, exactly: for a spreadsheet, a warehouse, FinOps tools.

    docs/finance.md names the columns. Parquet needs `pip install 'hedgerow[parquet]'`.
    """
    first_ns, last_ns = (None if at is None else nanos(at, zone) for at in (since, until))
    if first_ns is not None and last_ns is not None and first_ns >= last_ns:
        raise click.BadParameter("it is not after --from", param_hint="--to")
    if file == Path("-"):
        raise click.BadParameter(
            "it is written whole or not at all, so not to stdout: name a file", param_hint="-o"
        )
    if version is not None and form != Format.FOCUS:
        raise click.BadParameter("it goes with --format focus", param_hint="--focus-version")
    if dataset is not None and form != Format.FOCUS:
        raise click.BadParameter("it goes with --format focus", param_hint="--dataset")
    is_of_commitments = dataset == Dataset.CONTRACT_COMMITMENTS
    if version is not None and is_of_commitments:
        raise click.BadParameter(
            "contract commitments are of FOCUS 1.4: leave it out", param_hint="--focus-version"
        )
    with books(load_config(path, os.environ), create=False) as store, store.sql.view():
        charges = watched(charge_rows(store.sql, first_ns, last_ns))
        if is_of_commitments:
            end_ns = MAX_NANOS if last_ns is None else last_ns
            owned = contract_commitments(store.sql, first_ns or 0, end_ns, time.time_ns())
            count = export_contract_commitments(file, owned)
        elif form == Format.FOCUS:
            now_ns = time.time_ns()
            until_ns = now_ns if last_ns is None else min(last_ns, now_ns)
            committed = commitment_rows(store.sql, first_ns or 0, until_ns)
            said = FocusVersion(version or FocusVersion.V1_2)
            count = export_focus(file, charges, said, committed)
        elif form == Format.PARQUET:
            count = export_parquet(file, charges)
        else:
            count = export_csv(file, charges)
    if as_json:
        print_json({"file": str(file), "rows": count})
    else:
        click.echo(f"{count:,} rows in {file}", err=True)


@click.command()
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
@click.option("--by", "who", help="Who compares: it is kept with the result.")
@click.option(
    "--tolerance-usd",
    "tolerance",
    type=USD_FROM_ZERO,
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
    who: str | None,
    tolerance: Money,
    as_json: bool,
) -> None:
    """Compare a provider's invoice with the books, and name the causes of every difference.

    The result is kept in the books: `hedgerow report spend` says of each provider whether its
    invoice was reconciled.

    Exit code 0: what is open (counts, prices, missing lines) is within the tolerance. 1: it is not.
    docs/finance.md says which files are understood and what each cause means.
    """
    config = load_config(path, os.environ)
    mapping = load_mapping(mapping_path, os.environ) if mapping_path else MappingFile()
    read = read_invoice(invoice, mapping.mapping)
    sha256 = hashlib.sha256(invoice.read_bytes()).hexdigest()
    told = zone or (ZoneInfo(mapping.timezone) if mapping.timezone else None)
    whose = _provider(config, provider or mapping.provider)
    reading = Reading(dict(rates), discount, mapping.models, told, account)
    with books(config, create=False) as store:
        with store.sql.view():
            found = compare(whose, watched(charge_rows(store.sql, *span_ns(read))), read, reading)
        kept = kept_of(
            found,
            read,
            invoice_sha256=sha256,
            account=account,
            tolerance=as_usd(tolerance),
            who=who,
            at_ns=time.time_ns(),
        )
        with store.transaction():
            ReconciliationTable(store.sql).add(kept)
    if as_json:
        print_json(reconciled_json(found, read.form, as_usd(tolerance)))
    else:
        for line in reconciled_lines(found, read.form, as_usd(tolerance)):
            click.echo(line)
    if not found.is_explained(as_usd(tolerance)):
        ctx.exit(1)


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

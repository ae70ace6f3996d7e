"""How far the invoices of providers were compared."""

from __future__ import annotations

from decimal import Decimal

from hedgerow.reports.cells import columns, count, estimate, moment_text, usd
from hedgerow.reports.document import Cell, Row, Table
from hedgerow.reports.spend import Status
from hedgerow.reports.spend_pages.sources import SpendSources

STATUS = {
    Status.RECONCILED: "reconciled",
    Status.DIFFERS: "differs: see its causes",
    Status.IN_PART: "only some of its days, or one account",
    Status.NONE: "no invoice was compared",
}


def providers_table(sources: SpendSources) -> Table:
    report = sources.report
    billed, kept = sources.of(report.by_provider), sources.reconciled()
    rows = []
    for at, one in enumerate(report.providers, start=1):
        its, why = one.newest, "No invoice was compared."
        rows.append(
            Row(
                f"p{at}",
                (
                    one.provider,
                    usd(one.billed, billed),
                    count(one.estimated, billed),
                    STATUS[one.status],
                    usd_exact(None if its is None else its.theirs, kept, why),
                    usd_exact(None if its is None else its.difference, kept, why),
                    usd_exact(None if its is None else its.open, kept, why),
                    None if its is None else f"{its.first} to {its.last}",
                    None if its is None else f"{its.who or 'unnamed'}, {moment_text(its.at_ns)}",
                    None if its is None else its.invoice_sha256[:12],
                ),
            )
        )
    return Table(
        "providers",
        "Invoices of providers",
        columns(
            provider="Provider",
            billed="Expected, USD",
            estimated="Estimated requests",
            status="Status",
            theirs="Invoice, USD",
            difference="Differs by, USD",
            open="Open, USD",
            days="Days",
            who="By",
            invoice="SHA-256 of the file",
        ),
        tuple(rows),
        empty="No provider was used in the month.",
        notes=(
            (
                "Compare an invoice with `hedgerow ledger reconcile INVOICE.csv --provider NAME"
                " --by YOU`: its result is kept. Open is what somebody has to ask about."
            ),
        ),
    )


def usd_exact(amount: Decimal | None, source: str, why_not: str) -> Cell:
    """USD that an invoice has, with all its digits."""
    return estimate(amount, source, None if amount is not None else why_not)

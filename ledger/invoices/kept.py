"""Kept: what the books keep of a comparison with an invoice."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from ledger.invoices.invoice import Invoice
from ledger.invoices.reconcile import Reconciliation
from ledger.tables.reconciliations import KeptReconciliation


def kept_of(
    found: Reconciliation,
    invoice: Invoice,
    *,
    invoice_sha256: str,
    account: str | None,
    tolerance: Decimal,
    who: str | None,
    at_ns: int,
) -> KeptReconciliation:
    """tolerance: USD that may be open. who: compared them; None: did not say."""
    return KeptReconciliation(
        at_ns=at_ns,
        who=who,
        provider=found.provider,
        account=account,
        first=min(line.period.start for line in invoice.lines),
        last=max(line.period.end for line in invoice.lines) - timedelta(days=1),
        zone=found.zone,
        form=invoice.form,
        invoice_sha256=invoice_sha256,
        ours=found.ours,
        theirs=found.theirs,
        open=found.open,
        tolerance=tolerance,
        is_explained=found.is_explained(tolerance),
        unvalued=found.unvalued,
        charges=found.charges,
        estimated=found.estimated,
        causes=tuple((one.cause.value, one.usd) for one in found.causes),
    )

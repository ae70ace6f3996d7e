"""ReconciliationTable: what came of each comparison of an invoice with the books, and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import msgspec

from ledger.databases.sql import Row, Sql, marks

RECONCILIATIONS = (
    # first_day, last_day: that the invoice is for. invoice_sha256: of its file. Amounts are USD as
    # exact text; causes: a JSON array of [cause, USD]. who: NULL where nobody gave a name.
    """CREATE TABLE reconciliations (
        id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, who TEXT, provider TEXT NOT NULL,
        account TEXT, first_day TEXT NOT NULL, last_day TEXT NOT NULL, zone TEXT NOT NULL,
        form TEXT NOT NULL, invoice_sha256 TEXT NOT NULL, ours_usd TEXT NOT NULL,
        theirs_usd TEXT NOT NULL, open_usd TEXT NOT NULL, tolerance_usd TEXT NOT NULL,
        is_explained INTEGER NOT NULL, unvalued INTEGER NOT NULL, charges INTEGER NOT NULL,
        estimated INTEGER NOT NULL, causes TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX reconciliations_provider ON reconciliations (provider, last_day)",
)
"""The statements that make it, as those in `ledger.tables.ddl`."""

_COLUMNS = (
    "at_ns, who, provider, account, first_day, last_day, zone, form, invoice_sha256, ours_usd,"
    " theirs_usd, open_usd, tolerance_usd, is_explained, unvalued, charges, estimated, causes"
)


@dataclass(frozen=True, slots=True)
class KeptReconciliation:
    """An invoice for the days from `first` to `last`, both in it, of a zone.

    account: which of ours at the provider; None: all. ours, theirs, open, tolerance: USD.
    is_explained: no more than the tolerance was open. causes: their parts of theirs less ours.
    """

    at_ns: int
    who: str | None
    provider: str
    account: str | None
    first: date
    last: date
    zone: str
    form: str
    invoice_sha256: str
    ours: Decimal
    theirs: Decimal
    open: Decimal
    tolerance: Decimal
    is_explained: bool
    unvalued: int
    charges: int
    estimated: int
    causes: tuple[tuple[str, Decimal], ...]

    @property
    def difference(self) -> Decimal:
        return self.theirs - self.ours


class ReconciliationTable:
    """The reconciliations of a database. Transactions are the caller's."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def add(self, one: KeptReconciliation) -> None:
        causes = [[cause, f"{usd:f}"] for cause, usd in one.causes]
        row = (
            *(one.at_ns, one.who, one.provider, one.account),
            *(one.first.isoformat(), one.last.isoformat(), one.zone, one.form),
            one.invoice_sha256,
            *(f"{usd:f}" for usd in (one.ours, one.theirs, one.open, one.tolerance)),
            *(int(one.is_explained), one.unvalued, one.charges, one.estimated),
            msgspec.json.encode(causes).decode(),
        )
        self._sql.execute(
            f"INSERT INTO reconciliations ({_COLUMNS}) VALUES ({marks(len(row))})", row
        )

    def of_days(self, first: date, last: date) -> Iterator[KeptReconciliation]:
        """Those whose days have some of these, both in it; the newest first."""
        for row in self._sql.execute(
            f"SELECT {_COLUMNS} FROM reconciliations WHERE first_day <= ? AND last_day >= ?"
            " ORDER BY at_ns DESC, id DESC",
            (last.isoformat(), first.isoformat()),
        ):
            yield _of_row(row)


_causes = msgspec.json.Decoder(list[tuple[str, str]]).decode


def _of_row(row: Row) -> KeptReconciliation:
    at_ns, who, provider, account, first, last, zone, form, sha256 = row[:9]
    ours, theirs, open_, tolerance = (Decimal(text) for text in row[9:13])
    is_explained, unvalued, charges, estimated, causes = row[13:]
    return KeptReconciliation(
        at_ns=at_ns,
        who=who,
        provider=provider,
        account=account,
        first=date.fromisoformat(first),
        last=date.fromisoformat(last),
        zone=zone,
        form=form,
        invoice_sha256=sha256,
        ours=ours,
        theirs=theirs,
        open=open_,
        tolerance=tolerance,
        is_explained=bool(is_explained),
        unvalued=unvalued,
        charges=charges,
        estimated=estimated,
        causes=tuple((cause, Decimal(usd)) for cause, usd in _causes(causes)),
    )

"""What is kept of reconciliations and verifications is read again as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from ledger.audit import verify
from ledger.databases.sql import Sql
from ledger.errors import RowRefused
from ledger.statements import heads
from ledger.tables.reconciliations import KeptReconciliation, ReconciliationTable
from ledger.tables.verifications import VerificationTable
from tests.ledger.entries_of import various, write

ONE = KeptReconciliation(
    at_ns=5,
    who="ada",
    provider="acme",
    account=None,
    first=date(2027, 1, 1),
    last=date(2027, 1, 31),
    zone="UTC",
    form="ours",
    invoice_sha256="ab" * 32,
    ours=Decimal("12.000000000000000000001"),
    theirs=Decimal("-0.5"),
    open=Decimal("12.5"),
    tolerance=Decimal("0.01"),
    is_explained=False,
    unvalued=2,
    charges=9,
    estimated=1,
    causes=(("price differs", Decimal("-12.5")),),
)


def test_reconciliations(sql: Sql) -> None:
    """Those of some days, the newest first, with every digit; and none is ever changed."""
    table = ReconciliationTable(sql)
    other = replace(ONE, at_ns=7, who=None, account="eu", first=date(2027, 1, 31))
    february = replace(ONE, first=date(2027, 2, 1), last=date(2027, 2, 28))
    with sql.transaction():
        for one in (ONE, other, february):
            table.add(one)
    assert list(table.of_days(date(2027, 1, 1), date(2027, 1, 31))) == [other, ONE]
    assert list(table.of_days(date(2027, 1, 1), date(2027, 1, 30))) == [ONE]
    assert next(table.of_days(date(2027, 1, 1), date(2027, 1, 31))).difference == other.difference
    with pytest.raises(RowRefused, match="never edited"), sql.transaction():
        sql.execute("UPDATE reconciliations SET is_explained = 1")


def test_verifications(sql: Sql) -> None:
    """The last one before a moment, with the ends that the chains had."""
    write(sql, various(30))
    known, found, table = heads(sql), verify(sql), VerificationTable(sql)
    assert table.last(100) is None
    with sql.transaction():
        table.add(50, found, known)
        table.add(60, replace(found, places=3), [])
    last = table.last(60)
    assert last is not None
    assert (last.at_ns, last.verified, last.heads) == (50, True, tuple(known))
    assert (last.attempts, last.charges) == (found.attempts, found.charges)
    later = table.last(61)
    assert later is not None
    assert (later.verified, later.places, later.heads) == (False, 3, ())

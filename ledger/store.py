"""Store: the books in a database, one object for each thing that they keep.

Synchronous, one connection, one thread: `writer` brings the calls of the event loop here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ledger.databases.sql import Sql
from ledger.tables.claims import ClaimTable
from ledger.tables.commitments import CommitmentTable
from ledger.tables.holds import HoldTable
from ledger.tables.interned import Interned
from ledger.tables.leases import LeaseTable
from ledger.tables.outbox import OutboxTable
from ledger.tables.policy import PolicyTable
from ledger.tables.requests import RequestTable
from ledger.tables.write_offs import WriteOffTable
from ledger.tables.writers import WriterTable


class Store:
    """Open books. `close` them last."""

    def __init__(self, sql: Sql) -> None:
        self.sql = sql
        self._interned = Interned(sql)
        self.leases = LeaseTable(sql, self._interned)
        self.writers = WriterTable(sql, self._interned, self.leases)
        self.holds = HoldTable(sql, self._interned, self.leases, self.writers)
        self.policy = PolicyTable(sql)
        self.outbox = OutboxTable(sql)
        self.write_offs = WriteOffTable(sql)
        self.claims = ClaimTable(sql)
        self.requests = RequestTable(sql)
        self.commitments = CommitmentTable(sql)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that happens inside is committed together, or not at all."""
        try:
            with self.sql.transaction():
                yield
        except BaseException:
            self._interned.forget()
            raise

    @contextmanager
    def step(self) -> Iterator[None]:
        """One step of a transaction: undone alone if it raises."""
        try:
            with self.sql.step():
                yield
        except BaseException:
            self._interned.forget()
            raise

    @contextmanager
    def view(self) -> Iterator[None]:
        """All that is read inside is of one moment; writers need not wait for it."""
        with self.sql.view():
            yield

    def close(self) -> None:
        self.sql.close()

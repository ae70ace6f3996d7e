"""WriteOffTable: slices of writers whose journals are gone, returned by an operator.

What such a writer had spent and not folded is in no books. Nobody but a person can say that it is
lost for good: its slices do not return by time alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.databases.sql import Sql
from ledger.measures import Measure
from ledger.money import ZERO, Money
from ledger.tables.leases import SILENT_NS


@dataclass(frozen=True, slots=True)
class WriterState:
    """A writer as the books know it. leased: the USD that it has taken, in the budget that it has
    taken most of; leases: of how many accounts it has something."""

    name: str
    is_open: bool
    seen_at_ns: int
    entries: int
    leases: int
    leased: Money

    def is_alive(self, now_ns: int) -> bool:
        return self.is_open and now_ns - self.seen_at_ns < SILENT_NS


class WriteOffTable:
    """The writers of a database, for operators. Within its transactions."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def writers(self) -> list[WriterState]:
        """Every writer there ever was, by name."""
        rows = self._sql.execute(
            "SELECT name, is_open, seen_at_ns, seq,"
            " (SELECT count(*) FROM leases WHERE writer_id = writers.id AND amount != 0),"
            " (SELECT max(amount) FROM leases JOIN accounts ON accounts.id = account_id"
            " WHERE writer_id = writers.id AND measure = ?) FROM writers ORDER BY name",
            (Measure.USD.value,),
        ).fetchall()
        return [
            WriterState(name, bool(is_open), seen, seq, leases, Money(leased or ZERO))
            for name, is_open, seen, seq, leases, leased in rows
        ]

    def write_off(self, name: str, at_ns: int, who: str) -> int:
        """Return every slice that a writer has, and say who did so; how many there were."""
        rows = self._sql.execute(
            "SELECT writer_id, account_id, amount FROM leases"
            " JOIN writers ON writers.id = writer_id WHERE name = ? ORDER BY account_id",
            (name,),
        ).fetchall()
        for writer_id, account_id, amount in rows:
            self._sql.execute(
                "UPDATE accounts SET leased = leased - ? WHERE id = ?", (amount, account_id)
            )
            self._sql.execute(
                "DELETE FROM leases WHERE writer_id = ? AND account_id = ?",
                (writer_id, account_id),
            )
            self._sql.execute(
                "INSERT INTO write_offs (writer_id, account_id, amount, at_ns, who)"
                " VALUES (?, ?, ?, ?, ?)",
                (writer_id, account_id, amount, at_ns, who),
            )
        self._sql.execute("UPDATE writers SET is_open = 0 WHERE name = ?", (name,))
        return len(rows)

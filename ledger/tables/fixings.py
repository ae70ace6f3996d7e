"""FixingTable: prices as they were published, with the time at which each became known.

The market's history keeps changes only: in it a day whose fixing is that of the day before is a day
without a fixing. Settlements have to tell the two apart, so that every fixing is kept here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from ledger.databases.sql import Sql, marks

FIXINGS = (
    """CREATE TABLE fixings (
        series TEXT NOT NULL, at_ns INTEGER NOT NULL, known_at_ns INTEGER NOT NULL,
        value TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (series, at_ns, known_at_ns)
    ) STRICT""",
)
"""The statements that make it, as those in `ledger.tables.ddl`."""


@dataclass(frozen=True, slots=True)
class Fixing:
    """What a series (an index, or a contract's own price) was at a time, in USD. known_at_ns: since
    when we know: a later one of the same time restates it."""

    series: str
    at_ns: int
    value: Decimal
    known_at_ns: int
    source: str


class FixingTable:
    """The fixings in a database. Transactions are the caller's."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def add(self, fixings: Iterable[Fixing]) -> int:
        """Keep what is news; how many were. What is known already, or says the same as what is
        known of its time, is none."""
        added = 0
        for one in fixings:
            last = self._sql.execute(
                "SELECT value FROM fixings WHERE series = ? AND at_ns = ? AND known_at_ns <= ?"
                " ORDER BY known_at_ns DESC LIMIT 1",
                (one.series, one.at_ns, one.known_at_ns),
            ).fetchone()
            if last is not None and Decimal(last[0]) == one.value:
                continue
            added += self._sql.execute(
                f"INSERT INTO fixings (series, at_ns, value, known_at_ns, source)"
                f" VALUES ({marks(5)}) ON CONFLICT (series, at_ns, known_at_ns) DO NOTHING",
                (one.series, one.at_ns, str(one.value), one.known_at_ns, one.source),
            ).rowcount
        return added

    def known(self, series: str, known_ns: int, since_ns: int, until_ns: int) -> list[Fixing]:
        """Those from `since` on and before `until` as they were known at a moment, oldest first."""
        rows = self._sql.execute(
            "SELECT series, at_ns, value, known_at_ns, source FROM (SELECT series, at_ns, value,"
            " known_at_ns, source, row_number() OVER (PARTITION BY at_ns ORDER BY known_at_ns DESC)"
            " AS place FROM fixings WHERE series = ? AND known_at_ns <= ? AND at_ns >= ?"
            " AND at_ns < ?) AS placed WHERE place = 1 ORDER BY at_ns",
            (series, known_ns, since_ns, until_ns),
        )
        return [Fixing(row[0], row[1], Decimal(row[2]), *row[3:]) for row in rows]

"""RecordTable: the records of the hedge's book, append-only and on a chain of hashes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date

import msgspec

from ledger.accounting import GlAccount, Line, Record
from ledger.databases.sql import Sql, Value, marks
from ledger.money import Money
from ledger.tables.chain import GENESIS, chained

RECORDS = (
    """CREATE TABLE records (
        seq INTEGER PRIMARY KEY, record_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
        day TEXT NOT NULL, at_ns INTEGER NOT NULL, who TEXT NOT NULL, body TEXT NOT NULL,
        hash BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX records_kind ON records (kind, seq)",
    """CREATE TABLE record_lines (
        seq INTEGER NOT NULL REFERENCES records, place INTEGER NOT NULL,
        account TEXT NOT NULL, amount_nanos INTEGER NOT NULL, about TEXT NOT NULL,
        PRIMARY KEY (seq, place)
    ) STRICT""",
    "CREATE INDEX record_lines_about ON record_lines (about)",
    # One row: the end of the chain, so that a last record that was taken away is missed.
    "CREATE TABLE record_head (seq INTEGER NOT NULL, hash BLOB NOT NULL) STRICT",
)
"""The statements that make it, as those in `ledger.tables.ddl`."""

RECORD = "record_id, kind, day, at_ns, who, body"


def canonical(record: Iterable[Value], lines: Iterable[Iterable[Value]]) -> bytes:
    """A record as it is hashed: its columns of RECORD, then account, amount and about of each of
    its lines, as one JSON array."""
    return msgspec.json.encode([*record, [list(line) for line in lines]])


class RecordTable:
    """The records in a database. Transactions are the caller's: they are one at a time."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def append(self, record: Record) -> bool:
        """Write a record; False if one of its id is there: then nothing changes.

        Raises NotBalanced.
        """
        record.check()
        if self.has(record.id):
            return False
        head = self._sql.execute("SELECT seq, hash FROM record_head").fetchone()
        seq, prev = (0, GENESIS) if head is None else (head[0], bytes(head[1]))
        row = (
            *(record.id, record.kind, record.day.isoformat(), record.at_ns),
            *(record.who, record.body),
        )
        lines = [(str(one.account), int(one.amount), one.about) for one in record.lines]
        new = (seq + 1, chained(prev, canonical(row, lines)))
        self._sql.execute(
            f"INSERT INTO records (seq, {RECORD}, hash) VALUES ({marks(8)})",
            (new[0], *row, new[1]),
        )
        for place, line in enumerate(lines):
            self._sql.execute(
                f"INSERT INTO record_lines VALUES ({marks(5)})", (new[0], place, *line)
            )
        if head is None:
            self._sql.execute("INSERT INTO record_head VALUES (?, ?)", new)
        else:
            self._sql.execute("UPDATE record_head SET seq = ?, hash = ?", new)
        return True

    def has(self, record_id: str) -> bool:
        found = self._sql.execute("SELECT 1 FROM records WHERE record_id = ?", (record_id,))
        return found.fetchone() is not None

    def read(self) -> Iterator[Record]:
        """Every record, oldest first."""
        lines: defaultdict[int, list[Line]] = defaultdict(list)
        for seq, account, amount, about in self._sql.execute(
            "SELECT seq, account, amount_nanos, about FROM record_lines ORDER BY seq, place"
        ):
            lines[seq].append(Line(GlAccount(account), Money(amount), about))
        for seq, record_id, kind, day, at_ns, who, body in self._sql.execute(
            f"SELECT seq, {RECORD} FROM records ORDER BY seq"
        ):
            yield Record(
                record_id, kind, date.fromisoformat(day), at_ns, who, body, tuple(lines[seq])
            )

    def head(self) -> tuple[int, bytes] | None:
        """The number and the hash of the last record; None if there is none."""
        row = self._sql.execute("SELECT seq, hash FROM record_head").fetchone()
        return None if row is None else (row[0], bytes(row[1]))

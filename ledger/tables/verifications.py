"""VerificationTable: when the books were verified, up to which ends of their chains, and with what
result."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ledger.audit import Audit
from ledger.databases.sql import Sql
from ledger.statements import Head

VERIFICATIONS = (
    # heads: the ends of the chains before it began, a JSON array of [writer, seq, hash].
    """CREATE TABLE verifications (
        id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, verified INTEGER NOT NULL,
        places INTEGER NOT NULL, attempts INTEGER NOT NULL, charges INTEGER NOT NULL,
        records INTEGER NOT NULL, heads TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX verifications_at ON verifications (at_ns)",
)
"""The statements that make it, as those in `ledger.tables.ddl`."""


@dataclass(frozen=True, slots=True)
class Verification:
    """places: that did not agree. heads: how far the chains went when it began."""

    at_ns: int
    verified: bool
    places: int
    attempts: int
    charges: int
    records: int
    heads: tuple[Head, ...]


class VerificationTable:
    """The verifications of a database. Transactions are the caller's."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def add(self, at_ns: int, found: Audit, heads: list[Head]) -> None:
        text = msgspec.json.encode([[one.writer, one.seq, one.hash.hex()] for one in heads])
        self._sql.execute(
            "INSERT INTO verifications (at_ns, verified, places, attempts, charges, records, heads)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(at_ns, int(found.verified), found.places, found.attempts, found.charges),
                *(found.records, text.decode()),
            ),
        )

    def last(self, until_ns: int) -> Verification | None:
        """The last one before a moment."""
        row = self._sql.execute(
            "SELECT at_ns, verified, places, attempts, charges, records, heads FROM verifications"
            " WHERE at_ns < ? ORDER BY at_ns DESC, id DESC LIMIT 1",
            (until_ns,),
        ).fetchone()
        if row is None:
            return None
        at_ns, verified, places, attempts, charges, records, heads = row
        known = (Head(writer, seq, bytes.fromhex(text)) for writer, seq, text in _heads(heads))
        return Verification(at_ns, bool(verified), places, attempts, charges, records, tuple(known))


_heads = msgspec.json.Decoder(list[tuple[str, int, str]]).decode

"""ClaimTable: Idempotency-Keys of the last day."""

from __future__ import annotations

from ledger.databases.sql import Sql, marks
from ledger.idempotency import CLAIM_NS, Claim


class ClaimTable:
    """The claims of a database. Within its transactions."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def claim(self, claim: Claim) -> Claim | None:
        """Take an Idempotency-Key; the claim of another request, if that has it already."""
        taken = self._sql.execute(
            f"INSERT INTO idempotency_keys VALUES ({marks(5)}) ON CONFLICT (key_id, key) DO UPDATE"
            " SET digest = excluded.digest, request_id = excluded.request_id,"
            " at_ns = excluded.at_ns WHERE idempotency_keys.at_ns <= excluded.at_ns - ?",
            (claim.key_id, claim.key, claim.digest, claim.request_id, claim.at_ns, CLAIM_NS),
        )
        if taken.rowcount == 1:
            return None
        row = self._sql.execute(
            "SELECT key_id, key, digest, request_id, at_ns FROM idempotency_keys"
            " WHERE key_id = ? AND key = ?",
            (claim.key_id, claim.key),
        ).fetchone()
        if row is None:
            raise AssertionError(f"{claim.key} can neither be taken, nor has anybody taken it")
        return Claim(row[0], row[1], bytes(row[2]), row[3], row[4])

    def release(self, claim: Claim) -> bool:
        """Give a key back, unless its request was charged, or may still be. True if it is free."""
        given = self._sql.execute(
            "DELETE FROM idempotency_keys WHERE key_id = ? AND key = ? AND request_id = ?"
            " AND NOT EXISTS (SELECT * FROM entries"
            " WHERE entries.request_id = idempotency_keys.request_id AND effective_nanos > 0)"
            " AND NOT EXISTS (SELECT * FROM holds LEFT JOIN entries USING (attempt_id)"
            " WHERE holds.request_id = idempotency_keys.request_id AND kind IS NULL)",
            (claim.key_id, claim.key, claim.request_id),
        )
        return given.rowcount == 1

    def forget(self, now_ns: int, limit: int) -> int:
        """Delete claims that no longer hold, oldest first; how many there were."""
        return self._sql.execute(
            "DELETE FROM idempotency_keys WHERE (key_id, key) IN"
            " (SELECT key_id, key FROM idempotency_keys WHERE at_ns <= ? ORDER BY at_ns LIMIT ?)",
            (now_ns - CLAIM_NS, limit),
        ).rowcount

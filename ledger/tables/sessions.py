"""SessionTable: who is logged in to the dashboard. The books keep only a hash of each token."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.databases.sql import Sql

LASTS_NS = 12 * 3600 * 1_000_000_000
"""How long a login lasts at most..."""
IDLE_NS = 2 * 3600 * 1_000_000_000
"""...and how long it lasts while nobody asks for anything."""
SEEN_EVERY_NS = 60 * 1_000_000_000
"""How often it is written down that somebody asked."""
MOST_OF_A_KEY = 20
"""How many logins one key has at once: one more ends its oldest."""

SESSIONS = (
    # key_hash: of the secret that was logged in with, as the keys have it, or of the admin key.
    """CREATE TABLE sessions (
        hash BLOB PRIMARY KEY, key_hash BLOB NOT NULL, created_at_ns INTEGER NOT NULL,
        seen_at_ns INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX sessions_key ON sessions (key_hash, created_at_ns)",
)


@dataclass(frozen=True, slots=True)
class Session:
    """A login. Whether its key may still be used is not known here."""

    hash: bytes
    key_hash: bytes
    created_at_ns: int
    seen_at_ns: int

    def is_over(self, now_ns: int) -> bool:
        return now_ns >= self.created_at_ns + LASTS_NS or now_ns >= self.seen_at_ns + IDLE_NS


class SessionTable:
    """The logins of a database. Within its transactions."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def begin(self, token_hash: bytes, key_hash: bytes, now_ns: int) -> None:
        """Keep a login, and forget those that are over: of all, and of this key its oldest."""
        self._sql.execute(
            "DELETE FROM sessions WHERE created_at_ns <= ? OR seen_at_ns <= ?",
            (now_ns - LASTS_NS, now_ns - IDLE_NS),
        )
        self._sql.execute(
            "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE key_hash = ?"
            " ORDER BY created_at_ns DESC LIMIT 1000 OFFSET ?)",
            (key_hash, MOST_OF_A_KEY - 1),
        )
        self._sql.execute(
            "INSERT INTO sessions VALUES (?, ?, ?, ?)", (token_hash, key_hash, now_ns, now_ns)
        )

    def find(self, token_hash: bytes, now_ns: int) -> Session | None:
        """A login that is not over."""
        row = self._sql.execute(
            "SELECT hash, key_hash, created_at_ns, seen_at_ns FROM sessions WHERE hash = ?",
            (token_hash,),
        ).fetchone()
        if row is None:
            return None
        found = Session(bytes(row[0]), bytes(row[1]), row[2], row[3])
        return None if found.is_over(now_ns) else found

    def seen(self, session: Session, now_ns: int) -> None:
        """Somebody has asked for something: written down once in a while."""
        if now_ns - session.seen_at_ns >= SEEN_EVERY_NS:
            self._sql.execute(
                "UPDATE sessions SET seen_at_ns = ? WHERE hash = ?", (now_ns, session.hash)
            )

    def end(self, token_hash: bytes) -> None:
        self._sql.execute("DELETE FROM sessions WHERE hash = ?", (token_hash,))

"""Latest: the last word on things of the market of which only that counts, for all who share it.

So are a feed's last good document, and what a worker sees of offers. Each is replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.databases.sql import Sql


@dataclass(frozen=True, slots=True)
class Word:
    """at_ns: when it was written, in nanoseconds since 1970."""

    name: str
    at_ns: int
    body: bytes


class Latest:
    """The words of one kind; the caller owns the transactions that write."""

    def __init__(self, sql: Sql, kind: str) -> None:
        self._sql = sql
        self._kind = kind

    def put(self, word: Word) -> None:
        """Replace what was said by that name, within a transaction."""
        self._sql.execute(
            "INSERT INTO market_latest (kind, name, at_ns, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (kind, name) DO UPDATE SET at_ns = excluded.at_ns, body = excluded.body",
            (self._kind, word.name, word.at_ns, word.body),
        )

    def get(self, name: str) -> Word | None:
        row = self._sql.execute(
            "SELECT name, at_ns, body FROM market_latest WHERE kind = ? AND name = ?",
            (self._kind, name),
        ).fetchone()
        return None if row is None else _word(*row)

    def all(self, since_ns: int = 0) -> list[Word]:
        """Those written since, by name."""
        rows = self._sql.execute(
            "SELECT name, at_ns, body FROM market_latest WHERE kind = ? AND at_ns >= ?"
            " ORDER BY name",
            (self._kind, since_ns),
        )
        return [_word(*row) for row in rows]

    def named(self, first: str, before: str) -> list[Word]:
        """Those with a name from `first` on and before `before`, by name."""
        rows = self._sql.execute(
            "SELECT name, at_ns, body FROM market_latest WHERE kind = ? AND name >= ? AND name < ?"
            " ORDER BY name",
            (self._kind, first, before),
        )
        return [_word(*row) for row in rows]

    def times(self) -> Mapping[str, int]:
        """When each was written: what a program reads that looks for news every second."""
        return dict(
            self._sql.execute(
                "SELECT name, at_ns FROM market_latest WHERE kind = ? ORDER BY name",
                (self._kind,),
            ).fetchall()
        )

    def forget(self, before_ns: int) -> int:
        """Drop what nobody has written since; how many. Within a transaction."""
        return self._sql.execute(
            "DELETE FROM market_latest WHERE kind = ? AND at_ns < ?", (self._kind, before_ns)
        ).rowcount


def _word(name: str, at_ns: int, body: bytes) -> Word:
    return Word(name, at_ns, bytes(body))

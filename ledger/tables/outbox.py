"""The outbox: notices that wait for delivery, in the same database and transaction as the money.

What put a budget over its threshold and the notice of it are committed together, so that neither
is there without the other; adding a notice again changes nothing, so that it is told once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import msgspec

from ledger.databases.sql import Row, Sql, marks
from ledger.money import MAX_NANOS
from ledger.notices import Delivery, Notice, from_json, to_json

DELIVERIES = (
    # keep_until_ns: a finished row is what keeps its notice from being told again, so it stays
    # as long as the window that it is about, and some more.
    """CREATE TABLE deliveries (
        notice_id TEXT NOT NULL, channel TEXT NOT NULL, notice TEXT NOT NULL,
        created_at_ns INTEGER NOT NULL, keep_until_ns INTEGER NOT NULL,
        tries INTEGER NOT NULL, next_try_at_ns INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('due', 'delivered', 'given_up')),
        why TEXT NOT NULL, PRIMARY KEY (notice_id, channel)
    ) STRICT""",
    """CREATE INDEX deliveries_due ON deliveries (next_try_at_ns, notice_id, channel)
        WHERE state = 'due'""",
    "CREATE INDEX deliveries_done ON deliveries (keep_until_ns) WHERE state <> 'due'",
)
"""The statements that make it, as those in `ledger.tables.ddl`."""

KEPT_NS = 30 * 86_400 * 1_000_000_000
"""How long a finished delivery is kept beyond its window, for those who ask what was told."""


class OutboxTable:
    """The deliveries in a database. Transactions are the caller's."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def add(self, notice: Notice, now_ns: int) -> int:
        """Put a notice into the outbox, for each of its channels; returns how many are new."""
        text = to_json(notice)
        return sum(
            self._sql.execute(
                "INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, 0, ?, 'due', '')"
                " ON CONFLICT (notice_id, channel) DO NOTHING",
                (notice.id, channel, text, now_ns, _keep_until_ns(notice, now_ns), now_ns),
            ).rowcount
            for channel in notice.channels
        )

    def due(
        self, now_ns: int, limit: int, except_channels: Collection[str] = ()
    ) -> tuple[Delivery, ...]:
        """Deliveries whose time has come, the longest due first. What cannot be read any more is
        given up."""
        others = f"AND channel NOT IN ({marks(len(except_channels))})" if except_channels else ""
        rows = self._sql.execute(
            "SELECT notice_id, channel, notice, created_at_ns, tries FROM deliveries"
            f" WHERE state = 'due' AND next_try_at_ns <= ? {others}"
            " ORDER BY next_try_at_ns, notice_id, channel LIMIT ?",
            (now_ns, *except_channels, limit),
        ).fetchall()
        return tuple(self._read(rows))

    def _read(self, rows: Iterable[Row]) -> Iterator[Delivery]:
        for notice_id, channel, text, created_at_ns, tries in rows:
            try:
                notice = from_json(text)
            except msgspec.DecodeError as error:
                self._end(notice_id, channel, "given_up", f"unreadable: {error}")
            else:
                yield Delivery(notice, channel, created_at_ns, tries)

    def delivered(self, delivery: Delivery) -> bool:
        """It has arrived. False if it had ended already: then nothing changes."""
        return self._end(delivery.notice.id, delivery.channel, "delivered", "")

    def given_up(self, delivery: Delivery, why: str) -> bool:
        """It is not tried again. False if it had ended already: then nothing changes."""
        return self._end(delivery.notice.id, delivery.channel, "given_up", why)

    def failed(self, delivery: Delivery, next_try_at_ns: int, why: str) -> bool:
        """It is due again later. False if it had ended already: then nothing changes."""
        updated = self._sql.execute(
            "UPDATE deliveries SET tries = tries + 1, next_try_at_ns = ?, why = ?"
            " WHERE notice_id = ? AND channel = ? AND state = 'due'",
            (next_try_at_ns, why, delivery.notice.id, delivery.channel),
        )
        return updated.rowcount == 1

    def _end(self, notice_id: str, channel: str, state: str, why: str) -> bool:
        updated = self._sql.execute(
            "UPDATE deliveries SET tries = tries + 1, state = ?, why = ?"
            " WHERE notice_id = ? AND channel = ? AND state = 'due'",
            (state, why, notice_id, channel),
        )
        return updated.rowcount == 1

    def forget(self, now_ns: int, limit: int) -> int:
        """Delete finished deliveries that need not be kept any longer; returns how many, `limit`
        at most."""
        return self._sql.execute(
            "DELETE FROM deliveries WHERE (notice_id, channel) IN (SELECT notice_id, channel"
            " FROM deliveries WHERE state <> 'due' AND keep_until_ns <= ?"
            " ORDER BY keep_until_ns LIMIT ?)",
            (now_ns, limit),
        ).rowcount


def _keep_until_ns(notice: Notice, now_ns: int) -> int:
    """For ever where the window never ends: there are no more of them than accounts."""
    if notice.resets_at is None:
        return MAX_NANOS
    resets_at_ns = int(notice.resets_at.timestamp()) * 1_000_000_000
    return min(max(now_ns, resets_at_ns) + KEPT_NS, MAX_NANOS)

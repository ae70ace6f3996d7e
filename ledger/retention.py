"""Retention: rows that are old enough are deleted, and what hangs on them goes on holding.

Of entries, what they sum to stays in `retired`, and the hash of the last one that went, of each
writer, in `checkpoints`: balances and chains are verified as before. Rollups of a day, and longer
ones, stay for ever, so that statements still know every day.

It is done in small batches, each in a transaction of its own: a server goes on meanwhile, and after
a crash between two of them the books are as good as before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

from ledger.databases.sql import Sql
from ledger.errors import StoreUnavailable
from ledger.tables.rollups import DAY_NS, ENTRIES_S, QUARTER_S
from ledger.windows import Window

BATCH_ROWS = 1_000
"""Some ms of work for the database."""
RETIRE_EVERY_S = 3600.0
RATES_KEPT_NS = 7 * DAY_NS
"""Accounts that limit what is asked in a minute: no entry names them. Long enough for a worker that
was cut off from the books to come back."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long rows are kept, in ns; None: for ever. What only limited a rate is kept for a week.

    entries_ns: entries, and the holds of batches that have ended. details_ns: what was decided for
    each request, and rollups of a quarter of an hour.
    """

    entries_ns: int | None = None
    details_ns: int | None = None

    @classmethod
    def days(cls, entries: int | None, details: int | None) -> Keep:
        entries_ns = None if entries is None else entries * DAY_NS
        return cls(entries_ns, None if details is None else details * DAY_NS)

    def limits(self, now_ns: int) -> Limits:
        return Limits(
            _before(now_ns, self.entries_ns),
            _before(now_ns, self.details_ns),
            _before(now_ns, RATES_KEPT_NS),
        )


def _before(now_ns: int, kept_ns: int | None) -> int:
    return 0 if kept_ns is None else max(0, now_ns - kept_ns)


@dataclass(frozen=True, slots=True)
class Limits:
    """Rows before these moments go, those of whole days in UTC; 0: none."""

    entries_ns: int = 0
    details_ns: int = 0
    rates_ns: int = 0


@dataclass(frozen=True, slots=True)
class Retired:
    """How many rows were deleted."""

    entries: int = 0
    requests: int = 0
    rollups: int = 0
    rates: int = 0

    def __bool__(self) -> bool:
        return bool(self.entries or self.requests or self.rollups or self.rates)

    def __add__(self, other: Retired) -> Retired:
        return Retired(
            self.entries + other.entries,
            self.requests + other.requests,
            self.rollups + other.rollups,
            self.rates + other.rates,
        )


def retire(
    sql: Sql,
    limits: Limits,
    batch_rows: int = BATCH_ROWS,
    pause: Callable[[], None] = lambda: None,
) -> Retired:
    """Delete all that is older than the limits. pause: called between batches, so that who waits
    for the database gets it. May be stopped at any moment, and begun anew."""
    total = Retired()
    while True:
        with sql.transaction():
            batch = retire_some(sql, limits, batch_rows)
        if not batch:
            return total
        total += batch
        pause()


async def retiring(
    submit: Callable[[Callable[[], Retired]], Awaitable[Retired]],
    sql: Sql,
    keep: Keep,
    now_ns: Callable[[], int],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """The leader's duty, for ever: hour by hour, in turns with whatever else is written.

    submit: runs a call within a transaction of `sql`, as `Writer.submit` does.
    """
    while True:
        some = partial(retire_some, sql, keep.limits(now_ns()))
        with suppress(StoreUnavailable):  # it stays a while longer
            while await submit(some):
                pass
        await sleep(RETIRE_EVERY_S)


def retire_some(sql: Sql, limits: Limits, batch_rows: int = BATCH_ROWS) -> Retired:
    """Delete some rows that are older than the limits, at most `batch_rows` of a kind; falsy when
    there are none left. Within a transaction."""
    before_ns = limits.details_ns // DAY_NS * DAY_NS
    return Retired(
        _entries(sql, limits.entries_ns // DAY_NS * DAY_NS, batch_rows),
        _requests(sql, before_ns, batch_rows),
        _quarters(sql, before_ns, batch_rows),
        _rates(sql, limits.rates_ns, batch_rows),
    )


# -- entries


@dataclass(frozen=True, slots=True)
class _Prefix:
    """The oldest entries of a writer: how many, and the number and hash of the last one."""

    writer_id: int
    entries: int
    seq: int
    hash: bytes


def _entries(sql: Sql, before_ns: int, batch_rows: int) -> int:
    """The oldest entries of the first writer that has any which began and ended before."""
    for (writer_id,) in sql.execute("SELECT id FROM writers ORDER BY id").fetchall():
        found = sql.execute(
            "SELECT seq, hash, at_ns, ended_at_ns FROM entries WHERE writer_id = ?"
            " ORDER BY seq LIMIT ?",
            (writer_id, batch_rows),
        ).fetchall()
        old = list(takewhile(lambda row: max(row[2:]) < before_ns, found))
        if old:
            seq, last_hash = old[-1][:2]
            _retire(sql, _Prefix(writer_id, len(old), seq, last_hash), before_ns)
            return len(old)
    return 0


def _retire(sql: Sql, prefix: _Prefix, before_ns: int) -> None:
    of = "writer_id = ? AND seq <= ?"
    values = (prefix.writer_id, prefix.seq)
    sql.execute(
        "INSERT INTO retired (draws_id, entries, effective_nanos, tokens, requests, micro_units)"
        " SELECT draws_id, count(*), sum(effective_nanos), sum(tokens), sum(requests),"
        " sum(coalesce(micro_units, 0) + coalesce(overage_micro_units, 0)) FROM entries"
        f" WHERE {of} GROUP BY draws_id ON CONFLICT (draws_id) DO UPDATE SET"
        " entries = retired.entries + excluded.entries,"
        " effective_nanos = retired.effective_nanos + excluded.effective_nanos,"
        " tokens = retired.tokens + excluded.tokens,"
        " requests = retired.requests + excluded.requests,"
        " micro_units = retired.micro_units + excluded.micro_units",
        values,
    )
    held = f"SELECT attempt_id FROM holds JOIN entries USING (attempt_id) WHERE {of}"
    for table in ("dispatches", "holds"):
        sql.execute(f"DELETE FROM {table} WHERE attempt_id IN ({held})", values)
    sql.execute(f"DELETE FROM entries WHERE {of}", values)
    aged_ns = _age(sql, ENTRIES_S, before_ns)
    sql.execute("DELETE FROM checkpoints WHERE writer_id = ?", (prefix.writer_id,))
    sql.execute(
        "INSERT INTO checkpoints (writer_id, seq, hash, at_ns) VALUES (?, ?, ?, ?)",
        (*values, prefix.hash, aged_ns),
    )


def _age(sql: Sql, step_s: int, before_ns: int) -> int:
    """Say that rows of a step are gone before a moment. From when on they are all there."""
    row = sql.execute("SELECT before_ns FROM aged WHERE step_s = ?", (step_s,)).fetchone()
    aged_ns = before_ns if row is None else max(before_ns, row[0])
    sql.execute(
        "INSERT INTO aged (step_s, before_ns) VALUES (?, ?)"
        " ON CONFLICT (step_s) DO UPDATE SET before_ns = excluded.before_ns",
        (step_s, aged_ns),
    )
    return aged_ns


# -- details


def _requests(sql: Sql, before_ns: int, batch_rows: int) -> int:
    return sql.execute(
        "DELETE FROM requests WHERE id IN"
        " (SELECT id FROM requests WHERE at_ns < ? ORDER BY at_ns LIMIT ?)",
        (before_ns, batch_rows),
    ).rowcount


def _quarters(sql: Sql, before_ns: int, batch_rows: int) -> int:
    gone = sql.execute(
        "DELETE FROM rollups WHERE (step_s, start_ns, subject_id) IN"
        " (SELECT step_s, start_ns, subject_id FROM rollups WHERE step_s = ? AND start_ns < ?"
        " ORDER BY start_ns, subject_id LIMIT ?)",
        (QUARTER_S, before_ns, batch_rows),
    ).rowcount
    if gone:
        _age(sql, QUARTER_S, before_ns)
    return gone


def _rates(sql: Sql, before_ns: int, batch_rows: int) -> int:
    return sql.execute(
        "DELETE FROM accounts WHERE id IN (SELECT id FROM accounts WHERE time_window = ?"
        " AND window_start_ns < ? AND pending = 0 AND leased = 0"
        " AND NOT EXISTS (SELECT * FROM leases WHERE account_id = accounts.id)"
        " AND NOT EXISTS (SELECT * FROM write_offs WHERE account_id = accounts.id) LIMIT ?)",
        (Window.MINUTE, before_ns, batch_rows),
    ).rowcount

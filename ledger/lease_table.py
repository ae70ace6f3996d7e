"""LeaseTable: slices of budgets that writers have taken, to admit requests from in memory.

What is leased counts as spent until it is returned, so that no number of writers, and no crash of
one, can overspend. The rule is one line of integers, the WHERE of one UPDATE:
`posted + pending + leased + amount <= cap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ledger.budgets import Account, AccountKey
from ledger.interned import Interned
from ledger.money import MAX_NANOS
from ledger.sql import Dialect, Sql

SHARE = 2
"""A slice is at most this part of what is left, for each writer: it shrinks as the budget does."""
SILENT_NS = 10_000_000_000
"""A writer that was not seen for so long is not waited for: it is dead, or cannot reach the store.
"""


@dataclass(frozen=True, slots=True)
class Want:
    """What a writer needs of an account, beyond what it has free.

    least: with less it can do nothing. most: what all who wait for it need together.
    """

    account: Account
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands, in its whole window.

    leased: by all writers. room: what nobody has spent, holds or leases; below 0 where providers
    have billed above holds. own_cap: what of the cap other buckets leave to this one.
    """

    posted: int
    pending: int
    leased: int
    room: int
    own_cap: int


@dataclass(frozen=True, slots=True)
class Granted:
    """What it got, and how the account stands with it.

    amount: 0 if not even the least was there. lent: what other writers have beyond what they hold,
    if not everything was there: they have been asked for it.
    """

    account: Account
    amount: int
    standing: Standing
    lent: int = 0


class LeaseTable:
    """The leases of a database. Within its transactions."""

    def __init__(self, sql: Sql, interned: Interned) -> None:
        self._sql = sql
        self._interned = interned

    def grant(self, writer_id: int, wants: Sequence[Want], now_ns: int) -> list[Granted]:
        """Give a writer slices, each by itself, as far as there is room."""
        others = self._sql.execute(
            "SELECT count(*) FROM writers WHERE is_open = 1 AND id != ?", (writer_id,)
        ).fetchone()
        writers = 1 + (others[0] if others else 0)
        ids = {want.account.key: self._interned.account(want.account.key) for want in wants}
        # Always in one order: two writers that lock the same rows do not lock each other out.
        ordered = sorted(wants, key=lambda want: ids[want.account.key])
        return [
            self._grant(writer_id, ids[one.account.key], one, writers, now_ns) for one in ordered
        ]

    def _grant(
        self, writer_id: int, account_id: int, want: Want, writers: int, now_ns: int
    ) -> Granted:
        account, now = want.account, self.standing(want.account, for_update=True)
        if not account.refuses:
            return Granted(account, 0, now)
        free, amount = max(0, now.room), 0
        if want.least <= free:
            amount = min(free, max(want.most, free // (SHARE * writers)))
        if amount:
            self._take(writer_id, account_id, amount, now)
        lent = self.recall(writer_id, account, now_ns) if want.most > free else 0
        now = replace(now, room=now.room - amount, leased=now.leased + amount)
        return Granted(account, amount, now, lent)

    def _take(self, writer_id: int, account_id: int, amount: int, now: Standing) -> None:
        taken = self._sql.execute(
            "UPDATE accounts SET leased = leased + ? WHERE id = ?"
            " AND posted + pending + leased + ? <= ?",
            (amount, account_id, amount, now.own_cap),
        )
        if taken.rowcount != 1:
            raise AssertionError(f"account {account_id} changed while it was locked")
        self._sql.execute(
            "INSERT INTO leases (writer_id, account_id, amount) VALUES (?, ?, ?)"
            " ON CONFLICT (writer_id, account_id)"
            " DO UPDATE SET amount = leases.amount + excluded.amount",
            (writer_id, account_id, amount),
        )

    def standing(self, account: Account, *, for_update: bool = False) -> Standing:
        """How an account stands, in its whole window.

        for_update: it stays so until the end of this transaction.
        """
        cap = MAX_NANOS if account.cap is None else account.cap
        # Other buckets first, of a rolling window: the sum holds while it is taken of this one.
        others = (0, 0, 0)
        if account.counted_since_ns < account.window_start_ns:
            others = self._other_buckets(account, for_update=for_update)
        own = self._sql.execute(
            f"SELECT posted, pending, leased FROM accounts WHERE {_IS_ACCOUNT}"
            + (self._lock if for_update else ""),
            account.key,
        ).fetchone() or (0, 0, 0)
        posted, pending, leased = (one + more for one, more in zip(own, others, strict=True))
        room = cap - posted - pending - leased
        return Standing(posted, pending, leased, room, cap - sum(others))

    def _other_buckets(self, account: Account, *, for_update: bool) -> tuple[int, int, int]:
        posted = pending = leased = 0
        for row in self._sql.execute(
            "SELECT posted, pending, leased FROM accounts WHERE budget = ? AND measure = ?"
            " AND member = ? AND time_window = ? AND window_start_ns BETWEEN ? AND ?"
            " AND window_start_ns != ? ORDER BY id" + (self._lock if for_update else ""),
            (*account.key[:4], *_reach(account), account.window_start_ns),
        ):
            posted, pending, leased = posted + row[0], pending + row[1], leased + row[2]
        return (posted, pending, leased)

    @property
    def _lock(self) -> str:
        """SQLite's transactions have the whole file."""
        return " FOR UPDATE" if self._sql.dialect is Dialect.POSTGRES else ""

    # -- back again

    def give_back(self, writer_id: int, key: AccountKey, amount: int, held: int) -> None:
        """Return what is free of a slice. held: what of the rest is in holds."""
        account_id = self._interned.account(key)
        back = self.lessen(writer_id, account_id, amount, held)
        self._sql.execute(
            "UPDATE accounts SET leased = leased - ? WHERE id = ?", (back, account_id)
        )
        self._sql.execute(
            "UPDATE leases SET is_recalled = 0 WHERE writer_id = ? AND account_id = ?",
            (writer_id, account_id),
        )

    def lessen(self, writer_id: int, account_id: int, amount: int, held: int) -> int:
        """Take something out of a lease; how much of it was there: what was written off of a
        writer that has come back is not there any more, and was returned then."""
        lease = self._sql.execute(
            "UPDATE leases SET amount = amount - ?, held = ? WHERE writer_id = ? AND account_id = ?"
            " RETURNING amount",
            (amount, held, writer_id, account_id),
        ).fetchone()
        left = -amount if lease is None else int(lease[0])
        if left <= 0:  # a rate has one for each minute, and most are used up
            self._sql.execute(
                "DELETE FROM leases WHERE writer_id = ? AND account_id = ?",
                (writer_id, account_id),
            )
        return amount + min(0, left)

    def close(self, writer_id: int) -> None:
        """Return whatever a writer still has: it holds nothing, and what it spent is folded."""
        for account_id, amount in self._sql.execute(
            "SELECT account_id, amount FROM leases WHERE writer_id = ? ORDER BY account_id",
            (writer_id,),
        ).fetchall():
            self._sql.execute(
                "UPDATE accounts SET leased = leased - ? WHERE id = ?", (amount, account_id)
            )
        self._sql.execute("DELETE FROM leases WHERE writer_id = ?", (writer_id,))

    def recall(self, writer_id: int, account: Account, now_ns: int) -> int:
        """Ask other writers that are alive for what is free of their slices; how much it is."""
        ids = (
            "SELECT id FROM accounts WHERE budget = ? AND measure = ? AND member = ?"
            " AND time_window = ? AND window_start_ns BETWEEN ? AND ?"
        )
        alive = (writer_id, now_ns - SILENT_NS)
        of = (*account.key[:4], *_reach(account))
        asked = self._sql.execute(
            "UPDATE leases SET is_recalled = 1 WHERE amount > held AND writer_id IN"
            " (SELECT id FROM writers WHERE is_open = 1 AND id != ? AND seen_at_ns >= ?)"
            f" AND account_id IN ({ids}) RETURNING amount - held",
            (*alive, *of),
        ).fetchall()
        return sum(row[0] for row in asked)

    def recalled(self, writer_id: int) -> list[AccountKey]:
        """The accounts of which another writer needs what is free."""
        rows = self._sql.execute(
            "SELECT budget, measure, member, time_window, window_start_ns FROM leases"
            " JOIN accounts ON accounts.id = account_id WHERE writer_id = ? AND is_recalled = 1",
            (writer_id,),
        )
        return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


def _reach(account: Account) -> tuple[int, int]:
    """The first and the last bucket that any window has together with this one. Those after it
    are there when somebody began before the edge, or by another clock."""
    return account.counted_since_ns, 2 * account.window_start_ns - account.counted_since_ns


_IS_ACCOUNT = (
    "budget = ? AND measure = ? AND member = ? AND time_window = ? AND window_start_ns = ?"
)

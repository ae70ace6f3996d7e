"""LeaseTable: slices of budgets that writers have taken, to admit requests from in memory.

What is leased counts as spent until it is returned, so that no number of writers, and no crash of
one, can overspend. The rule is one line of integers, the WHERE of one UPDATE:
`posted + pending + leased + amount <= cap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ledger.budgets import Account, AccountKey
from ledger.databases.sql import Dialect, Sql, Value, marks
from ledger.money import MAX_NANOS
from ledger.tables.interned import Interned

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
class Take:
    """What leaves a lease. held: what of the rest is in holds."""

    account_id: int
    amount: int
    held: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands, in its whole window.

    leased: by all writers. room: what nobody has spent, holds or leases; below 0 where providers
    have billed above holds. own_cap: what of the cap other buckets leave to its own.
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
            "SELECT count(*) FROM writers WHERE is_open = 1 AND id != ? AND seen_at_ns >= ?",
            (writer_id, now_ns - SILENT_NS),
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
        posted = pending = leased = own = 0
        for start_ns, *sums in self._sql.execute(
            f"SELECT window_start_ns, posted, pending, leased FROM accounts WHERE {_IN_WINDOW}"
            " ORDER BY id" + (self._lock if for_update else ""),
            _in_window(account),
        ):
            posted, pending, leased = posted + sums[0], pending + sums[1], leased + sums[2]
            if start_ns == account.window_start_ns:
                own = sum(sums)
        used = posted + pending + leased
        return Standing(posted, pending, leased, cap - used, cap - used + own)

    @property
    def _lock(self) -> str:
        """SQLite's transactions have the whole file."""
        return " FOR UPDATE" if self._sql.dialect is Dialect.POSTGRES else ""

    # -- back again

    def give_back(self, writer_id: int, key: AccountKey, amount: int, held: int) -> None:
        """Return what is free of a slice. held: what of the rest is in holds."""
        account_id = self._interned.account(key)
        back = self.lessen(writer_id, [Take(account_id, amount, held)])[account_id]
        self._sql.execute(
            "UPDATE accounts SET leased = leased - ? WHERE id = ?", (back, account_id)
        )
        self._sql.execute(
            "UPDATE leases SET is_recalled = 0 WHERE writer_id = ? AND account_id = ?",
            (writer_id, account_id),
        )

    def lessen(self, writer_id: int, takes: Sequence[Take]) -> dict[int, int]:
        """Take something out of leases; how much of it was there, by account: what was written off
        of a writer that has come back is not there any more, and was returned then."""
        rows = ", ".join(["(?, ?, ?)"] * len(takes))
        found = self._sql.execute(
            "UPDATE leases SET amount = amount - change.column2, held = change.column3"
            f" FROM (VALUES {rows}) AS change"
            " WHERE writer_id = ? AND account_id = change.column1 RETURNING account_id, amount",
            [
                *(one for take in takes for one in (take.account_id, take.amount, take.held)),
                writer_id,
            ],
        ).fetchall()
        lefts: dict[int, int] = dict(found)
        if used_up := [one for one, left in lefts.items() if left <= 0]:
            # A rate has a lease for each minute, and most are used up.
            self._sql.execute(
                f"DELETE FROM leases WHERE writer_id = ? AND account_id IN ({marks(len(used_up))})",
                (writer_id, *used_up),
            )
        return {
            take.account_id: take.amount + min(0, lefts.get(take.account_id, -take.amount))
            for take in takes
        }

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
        alive = (writer_id, now_ns - SILENT_NS)
        asked = self._sql.execute(
            "UPDATE leases SET is_recalled = 1 WHERE amount > held AND writer_id IN"
            " (SELECT id FROM writers WHERE is_open = 1 AND id != ? AND seen_at_ns >= ?)"
            f" AND account_id IN (SELECT id FROM accounts WHERE {_IN_WINDOW})"
            " RETURNING amount - held",
            (*alive, *_in_window(account)),
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


_IN_WINDOW = (
    "budget = ? AND measure = ? AND member = ? AND time_window = ?"
    " AND window_start_ns BETWEEN ? AND ?"
)


def _in_window(account: Account) -> tuple[Value, ...]:
    """Of a rolling window the buckets after it, too, as far as any window has both: where a clock
    was set back, or another host's is ahead, there is something in them."""
    start_ns, since_ns = account.window_start_ns, account.counted_since_ns
    return (*account.key[:4], since_ns, start_ns + (start_ns - since_ns))

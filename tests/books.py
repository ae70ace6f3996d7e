"""Books opened without a proxy: a SQLite file, and a journal beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from ledger.attempts import Attempt, Hold, Settlement
from ledger.book import Book
from ledger.budgets import Account, Budget
from ledger.databases.sqlite_file import BUSY_TIMEOUT_S, SqliteFile
from ledger.desk import Times
from ledger.entries import Drawn, Kind
from ledger.journal_records import Ended, held_of, lost, posted_of
from ledger.opening import Slot, open_book
from ledger.policy import Rules
from ledger.store import Store


def opened_store(path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Store:
    return Store(SqliteFile.open(path, busy_timeout_s=busy_timeout_s))


def written(
    store: Store, hold: Hold, end: Settlement | None = None, reason: str = "client left"
) -> None:
    """An attempt that has ended, as a worker folds it: posted by `end`, voided without."""
    attempt = hold.attempt
    held = held_of(attempt, hold.accounts)
    ended = Ended(attempt.id, Kind.VOIDED, attempt.at_ns, reason)
    if end is not None:
        drawn = [
            Drawn(one.key, 0, spent := end.spends(attempt, one.measure), uncovered=spent)
            for one in hold.accounts
        ]
        ended = posted_of(attempt, end, drawn)
    with store.transaction():
        writer_id, _ = store.writers.open("test", attempt.at_ns)
        store.writers.write(writer_id, [(held, ended)])


def killed(store: Store, attempt: Attempt, accounts: tuple[Account, ...] = ()) -> None:
    """An attempt whose worker died before its end, as the next start writes it."""
    held = held_of(attempt, accounts)
    with store.transaction():
        writer_id, _ = store.writers.open("test", attempt.at_ns)
        store.writers.write(writer_id, [(held, lost(held, attempt.at_ns))])


def opened_book(
    store: Store,
    path: Path,
    budgets: tuple[Budget, ...] = (),
    now_ns: Callable[[], int] = time.time_ns,
) -> Book:
    """A book of the store at `path`. Needs a running loop."""
    times = Times(now_ns, time.monotonic, asyncio.sleep)
    return open_book(store, Rules(budgets), Slot(path.with_suffix(".journal")), times)

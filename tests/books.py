"""Books opened without a proxy: a SQLite file, and a journal beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from ledger.book import Book, Times
from ledger.budgets import Budget
from ledger.opening import Slot, open_book
from ledger.policy import Rules
from ledger.sqlite_file import BUSY_TIMEOUT_S, SqliteFile
from ledger.store import Store


def opened_store(path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Store:
    return Store(SqliteFile.open(path, busy_timeout_s=busy_timeout_s))


def opened_book(
    store: Store,
    path: Path,
    budgets: tuple[Budget, ...] = (),
    now_ns: Callable[[], int] = time.time_ns,
) -> Book:
    """A book of the store at `path`. Needs a running loop."""
    times = Times(now_ns, time.monotonic, asyncio.sleep)
    return open_book(store, Rules(budgets), Slot(path.with_suffix(".journal")), times)

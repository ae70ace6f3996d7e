"""Open books for tests, and what others see of them."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

from ledger.audit import Audit, verify
from ledger.book import Book, Durability
from ledger.budgets import Budget
from ledger.databases.sql import Sql
from ledger.databases.sqlite_file import SqliteFile
from ledger.desk import Times
from ledger.opening import Slot, open_book
from ledger.policy import Rules
from ledger.store import Store
from tests.ledger.entries import clock_ns, room_in
from tests.ledger.faults import Faulty

PATIENCE_S = 20.0
"""A test that waits for another thread gives up after this, and fails."""


def book_of(
    sql: Sql,
    path: Path,
    *budgets: Budget,
    slot: int = 0,
    durability: Durability = "process",
    now_ns: Callable[[], int] = clock_ns,
    rules: Rules | None = None,
) -> Book:
    """Worker `slot` of a host whose journals are beside `path`."""
    times = Times(now_ns, time.monotonic, asyncio.sleep)
    slot_of = Slot(path.with_suffix(".journal"), slot)
    return open_book(Store(sql), rules or Rules(budgets), slot_of, times, durability=durability)


async def file_of(path: Path, busy_timeout_s: float = PATIENCE_S) -> Faulty:
    opened = await asyncio.to_thread(SqliteFile.open, path, busy_timeout_s=busy_timeout_s)
    return Faulty(opened)


@asynccontextmanager
async def opened(
    path: Path,
    *budgets: Budget,
    busy_timeout_s: float = PATIENCE_S,
    slot: int = 0,
    durability: Durability = "process",
    now_ns: Callable[[], int] = clock_ns,
    rules: Rules | None = None,
) -> AsyncIterator[Book]:
    sql = await file_of(path, busy_timeout_s)
    book = book_of(
        sql, path, *budgets, slot=slot, durability=durability, now_ns=now_ns, rules=rules
    )
    try:
        yield book
    finally:
        await book.close()


async def abandon(book: Book) -> None:
    """All that a killed worker leaves: its files. Nothing that waits is written."""
    faulty = book.store.sql
    if isinstance(faulty, Faulty):
        faulty.is_down = True
    await book._following.stop()
    book._folding.stop()
    await book._writer.stop()
    await asyncio.to_thread(book.store.close)
    await asyncio.to_thread(book._journal.close)


@contextmanager
def written_by_another(path: Path) -> Iterator[None]:
    """While this lasts, another program has the write lock, and every write of ours waits."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def audit(path: Path) -> Audit:
    def look() -> Audit:
        with closing(SqliteFile.open(path)) as sql:
            return verify(sql)

    return await asyncio.to_thread(look)


async def left_in(path: Path, *budgets: Budget) -> int:
    """The least that nobody has spent, held or leased, as another program reads it."""

    def read() -> int:
        with closing(SqliteFile.open(path)) as sql:
            return room_in(Store(sql), *budgets)

    return await asyncio.to_thread(read)


async def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    def read() -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(path)) as sql:
            return list(sql.execute(statement).fetchall())

    return await asyncio.to_thread(read)


async def eventually(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not done():  # noqa: ASYNC110 - what another process does sends no event
            await asyncio.sleep(0.01)

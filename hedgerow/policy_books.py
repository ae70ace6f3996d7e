"""The books as the admin API has them: changes by the worker's writer, reads beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import TypeVar

from hedgerow.books import opened_sql
from hedgerow.config import Config
from ledger.book import Book
from ledger.budgets import Raise
from ledger.databases.sql import Sql
from ledger.requests import RequestRecord
from ledger.tables.policy import PolicyTable
from ledger.tables.requests import RequestTable
from proxy.admin.books import FileBudget

T = TypeVar("T")

READS_AT_ONCE = 2
"""Each has a connection of its own: what it sums up keeps no request waiting."""


class BookPolicy:
    """A worker's book, for its admin API."""

    def __init__(self, book: Book, config: Config) -> None:
        self._book = book
        self._ledger = config.ledger
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._file_budgets: Mapping[str, FileBudget] = {}
        self._file_raises: tuple[Raise, ...] = ()
        self.follow(config)

    def follow(self, config: Config) -> None:
        """Policy files have changed: from here on they say this. Reads time zones from disk."""
        self._file_budgets = {
            one.name: FileBudget(one.budget(), policy.places.file)
            for policy in config.policies
            for one in policy.budgets
        }
        self._file_raises = config.raises
        self._book.set_rules(config.rules())

    @property
    def file_budgets(self) -> Mapping[str, FileBudget]:
        return self._file_budgets

    @property
    def file_raises(self) -> tuple[Raise, ...]:
        return self._file_raises

    async def change(self, work: Callable[[PolicyTable], T]) -> T:
        return await self._book.run(lambda store: work(store.policy))

    async def read(self, look: Callable[[Sql], T]) -> T:
        await self._book.folded()
        await self._reads.acquire()
        seeing = asyncio.get_running_loop().run_in_executor(None, self._seen, look)
        seeing.add_done_callback(self._seen_to_its_end)
        # Who has gone away ends no thread: theirs keeps its place until it is done.
        return await asyncio.shield(seeing)

    def _seen_to_its_end(self, seeing: asyncio.Future[T]) -> None:
        self._reads.release()
        if not seeing.cancelled():
            seeing.exception()  # of one that nobody waits for, it is told to nobody

    def _seen(self, look: Callable[[Sql], T]) -> T:
        with closing(opened_sql(self._ledger, create=False)) as sql, sql.view():
            return look(sql)

    async def request(self, request_id: str) -> RequestRecord | None:
        return await self.read(lambda sql: RequestTable(sql).one(request_id))

"""What the admin API and the dashboard look up in a worker's books."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from hedgerow.policy_books import READS_AT_ONCE, BookPolicy
from ledger.databases.sql import Sql
from tests.serving import serving


async def test_who_goes_away_makes_no_room(tmp_path: Path) -> None:
    """A look whose page was reloaded goes on until it is done: however often that is, no more of
    them run at once, and the threads that all share are left to others."""
    entered, going_on, looked = threading.Semaphore(0), threading.Event(), list[int]()

    def slow(_sql: Sql) -> None:
        looked.append(1)
        entered.release()
        going_on.wait()

    async with serving(tmp_path) as proxy:
        books = await asyncio.to_thread(BookPolicy, proxy.server.house.book, proxy.config)
        try:
            for _ in range(READS_AT_ONCE):
                look = asyncio.create_task(books.read(slow))
                await asyncio.to_thread(entered.acquire)
                look.cancel()
                await asyncio.gather(look, return_exceptions=True)
            more = [asyncio.create_task(books.read(slow)) for _ in range(20)]
            for _ in range(20):
                await proxy.alive()
            assert len(looked) == READS_AT_ONCE
        finally:
            going_on.set()
        await asyncio.gather(*more)
        assert len(looked) == READS_AT_ONCE + 20

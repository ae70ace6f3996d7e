"""Syncing: many who wait for the disk wait together."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from ledger.journal import START, Journal, Place


class Syncing:
    """Makes what a journal says safe from a loss of power."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-sync")
        self._safe: Place = START
        self._running: asyncio.Future[Place] | None = None

    async def synced(self) -> None:
        """Wait until all that was appended before this call is safe. Raises StoreUnavailable."""
        wanted = self._journal.tail
        while self._safe < wanted:
            if self._running is None:
                loop = asyncio.get_running_loop()
                self._running = loop.run_in_executor(self._thread, self._sync, self._journal.tail)
                self._running.add_done_callback(self._done)
            await asyncio.shield(self._running)

    def _sync(self, tail: Place) -> Place:
        self._journal.sync()
        return tail

    def _done(self, running: asyncio.Future[Place]) -> None:
        self._running = None
        if running.exception() is None:
            self._safe = max(self._safe, running.result())

    def close(self) -> None:
        self._thread.shutdown()

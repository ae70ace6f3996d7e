"""Unheard: plain answers that came too late for their client.

A provider that was asked for a plain answer writes it to its end and bills it, whoever still
listens. So it is heard out, and the books get what was really used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

MOST_AT_ONCE = 1000


class Unheard:
    """The answers that are being heard out. `close` it before the books."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def has_room(self) -> bool:
        return len(self._tasks) < MOST_AT_ONCE

    def listen(self, hearing: Coroutine[None, None, None]) -> None:
        """Run `hearing` to its end; when the server stops it is cancelled, and must still book."""
        task = asyncio.create_task(hearing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

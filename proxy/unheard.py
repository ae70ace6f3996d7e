"""Unheard: answers that nobody waits for.

A provider that was asked for a plain answer writes it to its end and bills it, whoever still
listens. So one that came too late is heard out, and the books get what was really used. What was
overtaken by another offer ends here, too.
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
        await asyncio.sleep(0)  # what is cancelled before it has begun books nothing
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

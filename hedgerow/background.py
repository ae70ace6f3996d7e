"""Background: work that goes on beside a block, and ends with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from functools import partial

log = logging.getLogger("hedgerow")


@asynccontextmanager
async def beside(work: Coroutine[object, object, None], what: str) -> AsyncIterator[None]:
    """Have the work go on until the block ends. what: a name for it, should it end in an error
    before: that is logged at once, since what stands still is seen by nobody."""
    task = asyncio.create_task(work)
    task.add_done_callback(partial(_say, what))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _say(what: str, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error(
            "%s stands still until the next start; this is a fault in Hedgerow",
            what,
            exc_info=error,
        )

"""Remembering: one of all workers adds up what all of them saw, before it is forgotten."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.traffic.hours import add_up
from hedgerow.background import beside
from hedgerow.books import market_books
from hedgerow.config import Ledger
from ledger.errors import StoreUnavailable
from proxy.clock import Clock

log = logging.getLogger("hedgerow")

EVERY_S = 60.0
"""Workers' words on a minute stay for ten."""


@asynccontextmanager
async def remembering(ledger: Ledger, clock: Clock) -> AsyncIterator[None]:
    """Until the block ends. While the books cannot be written, it waits."""
    async with beside(_adding_up(ledger, clock), "the history of latency and failures"):
        yield


async def _adding_up(ledger: Ledger, clock: Clock) -> None:
    while True:
        try:
            await asyncio.to_thread(_add_up, ledger, clock)
        except StoreUnavailable as error:
            log.warning("what workers saw is added up later: %s", error)
        await asyncio.sleep(EVERY_S)


def _add_up(ledger: Ledger, clock: Clock) -> None:
    with market_books(ledger, is_server=True) as sql:
        add_up(sql, clock.now_ns())

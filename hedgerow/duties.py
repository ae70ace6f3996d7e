"""Duties: what one of all workers that share the books does, and the others leave to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hedgerow.books import opened_sql
from hedgerow.config import Config
from hedgerow.notifications.channels import channels, webhook_session
from hedgerow.notifications.courier import Courier
from hedgerow.notifications.outbox import StoredOutbox
from ledger.book import Book
from ledger.databases.partitions import drop_empty_partitions, ensure_partitions
from ledger.errors import StoreUnavailable
from ledger.instants import instant
from ledger.retention import Keep, retiring
from proxy.clock import Clock

log = logging.getLogger("hedgerow")

DAY_S = 86_400.0
EXPIRE_EVERY_S = 5.0


@asynccontextmanager
async def leading_the_books(
    config: Config, book: Book, clock: Clock, draw: Callable[[], float]
) -> AsyncIterator[None]:
    """Tell what is to be told, and keep the books in order: until the block ends."""
    keep = Keep.days(config.ledger.keep_days, config.ledger.keep_requests_days)
    async with webhook_session() as session:
        ways = await asyncio.to_thread(channels, config.notify, session, clock)
        outbox = StoredOutbox(book.store.outbox, book.submit)
        tasks = [
            asyncio.create_task(one)
            for one in (
                retiring(book.submit, book.store.sql, keep, clock.now_ns, asyncio.sleep),
                _partitioning(config, clock),
                _expiring(book),
            )
        ]
        try:
            async with Courier(outbox, ways, clock, draw):
                yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _expiring(book: Book) -> None:
    """Release holds that were never sent, when their time is over."""
    while True:
        try:
            await book.stored.expire()
        except StoreUnavailable as error:
            log.warning("cannot look for holds that expire: %s", error)
        await asyncio.sleep(EXPIRE_EVERY_S)


async def _partitioning(config: Config, clock: Clock) -> None:
    """On PostgreSQL, have the tables of the coming months ready, and let go of empty ones."""
    while config.ledger.path is None:
        try:
            await asyncio.to_thread(_partition, config, clock)
        except StoreUnavailable as error:  # entries have a place without it, too
            log.warning("the partitions are for another day: %s", error)
        await asyncio.sleep(DAY_S)


def _partition(config: Config, clock: Clock) -> None:
    now = instant(clock.now_ns())
    sql = opened_sql(config.ledger, create=False)
    try:
        ensure_partitions(sql, now)
        drop_empty_partitions(sql, now)
    finally:
        sql.close()

"""Sharing: what each worker sees of the market, told to all others that share the books.

Every few seconds: what was seen here goes to the market's tables, what the others saw there comes
from them. What was learned of tokenizers goes there, too, for the price board, and how the router
stands, for the dashboard. While the books
cannot be reached a worker knows what it saw itself, and tells it later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from benchmarks.market import Market
from benchmarks.tables.database import open_market
from benchmarks.text_price import Tokenizer
from benchmarks.traffic.observations import MINUTE_S, RECENT_MINUTES, Published
from benchmarks.traffic.observed import tell, told
from benchmarks.traffic.tokenizers import is_news
from benchmarks.traffic.tokenizers import tell as tell_tokenizers
from hedgerow.books import opened_sql
from hedgerow.config import Ledger
from hedgerow.router.standing import Standing
from hedgerow.router.standing import is_news as is_news_of_router
from hedgerow.router.standing import tell as tell_standing
from ledger.databases.sql import Sql
from ledger.errors import StoreUnavailable
from proxy.clock import Clock
from routing.learned import Learned

log = logging.getLogger("hedgerow")

FIRST_S = 0.1
EVERY_S = 2.0
AT_ONCE = 50
"""So much news is taken in before requests have their turn."""
LATE_S = 10.0
"""How much older what is read again may be: others write at their own clocks' times."""


@asynccontextmanager
async def sharing(
    ledger: Ledger,
    worker: str,
    market: Market,
    learned: Learned,
    clock: Clock,
    stands: Callable[[], Standing | None] = lambda: None,
) -> AsyncIterator[None]:
    """Until the block ends. worker: what this one is called, among all that share the books.
    stands: how its router does now; None: there is none to tell of."""
    stop = asyncio.Event()
    task = asyncio.create_task(_keep_sharing(ledger, worker, market, learned, clock, stands, stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def _keep_sharing(
    ledger: Ledger,
    worker: str,
    market: Market,
    learned: Learned,
    clock: Clock,
    stands: Callable[[], Standing | None],
    stop: asyncio.Event,
) -> None:
    untold: list[Published] = []
    answers: dict[str, int] = {}
    stood: Standing | None = None
    sql: Sql | None = None
    is_first, is_last = True, False
    try:
        while not is_last:
            is_last = await _set_within(stop, FIRST_S if is_first else EVERY_S)
            # The newest word on a minute holds: older ones of the same are not worth telling.
            untold = _newest([*untold, *market.observations.published()])
            news = [one for one in learned.tokenizers() if is_news(one, answers.get(one.model, 0))]
            try:
                if sql is None:
                    sql = await asyncio.to_thread(_opened, ledger)
                since_s = RECENT_MINUTES * MINUTE_S if is_first else EVERY_S + LATE_S
                now_ns = clock.now_ns()
                since_ns = now_ns - int(since_s * 1e9)
                now = stands()
                told_now = now if now is not None and is_news_of_router(now, stood) else None
                words = (worker, untold, news, told_now)
                heard = await asyncio.to_thread(_exchange, sql, words, now_ns, since_ns)
            except StoreUnavailable as error:
                log.warning("what the market does stays untold for now: %s", error)
                continue
            untold = []
            stood = told_now or stood
            answers |= {one.model: one.answers for one in news}
            for number, (other, one) in enumerate(heard):
                if number % AT_ONCE == AT_ONCE - 1:
                    await asyncio.sleep(0)
                if other != worker:
                    market.observations.absorb(other, one)
                elif is_first:  # what it saw before it was started again
                    market.observations.absorb(f"{worker} before", one)
            is_first = False
    finally:
        if sql is not None:
            await asyncio.to_thread(sql.close)


def _opened(ledger: Ledger) -> Sql:
    sql = opened_sql(ledger, create=False)
    open_market(sql)
    return sql


def _exchange(
    sql: Sql,
    words: tuple[str, list[Published], list[Tokenizer], Standing | None],
    now_ns: int,
    since_ns: int,
) -> list[tuple[str, Published]]:
    worker, untold, news, stands = words
    if untold or news or stands:
        with sql.transaction():
            tell(sql, worker, untold, now_ns)
            tell_tokenizers(sql, worker, news, now_ns)
            if stands is not None:
                tell_standing(sql, stands)
    return told(sql, since_ns)


def _newest(every: list[Published]) -> list[Published]:
    return list({(one.offer_id, one.minute): one for one in every}.values())


async def _set_within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True

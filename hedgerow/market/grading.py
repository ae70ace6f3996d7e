"""Grading: what evals have measured reaches every worker's market, wherever they were run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from benchmarks.evals.history import EvalHistory
from benchmarks.market import Market
from benchmarks.quality import Quality
from hedgerow.background import beside
from hedgerow.books import market_books
from hedgerow.config import Ledger
from ledger.errors import StoreUnavailable
from ledger.instants import instant
from proxy.clock import Clock

log = logging.getLogger("hedgerow")

EVERY_S = 15.0


@asynccontextmanager
async def following_evals(ledger: Ledger, market: Market, clock: Clock) -> AsyncIterator[None]:
    """Have the market know the newest scores, until the block ends. It knows them when it starts,
    if the books can be reached."""
    await _follow(ledger, market, clock)
    async with beside(_keep_following(ledger, market, clock), "the news of evals"):
        yield


async def _keep_following(ledger: Ledger, market: Market, clock: Clock) -> None:
    while True:
        await asyncio.sleep(EVERY_S)
        await _follow(ledger, market, clock)


async def _follow(ledger: Ledger, market: Market, clock: Clock) -> None:
    try:
        market.grade(await asyncio.to_thread(_qualities, ledger, clock))
    except StoreUnavailable as error:
        log.warning("scores stay as they are known: %s", error)


def _qualities(ledger: Ledger, clock: Clock) -> Mapping[str, Mapping[str, Quality]]:
    with market_books(ledger, is_server=True) as sql:
        return EvalHistory(sql).qualities(instant(clock.now_ns()))

"""The pages Market and Routing in a real browser."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.web.browser import browsing
from tests.web.past import as_books, fill

THREE = ("a", "b", "c")


async def test_look(tmp_path: Path) -> None:
    await asyncio.to_thread(fill, as_books(tmp_path), time.time_ns())
    async with browsing(tmp_path, names=THREE, honest=False) as desk:
        await asyncio.gather(*(desk.proxy.ask(stream=True) for _ in range(30)))
        await desk.log_in(path="/ui/market")
        await desk.pictures("market")
        await desk.open("/ui/market/offer?offer=a/oak-70b&span=30d")
        await desk.pictures("market-offer")
        await desk.open("/ui/market/model?model=oak")
        await desk.pictures("market-model")
        await desk.open("/ui/market/capacity")
        await desk.pictures("market-capacity")
        await desk.open("/ui/routing?span=7d")
        await desk.pictures("routing")
        await desk.open("/ui/routing/now?model=oak&input_tokens=1000")
        await desk.pictures("routing-now")

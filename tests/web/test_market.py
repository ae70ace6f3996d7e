"""The pages Market and Routing in a real browser."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.sandbox import Behaviour
from tests.serving import FAST
from tests.web.browser import Desk, browsing

THREE = ("a", "b", "c")


async def test_look(tmp_path: Path) -> None:
    async with browsing(tmp_path, names=THREE) as desk:
        await asyncio.gather(*(desk.proxy.ask(stream=True) for _ in range(30)))
        await desk.proxy.settled(30)
        await desk.log_in(path="/ui/market")
        await desk.pictures("market")
        await desk.open("/ui/market/offer?offer=a/oak-70b")
        await desk.pictures("market-offer")
        await desk.open("/ui/market/model?model=oak")
        await desk.pictures("market-model")
        await desk.open("/ui/market/capacity")
        await desk.pictures("market-capacity")
        await desk.open("/ui/routing")
        await desk.pictures("routing")
        await desk.open("/ui/routing/now?model=oak&input_tokens=1000")
        await desk.pictures("routing-now")

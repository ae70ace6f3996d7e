"""`kill -9` at random points under load, round after round: what a client was told is in the books.

`python -m tests.faults.kill_rounds 100` runs as many, and prints the numbers.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.sandbox import Behaviour, SandboxProvider
from hedgerow.config import load_config
from tests.faults.crowds import (
    MOST_TOKENS,
    Crowd,
    agree,
    billed_nanos,
    found,
    many_connections,
    new_key,
    report,
    watched,
)
from tests.hedgerow.crews import gone, workers
from tests.hedgerow.processes import PATIENCE_S, Serving, serve, write_config
from tests.serving import UPSTREAM_MODEL

CLIENTS = 8
LONGEST_S = 0.3
"""How long there is load between two kills, at most."""
ALL_EVERY = 6
"""Every so many rounds everything is killed at once, and started with another number of workers."""
CREWS = (3, 1, 2)
SWIFT = Behaviour((UPSTREAM_MODEL,), ttft_ms_median=10.0, inter_token_ms=2.0)
BUDGETS = (
    "  - {name: all, scope: {}, window: lifetime, cap_usd: 1}\n"
    "  - {name: bob, scope: {user: bob}, window: month, cap_usd: 0.02}\n"
    "  - {name: users, scope: {user: '*'}, window: lifetime, cap_usd: 1}\n"
    "  - {name: at once, scope: {user: bob}, window: lifetime, cap_parallel: 3}\n"
)
"""Ada has enough, whatever happens; Bob has not."""


@dataclass
class _Run:
    """The processes of the moment, and clients that go on whatever happens to them."""

    config: Path
    rng: random.Random
    serving: Serving | None = None
    is_over: bool = False
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def url(self) -> str:
        return "http://127.0.0.1:9/v1" if self.serving is None else self.serving.base_url

    @property
    def has_workers(self) -> bool:
        """Whether there are several: a single one has no supervisor, and is all there is."""
        return self.serving is not None and bool(workers(self.serving))

    async def start(self, count: int) -> None:
        options = ("--workers", str(count)) if count > 1 else ()
        self.serving = await self.stack.enter_async_context(serve(self.config, *options))

    async def kill_all(self) -> None:
        """As a machine that goes down, but for its disk."""
        assert self.serving is not None
        every = [self.serving.process.pid, *workers(self.serving).values()]
        for pid in every:
            os.kill(pid, signal.SIGKILL)
        await asyncio.gather(*(gone(pid) for pid in every))
        await self.serving.ended()
        await self.stack.aclose()
        self.serving = None

    async def kill_one(self) -> None:
        """Any worker that lives; its successor is started by the supervisor."""
        assert self.serving is not None
        crew = workers(self.serving)
        while not crew:  # each of them rests
            await asyncio.sleep(LONGEST_S)
            crew = workers(self.serving)
        os.kill(self.rng.choice(sorted(crew.values())), signal.SIGKILL)

    async def go_on_asking(self, crowd: Crowd, number: int) -> None:
        rng = random.Random(number)
        while not self.is_over:
            reply = await crowd.ask(rng.randint(1, MOST_TOKENS), streamed=rng.random() < 0.5)
            assert reply.status in (0, 200, 402, 429, 503), reply
            if reply.status != 200:
                await asyncio.sleep(0.02)


async def kill_rounds(folder: Path, count: int, seed: int = 0) -> None:
    """Kill `count` times; then stop, and hold the books against what the clients were told."""
    rng = random.Random(seed)
    async with AsyncExitStack() as around:
        upstream = await around.enter_async_context(SandboxProvider(SWIFT))
        config = write_config(folder, {"a": upstream.base_url}, budgets=BUDGETS)
        run = _Run(config, rng)
        http = await around.enter_async_context(many_connections())
        keys = [await new_key(config, user=user) for user in ("ada", "bob")]
        crowds = [Crowd(http, lambda: run.url, key) for key in keys]
        around.push_async_callback(run.stack.aclose)
        await run.start(CREWS[0])
        asking = [
            asyncio.create_task(run.go_on_asking(crowds[number % 2], number))
            for number in range(CLIENTS)
        ]
        loaded = await asyncio.to_thread(load_config, config, {})
        async with watched(loaded):
            for number in range(1, count + 1):
                await asyncio.sleep(rng.uniform(0.0, LONGEST_S))
                if number % ALL_EVERY and run.has_workers:
                    await run.kill_one()
                else:
                    await run.kill_all()
                    await run.start(CREWS[number // ALL_EVERY % len(CREWS)])
            run.is_over = True
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*asking)
        await run.stack.aclose()
        async with serve(config):
            pass  # what is left of a worker that was killed at the very end
        books = await asyncio.to_thread(found, loaded)
        agree(books, *crowds)
        told = {name for crowd in crowds for name in crowd.answers}
        assert told
        # What was billed is charged: exactly, or at the whole hold where a worker was killed.
        assert sum(books.costs.values()) + books.lost_nanos >= billed_nanos(upstream)
        assert upstream.tally.requests <= books.audit.charges
        report(
            f"{count} kills",
            books,
            answers=len(told),
            broken=sum(crowd.statuses[0] for crowd in crowds),
            refused=sum(crowd.statuses[402] + crowd.statuses[429] for crowd in crowds),
            unavailable=sum(crowd.statuses[503] for crowd in crowds),
            lost=books.lost,
            billed=billed_nanos(upstream),
            charged=sum(books.costs.values()) + books.lost_nanos,
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(kill_rounds(Path(place), int(sys.argv[1])))

"""A feed for tests: documents on loopback, which may be anything at any time."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from benchmarks.feeds.beliefs import Belief
from hedgerow.config import Config
from hedgerow.market.last_good import kept_beliefs

PATIENCE_S = 20.0


@dataclass
class Feed:
    """`answers`: by path; a body, or what makes an answer of a request."""

    url: str = ""
    answers: dict[str, bytes | Callable[[web.Request], web.StreamResponse]] = field(
        default_factory=dict
    )
    asked: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)
    headers: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def say(self, path: str, said: Any) -> None:
        self.answers[path] = said if isinstance(said, bytes) else json.dumps(said).encode()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path_qs
        self.asked[path] += 1
        self.headers[path] = request.headers
        answer = self.answers.get(path)
        if answer is None:
            return web.Response(status=404)
        if not isinstance(answer, bytes):
            return answer(request)
        etag = f'"{hashlib.sha256(answer).hexdigest()[:8]}"'
        if request.headers.get("if-none-match") == etag:
            self.unchanged[path] += 1
            return web.Response(status=304, headers={"etag": etag})
        return web.Response(body=answer, headers={"etag": etag})


@asynccontextmanager
async def feed() -> AsyncIterator[Feed]:
    found = Feed()
    app = web.Application()
    app.router.add_get("/{path:.*}", found.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield found
    finally:
        await runner.cleanup()


async def believed(config: Config, is_so: Callable[[Mapping[str, Belief]], bool]) -> None:
    """Wait until what is kept of the feeds is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so(await asyncio.to_thread(kept_beliefs, config)):
            pass

"""The workers of `hedgerow serve --workers`: who they are, and requests to one that is chosen."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import openai

from tests.hedgerow.processes import PATIENCE_S, Serving
from tests.serving import MODEL

PACE_S = 0.01
"""How often it is looked whether something has happened."""


def workers(serving: Serving) -> dict[int, int]:
    """The process of each worker, by its index."""
    found = {}
    supervisor = serving.process.pid
    for pid in _text(f"/proc/{supervisor}/task/{supervisor}/children").split():
        words = _text(f"/proc/{pid}/cmdline").split("\0")
        if "hedgerow.worker" in words:
            found[json.loads(words[-2])["index"]] = int(pid)
    return found


async def again(serving: Serving, index: int, times: int = 1) -> None:
    """Wait until a worker has been started again, so often, and serves."""
    async with asyncio.timeout(PATIENCE_S):
        while sum(f"worker {index} serves again" in line for line in serving.said) < times:  # noqa: ASYNC110 - no event
            await asyncio.sleep(PACE_S)


async def gone(pid: int) -> None:
    """Wait for the end of a process, whoever has what it left open."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(watch, ended.set)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await ended.wait()
    finally:
        loop.remove_reader(watch)
        os.close(watch)


async def runner(config: Path, serving: Serving) -> int:
    """The index of the worker that runs the batches, once there is one."""
    lock = config.parent / "hedgerow-files" / "runner.lock"
    node = f":{await asyncio.to_thread(lambda: lock.stat().st_ino)}"
    async with asyncio.timeout(PATIENCE_S):
        while True:
            rows = [line.split() for line in _text("/proc/locks").splitlines()]
            holders = {int(row[4]) for row in rows if row[1] == "FLOCK" and row[5].endswith(node)}
            for index, pid in workers(serving).items():
                if pid in holders:
                    return index
            await asyncio.sleep(PACE_S)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A connection that one worker has taken; it is kept, and all requests use it."""

    http: aiohttp.ClientSession
    base_url: str

    async def post(self, **extra: Any) -> tuple[int, Any]:
        """Ask for eight tokens: status and the body as JSON."""
        headers = extra.pop("headers", {})
        async with self.stream(headers, **extra) as answer:
            return answer.status, await answer.json()

    def stream(self, headers: dict[str, str], **extra: Any) -> Any:
        body = {"model": MODEL, "messages": [{"role": "user", "content": "a b c"}], "max_tokens": 8}
        return self.http.post(
            f"{self.base_url}/chat/completions", json=body | extra, headers=headers
        )


@asynccontextmanager
async def pinned(serving: Serving, index: int, key: str) -> AsyncIterator[Pinned]:
    """Requests to one worker, which serves: the others stand still while it takes the connection.

    They may have the books locked then, so nothing is asked that needs the books.
    """
    connector = aiohttp.TCPConnector(limit=1, keepalive_timeout=PATIENCE_S)
    headers = {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as http:
        await _alone(serving, index, _alive(http, serving.base_url))
        yield Pinned(http, serving.base_url)


@asynccontextmanager
async def pinned_client(
    serving: Serving, index: int, key: str
) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client, the same way."""
    limits = httpx.Limits(max_connections=1, keepalive_expiry=PATIENCE_S)
    async with openai.AsyncOpenAI(
        base_url=serving.base_url,
        api_key=key,
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(limits=limits),
    ) as client:
        await _alone(serving, index, client.get("/models", cast_to=object))
        yield client


async def _alone(serving: Serving, index: int, first: Any) -> None:
    others = [pid for one, pid in workers(serving).items() if one != index]
    try:
        for pid in others:
            await _stopped(pid)
        async with asyncio.timeout(PATIENCE_S):
            await first
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


async def _alive(http: aiohttp.ClientSession, base_url: str) -> None:
    async with http.get(f"{base_url.removesuffix('/v1')}/health/live") as answer:
        await answer.read()
        assert answer.status == 200


async def _stopped(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    while "T" not in _text(f"/proc/{pid}/stat").rpartition(")")[2]:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0)


def _text(path: str) -> str:
    """A file of /proc; empty for a process that has just gone."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""

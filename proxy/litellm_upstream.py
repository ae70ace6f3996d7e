"""LitellmUpstream: the providers that only LiteLLM speaks to, through a process of its own.

Nothing starts before the first request for one of them. From then on `proxy.litellm_child` runs
beside us: importing LiteLLM costs that process seconds, and this one nothing. If it dies, the next
request starts it again, and after a pause that grows if it keeps dying.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec

from proxy.aiohttp_upstream import aiohttp_upstream
from proxy.clock import Clock
from proxy.errors import log
from proxy.litellm_link import SECRET_HEADER, SETUP_HEADER, Start
from proxy.upstream import Answer, NotConnected, Upstream, UpstreamRequest

SCHEME = "litellm"
START_LIMIT_S = 120.0
STEADY_S = 60.0
"""A process that has lived so long was sound: should it end, that counts as the first time."""
LONGEST_PAUSE_S = 30.0
END_LIMIT_S = 2.0
LAST_WORDS_BYTES = 4096
LAST_WORDS_SHOWN = 300
MAX_BODY_BYTES = 64 << 20
CALLS_AT_ONCE = 1000
SOCKET_PATH_BYTES = 100
"""The path of a Unix socket is no longer, on any system."""


@dataclass(slots=True)
class _Child:
    """One process, from its start to its end. port: 0 for a Unix socket; None until it listens."""

    process: Process
    began_s: float
    port: int | None = None
    last_words: bytes = b""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def why(self) -> str:
        """How it ended, and the last that it wrote to stderr."""
        lines = self.last_words.decode(errors="replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no last word")
        return f"status {self.process.returncode}, {last[:LAST_WORDS_SHOWN]}"


class LitellmUpstream:
    """Sends to `litellm://PROVIDER/ENDPOINT`, where PROVIDER is LiteLLM's name of it; LiteLLM's
    parameters are JSON in the header `x-litellm-params`. Made by `litellm_upstream`."""

    def __init__(
        self, upstream: Upstream, clock: Clock, environ: Mapping[str, str], start: Start
    ) -> None:
        self._upstream = upstream
        self._clock = clock
        self._environ = environ
        self._start = start
        self._starting: asyncio.Task[_Child | None] | None = None
        self._child: _Child | None = None
        self._watch: asyncio.Task[None] | None = None
        self._closing = False
        self._ends = 0
        self._paused_until_s = 0.0
        self._why = ""

    @property
    def process_id(self) -> int | None:
        """Of the process that LiteLLM runs in; None if there is none now."""
        if self._child is None or self._child.ended.is_set():
            return None
        return self._child.process.pid

    async def send(self, request: UpstreamRequest) -> Answer:
        """The process has to listen within the limit to the first byte: NotConnected if not."""
        url = urlsplit(request.url)
        if url.scheme != SCHEME or not url.netloc:
            raise NotConnected(f"{request.url} is no {SCHEME}://PROVIDER/ENDPOINT")
        headers = {**request.headers, SECRET_HEADER: self._start.secret}
        until_s = self._clock.monotonic_s() + request.first_byte_timeout_s
        while True:
            child = await self._listening(until_s - self._clock.monotonic_s())
            left_s = max(0.0, until_s - self._clock.monotonic_s())
            at = f"http://127.0.0.1:{child.port or 80}/{url.netloc}{url.path}"
            try:
                answer = await self._upstream.send(
                    replace(request, url=at, headers=headers, first_byte_timeout_s=left_s)
                )
            except NotConnected:
                if not await _has_ended(child, min(END_LIMIT_S, left_s)):
                    raise
                continue  # it had died unheard, and nothing was sent: its successor can have it
            if (why := answer.headers.get(SETUP_HEADER)) is not None:
                log.error("%s, through LiteLLM: %s", url.netloc, why)
            return answer

    async def close(self) -> None:
        """End the process, whatever is under way in it."""
        self._closing = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._child is None or self._watch is None:
            return
        if self._child.process.stdin is not None:
            self._child.process.stdin.close()
        if not await _has_ended(self._child, END_LIMIT_S):
            _kill(self._child)
        await self._watch

    async def _listening(self, within_s: float) -> _Child:
        """The process that listens; started if there is none. Raises NotConnected."""
        if self._starting is None or self._is_over(self._starting):
            pause_s = self._paused_until_s - self._clock.monotonic_s()
            if pause_s > 0:
                raise NotConnected(
                    f"LiteLLM's process keeps ending ({self._why}); it may start anew in"
                    f" {pause_s:.1f} s"
                )
            self._starting = asyncio.create_task(self._begin())
        try:
            async with asyncio.timeout(max(0.0, within_s)):
                child = await asyncio.shield(self._starting)
        except TimeoutError:
            raise NotConnected(
                f"LiteLLM's process does not listen yet, after {within_s:.3g} s: its start takes"
                " some seconds"
            ) from None
        if child is None:
            raise NotConnected(f"LiteLLM's process did not start: {self._why}")
        return child

    @staticmethod
    def _is_over(starting: asyncio.Task[_Child | None]) -> bool:
        if not starting.done():
            return False
        child = starting.result()
        return child is None or child.ended.is_set()

    async def _begin(self) -> _Child | None:
        """A process that listens; None, and `_why`, if it came to nothing."""
        began_s = self._clock.monotonic_s()
        try:
            if self._start.socket is not None:
                folder = Path(self._start.socket).parent
                await asyncio.to_thread(folder.mkdir, mode=0o700, exist_ok=True)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # what lies in the working directory is no module of ours
                "-m",
                "proxy.litellm_child",
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=dict(self._environ),  # uvloop takes no other mapping
            )
        except OSError as error:
            self._note_end(began_s, str(error))
            return None
        child = self._child = _Child(process, began_s)
        self._watch = asyncio.create_task(self._watched(child))
        if process.stdin is None or process.stdout is None:
            raise AssertionError("both were asked for")
        process.stdin.write(msgspec.json.encode(self._start) + b"\n")
        port = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(START_LIMIT_S):
                port = await process.stdout.readline()
        if not port:
            _kill(child)
            await child.ended.wait()
            return None
        child.port = int(port)
        return child

    async def _watched(self, child: _Child) -> None:
        listening = asyncio.create_task(_hear(child))
        await child.process.wait()
        await asyncio.wait([listening], timeout=END_LIMIT_S)
        listening.cancel()
        if not self._closing:
            self._note_end(child.began_s, child.why)
        child.ended.set()

    def _note_end(self, began_s: float, why: str) -> None:
        now_s = self._clock.monotonic_s()
        self._ends = 1 if now_s - began_s >= STEADY_S else self._ends + 1
        pause_s = 0.0 if self._ends == 1 else min(2.0 ** (self._ends - 2), LONGEST_PAUSE_S)
        self._paused_until_s = now_s + pause_s
        self._why = why
        log.error("LiteLLM's process ended: %s", why)


async def _hear(child: _Child) -> None:
    """Keep the last of what it says; the rest is gone."""
    if child.process.stderr is None:
        raise AssertionError("it was asked for")
    while data := await child.process.stderr.read(LAST_WORDS_BYTES):
        child.last_words = (child.last_words + data)[-LAST_WORDS_BYTES:]


async def _has_ended(child: _Child, within_s: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await child.ended.wait()
    return child.ended.is_set()


def _kill(child: _Child) -> None:
    with suppress(ProcessLookupError):
        child.process.kill()


@asynccontextmanager
async def litellm_upstream(
    clock: Clock,
    environ: Mapping[str, str],
    *,
    max_body_bytes: int = MAX_BODY_BYTES,
    calls_at_once: int = CALLS_AT_ONCE,
    unix_sockets: bool = hasattr(socket, "AF_UNIX"),
) -> AsyncIterator[LitellmUpstream]:
    """Starts nothing; at the end, what was started is gone.

    environ: of the process that LiteLLM runs in, where it finds the credentials of cloud accounts.
    max_body_bytes: of a request. calls_at_once: what comes beyond is told 429. unix_sockets:
    whether to reach it by one, in a folder that is ours alone; else by a port on loopback. Either
    way it answers only who knows its secret.
    """
    temporary = Path(await asyncio.to_thread(tempfile.gettempdir))
    folder = temporary / f"hedgerow-litellm-{secrets.token_hex(8)}"  # made with the process
    path = str(folder / "socket")
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        unix_sockets = False
    # A connection for each request: none dies in a pool, and its end is the end of the call.
    connector: aiohttp.BaseConnector = (
        aiohttp.UnixConnector(path, limit=0, force_close=True)
        if unix_sockets
        else aiohttp.TCPConnector(limit=0, force_close=True)
    )
    start = Start(
        secrets.token_hex(16), path if unix_sockets else None, max_body_bytes, calls_at_once
    )
    try:
        async with aiohttp_upstream(clock, connector) as inner:
            upstream = LitellmUpstream(inner, clock, environ, start)
            try:
                yield upstream
            finally:
                await upstream.close()
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

"""A real proxy for tests: hedgerow.yaml on disk, sandbox providers on loopback, its own books."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import openai
from multidict import CIMultiDictProxy

from benchmarks.sandbox import Behaviour, SandboxProvider
from hedgerow.app import Running, running
from hedgerow.books import books
from hedgerow.config import Config, load_config
from ledger.audit import Audit, verify
from ledger.keys import hash_of, mint
from ledger.requests import RequestRecord
from ledger.statements import Charged, charged
from ledger.store import Store
from proxy.clock import Clock

T = TypeVar("T")

MODEL = "oak"
UPSTREAM_MODEL = "oak-70b"
HELLO: list[Any] = [{"role": "user", "content": "one two three"}]
FAST = Behaviour(models=(UPSTREAM_MODEL,), time_scale=0.0, output_tokens_median=5)
PACED = Behaviour(models=(UPSTREAM_MODEL,), time_scale=1.0, ttft_ms_median=10.0, inter_token_ms=5.0)
"""One token at a time, each when the gate lets it."""
PATIENCE_S = 10.0
"""Nothing here takes so long; what does has hung."""


class Gate:
    """A sleep that takes no time: it lets `open_for` pauses pass, and holds all others."""

    def __init__(self, open_for: int) -> None:
        self._left = open_for
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def sleep(self, _seconds: float) -> None:
        self._left -= 1
        if self._left < 0:
            await self._open.wait()


class ManualClock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self._ns = time.time_ns()

    def advance(self, seconds: float) -> None:
        self._ns += int(seconds * 1e9)

    def now_ns(self) -> int:
        return self._ns

    def monotonic_s(self) -> float:
        return self._ns / 1e9

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)


class SkippingClock:
    """The time, but for sleeps: they are over at once, and the clock stands where they end."""

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def now_ns(self) -> int:
        return time.time_ns() + int(self._skipped_s * 1e9)

    def monotonic_s(self) -> float:
        return time.monotonic() + self._skipped_s

    async def sleep(self, seconds: float) -> None:
        self._skipped_s += seconds
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client got: a status, headers and a body, read to its end."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error; all four of its keys are always there."""
        error: dict[str, Any] = self.json["error"]
        assert {"message", "type", "param", "code"} <= error.keys()
        return error

    @property
    def events(self) -> list[Any]:
        """The data of a stream's events; [DONE] as text."""
        texts = [one.removeprefix("data: ") for one in self.body.decode().split("\n\n") if one]
        return [one if one == "[DONE]" else json.loads(one) for one in texts]

    @property
    def content(self) -> str:
        chunks = [one for one in self.events if one != "[DONE]"]
        choices = [choice for chunk in chunks for choice in chunk.get("choices", [])]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


@dataclass
class Proxy:
    """A proxy that runs, its providers by name, and a key that may use all of it."""

    config: Config
    sandboxes: Mapping[str, SandboxProvider]
    server: Running
    key: str
    http: aiohttp.ClientSession
    _server_stack: AsyncExitStack = field(repr=False)
    _client_stack: AsyncExitStack = field(repr=False)

    @property
    def base_url(self) -> str:
        return self.server.base_url

    @property
    def a(self) -> SandboxProvider:
        """The cheapest provider."""
        return self.sandboxes["a"]

    def client(self, **settings: Any) -> openai.AsyncOpenAI:
        """The official client."""
        given: dict[str, Any] = {"base_url": self.base_url, "api_key": self.key, "max_retries": 0}
        client = openai.AsyncOpenAI(**given | settings)
        self._client_stack.push_async_callback(client.close)
        return client

    async def post(
        self, body: Any = None, *, path: str = "/chat/completions", **headers: str
    ) -> Reply:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        async with self.http.post(
            self.base_url + path, data=data, headers=sent | headers
        ) as response:
            return Reply(response.status, response.headers, await response.read())

    async def get(self, path: str, **headers: str) -> Reply:
        async with self.http.get(self.base_url + path, headers=headers) as response:
            return Reply(response.status, response.headers, await response.read())

    async def ask(self, **extra: Any) -> Reply:
        return await self.post(asking(**extra))

    async def read(self, look: Callable[[Store], T]) -> T:
        """Look into the books, after all that was written until now."""
        await self.server.house.book.folded()
        await self.server.house.book.ready()  # what is remembered behind it, too
        return await asyncio.to_thread(read_books, self.config, look)

    async def charges(self) -> list[Charged]:
        return await self.read(lambda store: list(charged(store.sql)))

    async def record(self, reply: Reply) -> RequestRecord:
        found = await self.read(lambda store: store.requests.one(reply.headers["x-request-id"]))
        assert found is not None
        return found

    async def settled(self, attempts: int) -> list[Charged]:
        """Wait until so many attempts were made and every hold is resolved; the charges."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                audit = await self.read(lambda store: verify(store.sql))
                is_quiet = self.server.house.book.under_way == audit.open_holds == 0
                if audit.attempts >= attempts and is_quiet:
                    return await self.charges()

    async def alive(self) -> None:
        """A round trip: what the server was sent before this, it has seen."""
        async with self.http.get(self.base_url.removesuffix("/v1") + "/health/live") as response:
            assert response.status == 200

    async def new_key(self, **who: Any) -> str:
        """A key made beside the running server; it works once the server has seen it."""
        key = await asyncio.to_thread(make_key, self.config, **who)
        async with asyncio.timeout(PATIENCE_S):
            while (await self.get("/models", authorization=f"Bearer {key}")).status == 401:
                pass
        return key

    async def stop(self) -> None:
        await self._server_stack.aclose()


def asking(**extra: Any) -> dict[str, Any]:
    """A request for eight tokens, unless `extra` says otherwise; its None leaves a field out."""
    body = {"model": MODEL, "messages": HELLO, "max_tokens": 8} | extra
    return {name: value for name, value in body.items() if value is not None}


def wishing(output_tokens: int) -> dict[str, int]:
    """The field `sandbox` of a request that wants an answer of this length."""
    return {"output_tokens": output_tokens}


def make_key(config: Config, **who: Any) -> str:
    secret, record = mint(time.time_ns(), secrets.token_bytes, **who)
    with books(config) as store, store.transaction():
        store.policy.add_key(record, hash_of(secret))
    return secret


def read_books(config: Config, look: Callable[[Store], T]) -> T:
    with books(config, create=False) as store:
        return look(store)


PRICES = {"a": (1, 2), "b": (3, 6), "c": (5, 10)}
"""USD per million tokens, input and output: a is always the cheapest."""


def offer(name: str, *, price: str | None = "", more: str = "") -> str:
    """An offer of UPSTREAM_MODEL as hedgerow.yaml has it; `price=None` names none."""
    given = "{{input: {}, output: {}}}".format(*PRICES[name]) if price == "" else price
    priced = "" if given is None else f", price: {given}"
    return f"{{provider: {name}, model: {UPSTREAM_MODEL}{priced}{more}}}"


def write_config(
    folder: Path,
    urls: Mapping[str, str],
    *,
    offers: Mapping[str, str],
    routing: str,
    own_routing: str,
    budgets: str | None,
    server: str,
    feeds: str,
    provider: str,
    more: str,
    more_models: str,
) -> Path:
    lines = [f"server: {server}", f"market: {{feeds: {feeds}}}", "providers:"]
    lines += [
        f"  {name}: {{dialect: openai, base_url: {url}{provider}}}" for name, url in urls.items()
    ]
    lines += ["models:", f"  {MODEL}:", f"    routing: {own_routing}", "    offers:"]
    lines += [f"      - {offers.get(name) or offer(name)}" for name in urls]
    lines += [f"  {more_models}", f"routing: {routing}", more]
    if budgets is not None:
        (folder / "policy.yaml").write_text(f"budgets:\n  - {budgets}\n")
        lines += ["policies: [policy.yaml]"]
    path = folder / "hedgerow.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    behaviour: Behaviour = FAST,
    names: tuple[str, ...] = ("a",),
    urls: Mapping[str, str] | None = None,
    offers: Mapping[str, str] | None = None,
    gate: Gate | None = None,
    routing: str = "{attempts: 3}",
    own_routing: str = "{}",
    budgets: str | None = None,
    server: str = "{port: 0}",
    feeds: str = "[]",
    provider: str = "",
    more: str = "",
    more_models: str = "",
    honest: bool = True,
    clock: Clock | None = None,
    drain_s: float = PATIENCE_S,
) -> AsyncIterator[Proxy]:
    """A proxy in front of one sandbox provider for each of `names`, and of `urls` as they are.

    At its end the books must verify, with no hold open; and if the providers are `honest`, what we
    charged must be what they would bill, token by token.
    """
    sleep = asyncio.sleep if gate is None else gate.sleep
    sandboxes = {name: SandboxProvider(behaviour, sleep=sleep) for name in names}
    async with AsyncExitStack() as around:
        for one in sandboxes.values():
            await around.enter_async_context(one)
        config = await asyncio.to_thread(
            _configured,
            folder,
            {name: one.base_url for name, one in sandboxes.items()} | dict(urls or {}),
            offers=offers or {},
            routing=routing,
            own_routing=own_routing,
            budgets=budgets,
            server=server,
            feeds=feeds,
            provider=provider,
            more=more,
            more_models=more_models,
        )
        key = await asyncio.to_thread(make_key, config, team="research")
        http = await around.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(PATIENCE_S)
            )
        )
        async with AsyncExitStack() as stack:
            app = await stack.enter_async_context(
                running(config, port=0, clock=clock, drain_s=drain_s)
            )
            yield Proxy(config, sandboxes, app, key, http, stack, around)
        audit, rows, leases = await asyncio.to_thread(read_books, config, _closed_books)
    assert app.house.book.under_way == 0
    assert leases == []
    hold_true(audit, rows, sandboxes if honest else None)


def _closed_books(store: Store) -> tuple[Audit, list[Charged], list[tuple[Any, ...]]]:
    leases = store.sql.execute("SELECT * FROM leases").fetchall()
    return verify(store.sql), list(charged(store.sql)), leases


def _configured(folder: Path, urls: Mapping[str, str], **settings: Any) -> Config:
    return load_config(write_config(folder, urls, **settings), {})


def hold_true(
    audit: Audit, rows: list[Charged], sandboxes: Mapping[str, SandboxProvider] | None
) -> None:
    """The books verify and nothing is held; if given, the providers' own tallies agree."""
    assert audit.findings == ()
    assert audit.open_holds == 0
    if sandboxes is None:
        return
    for name, one in sandboxes.items():
        ours = [row for row in rows if row.provider == name]
        assert sum(row.estimated for row in ours) == 0
        assert len(ours) == one.tally.billed_requests
        assert sum(row.usage.prompt or 0 for row in ours) == one.tally.prompt_tokens
        assert sum(row.usage.cached or 0 for row in ours) == one.tally.cached_tokens
        assert sum(row.usage.completion or 0 for row in ours) == one.tally.completion_tokens


def head(status: str = "200 OK", kind: str = "application/json", more: str = "") -> bytes:
    """The head of a scripted answer; without a length, it ends with its connection."""
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{more}\r\n".encode()


STREAM_HEAD = head(kind="text/event-stream")


Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answering) -> AsyncIterator[str]:
    """A provider for what no sandbox would do, connection by connection. Yields its base URL."""
    connections: set[asyncio.Task[None]] = set()

    async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side has left
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(whole(reader, writer)))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as listening:
        try:
            yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        finally:
            for one in connections:
                one.cancel()
            await asyncio.gather(*connections, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The body of the next request of a connection."""
    request_head = await reader.readuntil(b"\r\n\r\n")
    length = int(request_head.lower().partition(b"content-length:")[2].split()[0])
    return await reader.readexactly(length)


@asynccontextmanager
async def scripted(*parts: bytes, stay: bool = False) -> AsyncIterator[str]:
    """A provider that answers every request with these bytes, then hangs up or stays silent."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
        if stay:
            await reader.read()  # until the other side leaves

    async with answering(answer) as base_url:
        yield base_url

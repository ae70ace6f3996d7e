"""Clients that leave, or do not read: the provider is stopped, and what was used is charged."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.sandbox import Behaviour, Fault
from ledger.requests import RequestRecord
from ledger.usage import TokenUsage
from proxy.chat import serve
from proxy.exchange import Headers
from proxy.wires.chat import ChatWire
from tests.serving import (
    PACED,
    PATIENCE_S,
    UPSTREAM_MODEL,
    Gate,
    ManualClock,
    Proxy,
    asking,
    serving,
    wishing,
)


@asynccontextmanager
async def raw_client(
    proxy: Proxy, body: object, receive_bytes: int | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection that has sent a chat request, and is aborted at the end."""
    where = urlsplit(proxy.base_url)
    sock = socket.socket()
    if receive_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (where.hostname, where.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
    data = json.dumps(body).encode()
    writer.write(
        f"POST {where.path}/chat/completions HTTP/1.1\r\nhost: {where.netloc}\r\n"
        "connection: close\r\n"
        f"authorization: Bearer {proxy.key}\r\ncontent-length: {len(data)}\r\n\r\n".encode()
        + data
    )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def last_record(proxy: Proxy) -> RequestRecord:
    (row,) = await proxy.read(lambda store: store.sql.execute("SELECT id FROM requests").fetchall())
    found = await proxy.read(lambda store: store.requests.one(row[0]))
    assert found is not None
    return found


async def test_leaving_in_the_middle_of_a_stream(tmp_path: Path) -> None:
    """The provider is cancelled at once; what was delivered is charged, once, as an estimate."""
    async with serving(tmp_path, behaviour=PACED, gate=Gate(open_for=30), honest=False) as proxy:
        body = asking(stream=True, max_tokens=500, sandbox=wishing(400))
        async with asyncio.timeout(PATIENCE_S):
            async with raw_client(proxy, body) as (reader, _):
                got = b""
                while got.count(b'"content":" ') < 20:
                    got += await reader.read(1000)
            await proxy.a.tally.until(lambda tally: tally.disconnects == 1)
            (charge,) = await proxy.settled(attempts=1)

        assert charge.estimated
        assert 20 <= (charge.usage.completion or 0) <= 2 * proxy.a.tally.completion_tokens
        assert proxy.a.tally.completion_tokens <= 30
        record = await last_record(proxy)
        assert (record.outcome, record.status) == ("client_left", 499)


async def test_leaving_in_the_middle_of_a_tool_call(tmp_path: Path) -> None:
    """Arguments of tools are output like any other: who leaves pays for those that came."""
    words = " ".join(["tool", *["hawthorn"] * 400])
    tools = [{"type": "function", "function": {"name": "echo"}}]
    # Unpaced: sixteen tokens to a piece.
    fast = Behaviour(models=(UPSTREAM_MODEL,), time_scale=0.0)
    async with serving(tmp_path, behaviour=fast, gate=Gate(open_for=10), honest=False) as proxy:
        body = asking(
            stream=True,
            max_tokens=500,
            tools=tools,
            messages=[{"role": "user", "content": words}],
        )
        async with asyncio.timeout(PATIENCE_S):
            async with raw_client(proxy, body) as (reader, _):
                await proxy.a.tally.until(lambda tally: tally.completion_tokens == 160)
                await reader.readuntil(b"hawthorn")
                await proxy.alive()
            await proxy.a.tally.until(lambda tally: tally.disconnects == 1)
            (charge,) = await proxy.settled(attempts=1)
        assert charge.estimated
        assert (charge.usage.completion or 0) >= 160


async def test_leaving_before_the_first_byte_of_a_stream(tmp_path: Path) -> None:
    """The provider has the prompt and may bill it: it is cancelled, and the prompt is charged."""
    async with serving(tmp_path, behaviour=PACED, gate=Gate(open_for=0), honest=False) as proxy:
        async with asyncio.timeout(PATIENCE_S):
            async with raw_client(proxy, asking(stream=True)):
                await proxy.a.tally.until(lambda tally: tally.billed_requests == 1)
            await proxy.a.tally.until(lambda tally: tally.disconnects == 1)
            (charge,) = await proxy.settled(attempts=1)
        assert charge.estimated
        assert charge.usage.completion == 0
        assert (charge.usage.prompt or 0) >= 3
        assert (await last_record(proxy)).outcome == "client_left"


async def test_leaving_during_a_plain_answer(tmp_path: Path) -> None:
    """The provider finishes and bills in full: its exact usage is booked, not an estimate."""
    gate = Gate(open_for=0)
    async with serving(tmp_path, behaviour=PACED, gate=gate) as proxy:
        async with asyncio.timeout(PATIENCE_S):
            async with raw_client(proxy, asking(sandbox=wishing(7))):
                await proxy.a.tally.until(lambda tally: tally.billed_requests == 1)
            await proxy.alive()  # the server has seen that the client is gone
            gate.open()
            (charge,) = await proxy.settled(attempts=1)
        assert (charge.usage, charge.estimated) == (TokenUsage(3, 7, 0, None, 0), False)
        assert proxy.a.tally.disconnects == 0


async def test_leaving_says_nothing_of_the_provider(tmp_path: Path) -> None:
    """A provider on trial whose one request was left by its client gets another."""
    clock, gate = ManualClock(), Gate(open_for=3 + 5)
    async with serving(
        tmp_path, names=("a", "b"), behaviour=PACED, gate=gate, clock=clock, honest=False
    ) as proxy:
        proxy.a.fault = Fault.HTTP_500
        for _ in range(3):
            assert (await proxy.ask()).headers["x-hedgerow-provider"] == "b"
        proxy.a.fault = None
        clock.advance(1.5)
        async with asyncio.timeout(PATIENCE_S):
            body = asking(stream=True, max_tokens=50, sandbox=wishing(40))
            async with raw_client(proxy, body) as (reader, _):
                await proxy.a.tally.until(lambda tally: tally.completion_tokens == 5)
                await reader.readuntil(b"hawthorn")
            await proxy.a.tally.until(lambda tally: tally.disconnects == 1)
            await proxy.settled(attempts=7)
        gate.open()
        assert (await proxy.ask()).headers["x-hedgerow-provider"] == "a"


async def test_many_leave_at_every_moment(tmp_path: Path) -> None:
    """Whenever they leave, each hold ends exactly once, and no more is charged than was held."""
    async with serving(
        tmp_path, behaviour=PACED, gate=Gate(open_for=10_000), honest=False
    ) as proxy:

        async def leave_after(size: int, *, streamed: bool) -> None:
            body = asking(stream=streamed, max_tokens=40, sandbox=wishing(40))
            async with raw_client(proxy, body) as (reader, _):
                while size > 0 and (data := await reader.read(min(size, 500))):
                    size -= len(data)

        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(
                *(leave_after(size, streamed=size % 2 == 0) for size in range(0, 4000, 101))
            )
            await proxy.alive()
            await proxy.settled(attempts=0)


class LeavingExchange:
    """A client that is gone when its stream would begin."""

    method, path = "POST", "/v1/chat/completions"
    abandonable = False
    has_begun = False

    def __init__(self, key: str, body: object) -> None:
        self.headers: Mapping[str, str] = {"authorization": f"Bearer {key}"}
        self.body = json.dumps(body).encode()

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        raise AssertionError((status, headers, body))

    async def open(self, _status: int, _headers: Headers) -> None:
        raise ConnectionResetError

    async def write(self, data: bytes) -> None:
        raise AssertionError(data)

    async def finish(self, data: bytes) -> None:
        raise AssertionError(data)

    async def fail(self, data: bytes) -> None:
        raise AssertionError(data)


async def test_leaving_just_as_the_stream_would_begin(tmp_path: Path) -> None:
    """The provider has begun to answer, the client is gone: charged, and nothing stays held."""
    async with serving(tmp_path, behaviour=PACED, gate=Gate(open_for=2), honest=False) as proxy:
        async with asyncio.timeout(PATIENCE_S):
            x = LeavingExchange(proxy.key, asking(stream=True))
            await serve(x, proxy.server.house, ChatWire())
            (charge,) = await proxy.settled(attempts=1)
            await proxy.a.tally.until(lambda tally: tally.disconnects == 1)
        assert charge.estimated


async def test_who_does_not_read_is_not_buffered_for(tmp_path: Path) -> None:
    """A client that stops reading stops its provider: what is between them is bounded by what the
    sockets hold, not by the answer."""
    tokens, choices = 32_000, 64  # some 50 MB on the wire
    async with serving(tmp_path, honest=False) as proxy:
        body = asking(stream=True, n=choices, max_tokens=tokens, sandbox=wishing(tokens))
        tally = proxy.a.tally
        async with asyncio.timeout(PATIENCE_S):
            async with raw_client(proxy, body, receive_bytes=4096) as (reader, _):
                assert await reader.read(1000)
                still, seen = 0, -1
                while still < 50:
                    await proxy.alive()
                    still = still + 1 if tally.completion_tokens == seen else 0
                    seen = tally.completion_tokens
                assert 0 < tally.completion_tokens < tokens * choices / 2
            await tally.until(lambda now: now.disconnects == 1)
            (charge,) = await proxy.settled(attempts=1)
        assert charge.estimated


async def test_who_stops_reading_has_left(tmp_path: Path) -> None:
    """A client that stays connected and takes nothing loses its answer after the idle limit: its
    provider is hung up on, what was delivered is charged, and nothing stays held."""
    tokens, choices = 32_000, 64
    async with serving(tmp_path, routing="{idle_timeout: 300ms}", honest=False) as proxy:
        body = asking(stream=True, n=choices, max_tokens=tokens, sandbox=wishing(tokens))
        async with asyncio.timeout(PATIENCE_S):
            async with raw_client(proxy, body, receive_bytes=4096) as (reader, _):
                assert await reader.read(1000)
                await proxy.a.tally.until(lambda now: now.disconnects == 1)
                (charge,) = await proxy.settled(attempts=1)
        assert charge.estimated
        assert proxy.a.tally.completion_tokens < tokens * choices / 2

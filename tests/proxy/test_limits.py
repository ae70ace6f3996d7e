"""Limits at the door: what is too large, too slow, too much at once, or no HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks.sandbox import Fault
from tests.serving import PACED, PATIENCE_S, Gate, Proxy, asking, serving


@asynccontextmanager
async def connected(
    proxy: Proxy,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    where = urlsplit(proxy.base_url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield reader, writer
    finally:
        writer.close()


async def answer_to(proxy: Proxy, sent: bytes) -> tuple[int, bytes]:
    """The status and body of whatever the server says to these bytes before it hangs up."""
    async with connected(proxy) as (reader, writer):
        writer.write(sent)
        said = await reader.read()
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"application/json" in head
    assert b"x-request-id" in head.lower()
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9.9\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: minus one\r\n\r\n",
    ],
    ids=["TLS", "no path", "no version", "no header", "no length"],
)
async def test_what_is_no_http_is_told_so_in_our_shape(tmp_path: Path, sent: bytes) -> None:
    """Four keys and a request id, also where no story of ours ever begins."""
    async with serving(tmp_path) as proxy:
        status, body = await answer_to(proxy, sent)
        assert status == 400
        error = json.loads(body)["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        assert error["code"] == "invalid_http"


async def test_a_head_may_be_as_long_as_configured(tmp_path: Path) -> None:
    """Below the limit it is read; above it, it is refused, and takes no more memory."""
    async with serving(tmp_path, server="{port: 0, max_header_bytes: 4096}") as proxy:
        for size, expected in ((3000, 200), (5000, 400)):
            sent = (
                f"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {proxy.key}\r\n"
                f"connection: close\r\nx-padding: {'x' * size}\r\n\r\n"
            )
            status, _ = await answer_to(proxy, sent.encode()) if expected == 400 else (200, b"")
            assert status == expected
            if expected == 200:
                reply = await proxy.get(
                    "/models",
                    **{"authorization": f"Bearer {proxy.key}", "x-padding": "x" * size},
                )
                assert reply.status == 200


async def test_a_body_that_trickles_is_refused(tmp_path: Path) -> None:
    """A body must be there in time: else 408, and nothing was asked of anybody."""
    async with serving(tmp_path, server="{port: 0, body_timeout: 100ms}") as proxy:
        sent = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {proxy.key}"
            "\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
        )
        async with connected(proxy) as (reader, writer):
            writer.write(sent.encode())
            said = await reader.readuntil(b"}}")
        assert said.startswith(b"HTTP/1.1 408")
        assert json.loads(said.partition(b"\r\n\r\n")[2])["error"]["code"] == "request_timeout"
        assert proxy.a.tally.requests == 0


async def test_a_key_has_so_many_requests_at_once(tmp_path: Path) -> None:
    """One more is refused at once, charged nothing and counted for nothing; when one ends, the
    next may come; another key is not concerned."""
    gate = Gate(open_for=0)
    async with serving(
        tmp_path, behaviour=PACED, gate=gate, server="{port: 0, parallel_per_key: 2}"
    ) as proxy:
        other = await proxy.new_key(team="other")
        under_way = [asyncio.create_task(proxy.ask()) for _ in range(2)]
        await proxy.a.tally.until(lambda tally: tally.requests == 2)
        for _ in range(3):
            reply = await proxy.ask()
            assert (reply.status, reply.error["code"]) == (429, "concurrency_limit_exceeded")
            assert reply.headers["retry-after"] == "1"
        others = asyncio.create_task(proxy.post(asking(), authorization=f"Bearer {other}"))
        await proxy.a.tally.until(lambda tally: tally.requests == 3)
        gate.open()
        assert {one.status for one in await asyncio.gather(*under_way, others)} == {200}
        assert (await proxy.ask()).status == 200
        assert len(await proxy.charges()) == 4


async def test_a_place_is_given_back_however_a_request_ends(tmp_path: Path) -> None:
    """Errors, refusals, clients that leave: none of them takes a place for good."""
    async with serving(
        tmp_path, server="{port: 0, parallel_per_key: 1}", routing="{attempts: 1}", honest=False
    ) as proxy:
        for fault in (Fault.HTTP_500, Fault.CUT, Fault.RESET, Fault.NONSENSE):
            proxy.a.fault = fault
            await proxy.ask(stream=True)
        proxy.a.fault = None
        assert (await proxy.post(b"{")).status == 400
        assert (await proxy.ask(model="elm")).status == 404
        assert (await proxy.ask()).status == 200

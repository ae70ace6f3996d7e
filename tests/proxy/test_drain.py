"""The graceful end: what is under way finishes; what takes too long is cut, and charged."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from hedgerow.app import running
from ledger.errors import StoreInUse
from tests.serving import PACED, Gate, Proxy, asking, read_books, serving, wishing


async def stopping(proxy: Proxy) -> asyncio.Task[None]:
    """Begin to stop, and wait until nothing new is accepted."""
    task = asyncio.create_task(proxy.stop())
    where = urlsplit(proxy.base_url)
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection(where.hostname, where.port)
            except ConnectionError:
                return task
            writer.transport.abort()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@pytest.mark.parametrize("streamed", [True, False])
async def test_what_is_under_way_finishes_whole(tmp_path: Path, streamed: bool) -> None:
    """A stop waits for the answer: the client gets all of it, and the books its exact usage."""
    gate = Gate(open_for=3 if streamed else 0)
    async with serving(tmp_path, behaviour=PACED, gate=gate) as proxy:
        asked = asyncio.create_task(proxy.ask(stream=streamed, max_tokens=50, sandbox=wishing(20)))
        async with asyncio.timeout(30):
            await proxy.a.tally.until(lambda tally: tally.completion_tokens >= 3)
        stop = await stopping(proxy)
        assert not asked.done()
        assert not stop.done()

        gate.open()
        reply = await asked
        await stop
        if streamed:
            assert reply.events[-1] == "[DONE]"
            assert len(reply.content.split()) == 20
        else:
            assert reply.json["usage"]["completion_tokens"] == 20


async def test_a_stream_that_takes_too_long_is_cut_and_charged(tmp_path: Path) -> None:
    """After the drain the connection ends without [DONE]; what was delivered is charged."""
    async with serving(
        tmp_path, behaviour=PACED, gate=Gate(open_for=5), drain_s=0.05, honest=False
    ) as proxy:
        body = asking(stream=True, max_tokens=50, sandbox=wishing(20))
        headers = {"authorization": f"Bearer {proxy.key}"}
        async with proxy.http.post(
            f"{proxy.base_url}/chat/completions", json=body, headers=headers
        ) as answer:
            got = b""
            while got.count(b"\n\n") < 5:
                got += await answer.content.readany()
            await proxy.stop()
            with pytest.raises(aiohttp.ClientError):
                await answer.content.read()
        assert b"[DONE]" not in got
        assert b'"stop"' not in got
        rows = await asyncio.to_thread(proxy_rows, proxy)
        assert rows == [(1, "posted")]
        assert proxy.a.tally.disconnects == 1


def proxy_rows(proxy: Proxy) -> list[tuple[int, str]]:
    """(estimated, how it ended) of every attempt, from the closed books."""
    return read_books(
        proxy.config,
        lambda store: store.sql.execute("SELECT estimated, kind FROM entries").fetchall(),
    )


async def test_a_plain_request_that_takes_too_long_is_told(tmp_path: Path) -> None:
    """It is charged by estimate, as its provider goes on, and its client is told to come again."""
    async with serving(
        tmp_path, behaviour=PACED, gate=Gate(open_for=0), drain_s=0.05, honest=False
    ) as proxy:
        asked = asyncio.create_task(proxy.ask())
        async with asyncio.timeout(30):
            await proxy.a.tally.until(lambda tally: tally.billed_requests == 1)
            await proxy.stop()
        reply = await asked
        assert (reply.status, reply.error["code"]) == (503, "shutting_down")
        assert await asyncio.to_thread(proxy_rows, proxy) == [(1, "posted")]


async def test_a_paid_answer_is_booked_even_if_nobody_waits_for_it(tmp_path: Path) -> None:
    """A plain answer whose client has left is waited for too: its exact usage is in the books."""
    gate = Gate(open_for=0)
    async with serving(tmp_path, behaviour=PACED, gate=gate) as proxy:
        asked = asyncio.create_task(proxy.ask())
        async with asyncio.timeout(30):
            await proxy.a.tally.until(lambda tally: tally.billed_requests == 1)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await proxy.alive()
        stop = await stopping(proxy)
        gate.open()
        await stop


async def test_a_second_server_on_the_same_books_is_refused(tmp_path: Path) -> None:
    """Two servers on one file would each admit what fits: the second does not start."""
    async with serving(tmp_path) as proxy:
        with pytest.raises(StoreInUse):
            await asyncio.wait_for(running(proxy.config, port=0).__aenter__(), 10)
        assert (await proxy.ask()).status == 200

"""Idempotency-Key, by the real client against the running proxy."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import openai
import pytest

from benchmarks.sandbox import Fault
from tests.serving import (
    HELLO,
    MODEL,
    PACED,
    Gate,
    answering,
    asking,
    head,
    read_request,
    serving,
)

SAID: Any = {"Idempotency-Key": "order-7"}
ASK: Any = {"model": MODEL, "messages": HELLO, "max_tokens": 8}


@pytest.mark.parametrize("streamed", [True, False])
async def test_twice_is_once(tmp_path: Path, streamed: bool) -> None:
    """The same answer to the byte, under the same request id; asked for once, charged once."""
    async with serving(tmp_path) as proxy:
        first = await proxy.post(asking(stream=streamed), **SAID)
        again = await proxy.post(asking(stream=streamed), **SAID)
        assert again.body == first.body
        assert again.headers["x-request-id"] == first.headers["x-request-id"]
        assert again.headers["x-hedgerow-replayed"] == "1"
        assert proxy.a.tally.requests == 1
        assert len(await proxy.charges()) == 1


async def test_at_the_same_time_is_once_too(tmp_path: Path) -> None:
    """Those that come while the first is under way wait for its answer."""
    gate = Gate(open_for=0)
    async with serving(tmp_path, behaviour=PACED, gate=gate) as proxy:
        client = proxy.client()
        asked = [
            asyncio.create_task(client.chat.completions.create(**ASK, extra_headers=SAID))
            for _ in range(5)
        ]
        await proxy.a.tally.until(lambda tally: tally.requests == 1)
        gate.open()
        answers = await asyncio.gather(*asked)
        assert len({one.id for one in answers}) == 1
        assert proxy.a.tally.requests == 1
        assert len(await proxy.charges()) == 1


async def test_a_retry_after_an_error_is_a_new_try(tmp_path: Path) -> None:
    """What failed and cost nothing was no answer: the same key asks again."""
    async with serving(tmp_path, routing="{attempts: 1}") as proxy:
        client = proxy.client()
        proxy.a.fault = Fault.HTTP_500
        with pytest.raises(openai.APIStatusError):
            await client.chat.completions.create(**ASK, extra_headers=SAID)
        proxy.a.fault = None
        answer = await client.chat.completions.create(**ASK, extra_headers=SAID)
        assert answer.choices[0].message.content
        assert len(await proxy.charges()) == 1


async def test_an_error_in_an_open_stream_is_an_error_too(tmp_path: Path) -> None:
    """A stream that heartbeats opened, and that then failed and cost nothing, frees its key."""
    asked = 0

    async def fails(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await read_request(reader)
        asked += 1
        await ready.wait()
        writer.write(head("500 Internal Server Error") + b"{}")

    async with (
        answering(fails) as url,
        serving(
            tmp_path, names=(), urls={"a": url}, routing="{attempts: 1, heartbeat: 20ms}"
        ) as proxy,
    ):
        for _ in range(2):
            ready = asyncio.Event()
            sent = {"authorization": f"Bearer {proxy.key}"} | SAID
            async with proxy.http.post(
                f"{proxy.base_url}/chat/completions", json=asking(stream=True), headers=sent
            ) as response:
                seen = await response.content.readuntil(b"\n\n")
                ready.set()
                seen += await response.content.read()
            assert b"upstream_failed" in seen
        assert asked == 2
        assert await proxy.charges() == []


async def test_what_is_no_longer_there_is_a_conflict(tmp_path: Path) -> None:
    """Another body under the same key is 422; an answer that was let go is 409, uncharged, and the
    client does not try in vain."""
    async with serving(tmp_path) as proxy:
        client = proxy.client(max_retries=2)
        await client.chat.completions.create(**ASK, extra_headers=SAID)
        with pytest.raises(openai.UnprocessableEntityError) as reused:
            await client.chat.completions.create(**ASK | {"max_tokens": 9}, extra_headers=SAID)
        assert reused.value.code == "idempotency_key_reused"
        other = await proxy.new_key(team="other")
        theirs = proxy.client(api_key=other)
        await theirs.chat.completions.create(**ASK | {"max_tokens": 9}, extra_headers=SAID)
        assert len(await proxy.charges()) == 2

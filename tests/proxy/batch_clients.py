"""Clients of files and batches: the official one, and lines as people write them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
from openai.types import Batch

from hedgerow.app import running
from tests.serving import PATIENCE_S, Proxy, asking, offer

CHAT = "/v1/chat/completions"
ENDED = {"failed", "completed", "expired", "cancelled"}
WITH_BATCHES = ", endpoints: [chat/completions, files, batches]"
"""What is written at a provider that has a batch API."""
HALF_PRICE = offer("a", price="{input: 1, output: 2, batch: {input: 0.5, output: 1}}")


def line(custom_id: str, body: dict[str, Any] | None = None, url: str = CHAT, **more: Any) -> str:
    """A line of a batch that asks for eight tokens, unless `body` asks for something else."""
    one = {"custom_id": custom_id, "method": "POST", "url": url, "body": body or asking()}
    return json.dumps(one | more)


def lines(count: int, **extra: Any) -> str:
    return "\n".join(line(f"line-{one}", asking(**extra)) for one in range(count))


async def submitted(
    client: openai.AsyncOpenAI, text: str, endpoint: str = CHAT, window: str = "24h", **more: Any
) -> Batch:
    """A batch with these lines."""
    file = await client.files.create(file=("in.jsonl", text.encode()), purpose="batch")
    given: dict[str, Any] = {"endpoint": endpoint, "completion_window": window}
    return await client.batches.create(input_file_id=file.id, **given | more)


async def until(client: openai.AsyncOpenAI, batch: Batch, is_so: Callable[[Batch], bool]) -> Batch:
    """Wait for a state of a batch."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so(batch):
            await asyncio.sleep(0.01)
            batch = await client.batches.retrieve(batch.id)
    return batch


async def ended(client: openai.AsyncOpenAI, batch: Batch) -> Batch:
    return await until(client, batch, lambda one: one.status in ENDED)


async def done(client: openai.AsyncOpenAI, text: str, **more: Any) -> Batch:
    """The same batch at its end."""
    return await ended(client, await submitted(client, text, **more))


async def results(client: openai.AsyncOpenAI, file_id: str | None) -> dict[str, Any]:
    """The lines of an output or error file, by custom_id; each is there once."""
    if file_id is None:
        return {}
    text = (await client.files.content(file_id)).text
    found = [json.loads(one) for one in text.splitlines()]
    by_id = {one["custom_id"]: one for one in found}
    assert len(by_id) == len(found)
    assert len({one["id"] for one in found}) == len(found)
    return by_id


@asynccontextmanager
async def again(proxy: Proxy, **settings: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    """The proxy stopped, and started anew on the same folder; a client of it."""
    await proxy.stop()
    async with (
        running(proxy.config, port=0, **settings) as server,
        openai.AsyncOpenAI(base_url=server.base_url, api_key=proxy.key, max_retries=0) as client,
    ):
        yield client


def contents(proxy: Proxy) -> set[str]:
    """Names of all content there is on disk, whole or in parts."""
    return _names(proxy.config.files.path / "contents")


def _names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}

"""Sandbox providers that keep files: as they came, and no more than they can hold."""

from __future__ import annotations

from collections.abc import AsyncIterator

import openai
import pytest

from benchmarks.sandbox import Behaviour, SandboxProvider
from benchmarks.sandbox.files import MAX_FILE_BYTES, MAX_STORED_BYTES, FileStore


@pytest.fixture
async def client() -> AsyncIterator[openai.AsyncOpenAI]:
    behaviour = Behaviour(models=("oak-70b",), time_scale=0.0)
    async with (
        SandboxProvider(behaviour) as provider,
        openai.AsyncOpenAI(base_url=provider.base_url, api_key="sk-any", max_retries=0) as official,
    ):
        yield official


async def test_a_file_comes_back_as_it_was(client: openai.AsyncOpenAI) -> None:
    """To the byte, with its name and size; it is listed, and once deleted it is gone."""
    content = bytes(range(256)) + b"\r\n--x\r\n\r\n"
    made = await client.files.create(file=("ü.bin", content), purpose="user_data")
    other = await client.files.create(file=("b", b"x"), purpose="batch")

    assert (made.filename, made.bytes, made.purpose) == ("ü.bin", len(content), "user_data")
    assert await client.files.retrieve(made.id) == made
    assert (await client.files.content(made.id)).content == content
    assert [one.id async for one in client.files.list()] == [other.id, made.id]
    assert [one.id async for one in client.files.list(purpose="batch")] == [other.id]
    assert (await client.files.delete(made.id)).deleted
    for gone in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError):
            await gone(made.id)


async def test_a_file_that_is_too_large(client: openai.AsyncOpenAI) -> None:
    """One byte more than may be is refused."""
    largest = await client.files.create(file=("a", b"x" * MAX_FILE_BYTES), purpose="batch")
    assert largest.bytes == MAX_FILE_BYTES
    with pytest.raises(openai.APIStatusError) as caught:
        await client.files.create(file=("a", b"x" * (MAX_FILE_BYTES + 1)), purpose="batch")
    assert caught.value.status_code == 413


def test_the_oldest_files_go_first() -> None:
    """Together they never have more bytes than may be kept."""
    store = FileStore(lambda: 0.0)
    quarter = b"x" * (MAX_STORED_BYTES // 4)

    ids = [store.add(str(number), "batch", quarter).id for number in range(6)]

    assert [one.id for one in store] == ids[:1:-1]
    assert sum(len(one.content) for one in store) == MAX_STORED_BYTES

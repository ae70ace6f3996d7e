"""/v1/files: what was uploaded comes back, to its owners only, and takes no more than it may."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from ledger.errors import NotOurStore, StoreInUse, StoreTooNew
from proxy.batches.database import opened, sole_folder
from tests.proxy.batch_clients import again, contents
from tests.serving import PATIENCE_S, ManualClock, Proxy, serving

SMALL = "files: {max_bytes_per_file: 100 KiB, max_bytes: 250 KiB}"


async def upload(client: openai.AsyncOpenAI, data: bytes, **more: Any) -> Any:
    given: dict[str, Any] = {"file": ("in.jsonl", data), "purpose": "batch"}
    return await client.files.create(**given | more)


async def nothing_but(proxy: Proxy, *ids: str) -> None:
    """Wait until no other content is on disk."""
    async with asyncio.timeout(PATIENCE_S):
        while await asyncio.to_thread(contents, proxy) != set(ids):
            await proxy.alive()


async def test_what_was_uploaded_comes_back(tmp_path: Path) -> None:
    """Content byte by byte and every field, whatever its length; under both prefixes."""
    async with serving(tmp_path) as proxy:
        client = proxy.client()
        file = None
        for size in (0, 1, 256 * 1024, 1_000_003):
            data = bytes(one % 251 for one in range(min(size, 1000))) * (size // 1000 + 1)
            file = await upload(client, data[:size], purpose="user_data")
            assert (file.bytes, file.filename, file.purpose) == (size, "in.jsonl", "user_data")
            assert file.expires_at is None
            assert await client.files.retrieve(file.id) == file
            assert (await client.files.content(file.id)).content == data[:size]
        assert file is not None
        other = proxy.client(base_url=proxy.base_url.replace("/v1", "/api/v1"))
        assert await other.files.retrieve(file.id) == file
        reply = await proxy.get(f"/files/{file.id}", authorization=f"Bearer {proxy.key}")
        assert reply.headers["x-request-id"].startswith("req_")


def sizes(proxy: Proxy) -> list[int]:
    folder = proxy.config.files.path / "contents"
    return [(folder / one).stat().st_size for one in contents(proxy)]


async def test_files_are_listed_in_pages(tmp_path: Path) -> None:
    """Both orders, any page size and each purpose give every file once."""
    async with serving(tmp_path) as proxy:
        client = proxy.client()
        purposes = ["batch", "user_data", "batch", "vision", "batch"]
        ids = [(await upload(client, b"x", purpose=one)).id for one in purposes]
        for limit in (1, 2, 5, 6):
            newest = [one.id async for one in client.files.list(limit=limit)]
            oldest = [one.id async for one in client.files.list(limit=limit, order="asc")]
            assert newest == list(reversed(ids))
            assert oldest == ids
        batches = [one.id async for one in client.files.list(purpose="batch", limit=2)]
        assert batches == [ids[4], ids[2], ids[0]]
        for wrong in ("limit=0", "limit=x", "limit=10001", "order=up"):
            reply = await proxy.get(f"/files?{wrong}", authorization=f"Bearer {proxy.key}")
            assert (reply.status, reply.error["param"]) == (400, wrong.partition("=")[0])


async def test_a_deleted_file_is_gone(tmp_path: Path) -> None:
    """From the list, from disk, and by its id; a second deletion is a 404 in our shape."""
    async with serving(tmp_path) as proxy:
        client = proxy.client()
        kept, file = await upload(client, b"kept"), await upload(client, b"gone")
        assert (await client.files.delete(file.id)).deleted
        await nothing_but(proxy, kept.id)
        for call in (client.files.retrieve, client.files.delete, client.files.content):
            with pytest.raises(openai.NotFoundError) as caught:
                await call(file.id)
            assert caught.value.code == "file_not_found"
            assert caught.value.response.headers["x-request-id"].startswith("req_")


async def test_files_are_of_a_team_or_of_a_key(tmp_path: Path) -> None:
    """Keys of one team share their files; nobody else sees them, and a key without one is alone."""
    async with serving(tmp_path) as proxy:
        mate, stranger = await proxy.new_key(team="research"), await proxy.new_key(team="ops")
        alone, other = await proxy.new_key(), await proxy.new_key()
        ours = await upload(proxy.client(), b"ours")
        own = await upload(proxy.client(api_key=alone), b"own")
        assert (await proxy.client(api_key=mate).files.content(ours.id)).content == b"ours"
        for key, file in ((stranger, ours), (alone, ours), (other, own), (mate, own)):
            client = proxy.client(api_key=key)
            assert [one.id async for one in client.files.list()] != [file.id]
            for call in (client.files.retrieve, client.files.delete, client.files.content):
                with pytest.raises(openai.NotFoundError):
                    await call(file.id)
        reply = await proxy.get("/files", authorization="Bearer sk-hedge-no")
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")


async def test_what_is_too_large_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    """A file over the limit, with or without a length in its head, and one too many: 413, no
    content is left, and its room is free again."""
    async with serving(tmp_path, more=SMALL) as proxy:
        client = proxy.client()
        for size in (100 * 1024 + 1, 300 * 1024):
            with pytest.raises(openai.APIStatusError) as caught:
                await upload(client, b"x" * size)
            assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")
        reply = await post_form(proxy, chunked(form(b"x" * 150_000)))
        assert (reply.status, reply.json["error"]["param"]) == (413, "file")
        await nothing_but(proxy)

        first, second = [await upload(client, b"x" * 100 * 1024) for _ in range(2)]
        with pytest.raises(openai.APIStatusError, match="all of their 256000 bytes"):
            await upload(client, b"x" * 100 * 1024)
        await nothing_but(proxy, first.id, second.id)
        await client.files.delete(first.id)
        assert (await upload(client, b"x" * 100 * 1024)).bytes == 100 * 1024


async def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """It is written as it comes; when its client leaves, it is removed, and its room is free."""
    async with serving(tmp_path, more=SMALL) as proxy:
        for _ in range(3):  # each takes more than a third of all room

            async def slowly() -> Any:
                data = form(b"x" * 99_000)
                for start in range(0, 98_000, 7_000):
                    yield data[start : start + 7_000]
                    await asyncio.sleep(0.005)
                await asyncio.sleep(PATIENCE_S)

            task = asyncio.create_task(post_form(proxy, slowly()))
            async with asyncio.timeout(PATIENCE_S):
                while sum(await asyncio.to_thread(sizes, proxy)) < 50_000:
                    await proxy.alive()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await nothing_but(proxy)
        for _ in range(2):  # there is room for these, and for little more
            await upload(proxy.client(), b"x" * 100 * 1024)


async def test_a_silent_upload_is_given_up(tmp_path: Path) -> None:
    """408 after `body_timeout` without a byte, and nothing is left."""
    async with serving(tmp_path, server="{port: 0, body_timeout: 0.2s}") as proxy:

        async def stalls() -> Any:
            yield form(b"x" * 99_000)[:9_000]
            await asyncio.sleep(PATIENCE_S)

        reply = await post_form(proxy, stalls())
        assert (reply.status, reply.json["error"]["code"]) == (408, "request_timeout")
        await nothing_but(proxy)


def form(data: bytes, **fields: str) -> bytes:
    """The usual form, unless `fields` says otherwise."""
    given = {"purpose": "batch"} | fields
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in given.items()
    ]
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    return b"".join((*parts, head, data, b"\r\n--b--\r\n"))


async def chunked(data: bytes) -> Any:
    for start in range(0, len(data), 10_000):
        yield data[start : start + 10_000]


class Told:
    """A status and a body."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.json = status, json.loads(body)


async def post_form(proxy: Proxy, data: Any, kind: str = "multipart/form-data; boundary=b") -> Told:
    headers = {"authorization": f"Bearer {proxy.key}", "content-type": kind}
    async with proxy.http.post(proxy.base_url + "/files", data=data, headers=headers) as answer:
        return Told(answer.status, await answer.read())


async def test_odd_forms_are_refused(tmp_path: Path) -> None:
    """What is no form, lacks a part or says nonsense is a 400 that says so; nothing is left."""
    file = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nx\r\n'
    purpose = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    odd = [
        b"",
        b"{}",
        b"--b--\r\n",
        file + b"--b--\r\n",
        purpose + b"--b--\r\n",
        purpose + file + file + b"--b--\r\n",
        purpose + purpose + file + b"--b--\r\n",
        form(b"x", purpose="fun"),
        form(b"x", purpose="x" * 2000),
        form(b"x", **{"expires_after[anchor]": "created_at"}),
        form(b"x", **{"expires_after[seconds]": "3600"}),
        form(b"x", **{"expires_after[anchor]": "now", "expires_after[seconds]": "3600"}),
        form(b"x", **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3599"}),
        form(b"x", **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "1e9"}),
        form(b"x", **{f"more{one}": "x" for one in range(20)}),
    ]
    async with serving(tmp_path) as proxy:
        for body in odd:
            reply = await post_form(proxy, body)
            assert (reply.status, reply.json["error"]["code"]) == (400, "invalid_form"), body
        reply = await post_form(proxy, b"{}", "application/json")
        assert reply.status == 400
        await nothing_but(proxy)
        late_purpose = file + purpose + b"--b--\r\n"
        assert (await post_form(proxy, late_purpose)).json["purpose"] == "batch"


async def test_a_file_expires(tmp_path: Path) -> None:
    """At the second that was asked for it is gone; for a batch that is 30 days at most."""
    clock = ManualClock()
    async with serving(tmp_path, clock=clock) as proxy:
        client = proxy.client()
        hour: dict[str, Any] = {"anchor": "created_at", "seconds": 3600}
        short = await upload(client, b"short", expires_after=hour)
        usual = await upload(client, b"usual")
        forever = await upload(client, b"forever", purpose="user_data")
        assert short.expires_at == short.created_at + 3600
        assert usual.expires_at == usual.created_at + 30 * 86_400
        clock.advance(3598)
        assert len([one async for one in client.files.list()]) == 3
        clock.advance(2)
        with pytest.raises(openai.NotFoundError):
            await client.files.content(short.id)
        clock.advance(30 * 86_400)
        assert [one.id async for one in client.files.list()] == [forever.id]
        await client.files.delete(forever.id)  # a deletion sweeps
        await nothing_but(proxy)


async def test_what_a_crash_left_is_tidied(tmp_path: Path) -> None:
    """At the next opening: content that nobody knows goes, and records of content that has gone,
    or was cut; the rest is there still."""
    async with serving(tmp_path) as proxy:
        client = proxy.client()
        kept, lost, cut = [await upload(client, b"12345") for _ in range(3)]
        folder = proxy.config.files.path / "contents"

        def crash() -> None:
            (folder / "file_unknown").write_bytes(b"x")
            (folder / "file_half.part").write_bytes(b"x")
            (folder / lost.id).unlink()
            (folder / cut.id).write_bytes(b"12")

        await asyncio.to_thread(crash)
        async with again(proxy) as client:
            assert [one.id async for one in client.files.list()] == [kept.id]
            assert (await client.files.content(kept.id)).content == b"12345"
            await nothing_but(proxy, kept.id)


async def test_a_folder_is_had_by_one_at_a_time(tmp_path: Path) -> None:
    """A second server is told so; a file of others, or of a later version, is left alone."""

    def second() -> None:
        with (
            sole_folder(tmp_path / "one"),
            pytest.raises(StoreInUse, match="files in"),
            sole_folder(tmp_path / "one"),
        ):
            pass

    await asyncio.to_thread(second)
    for name, pragma, error in (
        ("two", "CREATE TABLE theirs (id)", NotOurStore),
        ("one", "PRAGMA user_version = 99", StoreTooNew),
    ):
        path = tmp_path / name / "files.db"

        def write(path: Path = path, pragma: str = pragma) -> None:
            path.parent.mkdir(exist_ok=True)
            db = sqlite3.connect(path)
            db.execute(pragma)
            db.commit()
            db.close()

        await asyncio.to_thread(write)
        with pytest.raises(error):
            async with opened(tmp_path / name):
                pass


async def test_a_client_that_stops_reading_is_left(tmp_path: Path) -> None:
    """A download that nobody takes ends after `body_timeout`; the server goes on."""
    async with serving(tmp_path, server="{port: 0, body_timeout: 0.2s}") as proxy:
        file = await upload(proxy.client(), b"x" * 30_000_000, purpose="user_data")
        headers = {"authorization": f"Bearer {proxy.key}"}
        async with proxy.http.get(
            f"{proxy.base_url}/files/{file.id}/content", headers=headers
        ) as answer:
            await asyncio.sleep(0.6)
            with pytest.raises(aiohttp.ClientError):
                await answer.read()
        await proxy.alive()

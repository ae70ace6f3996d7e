"""Files and batches that several workers share: what each knows of what the others do."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.ids import new_id
from proxy.batches.batch import Batch, Status
from proxy.batches.batch_store import BatchStore
from proxy.batches.database import opened
from proxy.batches.file_store import ABANDONED_S, FileLimits, FileStore, StoredFile
from proxy.batches.runner import Runner
from proxy.batches.timing import Timing
from proxy.clock import SystemClock
from proxy.errors import NotFound, TooLarge
from tests.proxy.batch_clients import lines
from tests.serving import PATIENCE_S, Proxy, serving

OWNER = "team:research"
LIMITS = FileLimits(max_bytes_per_file=100, max_bytes=100, idle_timeout_s=1.0)


@asynccontextmanager
async def stores(
    folder: Path, count: int, limits: FileLimits = LIMITS
) -> AsyncIterator[list[FileStore]]:
    """The same files as so many workers see them."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            database = await stack.enter_async_context(opened(folder))
            found.append(FileStore(database, folder, limits, SystemClock()))
        await found[0].mend()
        yield found


def named(data: bytes) -> StoredFile:
    file_id = new_id("file", time.time_ns(), secrets.token_bytes)
    return StoredFile(file_id, OWNER, "in.jsonl", "batch", len(data), int(time.time()))


async def add(store: FileStore, data: bytes) -> StoredFile:
    """As an upload does."""
    file = named(data)
    await asyncio.to_thread(store.part(file.id).write_bytes, data)
    try:
        await store.add(file)
    except TooLarge:
        await asyncio.to_thread(store.drop, file.id)
        raise
    return file


Step = tuple[int, int | None]
steps = st.lists(
    st.tuples(st.integers(0, 2), st.none() | st.integers(0, 60)), min_size=1, max_size=25
)


@given(steps)
async def test_all_together_take_no_more_than_they_may(
    tmp_path_factory: pytest.TempPathFactory, taken: list[Step]
) -> None:
    """Three workers add and delete files in any order: one is refused when what there is by all
    leaves no room for it, and only then; every worker sees those of all."""
    folder = tmp_path_factory.mktemp("files")
    there: list[StoredFile] = []
    async with stores(folder, 3) as each:
        for index, size in taken:
            if size is None:
                if there:
                    await each[index].delete(OWNER, there.pop(0).id)
                continue
            fits = sum(one.bytes for one in there) + size <= LIMITS.max_bytes
            try:
                there.append(await add(each[index], b"x" * size))
            except TooLarge:
                assert not fits
            else:
                assert fits
        for one in each:
            page = await one.page(OWNER, purpose=None, after=None, limit=100, newest_first=False)
            assert {file.id for file in page.files} == {file.id for file in there}
        contents = await asyncio.to_thread(os.listdir, folder / "contents")
        assert set(contents) == {file.id for file in there}


async def test_room_that_another_worker_has_taken(tmp_path: Path) -> None:
    """An upload that begins sees it at once; one that had begun is refused at its end."""
    async with stores(tmp_path / "files", 2) as (here, there):
        await here.measure()
        here.take_room(60)
        file = await add(there, b"x" * 60)
        with pytest.raises(TooLarge, match="all of their 100 bytes"):
            await add(here, b"x" * 60)
        here.give_room(60)
        await here.measure()
        with pytest.raises(TooLarge):
            here.take_room(60)
        await there.delete(OWNER, file.id)
        with pytest.raises(NotFound):
            await here.find(OWNER, file.id)
        await here.measure()
        here.take_room(60)


async def test_what_a_killed_worker_has_left_is_removed(tmp_path: Path) -> None:
    """Only what has no record and was not written to for an hour: others may be uploading."""
    async with stores(tmp_path / "files", 1) as (store,):
        kept = await add(store, b"kept")
        old = time.time() - ABANDONED_S - 60

        def leave() -> None:
            for name, at in (("file_1.part", old), ("file_2", old), ("file_3.part", time.time())):
                store.path(name).write_bytes(b"x")
                os.utime(store.path(name), (at, at))
            os.utime(store.path(kept.id), (old, old))

        await asyncio.to_thread(leave)
        await store.clear()
        names = await asyncio.to_thread(os.listdir, tmp_path / "files" / "contents")
        assert set(names) == {kept.id, "file_3.part"}


class Led:
    """A worker of a proxy's, with a folder of its own: its runner is opened and closed by hand."""

    def __init__(self, proxy: Proxy, files: FileStore, store: BatchStore) -> None:
        house = proxy.server.house
        self.files, self.store = files, store
        self.key_id = house.book.principal(proxy.key).key_id
        timing = Timing(2, _always, bool)
        self.runner = Runner(
            house, files, store, timing, most_line_bytes=10_000, drain_s=PATIENCE_S
        )

    async def submit(self, count: int) -> str:
        """As another worker does, that has no runner open. The batch's id."""
        file = await add(self.files, lines(count).encode())
        now_s = int(time.time())
        batch = Batch(
            id=new_id("batch", time.time_ns(), secrets.token_bytes),
            owner=OWNER,
            key_id=self.key_id,
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            created_at=now_s,
            expires_at=now_s + 86_400,
        )
        await self.store.add(batch)
        return batch.id

    async def completed(self, batch_id: str) -> int:
        """Wait for its end: how many lines were answered."""
        async with asyncio.timeout(PATIENCE_S):
            batch = await self.store.get(batch_id)
            while batch.status is not Status.COMPLETED:
                await asyncio.sleep(0.01)
                batch = await self.store.get(batch_id)
        return batch.completed


def _always(_at: datetime) -> bool:
    return True


async def test_a_runner_is_opened_by_turns(tmp_path: Path) -> None:
    """It runs what was there before, and what others add while it is open; closed, it begins
    nothing; opened again, it goes on; but once it was told to stop it begins nothing any more."""
    folder = tmp_path / "own"
    await asyncio.to_thread(folder.mkdir)
    async with serving(tmp_path) as proxy, opened(folder) as database:
        limits = FileLimits(10_000_000, 10_000_000, 1.0)
        files = FileStore(database, folder, limits, SystemClock())
        await files.mend()
        led = Led(proxy, files, BatchStore(database))
        first = await led.submit(3)
        async with led.runner:
            second = await led.submit(2)
            assert [await led.completed(one) for one in (first, second)] == [3, 2]
        third = await led.submit(1)
        led.runner.begin(third)
        assert (await led.store.get(third)).status is Status.VALIDATING
        async with led.runner:
            assert await led.completed(third) == 1
        led.runner.stop()
        fourth = await led.submit(1)
        async with led.runner:
            led.runner.begin(fourth)
            for _ in range(50):  # time enough for it to begin
                assert (await led.store.get(fourth)).status is Status.VALIDATING
        assert proxy.a.tally.requests == 6

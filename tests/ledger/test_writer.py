"""The writer: in order, each call once, whatever becomes of the database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.databases.sqlite_file import SqliteFile
from ledger.errors import CommitUnknown, HoldResolved, LedgerError, StoreUnavailable
from ledger.store import Store
from ledger.writer import BATCH_LIMIT, QUEUE_LIMIT, TRIES, Writer
from tests.ledger.faults import Faulty, Lost
from tests.ledger.opened import PATIENCE_S, file_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "books.db"


@asynccontextmanager
async def writing(path: Path) -> AsyncIterator[tuple[Writer, Faulty]]:
    sql = await file_of(path)
    writer = Writer(Store(sql), asyncio.get_running_loop())
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield writer, sql
            sql.is_down = sql.is_silent = False
            await writer.stop()
    finally:
        await asyncio.to_thread(sql.close)


def add(sql: Faulty, name: str) -> Callable[[], str]:
    """A call that must not happen twice: it would leave two rows."""

    def call() -> str:
        sql.execute(
            "INSERT INTO raises (id, budget, amount, since_ns, until_ns, name)"
            " VALUES ((SELECT count(*) FROM raises), '', 0, 0, 0, ?)",
            (name,),
        )
        return name

    return call


async def written(path: Path) -> list[str]:
    def read() -> list[str]:
        sql = SqliteFile.open(path)
        names = [row[0] for row in sql.execute("SELECT name FROM raises ORDER BY CAST(id AS INT)")]
        sql.close()
        return names

    return await asyncio.to_thread(read)


async def test_a_full_queue_takes_only_what_must_be_taken(path: Path) -> None:
    """With its queue full the writer refuses new calls, but not the ends of holds."""
    async with writing(path) as (writer, _):
        go = threading.Event()
        waiting = [writer.submit(go.wait)]
        waiting += [writer.submit(lambda: True) for _ in range(QUEUE_LIMIT - 1)]
        with pytest.raises(StoreUnavailable, match="behind"):
            await writer.submit(lambda: True)
        waiting.append(writer.submit(lambda: True, must=True))
        go.set()
        assert all(await asyncio.gather(*waiting))
        assert await writer.submit(lambda: True)


async def test_calls_happen_in_order(path: Path) -> None:
    """Calls are made in the order in which they were submitted, whoever waits for them."""
    async with writing(path) as (writer, _):
        seen: list[int] = []

        def note(number: int) -> Callable[[], None]:
            return lambda: seen.append(number)

        await asyncio.gather(*(writer.submit(note(number)) for number in range(1000)))
        assert seen == list(range(1000))


async def test_a_refusal_is_of_one_call(path: Path) -> None:
    """Of calls that are committed together, one that is refused undoes itself alone."""

    def refuse() -> None:
        raise HoldResolved("no")

    async with writing(path) as (writer, sql):
        calls = [add(sql, "a"), refuse, add(sql, "b"), refuse]
        ends = await asyncio.gather(*map(writer.submit, calls), return_exceptions=True)
        assert [type(one) for one in ends] == [str, HoldResolved, str, HoldResolved]
    assert await written(path) == ["a", "b"]


async def test_a_lost_answer_is_looked_after(path: Path) -> None:
    """Whether a commit happened whose answer was lost, the database says later: until then whoever
    waits for it waits, and all others are told. Each call happened once."""
    for number, lost in enumerate((Lost.WRITTEN, Lost.UNDONE)):
        file = path.with_name(f"{number}.db")
        async with writing(file) as (writer, sql):
            sql.lost, sql.is_silent = lost, True
            first = writer.submit(add(sql, "first"))
            await asyncio.sleep(0.01)
            with pytest.raises(StoreUnavailable):
                await writer.submit(add(sql, "second"))
            must = writer.submit(add(sql, "must"), must=True)
            with pytest.raises(StoreUnavailable):
                await writer.submit(add(sql, "third"))
            assert not first.done()
            sql.is_silent = False
            assert await first == "first"
            await asyncio.gather(must, return_exceptions=True)  # it may have been told too soon
            assert await writer.submit(add(sql, "last")) == "last"
        assert await written(file) == ["first", "must", "last"]


async def test_what_must_be_written_needs_nobody_else(path: Path) -> None:
    """It is tried again by itself; whoever waits is told after some tries, and it is written all
    the same when it can be."""
    async with writing(path) as (writer, sql):
        sql.is_down = True
        tries = 0

        def count(_: int) -> None:
            nonlocal tries
            tries += 1

        sql.before = count
        with pytest.raises(StoreUnavailable):
            await writer.submit(add(sql, "must"), must=True)
        assert tries >= TRIES
        sql.is_down = False
        while await written(path) != ["must"]:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.01)


async def test_what_cannot_be_written_is_told_at_the_end(path: Path) -> None:
    """A writer that stops while the database is down keeps nobody waiting."""
    sql = await file_of(path)
    writer = Writer(Store(sql), asyncio.get_running_loop())
    sql.is_down = True
    waiting = [writer.submit(add(sql, "one"), must=must) for must in (True, False, True)]
    async with asyncio.timeout(PATIENCE_S):
        await writer.stop()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in ends] == [StoreUnavailable] * 3
    with pytest.raises(StoreUnavailable, match="closed"):
        await writer.submit(add(sql, "late"))
    await asyncio.to_thread(sql.close)
    assert await written(path) == []


steps = st.lists(
    st.sampled_from(["call", "must", "must", "refused", "down", "up", "written", "undone", "look"]),
    max_size=25,
)


@settings(max_examples=30)
@given(steps, st.booleans())
def test_every_call_happens_once_or_never(steps: list[str], in_heaps: bool) -> None:
    """Whatever fails in between: who was told of success has one row, who was told of a failure has
    none unless it had to be written, and what had to be is there, in its order."""
    import tempfile

    async def scenario(path: Path) -> None:
        made: list[tuple[str, bool, asyncio.Future[str]]] = []
        async with writing(path) as (writer, sql):
            for number, step in enumerate(steps):
                name = f"{number:03}"
                if step == "down":
                    sql.is_down = True
                elif step == "up":
                    sql.is_down = sql.is_silent = False
                elif step in ("written", "undone"):
                    sql.lost, sql.is_silent = Lost(step), number % 2 == 0
                elif step == "look":
                    sql.is_silent = False
                    await asyncio.sleep(0.002)
                elif step == "refused":
                    refused = writer.submit(_refuse)
                    refused.add_done_callback(lambda done: done.exception())
                else:
                    must = step == "must"
                    made.append((name, must, writer.submit(add(sql, name), must=must)))
                if not in_heaps:
                    await asyncio.sleep(0)
        ends = await asyncio.gather(*(one[2] for one in made), return_exceptions=True)
        there = await written(path)
        expected = [
            name
            for (name, must, _), end in zip(made, ends, strict=True)
            if must
            or not isinstance(end, StoreUnavailable)
            or (isinstance(end, CommitUnknown) and name in there)
        ]
        assert there == expected

    def _refuse() -> None:
        raise LedgerError("no")

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder) / "books.db"))


async def test_more_than_one_batch_waits_in_order(path: Path) -> None:
    """What has to be written fills several transactions when the database is back: in its order."""
    count = 2 * BATCH_LIMIT + 10
    async with writing(path) as (writer, sql):
        sql.is_down = True
        waiting = [writer.submit(add(sql, f"{n:04}"), must=True) for n in range(count)]
        await asyncio.gather(*waiting, return_exceptions=True)
        sql.is_down = False
        await writer.submit(lambda: None)
    assert await written(path) == [f"{n:04}" for n in range(count)]

"""The courier: each notice at least once, none recorded twice, none lost in a crash."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, TypeAlias, TypeVar

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from hedgerow.errors import NotSent
from hedgerow.notifications.channel import Channel
from hedgerow.notifications.channels import webhook_session
from hedgerow.notifications.courier import (
    GIVE_UP_AFTER_S,
    LONGEST_WAIT_S,
    LONGEST_WHY,
    PARALLEL,
    TRIES_AT_LEAST,
    Courier,
    wait_before_s,
)
from hedgerow.notifications.journal import Journal
from hedgerow.notifications.outbox import StoredOutbox
from hedgerow.notifications.webhook import Webhook
from ledger.databases.sqlite_file import SqliteFile
from ledger.errors import StoreUnavailable
from ledger.notices import Delivery, Notice
from ledger.tables.ddl import ddl
from ledger.tables.outbox import DELIVERIES, OutboxTable
from tests.hedgerow.notifications.receivers import hook
from tests.ledger.entries import NOW_NS
from tests.ledger.test_notices import notice

T = TypeVar("T")
Row: TypeAlias = tuple[str, str, str, int, int]
"""Notice, channel, state, tries, and when it is next tried."""
_S = 1_000_000_000
PATIENCE_S = 20.0


@dataclass(slots=True)
class Clock:
    """Time passes when a test says so, or when somebody sleeps."""

    at_ns: int = NOW_NS

    def now_ns(self) -> int:
        return self.at_ns

    def monotonic_s(self) -> float:
        return self.at_ns / _S

    async def sleep(self, seconds: float) -> None:
        self.at_ns += int(seconds * _S)
        await asyncio.sleep(0)


class Books:
    """A SQLite file with an outbox, on a thread of its own. fails: raises before it writes."""

    def __init__(self, path: Path | str) -> None:
        self._thread = ThreadPoolExecutor(1)
        self.sql = self._thread.submit(self._open, path).result()
        self.table = OutboxTable(self.sql)
        self.outbox = StoredOutbox(self.table, self.submit)
        self.fails: Callable[[], bool] = lambda: False
        self.changed = asyncio.Event()

    def _open(self, path: Path | str) -> SqliteFile:
        sql = SqliteFile(Database(sqlite3.connect(path, isolation_level=None)), Path(path))
        if not sql.database["deliveries"].exists():
            for statement in DELIVERIES:
                sql.execute(ddl(statement, sql.dialect))
        return sql

    async def submit(self, call: Callable[[], T], /) -> T:
        def transaction() -> T:
            connection = self.sql.database.conn
            with self.sql.transaction():
                before = connection.total_changes
                result = call()
                if connection.total_changes > before:
                    if self.fails():
                        raise StoreUnavailable("the disk is full")
                    loop.call_soon_threadsafe(self.changed.set)
            return result

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, transaction)

    async def add(self, *notices: Notice) -> None:
        for one in notices:
            await self.submit(lambda one=one: self.table.add(one, NOW_NS))  # type: ignore[misc]

    async def rows(self) -> list[Row]:
        return await self.submit(
            lambda: self.sql.execute(
                "SELECT notice_id, channel, state, tries, next_try_at_ns FROM deliveries"
                " ORDER BY notice_id, channel"
            ).fetchall()
        )

    async def until(self, holds: Callable[[list[Row]], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            self.changed.clear()
            while not holds(await self.rows()):
                await self.changed.wait()
                self.changed.clear()

    async def states(self) -> Counter[str]:
        return Counter(row[2] for row in await self.rows())

    def close(self) -> None:
        self._thread.submit(self.sql.close).result()
        self._thread.shutdown()


@asynccontextmanager
async def books(path: Path | str = ":memory:") -> AsyncIterator[Books]:
    one = Books(path)
    try:
        yield one
    finally:
        one.close()


@dataclass(slots=True)
class Plan:
    """A channel that does what its plan says, notice by notice; then it takes them."""

    outcomes: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    took: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, notice: Notice) -> None:
        self.asked.append(notice.id)
        if self.outcomes:
            await self.outcomes.pop(0)()
        self.took.append(notice.id)
        self.news.set()


async def refuses() -> None:
    raise NotSent("HTTP 500")


async def is_broken() -> None:
    raise ValueError("a fault")


async def is_cut_off() -> None:
    await asyncio.Event().wait()


def notices(count: int, *channels: str) -> list[Notice]:
    return [notice(cap=1 + one, channels=channels or ("ops",)) for one in range(count)]


def all_are(state: str) -> Callable[[list[Row]], bool]:
    return lambda rows: all(row[2] == state for row in rows)


def courier(
    store: Books, channels: dict[str, Channel], clock: Clock | None = None, **more: Any
) -> Courier:
    return Courier(store.outbox, channels, clock or Clock(), Random(1).random, **more)


async def test_from_the_outbox_to_a_receiver() -> None:
    """Over real HTTP: what fails at first is tried again, and what has arrived is recorded."""
    clock = Clock()

    def answer(count: int) -> web.StreamResponse:
        return web.Response(status=503 if count <= 2 else 200)

    async with books() as store, hook(answer) as receiver, webhook_session() as session:
        await store.add(*notices(2))
        channel = Webhook(session, receiver.url, "s", clock)
        async with courier(store, {"ops": channel}, clock) as running:
            await store.until(lambda rows: all(row[3] == 1 for row in rows))
            assert await store.states() == Counter(due=2)
            clock.at_ns = max(row[4] for row in await store.rows())
            running.wake()
            await store.until(all_are("delivered"))
    ids = [one["x-hedgerow-notice-id"] for one in receiver.headers]
    assert Counter(ids) == {one.id: 2 for one in notices(2)}


crashes = st.lists(
    st.tuples(
        st.lists(st.sampled_from([refuses, is_broken, is_cut_off]), max_size=6),
        st.lists(st.booleans(), max_size=6),
        st.integers(1, 20),
    ),
    max_size=4,
)


@settings(max_examples=40)
@given(count=st.integers(1, 12), lives=crashes)
async def test_at_least_once_and_recorded_once(
    count: int, lives: list[tuple[list[Callable[[], Awaitable[None]]], list[bool], int]]
) -> None:
    """Couriers that die at any moment, channels that fail, a store that cannot be written: in the
    end each notice has arrived on both channels, is recorded once, and never was sent again by
    a courier that knew that it had arrived."""
    clock = Clock()
    sent = notices(count, "a", "b")
    took: Counter[tuple[str, str]] = Counter()
    async with books() as store:
        await store.add(*sent)
        for outcomes, failures, turns in lives:
            channels = {"a": Plan([*outcomes]), "b": Plan([*reversed(outcomes)])}
            wanted = [*failures]
            store.fails = lambda wanted=wanted: bool(wanted) and wanted.pop()  # type: ignore[misc]
            async with courier(store, {**channels}, clock, drain_s=0):
                for _ in range(turns):
                    await store.rows()  # its thread takes one after another
            clock.at_ns += int(LONGEST_WAIT_S * _S)
            for name, channel in channels.items():
                counts = Counter(channel.took)
                assert all(one == 1 for one in counts.values())
                took += Counter((one, name) for one in channel.took)
        store.fails = lambda: False
        last = {"a": Plan(), "b": Plan()}
        async with courier(store, {**last}, clock):
            await store.until(all_are("delivered"))
        for name, channel in last.items():
            took += Counter((one, name) for one in channel.took)
        assert set(took) == {(one.id, name) for one in sent for name in ("a", "b")}
        # Adding again what has been told tells nobody.
        await store.add(*sent)
        assert await store.states() == Counter(delivered=2 * count)


async def test_a_crash_before_the_record_sends_again_under_the_same_id(tmp_path: Path) -> None:
    """Sent, and killed before that was written down: the next courier sends it again, as itself."""
    path = tmp_path / "books.db"
    first, second = Plan(), Plan()
    async with books(path) as store:
        await store.add(*notices(1))
        store.fails = lambda: True
        async with courier(store, {"ops": first}, drain_s=0):
            async with asyncio.timeout(PATIENCE_S):
                await first.news.wait()
    async with books(path) as store:
        assert await store.states() == Counter(due=1)
        async with courier(store, {"ops": second}):
            await store.until(all_are("delivered"))
    assert first.took == second.took == [notices(1)[0].id]


class SlowToTell(StoredOutbox):
    """Tells what is due as it was before something ended."""

    def __init__(self, store: Books, has_ended: asyncio.Event) -> None:
        super().__init__(store.table, store.submit)
        self._has_ended = has_ended
        self.looks = 0

    async def due(
        self, now_ns: int, limit: int, except_channels: Collection[str]
    ) -> Sequence[Delivery]:
        found = await super().due(now_ns, limit, except_channels)
        self.looks += 1
        if self.looks == 2:
            await self._has_ended.wait()
        return found

    async def delivered(self, delivery: Delivery) -> bool:
        done = await super().delivered(delivery)
        asyncio.get_running_loop().call_later(0.01, self._has_ended.set)  # the courier knows
        return done


async def test_a_late_look_sends_nothing_again() -> None:
    """What ended between a look into the outbox and its answer is not sent again."""
    channel, may_end = Plan(), asyncio.Event()

    async with books() as store:
        await store.add(*notices(1))
        outbox = SlowToTell(store, may_end)
        async with Courier(outbox, {"ops": channel}, Clock(), Random(1).random) as running:
            await store.until(all_are("delivered"))
            await may_end.wait()
            running.wake()
    assert outbox.looks >= 2
    assert channel.took == [notices(1)[0].id]


async def test_a_full_disk_sends_once() -> None:
    """While nothing can be written down, what was sent is not sent again, however long it lasts."""
    channel = Plan()
    async with books() as store:
        await store.add(*notices(1))
        writes = iter([True] * 50 + [False] * 50)
        store.fails = lambda: next(writes)
        async with courier(store, {"ops": channel}):
            await store.until(all_are("delivered"))
    assert len(channel.took) == 1


async def test_books_that_cannot_be_read_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """While they are away the log has one line, however often they are asked; then it goes on."""

    class Away(StoredOutbox):
        looks = 0

        async def due(self, *asked: Any) -> Sequence[Delivery]:
            self.looks += 1
            if self.looks <= 5:
                asyncio.get_running_loop().call_soon(running.wake)
                raise StoreUnavailable("the books are away")
            return await super().due(*asked)

    async with books() as store:
        await store.add(*notices(1))
        outbox = Away(store.table, store.submit)
        running = Courier(outbox, {"ops": Plan()}, Clock(), Random(1).random)
        async with running:
            await store.until(all_are("delivered"))
    assert outbox.looks > 5
    assert caplog.messages == ["notices wait: the books are away"]


async def test_dead_channels_keep_no_other_waiting() -> None:
    """However many hang on some channels, another one's go out; and few of each hang at once."""
    dead = {f"dead-{one}": Plan([is_cut_off] * 100) for one in range(5)}
    alive = Plan()
    many = notices(300)
    async with books() as store:
        for at, name in enumerate([*dead, "alive"]):
            await store.add(*(replace(one, channels=(name,)) for one in many[at * 50 :][:50]))
        async with courier(store, {**dead, "alive": alive}, drain_s=0):
            await store.until(lambda rows: sum(row[2] == "delivered" for row in rows) == 50)
    assert len(alive.took) == 50
    assert [len(one.asked) for one in dead.values()] == [PARALLEL] * 5


async def test_a_fault_in_a_channel_is_a_failure_like_any(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged with its trace, recorded, and waits for its next time."""
    clock, channel = Clock(), Plan([is_broken])
    async with books() as store:
        await store.add(*notices(1))
        async with courier(store, {"ops": channel}, clock) as running:
            await store.until(lambda rows: rows[0][3] == 1)
            [(_, _, state, _, next_ns)] = await store.rows()
            assert (state, next_ns > clock.at_ns) == ("due", True)
            assert len(channel.asked) == 1
            clock.at_ns = next_ns
            running.wake()
            await store.until(all_are("delivered"))
    assert any(one.exc_info for one in caplog.records)


async def test_given_up_after_a_day_and_enough_tries(caplog: pytest.LogCaptureFixture) -> None:
    """A channel that never works is tried for a day, at least ten times, and then no more: the log
    has the notice itself. A wait is never shorter than a second, nor longer than 15 minutes."""
    clock, channel = Clock(), Plan([refuses] * 1000)
    waits_s = []
    async with books() as store:
        await store.add(*notices(1))
        with caplog.at_level(logging.ERROR, "hedgerow"):
            async with courier(store, {"ops": channel}, clock) as running:
                for tries in range(1, 1000):
                    await store.until(lambda rows, tries=tries: rows[0][3] == tries)  # type: ignore[misc]
                    [(_, _, state, _, next_ns)] = await store.rows()
                    if state == "given_up":
                        break
                    waits_s.append((next_ns - clock.at_ns) / _S)
                    clock.at_ns = next_ns
                    running.wake()
        assert await store.states() == Counter(given_up=1)
    assert 1 <= min(waits_s) <= 2
    assert max(waits_s) <= LONGEST_WAIT_S
    assert sum(waits_s) >= GIVE_UP_AFTER_S > sum(waits_s[:-1])
    assert 96 <= len(channel.asked) <= 250
    assert notices(1)[0].text() in caplog.text


async def test_words_of_others_are_kept_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a receiver says, the log gets one line, and the database a text that it can hold."""

    async def babbles() -> None:
        raise NotSent("no\x00\n\udc80\x1b[31m" + "x" * 10_000)

    async with books() as store:
        await store.add(*notices(1))
        async with courier(store, {"ops": Plan([babbles])}):
            await store.until(lambda rows: rows[0][3] == 1)
        [(why,)] = await store.submit(
            lambda: store.sql.execute("SELECT why FROM deliveries").fetchall()
        )
    assert why.startswith("no")
    assert why.isprintable()
    assert len(why) <= LONGEST_WHY
    assert all(one.isprintable() for one in caplog.messages)


async def test_days_without_us_count_for_nothing() -> None:
    """What waited while nobody ran is not given up before it was tried enough."""
    clock, channel = Clock(NOW_NS + 3 * 86_400 * _S), Plan([refuses] * (TRIES_AT_LEAST - 1))
    async with books() as store:
        await store.add(*notices(1))
        async with courier(store, {"ops": channel}, clock) as running:
            for tries in range(1, TRIES_AT_LEAST):
                await store.until(lambda rows, tries=tries: rows[0][3] == tries)  # type: ignore[misc]
                clock.at_ns += int(LONGEST_WAIT_S * _S)
                running.wake()
            await store.until(all_are("delivered"))


async def test_a_channel_that_is_not_there_may_come() -> None:
    """A name that nobody has waits like any failure, until the configuration has it."""
    clock, channel = Clock(), Plan()
    async with books() as store:
        await store.add(*notices(1))
        async with courier(store, {}, clock) as running:
            await store.until(lambda rows: rows[0][3] == 1)
            clock.at_ns += int(LONGEST_WAIT_S * _S)
            running.use({"ops": channel})
            await store.until(all_are("delivered"))


async def test_what_is_under_way_ends_before_it_closes() -> None:
    """Closing waits for an answer that is on its way, and records it."""
    going, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        going.set()
        await may_end.wait()

    async with books() as store:
        await store.add(*notices(1))
        async with courier(store, {"ops": Plan([slow])}, drain_s=PATIENCE_S):
            await going.wait()
            asyncio.get_running_loop().call_later(0.01, may_end.set)
        assert await store.states() == Counter(delivered=1)


async def test_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the line for people, and the id."""
    with caplog.at_level(logging.WARNING, "hedgerow"):
        await Journal().send(notice())
    assert caplog.messages == [f"{notice().text()} [{notice().id}]"]


@given(
    st.integers(1, 10_000),
    st.floats(0, 1, exclude_max=True),
    st.none() | st.floats(0, 1e9, allow_nan=False),
)
def test_waits(tries: int, draw: float, asked_s: float | None) -> None:
    """From 1 s to 15 minutes, twice as long each time but for the draw, and as long as asked."""
    wait_s = wait_before_s(tries, draw, asked_s)
    assert 1 <= wait_s <= LONGEST_WAIT_S
    assert wait_s >= min(asked_s or 0, LONGEST_WAIT_S)
    assert wait_s >= min(2.0 ** min(tries - 1, 20), LONGEST_WAIT_S / 2)
    assert asked_s or wait_s <= 2.0 ** min(tries, 20)

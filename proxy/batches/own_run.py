"""OwnRun: lines that no provider takes as a batch, each answered by the story of a live request."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ledger.errors import KeyRefused
from ledger.ids import new_id
from proxy.batches.batch import Batch, Used, used_of
from proxy.batches.batch_store import BatchStore
from proxy.batches.line import JSON, line_id, read_bodies, result_of
from proxy.batches.rows import Result, Row
from proxy.batches.timing import Timing, Waiting
from proxy.chat import answer
from proxy.errors import FilesUnavailable, NotAuthenticated, ProxyError, as_answer, log
from proxy.exchange import Headers
from proxy.house import House
from proxy.wires.table import WIRES

TICK_S = 0.25
"""How late it is seen that the time has come for something."""
BACK_OFF_S, LONGEST_BACK_OFF_S = 1.0, 600.0
PASSES = frozenset((429, 503))
"""Statuses that say that it will go better later: such lines come again until the window ends."""
MAY_PASS = frozenset((408, 409, 500, 502, 504))
MOST_TRIES = 5
"""How often a line runs that fails otherwise: a provider may have billed each time."""


class LineExchange:
    """A line as the story sees it: a request whose answer is kept."""

    def __init__(self, path: str) -> None:
        self.method = "POST"
        self.path = path
        self.headers: Mapping[str, str] = {"content-type": JSON}
        self.body = b""
        self.abandonable = False
        self.status = 0
        self.answer_headers: dict[str, str] = {}
        self.answer_body = b""

    @property
    def has_begun(self) -> bool:
        return False

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        self.status, self.answer_headers, self.answer_body = status, dict(headers), body

    async def open(self, status: int, headers: Headers) -> None:  # noqa: ARG002 - a protocol
        raise AssertionError("no line of a batch is streamed")

    async def write(self, data: bytes) -> None:  # noqa: ARG002 - a protocol
        raise AssertionError("no line of a batch is streamed")

    async def finish(self, data: bytes) -> None:  # noqa: ARG002 - a protocol
        raise AssertionError("no line of a batch is streamed")

    async def fail(self, data: bytes) -> None:  # noqa: ARG002 - a protocol
        raise AssertionError("no line of a batch is streamed")


@dataclass(slots=True, eq=False)
class _Feed:
    """The lines of one batch. changed: told whenever one of them is done.

    waiting: how many are not done, those under way included. ready_at_ns: when to look for more;
    None if there are none.
    """

    batch: Batch
    path: Path
    changed: asyncio.Event
    waiting: int
    ready: deque[Row] = field(default_factory=deque)
    under_way: set[asyncio.Task[None]] = field(default_factory=set)
    ready_at_ns: int | None = 0
    is_leaving: bool = False


class OwnRun:
    """At most `timing.parallel` lines at once over all batches, which take turns."""

    def __init__(self, house: House, store: BatchStore, timing: Timing) -> None:
        self._house = house
        self._store = store
        self._timing = timing
        self._feeds: deque[_Feed] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._is_stopping = False

    # -- batches come and go

    def join(self, batch: Batch, path: Path, changed: asyncio.Event, waiting: int) -> None:
        """Run the lines of a batch that are ours, now and as they come."""
        self._feeds.append(_Feed(batch, path, changed, waiting))
        self._wake.set()

    def more(self, batch_id: str, lines: int) -> None:
        """Lines of a batch that is here have become ours."""
        for feed in self._feeds:
            if feed.batch.id == batch_id:
                feed.waiting += lines
                feed.ready_at_ns = 0
        self._wake.set()

    async def leave(self, batch_id: str) -> None:
        """Begin no more of its lines; wait for those under way."""
        for feed in [one for one in self._feeds if one.batch.id == batch_id]:
            feed.is_leaving = True
            self._feeds.remove(feed)
            if feed.under_way:
                await asyncio.wait(set(feed.under_way))

    # -- the work

    async def run(self) -> None:
        """Until it is cancelled, or told to stop."""
        while not self._is_stopping:
            self._wake.clear()
            try:
                while len(self._under_way) < self._timing.parallel and await self._begin_one():
                    pass
            except Exception as error:  # noqa: BLE001 - an edge: nobody else hears of it
                log.error("no lines of batches can be begun now: %s", error, exc_info=error)
                await asyncio.sleep(BACK_OFF_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S if self._feeds else None):
                    await self._wake.wait()

    def stop(self) -> None:
        """Begin no more lines."""
        self._is_stopping = True
        self._wake.set()

    async def ended(self, within_s: float) -> None:
        """Let lines under way finish; put those back that do not."""
        tasks = set(self._under_way)
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, within_s))
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin_one(self) -> bool:
        """Whether a line could be begun. The batch that had its turn is the last one now."""
        every = [_waiting(one) for one in self._feeds]
        now_ns = self._house.clock.now_ns()
        for feed in list(self._feeds):
            is_over = now_ns >= feed.batch.expires_at * 1_000_000_000
            if is_over or not self._timing.may_run(_waiting(feed), every, now_ns / 1e9):
                continue
            if not feed.ready:
                await self._look(feed, now_ns)
            if feed.ready and not feed.is_leaving and not self._is_stopping:
                self._begin(feed, feed.ready.popleft())
                self._feeds.remove(feed)
                self._feeds.append(feed)
                return True
        return False

    async def _look(self, feed: _Feed, now_ns: int) -> None:
        if feed.ready_at_ns is None or feed.ready_at_ns > now_ns:
            return
        found = await self._store.take(feed.batch.id, now_ns, 2 * self._timing.parallel)
        feed.ready.extend(found)
        if not found:
            feed.ready_at_ns = await self._store.ready_at_ns(feed.batch.id)

    def _begin(self, feed: _Feed, row: Row) -> None:
        task = asyncio.create_task(self._line(feed, row))
        for tasks in (feed.under_way, self._under_way):
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        task.add_done_callback(partial(self._line_over, feed))

    def _line_over(self, feed: _Feed, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a line of %s failed by a fault of ours", feed.batch.id, exc_info=error)
        self._wake.set()
        if not feed.waiting:
            feed.changed.set()

    async def _line(self, feed: _Feed, row: Row) -> None:
        clock, batch, began_s = self._house.clock, feed.batch, self._house.clock.monotonic_s()
        x = await self._answered(feed, row)
        self._timing.note(clock.monotonic_s() - began_s)
        rest_s = _rest_s(x, row.tries + 1, self._house.draw)
        if rest_s is not None and clock.now_ns() / 1e9 + rest_s < batch.expires_at:
            ready_at_ns = clock.now_ns() + int(rest_s * 1e9)
            await self._sure(
                lambda: self._store.put_back(batch.id, row.number, ready_at_ns, row.tries + 1)
            )
            known = feed.ready_at_ns
            feed.ready_at_ns = ready_at_ns if known is None else min(known, ready_at_ns)
            return
        text = result_of(
            line_id(batch.id, row.number),
            row.custom_id,
            x.status,
            x.answer_headers["x-request-id"],
            x.answer_body,
        )
        used = Used() if x.status != 200 else _used(batch, x)
        result = Result(row.number, text, x.status != 200, used)
        await self._sure(lambda: self._store.finish(batch.id, [result]))
        feed.waiting -= 1

    async def _sure(self, write: Callable[[], Awaitable[None]]) -> None:
        """What has been paid for is kept, if not now then as soon as it can be."""
        while True:
            try:
                await write()
            except FilesUnavailable as error:
                log.error("batches: %s", error)
                await self._house.clock.sleep(BACK_OFF_S)
            else:
                return

    async def _answered(self, feed: _Feed, row: Row) -> LineExchange:
        """As if its key had asked now."""
        house, batch = self._house, feed.batch
        x = LineExchange(batch.endpoint)
        request_id = new_id("req", house.clock.now_ns(), house.random_bytes)
        try:
            who = house.book.principal_of(batch.key_id)
            (x.body,) = await asyncio.to_thread(read_bodies, feed.path, [(row.at, row.bytes)])
            wire = WIRES[batch.asks]
            await answer(x, house=house, wire=wire, who=who, request_id=request_id)
        except KeyRefused as refused:
            await _refuse(x, NotAuthenticated(str(refused)), request_id)
        except Exception as error:  # noqa: BLE001 - an edge: a line's error is its answer
            await _refuse(x, as_answer(error, request_id), request_id)
        return x


async def _refuse(x: LineExchange, problem: ProxyError, request_id: str) -> None:
    headers: Headers = [("x-request-id", request_id), *problem.headers]
    await x.answer(problem.answer_status, headers, problem.body())


def _waiting(feed: _Feed) -> Waiting:
    return Waiting(feed.waiting, feed.batch.expires_at)


def _rest_s(x: LineExchange, tries: int, draw: Callable[[], float]) -> float | None:
    """When to run a line again that has failed; None if never."""
    again = x.status in PASSES or (x.status in MAY_PASS and tries < MOST_TRIES)
    if not again:
        return None
    longest_s: float = min(BACK_OFF_S * 2 ** (tries - 1), LONGEST_BACK_OFF_S)
    told_s = float(x.answer_headers.get("retry-after", "0"))
    return max(told_s, longest_s * (1 + draw()) / 2)


def _used(batch: Batch, x: LineExchange) -> Used:
    wire = WIRES[batch.asks]
    plain = wire.plain(x.answer_body, wire.ask(x.body, JSON))
    return Used() if plain is None else used_of(plain.usage)

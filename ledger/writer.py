"""Writer: the one thread that writes, and how the event loop asks it to.

Calls that wait together are committed together: under load one transaction carries many requests,
alone a call waits for nobody. A call's own refusal undoes that call only.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ledger.errors import StoreError, StoreUnavailable
from ledger.store import Store

T = TypeVar("T")

QUEUE_LIMIT = 10_000
BATCH_LIMIT = 256
TRIES = 3
"""For what must be written: each waits for the database as long as it lets a call wait."""


@dataclass(slots=True)
class _Job:
    call: Callable[[], Any]
    future: asyncio.Future[Any]
    tries: int
    must: bool
    result: Any = None
    error: BaseException | None = None

    @property
    def wants_another_try(self) -> bool:
        return self.tries > 0 and isinstance(self.error, StoreUnavailable)


class Writer:
    """Runs calls on the store in order, on a thread of its own."""

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = 0
        self._stopped = False
        self._owed: list[_Job] = []
        self._thread = threading.Thread(target=self._work, name="ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], T], *, must: bool = False) -> asyncio.Future[T]:
        """Run `call` in the next transaction; the future has what it returned or raised.

        The call happens whether or not somebody waits for the future: use `asyncio.shield` to stop
        waiting. Raises StoreUnavailable at once when the queue is full, unless it `must` be taken:
        the end of a hold must, and those are as many as there are holds. What must is also tried
        again when the database cannot be written for a while.
        """
        if self._stopped:
            raise StoreUnavailable("the books are closed: the server is stopping")
        if self._waiting >= QUEUE_LIMIT and not must:
            raise StoreUnavailable(
                f"the books are {QUEUE_LIMIT} writes behind: the disk is slow, or the load too high"
            )
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting += 1
        self._jobs.put(_Job(call, future, TRIES if must else 1, must))
        return future

    def tell(self, call: Callable[[], object], *, must: bool = False) -> None:
        """The same for a call that nobody waits for. Without `must` it may be let go."""
        try:
            future = self.submit(call, must=must)
        except StoreUnavailable:
            return  # the server is stopping, or too far behind
        future.add_done_callback(_forget)

    async def stop(self) -> None:
        """Finish what waits, then end the thread."""
        if not self._stopped:
            self._stopped = True
            self._jobs.put(None)
        while self._thread.is_alive():
            await self._loop.run_in_executor(None, self._thread.join)

    def _work(self) -> None:
        last = False
        while not last:
            jobs: list[_Job] = []
            job = self._jobs.get()
            while job is not None:
                jobs.append(job)
                if len(jobs) >= BATCH_LIMIT:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            last = job is None
            if jobs:
                self._commit(jobs)
                while again := [one for one in jobs if one.wants_another_try]:
                    self._commit(again)
                self._settle(jobs)
                self._loop.call_soon_threadsafe(self._tell, jobs)

    def _settle(self, jobs: list[_Job]) -> None:
        """What must be written and could not be is owed: whoever waits for it is told that it
        failed, but its money must not stay held. It is tried again whenever a write succeeds."""
        if self._owed and not any(isinstance(one.error, StoreUnavailable) for one in jobs):
            self._commit(self._owed)
            self._owed = _failed(self._owed)
        self._owed += _failed([one for one in jobs if one.must])

    def _commit(self, jobs: list[_Job]) -> None:
        for job in jobs:
            job.tries -= 1
            job.error = None
        try:
            with self._store.transaction():
                for job in jobs:
                    try:
                        with self._store.step():
                            job.result = job.call()
                    except StoreError:
                        raise  # the database itself failed: it takes the whole batch with it
                    except Exception as error:  # noqa: BLE001 - it belongs to the one who called
                        job.error = error
        except Exception as error:  # noqa: BLE001 - nothing of this batch happened
            for job in jobs:
                job.error = error

    def _tell(self, jobs: list[_Job]) -> None:
        self._waiting -= len(jobs)
        for job in jobs:
            if job.future.done():
                continue
            if job.error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(job.error)


def _failed(jobs: list[_Job]) -> list[_Job]:
    return [one for one in jobs if isinstance(one.error, StoreUnavailable)]


def _forget(done: asyncio.Future[Any]) -> None:
    """Nobody waits for this one: a failure stays in the store's state, not in the log."""
    if not done.cancelled():
        done.exception()

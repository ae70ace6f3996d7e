"""Writer: the one thread that writes, and how the event loop asks it to.

Calls that wait together are committed together: under load one transaction carries many requests,
alone a call waits for nobody. A call's own refusal undoes that call only. Every call happens once:
where nobody knows whether a commit happened, nothing is tried again before the database has said.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from ledger.errors import CommitUnknown, StoreError, StoreUnavailable
from ledger.store import Store

T = TypeVar("T")

QUEUE_LIMIT = 10_000
BATCH_LIMIT = 256
TRIES = 3
"""Of what must be written, before whoever waits for it is told; it is tried ever after."""
AGAIN_S = 0.1
"""How long until it is tried again, if nothing else is written."""


@dataclass(slots=True)
class _Job:
    call: Callable[[], Any]
    future: asyncio.Future[Any]
    must: bool
    tries: int = TRIES
    is_told: bool = False
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs calls on the store in order, on a thread of its own."""

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = 0
        self._stopped = False
        self._line: list[_Job] = []
        """What the thread writes next. What must be written stays until it is, in its order."""
        self._unsure: tuple[CommitUnknown, int] | None = None
        """Why nobody knows whether the first of the line are written, and how many those are."""
        self._thread = threading.Thread(target=self._work, name="ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], T], *, must: bool = False) -> asyncio.Future[T]:
        """Run `call` in the next transaction; the future has what it returned or raised.

        The call happens whether or not somebody waits for the future: use `asyncio.shield` to stop
        waiting. Raises StoreUnavailable at once when the queue is full, unless it `must` be taken:
        the end of a hold must, and those are as many as there are holds. What must is also tried
        again, before anything else, for as long as the database cannot be written.
        """
        if self._stopped:
            raise StoreUnavailable("the books are closed: the server is stopping")
        if self._waiting >= QUEUE_LIMIT and not must:
            raise StoreUnavailable(
                f"the books are {QUEUE_LIMIT} writes behind: the disk is slow, or the load too high"
            )
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting += 1
        self._jobs.put(_Job(call, future, must))
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

    # -- on the thread

    def _work(self) -> None:
        is_last, last_tries = False, TRIES
        while not is_last:
            is_last = self._take()
            try:
                while self._line:
                    self._write_first()
            except StoreUnavailable as unavailable:
                if is_last and last_tries:
                    is_last, last_tries = False, last_tries - 1
                    self._jobs.put(None)
                self._put_off(unavailable, is_last=is_last)

    def _take(self) -> bool:
        """Wait for calls, and line them up; whether these are the last."""
        try:
            job = self._jobs.get(timeout=AGAIN_S if self._line else None)
        except queue.Empty:
            return False
        for _ in range(BATCH_LIMIT):
            if job is None:
                return True
            self._line.append(job)
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return False
        if job is not None:
            self._line.append(job)
        return job is None

    def _write_first(self) -> None:
        """Commit the first of the line. Raises StoreUnavailable: they stay."""
        if self._unsure is not None:
            unknown, count = self._unsure
            is_committed = unknown.is_committed()
            self._unsure = None
            if not is_committed:
                return
            jobs = self._line[:count]
        else:
            jobs = self._line[:BATCH_LIMIT]
            try:
                self._commit(jobs)
            except CommitUnknown as unknown:
                self._unsure = (unknown, len(jobs))
                raise
        del self._line[: len(jobs)]
        self._loop.call_soon_threadsafe(self._tell, jobs)

    def _commit(self, jobs: list[_Job]) -> None:
        for job in jobs:
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
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - nothing of this batch happened
            for job in jobs:
                job.error = error

    def _put_off(self, error: StoreUnavailable, *, is_last: bool) -> None:
        """The database cannot be written now. What must be, or may have been, stays in the line."""
        unsure = self._unsure[1] if self._unsure is not None else 0
        told, kept = [], self._line[:unsure]
        for job in self._line[unsure:]:
            job.tries -= 1
            if job.must:
                kept.append(job)
            if job.tries == 0 or not job.must:
                job.error = error
                told.append(job)
        self._line = kept
        if is_last:
            for at, job in enumerate(kept):
                job.error = self._unsure[0] if self._unsure and at < unsure else error
            told = [*told, *kept]
        self._loop.call_soon_threadsafe(self._tell, told)

    # -- on the loop

    def _tell(self, jobs: Iterable[_Job]) -> None:
        for job in jobs:
            if job.is_told:
                continue
            job.is_told = True
            self._waiting -= 1
            if job.future.done():
                continue
            if job.error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(job.error)


def _forget(done: asyncio.Future[Any]) -> None:
    """Nobody waits for this one: a failure stays in the store's state, not in the log."""
    if not done.cancelled():
        done.exception()

"""Runner: the one door to running batches. Whoever has it open runs them, and nobody else may.

Everything it knows is on disk: it may be stopped, or killed, at any moment, and whoever opens it
next goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from ledger.errors import KeyRefused
from ledger.ids import new_id
from proxy.batches.batch import ENDED, Batch, LineWrong, Status
from proxy.batches.batch_store import BatchStore, Job, Row
from proxy.batches.file_store import BATCH_KEPT_S, BATCH_OUTPUT, FileStore, StoredFile
from proxy.batches.line import (
    MOST_ERRORS,
    MOST_LINES,
    Checked,
    Checker,
    State,
    line_id,
    not_run,
    places,
)
from proxy.batches.own_run import TICK_S, OwnRun
from proxy.batches.placing import Placer
from proxy.batches.provider_job import ProviderJob
from proxy.batches.timing import Timing
from proxy.chat import refuse_model
from proxy.errors import ProxyError, log
from proxy.house import House

LINES_AT_ONCE = 200
"""So many are read, checked or written in one go: then it is somebody else's turn."""
SWEEP_EVERY_S = 60.0
TRY_AGAIN_S = 5.0
"""When a batch is taken up again after something of ours failed."""
_NOT_RUN = {
    Status.COMPLETED: ("not_run", "this line could not be run"),
    Status.EXPIRED: ("batch_expired", "the completion window ended before this line was run"),
    Status.CANCELLED: ("batch_cancelled", "the batch was cancelled before this line was run"),
}


@dataclass(slots=True, eq=False)
class _UnderWay:
    """A batch that is being run. changed: something of it is done, or wanted."""

    task: asyncio.Task[None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    jobs: set[asyncio.Task[None]] = field(default_factory=set)


class Runner:
    """most_line_bytes: of one line, as of a request. drain_s: how long lines that are under way
    may take once it is stopped."""

    def __init__(
        self,
        house: House,
        files: FileStore,
        store: BatchStore,
        timing: Timing,
        *,
        most_line_bytes: int,
        drain_s: float,
    ) -> None:
        self._house = house
        self._files = files
        self._store = store
        self._most_line_bytes = most_line_bytes
        self._drain_s = drain_s
        self._own = OwnRun(house, store, timing)
        self._batches: dict[str, _UnderWay] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stops_at_s: float | None = None

    async def __aenter__(self) -> Self:
        await self._files.open()
        for batch_id in await self._store.open_ids():
            self.begin(batch_id)
        self._tasks = [asyncio.create_task(self._own.run()), asyncio.create_task(self._sweep())]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Lines that are under way finish, or are put back; jobs stay as they are at their
        providers."""
        self.stop()
        now_s = asyncio.get_running_loop().time()
        await self._own.ended((self._stops_at_s or now_s) - now_s)
        every = [*self._tasks]
        for one in self._batches.values():
            every += [*one.jobs, *([one.task] if one.task else [])]
        for task in every:
            task.cancel()
        await asyncio.gather(*every, return_exceptions=True)

    def stop(self) -> None:
        """Begin nothing more."""
        if self._stops_at_s is None:
            self._stops_at_s = asyncio.get_running_loop().time() + self._drain_s
        self._own.stop()

    def begin(self, batch_id: str) -> None:
        """Run a batch that has been stored."""
        if batch_id not in self._batches and self._stops_at_s is None:
            under_way = self._batches[batch_id] = _UnderWay()
            under_way.task = asyncio.create_task(self._run(batch_id, under_way))

    def look(self, batch_id: str) -> None:
        """Something is wanted of it: it was cancelled."""
        if (found := self._batches.get(batch_id)) is not None:
            found.changed.set()

    # -- one batch

    async def _run(self, batch_id: str, under_way: _UnderWay) -> None:
        """To its end; what goes wrong with us meanwhile only delays it."""
        while True:
            try:
                await self._work(await self._store.get(batch_id), under_way)
                await self._store.purge()
                await self._files.sweep()
            except Exception as error:  # an edge: nobody else hears of it
                log.error("%s is delayed: %s", batch_id, error, exc_info=error)
                await asyncio.sleep(TRY_AGAIN_S)
                await self._own.leave(batch_id)
            else:
                del self._batches[batch_id]
                return

    async def _work(self, batch: Batch, under_way: _UnderWay) -> None:
        """From the status that it has to its end."""
        if batch.status is Status.VALIDATING:
            batch = await self._validate(batch)
        if batch.status is Status.IN_PROGRESS:
            batch = await self._progress(batch, under_way)
        elif batch.status is Status.CANCELLING:  # before it had begun, or by another process
            await self._stop_jobs(batch, under_way)
        if batch.status not in ENDED:
            await self._end(batch)

    # -- is it right?

    async def _validate(self, batch: Batch) -> Batch:
        """In progress, or failed, or cancelled meanwhile."""
        await self._store.forget_lines(batch.id)
        checker = Checker(batch, self._most_line_bytes)
        placer = Placer(self._house, batch)
        path = self._files.path(batch.input_file_id)
        file = await asyncio.to_thread(path.open, "rb")
        try:
            found = places(file, self._most_line_bytes)
            while chunk := await asyncio.to_thread(self._check, batch, checker, found):
                if len(checker.errors) >= MOST_ERRORS or checker.count > MOST_LINES:
                    break
                rows, jobs = await asyncio.to_thread(_placed, placer, chunk)
                await self._store.add_lines(batch.id, rows, jobs)
                if (await self._store.get(batch.id)).status is Status.CANCELLING:
                    break
        finally:
            await asyncio.to_thread(file.close)
        errors = checker.errors[:MOST_ERRORS]
        if checker.count == 0:
            errors = [LineWrong("empty_file", "the file has no line")]
        elif checker.count > MOST_LINES:
            errors = [LineWrong("too_many_lines", f"the file has more than {MOST_LINES} lines")]
        batch = await self._store.get(batch.id)
        if errors and batch.status is not Status.CANCELLING:
            await self._store.fail(batch.id, errors, self._now_s())
            return await self._store.get(batch.id)
        return await self._store.enter(batch.id, Status.IN_PROGRESS, self._now_s())

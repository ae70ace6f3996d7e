"""Runner: the one door to running batches. Whoever has it open runs them, and nobody else may.

Each worker has one; it is open where the leader is. Everything it knows is on disk: it may be
stopped, or killed, at any moment, and whoever opens it next goes on from there. Batches that other
workers have made, or cancelled, are found there, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from ledger.errors import KeyRefused
from ledger.ids import new_id
from proxy.batches.batch import ENDED, Batch, LineWrong, Status
from proxy.batches.batch_store import BatchStore
from proxy.batches.file_store import BATCH_KEPT_S, BATCH_OUTPUT, FileStore, StoredFile
from proxy.batches.line import (
    MOST_ERRORS,
    MOST_LINES,
    Checked,
    Checker,
    Place,
    State,
    line_id,
    not_run,
    places,
)
from proxy.batches.own_run import TICK_S, OwnRun
from proxy.batches.placing import Placer
from proxy.batches.provider_job import ProviderJob
from proxy.batches.rows import Job, Row
from proxy.batches.timing import Timing
from proxy.chat import refuse_model
from proxy.errors import NotAuthenticated, ProxyError, log
from proxy.house import House
from proxy.terms import on_terms

RESULTS_AT_ONCE = 20
LINES_AT_ONCE = 200
"""So many are read, checked or written in one go: then it is somebody else's turn."""
LOOK_EVERY_S = 1.0
"""How long a batch is not looked at when nothing is heard of it."""
NEW_EVERY_S = 0.5
"""How long a batch waits that another worker has made."""
BATCHES_KEPT_S = 90 * 86_400
SWEEP_EVERY_S = 60.0
CLEAR_EVERY = 60
"""In how many sweeps one also looks for what a killed worker has left."""
TRY_AGAIN_S = 5.0
"""When a batch is taken up again after something of ours failed."""
_NOT_RUN = {
    Status.COMPLETED: ("not_run", "this line could not be run"),
    Status.EXPIRED: ("batch_expired", "the completion window ended before this line was run"),
    Status.CANCELLED: ("batch_cancelled", "the batch was cancelled before this line was run"),
}


@dataclass(slots=True, eq=False)
class _UnderWay:
    """A batch that is being run. changed: something of it is done, or wanted. stop: its jobs are
    to end."""

    task: asyncio.Task[None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    jobs: set[asyncio.Task[None]] = field(default_factory=set)


class Runner:
    """Open it with `async with`, again if need be, in the leader alone.

    most_line_bytes: of one line, as of a request. drain_s: how long lines that are under way may
    take once it is stopped.
    """

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
        self._timing = timing
        self._own = OwnRun(house, store, timing)
        self._batches: dict[str, _UnderWay] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._is_open = False
        self._stops_at_s: float | None = None

    async def __aenter__(self) -> Self:
        for batch_id in await self._store.unpurged():
            await self._store.purge(batch_id)
        open_ids = await self._store.open_ids()
        self._is_open = self._stops_at_s is None  # told to stop before it led: others go on
        for batch_id in open_ids:
            self.begin(batch_id)
        if self._is_open:
            every = (self._own.run(), self._find(), self._sweep())
            self._tasks = [asyncio.create_task(one) for one in every]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Lines that are under way finish, or are put back; jobs stay as they are at their
        providers."""
        was_stopped = self._stops_at_s is not None
        self.stop()
        now_s = asyncio.get_running_loop().time()
        await self._own.ended((self._stops_at_s or now_s) - now_s)
        every = [*self._tasks]
        for one in self._batches.values():
            every += [*one.jobs, *([one.task] if one.task else [])]
        for task in every:
            task.cancel()
        await asyncio.gather(*every, return_exceptions=True)
        self._batches.clear()
        self._own = OwnRun(self._house, self._store, self._timing)
        if not was_stopped:  # it may lead again
            self._stops_at_s = None

    def stop(self) -> None:
        """Begin nothing more, now or when it is opened."""
        if self._stops_at_s is None:
            self._stops_at_s = asyncio.get_running_loop().time() + self._drain_s
        self._is_open = False
        self._own.stop()

    def begin(self, batch_id: str) -> None:
        """Run a batch that has been stored; where it is not open, whoever has it open finds it."""
        if batch_id not in self._batches and self._is_open:
            under_way = self._batches[batch_id] = _UnderWay()
            under_way.task = asyncio.create_task(self._run(batch_id, under_way))

    def look(self, batch_id: str) -> None:
        """Something is wanted of it: it was cancelled."""
        if (found := self._batches.get(batch_id)) is not None:
            found.changed.set()

    async def _find(self) -> None:
        """Batches of other workers."""
        while True:
            await asyncio.sleep(NEW_EVERY_S)
            try:
                for batch_id in await self._store.open_ids():
                    self.begin(batch_id)
            except ProxyError as error:
                log.error("batches: %s", error)

    # -- one batch

    async def _run(self, batch_id: str, under_way: _UnderWay) -> None:
        """To its end; what goes wrong with us meanwhile only delays it."""
        while True:
            try:
                await self._work(await self._store.get(batch_id), under_way)
                await self._store.purge(batch_id)
                await self._files.sweep()
            except Exception as error:  # noqa: BLE001 - an edge: nobody else hears of it
                log.error("%s is delayed: %s", batch_id, error, exc_info=error)
                await asyncio.sleep(TRY_AGAIN_S)
            else:
                del self._batches[batch_id]
                return

    async def _work(self, batch: Batch, under_way: _UnderWay) -> None:
        """From the status that it has to its end."""
        if batch.status is Status.VALIDATING:
            batch = await self._validate(batch)
        if batch.status is Status.IN_PROGRESS:
            await self._progress(batch, under_way)
        elif batch.status is Status.CANCELLING:  # before it had begun, or a process ago
            await self._start_jobs(batch, under_way)
            await self._stop_jobs(under_way)
        if batch.status not in ENDED:
            await self._end(batch)

    # -- is it right?

    async def _validate(self, batch: Batch) -> Batch:
        """In progress, or failed, or cancelled meanwhile."""
        await self._store.forget_lines(batch.id)
        checker = Checker(batch, self._most_line_bytes)
        placer = Placer(self._house, batch)
        path = self._files.path(batch.input_file_id)
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except FileNotFoundError:  # deleted at the moment in which the batch was made
            gone = LineWrong("file_not_found", "the input file was deleted", "input_file_id")
            await self._store.fail(batch.id, [gone], self._now_s())
            return await self._store.get(batch.id)
        try:
            found = places(file, self._most_line_bytes)
            while (
                chunk := await asyncio.to_thread(self._check, batch, checker, found)
            ) is not None:
                if len(checker.errors) >= MOST_ERRORS or checker.count > MOST_LINES:
                    break
                if not checker.errors:
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

    def _check(
        self, batch: Batch, checker: Checker, found: Iterator[tuple[Place, bytes]]
    ) -> list[Checked] | None:
        """The next lines that are right; None when there are no more. Runs in a thread."""
        some = list(islice(found, LINES_AT_ONCE))
        if not some:
            return None
        right = []
        for place, text in some:
            checked = checker.check(place, text)
            if checked is not None:
                try:
                    who = self._house.book.principal_of(batch.key_id)
                    ask = on_terms(checked.ask, {}, self._house.names)
                    refuse_model(ask.model, self._house, who)
                    right.append(replace(checked, ask=ask))
                except KeyRefused as refused:
                    checker.refuse(place, NotAuthenticated(str(refused)))
                except ProxyError as error:
                    checker.refuse(place, error)
        return right

    # -- its lines

    async def _progress(self, batch: Batch, under_way: _UnderWay) -> None:
        """Until every line has a result, or no more is to be run."""
        await self._store.put_all_back(batch.id)
        waiting = await self._store.count(batch.id, State.QUEUED)
        path = self._files.path(batch.input_file_id)
        self._own.join(batch, path, under_way.changed, waiting)
        try:
            await self._start_jobs(batch, under_way)
            while batch.status is Status.IN_PROGRESS and not self._is_over(batch):
                if batch.completed + batch.failed == batch.total and not under_way.jobs:
                    return
                await self._change(batch, under_way)
                batch = await self._store.get(batch.id)
        finally:
            await self._own.leave(batch.id)
        await self._stop_jobs(under_way)

    async def _change(self, batch: Batch, under_way: _UnderWay) -> None:
        """Wait until something may have changed, or the window has ended."""
        for _ in range(round(LOOK_EVERY_S / TICK_S)):
            if under_way.changed.is_set() or self._is_over(batch):
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await under_way.changed.wait()
        under_way.changed.clear()

    def _is_over(self, batch: Batch) -> bool:
        return self._now_s() >= batch.expires_at

    async def _start_jobs(self, batch: Batch, under_way: _UnderWay) -> None:
        if under_way.jobs:
            return  # something of ours has failed, but not they
        for job in await self._store.jobs(batch.id):
            task = asyncio.create_task(self._job(batch, job.id, under_way))
            under_way.jobs.add(task)
            task.add_done_callback(partial(_job_over, under_way))

    async def _stop_jobs(self, under_way: _UnderWay) -> None:
        """They end as soon as their providers have; what was answered until then counts."""
        under_way.stop.set()
        if under_way.jobs:
            await asyncio.wait(set(under_way.jobs))

    async def _job(self, batch: Batch, job_id: str, under_way: _UnderWay) -> None:
        """One job to its end; what goes wrong with us meanwhile only delays it."""
        while True:
            try:
                job = ProviderJob(
                    self._house,
                    self._store,
                    self._files,
                    batch,
                    await self._store.job(job_id),
                    returned=partial(self._own.more, batch.id),
                    stop=under_way.stop,
                )
                await job.run()
            except Exception as error:  # noqa: BLE001 - an edge: nobody else hears of it
                log.error("%s is delayed: %s", job_id, error, exc_info=error)
                await asyncio.sleep(TRY_AGAIN_S)
            else:
                return

    # -- its end

    async def _end(self, batch: Batch) -> None:
        """Write its files, and close it."""
        batch = await self._store.enter(batch.id, Status.FINALIZING, self._now_s())
        if batch.status is Status.CANCELLING:
            status = Status.CANCELLED
        elif await self._store.undone(batch.id, after=0, limit=1):
            status = Status.EXPIRED
        else:
            status = Status.COMPLETED
        output = await self._written(batch, "output", errors=False)
        errors = await self._written(batch, "errors", errors=True, ending=status)
        await self._store.end(batch.id, status, self._now_s(), output, errors)

    async def _written(
        self, batch: Batch, kind: str, *, errors: bool, ending: Status | None = None
    ) -> StoredFile | None:
        """The results of one kind as a file; None without any. ending: then also what has none."""
        file_id = new_id("file", self._house.clock.now_ns(), self._house.random_bytes)
        part, size, after = self._files.part(file_id), 0, 0
        out = await asyncio.to_thread(part.open, "wb")
        try:
            while some := await self._store.results(
                batch.id, errors=errors, after=after, limit=RESULTS_AT_ONCE
            ):
                size += await asyncio.to_thread(out.write, b"".join(text for _, text in some))
                after = some[-1][0]
            after = 0
            while ending is not None and (
                rows := await self._store.undone(batch.id, after=after, limit=LINES_AT_ONCE)
            ):
                texts = [_not_run(batch, row, ending) for row in rows]
                size += await asyncio.to_thread(out.write, b"".join(texts))
                after = rows[-1].number
        except BaseException:
            await asyncio.to_thread(_dropped, out, part)
            raise
        if not size:
            await asyncio.to_thread(_dropped, out, part)
            return None
        await asyncio.to_thread(out.close)
        await self._files.settle(file_id)
        now_s = self._now_s()
        return StoredFile(
            id=file_id,
            owner=batch.owner,
            filename=f"{batch.id}_{kind}.jsonl",
            purpose=BATCH_OUTPUT,
            bytes=size,
            created_at=now_s,
            expires_at=now_s + (batch.output_expires_after or BATCH_KEPT_S),
        )

    async def _sweep(self) -> None:
        """Now and then, remove files that have expired, and batches that nobody asks for."""
        for turn in count():
            try:
                await self._store.forget(self._now_s() - BATCHES_KEPT_S)
                await self._files.sweep()
                if turn % CLEAR_EVERY == 0:
                    await self._files.clear()
            except (ProxyError, OSError) as error:
                log.error("files: %s", error)
            await asyncio.sleep(SWEEP_EVERY_S)

    def _now_s(self) -> int:
        return self._house.clock.now_ns() // 1_000_000_000


def _job_over(under_way: _UnderWay, task: asyncio.Task[None]) -> None:
    under_way.jobs.discard(task)
    under_way.changed.set()


def _placed(placer: Placer, chunk: list[Checked]) -> tuple[list[Row], list[Job]]:
    """Lines as they are kept, and the jobs that are new with them. Runs in a thread."""
    rows = []
    for one in chunk:
        job_id, place = placer.place(one), one.place
        state = State.QUEUED if job_id is None else State.PLACED
        rows.append(Row(place.number, one.custom_id, place.at, place.bytes, state, job_id))
    return rows, placer.new_jobs()


def _not_run(batch: Batch, row: Row, ending: Status) -> bytes:
    return not_run(line_id(batch.id, row.number), row.custom_id, *_NOT_RUN[ending])


def _dropped(out: BinaryIO, part: Path) -> None:
    out.close()
    part.unlink(missing_ok=True)

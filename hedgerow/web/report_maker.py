"""ReportMaker: makes reports one after the other, each in a process of its own.

A report may take a minute and a gigabyte: the proxy's own process has neither to spare.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from hedgerow.background import beside
from hedgerow.errors import FolderRefused
from hedgerow.web.report_shelf import MadeReport, Making, ReportShelf
from ledger.errors import StoreUnavailable
from ledger.leader import FileLock
from proxy.clock import Clock
from proxy.errors import FilesUnavailable, RateLimited

MOST_WAITING = 10
LIMIT_S = 600.0
"""How long one may take."""
TELL_EVERY_S = 5.0
"""How often it is written down that one goes on."""
TRY_EVERY_S = 0.5
"""How often it is tried whether another worker has finished one."""
WHY_BYTES = 4096
log = logging.getLogger("hedgerow.web")

Command: TypeAlias = Callable[[MadeReport, Path], Sequence[str]]
"""What makes a report into a file."""


def own_command(config: Path) -> Command:
    """`hedgerow report`, as this process was installed."""

    def command(report: MadeReport, file: Path) -> Sequence[str]:
        return (
            *(sys.executable, "-P", "-c", "from hedgerow.cli import main; main()"),
            *("report", str(report.kind), "-c", str(config), "--month", report.month),
            *("--format", str(report.format), "-o", str(file)),
        )

    return command


class ReportMaker:
    """One worker's. All workers of a host make one report at a time between them."""

    def __init__(self, shelf: ReportShelf, command: Command, clock: Clock) -> None:
        self.shelf = shelf
        self._command = command
        self._clock = clock
        self._waiting: deque[MadeReport] = deque()
        self._is_wanted = asyncio.Event()
        self._lock = FileLock(shelf.folder / "making.lock")

    async def order(self, report: MadeReport) -> None:
        """Have it made when its turn comes. Raises RateLimited, FilesUnavailable."""
        if len(self._waiting) >= MOST_WAITING:
            raise RateLimited(
                f"{MOST_WAITING} reports are waiting already: order this one when they are made",
                retry_after_s=30,
            )
        try:
            await asyncio.to_thread(self.shelf.put, report)
        except FolderRefused as refused:
            raise FilesUnavailable(str(refused)) from refused
        self._waiting.append(report)
        self._is_wanted.set()

    async def work(self) -> None:
        """Make what is ordered, for ever."""
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            while self._waiting:
                await self._make(self._waiting[0])
                self._waiting.popleft()

    async def _make(self, report: MadeReport) -> None:
        try:
            async with self._alone():
                await self._made(report)
        except (FolderRefused, StoreUnavailable, OSError) as error:
            log.error("report %s cannot be made: %s", report.name, error)
            with suppress(FolderRefused):
                await self._failed(report, str(error))

    async def _made(self, report: MadeReport) -> None:
        report = await self._told(report, Making.RUNNING)
        draft = self.shelf.folder / f".{report.id}.draft"
        process = await asyncio.create_subprocess_exec(
            *self._command(report, draft),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            said = await self._waited(process, report)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            await asyncio.to_thread(draft.unlink, missing_ok=True)
            await self._failed(report, said or f"it ended with exit code {process.returncode}")
            return
        now_ns = self._clock.now_ns()
        await asyncio.to_thread(self.shelf.finished, report, draft, now_ns)

    async def _waited(self, process: asyncio.subprocess.Process, report: MadeReport) -> str:
        """Wait for its end, at most so long, and say now and then that it goes on; the last line
        that it said."""
        telling = asyncio.create_task(self._telling(report))
        tail = b""
        try:
            async with asyncio.timeout(LIMIT_S):
                if process.stderr is not None:
                    while piece := await process.stderr.read(WHY_BYTES):
                        tail = (tail + piece)[-WHY_BYTES:]
                await process.wait()
        except TimeoutError:
            return f"it was stopped after {LIMIT_S:g} s"
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        lines = tail.decode(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("Error: ")[:500] if lines else ""

    async def _telling(self, report: MadeReport) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            await self._told(report, Making.RUNNING)
            for waiting in list(self._waiting)[1:]:
                await self._told(waiting, Making.WAITING)

    async def _told(self, report: MadeReport, state: Making) -> MadeReport:
        report = report.now(state=state, heard_ns=self._clock.now_ns())
        await asyncio.to_thread(self.shelf.put, report)
        return report

    async def _failed(self, report: MadeReport, why: str) -> None:
        now_ns = self._clock.now_ns()
        failed = report.now(state=Making.FAILED, why=why, ended_ns=now_ns, heard_ns=now_ns)
        await asyncio.to_thread(self.shelf.put, failed)
        await asyncio.to_thread(self.shelf.let_go, now_ns)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """While no other worker of this host makes one."""
        while not await asyncio.to_thread(self._lock.try_take):
            for waiting in list(self._waiting):
                await self._told(waiting, Making.WAITING)
            await asyncio.sleep(TRY_EVERY_S)
        try:
            yield
        finally:
            self._lock.release()


@asynccontextmanager
async def making(folder: Path, command: Command, clock: Clock) -> AsyncIterator[ReportMaker]:
    """Make reports until the block ends; one that is under way then is given up."""
    maker = ReportMaker(ReportShelf(folder), command, clock)
    async with beside(maker.work(), "the making of reports"):
        yield maker

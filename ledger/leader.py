"""Leader: what must happen once is done by one of all workers that share the books.

Every worker tries to take one lock, again and again. Who has it starts the duties, in their order:
it leads. When it ends, the last duty ends first, and only then the lock is given back: no duty is
ever done by two. When it dies, the lock is freed by whoever keeps it (the kernel, the database),
and the next one that tries goes on.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from ledger.errors import StoreUnavailable

log = logging.getLogger("hedgerow")

TRY_EVERY_S = 0.5
"""How long nobody leads, after a leader has died."""
REST_S = 5.0
"""How long a worker does not try to lead whose duties could not begin: another may be able to."""

Duty = Callable[[], AbstractAsyncContextManager[object]]
"""Something that is done from the beginning of its context to the end. Made anew for each time."""


class LeaderLock(Protocol):
    """What at most one worker has. Its calls may block: they are made in a thread, one at a time.

    Each may raise StoreUnavailable: then nobody knows, and this worker does not lead.
    """

    def try_take(self) -> bool:
        """Take it if nobody has it; whether it is ours now. Never waits for its holder."""
        ...

    def is_held(self) -> bool:
        """Whether what we took is ours still, and was all the time."""
        ...

    def release(self) -> None:
        """Give it back, if it is ours."""
        ...


class FileLock:
    """A lock of the kernel on a file, for workers of one host. It ends with its process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def try_take(self) -> bool:
        if self._file is not None:
            return True
        try:
            file = self._path.open("a")
        except OSError as error:
            raise StoreUnavailable(
                f"cannot write {self._path}: {error.strerror}; check the folder and its rights"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def is_held(self) -> bool:
        return self._file is not None

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class Leader:
    """This worker, as far as leading goes. Made by `leading`."""

    def __init__(
        self, lock: LeaderLock, duties: Sequence[Duty], try_every_s: float, rest_s: float
    ) -> None:
        self._lock = lock
        self._duties = duties
        self._try_every_s = try_every_s
        self._rest_s = rest_s
        self._is_leader = False
        self._said: str | None = None
        self._has_tried = asyncio.Event()
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    @property
    def is_leader(self) -> bool:
        """Whether all duties are being done here."""
        return self._is_leader

    async def tried(self) -> None:
        """Wait for the first try: who is alone leads from the beginning."""
        trying = asyncio.create_task(self._has_tried.wait())
        try:
            await asyncio.wait({trying, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            trying.cancel()

    async def end(self) -> None:
        """End the duties, and give the lock back."""
        self._over.set()
        await self._task

    async def _run(self) -> None:
        """All in one task: a context is left where it was entered."""
        while not self._over.is_set():
            pause_s = self._try_every_s
            if await self._so(self._lock.try_take):
                try:
                    await self._lead()
                except Exception as error:  # an edge: nobody else hears of it
                    log.error("cannot lead now: %s", error, exc_info=error)
                    pause_s = self._rest_s
                finally:
                    self._is_leader = False
                    await self._so(self._lock.release)
            self._has_tried.set()
            await self._pause(pause_s)

    async def _lead(self) -> None:
        async with AsyncExitStack() as stack:
            for duty in self._duties:
                await stack.enter_async_context(duty())
            self._is_leader = True
            self._has_tried.set()
            while not self._over.is_set():
                await self._pause(self._try_every_s)
                if not await self._so(self._lock.is_held):
                    log.warning("the leader's lock was lost: another worker may lead now")
                    return

    async def _so(self, ask: Callable[[], bool] | Callable[[], None]) -> bool:
        """What the lock says; if it cannot say anything, no. That is logged once, while it lasts in
        the same words."""
        try:
            answer = bool(await asyncio.to_thread(ask))
        except StoreUnavailable as error:
            if self._said != (said := str(error)):
                log.warning("who leads is not known now: %s", said)
            self._said = said
            return False
        if self._said is not None and ask != self._lock.release:  # it need not ask anybody
            log.info("who leads is known again")
            self._said = None
        return answer

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()


@asynccontextmanager
async def leading(
    lock: LeaderLock, *duties: Duty, try_every_s: float = TRY_EVERY_S, rest_s: float = REST_S
) -> AsyncIterator[Leader]:
    """Do the duties, in their order, whenever this worker has the lock, until the block ends.

    When it begins, one try has been made. A duty that raises at its beginning or its end is logged,
    and another worker gets the chance: this one tries again after `rest_s`.
    """
    leader = Leader(lock, duties, try_every_s, rest_s)
    try:
        await leader.tried()
        yield leader
    finally:
        await leader.end()

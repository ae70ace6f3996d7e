"""One leader: its duties, and who does them when it ends, dies, or loses its lock."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from ledger.errors import StoreUnavailable
from ledger.leader import Duty, FileLock, Leader, leading

PATIENCE_S = 10.0


class Room:
    """A lock of which we see, and decide, everything; threads ask it."""

    def __init__(self) -> None:
        self.holder: str | None = None
        self.is_down = False
        self.asked = threading.Semaphore(0)
        self.guard = threading.Lock()

    def asked_again(self, times: int) -> None:
        """Wait until it has been asked so many times from now on."""
        while self.asked.acquire(blocking=False):
            pass
        for _ in range(times):
            assert self.asked.acquire(timeout=PATIENCE_S)

    def lock(self, name: str) -> RoomLock:
        return RoomLock(self, name)


class RoomLock:
    def __init__(self, room: Room, name: str) -> None:
        self._room, self._name = room, name

    def try_take(self) -> bool:
        self._look()
        with self._room.guard:
            if self._room.holder is None:
                self._room.holder = self._name
            return self._room.holder == self._name

    def is_held(self) -> bool:
        self._look()
        return self._room.holder == self._name

    def release(self) -> None:
        with self._room.guard:
            if self._room.holder == self._name:
                self._room.holder = None

    def _look(self) -> None:
        self._room.asked.release()
        if self._room.is_down:
            raise StoreUnavailable("down")


class Work:
    """Duties that note when they begin and end. Two at once by different workers fail the test."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.doing: set[str] = set()
        self.breaks: set[str] = set()
        self._changed = asyncio.Event()

    def duty(self, worker: str, name: str) -> Duty:
        @asynccontextmanager
        async def done() -> AsyncIterator[None]:
            if name in self.breaks:
                self._note(f"{worker} breaks {name}")
                raise OSError(name)
            assert {one.partition(" ")[0] for one in self.doing} <= {worker}
            self.doing.add(f"{worker} {name}")
            self._note(f"{worker} begins {name}")
            try:
                yield
            finally:
                await asyncio.sleep(0)
                self.doing.remove(f"{worker} {name}")
                self._note(f"{worker} ends {name}")

        return done

    def _note(self, what: str) -> None:
        self.told.append(what)
        self._changed.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def worker(room: Room, work: Work, name: str) -> AsyncIterator[Leader]:
    """One that may lead, with two duties."""
    duties = [work.duty(name, one) for one in ("first", "second")]
    async with leading(room.lock(name), *duties, try_every_s=0.005, rest_s=0.05) as leader:
        yield leader


BEGIN = ["{} begins first", "{} begins second"]
END = ["{} ends second", "{} ends first"]


def told(*parts: tuple[str, list[str]]) -> list[str]:
    return [line.format(name) for name, lines in parts for line in lines]


async def test_who_is_alone_leads_from_the_beginning() -> None:
    """Duties have begun, in their order, when the block begins; they end in the reverse one, also
    when it fails, and then the lock is free."""
    room, work = Room(), Work()
    with suppress(KeyError):
        async with worker(room, work, "a") as a:
            assert a.is_leader
            assert work.told == told(("a", BEGIN))
            raise KeyError
    assert work.told == told(("a", BEGIN), ("a", END))
    assert room.holder is None


async def test_the_next_begins_when_the_last_has_ended() -> None:
    """Of several, one leads; whenever it ends another does, and no duty is done by two."""
    room, work = Room(), Work()
    async with AsyncExitStack() as last:
        stacks = {}
        for name in "abc":
            stacks[name] = await last.enter_async_context(AsyncExitStack())
            await stacks[name].enter_async_context(worker(room, work, name))
        order = []
        for _ in range(3):
            holder = room.holder
            assert holder is not None
            order.append(holder)
            ended = len(work.told) + 2
            await stacks[holder].aclose()
            if len(order) < 3:
                await work.until(lambda ended=ended: len(work.told) == ended + 2)  # type: ignore[misc]
        assert sorted(order) == ["a", "b", "c"]
        assert work.told == told(*((one, part) for one in order for part in (BEGIN, END)))


async def test_a_leader_that_loses_its_lock_ends_its_duties() -> None:
    """As soon as it sees it; and it leads again when it gets the lock again."""
    room, work = Room(), Work()
    async with worker(room, work, "a") as a:
        room.holder = "somebody else"
        await work.until(lambda: work.told == told(("a", BEGIN), ("a", END)))
        assert not a.is_leader
        room.holder = None
        await work.until(lambda: work.told == told(("a", BEGIN), ("a", END), ("a", BEGIN)))
        assert room.holder == "a"


async def test_nobody_leads_while_nobody_knows(caplog: pytest.LogCaptureFixture) -> None:
    """A lock that cannot be asked is not ours, neither at the start nor later. The log says it
    once each time, however often it is asked, and when it can be asked again."""
    caplog.set_level("INFO")
    room, work = Room(), Work()
    room.is_down = True
    async with worker(room, work, "a") as a:
        assert (a.is_leader, work.told) == (False, [])
        room.is_down = False
        await work.until(lambda: work.told == told(("a", BEGIN)))
        room.is_down = True
        await work.until(lambda: work.told == told(("a", BEGIN), ("a", END)))
        await asyncio.to_thread(room.asked_again, 4)
        room.is_down = False
        await work.until(lambda: len(work.told) == 6)
    known = [one for one in caplog.messages if one.startswith("who leads is")]
    down, again = "who leads is not known now: down", "who leads is known again"
    assert known == [down, again, down, again]


async def test_a_duty_that_cannot_begin_is_left_to_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What had begun ends, it is said why, and the lock is free for another worker."""
    room, work = Room(), Work()
    work.breaks.add("second")
    async with worker(room, work, "a") as a:
        assert not a.is_leader
        assert work.told == ["a begins first", "a breaks second", "a ends first"]
        assert "cannot lead now: second" in caplog.text
        work.breaks.clear()
        async with worker(room, work, "b") as b:
            await work.until(lambda: len(work.told) == 5)
            assert a.is_leader != b.is_leader


HOLDER = (
    "import sys\n"
    "from pathlib import Path\n"
    "from ledger.leader import FileLock\n"
    "lock = FileLock(Path(sys.argv[1]))\n"
    "print(lock.try_take(), flush=True)\n"
    "sys.stdin.read()\n"
)


async def test_the_kernel_frees_the_lock_of_the_dead(tmp_path: Path) -> None:
    """While another process has the file's lock, nobody leads here; when it is killed, we do."""
    path, work = tmp_path / "leader.lock", Work()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"True\n"
    async with leading(FileLock(path), work.duty("a", "one"), try_every_s=0.005) as leader:
        assert not leader.is_leader
        process.kill()
        await process.wait()
        await work.until(lambda: work.told == ["a begins one"])
        assert not await asyncio.to_thread(FileLock(path).try_take)


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    """It says which, and what to do."""
    with pytest.raises(StoreUnavailable, match=r"leader\.lock: .*check the folder"):
        FileLock(tmp_path / "nowhere" / "leader.lock").try_take()

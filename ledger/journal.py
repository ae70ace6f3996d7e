"""Journal: what a worker has held and ended, on disk before anybody is told.

One file after another, `000001.log`, …; each record is its length, its CRC-32 and its bytes,
written with one call into space that the file already has. The end of a hold therefore always finds
room: a disk that is full refuses holds, never charges. What is written survives the death of the
process at once, and a loss of power once it is synced.

A journal belongs to the process that has its lock; the kernel frees that when its holder dies.
"""

from __future__ import annotations

import errno
import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from struct import Struct
from typing import IO, NamedTuple, Self

from ledger.errors import JournalDamaged, StoreInUse, StoreUnavailable

SEGMENT_BYTES = 16 << 20
"""How long a file is made: some 30,000 requests."""
MOST_BYTES = 1 << 30
"""How much may wait to be folded; beyond that nothing new is held."""
END_BYTES = 768
END_BYTES_OF_ACCOUNT = 20
"""Room that is kept for the end of each open hold, and for what it says of each account."""

_HEAD = Struct("<II")
_SUFFIX = ".log"


class Place(NamedTuple):
    """A place in a journal: before the record at `position` of a segment."""

    segment: int
    position: int


START = Place(0, 0)


class Record(NamedTuple):
    """A record's bytes, and the place after it."""

    data: bytes
    after: Place


class Journal:
    """An open journal. `append` to it from one thread; others may read what is written, `prepare`
    and `release`."""

    def __init__(self, folder: Path, lock: IO[str], *, segment_bytes: int, most_bytes: int) -> None:
        self.folder = folder
        self._lock = lock
        self._segment_bytes = segment_bytes
        self._most_segments = max(2, most_bytes // segment_bytes)
        self._files: dict[int, int] = {}
        """File descriptors, by the number of the segment."""
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            self._files[int(path.stem)] = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._spare: int | None = None
        """A file that has its room, and no number yet."""
        self._damaged: Place | None = None
        self._is_sealed = False
        self._segment = self._synced = max(self._files, default=0)
        self._position = self._size = 0

    @classmethod
    def open(
        cls, folder: Path, *, segment_bytes: int = SEGMENT_BYTES, most_bytes: int = MOST_BYTES
    ) -> Self:
        """Take the journal in `folder`, made if it is not there. Read what another process left in
        it, then `begin`. Raises StoreInUse while another has it, StoreUnavailable."""
        with ExitStack() as until_open, _translated(folder, "open"):
            folder.mkdir(parents=True, exist_ok=True)
            lock = until_open.enter_context((folder / "lock").open("a"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreInUse(f"the journal {folder} belongs to a running worker") from None
            journal = cls(folder, lock, segment_bytes=segment_bytes, most_bytes=most_bytes)
            until_open.pop_all()
            return journal

    # -- writing

    def begin(self, after: Place) -> None:
        """Write to a new segment from here on, and give up those before it: they are folded.

        after: how far the books have ever folded it; no place comes twice, even if the folder was
        lost. Raises StoreUnavailable.
        """
        old = sorted(self._files)
        self._segment = max(self._segment, after.segment) + 1
        self._files[self._segment] = self._made(self._path(self._segment))
        self._position, self._size = 0, self._segment_bytes
        for one in old:
            self._remove(one)

    @property
    def tail(self) -> Place:
        """Where the next record will stand."""
        return Place(self._segment, self._position)

    def append(self, data: bytes, *, keep_free: int = 0) -> None:
        """Write a record. It is there, whatever happens to this process from here on.

        keep_free: of a hold: bytes that have to stay free after it, for ends of others. Raises
        StoreUnavailable if there is no room: always before anything is written.
        """
        size = _HEAD.size + len(data)
        # A head of zeros after the last record says that it is the last.
        if self._position + size + _HEAD.size + keep_free > self._size:
            self._next_segment(size + keep_free)
        record = _HEAD.pack(len(data), zlib.crc32(data)) + data
        try:
            written = os.pwrite(self._files[self._segment], record, self._position)
        except OSError as error:
            raise _unavailable(self.folder, "write", error) from error
        if written != size:
            raise StoreUnavailable(
                f"the journal {self.folder} takes no more: the disk is full; free some space"
            )
        self._position += size

    def prepare(self) -> None:
        """Make the next segment ahead of its need; by another thread than the one that appends.

        Raises StoreUnavailable.
        """
        if self._spare is None and self._position > self._size // 2:
            self._spare = self._made(self._spare_path)

    def sync(self) -> None:
        """Wait until what was appended is safe from a loss of power; on a thread of its own.

        Raises StoreUnavailable.
        """
        last = self._segment
        with _translated(self.folder, "write"):
            for number in range(self._synced, last + 1):
                try:
                    os.fdatasync(self._files[number])
                except (KeyError, OSError):
                    if number in self._files:
                        raise
                    # It is folded, and gone.
            if last != self._synced:
                _sync_folder(self.folder)
        self._synced = last

    def release(self, before: Place) -> None:
        """Everything before this place is folded: its segments go."""
        for one in [number for number in list(self._files) if number < before.segment]:
            self._remove(one)

    def seal(self) -> None:
        """Nothing more is appended."""
        self._is_sealed, self._size = True, 0

    def _next_segment(self, size: int) -> None:
        if self._is_sealed:
            raise StoreUnavailable("the books are closed: the server is stopping")
        if size + _HEAD.size > self._segment_bytes:
            raise StoreUnavailable(
                f"the journal {self.folder} has no room for the ends of so many requests at once"
            )
        if len(self._files) >= self._most_segments:
            raise StoreUnavailable(
                f"the journal {self.folder} is full: {self._most_segments * self._segment_bytes}"
                " bytes wait for the books; check the database"
            )
        number = self._segment + 1
        if self._spare is None:
            file = self._made(self._path(number))
        else:
            with _translated(self.folder, "write"):
                self._spare_path.rename(self._path(number))
            file, self._spare = self._spare, None
        self._files[number] = file
        self._segment, self._position, self._size = number, 0, self._segment_bytes

    def _made(self, path: Path) -> int:
        with _translated(self.folder, "write"):
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(file, 0, self._segment_bytes)
            except BaseException:
                os.close(file)
                path.unlink()
                raise
        return file

    def _remove(self, number: int) -> None:
        with _translated(self.folder, "write"):
            os.close(self._files.pop(number))
            if self._damaged is not None and self._damaged.segment == number:
                self._path(number).rename(self._kept_path(number))
            else:
                self._path(number).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}{_SUFFIX}"

    def _kept_path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.damaged"

    @property
    def _spare_path(self) -> Path:
        return self.folder / "spare"

    # -- reading

    def records(self, since: Place = START, until: Place | None = None) -> Iterator[Record]:
        """Records from a place on, oldest first, up to `until` (of a writing journal: its tail).

        A record that a dying machine left half-written ends the last segment, also where more
        follows it: that is `damaged` then. In an earlier one it raises JournalDamaged.
        """
        last = max(self._files, default=0)
        for number in sorted(self._files):
            if number < since.segment:
                continue
            if until is not None and number > until.segment:
                return
            end = until.position if until is not None and number == until.segment else None
            start = since.position if number == since.segment else 0
            yield from self._records_of(number, start, end, is_last=number == last)

    def _records_of(
        self, number: int, position: int, end: int | None, *, is_last: bool
    ) -> Iterator[Record]:
        file, chunk, at = self._files[number], b"", 0
        length = os.fstat(file).st_size
        while end is None or position < end:
            if len(chunk) - at < _HEAD.size:
                chunk, at = os.pread(file, _CHUNK, position), 0
                if len(chunk) < _HEAD.size:
                    return
            size, crc = _HEAD.unpack_from(chunk, at)
            if not size and not crc and _is_blank(file, position):
                return
            whole = min(_HEAD.size + size, length - position)
            if len(chunk) - at < whole:
                chunk, at = os.pread(file, max(_CHUNK, whole), position), 0
            data = chunk[at + _HEAD.size : at + _HEAD.size + size]
            if not size or len(data) != size or zlib.crc32(data) != crc:
                if is_last:
                    after = position + _HEAD.size + size
                    if after > length or not _is_blank(file, after):
                        self._damaged = Place(number, position)
                    return
                raise JournalDamaged(
                    f"{self._path(number)} is damaged at byte {position}: restore it, or write the"
                    " rest off with `hedgerow ledger write-off`"
                )
            at += _HEAD.size + size
            position += _HEAD.size + size
            yield Record(data, Place(number, position))

    @property
    def damaged(self) -> str | None:
        """Where records could not be read that are not the last; that file is kept for ever."""
        if self._damaged is None:
            return None
        kept = self._kept_path(self._damaged.segment)
        return f"byte {self._damaged.position} of {kept}"

    @property
    def last_segment(self) -> int:
        """The number of the newest segment; 0 if there is none."""
        return max(self._files, default=0)

    def close(self, *, remove: bool = False) -> None:
        """Give the journal up. remove: with all that is in it, for it is folded."""
        self.seal()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None
        self._spare_path.unlink(missing_ok=True)
        for number in list(self._files):
            if remove:
                self._remove(number)
            else:
                os.close(self._files.pop(number))
        self._lock.close()


_CHUNK = 1 << 18


def _is_blank(file: int, position: int) -> bool:
    """Whether a file has nothing but zeros from a position on."""
    while chunk := os.pread(file, _CHUNK, position):
        if chunk.count(0) != len(chunk):
            return False
        position += len(chunk)
    return True


def _sync_folder(folder: Path) -> None:
    """The names of new files, too, are safe from a loss of power."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def _translated(folder: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unavailable(folder, what, error) from error


def _unavailable(folder: Path, what: str, error: OSError) -> StoreUnavailable:
    hint = "free some space" if error.errno == errno.ENOSPC else "check the folder and the disk"
    return StoreUnavailable(f"cannot {what} the journal {folder}: {error.strerror}; {hint}")

"""FileStore: uploaded files, and what batches answered. Contents lie in files named by their id."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.principals import Principal
from proxy.batches.database import Database
from proxy.clock import Clock
from proxy.errors import NotFound, TooLarge

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
"""What a file may be uploaded for. Only `batch` has a use here; the others are kept, and given
back."""
BATCH = "batch"
BATCH_OUTPUT = "batch_output"
BATCH_KEPT_S = 30 * 86_400
"""How long the files of batches are kept, unless their owner says: as at OpenAI."""
PART = ".part"
ABANDONED_S = 3600.0
"""When nobody writes a file any more, at the least: an upload may be silent for half of it."""


def owner_of(who: Principal) -> str:
    """Who shares files and batches: a team, or else a key alone."""
    return f"team:{who.team}" if who.team is not None else f"key:{who.key_id}"


@dataclass(frozen=True, slots=True)
class FileLimits:
    """The most bytes of one file, and of all together; the longest silence of an upload."""

    max_bytes_per_file: int
    max_bytes: int
    idle_timeout_s: float


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Times are seconds since 1970. expires_at: None if it is kept until somebody deletes it."""

    id: str
    owner: str
    filename: str
    purpose: str
    bytes: int
    created_at: int
    expires_at: int | None = None

    def as_json(self) -> dict[str, Any]:
        """As OpenAI tells it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list, and whether more follows."""

    files: list[StoredFile]
    has_more: bool


class FileStore:
    """The files of one folder, as one of several workers sees them.

    Room is counted twice: what has a record, of all workers, at the last look (`measure`); and what
    is being uploaded here. What others are uploading counts when it is added: then all of it fits,
    or it is refused.
    """

    def __init__(self, database: Database, folder: Path, limits: FileLimits, clock: Clock) -> None:
        self.limits = limits
        self._database = database
        self._folder = folder
        self._clock = clock
        self._recorded_bytes = 0
        self._uploaded_bytes = 0

    async def mend(self) -> None:
        """Remove what a crash left: contents without a record, records without contents. For
        whoever is alone with the folder."""
        sizes = await self._sizes()
        lost = await asyncio.to_thread(_tidied, self._folder / "contents", sizes)
        await self._database.run(
            lambda db: db.executemany("DELETE FROM files WHERE id = ?", [(one,) for one in lost])
        )

    async def clear(self) -> None:
        """Remove what a worker that was killed left: contents without a record to which nobody has
        written for so long that nobody is writing them."""
        longest_s = max(ABANDONED_S, 2 * self.limits.idle_timeout_s)
        before_s = self._clock.now_ns() / 1e9 - longest_s
        known = await self._sizes()
        await asyncio.to_thread(_cleared, self._folder / "contents", known, before_s)

    async def _sizes(self) -> dict[str, int]:
        """Of all that have a record, by id."""

        def known(db: sqlite3.Connection) -> dict[str, int]:
            return dict(db.execute("SELECT id, bytes FROM files"))

        return await self._database.run(known)

    def path(self, file_id: str) -> Path:
        """Where its content is."""
        return self._folder / "contents" / file_id

    def part(self, file_id: str) -> Path:
        """Where its content is while it is being written."""
        return self._folder / "contents" / (file_id + PART)

    def drop(self, file_id: str) -> None:
        """Remove what was written of a file that is not to be. Runs in a thread."""
        self.part(file_id).unlink(missing_ok=True)
        self.path(file_id).unlink(missing_ok=True)

    # -- room

    async def measure(self) -> None:
        """See how much there is now: before an upload."""
        self._recorded_bytes = await self._database.run(_recorded)

    def take_room(self, size: int) -> None:
        """For more bytes of an upload. Raises TooLarge when the folder is full."""
        if self._recorded_bytes + self._uploaded_bytes + size > self.limits.max_bytes:
            raise self._is_full()
        self._uploaded_bytes += size

    def give_room(self, size: int) -> None:
        """Of an upload that is over: it came to nothing, or has a record now."""
        self._uploaded_bytes -= size

    def _is_full(self) -> TooLarge:
        return TooLarge(
            f"the files here take all of their {self.limits.max_bytes} bytes: delete some, or"
            " raise files.max_bytes in the configuration",
            param="file",
        )

    # -- one file

    async def add(self, file: StoredFile) -> None:
        """Take over what lies at its `part`, whole. Raises TooLarge if others have filled the
        folder meanwhile."""
        await asyncio.to_thread(_settled, self.part(file.id), self.path(file.id))

        def write(db: sqlite3.Connection) -> int:
            recorded = _recorded(db) + file.bytes
            if recorded > self.limits.max_bytes:
                raise self._is_full()
            insert(db, file)
            return recorded

        self._recorded_bytes = await self._database.run(write)

    async def settle(self, file_id: str) -> None:
        """The same for a file whose record another transaction inserts, and for which there must
        be room: it has been paid for."""
        await asyncio.to_thread(_settled, self.part(file_id), self.path(file_id))

    async def find(self, owner: str, file_id: str) -> StoredFile:
        """Raises NotFound, also for the files of others."""
        now_s = self._clock.now_ns() // 1_000_000_000

        def look(db: sqlite3.Connection) -> StoredFile | None:
            row = db.execute(
                f"SELECT {_COLUMNS} FROM files WHERE id = ? AND owner = ? AND {_IS_THERE}",
                (file_id, owner, now_s),
            ).fetchone()
            return row and StoredFile(*row)

        found = await self._database.run(look)
        if found is None:
            raise no_such_file(file_id)
        return found

    async def page(
        self, owner: str, *, purpose: str | None, after: str | None, limit: int, newest_first: bool
    ) -> Page:
        where, values = (
            [f"owner = ? AND {_IS_THERE}"],
            [owner, self._clock.now_ns() // 1_000_000_000],
        )
        if purpose is not None:
            where.append("purpose = ?")
            values.append(purpose)
        if after is not None:
            where.append("id < ?" if newest_first else "id > ?")
            values.append(after)
        order = "DESC" if newest_first else "ASC"

        def look(db: sqlite3.Connection) -> list[StoredFile]:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM files WHERE {' AND '.join(where)}"
                f" ORDER BY id {order} LIMIT ?",
                (*values, limit + 1),
            )
            return [StoredFile(*row) for row in rows]

        found = await self._database.run(look)
        return Page(found[:limit], len(found) > limit)

    async def delete(self, owner: str, file_id: str) -> None:
        """Raises NotFound. A batch that is under way keeps its input until it has ended."""
        now_s = self._clock.now_ns() // 1_000_000_000

        def mark(db: sqlite3.Connection) -> int:
            return db.execute(
                f"UPDATE files SET is_deleted = 1 WHERE id = ? AND owner = ? AND {_IS_THERE}",
                (file_id, owner, now_s),
            ).rowcount

        if not await self._database.run(mark):
            raise no_such_file(file_id)
        await self.sweep()

    async def sweep(self) -> None:
        """Remove what was deleted or has expired, and no batch that is under way reads."""
        now_s = self._clock.now_ns() // 1_000_000_000

        def forget(db: sqlite3.Connection) -> list[tuple[str]]:
            return db.execute(
                "DELETE FROM files WHERE (is_deleted OR expires_at <= ?) AND NOT EXISTS"
                " (SELECT * FROM batches WHERE is_open AND input_file_id = files.id)"
                " RETURNING id",
                (now_s,),
            ).fetchall()

        for (file_id,) in await self._database.run(forget):
            await asyncio.to_thread(self.path(file_id).unlink, missing_ok=True)


_COLUMNS = "id, owner, filename, purpose, bytes, created_at, expires_at"
_IS_THERE = "NOT is_deleted AND (expires_at IS NULL OR expires_at > ?)"


def insert(db: sqlite3.Connection, file: StoredFile) -> None:
    """The record of a file, as a part of a transaction."""
    db.execute(
        f"INSERT INTO files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            *(file.id, file.owner, file.filename, file.purpose),
            *(file.bytes, file.created_at, file.expires_at),
        ),
    )


def _recorded(db: sqlite3.Connection) -> int:
    """The bytes of all files that have a record."""
    row: tuple[int] = db.execute("SELECT coalesce(sum(bytes), 0) FROM files").fetchone()
    return row[0]


def no_such_file(file_id: str) -> NotFound:
    return NotFound(
        f"there is no file {file_id[:100]!r} here: GET /v1/files lists those that there are",
        param="id",
        code="file_not_found",
    )


def _settled(part: Path, path: Path) -> None:
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.rename(path)


def _tidied(contents: Path, sizes: dict[str, int]) -> set[str]:
    """Remove contents that nobody knows. Returns the ids whose content is gone."""
    contents.mkdir(exist_ok=True)
    there = set()
    for path in contents.iterdir():
        if path.name in sizes and path.stat().st_size == sizes[path.name]:
            there.add(path.name)
        else:
            with suppress(IsADirectoryError):
                path.unlink()
    return set(sizes) - there


def _cleared(contents: Path, known: dict[str, int], before_s: float) -> None:
    for path in contents.iterdir():
        with suppress(FileNotFoundError, IsADirectoryError):
            if path.name not in known and path.stat().st_mtime < before_s:
                path.unlink()

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
    """The files of one folder. `open` it before anything else."""

    def __init__(self, database: Database, folder: Path, limits: FileLimits, clock: Clock) -> None:
        self.limits = limits
        self._database = database
        self._folder = folder
        self._clock = clock
        self._taken_bytes = 0

    async def open(self) -> None:
        """Remove what a crash left: contents without a record, records without contents."""

        def known(db: sqlite3.Connection) -> dict[str, int]:
            return dict(db.execute("SELECT id, bytes FROM files"))

        sizes = await self._database.run(known)
        lost = await asyncio.to_thread(_tidied, self._folder / "contents", sizes)
        await self._database.run(
            lambda db: db.executemany("DELETE FROM files WHERE id = ?", [(one,) for one in lost])
        )
        self._taken_bytes = sum(size for one, size in sizes.items() if one not in lost)

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

    def take_room(self, size: int) -> None:
        """For more bytes of a file. Raises TooLarge when the folder is full."""
        if self._taken_bytes + size > self.limits.max_bytes:
            raise TooLarge(
                f"the files here take all of their {self.limits.max_bytes} bytes: delete some, or"
                " raise files.max_bytes in the configuration",
                param="file",
            )
        self._taken_bytes += size

    def give_room(self, size: int) -> None:
        self._taken_bytes -= size

    # -- one file

    async def add(self, file: StoredFile) -> None:
        """Take over what lies at its `part`, whole; its room has been taken."""
        await asyncio.to_thread(_settled, self.part(file.id), self.path(file.id))
        await self._database.run(lambda db: insert(db, file))

    async def settle(self, file_id: str, size: int) -> None:
        """The same for a file whose record another transaction inserts, and for which there must
        be room: it has been paid for."""
        await asyncio.to_thread(_settled, self.part(file_id), self.path(file_id))
        self._taken_bytes += size

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

        def forget(db: sqlite3.Connection) -> list[tuple[str, int]]:
            return db.execute(
                "DELETE FROM files WHERE (is_deleted OR expires_at <= ?) AND NOT EXISTS"
                " (SELECT * FROM batches WHERE is_open AND input_file_id = files.id)"
                " RETURNING id, bytes",
                (now_s,),
            ).fetchall()

        for file_id, size in await self._database.run(forget):
            await asyncio.to_thread(self.path(file_id).unlink, missing_ok=True)
            self.give_room(size)


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

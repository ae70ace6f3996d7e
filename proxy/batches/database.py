"""Database: the SQLite file of files and batches, on a thread of its own.

It lies beside the contents of the files, apart from the books: money is in those alone.
"""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

from ledger.errors import NotOurStore, StoreInUse, StoreTooNew, StoreUnavailable
from proxy.errors import FilesUnavailable

T = TypeVar("T")

APPLICATION_ID = 0x48464C45  # "HFLE"
VERSION = 1
BUSY_TIMEOUT_S = 5.0
FILE = "files.db"

_SCHEMA = """
CREATE TABLE files (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    is_deleted INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX files_of_owner ON files (owner, id);

CREATE TABLE batches (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    key_id TEXT NOT NULL,
    input_file_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    completion_window TEXT NOT NULL,
    output_expires_after INTEGER,
    metadata TEXT,
    status TEXT NOT NULL,
    is_open INTEGER NOT NULL DEFAULT 1,
    at TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    errors TEXT,
    output_file_id TEXT,
    error_file_id TEXT,
    total INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    prompt_tokens INTEGER NOT NULL DEFAULT 0,
    cached_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    reasoning_tokens INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX batches_of_owner ON batches (owner, id);
CREATE INDEX open_batches ON batches (input_file_id) WHERE is_open;

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    batch TEXT NOT NULL,
    state TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    offer_model TEXT NOT NULL,
    account TEXT,
    round INTEGER NOT NULL DEFAULT 0,
    share_nanos INTEGER,
    input_id TEXT,
    batch_id TEXT
) STRICT;
CREATE INDEX jobs_of_batch ON jobs (batch);

CREATE TABLE lines (
    batch TEXT NOT NULL,
    number INTEGER NOT NULL,
    custom_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    state TEXT NOT NULL,
    job TEXT,
    attempt_id TEXT,
    tries INTEGER NOT NULL DEFAULT 0,
    ready_at_ns INTEGER NOT NULL DEFAULT 0,
    is_error INTEGER NOT NULL DEFAULT 0,
    result BLOB,
    PRIMARY KEY (batch, number)
) STRICT;
CREATE INDEX lines_by_state ON lines (batch, state, ready_at_ns, number);
CREATE INDEX lines_of_job ON lines (job, state, number) WHERE job IS NOT NULL;
"""


class Database:
    """An open database; `run` what reads or writes it."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hedgerow-files")

    async def run(self, call: Callable[[sqlite3.Connection], T]) -> T:
        """Run `call` in a transaction of its own: all that it does is committed, or nothing.

        It happens also if the caller is cancelled while it waits. Raises FilesUnavailable.
        """
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._thread, self._transact, call))

    def _transact(self, call: Callable[[sqlite3.Connection], T]) -> T:
        with _translated(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                result = call(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        return result

    async def close(self) -> None:
        """Finish what waits, then close."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._connection.close)
        await asyncio.to_thread(self._thread.shutdown)


@contextmanager
def sole_folder(folder: Path) -> Iterator[int]:
    """Hold the lock of `folder`, made if need be: one `hedgerow serve` has it, with all of its
    workers. The lock's file descriptor: a process that inherits it holds the lock as well.

    Raises StoreUnavailable, StoreInUse.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {folder}: {error.strerror}; check files.path and the folder's rights"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreInUse(
                f"another `hedgerow serve` has the files in {folder}: stop it first, or name"
                " another folder in files.path"
            ) from None
        yield lock.fileno()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Database]:
    """The database in `folder`. Several workers may have it open; who makes it has the lock.

    Raises StoreUnavailable, NotOurStore, StoreTooNew.
    """
    connection = await asyncio.to_thread(_connected, folder / FILE)
    database = Database(folder / FILE, connection)
    try:
        yield database
    finally:
        await database.close()


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        stamp = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        is_new = not connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        if stamp != APPLICATION_ID and not is_new:
            raise NotOurStore(
                f"{path} belongs to another program: name another folder in files.path"
            )
        if version > VERSION:
            raise StoreTooNew(
                f"{path} was written by a later version of Hedgerow: update Hedgerow, or name"
                " another folder in files.path"
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if is_new:
            connection.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID};"
                f" PRAGMA user_version = {VERSION}; {_SCHEMA} COMMIT;"
            )
    except sqlite3.Error as error:
        connection.close()
        raise StoreUnavailable(f"cannot use {path}: {error}; check files.path") from error
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise FilesUnavailable(
            f"files and batches cannot be read or written now: {path}: {error}"
        ) from error

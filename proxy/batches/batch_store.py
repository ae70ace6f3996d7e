"""BatchStore: batches, their lines and their jobs at providers. Every change is one transaction, so
that whoever goes on after a crash finds a batch in one of its states, and never between two."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from proxy.batches.batch import ENDED, Batch, LineWrong, Status, Used
from proxy.batches.database import Database
from proxy.batches.file_store import StoredFile, insert
from proxy.batches.line import State
from proxy.batches.rows import Job, JobState, Result, Row
from proxy.errors import Conflict, NotFound, TooManyAtOnce

MOST_OPEN = 100
"""Batches of one owner that have not ended."""
PURGED_AT_ONCE = 1000
RETRY_AFTER_S = 60.0


class BatchStore:
    """The batches of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- batches

    async def add(self, batch: Batch) -> None:
        """Raises TooManyAtOnce."""

        def write(db: sqlite3.Connection) -> bool:
            count = db.execute(
                "SELECT count(*) FROM batches WHERE owner = ? AND is_open", (batch.owner,)
            ).fetchone()[0]
            if count < MOST_OPEN:
                db.execute(
                    "INSERT INTO batches (id, owner, key_id, input_file_id, endpoint,"
                    " completion_window, output_expires_after, metadata, status, created_at,"
                    " expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(batch.id, batch.owner, batch.key_id, batch.input_file_id),
                        *(batch.endpoint, batch.completion_window, batch.output_expires_after),
                        None if batch.metadata is None else json.dumps(batch.metadata),
                        *(batch.status, batch.created_at, batch.expires_at),
                    ),
                )
            return bool(count < MOST_OPEN)

        if not await self._database.run(write):
            raise TooManyAtOnce(
                f"{MOST_OPEN} batches are under way: wait for one to end",
                retry_after_s=RETRY_AFTER_S,
            )

    async def find(self, owner: str, batch_id: str) -> Batch:
        """Raises NotFound, also for the batches of others."""
        found = await self._database.run(lambda db: _one(db, batch_id, owner))
        if found is None:
            raise _no_such_batch(batch_id)
        return found

    async def get(self, batch_id: str) -> Batch:
        """One that is there."""
        return await self._database.run(lambda db: _here(_one(db, batch_id)))

    async def page(self, owner: str, after: str | None, limit: int) -> tuple[list[Batch], bool]:
        """The newest first, and whether there are more."""

        def look(db: sqlite3.Connection) -> list[Batch]:
            rows = db.execute(
                f"SELECT {_BATCH} FROM batches WHERE owner = ? AND (? IS NULL OR id < ?)"
                " ORDER BY id DESC LIMIT ?",
                (owner, after, after, limit + 1),
            )
            return [_batch(row) for row in rows]

        found = await self._database.run(look)
        return found[:limit], len(found) > limit

    async def open_ids(self) -> list[str]:
        """Batches that have not ended, the oldest first."""

        def look(db: sqlite3.Connection) -> list[str]:
            rows = db.execute("SELECT id FROM batches WHERE is_open ORDER BY id")
            return [row[0] for row in rows]

        return await self._database.run(look)

    async def cancel(self, owner: str, batch_id: str, now_s: int) -> Batch:
        """Raises NotFound, and Conflict for one that has ended, or is about to."""

        def write(db: sqlite3.Connection) -> Batch | None:
            batch = _one(db, batch_id, owner)
            if batch is not None and batch.status in (Status.VALIDATING, Status.IN_PROGRESS):
                _enter(db, batch, Status.CANCELLING, now_s)
                return _one(db, batch_id)
            return batch

        batch = await self._database.run(write)
        if batch is None:
            raise _no_such_batch(batch_id)
        if batch.status is not Status.CANCELLING:
            raise Conflict(f"a batch that is {batch.status} cannot be cancelled", param="id")
        return batch

    async def enter(self, batch_id: str, status: Status, now_s: int) -> Batch:
        """The batch in its new status; where it was cancelled meanwhile, it stays so."""

        def write(db: sqlite3.Connection) -> Batch:
            batch = _here(_one(db, batch_id))
            if batch.status is not Status.CANCELLING or status is Status.CANCELLED:
                _enter(db, batch, status, now_s)
            return _here(_one(db, batch_id))

        return await self._database.run(write)

    async def fail(self, batch_id: str, errors: Sequence[LineWrong], now_s: int) -> None:
        """It ends before it has begun."""

        def write(db: sqlite3.Connection) -> None:
            _enter(db, _here(_one(db, batch_id)), Status.FAILED, now_s)
            told = json.dumps([asdict(one) for one in errors])
            db.execute("UPDATE batches SET errors = ? WHERE id = ?", (told, batch_id))

        await self._database.run(write)

    async def end(
        self,
        batch_id: str,
        status: Status,
        now_s: int,
        output: StoredFile | None,
        errors: StoredFile | None,
    ) -> None:
        """With its files, whose contents are there."""

        def write(db: sqlite3.Connection) -> None:
            for one in (output, errors):
                if one is not None:
                    insert(db, one)
            _enter(db, _here(_one(db, batch_id)), status, now_s)
            db.execute(
                "UPDATE batches SET output_file_id = ?, error_file_id = ? WHERE id = ?",
                (output and output.id, errors and errors.id, batch_id),
            )

        await self._database.run(write)

    async def purge(self, batch_id: str) -> None:
        """Forget the lines of a batch that has ended: its files have all that is known of them."""

        def some(db: sqlite3.Connection) -> int:
            db.execute("DELETE FROM jobs WHERE batch = ?", (batch_id,))
            return db.execute(
                "DELETE FROM lines WHERE rowid IN"
                " (SELECT rowid FROM lines WHERE batch = ? LIMIT ?)",
                (batch_id, PURGED_AT_ONCE),
            ).rowcount

        while await self._database.run(some) == PURGED_AT_ONCE:
            pass

    async def unpurged(self) -> list[str]:
        """Batches that have ended, and have lines still."""

        def look(db: sqlite3.Connection) -> list[str]:
            rows = db.execute(
                "SELECT id FROM batches WHERE NOT is_open"
                " AND EXISTS (SELECT * FROM lines WHERE batch = batches.id)"
            )
            return [row[0] for row in rows]

        return await self._database.run(look)

    async def forget(self, before_s: int) -> None:
        """Batches that have ended, and were made before then."""

        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "DELETE FROM batches WHERE NOT is_open AND created_at < ?"
                " AND NOT EXISTS (SELECT * FROM lines WHERE batch = batches.id)",
                (before_s,),
            )

        await self._database.run(write)

    # -- lines

    async def forget_lines(self, batch_id: str) -> None:
        """Of a validation that did not come to its end."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM lines WHERE batch = ?", (batch_id,))
            db.execute("DELETE FROM jobs WHERE batch = ?", (batch_id,))
            db.execute("UPDATE batches SET total = 0 WHERE id = ?", (batch_id,))

        await self._database.run(write)

    async def add_lines(self, batch_id: str, rows: Sequence[Row], jobs: Sequence[Job]) -> None:
        def write(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT INTO jobs (id, batch, state, model, provider, offer_model)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (one.id, one.batch, one.state, one.model, one.provider, one.offer_model)
                    for one in jobs
                ],
            )
            db.executemany(
                "INSERT INTO lines (batch, number, custom_id, at, bytes, state, job)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (batch_id, one.number, one.custom_id, one.at, one.bytes, one.state, one.job)
                    for one in rows
                ],
            )
            db.execute("UPDATE batches SET total = total + ? WHERE id = ?", (len(rows), batch_id))

        await self._database.run(write)

    async def take(self, batch_id: str, now_ns: int, limit: int) -> list[Row]:
        """Lines of ours that are ready, in their order; they are under way now."""

        def write(db: sqlite3.Connection) -> list[Row]:
            found = _rows(
                db,
                "batch = ? AND state = ? AND ready_at_ns <= ? ORDER BY ready_at_ns, number LIMIT ?",
                (batch_id, State.QUEUED, now_ns, limit),
            )
            db.executemany(
                "UPDATE lines SET state = ? WHERE batch = ? AND number = ?",
                [(State.TAKEN, batch_id, one.number) for one in found],
            )
            return found

        return await self._database.run(write)

    async def ready_at_ns(self, batch_id: str) -> int | None:
        """When the next line of ours is ready; None if none waits."""

        def look(db: sqlite3.Connection) -> int | None:
            row: tuple[int | None] = db.execute(
                "SELECT min(ready_at_ns) FROM lines WHERE batch = ? AND state = ?",
                (batch_id, State.QUEUED),
            ).fetchone()
            return row[0]

        return await self._database.run(look)

    async def put_all_back(self, batch_id: str) -> None:
        """What was under way in a process that has ended waits again."""

        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE lines SET state = ? WHERE batch = ? AND state = ?",
                (State.QUEUED, batch_id, State.TAKEN),
            )

        await self._database.run(write)

    async def put_back(self, batch_id: str, number: int, ready_at_ns: int, tries: int) -> None:
        """A line of ours waits again."""

        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE lines SET state = ?, ready_at_ns = ?, tries = ?"
                " WHERE batch = ? AND number = ?",
                (State.QUEUED, ready_at_ns, tries, batch_id, number),
            )

        await self._database.run(write)

    async def finish(self, batch_id: str, results: Iterable[Result]) -> None:
        """Lines have their results; one that has one already keeps that."""

        def write(db: sqlite3.Connection) -> None:
            for one in results:
                changed = db.execute(
                    "UPDATE lines SET state = ?, result = ?, is_error = ?"
                    " WHERE batch = ? AND number = ? AND state != ?",
                    (State.DONE, one.text, one.is_error, batch_id, one.number, State.DONE),
                ).rowcount
                if changed:
                    db.execute(
                        "UPDATE batches SET completed = completed + ?, failed = failed + ?,"
                        " prompt_tokens = prompt_tokens + ?, cached_tokens = cached_tokens + ?,"
                        " completion_tokens = completion_tokens + ?,"
                        " reasoning_tokens = reasoning_tokens + ? WHERE id = ?",
                        (
                            *(not one.is_error, one.is_error, one.used.prompt, one.used.cached),
                            *(one.used.completion, one.used.reasoning, batch_id),
                        ),
                    )

        await self._database.run(write)

    async def count(self, batch_id: str, *states: State) -> int:
        """How many of its lines are in these states."""

        def look(db: sqlite3.Connection) -> int:
            marks = ", ".join("?" * len(states))
            row: tuple[int] = db.execute(
                f"SELECT count(*) FROM lines WHERE batch = ? AND state IN ({marks})",
                (batch_id, *states),
            ).fetchone()
            return row[0]

        return await self._database.run(look)

    async def results(
        self, batch_id: str, *, errors: bool, after: int, limit: int
    ) -> list[tuple[int, bytes]]:
        """Of lines that have one, in their order, by number."""

        def look(db: sqlite3.Connection) -> list[tuple[int, bytes]]:
            return db.execute(
                "SELECT number, result FROM lines WHERE batch = ? AND state = ? AND is_error = ?"
                " AND number > ? ORDER BY number LIMIT ?",
                (batch_id, State.DONE, errors, after, limit),
            ).fetchall()

        return await self._database.run(look)

    async def undone(self, batch_id: str, *, after: int, limit: int) -> list[Row]:
        """Lines without a result, in their order."""
        return await self._database.run(
            lambda db: _rows(
                db,
                "batch = ? AND state != ? AND number > ? ORDER BY number LIMIT ?",
                (batch_id, State.DONE, after, limit),
            )
        )

    # -- jobs

    async def job(self, job_id: str) -> Job:
        """One that is there."""

        def look(db: sqlite3.Connection) -> Job:
            return _job(db.execute(f"SELECT {_JOB} FROM jobs WHERE id = ?", (job_id,)).fetchone())

        return await self._database.run(look)

    async def jobs(self, batch_id: str) -> list[Job]:
        """Those that have not ended."""

        def look(db: sqlite3.Connection) -> list[Job]:
            rows = db.execute(
                f"SELECT {_JOB} FROM jobs WHERE batch = ? AND state != ? ORDER BY id",
                (batch_id, JobState.ENDED),
            )
            return [_job(row) for row in rows]

        return await self._database.run(look)

    async def keep_job(self, job: Job) -> None:
        """As it is now."""

        def write(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE jobs SET state = ?, account = ?, round = ?, share_nanos = ?, input_id = ?,"
                " batch_id = ? WHERE id = ?",
                (
                    *(job.state, job.account, job.round, job.share_nanos),
                    *(job.input_id, job.batch_id, job.id),
                ),
            )

        await self._database.run(write)

    async def job_lines(self, job: Job, state: State, *, after: int, limit: int) -> list[Row]:
        """Its lines in a state, in their order."""
        return await self._database.run(
            lambda db: _rows(
                db,
                "job = ? AND state = ? AND number > ? ORDER BY number LIMIT ?",
                (job.id, state, after, limit),
            )
        )

    async def job_lines_of(self, job: Job, numbers: Iterable[int]) -> dict[int, Row]:
        """Those of its held lines that are among `numbers`, by number."""
        wanted = json.dumps(list(numbers))
        found = await self._database.run(
            lambda db: _rows(
                db,
                "job = ? AND state = ? AND number IN (SELECT value FROM json_each(?))",
                (job.id, State.HELD, wanted),
            )
        )
        return {one.number: one for one in found}

    async def hold_lines(self, job: Job, held: Sequence[tuple[int, str]]) -> None:
        """These lines, by number, hold money under these attempts."""

        def write(db: sqlite3.Connection) -> None:
            db.executemany(
                "UPDATE lines SET state = ?, attempt_id = ? WHERE job = ? AND number = ?"
                " AND state = ?",
                [(State.HELD, one, job.id, number, State.PLACED) for number, one in held],
            )

        await self._database.run(write)

    async def count_job(self, job: Job, state: State) -> int:
        """How many of its lines are in a state."""

        def look(db: sqlite3.Connection) -> int:
            row: tuple[int] = db.execute(
                "SELECT count(*) FROM lines WHERE job = ? AND state = ?", (job.id, state)
            ).fetchone()
            return row[0]

        return await self._database.run(look)

    async def requeue(self, job: Job, numbers: Iterable[int]) -> None:
        """Lines of a job become ours; nothing is held for them any more."""

        def write(db: sqlite3.Connection) -> None:
            db.executemany(
                "UPDATE lines SET state = ?, job = NULL, attempt_id = NULL"
                " WHERE job = ? AND number = ? AND state != ?",
                [(State.QUEUED, job.id, one, State.DONE) for one in numbers],
            )

        await self._database.run(write)


# -- rows

_BATCH = (
    "id, owner, key_id, input_file_id, endpoint, completion_window, created_at, expires_at,"
    " output_expires_after, metadata, status, at, errors, output_file_id, error_file_id, total,"
    " completed, failed, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens"
)
_COUNTED = ("prompt", "cached", "completion", "reasoning")
_JOB = (
    "id, batch, state, model, provider, offer_model, account, round, share_nanos, input_id,"
    " batch_id"
)
_ROW = "number, custom_id, at, bytes, state, job, attempt_id, tries"


def _one(db: sqlite3.Connection, batch_id: str, owner: str | None = None) -> Batch | None:
    row = db.execute(
        f"SELECT {_BATCH} FROM batches WHERE id = ? AND (? IS NULL OR owner = ?)",
        (batch_id, owner, owner),
    ).fetchone()
    return None if row is None else _batch(row)


def _batch(row: tuple[Any, ...]) -> Batch:
    one: dict[str, Any] = dict(zip(_BATCH.split(", "), row, strict=True))
    one["metadata"] = one["metadata"] and json.loads(one["metadata"])
    one["status"], one["at"] = Status(one["status"]), json.loads(one["at"])
    one["errors"] = tuple(LineWrong(**wrong) for wrong in json.loads(one["errors"] or "[]"))
    counted = {name: one.pop(f"{name}_tokens") for name in _COUNTED}
    return Batch(**one, used=Used(**counted))


def _job(row: tuple[Any, ...]) -> Job:
    job_id, batch_id, state, *rest = row
    return Job(job_id, batch_id, JobState(state), *rest)


def _here(batch: Batch | None) -> Batch:
    if batch is None:
        raise AssertionError("a batch has gone while it was being run")
    return batch


def _enter(db: sqlite3.Connection, batch: Batch, status: Status, now_s: int) -> None:
    db.execute(
        "UPDATE batches SET status = ?, is_open = ?, at = ? WHERE id = ?",
        (status, status not in ENDED, json.dumps(batch.at | {str(status): now_s}), batch.id),
    )


def _rows(db: sqlite3.Connection, where: str, values: tuple[object, ...]) -> list[Row]:
    found = db.execute(f"SELECT {_ROW} FROM lines WHERE {where}", values)
    return [
        Row(number, custom_id, at, size, State(state), *rest)
        for number, custom_id, at, size, state, *rest in found
    ]


def _no_such_batch(batch_id: str) -> NotFound:
    return NotFound(
        f"there is no batch {batch_id[:100]!r} here: GET /v1/batches lists those that there are",
        param="id",
        code="batch_not_found",
    )

"""Batches: the batches of a sandbox provider, each worked off by a task of its own."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from benchmarks.sandbox.batch import (
    ENDED,
    ENDPOINTS,
    MAX_LINES,
    Batch,
    BatchRequest,
    Line,
    LineWrong,
    Results,
    Status,
    read_line,
)
from benchmarks.sandbox.files import MAX_FILE_BYTES, FileStore
from benchmarks.sandbox.refusal import Refusal, no_such, wrong
from benchmarks.sandbox.tally import Exchange
from benchmarks.sandbox.wire import decoded

MAX_UNDER_WAY = 8
MAX_BATCHES = 200
LINES_AT_ONCE = 256
"""So many lines are read before others have their turn."""
_NOT_RUN = {
    Status.EXPIRED: (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    Status.CANCELLED: ("batch_cancelled", "The batch was cancelled before this request executed."),
}


@dataclass(frozen=True, slots=True)
class LineAnswer:
    """What a line got, as if it had been a request of its own."""

    exchange: Exchange
    status: int
    body: bytes


class AnswerLine(Protocol):
    """Answers and bills one line. fails: it is one of those that fail by themselves. room: bytes
    that its answer may have."""

    def __call__(self, line: Line, *, fails: bool, room: int) -> LineAnswer: ...


_request = msgspec.json.Decoder(BatchRequest)


class Batches:
    """At most MAX_UNDER_WAY that have not ended, and MAX_BATCHES in all; the oldest go first.

    `pause` is waited for before each change of state and before each line, so that what holds it
    up holds the batch where it is.
    """

    def __init__(
        self,
        files: FileStore,
        *,
        clock: Callable[[], float],
        pause: Callable[[], Awaitable[None]],
        answer: AnswerLine,
        fails_every: Callable[[], int],
    ) -> None:
        self._files = files
        self._clock = clock
        self._pause = pause
        self._answer = answer
        self._fails_every = fails_every
        self._batches: OrderedDict[str, Batch] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._made = 0

    def create(self, body: bytes, speaks: Callable[[str], bool]) -> Batch | Refusal:
        request = decoded(_request, body)
        if isinstance(request, Refusal):
            return request
        window_s = request.window_s()
        if request.endpoint not in ENDPOINTS or not speaks(request.endpoint.removeprefix("/v1/")):
            return wrong("endpoint", f"one of {', '.join(ENDPOINTS)}, if the provider has it")
        if window_s is None:
            return wrong("completion_window", "a number and s, m, h or d, as in 24h")
        source = self._files.get(request.input_file_id)
        if isinstance(source, Refusal):
            return wrong("input_file_id", source.message)
        if source.purpose != "batch":
            return wrong("input_file_id", "the purpose of the file is not batch")
        if sum(one.status not in ENDED for one in self._batches.values()) >= MAX_UNDER_WAY:
            message = f"{MAX_UNDER_WAY} batches are under way: wait for one to end."
            return Refusal(429, message, type="requests", code="rate_limit_exceeded")
        self._made += 1
        now = int(self._clock())
        batch = Batch(f"batch_{self._made:024x}", request, now, now + window_s, source.content)
        self._batches[batch.id] = batch
        while len(self._batches) > MAX_BATCHES:
            ended = next(one.id for one in self._batches.values() if one.status in ENDED)
            del self._batches[ended]
        self._begin(batch)
        return batch

    def get(self, id: str) -> Batch | Refusal:  # noqa: A002 - the field's word
        batch = self._batches.get(id)
        if batch is None:
            return no_such("Batch", id)
        self._expire_if_due(batch)
        return batch

    def cancel(self, id: str) -> Batch | Refusal:  # noqa: A002 - the field's word
        """Its lines so far stand; it is cancelled after the pause that it is in."""
        batch = self.get(id)
        if isinstance(batch, Refusal):
            return batch
        if batch.status not in (Status.VALIDATING, Status.IN_PROGRESS, Status.FINALIZING):
            return Refusal(409, f"Cannot cancel a batch with status '{batch.status}'.")
        self._enter(batch, Status.CANCELLING)
        return batch

    def listed(self, after: str | None, limit: int) -> dict[str, Any]:
        """A page, the newest first."""
        every = list(reversed(self._batches.values()))
        for one in every:
            self._expire_if_due(one)
        ids = [one.id for one in every]
        start = ids.index(after) + 1 if after in ids else 0
        page = every[start : start + limit]
        return {
            "object": "list",
            "data": [one.as_json() for one in page],
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
            "has_more": len(every) > start + limit,
        }

    def resume(self) -> None:
        """Goes on with what `close` has left."""
        for batch in self._batches.values():
            if batch.status not in ENDED:
                self._begin(batch)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # One batch

    def _begin(self, batch: Batch) -> None:
        task = asyncio.create_task(self._work(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, batch: Batch) -> None:
        """From the state it is in to its end, one step after each pause."""
        while batch.status not in ENDED:
            await self._pause()
            await asyncio.sleep(0)  # whatever `pause` does, others have their turn
            self._expire_if_due(batch)
            match batch.status:
                case Status.VALIDATING:
                    await self._validate(batch)
                case Status.IN_PROGRESS if batch.lines:
                    self._do_line(batch)
                case Status.IN_PROGRESS:
                    self._enter(batch, Status.FINALIZING)
                case Status.FINALIZING:
                    self._end(batch, Status.COMPLETED)
                case Status.CANCELLING:
                    self._end(batch, Status.CANCELLED)
                case _:
                    pass  # it has ended

    async def _validate(self, batch: Batch) -> None:
        texts = batch.source.splitlines()
        lines: dict[str, Line] = {}
        refused: LineWrong | None = None
        for number, text in enumerate(texts, 1):
            if number % LINES_AT_ONCE == 0:
                await asyncio.sleep(0)
            if not text.strip():
                continue
            line = read_line(number, text, batch.request.endpoint)
            if isinstance(line, LineWrong):
                refused = line
            elif line.custom_id in lines:
                message = "The custom_id for this request is a duplicate of another request."
                refused = LineWrong("duplicate_custom_id", message, "custom_id", number)
            elif len(lines) == MAX_LINES:
                refused = LineWrong("too_many_tasks", f"More than {MAX_LINES} requests.")
            else:
                lines[line.custom_id] = line
            if refused is not None:
                break
        if not lines and refused is None:
            refused = LineWrong("empty_file", "The batch input file is empty.")
        if batch.status is not Status.VALIDATING:
            return  # cancelled, or expired, in between
        if refused is not None:
            batch.wrong = refused
            self._end(batch, Status.FAILED)
            return
        batch.lines = list(reversed(lines.values()))
        batch.total = len(lines)
        self._enter(batch, Status.IN_PROGRESS)

    def _do_line(self, batch: Batch) -> None:
        line = batch.lines.pop()
        number, every = batch.total - len(batch.lines), self._fails_every()
        answer = self._answer(
            line,
            fails=every > 0 and number % every == 0,
            room=MAX_FILE_BYTES - batch.output.size - len(line.custom_id) - 200,
        )
        response = {
            "status_code": answer.status,
            "request_id": answer.exchange.draws.request_id,
            "body": Raw(answer.body),
        }
        if answer.status == 200:
            batch.completed += 1
            exchange = answer.exchange
            batch.used.prompt_tokens += exchange.prompt_tokens or 0
            batch.used.cached_tokens += exchange.cached_tokens or 0
            batch.used.completion_tokens += exchange.completion_tokens or 0
            batch.output.add(_result(line, response, None))
        else:
            batch.failed += 1
            batch.errors.add(_result(line, response, None))

    def _enter(self, batch: Batch, status: Status) -> None:
        batch.status = status
        batch.at[status] = int(self._clock())

    def _expire_if_due(self, batch: Batch) -> None:
        if (
            batch.status in (Status.VALIDATING, Status.IN_PROGRESS)
            and self._clock() >= batch.expires_at
        ):
            self._end(batch, Status.EXPIRED)

    def _end(self, batch: Batch, status: Status) -> None:
        """Writes its files: also what was not run is in the file of errors."""
        if status in _NOT_RUN:
            code, message = _NOT_RUN[status]
            for line in reversed(batch.lines):
                batch.errors.add(_result(line, None, {"code": code, "message": message}))
        batch.output_file_id = self._written(batch, "output", batch.output)
        batch.error_file_id = self._written(batch, "error", batch.errors)
        # What is kept of it from now on is small.
        batch.source, batch.lines, batch.output, batch.errors = b"", [], Results(), Results()
        self._enter(batch, status)

    def _written(self, batch: Batch, kind: str, results: Results) -> str | None:
        if not results.lines:
            return None
        name = f"{batch.id}_{kind}.jsonl"
        return self._files.add(name, "batch_output", b"".join(results.lines)).id


def _result(line: Line, response: dict[str, Any] | None, error: dict[str, str] | None) -> bytes:
    """A line of an output file. A request that failed has a response all the same; one that was
    never made has an error instead."""
    id_of = line.custom_id if response is None else response["request_id"]
    return msgspec.json.encode(
        {
            "id": f"batch_req_{id_of}",
            "custom_id": line.custom_id,
            "response": response,
            "error": error,
        }
    )

"""Line: one request of a batch, in the file that it came in, and in the file that answers it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from proxy.batches.batch import Batch, LineWrong
from proxy.errors import Invalid, ProxyError
from proxy.wires import body as bodies
from proxy.wires.table import WIRES
from proxy.wires.wire import Ask

MOST_LINES = 50_000
MOST_ERRORS = 100
"""How many wrong lines are named."""
MOST_ID_CHARS = 512
JSON = "application/json"


class State(StrEnum):
    """Of a line that has begun to be worked on."""

    QUEUED = "queued"
    """It is ours, and waits."""
    TAKEN = "taken"
    """It is ours, and under way in this process."""
    PLACED = "placed"
    """It belongs to a provider's job, and holds no money yet."""
    HELD = "held"
    """It belongs to a provider's job, and its worst case is held."""
    DONE = "done"
    """It has a result."""


class Line(msgspec.Struct):
    """As a client writes it."""

    custom_id: str
    method: Literal["POST"]
    url: str
    body: msgspec.Raw


_line = msgspec.json.Decoder(Line).decode


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line is in its file, in bytes. number: counted from 1."""

    number: int
    at: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Checked:
    """A line that can be run."""

    place: Place
    custom_id: str
    body: bytes
    ask: Ask


def places(file: BinaryIO, most_bytes: int) -> Iterator[tuple[Place, bytes]]:
    """Every line that is not blank, with its text; of one that is too long, only its beginning."""
    at = number = 0
    while text := file.readline(most_bytes + 1):
        number += 1
        size = len(text)
        while not text.endswith(b"\n") and (rest := file.readline(most_bytes)):
            size += len(rest)
            if rest.endswith(b"\n"):
                break
        if text.strip():
            yield Place(number, at, size), text
        at += size


class Checker:
    """Checks the lines of one batch, in order. errors: what is wrong with them."""

    def __init__(self, batch: Batch, most_bytes: int) -> None:
        self._batch = batch
        self._wire = WIRES[batch.asks]
        self._most_bytes = most_bytes
        self._ids: set[bytes] = set()
        self.errors: list[LineWrong] = []
        self.count = 0

    def check(self, place: Place, text: bytes) -> Checked | None:
        """None for a line with an error, which is in `errors` then."""
        self.count += 1
        try:
            return self._read(place, text)
        except ProxyError as error:
            self.refuse(place, error)
            return None

    def refuse(self, place: Place, error: ProxyError) -> None:
        """Note what is wrong with a line."""
        message = f"line {place.number}: {error.message}"
        wrong = LineWrong(error.code or error.type, message, error.param, place.number)
        self.errors.append(wrong)

    def _read(self, place: Place, text: bytes) -> Checked:
        if place.bytes > self._most_bytes:
            raise Invalid(f"it has more than {self._most_bytes} bytes", code="line_too_long")
        line = bodies.read(_line, text, "a line of a batch")
        if line.url != self._batch.endpoint:
            why = f"the batch is for {self._batch.endpoint}"
            raise Invalid(why, param="url", code="url_mismatch")
        if not 1 <= len(line.custom_id) <= MOST_ID_CHARS:
            why = f"custom_id has 1 to {MOST_ID_CHARS} characters"
            raise Invalid(why, param="custom_id", code="invalid_custom_id")
        body = bytes(line.body)
        ask = self._wire.ask(body, JSON)
        if ask.stream:
            why = "nobody waits for the lines of a batch: leave stream out"
            raise Invalid(why, param="body.stream", code="invalid_type")
        digest = blake2b(line.custom_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in self._ids:
            why = "another line has the same custom_id"
            raise Invalid(why, param="custom_id", code="duplicate_custom_id")
        self._ids.add(digest)
        return Checked(place, line.custom_id, body, ask)


def read_bodies(path: Path, spans: Sequence[tuple[int, int]]) -> list[bytes]:
    """What lines that were checked ask for. spans: where each begins, and its bytes."""
    found = []
    with path.open("rb") as file:
        for at, size in spans:
            file.seek(at)
            found.append(bytes(_line(file.read(size)).body))
    return found


# -- what is answered


class _Response(msgspec.Struct):
    status_code: int
    request_id: str
    body: msgspec.Raw


class _NotRun(msgspec.Struct):
    code: str
    message: str


class _Result(msgspec.Struct):
    id: str
    custom_id: str
    response: _Response | None
    error: _NotRun | None


def result_of(line_id: str, custom_id: str, status: int, request_id: str, body: bytes) -> bytes:
    """A line of an output file, or of an error file."""
    if b"\n" in body or b"\r" in body:  # a line is one line, however the answer was laid out
        body = msgspec.json.format(body, indent=-1)
    response = _Response(status, request_id, msgspec.Raw(body))
    return bodies.encode(_Result(line_id, custom_id, response, None)) + b"\n"


def not_run(line_id: str, custom_id: str, code: str, message: str) -> bytes:
    """A line of an error file, of a request that was never answered."""
    return bodies.encode(_Result(line_id, custom_id, None, _NotRun(code, message))) + b"\n"


def line_id(batch_id: str, number: int) -> str:
    """What a line is called in its result."""
    return f"batch_req_{batch_id.removeprefix('batch_')}_{number:05d}"

"""Replays: a request that comes again with its Idempotency-Key is answered once, and charged once.

                              the first is under way       wait for its end, then as below
    the same request  ──▶     its answer is here           that, with x-hedgerow-replayed: 1
                              it is not here (any more)    409 AlreadyAnswered
    another request   ──▶                                  422 KeyReused

An error that cost nothing gives the key back: the next that comes, or waits, runs. One that cost
something is an answer like any other. Which keys are taken is in the books, for a day, and before
anything is spent; answers are in memory only, for a short time.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from functools import partial

from ledger.book import Book
from ledger.errors import StoreUnavailable
from ledger.idempotency import Claim
from proxy.clock import Clock
from proxy.errors import AlreadyAnswered, Invalid, KeyReused
from proxy.exchange import Exchange, Headers

Story = Callable[[Exchange], Awaitable[None]]

HEADER = "idempotency-key"
REPLAYED = ("x-hedgerow-replayed", "1")
USELESS = ("x-should-retry", "false")
"""With an error that is the key's answer: OpenAI's and Anthropic's clients would try in vain."""
KEY_LIMIT = 255
"""Characters of a key, as at Stripe."""
MOST_ANSWERS = 10_000
LARGEST_PART = 4
"""One answer takes at most a fourth of the memory for all of them."""
OVERHEAD_BYTES = 1024
"""What an answer takes besides its headers and its body, generously."""
SLICE_BYTES = 64 << 10
"""So much of a stream is replayed at once: a client that reads slowly gets its time for each."""
LARGE_BODY_BYTES = 1 << 20
"""Bodies from this size on are hashed in a thread: others need not wait for it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, as it was first given."""

    status: int
    headers: Headers
    body: bytes
    is_stream: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer on the shelf, and whose it is. size_bytes: the memory that it counts for."""

    claim: Claim
    answer: Answer
    size_bytes: int
    at_s: float


@dataclass(frozen=True, slots=True)
class _First:
    """A request that is under way. over: what is kept of it; None if the next has to run."""

    claim: Claim
    over: asyncio.Future[Kept | None]


class Replays:
    """The requests that came with an Idempotency-Key, of one worker.

    keep_s: how long an answer is kept. max_bytes: the memory for all of them, with those that are
    only being written; the least recently used leaves first.
    """

    def __init__(self, book: Book, clock: Clock, *, keep_s: float, max_bytes: int) -> None:
        self._book = book
        self._clock = clock
        self._shelf = Shelf(clock, keep_s, max_bytes)
        self._under_way: dict[tuple[str, str], _First] = {}

    @property
    def kept_bytes(self) -> int:
        """The memory that answers take now."""
        return self._shelf.taken_bytes

    async def once(self, x: Exchange, key_id: str, request_id: str, story: Story) -> None:
        """Run the story; or, if it is a retry that needs none, answer it.

        Without an Idempotency-Key the story runs. What it answers with belongs to the key: it must
        answer errors itself, or they cannot be replayed.

        Raises Invalid for what is no key, AlreadyAnswered, KeyReused, StoreUnavailable: nothing has
        been answered then, and nothing spent.
        """
        key = x.headers.get(HEADER)
        if key is None:
            await story(x)
            return
        _refuse_odd(key)
        digest = await _digest(x)
        name = (key_id, key)
        while (found := self._shelf.find(name) or self._under_way.get(name)) is not None:
            if found.claim.digest != digest:
                raise _reused(found.claim)
            kept = found if isinstance(found, Kept) else await _end_of(found, x)
            if kept is not None:
                await _replay(kept.answer, x)
                return
        claim = Claim(key_id, key, digest, request_id, self._clock.now_ns())
        await self._run(claim, x, story)  # no other has come in between: nothing was awaited

    async def _run(self, claim: Claim, x: Exchange, story: Story) -> None:
        """However it ends, those who wait for it are told."""
        name = (claim.key_id, claim.key)
        first = _First(claim, asyncio.get_running_loop().create_future())
        self._under_way[name] = first
        kept: Kept | None = None
        try:
            earlier = await self._book.claim(claim)
            if earlier is not None:
                raise _answered(earlier) if earlier.digest == claim.digest else _reused(earlier)
            recorded = Recorded(x, self._shelf, partial(self._given_back, claim))
            try:
                await story(recorded)
            finally:
                kept = await self._outcome(claim, recorded)
        finally:
            del self._under_way[name]
            first.over.set_result(kept)

    async def _outcome(self, claim: Claim, recorded: Recorded) -> Kept | None:
        """What is kept of a request that has ended; its key is given back if nothing came of it."""
        try:
            if not recorded.succeeded and await recorded.frees_key():
                return None
            answer = recorded.whole
            if answer is None:
                return None
            kept = Kept(claim, answer, recorded.moved_out(), self._clock.monotonic_s())
            self._shelf.put((claim.key_id, claim.key), kept)
            return kept
        finally:
            recorded.forget()

    async def _given_back(self, claim: Claim) -> bool:
        try:
            return await self._book.release(claim)
        except StoreUnavailable:
            return True  # it will be, once the books can be written again, if nothing was charged


class Shelf:
    """The memory for answers: those that are kept, and those that are being written."""

    def __init__(self, clock: Clock, keep_s: float, max_bytes: int) -> None:
        self._clock = clock
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()  # last used last
        self._kept_bytes = 0
        self._written_bytes = 0

    @property
    def taken_bytes(self) -> int:
        return self._kept_bytes + self._written_bytes

    def find(self, name: tuple[str, str]) -> Kept | None:
        """An answer that is not too old. Those that nobody used for so long leave."""
        while self._kept and self._is_old(next(iter(self._kept.values()))):
            self._drop_first()
        kept = self._kept.get(name)
        if kept is None:
            return None
        if self._is_old(kept):
            self._drop(name)
            return None
        self._kept.move_to_end(name)
        return kept

    def put(self, name: tuple[str, str], kept: Kept) -> None:
        """Keep an answer where there is none; its room has been taken while it was written."""
        self.give_back(kept.size_bytes)
        self._kept_bytes += kept.size_bytes
        self._kept[name] = kept
        if len(self._kept) > MOST_ANSWERS:
            self._drop_first()

    def take(self, more_bytes: int, size_bytes: int) -> bool:
        """Room for more of an answer that already has `size_bytes`. False if there is none."""
        if size_bytes + more_bytes > self._max_bytes // LARGEST_PART:
            return False
        if self._written_bytes + more_bytes > self._max_bytes:
            return False
        self._written_bytes += more_bytes
        while self.taken_bytes > self._max_bytes:
            self._drop_first()
        return True

    def give_back(self, size_bytes: int) -> None:
        self._written_bytes -= size_bytes

    def _is_old(self, kept: Kept) -> bool:
        return self._clock.monotonic_s() - kept.at_s >= self._keep_s

    def _drop_first(self) -> None:
        self._drop(next(iter(self._kept)))

    def _drop(self, name: tuple[str, str]) -> None:
        self._kept_bytes -= self._kept.pop(name).size_bytes


class Recorded:
    """An Exchange that passes everything on, and keeps what was answered while there is room.

    succeeded: the answer is whole, and no error. give_back: gives the key back, unless an error
    has cost something; true if it is free.
    """

    def __init__(self, x: Exchange, shelf: Shelf, give_back: Callable[[], Awaitable[bool]]) -> None:
        self._x = x
        self._shelf = shelf
        self._give_back = give_back
        self._is_free: bool | None = None
        self.method, self.path, self.headers, self.body = x.method, x.path, x.headers, x.body
        self._status = 0
        self._answer_headers: Headers = []
        self._data: bytes | bytearray = b""
        self._is_stream = False
        self._is_whole = self._has_failed = False
        self._size_bytes = 0
        self._fits = True

    @property
    def abandonable(self) -> bool:
        return self._x.abandonable

    @abandonable.setter
    def abandonable(self, value: bool) -> None:
        self._x.abandonable = value

    @property
    def has_begun(self) -> bool:
        return self._x.has_begun

    # Kept first, then passed on: an answer that is whole stays one if its client has just left.

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        useless = [] if status < 400 or await self.frees_key() else [USELESS]
        self._begin(status, headers)
        self._data = body if self._has_room(len(body)) else b""
        self._is_whole = True
        await self._x.answer(status, [*headers, *useless], body)

    async def open(self, status: int, headers: Headers) -> None:
        self._begin(status, headers)
        self._data, self._is_stream = bytearray(), True
        await self._x.open(status, headers)

    async def write(self, data: bytes) -> None:
        self._more(data)
        await self._x.write(data)

    async def finish(self, data: bytes) -> None:
        self._more(data)
        self._is_whole = True
        await self._x.finish(data)

    async def fail(self, data: bytes) -> None:
        self._more(data)
        self._is_whole = self._has_failed = True
        await self._x.fail(data)

    # -- what came of it

    @property
    def succeeded(self) -> bool:
        return self._is_whole and self._status < 400 and not self._has_failed

    async def frees_key(self) -> bool:
        """Give the key back; once, for then another may have it. All that can be charged is held
        by the time that there is an error to tell."""
        if self._is_free is None:
            self._is_free = await self._give_back()
        return self._is_free

    @property
    def whole(self) -> Answer | None:
        """The answer, if it came to its end and there was room for it."""
        if not (self._is_whole and self._fits):
            return None
        return Answer(self._status, self._answer_headers, bytes(self._data), self._is_stream)

    def moved_out(self) -> int:
        """Leave the room that it takes to another, who is told how much that is."""
        size_bytes, self._size_bytes = self._size_bytes, 0
        return size_bytes

    def forget(self) -> None:
        self._data = b""
        self._shelf.give_back(self.moved_out())

    def _begin(self, status: int, headers: Headers) -> None:
        self._status, self._answer_headers = status, list(headers)
        self._has_room(OVERHEAD_BYTES + sum(len(name) + len(value) for name, value in headers))

    def _more(self, data: bytes) -> None:
        if self._has_room(len(data)):
            self._data += data

    def _has_room(self, more_bytes: int) -> bool:
        if self._fits and self._shelf.take(more_bytes, self._size_bytes):
            self._size_bytes += more_bytes
        elif self._fits:
            self._fits = False
            self.forget()
        return self._fits


async def _end_of(first: _First, x: Exchange) -> Kept | None:
    """Wait for a request that is under way; a client that leaves meanwhile misses nothing."""
    with _abandonable(x):
        return await asyncio.shield(first.over)


async def _replay(answer: Answer, x: Exchange) -> None:
    headers = [*answer.headers, REPLAYED, *([USELESS] if answer.status >= 400 else [])]
    if not answer.is_stream:
        await x.answer(answer.status, headers, answer.body)
        return
    with _abandonable(x):
        await x.open(answer.status, headers)
        last = max(0, len(answer.body) - SLICE_BYTES)
        for start in range(0, last, SLICE_BYTES):
            await x.write(answer.body[start : min(start + SLICE_BYTES, last)])
        await x.finish(answer.body[last:])


@contextmanager
def _abandonable(x: Exchange) -> Iterator[None]:
    """Nothing is being paid for: whoever leaves now leaves for good."""
    before, x.abandonable = x.abandonable, True
    try:
        yield
    finally:
        x.abandonable = before


# -- what a key is, and what it stands for


def _refuse_odd(key: str) -> None:
    if not key.isprintable() or not 1 <= len(key) <= KEY_LIMIT:
        raise Invalid(
            f"the Idempotency-Key is not 1 to {KEY_LIMIT} printable characters: send a new UUID"
            " with each request, and the same one again with its retries",
            param="Idempotency-Key",
            code="invalid_idempotency_key",
        )


async def _digest(x: Exchange) -> bytes:
    content_type = x.headers.get("content-type", "")
    if len(x.body) < LARGE_BODY_BYTES:
        return _digest_of(x.path, content_type, x.body)
    return await asyncio.to_thread(_digest_of, x.path, content_type, x.body)


def _digest_of(path: str, content_type: str, body: bytes) -> bytes:
    """SHA-256 of path and body. Of a form, without what parts its fields: clients draw that anew
    for each retry."""
    digest = hashlib.sha256(path.encode() + b"\0")
    view, start = memoryview(body), 0
    if boundary := _boundary(content_type):
        while (end := body.find(boundary, start)) >= 0:
            digest.update(view[start:end])
            start = end + len(boundary)
    digest.update(view[start:])
    return digest.digest()


def _boundary(content_type: str) -> bytes:
    """Of a multipart body; b"" for any other."""
    if not content_type.lower().startswith("multipart/"):
        return b""
    message = Message()
    message["Content-Type"] = content_type
    return (message.get_boundary() or "").encode(errors="surrogateescape")


def _answered(earlier: Claim) -> AlreadyAnswered:
    return AlreadyAnswered(
        f"this Idempotency-Key was used for request {earlier.request_id}, whose answer is not here"
        " (any more). Asking again has cost nothing; to have it answered anew, send another key",
        param="Idempotency-Key",
        more={"request_id": earlier.request_id},
    )


def _reused(earlier: Claim) -> KeyReused:
    return KeyReused(
        f"this Idempotency-Key belongs to request {earlier.request_id}, which asked for something"
        " else: a retry is the same path and body, a new request needs a new key",
        param="Idempotency-Key",
        more={"request_id": earlier.request_id},
    )

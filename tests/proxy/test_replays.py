"""Replays: whatever clients, providers and the books do, answered once and charged once."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ledger.book import Book
from ledger.errors import StoreUnavailable
from ledger.idempotency import Claim
from ledger.statements import charged
from proxy.errors import AlreadyAnswered, Invalid, KeyReused, ProxyError
from proxy.exchange import Exchange, Headers
from proxy.replays import (
    KEY_LIMIT,
    LARGE_BODY_BYTES,
    LARGEST_PART,
    MOST_ANSWERS,
    OVERHEAD_BYTES,
    SLICE_BYTES,
    USELESS,
    Answer,
    Kept,
    Replays,
    Shelf,
)
from tests.books import killed, opened_book, opened_store
from tests.ledger.entries import NOW_NS, attempt, settlement

T = TypeVar("T")

PATIENCE_S = 20.0
"""A test that waits for another thread gives up after this, and fails."""
KEEP_S = 600.0
DAY_S = 24 * 3600.0
MAX_BYTES = 1 << 20
CHAT = "/v1/chat/completions"
DIGEST = hashlib.sha256(CHAT.encode() + b"\0" + b"{}").digest()
"""Of a `Client` as it is: what the books of an earlier version have must still be understood."""


@dataclass
class Hands:
    """A clock that somebody moves."""

    s: float = 0.0

    def now_ns(self) -> int:
        return NOW_NS + int(self.s * 1_000_000_000)

    def monotonic_s(self) -> float:
        return self.s

    async def sleep(self, seconds: float) -> None:
        self.s += seconds


class Client:
    """One request, and what its client heard. It leaves at the write after so many."""

    def __init__(
        self,
        key: str | None = "k",
        body: bytes = b"{}",
        *,
        path: str = CHAT,
        content_type: str = "application/json",
        leaves_after: int | None = None,
    ) -> None:
        self.method, self.path, self.body = "POST", path, body
        named = {} if key is None else {"idempotency-key": key}
        self.headers: Mapping[str, str] = {"content-type": content_type} | named
        self.abandonable = False
        self.status = 0
        self.answer_headers: Headers = []
        self.heard = bytearray()
        self.writes = 0
        self.is_stream = self.has_ended = False
        self._leaves_after = leaves_after

    @property
    def has_begun(self) -> bool:
        return self.status != 0

    @property
    def is_replayed(self) -> bool:
        return ("x-hedgerow-replayed", "1") in self.answer_headers

    @property
    def request_id(self) -> str:
        return dict(self.answer_headers)["x-request-id"]

    @property
    def told(self) -> tuple[int, Headers, bytes, bool, bool]:
        """All of the answer but what says that it is a replay."""
        added = ("x-hedgerow-replayed", "x-should-retry")
        headers = [one for one in self.answer_headers if one[0] not in added]
        return self.status, headers, bytes(self.heard), self.is_stream, self.has_ended

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        self._begin(status, headers)
        await self.write(body)
        self.has_ended = True

    async def open(self, status: int, headers: Headers) -> None:
        self._begin(status, headers)
        self.is_stream = True

    async def write(self, data: bytes) -> None:
        if self.writes == self._leaves_after:
            raise ConnectionResetError("the client has left")
        self.writes += 1
        self.heard += data

    async def finish(self, data: bytes) -> None:
        await self.write(data)
        self.has_ended = True

    async def fail(self, data: bytes) -> None:
        await self.finish(data)

    def _begin(self, status: int, headers: Headers) -> None:
        assert not self.has_begun
        self.status, self.answer_headers = status, headers


@dataclass
class Story:
    """What becomes of a request at its provider. charge: None if it cost nothing."""

    status: int = 200
    body: bytes = b"hello"
    charge: int | None = 7
    streamed: bool = False
    raises: type[Exception] | None = None
    slices: int = 3
    end: bytes = b"[DONE]"


UNEXPECTED = Story(charge=None, raises=AssertionError)
"""Of requests for which nobody should be asked."""


@dataclass
class Telling:
    """A story under way; `go` lets it end."""

    request_id: str
    go: asyncio.Event = field(default_factory=asyncio.Event)
    story: Story = field(default_factory=Story)


class Desk:
    """Replays on real books, and stories that hold and charge in them like a request's does."""

    def __init__(self, book: Book, clock: Hands, path: Path, keep_s: float, max_bytes: int) -> None:
        self.book, self.clock, self.path = book, clock, path
        self._bounds = (keep_s, max_bytes)
        self.asked = 0
        self.told: list[Telling] = []
        self.forget_all()

    def forget_all(self) -> None:
        """As after a restart."""
        keep_s, max_bytes = self._bounds
        self.replays = Replays(self.book, self.clock, keep_s=keep_s, max_bytes=max_bytes)

    def begin(self, x: Client, *, key_id: str = "key_1") -> asyncio.Task[str]:
        """Serve a request; if its story runs, it waits until somebody ends it."""
        return asyncio.create_task(self.ask(x, None, key_id=key_id))

    async def ask(
        self, x: Client, story: Story | None = UNEXPECTED, *, key_id: str = "key_1"
    ) -> str:
        """Serve a request to its end; its id."""
        self.asked += 1
        request_id = f"req_{self.asked:04}"

        async def tell(recorded: Exchange) -> None:
            telling = Telling(request_id)
            self.told.append(telling)
            if story is not None:
                telling.story = story
                telling.go.set()
            await self._tell(recorded, telling)

        await self.replays.once(x, key_id, request_id, tell)
        return request_id

    async def _tell(self, x: Exchange, telling: Telling) -> None:
        """Hold, wait for the provider, charge before the end of the answer."""
        one = replace(attempt(f"{telling.request_id}.1", 50), request_id=telling.request_id)
        hold = await self.book.hold(one)
        resolved = False
        try:
            await telling.go.wait()
            told = telling.story
            headers = [("x-request-id", telling.request_id), ("x-hedgerow-attempts", "1")]
            if told.streamed:
                x.abandonable = True
                await x.open(told.status, headers)
                for _ in range(told.slices):
                    await x.write(told.body)
            resolved = True
            if told.charge is None:
                await self.book.void(hold, "refused")
            else:
                await self.book.post(hold, settlement(told.charge))
            if told.raises is not None:
                raise told.raises("a fault")
            if told.streamed:
                await x.finish(told.end)
            else:
                await x.answer(told.status, headers, told.body)
        finally:
            if not resolved and telling.story.charge is None:
                await self.book.void(hold, "client left")
            elif not resolved:
                await self.book.post(hold, settlement(telling.story.charge or 0))

    async def charges(self) -> list[tuple[str, int]]:
        """Every charge that the books have, as another program reads them."""
        await self.book.folded()
        return await asyncio.to_thread(self._charges)

    def _charges(self) -> list[tuple[str, int]]:
        with closing(opened_store(self.path)) as store:
            return [(one.request_id, one.effective) for one in charged(store.sql)]

    async def settled(self, rounds: int = 3) -> None:
        """Until all that was asked of the books has happened, and whoever waited for it went on."""
        for _ in range(rounds):
            await self.book.folded()
            await self.book.ready()
            for _ in range(10):
                await asyncio.sleep(0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "books.db"


@asynccontextmanager
async def serving(
    path: Path,
    *,
    keep_s: float = KEEP_S,
    max_bytes: int = MAX_BYTES,
    busy_timeout_s: float = PATIENCE_S,
) -> AsyncIterator[Desk]:
    store = await asyncio.to_thread(opened_store, path, busy_timeout_s)
    clock = Hands()
    book = opened_book(store, path, now_ns=clock.now_ns)
    try:
        yield Desk(book, clock, path, keep_s, max_bytes)
    finally:
        await book.close()


async def begun(desk: Desk, count: int = 1) -> Telling:
    """The story of the `count`-th request that needed one, when it has begun."""
    async with asyncio.timeout(PATIENCE_S):
        while len(desk.told) < count:
            await desk.settled(1)
    return desk.told[count - 1]


async def all_of(*asking: Awaitable[T]) -> list[T | BaseException]:
    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.gather(*asking, return_exceptions=True)


# -- the same request again


async def test_without_a_key_nothing_is_kept(path: Path) -> None:
    """The story gets the exchange itself; a second request is a second answer, and a charge."""
    async with serving(path) as desk:
        for number in (1, 2):
            x = Client(key=None)

            async def story(given: Exchange, x: Client = x, number: int = number) -> None:
                assert given is x
                await given.answer(200, [], str(number).encode())

            await desk.replays.once(x, "key_1", f"req_{number}", story)
            assert x.heard == str(number).encode()
            assert not x.is_replayed
        assert desk.replays.kept_bytes == 0


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_retry_gets_the_first_answer(path: Path, *, streamed: bool) -> None:
    """Status, headers, request id and every byte are the first one's; only one is charged."""
    async with serving(path) as desk:
        first, again = Client(), Client()
        request_id = await desk.ask(first, Story(streamed=streamed))
        await desk.ask(again)
        assert again.told == first.told
        assert again.answer_headers == [*first.answer_headers, ("x-hedgerow-replayed", "1")]
        assert again.request_id == request_id
        assert await desk.charges() == [(request_id, 7)]


@pytest.mark.parametrize("size", [0, 1, *(2 * SLICE_BYTES + one for one in (-1, 0, 1))])
async def test_a_stream_is_replayed_in_slices(path: Path, size: int) -> None:
    """Every byte, in pieces that a slow client has time for each."""
    body = bytes(number % 251 for number in range(size))
    async with serving(path) as desk:
        first, again = Client(), Client()
        await desk.ask(first, Story(streamed=True, body=body, slices=1, end=b""))
        await desk.ask(again)
        assert again.told == first.told
        assert again.writes == max(1, -(-size // SLICE_BYTES))


async def test_retries_wait_for_the_first(path: Path) -> None:
    """Fifty at the same moment: one story, one charge, fifty times the same answer."""
    async with serving(path) as desk:
        clients = [Client() for _ in range(50)]
        asking = [desk.begin(one) for one in clients]
        telling = await begun(desk)
        await desk.settled()
        assert [one.has_begun for one in clients] == [False] * 50
        assert [one.abandonable for one in clients] == [False] + [True] * 49
        telling.go.set()
        await all_of(*asking)
        assert len(desk.told) == 1
        assert {one.request_id for one in clients} == {telling.request_id}
        assert [one.is_replayed for one in clients] == [False] + [True] * 49
        assert [one.abandonable for one in clients] == [False] * 50
        assert await desk.charges() == [(telling.request_id, 7)]


async def test_each_api_key_has_its_own_keys(path: Path) -> None:
    """Two API keys may use the same word; neither hears the other's answer."""
    async with serving(path) as desk:
        one, other = Client(), Client()
        await desk.ask(one, Story(body=b"one"))
        await desk.ask(other, Story(body=b"other"), key_id="key_2")
        assert [bytes(one.heard), bytes(other.heard)] == [b"one", b"other"]


async def test_a_stream_may_be_abandoned_a_plain_answer_not(path: Path) -> None:
    """What the story says of leaving clients reaches the transport through the recording."""
    async with serving(path) as desk:
        for streamed in (False, True):
            x = Client(key=f"{streamed}")
            await desk.ask(x, Story(streamed=streamed))
            assert x.abandonable is streamed


# -- another request with the same key


@pytest.mark.parametrize(
    "other", [Client(body=b"[]"), Client(path="/v1/embeddings"), Client(path="/api" + CHAT)]
)
@pytest.mark.parametrize("moment", ["under way", "kept", "gone"])
async def test_a_key_is_for_one_request(path: Path, other: Client, moment: str) -> None:
    """Another body or path is refused, naming the first, at every moment of the first's life."""
    async with serving(path) as desk:
        first = desk.begin(Client())
        telling = await begun(desk)
        if moment != "under way":
            telling.go.set()
            await first
        if moment == "gone":
            desk.forget_all()
        with pytest.raises(KeyReused) as refused:
            await desk.ask(other)
        assert refused.value.answer_status == 422
        assert telling.request_id in refused.value.message
        assert refused.value.more == {"request_id": telling.request_id}
        assert not other.has_begun
        telling.go.set()
        assert await first == telling.request_id
        assert await desk.charges() == [(telling.request_id, 7)]


async def test_a_form_is_the_same_in_other_wrapping(path: Path) -> None:
    """A client draws the boundary of a form anew for each retry: what counts is what is in it."""

    def form(name: str) -> Client:
        sent = httpx.Request(
            "POST", "http://x", files={"file": ("a.wav", b"RIFF" * 9)}, data={"model": name}
        )
        return Client("form", sent.read(), content_type=sent.headers["content-type"])

    async with serving(path) as desk:
        first, again = form("whisper"), form("whisper")
        assert first.body != again.body
        await desk.ask(first, Story())
        await desk.ask(again)
        assert again.told == first.told
        with pytest.raises(KeyReused):
            await desk.ask(form("whisper-2"))


async def test_a_large_body_is_told_apart_to_its_end(path: Path) -> None:
    """Also where it is hashed elsewhere, the last byte counts."""
    large = bytes(LARGE_BODY_BYTES)
    async with serving(path) as desk:
        await desk.ask(Client(body=large + b"a"), Story())
        with pytest.raises(KeyReused):
            await desk.ask(Client(body=large + b"b"))
        again = Client(body=large + b"a")
        await desk.ask(again)
        assert again.is_replayed


ODD_TYPES = (
    "boundary=",
    'boundary=""',
    "boundary*0=a; boundary*1=b",
    "boundary*=utf-8''%ff",
    "boundary=\udcff",
    "boundary=-",
)


@settings(max_examples=10)
@given(st.lists(st.tuples(st.sampled_from(ODD_TYPES) | st.text(), st.binary()), max_size=20))
def test_any_request_has_a_digest(asked: list[tuple[str, bytes]]) -> None:
    """No header and no body keep a request from being told apart from others."""

    async def check() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with serving(Path(folder) / "books.db") as desk:
                for number, (parameter, body) in enumerate(asked):
                    kind = f"multipart/mixed; {parameter}" if number % 2 else parameter
                    x, again = (Client(f"{number}", body, content_type=kind) for _ in range(2))
                    await desk.ask(x, Story())
                    await desk.ask(again)
                    assert again.told == x.told

    asyncio.run(check())


# -- what is no longer here


async def gone_by_age(desk: Desk) -> None:
    desk.clock.s += KEEP_S


async def gone_by_restart(desk: Desk) -> None:
    desk.forget_all()


async def gone_by_others(desk: Desk) -> None:
    for number in range(4):
        large = Story(body=bytes(MAX_BYTES // LARGEST_PART - 2 * OVERHEAD_BYTES), charge=None)
        await desk.ask(Client(f"other {number}"), large)
    await desk.ask(Client("more"), Story(body=bytes(8 * OVERHEAD_BYTES), charge=None))


@pytest.mark.parametrize("gone", [gone_by_age, gone_by_restart, gone_by_others])
async def test_an_answer_that_is_gone(path: Path, gone: Callable[[Desk], Awaitable[None]]) -> None:
    """409 with the first request's id; nothing is sent to anybody, nothing charged."""
    async with serving(path) as desk:
        request_id = await desk.ask(Client(), Story())
        await gone(desk)
        told = len(desk.told)
        for _ in range(2):
            x = Client()
            with pytest.raises(AlreadyAnswered) as refused:
                await desk.ask(x)
            assert refused.value.answer_status == 409
            assert request_id in refused.value.message
            assert not x.has_begun
        assert len(desk.told) == told
        assert await desk.charges() == [(request_id, 7)]


async def test_a_server_that_was_killed(path: Path) -> None:
    """It died before its answer: the next one charges what was held, and says 409."""

    def die() -> None:
        with closing(opened_store(path)) as store:
            killed(store, replace(attempt("req_dead.1", 50), request_id="req_dead"))
            with store.transaction():
                store.claims.claim(Claim("key_1", "k", DIGEST, "req_dead", NOW_NS))

    await asyncio.to_thread(die)
    async with serving(path) as desk:
        with pytest.raises(AlreadyAnswered, match="req_dead"):
            await desk.ask(Client())
        with pytest.raises(KeyReused, match="req_dead"):
            await desk.ask(Client(body=b"other"))
        assert await desk.charges() == [("req_dead", 50)]


async def test_kept_until_its_time_is_over(path: Path) -> None:
    """A moment before, it is replayed; being replayed does not make it younger."""
    async with serving(path) as desk:
        await desk.ask(Client(), Story())
        for _ in range(2):
            desk.clock.s += KEEP_S / 2 - 1
            x = Client()
            await desk.ask(x)
            assert x.is_replayed
        desk.clock.s += 2
        with pytest.raises(AlreadyAnswered):
            await desk.ask(Client())
        assert desk.replays.kept_bytes == 0


async def test_the_last_used_may_be_the_oldest(path: Path) -> None:
    """An answer that is too old is gone, also where younger ones would leave before it."""
    async with serving(path) as desk:
        await desk.ask(Client("old"), Story())
        desk.clock.s += KEEP_S / 2
        await desk.ask(Client("young"), Story())
        await desk.ask(Client("old"))
        desk.clock.s += KEEP_S / 2
        with pytest.raises(AlreadyAnswered):
            await desk.ask(Client("old"))
        young = Client("young")
        await desk.ask(young)
        assert young.is_replayed
        assert OVERHEAD_BYTES <= desk.replays.kept_bytes < 2 * OVERHEAD_BYTES


async def test_the_next_day_a_key_is_new(path: Path) -> None:
    """A day after its claim a key may stand for something else."""
    async with serving(path) as desk:
        await desk.ask(Client(), Story())
        desk.clock.s += DAY_S - 1
        with pytest.raises(AlreadyAnswered):
            await desk.ask(Client())
        desk.clock.s += 1
        x = Client(body=b"new")
        await desk.ask(x, Story(body=b"new"))
        assert x.heard == b"new"


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_that_is_too_large_to_keep(path: Path, *, streamed: bool) -> None:
    """It reaches its client whole; a retry is told that it is gone, also one that has waited."""
    body = bytes(MAX_BYTES // LARGEST_PART)
    async with serving(path) as desk:
        first, waiting = Client(), Client()
        asking = [desk.begin(one) for one in (first, waiting)]
        telling = await begun(desk)
        telling.story = Story(body=body, streamed=streamed, slices=1)
        telling.go.set()
        _, refused = await all_of(*asking)
        assert isinstance(refused, AlreadyAnswered)
        assert first.heard.startswith(body)
        assert first.has_ended
        assert desk.replays.kept_bytes == 0


async def test_a_client_that_leaves_a_stream(path: Path) -> None:
    """It was never whole: a retry gets 409 and no charge; what was delivered is charged once."""
    async with serving(path) as desk:
        leaving, waiting = Client(leaves_after=2), Client()
        asking = [desk.begin(one) for one in (leaving, waiting)]
        telling = await begun(desk)
        telling.story = Story(streamed=True)
        telling.go.set()
        left, refused = await all_of(*asking)
        assert isinstance(left, ConnectionError)
        assert isinstance(refused, AlreadyAnswered)
        with pytest.raises(AlreadyAnswered, match=telling.request_id):
            await desk.ask(Client())
        assert await desk.charges() == [(telling.request_id, 7)]
        assert desk.replays.kept_bytes == 0


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_leaves_at_the_last_byte(path: Path, *, streamed: bool) -> None:
    """The answer is whole and charged: its retry gets it."""

    async with serving(path) as desk:
        with pytest.raises(ConnectionError):
            await desk.ask(Client(leaves_after=3 if streamed else 0), Story(streamed=streamed))
        again = Client()
        await desk.ask(again)
        assert again.has_ended
        assert again.heard == (b"hello" * 3 + b"[DONE]" if streamed else b"hello")
        assert len(await desk.charges()) == 1


# -- memory


def test_answers_are_bounded_in_number() -> None:
    """However small they are, the first to leave is the one that nobody has used for longest."""
    shelf = Shelf(Hands(), KEEP_S, max_bytes=1 << 40)
    claim = Claim("key_1", "k", b"", "req_1", NOW_NS)
    kept = Kept(claim, Answer(200, [], b"", is_stream=False), 1, 0.0)
    for number in range(MOST_ANSWERS + 1):
        assert shelf.take(1, 0)
        shelf.put(("key_1", f"{number}"), kept)
        assert shelf.find(("key_1", "0")) is kept
    assert shelf.taken_bytes == MOST_ANSWERS
    assert shelf.find(("key_1", "1")) is None
    assert shelf.find(("key_1", "2")) is kept


@settings(max_examples=15)
@given(st.lists(st.tuples(st.sampled_from("abcdefghij"), st.integers(0, 1000)), max_size=40))
@example([("a", 900), ("b", 900), ("c", 900), ("d", 900), ("a", 0), ("e", 900), ("a", 0), ("b", 0)])
def test_the_least_recently_used_leaves_first(asked: list[tuple[str, int]]) -> None:
    """Who is replayed, and who is gone, is what a list in order of use says; and never more bytes
    than there may be."""
    max_bytes = 8 * OVERHEAD_BYTES

    def size_of(x: Client) -> int:
        headers = sum(len(name) + len(value) for name, value in x.answer_headers)
        return OVERHEAD_BYTES + headers + len(x.heard)

    async def check() -> None:
        sizes: dict[str, int] = {}  # last used last
        used: set[str] = set()
        with tempfile.TemporaryDirectory() as folder:
            async with serving(Path(folder) / "books.db", max_bytes=max_bytes) as desk:
                for key, body_bytes in asked:
                    x = Client(key)
                    asking = desk.ask(x, Story(body=bytes(body_bytes)))
                    if key in sizes:
                        await asking
                        assert x.is_replayed
                        sizes[key] = sizes.pop(key)
                    elif key in used:
                        with pytest.raises(AlreadyAnswered):
                            await asking
                    else:
                        await asking
                        assert not x.is_replayed
                        if size_of(x) <= max_bytes // LARGEST_PART:
                            sizes[key] = size_of(x)
                    used.add(key)
                    while sum(sizes.values()) > max_bytes:
                        del sizes[next(iter(sizes))]
                    assert desk.replays.kept_bytes == sum(sizes.values())

    asyncio.run(check())


async def test_what_is_being_written_takes_room_too(path: Path) -> None:
    """However many streams are under way, they take no more memory than there may be; those for
    which there was none reach their clients whole, but are not kept."""
    part = MAX_BYTES // LARGEST_PART - 2 * OVERHEAD_BYTES
    async with serving(path) as desk:
        await desk.ask(Client("before"), Story(body=bytes(8 * OVERHEAD_BYTES)))
        asking = [desk.begin(Client(f"{number}")) for number in range(8)]
        for number in range(8):
            telling = await begun(desk, number + 2)
            telling.story = Story(body=bytes(part), streamed=True, slices=1)
        for telling in desk.told:
            telling.go.set()
            assert desk.replays.kept_bytes <= MAX_BYTES
        most = 0
        while not all(one.done() for one in asking):
            await asyncio.sleep(0)
            most = max(most, desk.replays.kept_bytes)
        assert LARGEST_PART * part < most <= MAX_BYTES
        found = 0
        for number in range(8):
            again = Client(f"{number}")
            try:
                await desk.ask(again)
            except AlreadyAnswered:
                continue
            assert again.heard == bytes(part) + b"[DONE]"
            found += 1
        assert 1 <= found <= LARGEST_PART
        with pytest.raises(AlreadyAnswered):
            await desk.ask(Client("before"))


async def test_without_memory_nothing_is_replayed(path: Path) -> None:
    """With no room at all, a request is still charged only once."""
    async with serving(path, max_bytes=0) as desk:
        first = Client()
        await desk.ask(first, Story())
        assert first.heard == b"hello"
        with pytest.raises(AlreadyAnswered):
            await desk.ask(Client())


# -- errors


async def test_an_error_that_cost_nothing_frees_the_key(path: Path) -> None:
    """Every retry runs anew, also with another body, until one is answered."""
    async with serving(path) as desk:
        for status in (400, 402, 429, 503):
            x = Client(body=str(status).encode())
            await desk.ask(x, Story(status=status, charge=None))
            assert x.status == status
            assert not x.is_replayed
            assert USELESS not in x.answer_headers
        request_id = await desk.ask(Client(), Story())
        again = Client()
        await desk.ask(again)
        assert again.request_id == request_id
        assert await desk.charges() == [(request_id, 7)]
        assert desk.replays.kept_bytes < 2 * OVERHEAD_BYTES


async def test_an_error_of_a_free_model_frees_the_key(path: Path) -> None:
    """A charge of zero is nothing; an answer that cost nothing is still the key's only one."""
    async with serving(path) as desk:
        await desk.ask(Client(), Story(status=504, charge=0))
        await desk.ask(Client(), Story(charge=0))
        desk.forget_all()
        with pytest.raises(AlreadyAnswered):
            await desk.ask(Client())


async def test_an_error_that_was_charged_is_the_answer(path: Path) -> None:
    """A provider that may have billed is not asked again by a retry: it gets the same error."""
    async with serving(path) as desk:
        first, again = Client(), Client()
        request_id = await desk.ask(first, Story(status=504, body=b"late", charge=50))
        await desk.ask(again)
        assert again.is_replayed
        assert again.told == first.told
        for x in (first, again):
            assert [one for one in x.answer_headers if one[0] == "x-should-retry"] == [USELESS]
        desk.forget_all()
        with pytest.raises(AlreadyAnswered):
            await desk.ask(Client())
        assert await desk.charges() == [(request_id, 50)]


async def test_an_error_whose_charge_is_not_known_yet(path: Path) -> None:
    """While a hold of the request is open, it may still be charged: the key is not free."""
    async with serving(path) as desk:
        held = replace(attempt("late.1", 50), request_id="req_1")

        async def story(x: Exchange) -> None:
            await desk.book.hold(held)
            await x.answer(504, [], b"late")

        first = Client()
        await desk.replays.once(first, "key_1", "req_1", story)
        assert first.answer_headers == [USELESS]
        again = Client()
        await desk.ask(again)
        assert again.told[:3] == (504, [], b"late")


async def test_one_that_waited_runs_at_a_time(path: Path) -> None:
    """After an error that cost nothing the first that waited runs, the others wait for it."""
    async with serving(path) as desk:
        clients = [Client() for _ in range(5)]
        asking = [desk.begin(one) for one in clients]
        for number in (1, 2, 3):
            telling = await begun(desk, number)
            await desk.settled()
            assert len(desk.told) == number
            assert [one.has_begun for one in clients] == [True] * (number - 1) + [False] * (
                6 - number
            )
            telling.story = Story(status=429, charge=None) if number < 3 else Story()
            telling.go.set()
        await all_of(*asking)
        assert [one.status for one in clients] == [429, 429, 200, 200, 200]
        assert [one.is_replayed for one in clients] == [False] * 3 + [True] * 2
        assert await desk.charges() == [(desk.told[2].request_id, 7)]


@pytest.mark.parametrize("charge", [None, 7])
async def test_a_story_that_raises(path: Path, charge: int | None) -> None:
    """Without an answer there is nothing to replay; the key is free if nothing was charged."""
    async with serving(path) as desk:
        with pytest.raises(RuntimeError, match="a fault"):
            await desk.ask(Client(), Story(charge=charge, raises=RuntimeError))
        if charge is None:
            await desk.ask(Client(), Story())
        else:
            with pytest.raises(AlreadyAnswered):
                await desk.ask(Client())
        assert len(await desk.charges()) == 1


# -- clients that leave while they wait


async def cancelled(asking: asyncio.Task[str]) -> None:
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_one_that_waits_may_leave(path: Path) -> None:
    """Neither the first nor the others that wait notice."""
    async with serving(path) as desk:
        clients = [Client() for _ in range(4)]
        first, leaving, *others = [desk.begin(one) for one in clients]
        telling = await begun(desk)
        await desk.settled()
        await cancelled(leaving)
        telling.go.set()
        assert await all_of(first, *others)
        assert [one.has_ended for one in clients] == [True, False, True, True]
        assert len(desk.told) == 1


async def test_the_next_in_line_may_leave_as_it_is_called(path: Path) -> None:
    """It leaves in the same moment in which the first fails: the one behind it runs."""
    async with serving(path) as desk:
        clients = [Client() for _ in range(3)]
        first, second, third = [desk.begin(one) for one in clients]
        telling = await begun(desk)
        await desk.settled()
        telling.story = Story(status=500, charge=None)
        telling.go.set()
        await first
        await cancelled(second)
        telling = await begun(desk, 2)
        telling.go.set()
        assert await third == telling.request_id
        assert clients[2].status == 200


@pytest.mark.parametrize("charge", [None, 7])
async def test_the_first_is_cancelled(path: Path, charge: int | None) -> None:
    """By the end of a drain, or by a client that leaves its stream: if that cost nothing, the next
    in line runs; else it is told 409. Nobody hangs."""
    async with serving(path) as desk:
        first, second = [desk.begin(Client()) for _ in range(2)]
        telling = await begun(desk)
        await desk.settled()
        telling.story = Story(charge=charge)
        await cancelled(first)
        if charge is None:
            telling = await begun(desk, 2)
            telling.go.set()
            await second
        else:
            with pytest.raises(AlreadyAnswered, match=telling.request_id):
                await second
        assert await desk.charges() == [(telling.request_id, 7)]


@pytest.mark.parametrize("steps", range(12))
async def test_cancelled_at_any_moment(path: Path, steps: int) -> None:
    """However far it has come with the books, one that is cancelled leaves no key taken for
    nothing, no waiter waiting, and no memory taken."""
    async with serving(path) as desk:
        first, second = [asyncio.create_task(desk.ask(Client(), Story())) for _ in range(2)]
        for step in range(steps):
            await (desk.book.ready() if step % 2 else asyncio.sleep(0))
        first.cancel()
        ended = await all_of(first, second)
        assert all(isinstance(one, str | asyncio.CancelledError | ProxyError) for one in ended)
        again = Client()
        try:
            await desk.ask(again, Story())
        except AlreadyAnswered:
            assert len(await desk.charges()) == 1
        else:
            assert again.has_ended
        desk.clock.s += KEEP_S
        await desk.ask(Client("another"), Story(body=b""))
        assert desk.replays.kept_bytes < 2 * OVERHEAD_BYTES


# -- books that cannot be written


@contextmanager
def written_by_another(path: Path) -> Iterator[None]:
    """While this lasts, another program has the write lock, and every write of ours fails."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_without_books_nothing_runs(path: Path) -> None:
    """A key that cannot be written down is not used: nobody is asked, those that wait hear it."""
    async with serving(path, busy_timeout_s=0) as desk:
        with written_by_another(path):
            asking = [asyncio.create_task(desk.ask(Client(), Story())) for _ in range(3)]
            ended = await all_of(*asking)
            assert [type(one) for one in ended] == [StoreUnavailable] * 3
        assert desk.told == []
        await desk.ask(Client(), Story())
        assert len(await desk.charges()) == 1


async def test_books_that_fail_at_the_end_of_an_error(path: Path) -> None:
    """The client has its error all the same, and once the books are back the key is free."""
    x = Client()
    async with serving(path, busy_timeout_s=0) as desk:
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as lock:

            async def story(given: Exchange) -> None:
                await asyncio.to_thread(lock.execute, "BEGIN IMMEDIATE")
                await given.answer(503, [], b"no books")

            await desk.replays.once(x, "key_1", "req_1", story)
            assert x.told[:3] == (503, [], b"no books")
            await asyncio.to_thread(lock.execute, "ROLLBACK")
        await desk.settled()
        again = Client()
        await desk.ask(again, Story())
        assert again.heard == b"hello"


# -- what is a key

ODD_KEYS = ("", " ", "k" * KEY_LIMIT, "k" * (KEY_LIMIT + 1), "\x7f", "a\nb", "\udc80", "cl\u00e9")


@settings(max_examples=10)
@given(st.sets(st.sampled_from(ODD_KEYS) | st.text(), max_size=20))
@example(set(ODD_KEYS))
def test_what_is_a_key(keys: set[str]) -> None:
    """1 to 255 printable characters; anything else is refused before anything happens."""

    async def check() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with serving(Path(folder) / "books.db") as desk:
                for key in keys:
                    told = len(desk.told)
                    if key.isprintable() and 1 <= len(key) <= KEY_LIMIT:
                        await desk.ask(Client(key), Story())
                        again = Client(key)
                        await desk.ask(again)
                        assert again.is_replayed
                    else:
                        with pytest.raises(Invalid) as refused:
                            await desk.ask(Client(key), Story())
                        assert refused.value.param == "Idempotency-Key"
                        assert len(desk.told) == told

    asyncio.run(check())


# -- all of it, in any order

Name = tuple[str, str]
NAMES: tuple[Name, ...] = (("key_1", "a"), ("key_1", "b"), ("key_2", "a"))
STORIES = {
    "plain": Story(),
    "stream": Story(streamed=True),
    "free": Story(charge=0),
    "refused": Story(status=429, charge=None),
    "free error": Story(status=504, charge=0),
    "charged error": Story(status=504, charge=9),
    "fault": Story(charge=None, raises=RuntimeError),
    "charged fault": Story(charge=9, raises=RuntimeError),
    "left": Story(streamed=True, charge=3, slices=99),
}
PATIENT = 50
"""Writes after which every client of the machine has left."""


@dataclass(eq=False)
class Asked:
    """A request; `end` is what the model says became of it: whose answer, or which error."""

    name: Name
    x: Client
    task: asyncio.Task[str]
    end: str | type[BaseException] | None = None
    first_id: str = ""


@dataclass
class Line:
    """All that the model knows of one key."""

    holder: tuple[str, bytes, float] | None = None  # request id, body, since
    kept: tuple[Asked, float] | None = None
    running: Asked | None = None
    waiting: list[Asked] = field(default_factory=list)


class Retries(RuleBasedStateMachine):
    """Requests, retries, ends, clients that leave, restarts and time, against a naive model."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "books.db"
        self.store = opened_store(path)
        self.clock = Hands()
        self.runner = asyncio.Runner()
        self.lines = {name: Line() for name in NAMES}
        self.asked: list[Asked] = []
        self.charges: list[tuple[str, int]] = []
        self.stories = 0
        self.runner.run(self._open(path))

    async def _open(self, path: Path) -> None:
        book = opened_book(self.store, path, now_ns=self.clock.now_ns)
        self.desk = Desk(book, self.clock, path, KEEP_S, MAX_BYTES)

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        with self.runner:
            self.runner.run(self._close())
        self.folder.cleanup()

    async def _close(self) -> None:
        pending = [one.task for one in self.asked if not one.task.done()]
        for telling in self.desk.told:
            telling.story = replace(telling.story, charge=None)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        try:
            assert sorted(await self.desk.charges()) == sorted(self.charges)
        finally:
            await self.desk.book.close()

    # -- what happens

    @rule(name=st.sampled_from(NAMES), body=st.sampled_from([b"x", b"x", b"x", b"y"]))
    def ask(self, name: Name, body: bytes) -> None:
        async def ask() -> Asked:
            x = Client(name[1], body, leaves_after=PATIENT)
            return Asked(name, x, self.desk.begin(x, key_id=name[0]))

        one = self.runner.run(ask())
        self.asked.append(one)
        self.arrives(one)
        self.check()

    @precondition(lambda self: self.running())
    @rule(data=st.data(), kind=st.sampled_from(sorted(STORIES)))
    def end(self, data: st.DataObject, kind: str) -> None:
        one = data.draw(st.sampled_from(self.running()))
        story, telling = STORIES[kind], self.telling(one)
        telling.story = story
        self.runner.run(self._let_go(telling))
        one.end = telling.request_id
        one.end = story.raises or (ConnectionResetError if kind == "left" else one.end)
        self.ends(one, is_whole=isinstance(one.end, str))
        self.check()

    async def _let_go(self, telling: Telling) -> None:
        telling.go.set()

    @precondition(lambda self: self.pending())
    @rule(data=st.data(), charge=st.sampled_from([None, 0, 5]))
    def leave(self, data: st.DataObject, charge: int | None) -> None:
        one = data.draw(st.sampled_from(self.pending()))
        line = self.lines[one.name]
        one.end = asyncio.CancelledError
        if one is line.running:
            self.telling(one).story = Story(charge=charge)
        self.runner.run(self._cancel(one))
        if one is line.running:
            self.ends(one, is_whole=False)
        else:
            line.waiting.remove(one)
        self.check()

    async def _cancel(self, one: Asked) -> None:
        one.task.cancel()

    @rule(seconds=st.sampled_from([1.0, KEEP_S / 2, KEEP_S, DAY_S - KEEP_S, DAY_S]))
    def time_passes(self, seconds: float) -> None:
        self.clock.s += seconds

    @precondition(lambda self: not self.pending())
    @rule()
    def restart(self) -> None:
        self.desk.forget_all()
        for line in self.lines.values():
            line.kept = None

    # -- what should become of it

    def arrives(self, one: Asked) -> None:
        line, body = self.lines[one.name], one.x.body
        if line.kept is not None and self.clock.s - line.kept[1] >= KEEP_S:
            line.kept = None
        if line.holder is not None and line.running is None and line.kept is None:
            is_over = self.clock.s - line.holder[2] >= DAY_S
            line.holder = None if is_over else line.holder
        if line.holder is not None and line.holder[1] != body:
            one.end, one.first_id = KeyReused, line.holder[0]
        elif line.kept is not None:
            one.end = str(line.kept[0].end)
        elif line.running is not None:
            line.waiting.append(one)
        elif line.holder is not None:
            one.end, one.first_id = AlreadyAnswered, line.holder[0]
        else:
            line.running = one
            self.stories += 1
            self.check()
            line.holder = (self.desk.told[-1].request_id, body, self.clock.s)

    def ends(self, one: Asked, *, is_whole: bool) -> None:
        line, telling = self.lines[one.name], self.telling(one)
        story, waiting = telling.story, line.waiting
        line.running, line.waiting = None, []
        if story.charge is not None:
            self.charges.append((telling.request_id, story.charge))
        if is_whole and (story.status < 400 or story.charge):
            line.kept = (one, self.clock.s)
        elif not story.charge:
            line.holder = None
        for other in waiting:
            self.arrives(other)

    # -- what became of it

    def running(self) -> list[Asked]:
        return [one.running for one in self.lines.values() if one.running is not None]

    def pending(self) -> list[Asked]:
        return [*self.running(), *(one for line in self.lines.values() for one in line.waiting)]

    def telling(self, one: Asked) -> Telling:
        line = self.lines[one.name]
        assert line.holder is not None
        return next(told for told in self.desk.told if told.request_id == line.holder[0])

    def check(self) -> None:
        self.runner.run(self._until_so())
        assert len(self.desk.told) == self.stories
        for one in self.asked:
            if one.end is None:
                assert not one.task.done()
                assert not one.x.has_begun
            elif isinstance(one.end, str):
                first = self.answered_first(one.end)
                assert one.task.result()
                assert one.x.told == first.told
                assert one.x.request_id == one.end
                assert one.x.is_replayed is (one.x is not first)
            elif one.end is asyncio.CancelledError:
                assert one.task.cancelled()
            else:
                error = one.task.exception()
                assert type(error) is one.end
                assert one.first_id in str(error)

    async def _until_so(self) -> None:
        """Until what should happen has happened, and whatever else might has had its time."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.desk.told) < self.stories or not all(
                one.task.done() for one in self.asked if one.end is not None
            ):
                await self.desk.settled(1)
        await self.desk.settled()

    def answered_first(self, request_id: str) -> Client:
        return next(one.x for one in self.asked if one.end == request_id)


Retries.TestCase.settings = settings(max_examples=30, stateful_step_count=30)
TestRetries = Retries.TestCase

"""Replay: a recorded trace as live HTTP requests, and what came of each."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import string
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from benchmarks.trace import TraceRow

MAX_CONCURRENCY = 10_000
MAX_ANSWER_BYTES = 32 * 1024 * 1024
WORD_BYTES = 5
"""Every word of a prompt is four letters and a space: there are never more tokens than bytes."""
_PROMPT_STARTS = 997

CONNECTION_FAILED = "connection_failed"
TIMED_OUT = "timed_out"
NOT_READABLE = "not_readable"
TOO_LARGE = "too_large"
INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one request; None is what we were not told.

    status: of the answer's head; None if there was none.
    request_id, provider: the headers x-request-id and x-hedgerow-provider.
    error_code: None if all is well; `code` (or `type`) of an error answer, or of an error inside a
        stream; or connection_failed, timed_out, not_readable, too_large, incomplete, as seen here.
    complete: the answer came to its own end: finish_reason and, for a stream, [DONE].
    ttft_ms: to the first content of a stream; a plain answer has no first token.
    late_ms: how much later than planned it was sent, because `concurrency` were under way.
    """

    row: TraceRow
    streamed: bool
    late_ms: float
    total_ms: float
    status: int | None = None
    request_id: str | None = None
    provider: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    error_code: str | None = None
    complete: bool = False
    ttft_ms: float | None = None

    @property
    def succeeded(self) -> bool:
        return self.status == 200 and self.complete and self.error_code is None


@dataclass(frozen=True)
class ReplayResult:
    """The outcomes in the order of the trace, and their sums (over what was reported)."""

    outcomes: tuple[Outcome, ...]
    seconds: float

    @cached_property
    def succeeded(self) -> int:
        return sum(one.succeeded for one in self.outcomes)

    @cached_property
    def prompt_tokens(self) -> int:
        return sum(one.prompt_tokens or 0 for one in self.outcomes)

    @cached_property
    def completion_tokens(self) -> int:
        return sum(one.completion_tokens or 0 for one in self.outcomes)

    @cached_property
    def by_status(self) -> Counter[int | None]:
        return Counter(one.status for one in self.outcomes)

    @cached_property
    def by_provider(self) -> Counter[str]:
        """Requests that succeeded, by the provider that the answer names."""
        return Counter(one.provider for one in self.outcomes if one.succeeded and one.provider)

    @cached_property
    def by_error(self) -> Counter[str]:
        return Counter(one.error_code for one in self.outcomes if one.error_code)


async def replay(
    rows: Sequence[TraceRow],
    *,
    base_url: str,
    keys: Sequence[str],
    model: str,
    session: aiohttp.ClientSession,
    speedup: float = 1.0,
    streamed_share: float = 0.5,
    concurrency: int = 64,
    seed: int = 0,
    max_tokens: int = 4_096,
    timeout_s: float = 120.0,
    on_progress: Callable[[int, int], None] | None = None,
    allow_remote: bool = False,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> ReplayResult:
    """Sends `rows` to `base_url` (ending in /v1) as chat completions, and waits for every answer.

    Open loop: a request goes out at its time in the trace divided by `speedup` (`math.inf`: as soon
    as there is room), whether or not earlier ones are done; only `concurrency` holds it back. Which
    key it uses, whether it is streamed and its prompt depend on `seed` and its place alone. The
    session's connector should have room for `concurrency` connections.

    `on_progress` is called with (done, all) after each answer. A failed request is an outcome,
    never an exception. Raises ValueError for settings that make no sense, and for a host that is
    not this machine unless `allow_remote`: a replay costs real money elsewhere.
    """
    url = URL(base_url) / "chat" / "completions"
    _check(url, keys, speedup, streamed_share, concurrency, max_tokens, allow_remote=allow_remote)
    client = _Client(url, model, max_tokens, session, aiohttp.ClientTimeout(timeout_s), clock)
    room = asyncio.Semaphore(concurrency)
    outcomes: dict[int, Outcome] = {}

    async def run(place: int, planned: _Planned, due: float) -> None:
        try:
            outcomes[place] = await client.send(planned, due)
        finally:
            room.release()
        if on_progress is not None:
            on_progress(len(outcomes), len(rows))

    began = clock()
    async with asyncio.TaskGroup() as under_way:
        for place, planned in enumerate(_plan(rows, keys, streamed_share, seed)):
            due = began + planned.row.t_seconds / speedup
            if due > clock():
                await sleep(due - clock())
            # Taken before the task exists, so that there are never more tasks than there is room.
            await room.acquire()
            under_way.create_task(run(place, planned, due))
    return ReplayResult(tuple(outcomes[place] for place in range(len(rows))), clock() - began)


def is_loopback(host: str | None) -> bool:
    """True for `localhost` and for the addresses of this machine's loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _check(
    url: URL,
    keys: Sequence[str],
    speedup: float,
    streamed_share: float,
    concurrency: int,
    max_tokens: int,
    *,
    allow_remote: bool,
) -> None:
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"base URL {url.parent.parent}: write http://HOST:PORT/v1")
    if not allow_remote and not is_loopback(url.host):
        raise ValueError(
            f"{url.host} is not this machine, and a replay there costs real money: "
            "name a loopback address, or allow remote ones"
        )
    if not keys:
        raise ValueError("no keys: a replay needs at least one")
    if not speedup > 0:
        raise ValueError(f"speedup {speedup}: it has to be more than 0")
    if not 0 <= streamed_share <= 1:
        raise ValueError(f"streamed_share {streamed_share}: it is 0 to 1")
    if not 1 <= concurrency <= MAX_CONCURRENCY:
        raise ValueError(f"concurrency {concurrency}: it is 1 to {MAX_CONCURRENCY}")
    if max_tokens < 1:
        raise ValueError(f"max_tokens {max_tokens}: it has to be at least 1")


@dataclass(frozen=True, slots=True)
class _Planned:
    row: TraceRow
    key: str = field(repr=False)
    streamed: bool
    prompt: str = field(repr=False)


def _plan(
    rows: Sequence[TraceRow], keys: Sequence[str], streamed_share: float, seed: int
) -> Iterator[_Planned]:
    """The requests, in order, with all that is random about them.

    A prompt is a slice of one seeded text: made in no time, and rarely with the start of another,
    so that a provider's prompt cache finds as little as in other people's conversations.
    """
    source = random.Random(seed)  # noqa: S311 - a replay has to be repeatable
    longest = max((row.input_tokens for row in rows), default=0)
    words = _PROMPT_STARTS + longest
    text = " ".join("".join(source.choices(string.ascii_lowercase, k=4)) for _ in range(words))
    for row in rows:
        start = source.randrange(_PROMPT_STARTS)
        prompt = text[start * WORD_BYTES : (start + row.input_tokens) * WORD_BYTES - 1]
        yield _Planned(row, source.choice(keys), source.random() < streamed_share, prompt)


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Error(Struct):
    code: str | int | None = None
    type: str | None = None


class _Delta(Struct):
    content: str | None = None
    tool_calls: list[msgspec.Raw] | None = None


class _Choice(Struct):
    finish_reason: str | None = None
    delta: _Delta = msgspec.field(default_factory=_Delta)


class _Reply(Struct):
    """What we read of a plain answer, of one chunk of a stream and of an error alike."""

    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: _Error | None = None


_reply = msgspec.json.Decoder(_Reply)


@dataclass(slots=True)
class _Reading:
    """What is known of an answer so far; an exchange may end at any point of it."""

    status: int | None = None
    request_id: str | None = None
    provider: str | None = None
    usage: _Usage = field(default_factory=_Usage)
    error_code: str | None = None
    finished: bool = False
    done: bool = False
    first_content_at: float | None = None

    def take(self, data: bytes, at: float) -> None:
        """Reads one JSON value of the answer. Raises msgspec.DecodeError if it is none."""
        reply = _reply.decode(data)
        if reply.usage is not None:
            self.usage = reply.usage
        if reply.error is not None:
            self.error_code = str(reply.error.code or reply.error.type or "error")
        for choice in reply.choices:
            self.finished = self.finished or choice.finish_reason is not None
            if self.first_content_at is None and (choice.delta.content or choice.delta.tool_calls):
                self.first_content_at = at


@dataclass(frozen=True, slots=True)
class _Client:
    url: URL
    model: str
    max_tokens: int
    session: aiohttp.ClientSession
    timeout: aiohttp.ClientTimeout
    clock: Callable[[], float]

    async def send(self, planned: _Planned, due: float) -> Outcome:
        began = self.clock()
        reading = _Reading()
        try:
            await self._exchange(planned, reading)
        except TimeoutError:
            reading.error_code = TIMED_OUT
        except (aiohttp.ClientError, OSError):
            # After the head the answer was cut off; before it there was none.
            reading.error_code = CONNECTION_FAILED if reading.status is None else INCOMPLETE
        except _AnswerTooLarge:
            reading.error_code = TOO_LARGE
        except (msgspec.DecodeError, UnicodeDecodeError):
            reading.error_code = NOT_READABLE
        complete = reading.finished and (reading.done or not planned.streamed)
        if reading.error_code is None and not complete:
            reading.error_code = INCOMPLETE if reading.status == 200 else f"http_{reading.status}"
        first = reading.first_content_at if planned.streamed else None
        return Outcome(
            row=planned.row,
            streamed=planned.streamed,
            late_ms=max(0.0, began - due) * 1000,
            total_ms=(self.clock() - began) * 1000,
            status=reading.status,
            request_id=reading.request_id,
            provider=reading.provider,
            prompt_tokens=reading.usage.prompt_tokens,
            completion_tokens=reading.usage.completion_tokens,
            error_code=reading.error_code,
            complete=complete,
            ttft_ms=None if first is None else (first - began) * 1000,
        )

    async def _exchange(self, planned: _Planned, reading: _Reading) -> None:
        async with self.session.post(
            self.url,
            data=self._body(planned),
            headers={
                "authorization": f"Bearer {planned.key}",
                "content-type": "application/json",
            },
            timeout=self.timeout,
            # A redirect could lead off this machine.
            allow_redirects=False,
        ) as response:
            reading.status = response.status
            reading.request_id = response.headers.get("x-request-id")
            reading.provider = response.headers.get("x-hedgerow-provider")
            if response.content_type == "text/event-stream":
                async for data in _events(response.content):
                    if data == b"[DONE]":
                        reading.done = True
                    else:
                        reading.take(data, self.clock())
            else:
                body = b"".join([chunk async for chunk in _bounded(response.content)])
                reading.take(body, self.clock())

    def _body(self, planned: _Planned) -> bytes:
        body: dict[str, object] = {
            "model": self.model,
            "messages": [{"role": "user", "content": planned.prompt}],
            "max_tokens": self.max_tokens,
            "sandbox": {"output_tokens": planned.row.output_tokens},
        }
        if planned.streamed:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return msgspec.json.encode(body)


class _AnswerTooLarge(Exception):
    pass


async def _bounded(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in content.iter_any():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise _AnswerTooLarge
        yield chunk


async def _events(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The data of each server-sent event; an event that the end cuts off is dropped, as in HTML's
    "Server-sent events", section 9.2.6."""
    rest = b""
    data: list[bytes] = []
    async for chunk in _bounded(content):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in (one.removesuffix(b"\r") for one in lines):
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data = []

"""OwnApi: our own HTTP as any client has it, for probes and evals: a key, a budget, and a pin.

A request that is pinned to an offer names it in a header. What comes back says who answered; an
answer of anybody else is none.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import aiohttp
import msgspec
from msgspec import Struct

from benchmarks.errors import BudgetSpent, NotAnswered
from benchmarks.offers import Offer
from ledger.errors import NotMoney
from ledger.money import Money, usd

T = TypeVar("T")

PIN = "x-hedgerow-offer"
"""The header that names the offer."""
MOST_BYTES = 16 * 2**20
"""Of an answer; a longer one is none."""
_PAYMENT_REQUIRED = 402


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as the model wrote it: `arguments` is text that should be JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A plain chat completion. cost: what it was charged; None if nobody said."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    finish: str | None
    completion_tokens: int | None
    cost: Money | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Vectors:
    """An embedding for each text. cost: as of `Answer`."""

    of: tuple[tuple[float, ...], ...]
    cost: Money | None


@dataclass(frozen=True, slots=True)
class Streamed:
    """A streamed chat completion, as far as it can be timed: what is None was not seen."""

    ttft_ms: float | None
    tokens_per_s: float | None
    completion_tokens: int | None
    cost: Money | None
    seconds: float


class _Function(Struct, frozen=True):
    name: str = ""
    arguments: str = ""


class _Call(Struct, frozen=True):
    function: _Function = _Function()


class _Message(Struct, frozen=True):
    content: str | None = None
    tool_calls: list[_Call] | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Choice(Struct, frozen=True):
    message: _Message = _Message()
    delta: _Message = _Message()
    finish_reason: str | None = None


class _Usage(Struct, frozen=True):
    completion_tokens: int | None = None
    cost: Decimal | None = None


class _Chat(Struct, frozen=True):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: msgspec.Raw | None = None


class _Embedding(Struct, frozen=True):
    embedding: list[float]


class _Embeddings(Struct, frozen=True):
    data: list[_Embedding]


class _Error(Struct, frozen=True):
    message: str | None = None
    code: str | int | None = None
    resets_at: datetime | None = None


class _Refusal(Struct, frozen=True):
    error: _Error


_chat = msgspec.json.Decoder(_Chat)
_embeddings = msgspec.json.Decoder(_Embeddings)
_refusal = msgspec.json.Decoder(_Refusal)


class OwnApi:
    """A key at a base URL (ending in /v1). Every call raises NotAnswered, BudgetSpent."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        key: str,
        monotonic_s: Callable[[], float],
        timeout_s: float = 300.0,
    ) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self._monotonic_s = monotonic_s
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def chat(self, body: Mapping[str, object], pinned: Offer | None = None) -> Answer:
        """A plain completion; of several choices, the first."""
        began_s = self._monotonic_s()
        async with self._asked("/chat/completions", body, pinned) as response:
            found = _decoded(_chat, await _read(response))
            cost = _cost_in(response)
        if not found.choices:
            raise NotAnswered("the answer has no choices")
        choice, usage = found.choices[0], found.usage
        calls = choice.message.tool_calls or ()
        return Answer(
            text=choice.message.content or "",
            tool_calls=tuple(ToolCall(one.function.name, one.function.arguments) for one in calls),
            finish=choice.finish_reason,
            completion_tokens=None if usage is None else usage.completion_tokens,
            cost=cost,
            seconds=self._monotonic_s() - began_s,
        )

    async def embed(self, model: str, texts: Sequence[str]) -> Vectors:
        """A vector for each text, in their order."""
        body = {"model": model, "input": list(texts), "encoding_format": "float"}
        async with self._asked("/embeddings", body, None) as response:
            found = _decoded(_embeddings, await _read(response))
            cost = _cost_in(response)
        if len(found.data) != len(texts):
            raise NotAnswered(f"{len(found.data)} embeddings came for {len(texts)} texts")
        return Vectors(tuple(tuple(one.embedding) for one in found.data), cost)

    async def stream(self, body: Mapping[str, object], pinned: Offer | None = None) -> Streamed:
        """A streamed completion, timed."""
        asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
        began_s = self._monotonic_s()
        first_s = last_s = None
        usage: _Usage | None = None
        async with self._asked("/chat/completions", asked, pinned) as response:
            async for data in _events(response):
                chunk = _decoded(_chat, data)
                if chunk.error is not None:
                    raise _refused(response, data)
                usage = chunk.usage or usage
                if any(_says_something(one.delta) for one in chunk.choices):
                    last_s = self._monotonic_s()
                    first_s = last_s if first_s is None else first_s
        tokens = None if usage is None else usage.completion_tokens
        took_s = 0.0 if first_s is None or last_s is None else last_s - first_s
        return Streamed(
            ttft_ms=None if first_s is None else (first_s - began_s) * 1000,
            tokens_per_s=(tokens - 1) / took_s if tokens and tokens > 1 and took_s > 0 else None,
            completion_tokens=tokens,
            cost=None if usage is None or usage.cost is None else _money(usage.cost),
            seconds=self._monotonic_s() - began_s,
        )

    @asynccontextmanager
    async def _asked(
        self, path: str, body: Mapping[str, object], pinned: Offer | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer of status 200, of whom it was asked from."""
        headers = self._headers if pinned is None else {**self._headers, PIN: pinned.id}
        try:
            async with self._session.post(
                self._base_url + path,
                data=msgspec.json.encode(body),
                headers=headers,
                timeout=self._timeout,
            ) as response:
                if response.status != 200:
                    raise _refused(response, await _read(response))
                _check_pin(response, pinned)
                yield response
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            why = str(error) or type(error).__name__
            raise NotAnswered(f"{self._base_url} has not answered: {why}") from error


def _check_pin(response: aiohttp.ClientResponse, pinned: Offer | None) -> None:
    if pinned is None:
        return
    answered = [response.headers.get(f"x-hedgerow-{name}") for name in ("provider", "model")]
    if answered != [pinned.provider, pinned.model]:
        raise NotAnswered(
            f"{pinned.id} was asked, and {'/'.join(one or '?' for one in answered)} has answered:"
            f" the proxy at {response.url.origin()} does not know the header {PIN}; update it"
        )


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for some in response.content.iter_any():
        body += some
        if len(body) > MOST_BYTES:
            raise NotAnswered(f"the answer is longer than {MOST_BYTES} bytes")
    return bytes(body)


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The data of each event, without the last one's [DONE]."""
    rest, total = b"", 0
    async for some in response.content.iter_any():
        total += len(some)
        if total > MOST_BYTES:
            raise NotAnswered(f"the answer is longer than {MOST_BYTES} bytes")
        *lines, rest = (rest + some).split(b"\n")
        for line in lines:
            data = line.removeprefix(b"data:").strip()
            if line.startswith(b"data:") and data != b"[DONE]":
                yield data


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise NotAnswered(f"the answer cannot be read: {error}") from error


def _says_something(delta: _Message) -> bool:
    return bool(delta.content or delta.tool_calls or delta.reasoning or delta.reasoning_content)


def _refused(response: aiohttp.ClientResponse, body: bytes) -> NotAnswered:
    status = response.status
    try:
        error = _refusal.decode(body).error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return NotAnswered(f"HTTP {status}, and no error that can be read", status)
    code = None if error.code is None else str(error.code)
    why = f"HTTP {status}: {error.message or code or 'no reason given'}"
    if status == _PAYMENT_REQUIRED:
        resets_at = error.resets_at
        if resets_at is not None and resets_at.tzinfo is None:
            resets_at = resets_at.replace(tzinfo=UTC)
        return BudgetSpent(why, status, code, resets_at)
    return NotAnswered(why, status, code, _seconds(response.headers.get("retry-after")))


def _seconds(text: str | None) -> float | None:
    """A delay in seconds; what is none (a date, nonsense) is not there."""
    try:
        seconds = math.nan if text is None else float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _cost_in(response: aiohttp.ClientResponse) -> Money | None:
    text = response.headers.get("x-hedgerow-cost-usd")
    try:
        return None if text is None else _money(Decimal(text))
    except InvalidOperation:
        return None


def _money(amount: Decimal) -> Money | None:
    try:
        return usd(amount)
    except NotMoney:
        return None

"""What every wire of a sandbox provider has in common: requests that it reads, answers it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeVar

import msgspec
from msgspec import Meta, Struct

from benchmarks.sandbox.behaviour import Behaviour, Draws
from benchmarks.sandbox.bill import Bill
from benchmarks.sandbox.cache import PromptCache
from benchmarks.sandbox.faults import Fault
from benchmarks.sandbox.refusal import Refusal, no_json

T = TypeVar("T")

Count = Annotated[int, Meta(ge=1, le=10_000_000)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
JSON = "application/json"
EVENTS = "text/event-stream"
COMMENT = b": keep-alive\n\n"


class Wish(Struct, frozen=True, forbid_unknown_fields=True):
    """What only a sandbox understands: the field `sandbox`, unknown to everybody on the way.

    output_tokens: how long the answer wants to be; thoughts are not among them.
    reasoning_tokens: how long it thinks, where thinking is asked for.
    """

    output_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What the provider brings to one request. words: the prompt, as tokens."""

    behaviour: Behaviour
    draws: Draws
    created: int
    words: list[str]
    cache: PromptCache

    @property
    def id(self) -> str:
        return self.draws.request_id

    @property
    def room(self) -> int:
        """How many tokens the context has left for an answer."""
        return self.behaviour.context_tokens - len(self.words)

    def wished(self, wish: Wish, temperature: float | None, *, begun: int = 0) -> int:
        """How long the whole answer wants to be: as asked; else as drawn, at temperature 0 from
        the prompt alone. begun: so many words at the end of the prompt are its beginning."""
        if wish.output_tokens is not None:
            return wish.output_tokens
        if temperature == 0:
            return self.behaviour.settled_output_tokens(self.words[: len(self.words) - begun])
        return self.draws.output_tokens + begun

    def prompt_bill(self, model: str) -> Bill:
        """What the prompt costs, with automatic caching of prefixes."""
        cached = 0
        if self.behaviour.cache:
            cached = self.cache.cached_tokens(model, self.words)
        return Bill(len(self.words), cached_tokens=cached)


@dataclass(frozen=True, slots=True)
class Plain:
    """An answer that comes at once.

    bill: None for what costs nothing and is not on any bill. write: its body, with or without
    what it says of its usage. steps: tokens that are written one after another.
    """

    bill: Bill | None
    write: Callable[[bool], bytes]
    completion_tokens: int = 0
    steps: int = 0
    content_type: str = JSON


class Stream(Protocol):
    """An answer that comes bit by bit. Its events are made anew for each answer."""

    @property
    def bill(self) -> Bill: ...

    @property
    def content_type(self) -> str: ...

    @property
    def steps(self) -> int:
        """How many tokens are written one after another."""

    def ticks(self, tokens_per_tick: int, *, with_usage: bool) -> Iterator[tuple[bytes, int]]:
        """The body in order, with the tokens that each tick brings; at least one tick.

        A tick is what is sent at once: so many tokens of every choice.
        """

    def closing(self, *, with_usage: bool, with_done: bool) -> bytes:
        """What comes after the body: why it ended, what it used, and the last event."""

    def malformed(self) -> bytes:
        """An event that is broken, and no part of the answer."""

    def error(self) -> bytes:
        """An event that says that the answer failed; nothing comes after it."""


Answer = Plain | Stream


class Asked(Protocol):
    """A request for work."""

    @property
    def model(self) -> str: ...

    @property
    def stream(self) -> bool | None: ...

    @property
    def sandbox(self) -> Wish: ...

    def words(self) -> list[str]:
        """The prompt as tokens, in order."""

    def answer(self, turn: Turn) -> Answer: ...


Read = Callable[[bytes, str], Asked | Refusal]
"""Reads a body of a content type."""


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T | Refusal:
    """What a JSON body says, or why it is refused."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        return Refusal(400, f"Invalid request: {error}.")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return no_json(str(error))


def data_event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def named_event(data: Mapping[str, Any]) -> bytes:
    """An event whose name is its type."""
    name: str = data["type"]
    return b"event: " + name.encode() + b"\n" + data_event(data)


def cut_short(event: bytes) -> bytes:
    """The same event, broken: its JSON ends in the middle."""
    return event[: -(len(event) // 4)].rstrip(b"\n") + b"\n\n"

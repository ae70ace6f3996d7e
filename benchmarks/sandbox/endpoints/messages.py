"""POST /v1/messages and /v1/messages/count_tokens, in Anthropic's words: what is asked."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from benchmarks.sandbox.bill import Bill
from benchmarks.sandbox.cache import BLOCK_TOKENS
from benchmarks.sandbox.endpoints.chat import ResponseFormat, lowest
from benchmarks.sandbox.endpoints.message import MessageAnswer
from benchmarks.sandbox.refusal import Refusal, wrong
from benchmarks.sandbox.wire import Answer, Count, Plain, Temperature, Turn, Wish, decoded
from benchmarks.sandbox.words import Called, say

THOUGHT_TOKENS = 8
"""How long is thought where thinking is asked for and nothing else is wished."""


class CacheControl(Struct, frozen=True):
    ttl: Literal["5m", "1h"] = "5m"


class Block(Struct, frozen=True):
    """A block of a message or of `system`. content: what a tool gave."""

    type: str
    text: str = ""
    content: str | list[Block] | dict[str, Any] | None = None
    cache_control: CacheControl | None = None

    def told(self) -> str:
        if isinstance(self.content, list):
            return " ".join(one.told() for one in self.content)
        return self.content if isinstance(self.content, str) else self.text


Content = str | list[Block]


class Message(Struct, frozen=True):
    role: Literal["user", "assistant", "system"]
    content: Content

    def text(self) -> str:
        """What its author wrote: its text blocks."""
        if isinstance(self.content, str):
            return self.content
        return " ".join(one.text for one in self.content if one.type == "text")


class Tool(Struct, frozen=True):
    name: str


class Thinking(Struct, frozen=True):
    type: str


class OutputConfig(Struct, frozen=True):
    format: ResponseFormat | None = None


class Prompt(Struct, frozen=True, kw_only=True):
    """What is not named here is taken and not looked at."""

    model: str
    messages: Annotated[list[Message], Meta(min_length=1)]
    system: Content | None = None
    tools: list[Tool] | None = None
    cache_control: CacheControl | None = None
    sandbox: Wish = Wish()

    def words(self) -> list[str]:
        """The words of the system prompt, then of all messages; not those of tools."""
        return [word for block in self._blocks() for word in block.told().split()]

    def _blocks(self) -> list[Block]:
        contents = (self.system or "", *(one.content for one in self.messages))
        return [
            block
            for content in contents
            for block in ([Block("text", content)] if isinstance(content, str) else content)
        ]

    def _marked(self) -> tuple[int, CacheControl | None]:
        """So many words at the start are for the cache to keep, by the last that says so."""
        so_far, marked = 0, 0
        by = None
        for block in self._blocks():
            so_far += len(block.told().split())
            if block.cache_control is not None:
                marked, by = so_far, block.cache_control
        return (so_far, self.cache_control) if self.cache_control else (marked, by)


class CountRequest(Prompt, frozen=True, kw_only=True):
    stream = False

    def answer(self, turn: Turn) -> Plain:
        return Plain(None, partial(self._write, turn))

    def _write(self, turn: Turn, _with_usage: bool) -> bytes:
        return msgspec.json.encode({"input_tokens": len(turn.words)})


class MessageRequest(Prompt, frozen=True, kw_only=True):
    max_tokens: Count
    stream: bool | None = False
    temperature: Temperature | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None

    @property
    def prefill(self) -> str:
        """How the answer has begun already."""
        last = self.messages[-1]
        return last.text() if last.role == "assistant" else ""

    def answer(self, turn: Turn) -> Answer:
        form = None if self.output_config is None else self.output_config.format
        said = say(
            turn.wished(self.sandbox, self.temperature, begun=len(self.prefill.split())),
            lowest(self.max_tokens, turn.room),
            called=self._called(),
            as_json=form is not None and form.type == "json_schema",
            voice=turn.behaviour.voice,
            prefill=self.prefill,
            thought_tokens=self._thought_tokens(),
        )
        marked, by = self._marked()
        answer = MessageAnswer(
            id=turn.id,
            model=self.model,
            said=said,
            bill=self._bill(turn, marked),
            kept_for="5m" if by is None else by.ttl,
        )
        return answer if self.stream else answer.plain()

    def _bill(self, turn: Turn, marked: int) -> Bill:
        """What is marked is read from the cache as far as it is there, and written to it from
        there on, in whole blocks."""
        if not turn.behaviour.cache:
            return Bill(len(turn.words))
        read = turn.cache.cached_tokens(self.model, turn.words[:marked])
        written = marked // BLOCK_TOKENS * BLOCK_TOKENS - read
        return Bill(len(turn.words), cached_tokens=read, cache_write_tokens=written)

    def _thought_tokens(self) -> int:
        if self.thinking is None or self.thinking.type not in ("enabled", "adaptive"):
            return 0
        return self.sandbox.reasoning_tokens or THOUGHT_TOKENS

    def _called(self) -> Called | None:
        """The first tool, if there is one and the last message is a user's that says "tool"."""
        last = self.messages[-1]
        if self.tools and last.role == "user" and "tool" in last.text():
            return Called(self.tools[0].name, last.text())
        return None


_decoder = msgspec.json.Decoder(MessageRequest)
_count_decoder = msgspec.json.Decoder(CountRequest)


def read(body: bytes, _content_type: str) -> MessageRequest | Refusal:
    request = decoded(_decoder, body)
    if isinstance(request, MessageRequest) and request.prefill != request.prefill.rstrip():
        return wrong("messages", "final assistant content cannot end with trailing whitespace")
    return request


def read_count(body: bytes, _content_type: str) -> CountRequest | Refusal:
    return decoded(_count_decoder, body)

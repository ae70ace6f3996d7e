"""POST /v1/chat/completions, in OpenAI's words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from benchmarks.sandbox.bill import Bill
from benchmarks.sandbox.refusal import Refusal, server_error
from benchmarks.sandbox.wire import (
    EVENTS,
    Answer,
    Count,
    Plain,
    Temperature,
    Turn,
    Wish,
    cut_short,
    data_event,
    decoded,
)
from benchmarks.sandbox.words import Called, Said, recite, say

MAX_CHOICES = 128
DONE = b"data: [DONE]\n\n"


class Part(Struct, frozen=True):
    type: str
    text: str = ""


class Message(Struct, frozen=True):
    role: str
    content: str | list[Part] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return " ".join(part.text for part in self.content)
        return self.content or ""


class Function(Struct, frozen=True):
    name: str


class Tool(Struct, frozen=True):
    function: Function


class StreamOptions(Struct, frozen=True):
    include_usage: bool = False


class ResponseFormat(Struct, frozen=True):
    type: str


class ChatRequest(Struct, frozen=True):
    """What is not named here is taken and not looked at."""

    model: str
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    n: Annotated[int, Meta(ge=1, le=MAX_CHOICES)] | None = None
    tools: list[Tool] | None = None
    response_format: ResponseFormat | None = None
    temperature: Temperature | None = None
    sandbox: Wish = Wish()

    def words(self) -> list[str]:
        """The words of all messages, in order."""
        return [word for message in self.messages for word in message.text().split()]

    @property
    def usage_asked(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    def answer(self, turn: Turn) -> Answer:
        limit = lowest(self.max_tokens, self.max_completion_tokens, turn.room)
        known = turn.behaviour.answers.get(self._asked()) if turn.draws.is_right else None
        said = (
            recite(known, limit)
            if known is not None
            else say(
                turn.wished(self.sandbox, self.temperature),
                limit,
                called=self._called(),
                as_json=self.response_format is not None
                and self.response_format.type in ("json_object", "json_schema"),
                voice=turn.behaviour.voice,
            )
        )
        answer = ChatAnswer(
            id=turn.id,
            created=turn.created,
            model=self.model,
            choices=self.n or 1,
            said=said,
            bill=turn.prompt_bill(self.model),
            usage_asked=self.usage_asked,
        )
        return answer if self.stream else answer.plain()

    def _called(self) -> Called | None:
        """The first tool, if there is one and the last user message says "tool". What a tool
        answered is answered in words."""
        text = self._asked()
        if self.tools and "tool" in text and self.messages[-1].role != "tool":
            return Called(self.tools[0].function.name, text)
        return None

    def _asked(self) -> str:
        """The last words of a user."""
        return next((one.text() for one in reversed(self.messages) if one.role == "user"), "")


_decoder = msgspec.json.Decoder(ChatRequest)


def read(body: bytes, _content_type: str) -> ChatRequest | Refusal:
    return decoded(_decoder, body)


def lowest(*limits: int | None) -> int:
    return min(one for one in limits if one is not None)


def usage_of(bill: Bill, completion_tokens: int) -> dict[str, Any]:
    """`usage` of chats and completions."""
    return {
        "prompt_tokens": bill.prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": bill.prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": bill.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """One answer; every choice of it is the same. A Stream."""

    id: str
    created: int
    model: str
    choices: int
    said: Said
    bill: Bill
    usage_asked: bool

    content_type = EVENTS

    @property
    def steps(self) -> int:
        return len(self.said.pieces)

    @property
    def completion_tokens(self) -> int:
        return len(self.said.pieces) * self.choices

    def plain(self) -> Plain:
        return Plain(self.bill, self.write, self.completion_tokens, self.steps)

    def write(self, with_usage: bool) -> bytes:
        """The whole answer as one JSON object."""
        choices = [
            {
                "index": index,
                "message": self._message(index),
                "logprobs": None,
                "finish_reason": self.said.finish,
            }
            for index in range(self.choices)
        ]
        usage = {"usage": usage_of(self.bill, self.completion_tokens)} if with_usage else {}
        return msgspec.json.encode(self._head("chat.completion") | {"choices": choices} | usage)

    def ticks(
        self,
        tokens_per_tick: int,
        *,
        with_usage: bool,  # noqa: ARG002 - it comes at the end
    ) -> Iterator[tuple[bytes, int]]:
        opening = b"".join(
            self._event(index, self._opening(index)) for index in range(self.choices)
        )
        for start in range(0, len(self.said.pieces), tokens_per_tick):
            some = self.said.pieces[start : start + tokens_per_tick]
            delta = self._delta("".join(some))
            events = b"".join(self._event(index, delta) for index in range(self.choices))
            yield opening + events, len(some) * self.choices
            opening = b""

    def closing(self, *, with_usage: bool, with_done: bool) -> bytes:
        events = [self._event(index, {}, self.said.finish) for index in range(self.choices)]
        if self.usage_asked and with_usage:
            usage = usage_of(self.bill, self.completion_tokens)
            chunk = self._head("chat.completion.chunk") | {"choices": [], "usage": usage}
            events.append(data_event(chunk))
        if with_done:
            events.append(DONE)
        return b"".join(events)

    def malformed(self) -> bytes:
        return cut_short(self._event(0, self._delta(" spindle")))

    def error(self) -> bytes:
        return data_event({"error": server_error().error()})

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": "fp_sandbox",
        }

    def _message(self, index: int) -> dict[str, Any]:
        text = self.said.text
        if self.said.tool is None:
            return {"role": "assistant", "content": text, "refusal": None}
        return {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "tool_calls": [self._call(index, text)],
        }

    def _call(self, index: int, arguments: str) -> dict[str, Any]:
        return {
            "id": f"call_{self.id}_{index}",
            "type": "function",
            "function": {"name": self.said.tool, "arguments": arguments},
        }

    def _opening(self, index: int) -> dict[str, Any]:
        if self.said.tool is None:
            return {"role": "assistant", "content": "", "refusal": None}
        call = {"index": 0} | self._call(index, "")
        return {"role": "assistant", "content": None, "tool_calls": [call]}

    def _delta(self, text: str) -> dict[str, Any]:
        if self.said.tool is None:
            return {"content": text}
        return {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}

    def _event(self, index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = self._head("chat.completion.chunk") | {"choices": [choice]}
        if self.usage_asked:
            chunk["usage"] = None
        return data_event(chunk)

"""POST /v1/responses, in OpenAI's words. Nothing is kept: no answer refers to an earlier one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from benchmarks.sandbox.bill import Bill
from benchmarks.sandbox.endpoints.chat import Part, ResponseFormat, lowest
from benchmarks.sandbox.refusal import Refusal, server_error, wrong
from benchmarks.sandbox.wire import (
    EVENTS,
    Answer,
    Count,
    Plain,
    Temperature,
    Turn,
    Wish,
    cut_short,
    decoded,
    named_event,
)
from benchmarks.sandbox.words import Called, Finish, Said, say


class Item(Struct, frozen=True):
    """A message, a call, or what a call gave (`output`)."""

    type: str = "message"
    role: str = ""
    content: str | list[Part] | None = None
    output: str | list[Part] | None = None

    def text(self) -> str:
        told = self.output if self.content is None else self.content
        if isinstance(told, list):
            return " ".join(part.text for part in told)
        return told or ""


class Tool(Struct, frozen=True):
    type: str
    name: str = ""


class TextOptions(Struct, frozen=True):
    format: ResponseFormat | None = None


class ResponseRequest(Struct, frozen=True):
    """What is not named here is taken and, if OpenAI says it back, said back."""

    model: str
    input: str | list[Item]
    instructions: str | None = None
    stream: bool | None = False
    max_output_tokens: Count | None = None
    tools: list[Tool] | None = None
    text: TextOptions | None = None
    temperature: Temperature | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    background: bool | None = None
    sandbox: Wish = Wish()


_decoder = msgspec.json.Decoder(ResponseRequest)
_tree = msgspec.json.Decoder(dict[str, Raw])


def read(body: bytes, _content_type: str) -> ResponseAsked | Refusal:
    request = decoded(_decoder, body)
    if isinstance(request, Refusal):
        return request
    if request.previous_response_id is not None:
        return Refusal(
            400,
            f"Previous response with id '{request.previous_response_id}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    if request.background or request.conversation is not None:
        field = "background" if request.background else "conversation"
        return wrong(field, "a sandbox provider keeps nothing: leave it out")
    return ResponseAsked(request, _tree.decode(body))


class ResponseAsked(Struct, frozen=True):
    """A request, and its fields as they were written."""

    request: ResponseRequest
    tree: dict[str, Raw]

    @property
    def model(self) -> str:
        return self.request.model

    @property
    def stream(self) -> bool | None:
        return self.request.stream

    @property
    def sandbox(self) -> Wish:
        return self.request.sandbox

    @property
    def items(self) -> list[Item]:
        given = self.request.input
        return [Item(role="user", content=given)] if isinstance(given, str) else given

    def words(self) -> list[str]:
        """The words of the instructions, then of all items."""
        texts = (self.request.instructions or "", *(one.text() for one in self.items))
        return [word for text in texts for word in text.split()]

    def answer(self, turn: Turn) -> Answer:
        request = self.request
        form = None if request.text is None else request.text.format
        said = say(
            turn.wished(request.sandbox, request.temperature),
            lowest(request.max_output_tokens, turn.room),
            called=self._called(),
            as_json=form is not None and form.type in ("json_object", "json_schema"),
            voice=turn.behaviour.voice,
        )
        response = Response(self, said, turn, turn.prompt_bill(request.model))
        if request.stream:
            return response
        return Plain(response.bill, response.write, said.tokens, response.steps)

    def _called(self) -> Called | None:
        """The first function, if there is one and the last user message says "tool". What a
        function gave is answered in words."""
        items = self.items
        text = next((one.text() for one in reversed(items) if one.role == "user"), "")
        names = [one.name for one in self.request.tools or () if one.type == "function"]
        if names and "tool" in text and items[-1].output is None:
            return Called(names[0], text)
        return None


_SAID_BACK: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Fields of a request that the answer repeats, and what it says of those not given."""


class Response:
    """One answer: a message or a function call. A Stream."""

    content_type = EVENTS

    def __init__(self, asked: ResponseAsked, said: Said, turn: Turn, bill: Bill) -> None:
        self._asked = asked
        self._said = said
        self._turn = turn
        self._numbers = itertools.count()
        self.bill = bill

    @property
    def steps(self) -> int:
        return len(self._said.pieces)

    def write(self, with_usage: bool) -> bytes:
        return msgspec.json.encode(self._whole(with_usage))

    def ticks(
        self,
        tokens_per_tick: int,
        *,
        with_usage: bool,  # noqa: ARG002 - it comes at the end
    ) -> Iterator[tuple[bytes, int]]:
        begun = self._response("in_progress", [], None)
        head = self._event("response.created", response=begun)
        head += self._event("response.in_progress", response=begun)
        head += self._event("response.output_item.added", self._item("in_progress", None))
        if self._said.tool is None:
            head += self._event("response.content_part.added", {"part": _part("")}, content=True)
        for start in range(0, self.steps, tokens_per_tick):
            some = self._said.pieces[start : start + tokens_per_tick]
            yield head + self._delta("".join(some)), len(some)
            head = b""

    def closing(self, *, with_usage: bool, with_done: bool) -> bytes:
        text = self._said.text
        if self._said.tool is None:
            ending = self._event(
                "response.output_text.done", {"text": text, "logprobs": []}, content=True
            )
            ending += self._event("response.content_part.done", {"part": _part(text)}, content=True)
        else:
            told = {"name": self._said.tool, "arguments": text}
            ending = self._event("response.function_call_arguments.done", told, of_item=True)
        ending += self._event("response.output_item.done", self._item(self._status, text))
        if with_done:
            ending += self._event(f"response.{self._status}", response=self._whole(with_usage))
        return ending

    def malformed(self) -> bytes:
        return cut_short(self._delta(" spindle"))

    def error(self) -> bytes:
        """As OpenAI does: the error, and then the response that failed by it."""
        refused = server_error()
        told = {"code": refused.type, "message": refused.message, "param": None}
        failed = self._response("failed", [], None) | {
            "error": {"code": refused.type, "message": refused.message}
        }
        return self._event("error", told) + self._event("response.failed", response=failed)

    @property
    def _status(self) -> str:
        return "incomplete" if self._said.finish is Finish.LENGTH else "completed"

    def _whole(self, with_usage: bool) -> dict[str, Any]:
        output = [self._item(self._status, self._said.text)["item"]]
        return self._response(self._status, output, self._usage() if with_usage else None)

    def _response(
        self, status: str, output: list[dict[str, Any]], usage: dict[str, Any] | None
    ) -> dict[str, Any]:
        cut = status == "incomplete"
        return {
            "id": f"resp_{self._turn.id}",
            "object": "response",
            "created_at": self._turn.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "model": self._asked.model,
            "output": output,
            "previous_response_id": None,
            "service_tier": "default",
            "usage": usage,
        } | {name: self._asked.tree.get(name, value) for name, value in _SAID_BACK.items()}

    def _usage(self) -> dict[str, Any]:
        return {
            "input_tokens": self.bill.prompt_tokens,
            "input_tokens_details": {
                "cached_tokens": self.bill.cached_tokens,
                "cache_write_tokens": 0,
            },
            "output_tokens": self._said.tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self.bill.prompt_tokens + self._said.tokens,
        }

    @property
    def _item_id(self) -> str:
        return ("msg_" if self._said.tool is None else "fc_") + self._turn.id

    def _item(self, status: str, text: str | None) -> dict[str, Any]:
        """The one item of the output, with its place; without text it is still empty."""
        if self._said.tool is None:
            content = [] if text is None else [_part(text)]
            kind: dict[str, Any] = {"type": "message", "role": "assistant", "content": content}
        else:
            call = {"call_id": f"call_{self._turn.id}_0", "name": self._said.tool}
            kind = {"type": "function_call", "arguments": text or ""} | call
        return {"output_index": 0, "item": {"id": self._item_id, "status": status} | kind}

    def _delta(self, text: str) -> bytes:
        if self._said.tool is None:
            told = {"delta": text, "logprobs": []}
            return self._event("response.output_text.delta", told, content=True)
        return self._event("response.function_call_arguments.delta", {"delta": text}, of_item=True)

    def _event(
        self,
        type: str,  # noqa: A002 - the field's word
        more: dict[str, Any] | None = None,
        *,
        response: dict[str, Any] | None = None,
        of_item: bool = False,
        content: bool = False,
    ) -> bytes:
        """of_item: it names its item; content: and the part of it."""
        data: dict[str, Any] = {"type": type, "sequence_number": next(self._numbers)}
        if response is not None:
            data["response"] = response
        if of_item or content:
            data |= {"item_id": self._item_id, "output_index": 0}
        if content:
            data["content_index"] = 0
        return named_event(data | (more or {}))


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

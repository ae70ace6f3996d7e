"""Answer: what a sandbox provider says, token by token, and its form on the wire."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from benchmarks.sandbox.request import ChatRequest

WORDS = ("hawthorn", "hazel", "holly", "dogwood", "elder", "field", "maple", "spindle", "rose")
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; every choice of it is the same.

    pieces: one per token. Together they are the content or, with a tool, its arguments.
    """

    id: str
    created: int
    model: str
    choices: int
    pieces: tuple[str, ...]
    tool: str | None
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int

    @property
    def completion_tokens(self) -> int:
        return len(self.pieces) * self.choices

    def plain(self, *, with_usage: bool) -> bytes:
        """The whole answer as one JSON object."""
        choices = [
            {
                "index": index,
                "message": self._message(index),
                "logprobs": None,
                "finish_reason": self.finish_reason,
            }
            for index in range(self.choices)
        ]
        usage = {"usage": self._usage()} if with_usage else {}
        return msgspec.json.encode(self._head("chat.completion") | {"choices": choices} | usage)

    def ticks(self, tokens_per_tick: int, *, usage_asked: bool) -> Iterator[tuple[bytes, int]]:
        """The body of the answer as server-sent events, with the tokens that each tick brings.

        A tick is what is sent at once: so many tokens of every choice.
        """
        opening = b"".join(
            self._event(index, self._opening(index), usage_asked=usage_asked)
            for index in range(self.choices)
        )
        for start in range(0, len(self.pieces), tokens_per_tick):
            some = self.pieces[start : start + tokens_per_tick]
            delta = self._delta("".join(some))
            events = b"".join(
                self._event(index, delta, usage_asked=usage_asked) for index in range(self.choices)
            )
            yield opening + events, len(some) * self.choices
            opening = b""

    def closing(self, *, usage_asked: bool, with_usage: bool, with_done: bool) -> bytes:
        """The events after the body: why it ended, what it used, and [DONE]."""
        events = [
            self._event(index, {}, usage_asked=usage_asked, finish_reason=self.finish_reason)
            for index in range(self.choices)
        ]
        if usage_asked and with_usage:
            chunk = self._head("chat.completion.chunk") | {"choices": [], "usage": self._usage()}
            events.append(_sse(chunk))
        if with_done:
            events.append(DONE)
        return b"".join(events)

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": "fp_sandbox",
        }

    def _usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }

    def _message(self, index: int) -> dict[str, Any]:
        text = "".join(self.pieces)
        if self.tool is None:
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
            "function": {"name": self.tool, "arguments": arguments},
        }

    def _opening(self, index: int) -> dict[str, Any]:
        if self.tool is None:
            return {"role": "assistant", "content": "", "refusal": None}
        call = {"index": 0} | self._call(index, "")
        return {"role": "assistant", "content": None, "tool_calls": [call]}

    def _delta(self, text: str) -> dict[str, Any]:
        if self.tool is None:
            return {"content": text}
        return {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}

    def _event(
        self,
        index: int,
        delta: dict[str, Any],
        *,
        usage_asked: bool,
        finish_reason: str | None = None,
    ) -> bytes:
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish_reason,
        }
        chunk = self._head("chat.completion.chunk") | {"choices": [choice]}
        if usage_asked:
            chunk["usage"] = None
        return _sse(chunk)


def compose(
    request: ChatRequest,
    *,
    id: str,  # noqa: A002 - the field's word
    created: int,
    drawn_output_tokens: int,
    prompt_tokens: int,
    cached_tokens: int,
    context_tokens: int,
) -> Answer:
    """The answer to `request`: as long as it wishes, or as drawn, within its limits.

    A tool call is as long as its arguments. JSON stays JSON however short it has to be.
    """
    limits = (request.max_tokens, request.max_completion_tokens, context_tokens - prompt_tokens)
    limit = min(one for one in limits if one is not None)
    wished = request.sandbox.output_tokens or drawn_output_tokens
    tool = request.called_tool()
    if tool is not None:
        # Each word with the space after it: together they are every byte of the arguments.
        arguments = msgspec.json.encode({"echo": request.last_user_text()}).decode()
        every = tuple(re.findall(r"\S+\s*", arguments))
        pieces, whole, reason = every[:limit], len(every) <= limit, "tool_calls"
    else:
        count = min(wished, limit)
        pieces, whole, reason = _words(count, as_json=request.wants_json), wished <= limit, "stop"
    return Answer(
        id=id,
        created=created,
        model=request.model,
        choices=request.n or 1,
        pieces=pieces,
        tool=tool,
        finish_reason=reason if whole else "length",
        prompt_tokens=prompt_tokens,
        cached_tokens=cached_tokens,
    )


def _words(count: int, *, as_json: bool) -> tuple[str, ...]:
    words = [" " + WORDS[place % len(WORDS)] for place in range(count)]
    words[0] = words[0].lstrip()
    if as_json:
        words[0] = '{"answer":"' + words[0]
        words[-1] += '"}'
    return tuple(words)


def _sse(chunk: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"

"""MessageAnswer: one answer in Anthropic's words, plain and as events."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from benchmarks.sandbox.bill import Bill
from benchmarks.sandbox.wire import EVENTS, Plain, cut_short, named_event
from benchmarks.sandbox.words import Finish, Said

_STOP_REASONS = {
    Finish.STOP: "end_turn",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL_CALLS: "tool_use",
}


@dataclass(frozen=True, slots=True)
class MessageAnswer:
    """Blocks of thinking, if there is any, and of text or of a tool's use. A Stream.

    kept_for: how long the cache keeps what is written to it.
    """

    id: str
    model: str
    said: Said
    bill: Bill
    kept_for: Literal["5m", "1h"]

    content_type = EVENTS

    @property
    def steps(self) -> int:
        return self.said.tokens

    def plain(self) -> Plain:
        return Plain(self.bill, self.write, self.said.tokens, self.steps)

    def write(self, with_usage: bool) -> bytes:
        said, content = self.said, []
        if said.thoughts:
            content.append(self._thinking("".join(said.thoughts), self._signature))
        if said.tool is not None:
            # A call that was cut is no object any more.
            whole = said.finish is Finish.TOOL_CALLS
            content.append(self._tool_use(msgspec.json.decode(said.text) if whole else {}))
        elif said.pieces:
            content.append({"type": "text", "text": said.text})
        message = self._message(content, _STOP_REASONS[said.finish])
        usage = {"usage": self._usage(said.tokens)} if with_usage else {}
        return msgspec.json.encode(message | usage)

    def ticks(self, tokens_per_tick: int, *, with_usage: bool) -> Iterator[tuple[bytes, int]]:
        message = self._message([], None)
        if with_usage:
            message["usage"] = self._usage(1)  # a beginning; the end says all of it
        head = named_event({"type": "message_start", "message": message})
        head += named_event({"type": "ping"})
        thoughts, pieces = self.said.thoughts, self.said.pieces
        if thoughts:
            head += self._start(0, self._thinking("", ""))
            for start in range(0, len(thoughts), tokens_per_tick):
                some = thoughts[start : start + tokens_per_tick]
                told = {"type": "thinking_delta", "thinking": "".join(some)}
                yield head + self._delta(0, told), len(some)
                head = b""
            signed = {"type": "signature_delta", "signature": self._signature}
            head = self._delta(0, signed) + self._stop(0)
        if pieces:
            head += self._start(self._last, self._opened())
        for start in range(0, len(pieces), tokens_per_tick):
            some = pieces[start : start + tokens_per_tick]
            yield head + self._delta(self._last, self._told("".join(some))), len(some)
            head = b""
        if head:
            yield head, 0

    def closing(self, *, with_usage: bool, with_done: bool) -> bytes:
        stopped = {"stop_reason": _STOP_REASONS[self.said.finish], "stop_sequence": None}
        ending: dict[str, Any] = {"type": "message_delta", "delta": stopped}
        if with_usage:
            usage = self._usage(self.said.tokens)
            ending["usage"] = {name: usage[name] for name in usage if name.endswith("tokens")}
        events = self._stop(self._last) if self.said.pieces else b""
        events += named_event(ending)
        return events + (named_event({"type": "message_stop"}) if with_done else b"")

    def malformed(self) -> bytes:
        return cut_short(self._delta(self._last, self._told(" spindle")))

    def error(self) -> bytes:
        error = {"type": "overloaded_error", "message": "Overloaded"}
        return named_event({"type": "error", "error": error, "request_id": self.id})

    @property
    def _last(self) -> int:
        """The number of the block of text or of a tool's use."""
        return 1 if self.said.thoughts else 0

    @property
    def _signature(self) -> str:
        return base64.b64encode(hashlib.blake2b(self.id.encode()).digest()).decode()

    def _message(self, content: list[dict[str, Any]], stop_reason: str | None) -> dict[str, Any]:
        return {
            "id": f"msg_{self.id}",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
        }

    def _usage(self, output_tokens: int) -> dict[str, Any]:
        bill = self.bill
        kept = {f"ephemeral_{ttl}_input_tokens": 0 for ttl in ("5m", "1h")}
        kept[f"ephemeral_{self.kept_for}_input_tokens"] = bill.cache_write_tokens
        return {
            "input_tokens": bill.prompt_tokens - bill.cached_tokens - bill.cache_write_tokens,
            "cache_creation_input_tokens": bill.cache_write_tokens,
            "cache_read_input_tokens": bill.cached_tokens,
            "cache_creation": kept,
            "output_tokens": output_tokens,
            "service_tier": "standard",
        }

    @staticmethod
    def _thinking(text: str, signature: str) -> dict[str, Any]:
        return {"type": "thinking", "thinking": text, "signature": signature}

    def _tool_use(self, given: dict[str, Any]) -> dict[str, Any]:
        call = {"id": f"toolu_{self.id}", "name": self.said.tool, "input": given}
        return {"type": "tool_use"} | call

    def _opened(self) -> dict[str, Any]:
        return {"type": "text", "text": ""} if self.said.tool is None else self._tool_use({})

    def _told(self, text: str) -> dict[str, Any]:
        if self.said.tool is None:
            return {"type": "text_delta", "text": text}
        return {"type": "input_json_delta", "partial_json": text}

    @staticmethod
    def _start(index: int, block: dict[str, Any]) -> bytes:
        return named_event({"type": "content_block_start", "index": index, "content_block": block})

    @staticmethod
    def _delta(index: int, delta: dict[str, Any]) -> bytes:
        return named_event({"type": "content_block_delta", "index": index, "delta": delta})

    @staticmethod
    def _stop(index: int) -> bytes:
        return named_event({"type": "content_block_stop", "index": index})

"""The chunks of a streamed chat completion as the events of a Response."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from proxy.errors import ProxyError, UpstreamFailed
from proxy.translate.responses_fields import beside
from proxy.translate.responses_object import (
    Ending,
    ResponseObject,
    ending_of,
    failure,
    stem_of,
    usage_from_chat,
)
from proxy.translate.responses_output import Logprobs, Output, Written
from proxy.wires.body import ABSENT, UNREADABLE, encode, is_given, tree_of
from proxy.wires.events import message_of

ANSWER_LIMIT = 64 << 20
"""Bytes of all chunks of an answer: the last events say all of it once more, so it is kept."""


class _Choice(msgspec.Struct, gc=False):
    delta: Written | None = None
    logprobs: Logprobs | None = None
    finish_reason: str | None = None
    index: int = 0


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] = []
    id: str | None = None
    created: int | float | None = None
    model: str | None = None
    object: str = ""
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT
    obfuscation: msgspec.Raw = ABSENT  # noise on the provider's line


_chunk = msgspec.json.Decoder(_Chunk, float_hook=Decimal).decode
_RUNNING, _FAILED = Ending("in_progress"), Ending("failed")


class EventsFromChat:
    """Feed it chunks as they come; it returns the events to pass on now.

    The items that are open when an answer ends are done with `close`: only then it is certain
    that no more comes.
    """

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._response = ResponseObject(request)
        self._output: Output | None = None
        self._events = 0
        self._bytes = 0
        self._finish_reason: str | None = None
        self._usage = msgspec.Raw(b"null")
        self._more: dict[str, msgspec.Raw] = {}

    def chunk(self, data: bytes) -> bytes:
        """Raises UpstreamFailed for what is no chunk, or more than any answer is."""
        self._bytes += len(data)
        if self._bytes > ANSWER_LIMIT:
            raise UpstreamFailed(f"the provider's answer is longer than {ANSWER_LIMIT} bytes")
        try:
            chunk = _chunk(data)
        except UNREADABLE as error:
            raise UpstreamFailed(f"an event is no chunk of a chat completion: {error}") from None
        if is_given(chunk.error):
            raise UpstreamFailed(message_of(bytes(chunk.error)))
        if is_given(chunk.usage):
            self._usage = chunk.usage
        told = b""
        output = self._output
        if output is None and chunk.choices:  # Azure begins with a chunk that says nothing
            told = self._begin(stem_of(chunk.id or "", data), chunk.created, chunk.model)
            output = self._output
        for choice in chunk.choices:
            if choice.index == 0 and output is not None:
                self._finish_reason = choice.finish_reason or self._finish_reason
                if choice.delta is not None:
                    output.write(choice.delta, choice.logprobs)
        if not chunk.choices or self._finish_reason is not None:
            self._more |= beside(data, _Chunk)
        return told + self._taken()

    def close(self) -> bytes:
        """The end of a whole answer."""
        if self._output is None:
            return self.broken(UpstreamFailed("the provider ended its answer before it began"))
        ending = ending_of(self._finish_reason)
        if ending.problem is not None:
            return self.broken(UpstreamFailed(ending.problem))
        try:
            self._output.end(is_whole=ending.status == "completed")
        except UpstreamFailed as error:
            return self._taken() + self.broken(error)
        return self._taken() + self._last(ending)

    def broken(self, error: ProxyError) -> bytes:
        """The end of an answer that was cut: `error`, then `response.failed`, as OpenAI does.

        The error stands in its event twice: flat as it is documented, and nested as it is sent,
        which is where OpenAI's own clients look for what they raise.
        """
        told = b""
        if self._output is None:
            told = self._begin(stem_of("", self._request), None, None)
        else:
            self._output.cut()
        told += self._framed(
            {
                "type": "error",
                "code": error.code,
                "message": error.message,
                "param": error.param,
                "error": tree_of(error.body())["error"],
            }
        )
        return told + self._last(_FAILED, failure(error.message, error.answer_status))

    def _begin(self, stem: str, created: float | None, model: str | None) -> bytes:
        self._output = Output(stem)
        self._response.begin(stem, created or 0, model or "")
        response = self._response.told(_RUNNING, [])
        begun = ("response.created", "response.in_progress")
        return b"".join([self._framed({"type": one, "response": response}) for one in begun])

    def _last(self, ending: Ending, error: dict[str, Any] | None = None) -> bytes:
        response = self._response.told(
            ending,
            [] if self._output is None else self._output.items(),
            usage=usage_from_chat(self._usage),
            error=error,
            more=self._more,
        )
        return self._framed({"type": f"response.{ending.status}", "response": response})

    def _taken(self) -> bytes:
        """The events of what was written since the last time."""
        if self._output is None:
            return b""
        told, self._output.told = self._output.told, []
        return b"".join([self._framed(event) for event in told])

    def _framed(self, event: dict[str, Any]) -> bytes:
        event["sequence_number"] = self._events
        self._events += 1
        text: bytes = encode(event)
        if b"\n" in text or b"\r" in text:  # in what is carried as it was written
            text = msgspec.json.format(text, indent=-1)
        name: str = event["type"]
        return b"event: " + name.encode() + b"\ndata: " + text + b"\n\n"

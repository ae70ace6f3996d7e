"""What a chat answers, as a message: whole, or event by event.

Both are put together by the same `Writer`, so that both come out the same. A chat tells of several
things at once, in pieces; a message is blocks one after the other. A block is streamed as it is
written while it is the first that is not finished; what comes of a later one waits. A tool call is
finished when its arguments are whole and something follows, all others when something follows.

    reasoning                    thinking; its signature is empty where the provider gave none
    reasoning_details            the signature of thinking, redacted_thinking
    content                      text
    refusal                      text, with stop_reason refusal
    tool_calls                   tool_use; arguments that are no JSON object are kept as Anthropic
                                 advises: {"INVALID_JSON": "…"}
    usage                        in message_delta, the last but one event: a chat tells it no sooner

    finish_reason                stop_reason
    stop                         end_turn; stop_sequence where the provider says by which; tool_use
                                 where there are calls, as some providers say `stop` all the same
    length                       max_tokens
    model_length                 model_context_window_exceeded
    tool_calls, function_call    tool_use
    content_filter               refusal
    error, abort, insufficient_system_resource    none: the provider broke off
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec

from proxy.errors import ProxyError, UpstreamFailed
from proxy.translate import messages_usage as usage
from proxy.translate.messages_reasoning import details_in, redacted
from proxy.wires.body import ABSENT, UNREADABLE, encode
from proxy.wires.events import framed

Event = dict[str, Any]

# -- chunks and answers, as far as they are read


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: msgspec.Raw = ABSENT


class _Call(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Part(msgspec.Struct, gc=False):
    """Mistral's reasoning models write in parts."""

    type: str = ""
    text: str = ""
    thinking: list[_Part] = []


class Delta(msgspec.Struct, gc=False):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning: Any = None
    reasoning_content: Any = None
    reasoning_details: msgspec.Raw = ABSENT
    tool_calls: list[_Call] | None = None

    @property
    def thought(self) -> str:
        """Reasoning in words; some write it under both names."""
        for words in (self.reasoning_content, self.reasoning):
            if isinstance(words, str) and words:
                return words
        return ""


class _Choice(msgspec.Struct, gc=False):
    """stop_reason, matched_stop: vLLM's and SGLang's names for the sequence that ended it."""

    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    matched_stop: Any = None


class _Chat(msgspec.Struct, gc=False):
    """A chunk, or a whole answer."""

    id: str = ""
    model: str = ""
    choices: list[_Choice] = []
    usage: msgspec.Raw = ABSENT


class _Request(msgspec.Struct, gc=False):
    model: str = ""


_chat = msgspec.json.Decoder(_Chat).decode
_request = msgspec.json.Decoder(_Request).decode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode

# -- the end


_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "model_length": "model_context_window_exceeded",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_BROKEN_OFF = ("error", "abort", "insufficient_system_resource")


@dataclass(slots=True)
class _End:
    """How a chat ended, as far as it has."""

    reason: str | None = None
    sequence: str | None = None

    def note(self, choice: _Choice) -> None:
        """Raises UpstreamFailed if the provider says that it broke off."""
        if not choice.finish_reason:
            return
        if choice.finish_reason in _BROKEN_OFF:
            raise UpstreamFailed(f"the provider ended its answer with {choice.finish_reason}")
        self.reason = choice.finish_reason
        for matched in (choice.stop_reason, choice.matched_stop):
            if isinstance(matched, str):  # the number of a token is the model's own affair
                self.sequence = matched

    def as_delta(self, writer: Writer) -> dict[str, Any]:
        """stop_reason, stop_sequence and stop_details. What nobody here knows is a stop."""
        reason = _STOP_REASONS.get(self.reason or "", "end_turn")
        sequence = None
        if writer.refusal:
            reason = "refusal"
        elif reason == "end_turn" and writer.has_calls:
            reason = "tool_use"
        elif reason == "end_turn" and self.sequence is not None:
            reason, sequence = "stop_sequence", self.sequence
        said: dict[str, Any] = {"stop_reason": reason, "stop_sequence": sequence}
        if reason == "refusal":
            why = {"type": "refusal", "category": None, "explanation": writer.refusal or None}
            said["stop_details"] = why
        return said


# -- the blocks


@dataclass(slots=True)
class _Block:
    """A block that is being written.

    index: -1 until it has begun. detail: the index of the reasoning_details that it is made of.
    """

    kind: str
    opening: dict[str, Any]
    index: int = -1
    unsent: str = ""
    arguments: list[str] = field(default_factory=list)
    signature: str = ""
    detail: int | None = None
    call_id: str | None = None
    is_sealed: bool = False

    def is_finished(self, is_followed: bool) -> bool:
        if self.kind != "tool_use":
            return self.is_sealed or is_followed
        if not (is_followed and self.arguments and self.arguments[-1].endswith("}")):
            return False
        return _is_object("".join(self.arguments))


_DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}
"""The delta of a block, and its field; the field is the block's own, but for a tool's input."""


class Writer:
    """Feed it what a chat writes; it returns the events of a message's blocks."""

    def __init__(self) -> None:
        self._blocks: deque[_Block] = deque()
        self._calls: dict[int | None, _Block] = {}
        self._called = 0
        self._begun = 0
        self.refusal = ""

    @property
    def has_calls(self) -> bool:
        return self._called > 0

    def write(self, delta: Delta, name: str) -> list[Event]:
        """name: of the message, for calls that come without an id."""
        self._think(delta)
        if isinstance(delta.content, str):
            self._say(delta.content)
        for part in delta.content if isinstance(delta.content, list) else ():
            self._say("".join(one.text for one in part.thinking), "thinking")
            self._say(part.text)
        if delta.refusal:
            self.refusal += delta.refusal
            self._say(delta.refusal)
        for call in delta.tool_calls or ():
            self._call(call, name)
        return self._told()

    def end(self) -> list[Event]:
        """What is left: nothing more comes."""
        return self._told(ended=True)

    def _say(self, words: str, kind: str = "text", detail: int | None = None) -> None:
        if not words:
            return
        last = self._blocks[-1] if self._blocks else None
        if (
            last is None
            or last.kind != kind
            or last.is_sealed
            or (detail is not None and last.detail not in (None, detail))
        ):
            empty = {"type": kind, kind: ""} | ({"signature": ""} if kind == "thinking" else {})
            last = _Block(kind, empty)
            self._blocks.append(last)
        last.detail = detail if last.detail is None else last.detail
        last.unsent += words

    def _think(self, delta: Delta) -> None:
        details = details_in(delta.reasoning_details)
        if not any(one.text or one.summary for one in details):
            self._say(delta.thought, "thinking")
        for one in details:
            if one.type == "reasoning.encrypted":
                self._blocks.append(_Block("redacted_thinking", redacted(one), is_sealed=True))
                continue
            self._say(one.text or one.summary or "", "thinking", one.index)
            if one.signature:
                self._sign(one.signature)

    def _sign(self, signature: str) -> None:
        last = self._blocks[-1] if self._blocks else None
        if last is None or last.kind != "thinking" or last.is_sealed:  # it was not shown
            last = _Block("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            self._blocks.append(last)
        last.signature, last.is_sealed = signature, True

    def _call(self, call: _Call, name: str) -> None:
        said = call.function or _Function()
        block = self._calls.get(call.index)
        if block is None or self._is_another(block, call):
            fallback = f"toolu_{name}_{self._called}"
            self._called += 1
            opening = {"type": "tool_use", "id": call.id or fallback, "name": "", "input": {}}
            block = _Block("tool_use", opening, call_id=call.id)
            self._calls[call.index] = block
            self._blocks.append(block)
        if said.name:  # some repeat it
            block.opening["name"] = said.name
        if words := _arguments(said.arguments):
            block.unsent += words
            block.arguments.append(words)

    @staticmethod
    def _is_another(block: _Block, call: _Call) -> bool:
        """Some give all their calls one index, or none: then a new id, or a name, begins one."""
        if call.id and block.call_id:
            return call.id != block.call_id
        return call.index is None and call.function is not None and bool(call.function.name)

    def _told(self, *, ended: bool = False) -> list[Event]:
        events: list[Event] = []
        while self._blocks:
            block = self._blocks[0]
            is_followed = ended or len(self._blocks) > 1
            if block.index < 0:
                if not block.opening.get("name", "?") and not ended:
                    break  # a call whose name is still to come
                block.index = self._begun
                self._begun += 1
                opening = {"index": block.index, "content_block": block.opening}
                events.append({"type": "content_block_start", **opening})
            if block.unsent:
                kind, name = _DELTAS[block.kind]
                events.append(_delta(block, {"type": kind, name: block.unsent}))
                block.unsent = ""
            if not (ended or block.is_finished(is_followed)):
                break
            if block.signature:
                signed = {"type": "signature_delta", "signature": block.signature}
                events.append(_delta(block, signed))
            events.append({"type": "content_block_stop", "index": block.index})
            self._blocks.popleft()
        return events


def _delta(block: _Block, delta: dict[str, str]) -> Event:
    return {"type": "content_block_delta", "index": block.index, "delta": delta}


def _arguments(raw: msgspec.Raw) -> str:
    """A call's arguments are JSON in a string; some write them without."""
    text = bytes(raw)
    if text in (b"", b"null"):
        return ""
    return _text(text) if text.startswith(b'"') else text.decode()


def _is_object(text: str) -> bool:
    try:
        _object(text)
    except UNREADABLE:
        return False
    return True


def _put_together(events: list[Event]) -> list[dict[str, Any]]:
    """The blocks that a client makes of the events."""
    blocks: list[dict[str, Any]] = []
    arguments: dict[int, str] = {}
    for event in events:
        index = event["index"]
        if "content_block" in event:
            blocks.append(dict(event["content_block"]))
        elif "delta" in event:
            (_, (name, words)) = event["delta"].items()
            if name == "partial_json":
                arguments[index] = arguments.get(index, "") + words
            else:
                blocks[index][name] += words
    for index, text in arguments.items():
        whole = _is_object(text)
        blocks[index]["input"] = msgspec.Raw(text.encode()) if whole else {"INVALID_JSON": text}
    return blocks


# -- the doors


def answer_from_chat(answer: bytes) -> bytes:
    """A whole chat completion as a message. Raises UpstreamFailed for what is none."""
    chat = _read(answer)
    choice = next((one for one in chat.choices if one.message is not None), None)
    if choice is None or choice.message is None:
        raise UpstreamFailed("the provider answered without a message")
    writer, end = Writer(), _End()
    end.note(choice)
    name = _name(chat.id)
    blocks = _put_together(writer.write(choice.message, name) + writer.end())
    message = _opening(name, chat.model) | {"content": blocks} | end.as_delta(writer)
    return encode(message | {"usage": usage.from_chat(chat.usage)})


class EventsFromChat:
    """The chunks of a streamed chat, in their order, as the events of a message."""

    def __init__(self, request: bytes) -> None:
        """request: what the client sent, for a provider that does not name the model."""
        self._model = _request(request).model
        self._name = ""
        self._writer = Writer()
        self._end = _End()
        self._usage = msgspec.Raw()
        self._begun = False
        self._failed = False

    def chunk(self, data: bytes) -> bytes:
        """Raises UpstreamFailed for what is no chunk."""
        chunk = _read(data)
        if bytes(chunk.usage) not in (b"", b"null"):
            self._usage = msgspec.Raw(bytes(chunk.usage))
        if self._failed or not chunk.choices:
            return b""
        events = [] if self._begun else self._begin(chunk)
        for choice in chunk.choices:
            if choice.delta is not None:
                events += self._writer.write(choice.delta, self._name)
            try:
                self._end.note(choice)
            except UpstreamFailed as error:
                self._failed = True
                return _framed(events) + self.broken(error)
            if choice.finish_reason:
                events += self._writer.end()
        return _framed(events)

    def close(self) -> bytes:
        """The end of a whole answer; nothing more, if it was none."""
        if self._failed:
            return b""
        events = [] if self._begun else self._begin(_Chat())
        events += self._writer.end()
        told = usage.from_chat(self._usage)
        delta = self._end.as_delta(self._writer)
        events.append({"type": "message_delta", "delta": delta, "usage": told})
        events.append({"type": "message_stop"})
        return _framed(events)

    def broken(self, error: ProxyError) -> bytes:
        """The end of an answer that was cut: no stop_reason, no message_stop, but an error."""
        return framed(error.anthropic_body(), b"error")

    def _begin(self, chunk: _Chat) -> list[Event]:
        self._begun, self._name = True, _name(chunk.id)
        opening = _opening(self._name, chunk.model or self._model)
        # Both counts must be there, and are told truly in message_delta.
        opening["usage"] = {"input_tokens": 0, "output_tokens": 0}
        return [{"type": "message_start", "message": opening}]


def _opening(name: str, model: str) -> dict[str, Any]:
    return {
        "id": f"msg_{name}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _name(chat_id: str) -> str:
    return chat_id.removeprefix("chatcmpl-")


def _framed(events: list[Event]) -> bytes:
    return b"".join([framed(encode(one), one["type"].encode()) for one in events])


def _read(data: bytes) -> _Chat:
    try:
        return _chat(data)
    except UNREADABLE as error:
        raise UpstreamFailed(f"the provider sent what is no chat completion: {error}") from None

"""A message as what a chat answers: whole, or event by event.

Both are made of the same `Pieces`, so that both come out the same.

    text                         content, all blocks in one
    thinking                     reasoning_content, and reasoning_details with its signature
    redacted_thinking            reasoning_details
    tool_use                     tool_calls
    refusal's explanation        refusal
    usage                        one last chunk without choices; `cost` and the like are carried

    stop_reason                  finish_reason
    end_turn                     stop
    stop_sequence                stop, with the sequence as `stop_reason`, vLLM's name for it
    max_tokens, model_context_window_exceeded, pause_turn    length: there was more to say
    tool_use                     tool_calls
    refusal                      content_filter

Passed over: pings, citations, and what Anthropic's own servers did (server_tool_use and its
results, containers): a chat has no words for it, and cannot have asked for it. A message does not
tell when it was made: `created` is the caller's, 0 if nobody says.
"""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.errors import UpstreamFailed
from proxy.translate.messages_reasoning import Detail, opening
from proxy.translate.messages_usage import Tree, to_chat, tree_in
from proxy.wires.body import ABSENT, UNREADABLE, encode
from proxy.wires.events import error_in

Delta = dict[str, Any]

# -- messages and events, as far as they are read


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = ABSENT


class _StopDetails(msgspec.Struct, gc=False):
    explanation: str | None = None


class _Delta(msgspec.Struct, gc=False):
    """Of a block, or of the message."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: _StopDetails | None = None


class _Message(msgspec.Struct, gc=False):
    id: str = ""
    model: str = ""
    content: list[_Block] = []
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: _StopDetails | None = None
    usage: msgspec.Raw = ABSENT


class _Answer(_Message, gc=False):
    type: str = ""


class _Event(msgspec.Struct, gc=False):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: msgspec.Raw = ABSENT


class _Error(msgspec.Struct, gc=False):
    type: str = "api_error"


class _ErrorEvent(msgspec.Struct, gc=False):
    error: _Error = msgspec.field(default_factory=_Error)


_answer = msgspec.json.Decoder(_Answer).decode
_event = msgspec.json.Decoder(_Event).decode
_error = msgspec.json.Decoder(_ErrorEvent).decode

_FINISH_REASONS = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class Pieces:
    """Feed it a message's blocks, whole or bit by bit; it returns what they add to a chat's."""

    def __init__(self) -> None:
        self._inputs: dict[int, bytes] = {}
        self._calls: dict[int, int] = {}
        self._details: dict[int, int] = {}
        self.has_text = False

    @property
    def has_calls(self) -> bool:
        return bool(self._calls)

    def start(self, block: int, begun: _Block) -> list[Delta]:
        match begun.type:
            case "text":
                return self._text(begun.text)
            case "thinking":
                self._details[block] = index = len(self._details)
                detail = opening("reasoning.text", block, index)
                detail.text = begun.thinking
                return [_thought(begun.thinking, detail), *self._signature(block, begun.signature)]
            case "redacted_thinking":
                self._details[block] = index = len(self._details)
                detail = opening("reasoning.encrypted", block, index)
                detail.data = begun.data
                return [{"reasoning_details": [detail]}]
            case "tool_use":
                self._calls[block] = call = len(self._calls)
                self._inputs[block] = bytes(begun.input) or b"{}"
                function = {"name": begun.name, "arguments": ""}
                named = {"id": begun.id, "type": "function", "function": function}
                return [{"tool_calls": [{"index": call, **named}]}]
            case _:
                return []

    def add(self, block: int, delta: _Delta) -> list[Delta]:
        match delta.type:
            case "text_delta":
                return self._text(delta.text)
            case "thinking_delta" if block in self._details:
                more = Detail("reasoning.text", text=delta.thinking, index=self._details[block])
                return [_thought(delta.thinking, more)]
            case "signature_delta" if block in self._details:
                return self._signature(block, delta.signature)
            case "input_json_delta" if block in self._calls and delta.partial_json:
                self._inputs.pop(block, None)  # it comes in pieces, then
                return [self._arguments(block, delta.partial_json)]
            case _:
                return []

    def stop(self, block: int) -> list[Delta]:
        whole = self._inputs.pop(block, None)
        return [] if whole is None else [self._arguments(block, whole.decode())]

    def _text(self, text: str) -> list[Delta]:
        self.has_text = self.has_text or bool(text)
        return [{"content": text}] if text else []

    def _signature(self, block: int, signature: str) -> list[Delta]:
        if not signature:
            return []
        index = self._details[block]
        signed = Detail("reasoning.text", signature=signature, index=index)
        return [{"reasoning_details": [signed]}]

    def _arguments(self, block: int, arguments: str) -> Delta:
        return {"tool_calls": [{"index": self._calls[block], "function": {"arguments": arguments}}]}

    def end(self, said: _Message | _Delta) -> tuple[Delta, Delta]:
        """The last delta, and how the choice ended."""
        last: Delta = {}
        if not self.has_text and not self.has_calls:
            last["content"] = ""
        if said.stop_details is not None and said.stop_details.explanation:
            last["refusal"] = said.stop_details.explanation
        ended: Delta = {"finish_reason": _FINISH_REASONS.get(said.stop_reason or "", "stop")}
        if said.stop_reason == "stop_sequence" and said.stop_sequence is not None:
            ended["stop_reason"] = said.stop_sequence
        return last, ended


def _thought(text: str, detail: Detail) -> Delta:
    shown = {"reasoning_content": text} if text else {}
    return {**shown, "reasoning_details": [detail]}


def _put_together(deltas: list[Delta]) -> Delta:
    """The message that a client makes of the deltas."""
    message: Delta = {"role": "assistant", "content": None}
    calls: list[Delta] = []
    details: list[Detail] = []
    for delta in deltas:
        for field in ("content", "reasoning_content", "refusal"):
            if field in delta:
                message[field] = (message.get(field) or "") + delta[field]
        for call in delta.get("tool_calls", ()):
            if call["index"] == len(calls):
                calls.append({name: call[name] for name in ("id", "type", "function")})
            else:
                calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
        for detail in delta.get("reasoning_details", ()):
            if detail.index == len(details):
                details.append(detail)
            else:
                details[detail.index].signature = detail.signature
    if calls:
        message["tool_calls"] = calls
    if details:
        message["reasoning_details"] = details
    return message


# -- the doors


def answer_to_chat(answer: bytes, created: int = 0) -> bytes:
    """A whole message as a chat completion. Raises UpstreamFailed for what is none.

    created: Unix seconds.
    """
    try:
        said = _answer(answer)
    except UNREADABLE as error:
        raise UpstreamFailed(f"the provider sent what is no message: {error}") from None
    if said.type != "message":
        raise UpstreamFailed(f"the provider sent what is no message: {error_in(answer)}")
    pieces = Pieces()
    deltas: list[Delta] = []
    for i, block in enumerate(said.content):
        deltas += [*pieces.start(i, block), *pieces.stop(i)]
    last, ended = pieces.end(said)
    message = _put_together([*deltas, last])
    chat = {
        "id": _chat_id(said.id),
        "object": "chat.completion",
        "created": created,
        "model": said.model,
        "choices": [{"index": 0, "message": message, **ended}],
    }
    told = to_chat(tree_in(said.usage))
    return encode(chat | ({} if told is None else {"usage": told}))


class EventsToChat:
    """The events of a streamed message, in their order, as the chunks of a chat.

    usage: whether to end with a chunk that tells it. created: Unix seconds.
    """

    def __init__(self, *, usage: bool = True, created: int = 0) -> None:
        self._tells_usage = usage
        self._created = created
        self._pieces = Pieces()
        self._head = b""
        self._usage: Tree = {}

    def event(self, data: bytes) -> list[bytes]:
        """The chunks, as JSON, of one event's data. Raises UpstreamFailed for what is no event."""
        try:
            event = _event(data)
        except UNREADABLE as error:
            raise UpstreamFailed(f"the provider sent what is no event: {error}") from None
        match event.type:
            case "content_block_delta" if event.delta is not None:
                return self._chunks(self._pieces.add(event.index, event.delta))
            case "content_block_start" if event.content_block is not None:
                return self._chunks(self._pieces.start(event.index, event.content_block))
            case "content_block_stop":
                return self._chunks(self._pieces.stop(event.index))
            case "message_start" if event.message is not None:
                self._usage |= tree_in(event.message.usage)
                self._head = self._heading(event.message)
                return self._chunks([{"role": "assistant"}])
            case "message_delta":
                self._usage |= tree_in(event.usage)
                return self._ended(event.delta)
            case "message_stop":
                return self._last()
            case "error":
                return [self._broken(data)]
            case _:
                return []

    def _heading(self, message: _Message) -> bytes:
        heading = {
            "id": _chat_id(message.id),
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": message.model,
        }
        return encode(heading)[:-1]

    def _chunk(self, rest: dict[str, Any]) -> bytes:
        head = self._head or self._heading(_Message())
        return head + b"," + encode(rest)[1:]

    def _chunks(self, deltas: list[Delta]) -> list[bytes]:
        return [
            self._chunk({"choices": [{"index": 0, "delta": one, "finish_reason": None}]})
            for one in deltas
        ]

    def _ended(self, said: _Delta | None) -> list[bytes]:
        if said is None or said.stop_reason is None:
            return []
        last, ended = self._pieces.end(said)
        return [self._chunk({"choices": [{"index": 0, "delta": last, **ended}]})]

    def _last(self) -> list[bytes]:
        told = to_chat(self._usage) if self._tells_usage else None
        return [] if told is None else [self._chunk({"choices": [], "usage": told})]

    def _broken(self, data: bytes) -> bytes:
        try:
            kind = _error(data).error.type
        except msgspec.DecodeError:
            kind = "api_error"
        error = {"message": error_in(data), "type": kind, "param": None, "code": kind}
        return self._chunk({"choices": [], "error": error})


def _chat_id(message_id: str) -> str:
    return f"chatcmpl-{message_id.removeprefix('msg_')}"

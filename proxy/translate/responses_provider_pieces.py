"""Pieces: what the items of a response add to a chat's only choice.

    output_text                  content, all parts of all messages in one; its logprobs
    refusal                      refusal
    url_citation                 annotations, once their message is whole
    summary_text                 reasoning_content, an empty line between parts
    reasoning_text               the same: hosts of open models show all of it
    encrypted_content            reasoning_details, as OpenRouter's clients keep it
    function_call                tool_calls
    custom_tool_call             the same, of type custom

Passed over: what hosted tools did, and citations of their files: a chat cannot have asked for it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.errors import UpstreamFailed
from proxy.translate.messages_reasoning import Detail
from proxy.translate.responses_provider_turns import FORMAT
from proxy.wires.body import ABSENT

Json = dict[str, Any]


class _Top(msgspec.Struct, gc=False):
    token: str = ""
    logprob: msgspec.Raw = msgspec.Raw(b"null")
    bytes: list[int] | None = None

    def as_chat(self) -> Json:
        """What has no bytes here has null for them there."""
        return {"token": self.token, "logprob": self.logprob, "bytes": self.bytes or None}


class _Token(_Top, gc=False):
    top_logprobs: list[_Top] | None = None

    def as_chat(self) -> Json:
        top = [one.as_chat() for one in self.top_logprobs or ()]
        return _Top.as_chat(self) | {"top_logprobs": top}


class _Words(msgspec.Struct, gc=False):
    text: str = ""


class _Part(_Words, gc=False):
    type: str = ""
    refusal: str = ""
    annotations: list[dict[str, msgspec.Raw]] | None = None
    logprobs: msgspec.Raw = ABSENT


class _Typed(msgspec.Struct, gc=False):
    type: str = ""


class _Message(msgspec.Struct, gc=False):
    content: list[_Part] | None = None


class _Reasoning(msgspec.Struct, gc=False):
    id: str | None = None
    summary: list[_Words] | None = None
    content: list[_Words] | None = None
    encrypted_content: str | None = None


class _Call(msgspec.Struct, gc=False):
    type: str
    call_id: str
    name: str
    arguments: str = ""
    input: str = ""


_typed = msgspec.json.Decoder(_Typed).decode
_message = msgspec.json.Decoder(_Message).decode
_reasoning = msgspec.json.Decoder(_Reasoning).decode
_call = msgspec.json.Decoder(_Call).decode
_tokens = msgspec.json.Decoder(list[_Token] | None).decode
_span = msgspec.json.Decoder(int | None).decode
_SPAN = ("start_index", "end_index")
_CITATION = b'"url_citation"'
_CALLS = ("function_call", "custom_tool_call")


class _Called(msgspec.Struct, gc=False):
    """A call that has begun. index: among the chat's."""

    index: int
    is_custom: bool
    has_words: bool = False


class Pieces:
    """Feed it a response's items, whole or bit by bit; it returns what they add to a choice.

    place: the item's among the output. part: among the parts of an item. What has come bit by bit
    is not said again when its item is whole.
    """

    def __init__(self) -> None:
        self._calls: dict[int, _Called] = {}
        self._spoken: set[int] = set()
        self._thought: set[int] = set()
        self._last_thought: tuple[int, str, int] | None = None
        self._length = 0
        self._offsets: dict[int, int] = {}
        self._citations = 0
        self._details = 0
        self.heard_items = False

    @property
    def has_calls(self) -> bool:
        return bool(self._calls)

    # -- bit by bit

    def text(self, place: int, words: str, logprobs: msgspec.Raw = ABSENT) -> list[Json]:
        piece: Json = {"delta": {"content": words}}
        if bytes(logprobs) not in (b"", b"[]", b"null"):
            tokens = _tokens(logprobs) or ()
            piece["logprobs"] = {"content": [one.as_chat() for one in tokens], "refusal": None}
        elif not words:
            return []
        self._spoken.add(place)
        self._offsets.setdefault(place, self._length)
        self._length += len(words)
        return [piece]

    def refuse(self, place: int, words: str) -> list[Json]:
        if not words:
            return []
        self._spoken.add(place)
        return [{"delta": {"refusal": words}}]

    def think(self, place: int, kind: str, part: int, words: str) -> list[Json]:
        """kind: of the part, summary or text: either has its own numbers."""
        if not words:
            return []
        thought = (place, kind, part)
        gap = "" if self._last_thought in (None, thought) else "\n\n"
        self._last_thought = thought
        self._thought.add(place)
        return [{"delta": {"reasoning_content": gap + words}}]

    def begin(self, place: int, item: msgspec.Raw) -> list[Json]:
        """An item of which more is to come: only a call has something to say of itself yet."""
        if place in self._calls or _typed(item).type not in _CALLS:
            return []
        call = _call(item)
        called = _Called(len(self._calls), call.type == "custom_tool_call")
        self._calls[place] = called
        kind, field = _field(called)
        opening = {"index": called.index, "id": call.call_id, "type": kind}
        return [{"delta": {"tool_calls": [{**opening, kind: {"name": call.name, field: ""}}]}}]

    def add(self, place: int, words: str) -> list[Json]:
        """Of a call's arguments or input."""
        called = self._calls.get(place)
        if called is None or not words:
            return []
        called.has_words = True
        kind, field = _field(called)
        return [{"delta": {"tool_calls": [{"index": called.index, kind: {field: words}}]}}]

    # -- whole

    def item(self, place: int, item: msgspec.Raw) -> list[Json]:
        """What of a whole item has not come yet. Raises UpstreamFailed for one in no known form."""
        self.heard_items = True
        try:
            match _typed(item).type:
                case "message":
                    return self._message(place, _message(item))
                case "reasoning":
                    return self._reasoning(place, _reasoning(item))
                case "function_call" | "custom_tool_call":
                    return self.begin(place, item) + self._rest(place, _call(item))
                case _:
                    return []
        except msgspec.DecodeError as error:
            raise UpstreamFailed(f"the provider sent an item in no known form: {error}") from None

    def _message(self, place: int, message: _Message) -> list[Json]:
        is_told = place in self._spoken
        offset = self._offsets.get(place, self._length)
        pieces: list[Json] = []
        for part in message.content or ():
            if part.type == "refusal":
                pieces += [] if is_told else self.refuse(place, part.refusal)
                continue
            pieces += [] if is_told else self.text(place, part.text, part.logprobs)
            pieces += self._cite(offset, part)
            offset += len(part.text)
        return pieces

    def _cite(self, offset: int, part: _Part) -> list[Json]:
        """A response counts in the part, a chat in the whole text. index: a stream's own, without
        which OpenAI's client does not put two lists together."""
        cited: list[Json] = []
        for one in part.annotations or ():
            if bytes(one.get("type", b"")) != _CITATION:
                continue
            inner: Json = {name: value for name, value in one.items() if name != "type"}
            for name in _SPAN:
                if (place := _span(one.get(name, b"null"))) is not None:
                    inner[name] = offset + place
            named = {"index": self._citations, "type": "url_citation", "url_citation": inner}
            self._citations += 1
            cited.append(named)
        return [{"delta": {"annotations": cited}}] if cited else []

    def _reasoning(self, place: int, reasoning: _Reasoning) -> list[Json]:
        pieces: list[Json] = []
        if place not in self._thought:
            for kind, parts in (("summary", reasoning.summary), ("text", reasoning.content)):
                for i, part in enumerate(parts or ()):
                    pieces += self.think(place, kind, i, part.text)
        if reasoning.encrypted_content:
            detail = Detail(
                "reasoning.encrypted",
                data=reasoning.encrypted_content,
                id=reasoning.id or None,
                format=FORMAT,
                index=self._details,
            )
            self._details += 1
            pieces.append({"delta": {"reasoning_details": [detail]}})
        return pieces

    def _rest(self, place: int, call: _Call) -> list[Json]:
        called = self._calls[place]
        if called.has_words:
            return []
        return self.add(place, call.input if called.is_custom else call.arguments)

    def end(self) -> Json:
        """The last delta."""
        return {} if self._spoken or self._calls else {"content": ""}


def _field(called: _Called) -> tuple[str, str]:
    """The kind of a call in a chat, and where its words stand."""
    return ("custom", "input") if called.is_custom else ("function", "arguments")


def put_together(pieces: list[Json]) -> Json:
    """The message, and the logprobs if there are any, that a client makes of the pieces."""
    message: Json = {"role": "assistant", "content": None}
    calls: list[Json] = []
    tokens: list[Json] = []
    for piece in pieces:
        delta = piece["delta"]
        for field in ("content", "reasoning_content", "refusal"):
            if field in delta:
                message[field] = (message.get(field) or "") + delta[field]
        if "reasoning_details" in delta:
            message.setdefault("reasoning_details", []).extend(delta["reasoning_details"])
        for cited in delta.get("annotations", ()):
            message.setdefault("annotations", []).append(_unnumbered(cited))
        for call in delta.get("tool_calls", ()):
            if call["index"] == len(calls):
                calls.append(_unnumbered(call))
                continue
            ((kind, words),) = _unnumbered(call).items()
            for field, more in words.items():
                calls[call["index"]][kind][field] += more
        tokens += piece["logprobs"]["content"] if "logprobs" in piece else ()
    if calls:
        message["tool_calls"] = calls
    logprobs = {"logprobs": {"content": tokens, "refusal": None}} if tokens else {}
    return {"message": message, **logprobs}


def _unnumbered(one: Json) -> Json:
    return {name: value for name, value in one.items() if name != "index"}

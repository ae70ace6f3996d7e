"""Output: the items of a response, as they are written.

A whole answer is written in one go, a stream delta by delta; by the same rules, so that the items
come out the same. One item ends where the next of another kind begins. Calls stay open to the end,
since a chat may write several at once.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from proxy.errors import UpstreamFailed
from proxy.translate.responses_fields import beside
from proxy.translate.responses_reasoning import WORDS, Origin, merge
from proxy.wires.body import ABSENT, UNREADABLE

Json = dict[str, Any]
Kind = Literal["reasoning", "message"]
PartKind = Literal["reasoning_text", "output_text", "refusal"]


class _Piece(msgspec.Struct, gc=False):
    """Of a content in parts, as Mistral's reasoning models write: a text, or thoughts of texts."""

    type: str = ""
    text: str = ""
    thinking: str | list[_Piece] | None = None


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: msgspec.Raw = ABSENT


class _Custom(msgspec.Struct, gc=False):
    name: str | None = None
    input: msgspec.Raw = ABSENT


class _Call(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: _Function | None = None
    custom: _Custom | None = None


class Logprobs(msgspec.Struct, gc=False):
    """Of a choice. What a refusal would have been has no place in a response."""

    content: list[Json] | None = None


class Written(msgspec.Struct, gc=False):
    """A chat's message, or a stream's delta of one."""

    content: str | list[_Piece] | None = None
    refusal: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    annotations: list[Json] | None = None
    tool_calls: list[msgspec.Raw] | None = None
    function_call: _Function | None = None
    """What tool_calls were before there were tools."""


_call = msgspec.json.Decoder(_Call).decode
_EVENTS: dict[PartKind, tuple[str, str, str]] = {
    "reasoning_text": ("response.reasoning_text.delta", "response.reasoning_text.done", "text"),
    "output_text": ("response.output_text.delta", "response.output_text.done", "text"),
    "refusal": ("response.refusal.delta", "response.refusal.done", "refusal"),
}
"""The events of a part, and where its words stand."""
_LEGACY = -1
"""The index of a function_call, of which there is one and which has none."""
_FUNCTION_CALL = ("function_call", "arguments")
_CUSTOM_CALL = ("custom_tool_call", "input")


class _Part:
    """where: as an event says it."""

    def __init__(self, kind: PartKind, where: Json) -> None:
        self.kind = kind
        self.where = where
        self.words: list[str] = []
        self.annotations: list[Json] = []
        self.logprobs: list[Json] = []

    def as_json(self) -> Json:
        words = "".join(self.words)
        if self.kind != "output_text":
            return {"type": self.kind, _EVENTS[self.kind][2]: words}
        return {
            "type": "output_text",
            "text": words,
            "annotations": [*self.annotations],  # an event says what there was when it was told
            "logprobs": [*self.logprobs],
        }


class _Texts:
    """A message or reasoning: an item of parts."""

    def __init__(self, kind: Kind, item_id: str, position: int) -> None:
        self.kind = kind
        self.id = item_id
        self.position = position
        self.status = "in_progress"
        self.parts: list[_Part] = []
        self.origin = Origin()

    def begin_part(self, kind: PartKind) -> _Part:
        where = {
            "item_id": self.id,
            "output_index": self.position,
            "content_index": len(self.parts),
        }
        self.parts.append(_Part(kind, where))
        return self.parts[-1]

    def as_json(self) -> Json:
        item: Json = {"id": self.id, "type": self.kind, "status": self.status}
        content = [part.as_json() for part in self.parts]
        if self.kind == "message":
            return item | {"role": "assistant", "content": content}
        item |= {"summary": [], "content": content}
        if sealed := self.origin.sealed():
            item["encrypted_content"] = sealed
        return item


class _ToolCall:
    """A call of a function or a custom tool. Until its name is known it is no item yet."""

    def __init__(self, *, is_custom: bool) -> None:
        self.is_custom = is_custom
        self.id = ""
        self.position = -1
        self.status = "in_progress"
        self.call_id = ""
        self.name = ""
        self.words: list[str] = []
        self.more: dict[str, msgspec.Raw] = {}

    def as_json(self) -> Json:
        kind, field = _CUSTOM_CALL if self.is_custom else _FUNCTION_CALL
        return {
            **self.more,
            "id": self.id,
            "type": kind,
            "status": self.status,
            "call_id": self.call_id,
            "name": self.name,
            field: "".join(self.words),
        }


class Output:
    """Write to it, then end it.

    stem: what the ids of its items are made of. told: the events that say what was written since
    somebody last took them, without their numbers.
    """

    def __init__(self, stem: str) -> None:
        self._stem = stem
        self._items: list[_Texts | _ToolCall] = []
        self._texts: _Texts | None = None  # the item being written, until a call begins
        self._calls: dict[int, _ToolCall] = {}
        self._latest: _Texts | _ToolCall | None = None
        self.told: list[Json] = []

    def items(self) -> list[Json]:
        return [item.as_json() for item in self._items]

    def write(self, written: Written, logprobs: Logprobs | None = None) -> None:
        """Raises UpstreamFailed for a call that cannot be read."""
        self._think(written)
        content = written.content
        if isinstance(content, list):
            for piece in content:
                thoughts = piece.thinking or ""
                for one in [thoughts] if isinstance(thoughts, str) else thoughts:
                    words = one if isinstance(one, str) else one.text
                    self._add("reasoning", "reasoning_text", words)
                self._add("message", "output_text", piece.text)
        else:
            tokens = None if logprobs is None else _logprobs(logprobs.content)
            self._add("message", "output_text", content or "", tokens)
        for annotation in written.annotations or ():
            self._annotate(annotation)
        if written.refusal:
            self._add("message", "refusal", written.refusal)
        for call in written.tool_calls or ():
            self._write_call(_decoded(call), beside(call, _Call))
        if written.function_call is not None:
            self._write_call(_Call(index=_LEGACY, function=written.function_call), {})

    def end(self, *, is_whole: bool) -> None:
        """Nothing more comes. Cut short, what was written last is incomplete."""
        for item in self._items:
            if item.status == "in_progress":
                self._close(item, is_whole=is_whole or item is not self._latest)
        if any(not call.name for call in self._calls.values()):
            raise UpstreamFailed("the provider called a tool without naming it")

    def cut(self) -> None:
        """No more will come of what has begun. Nothing is told: it is not done."""
        for item in self._items:
            if item.status == "in_progress":
                item.status = "incomplete"

    # -- texts

    def _think(self, written: Written) -> None:
        field, words = None, ""
        for name in WORDS:  # some write the same under both names
            value = getattr(written, name)
            if value and isinstance(value, str):
                field, words = name, value
                break
        details = written.reasoning_details
        if details and isinstance(details, list):
            origin = self._item("reasoning").origin
            merge(origin.details, details)
            if not words:
                words = "".join(_words_of(detail) for detail in details)
        if words:
            self._add("reasoning", "reasoning_text", words)
            if field is not None:
                self._item("reasoning").origin.field = field

    def _item(self, kind: Kind) -> _Texts:
        """The item that is being written, if it is of this kind; else a new one."""
        item = self._texts
        if item is not None and item.kind == kind:
            return item
        self._close_texts()
        position = len(self._items)
        prefix = "msg" if kind == "message" else "rs"
        item = self._texts = _Texts(kind, f"{prefix}_{self._stem}_{position}", position)
        self._items.append(item)
        self._latest = item
        self._tell("response.output_item.added", output_index=position, item=item.as_json())
        return item

    def _part(self, kind: Kind, part_kind: PartKind) -> _Part:
        item = self._item(kind)
        if item.parts and item.parts[-1].kind == part_kind:
            return item.parts[-1]
        self._close_part(item)
        part = item.begin_part(part_kind)
        self._tell("response.content_part.added", **part.where, part=part.as_json())
        return part

    def _add(
        self, kind: Kind, part_kind: PartKind, words: str, logprobs: list[Json] | None = None
    ) -> None:
        if not words and not logprobs:
            return
        part = self._part(kind, part_kind)
        part.words.append(words)
        event: Json = {"type": _EVENTS[part_kind][0], **part.where, "delta": words}
        if part_kind == "output_text":
            event["logprobs"] = logprobs or []
            part.logprobs += logprobs or ()
        self.told.append(event)

    def _annotate(self, annotation: Json) -> None:
        """What a chat nests under the type of an annotation, stands flat in a response."""
        part = self._part("message", "output_text")
        inner = annotation.get(annotation.get("type", ""))
        if isinstance(inner, dict):
            annotation = {"type": annotation["type"], **inner}
        position = len(part.annotations)
        part.annotations.append(annotation)
        self._tell(
            "response.output_text.annotation.added",
            **part.where,
            annotation_index=position,
            annotation=annotation,
        )

    # -- calls

    def _write_call(self, delta: _Call, more: dict[str, msgspec.Raw]) -> None:
        call = self._call_of(delta)
        call.call_id = call.call_id or delta.id or ""
        call.more |= more
        if delta.custom is not None:
            name, words = delta.custom.name, _string(delta.custom.input)
        else:
            function = delta.function or _Function()
            name, words = function.name, _string(function.arguments)
        if not call.name and name:
            call.name = name
            self._open(call)
        if words:
            call.words.append(words)
            if call.name:
                self._latest = call
                self._tell_words(call, words)

    def _call_of(self, delta: _Call) -> _ToolCall:
        """The call that a delta goes on with. Some providers leave the index out, some say 0 for
        all: a name with another id begins another call."""
        name = (delta.function or delta.custom or _Function()).name
        index = delta.index
        if index is None:
            index = max(self._calls, default=0)
            if name and index in self._calls and self._calls[index].call_id != delta.id:
                index += 1
        call = self._calls.get(index)
        if call is None or (name and delta.id and call.call_id not in ("", delta.id)):
            is_custom = delta.custom is not None or delta.type == "custom"
            call = self._calls[index] = _ToolCall(is_custom=is_custom)
        return call

    def _open(self, call: _ToolCall) -> None:
        self._close_texts()
        call.position = len(self._items)
        call.id = f"{'ctc' if call.is_custom else 'fc'}_{self._stem}_{call.position}"
        call.call_id = call.call_id or f"call_{self._stem}_{call.position}"
        self._items.append(call)
        self._latest = call
        early, call.words = call.words, []
        item = call.as_json()
        call.words = early
        self._tell("response.output_item.added", output_index=call.position, item=item)
        if early:
            self._tell_words(call, "".join(early))

    def _tell_words(self, call: _ToolCall, words: str) -> None:
        what = "custom_tool_call_input" if call.is_custom else "function_call_arguments"
        self._tell(
            f"response.{what}.delta", item_id=call.id, output_index=call.position, delta=words
        )

    # -- ends

    def _close_texts(self) -> None:
        item, self._texts = self._texts, None
        if item is not None:
            self._close(item, is_whole=True)

    def _close(self, item: _Texts | _ToolCall, *, is_whole: bool) -> None:
        item.status = "completed" if is_whole else "incomplete"
        if isinstance(item, _Texts):
            self._close_part(item)
        else:
            self._close_words(item)
        self._tell("response.output_item.done", output_index=item.position, item=item.as_json())

    def _close_part(self, item: _Texts) -> None:
        if not item.parts:
            return
        part = item.parts[-1]
        content = part.as_json()
        _, done, field = _EVENTS[part.kind]
        said = {field: content[field]}
        if part.kind == "output_text":
            said["logprobs"] = part.logprobs
        self._tell(done, **part.where, **said)
        self._tell("response.content_part.done", **part.where, part=content)

    def _close_words(self, call: _ToolCall) -> None:
        where = {"item_id": call.id, "output_index": call.position}
        words = "".join(call.words)
        if call.is_custom:
            self._tell("response.custom_tool_call_input.done", **where, input=words)
        else:
            done = "response.function_call_arguments.done"
            self._tell(done, **where, name=call.name, arguments=words)

    def _tell(self, event: str, **fields: Any) -> None:
        self.told.append({"type": event, **fields})


def _decoded(call: msgspec.Raw) -> _Call:
    try:
        return _call(call)
    except msgspec.DecodeError as error:
        raise UpstreamFailed(f"the provider called a tool in no known form: {error}") from None


def _string(raw: msgspec.Raw) -> str:
    """Arguments are a string of JSON; some providers write the JSON itself."""
    text = bytes(raw)
    if text in (b"", b"null"):
        return ""
    try:
        return msgspec.json.decode(text, type=str) if text.startswith(b'"') else text.decode()
    except UNREADABLE as error:
        raise UpstreamFailed(f"the provider called a tool in no known form: {error}") from None


def _words_of(detail: Json) -> str:
    words = detail.get("text") or detail.get("summary") or ""
    return words if isinstance(words, str) else ""


def _logprobs(tokens: list[Json] | None) -> list[Json]:
    """A token without bytes has none here, where a chat says null."""
    return [
        {
            **token,
            "bytes": token.get("bytes") or [],
            "top_logprobs": [
                {**top, "bytes": top.get("bytes") or []} for top in token.get("top_logprobs") or ()
            ],
        }
        for token in tokens or ()
    ]

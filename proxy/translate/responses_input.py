"""The input of a Responses request as the messages of a chat.

Items that one turn of the model wrote (reasoning, message, calls) are one assistant message. Ids
and states of items, annotations and logprobs of their text, and the phase of a message concern the
client alone and are left out; what is not known is carried where it stood.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from proxy.errors import Invalid, Untranslatable
from proxy.translate.responses_fields import Typed, beside, read
from proxy.translate.responses_reasoning import DETAILS, WORDS, origin_in
from proxy.wires.body import ABSENT

Json = dict[str, Any]


class _Message(msgspec.Struct, gc=False):
    role: str
    content: str | list[msgspec.Raw]
    type: str = "message"
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class _FunctionCall(msgspec.Struct, gc=False):
    call_id: str
    name: str
    arguments: str
    type: str
    id: str | None = None
    status: str | None = None
    namespace: str | None = None
    caller: Typed | None = None


class _CustomCall(msgspec.Struct, gc=False):
    call_id: str
    name: str
    input: str
    type: str
    id: str | None = None
    status: str | None = None
    namespace: str | None = None
    caller: Typed | None = None


class _CallOutput(msgspec.Struct, gc=False):
    call_id: str
    output: str | list[msgspec.Raw]
    type: str
    id: str | None = None
    status: str | None = None
    name: str | None = None
    namespace: str | None = None
    caller: Typed | None = None


class _Words(msgspec.Struct, gc=False):
    text: str = ""


class _Reasoning(msgspec.Struct, gc=False):
    type: str
    content: list[_Words] | None = None
    encrypted_content: str | None = None


class _Text(msgspec.Struct, gc=False):
    type: str
    text: str
    annotations: msgspec.Raw = ABSENT
    logprobs: msgspec.Raw = ABSENT


class _Refusal(msgspec.Struct, gc=False):
    type: str
    refusal: str


class _Image(msgspec.Struct, gc=False):
    type: str
    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None


class _File(msgspec.Struct, gc=False):
    type: str
    file_data: str | None = None
    filename: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    detail: str | None = None


_ROLES = {"user": "user", "system": "system", "developer": "system"}
"""`developer` is OpenAI's newer name for the same; OpenAI takes the older, most others only it."""


def messages_of(items: str | list[msgspec.Raw] | None, instructions: str | None) -> list[Json]:
    """Raises Invalid for an input that is none, Untranslatable for what a chat cannot say."""
    if not items and items != "":
        raise Invalid("input is empty: give a text or items", param="input", code="invalid_type")
    chat = _Chat()
    if instructions:
        chat.messages.append({"role": "system", "content": instructions})
    if isinstance(items, str):
        chat.messages.append({"role": "user", "content": items})
        return chat.messages
    for position, item in enumerate(items):
        where = f"input[{position}]"
        typed = read(item, Typed, where)
        kind = typed.type or ("message" if typed.role is not None else "item_reference")
        translate = _ITEMS.get(kind)
        if translate is None:
            raise Untranslatable(
                f"an item of type {kind!r:.60} has no translation:"
                f" {_WHY.get(kind, 'a chat has nothing like it')}",
                param=where,
            )
        translate(chat, item, where)
    return chat.ended()


_WHY = {"item_reference": "no item is kept here, send it as it was"}


class _Chat:
    """The messages so far, and the assistant's message that is being put together."""

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self._draft: Json | None = None

    @property
    def draft(self) -> Json:
        if self._draft is None:
            self._draft = {"role": "assistant", "content": None}
        return self._draft

    def begin(self) -> None:
        """Reasoning, or a text: after a text another turn begins, unless a call is still open."""
        if self._draft is not None and "tool_calls" not in self._draft and _has_spoken(self._draft):
            self.settle()

    def settle(self) -> None:
        """The assistant's turn is over."""
        draft, self._draft = self._draft, None
        if draft is None:
            return
        if _has_spoken(draft) or "tool_calls" in draft:
            self.messages.append(draft)
        elif self.messages and self.messages[-1]["role"] == "assistant":
            _think(self.messages[-1], draft)  # what came to light after the answer belongs to it

    def add(self, message: Json) -> None:
        self.settle()
        self.messages.append(message)

    def ended(self) -> list[Json]:
        self.settle()
        users = [n for n, message in enumerate(self.messages) if message["role"] == "user"]
        for message in self.messages[: users[-1] if users else 0]:
            for field in WORDS:
                message.pop(field, None)
        return self.messages


def _has_spoken(draft: Json) -> bool:
    return draft["content"] is not None or "refusal" in draft


def _message(chat: _Chat, item: msgspec.Raw, where: str) -> None:
    message = read(item, _Message, where)
    content = _content(message.content, f"{where}.content")
    more = beside(item, _Message)
    if message.role == "assistant":
        chat.begin()
        _say(chat.draft, content)
        chat.draft.update(more)
    elif message.role in _ROLES:
        chat.add({"role": _ROLES[message.role], "content": content} | more)
    else:
        raise Untranslatable(
            f"a message of role {message.role!r:.60} has no translation: roles are user,"
            " assistant, system and developer",
            param=f"{where}.role",
        )


def _say(draft: Json, content: str | list[Json]) -> None:
    """A refusal has a field of its own. Texts are one text: so they were when they were written."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    refusals = [part["refusal"] for part in parts if part["type"] == "refusal"]
    if refusals:
        draft["refusal"] = draft.get("refusal", "") + "".join(refusals)
    parts = [part for part in parts if part["type"] != "refusal"]
    if not parts:
        return
    earlier = draft["content"]
    if isinstance(earlier, str):
        parts.insert(0, {"type": "text", "text": earlier})
    elif earlier is not None:
        parts = earlier + parts
    plain = all(part.keys() == {"type", "text"} for part in parts)
    draft["content"] = "".join(part["text"] for part in parts) if plain else parts


def _function_call(chat: _Chat, item: msgspec.Raw, where: str) -> None:
    call = read(item, _FunctionCall, where)
    _refuse_indirect(call, where)
    function = {"name": call.name, "arguments": call.arguments}
    _call(chat, {"id": call.call_id, "type": "function", "function": function}, item, _FunctionCall)


def _custom_call(chat: _Chat, item: msgspec.Raw, where: str) -> None:
    call = read(item, _CustomCall, where)
    _refuse_indirect(call, where)
    custom = {"name": call.name, "input": call.input}
    _call(chat, {"id": call.call_id, "type": "custom", "custom": custom}, item, _CustomCall)


def _call(chat: _Chat, call: Json, item: msgspec.Raw, form: type[msgspec.Struct]) -> None:
    chat.draft.setdefault("tool_calls", []).append(call | beside(item, form))


def _call_output(chat: _Chat, item: msgspec.Raw, where: str) -> None:
    output = read(item, _CallOutput, where)
    _refuse_indirect(output, where)
    content = _content(output.output, f"{where}.output")
    message = {"role": "tool", "tool_call_id": output.call_id, "content": content}
    chat.add(message | beside(item, _CallOutput))


def _refuse_indirect(call: _FunctionCall | _CustomCall | _CallOutput, where: str) -> None:
    if call.namespace is not None:
        raise Untranslatable(
            "namespace has no translation: a chat's tools have names alone",
            param=f"{where}.namespace",
        )
    if call.caller is not None and call.caller.type != "direct":
        raise Untranslatable(
            "caller has no translation: in a chat, tools are only called directly",
            param=f"{where}.caller",
        )


def _reasoning(chat: _Chat, item: msgspec.Raw, where: str) -> None:
    reasoning = read(item, _Reasoning, where)
    origin = origin_in(reasoning.encrypted_content, f"{where}.encrypted_content")
    chat.begin()
    if origin is None:
        return
    thought: Json = {DETAILS: origin.details} if origin.details else {}
    words = "".join(part.text for part in reasoning.content or ())
    if origin.field is not None and words:
        thought[origin.field] = words
    _think(chat.draft, thought)


def _think(message: Json, thought: Json) -> None:
    for field in (*WORDS, DETAILS):
        if field in thought:
            message[field] = message[field] + thought[field] if field in message else thought[field]


_ITEMS: dict[str, Callable[[_Chat, msgspec.Raw, str], None]] = {
    "message": _message,
    "function_call": _function_call,
    "function_call_output": _call_output,
    "custom_tool_call": _custom_call,
    "custom_tool_call_output": _call_output,
    "reasoning": _reasoning,
}


def _content(content: str | list[msgspec.Raw], where: str) -> str | list[Json]:
    """A text alone is a string: some providers take nothing else from tools and the system."""
    if isinstance(content, str):
        return content
    parts = [_part(part, f"{where}[{position}]") for position, part in enumerate(content)]
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        text: str = parts[0]["text"]
        return text
    return parts


def _part(part: msgspec.Raw, where: str) -> Json:
    match read(part, Typed, where).type:
        case "input_text" | "output_text" | "text":
            text = read(part, _Text, where)
            return {"type": "text", "text": text.text} | beside(part, _Text)
        case "refusal":
            return {"type": "refusal", "refusal": read(part, _Refusal, where).refusal}
        case "input_image":
            return _image(read(part, _Image, where), where) | beside(part, _Image)
        case "input_file":
            return _file(read(part, _File, where), where) | beside(part, _File)
        case "input_audio":
            return msgspec.json.decode(part, type=dict[str, msgspec.Raw])
        case other:
            raise Untranslatable(
                f"a part of type {other!r:.60} has no translation: a chat has texts, images and"
                " files",
                param=where,
            )


def _image(image: _Image, where: str) -> Json:
    if image.image_url is None:
        raise Untranslatable(
            "an image without image_url has no translation: no file is kept here, send a URL or"
            " its data",
            param=where,
        )
    if image.detail not in (None, "auto", "low", "high"):
        raise Untranslatable(
            f"detail {image.detail!r:.60} has no translation: a chat's images have low, high and"
            " auto",
            param=f"{where}.detail",
        )
    url = {"url": image.image_url}
    if image.detail in ("low", "high"):
        url["detail"] = image.detail
    return {"type": "image_url", "image_url": url}


def _file(file: _File, where: str) -> Json:
    """Only one that is here: a provider that chats fetches none, and none is kept here."""
    if file.file_data is None or file.file_id is not None or file.file_url is not None:
        raise Untranslatable(
            "a file that is not in the request has no translation: send its file_data", param=where
        )
    if file.detail not in (None, "auto"):
        raise Untranslatable(
            "detail of a file has no translation: leave it out", param=f"{where}.detail"
        )
    inner = {"file_data": file.file_data}
    if file.filename is not None:
        inner["filename"] = file.filename
    return {"type": "file", "file": inner}

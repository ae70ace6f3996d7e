"""The messages of a chat as the turns of a Messages request.

    system, developer        the system prompt, wherever they stand: Anthropic's own OpenAI layer
                             does so, and only its newer models take them among the turns
    user                     text and images; a file as a document
    assistant                text (a refusal too) and tool_use; thinking from reasoning_details, in
                             its place. Reasoning that Claude did not sign is left out
    tool                     tool_result in a turn of the user
    cache_control            stays on its block; one in a tool's message marks the whole result

Neighbours of one role become one turn. Text that is nothing but space is left out: it says nothing,
and Anthropic refuses it. `image_url.detail` is left out: there is no such choice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from proxy.errors import Invalid, Untranslatable
from proxy.translate.messages_reasoning import blocks_of
from proxy.wires.body import ABSENT, UNREADABLE, is_given

Json = dict[str, Any]


class _Image(msgspec.Struct, gc=False):
    url: str


class _File(msgspec.Struct, gc=False):
    filename: str | None = None
    file_data: str | None = None


class _Part(msgspec.Struct, gc=False):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: _Image | str | None = None
    file: _File | None = None
    cache_control: msgspec.Raw = ABSENT


class _Function(msgspec.Struct, gc=False):
    name: str
    arguments: str = ""


class _Call(msgspec.Struct, gc=False):
    id: str
    type: str = "function"
    function: _Function | None = None
    cache_control: msgspec.Raw = ABSENT


class Message(msgspec.Struct, gc=False):
    """One of `messages`."""

    role: str
    content: str | list[_Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str = ""
    reasoning_details: msgspec.Raw = ABSENT
    cache_control: msgspec.Raw = ABSENT
    function_call: msgspec.Raw = ABSENT
    audio: msgspec.Raw = ABSENT


class Talk(msgspec.Struct, gc=False):
    """What the messages are: the system prompt's blocks, and turns of user and assistant."""

    system: list[Json]
    turns: list[Json]


_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w=.-]+)*;base64,", re.ASCII)
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_ID = re.compile(r"[^a-zA-Z0-9_-]")


def talk_of(messages: Sequence[Message]) -> Talk:
    """Raises Untranslatable for what a Messages request cannot say, Invalid for no message."""
    talk = Talk([], [])
    if len({one.name for one in messages if one.role == "user"}) > 1:
        raise Untranslatable(
            "users with several names cannot be told apart there: put their names into the text",
            param="messages",
        )
    for i, message in enumerate(messages):
        where = f"messages.{i}"
        match message.role:
            case "system" | "developer":
                talk.system += _marked(_blocks(message, where), message.cache_control)
            case "user":
                _add(talk, "user", _marked(_blocks(message, where), message.cache_control))
            case "assistant":
                said = _marked(_of_assistant(message, where), message.cache_control)
                _add(talk, "assistant", said)
            case "tool":
                _add(talk, "user", [_result(message, where)])
            case "function":
                raise _cannot("a function's", where, "use tools")
            case role:
                raise Invalid(
                    f"{where}.role is {role[:50]!r}: use system, user, assistant or tool",
                    param=f"{where}.role",
                    code="invalid_type",
                )
    if not talk.turns:
        raise Untranslatable(
            "there is no message but the system's: give at least one of the user", param="messages"
        )
    return talk


def _add(talk: Talk, role: str, blocks: list[Json]) -> None:
    if not blocks:
        return
    if talk.turns and talk.turns[-1]["role"] == role:
        talk.turns[-1]["content"] += blocks
    else:
        talk.turns.append({"role": role, "content": blocks})


def _cannot(what: str, where: str, instead: str) -> Untranslatable:
    return Untranslatable(
        f"{where} is {what}, which the Messages wire cannot say: {instead}", param=where
    )


def cached(block: Json, cache_control: msgspec.Raw) -> Json:
    """`block` with the mark that its part had."""
    return block | {"cache_control": cache_control} if is_given(cache_control) else block


def _marked(blocks: list[Json], cache_control: msgspec.Raw) -> list[Json]:
    """A mark on the whole message is one on its last block."""
    return [*blocks[:-1], cached(blocks[-1], cache_control)] if blocks else blocks


# -- text, images, files


def _blocks(message: Message, where: str) -> list[Json]:
    if isinstance(message.content, str):
        return _text(message.content)
    blocks: list[Json] = []
    for i, part in enumerate(message.content or ()):
        made = _of_part(part, f"{where}.content.{i}")
        blocks += _marked(made, part.cache_control)
    return blocks


def _text(text: str | None) -> list[Json]:
    return [{"type": "text", "text": text}] if text and not text.isspace() else []


def _of_part(part: _Part, where: str) -> list[Json]:
    match part.type:
        case "text":
            return _text(part.text)
        case "refusal":
            return _text(part.refusal)
        case "image_url":
            image = part.image_url
            url = image if isinstance(image, str) else "" if image is None else image.url
            return [{"type": "image", "source": _source(url, where)}]
        case "file":
            return [_document(part.file or _File(), where)]
        case kind:
            raise _cannot(f"a part of type {kind[:50]}", where, "use text and images")


def _source(url: str, where: str) -> Json:
    found = _DATA_URL.match(url)
    if found is None:
        if url.startswith(("https://", "http://")):
            return {"type": "url", "url": url}
        raise _cannot("an image without a URL", where, "use https:// or data:…;base64,…")
    kind = found[1].lower().replace("image/jpg", "image/jpeg")
    if kind not in _IMAGES:
        raise _cannot(f"an image of type {kind[:50]}", where, f"use {', '.join(_IMAGES)}")
    return {"type": "base64", "media_type": kind, "data": url[found.end() :]}


def _document(file: _File, where: str) -> Json:
    found = _DATA_URL.match(file.file_data or "")
    if file.file_data is None or found is None or found[1].lower() != "application/pdf":
        raise _cannot("a file that is no PDF in itself", where, "send its text, or a PDF's data")
    data = file.file_data[found.end() :]
    source = {"type": "base64", "media_type": "application/pdf", "data": data}
    titled = {} if file.filename is None else {"title": file.filename}
    return {"type": "document", "source": source, **titled}


# -- the assistant's messages, and the results of tools


def _of_assistant(message: Message, where: str) -> list[Json]:
    if is_given(message.function_call):
        raise _cannot("a function_call", where, "use tools and tool_calls")
    if is_given(message.audio):
        raise _cannot("audio", where, "send what was said")
    said = _blocks(message, where) + _text(message.refusal)
    for i, call in enumerate(message.tool_calls or ()):
        said.append(_call(call, f"{where}.tool_calls.{i}"))
    for i, (place, block) in enumerate(blocks_of(message.reasoning_details)):
        said.insert(max(i, place), block)
    return said


def _call(call: _Call, where: str) -> Json:
    if call.type != "function" or call.function is None:
        raise _cannot(f"a call of a {call.type[:50]} tool", where, "use functions")
    arguments = call.function.arguments or "{}"
    try:
        _object(arguments)
        given: object = msgspec.Raw(arguments.encode())
    except UNREADABLE:
        given = {"INVALID_JSON": arguments}  # as Anthropic advises
    used = {"type": "tool_use", "id": _id(call.id), "name": call.function.name, "input": given}
    return cached(used, call.cache_control)


def _result(message: Message, where: str) -> Json:
    blocks = _blocks(message, where)
    mark = message.cache_control
    for block in blocks:
        mark = block.pop("cache_control", mark)
    result: Json = {"type": "tool_result", "tool_use_id": _id(message.tool_call_id)}
    if blocks:
        result["content"] = blocks
    return cached(result, mark)


def _id(call_id: str) -> str:
    """Other providers' ids may have signs that Anthropic does not allow."""
    return _ID.sub(lambda sign: f"-{ord(sign[0]):x}", call_id)

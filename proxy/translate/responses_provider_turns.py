"""The messages of a chat as the instructions and input items of a Responses request.

    system, developer        instructions, if it comes first and is one text: some models (codex at
                             some hosts) take no system message among the items. Else a message
    user                     a message of text, images and files
    assistant                reasoning, a message (text, refusal), and one item for each call
    tool                     the output of a function, or of a custom tool if that was called
    prompt_cache_breakpoint  stays on its part, but for the assistant's own: nothing there has one

Reasoning goes back if this wire encrypted it (`reasoning_details`); its words alone are left out,
for a model reads none but its own. Calls and messages go back without ids: the provider has kept
none. Left out: annotations, and hints to other providers (`cache_control`, `extra_content`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from proxy.errors import Invalid, Untranslatable
from proxy.translate.messages_reasoning import details_in
from proxy.wires.body import ABSENT, is_given

Json = dict[str, Any]

FORMAT = "openai-responses-v1"
"""OpenRouter's name for reasoning that this wire encrypted."""
_ITEM = "rs_"


class _Image(msgspec.Struct, gc=False):
    url: str
    detail: str | None = None


class _File(msgspec.Struct, gc=False):
    filename: str | None = None
    file_data: str | None = None
    file_id: str | None = None


class _Part(msgspec.Struct, gc=False):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: _Image | str | None = None
    file: _File | None = None
    prompt_cache_breakpoint: msgspec.Raw = ABSENT


class _Function(msgspec.Struct, gc=False):
    name: str
    arguments: str = ""


class _Custom(msgspec.Struct, gc=False):
    name: str
    input: str = ""


class _Call(msgspec.Struct, gc=False):
    id: str
    type: str = "function"
    function: _Function | None = None
    custom: _Custom | None = None


class Message(msgspec.Struct, gc=False):
    """One of `messages`."""

    role: str
    content: str | list[_Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str = ""
    reasoning_details: msgspec.Raw = ABSENT
    function_call: msgspec.Raw = ABSENT
    audio: msgspec.Raw = ABSENT


class Talk(msgspec.Struct, gc=False):
    """What the messages are."""

    instructions: str | None
    items: list[Json]


def talk_of(messages: Sequence[Message], *, instructs: bool) -> Talk:
    """instructs: whether a first message of the system may become instructions.

    Raises Untranslatable for what a response cannot be told, Invalid for what is no message.
    """
    if len({one.name for one in messages if one.role == "user"}) > 1:
        raise Untranslatable(
            "users with several names cannot be told apart there: put their names into the text",
            param="messages",
        )
    instructions = _instructions(messages) if instructs else None
    items: list[Json] = []
    customs: set[str] = set()
    for i, message in enumerate(messages):
        if i == 0 and instructions is not None:
            continue
        where = f"messages.{i}"
        match message.role:
            case "system" | "developer" | "user":
                content = _content(message.content, f"{where}.content")
                items.append({"role": message.role, "content": content})
            case "assistant":
                items += _of_assistant(message, where)
                calls = message.tool_calls or ()
                customs |= {call.id for call in calls if call.type == "custom"}
            case "tool":
                kind = "custom_tool_call" if message.tool_call_id in customs else "function_call"
                output = _content(message.content, f"{where}.content")
                items.append(
                    {"type": f"{kind}_output", "call_id": message.tool_call_id, "output": output}
                )
            case "function":
                raise _cannot("a function's", where, "use tools")
            case role:
                raise Invalid(
                    f"{where}.role is {role[:50]!r}: use system, user, assistant or tool",
                    param=f"{where}.role",
                    code="invalid_type",
                )
    if not items:
        raise Untranslatable("no message says anything: give at least one", param="messages")
    return Talk(instructions, items)


def _instructions(messages: Sequence[Message]) -> str | None:
    """Only where there is something else: a request without input is refused."""
    first, *rest = messages or (Message(""),)
    if not rest or first.role not in ("system", "developer"):
        return None
    match first.content:
        case str(text):
            return text or None
        case [_Part(type="text") as part] if not is_given(part.prompt_cache_breakpoint):
            return part.text or None
        case _:
            return None


def _cannot(what: str, where: str, instead: str) -> Untranslatable:
    return Untranslatable(
        f"{where} is {what}, which a response cannot be told: {instead}", param=where
    )


# -- text, images, files


def _content(content: str | list[_Part] | None, where: str) -> str | list[Json]:
    if not isinstance(content, list):
        return content or ""
    return [_of_part(part, f"{where}.{i}") for i, part in enumerate(content)]


def _of_part(part: _Part, where: str) -> Json:
    match part.type:
        case "text":
            made: Json = {"type": "input_text", "text": part.text or ""}
        case "image_url" if part.image_url is not None:
            image = part.image_url
            image = _Image(image) if isinstance(image, str) else image
            detail = image.detail or "auto"
            made = {"type": "input_image", "image_url": image.url, "detail": detail}
        case "file":
            made = _file(part.file or _File(), where)
        case kind:
            raise _cannot(f"a part of type {kind[:50]}", where, "use text, images and files")
    if is_given(part.prompt_cache_breakpoint):
        made["prompt_cache_breakpoint"] = part.prompt_cache_breakpoint
    return made


def _file(file: _File, where: str) -> Json:
    """Only one that is here: whose store an id is of, nobody on this way knows."""
    if file.file_data is None or file.file_id is not None:
        raise _cannot("a file that is not in the request", where, "send its file_data")
    named = {} if file.filename is None else {"filename": file.filename}
    return {"type": "input_file", "file_data": file.file_data, **named}


# -- the assistant's messages


def _of_assistant(message: Message, where: str) -> list[Json]:
    if is_given(message.function_call):
        raise _cannot("a function_call", where, "use tools and tool_calls")
    if is_given(message.audio):
        raise _cannot("audio", where, "send what was said")
    said = _said(message, where)
    said += [
        _call(call, f"{where}.tool_calls.{i}") for i, call in enumerate(message.tool_calls or ())
    ]
    # Reasoning that led to nothing is refused.
    return _reasoning(message) + said if said else []


def _said(message: Message, where: str) -> list[Json]:
    """Texts are one text: so they were when they were written."""
    content = message.content
    texts, refusals = [content] if isinstance(content, str) else [], [message.refusal or ""]
    for i, part in enumerate(content if isinstance(content, list) else ()):
        match part.type:
            case "text":
                texts.append(part.text or "")
            case "refusal":
                refusals.append(part.refusal or "")
            case kind:
                raise _cannot(
                    f"a part of type {kind[:50]}",
                    f"{where}.content.{i}",
                    "the assistant writes text and refusals",
                )
    text, refusal = "".join(texts), "".join(refusals)
    if not refusal:
        is_said = text or (texts and not message.tool_calls)
        return [{"role": "assistant", "content": text}] if is_said else []
    parts = [{"type": "output_text", "text": text}] if text else []
    return [
        {
            "type": "message",
            "role": "assistant",
            "content": [*parts, {"type": "refusal", "refusal": refusal}],
        }
    ]


def _reasoning(message: Message) -> list[Json]:
    """An id of another provider's would be looked for in vain: without one, what is encrypted
    speaks for itself. A summary must be there, if only an empty one."""
    items: list[Json] = []
    for one in details_in(message.reasoning_details):
        if one.type == "reasoning.encrypted" and one.data and (one.format or "").startswith(FORMAT):
            named = {"id": one.id} if one.id is not None and one.id.startswith(_ITEM) else {}
            items.append(
                {"type": "reasoning", **named, "summary": [], "encrypted_content": one.data}
            )
    return items


def _call(call: _Call, where: str) -> Json:
    match call:
        case _Call(type="function", function=_Function(name=name, arguments=arguments)):
            said = {"type": "function_call", "name": name, "arguments": arguments}
        case _Call(type="custom", custom=_Custom(name=name, input=words)):
            said = {"type": "custom_tool_call", "name": name, "input": words}
        case _:
            raise _cannot(f"a call of a {call.type[:50]} tool", where, "use functions")
    return {"call_id": call.id, **said}

"""The turns of a Messages request as the messages of a chat.

    text, image                       parts of the same kind
    document                          its text as text, a PDF as a file
    search_result                     text: title and source, then what was found
    tool_use                          a tool call; its input is not written anew, digit by digit
    tool_result                       a message of its own; images follow in the user's message, for
                                      a tool has no place for them; a failure says "Error:", for
                                      there is no flag for it
    thinking, redacted_thinking       reasoning_content and reasoning_details: models that reason
                                      between their tool calls want it back, others drop it
    cache_control                     stays on its part, where OpenRouter, LiteLLM and others take
                                      it; it changes what a prompt costs and nothing that is said

Anything else is done by Anthropic's own servers, or says something that a chat cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from proxy.errors import Invalid, Untranslatable
from proxy.translate import messages_reasoning as reasoning
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, is_given

T = TypeVar("T")
Json = dict[str, Any]


class Source(msgspec.Struct, gc=False):
    """Where an image or a document is."""

    type: str
    data: str = ""
    media_type: str = ""
    url: str = ""
    content: msgspec.Raw = ABSENT


class _Citations(msgspec.Struct, gc=False):
    enabled: bool | None = None


class _Transformations(msgspec.Struct, gc=False):
    oversized_image: str | None = None


class _Typed(msgspec.Struct, gc=False):
    type: str


class Block(msgspec.Struct, gc=False):
    """A block of content, of any type; of one that we know, each field has its own."""

    type: str
    text: str | None = None
    source: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT
    title: str | None = None
    context: str | None = None
    citations: msgspec.Raw = ABSENT
    transformations: msgspec.Raw = ABSENT
    id: str = ""
    name: str = ""
    input: msgspec.Raw = ABSENT
    caller: _Typed | None = None
    toolset_name: str | None = None
    tool_use_id: str = ""
    is_error: bool | None = None
    thinking: str = ""
    signature: str = ""
    data: str = ""
    cache_control: msgspec.Raw = ABSENT


Content = str | list[Block]


class Turn(msgspec.Struct, gc=False):
    role: str
    content: Content = ""
    clear_at: str | None = None
    output_config: msgspec.Raw = ABSENT


_source = msgspec.json.Decoder(Source).decode
_citations = msgspec.json.Decoder(_Citations | list[msgspec.Raw] | None).decode
_transformations = msgspec.json.Decoder(_Transformations | None).decode
_content = msgspec.json.Decoder(Content | None).decode
_text = msgspec.json.Decoder(str).decode
_FAILED = "Error:"


def system_of(content: Content) -> list[Json]:
    """The system prompt as messages: one, or none if it is empty."""
    said = _said(_parts(_blocks(content), "system"))
    return [{"role": "system", "content": said}] if said else []


def messages_of(turns: Sequence[Turn]) -> list[Json]:
    """Raises Untranslatable for what a chat cannot say, Invalid for what is no turn."""
    messages: list[Json] = []
    last_user = max((i for i, turn in enumerate(turns) if turn.role == "user"), default=-1)
    for i, turn in enumerate(turns):
        where = f"messages.{i}"
        match turn.role:
            case "user":
                messages += _of_user(_blocks(turn.content), where)
            case "assistant":
                messages.append(_of_assistant(_blocks(turn.content), where))
            case "system":
                if is_given(turn.output_config) and bytes(turn.output_config) != b"{}":
                    raise _cannot("an output_config of its own", where)
                if turn.clear_at != "next_user_message" or i > last_user:
                    messages += system_of(turn.content)
            case _:
                raise Invalid(
                    f"{where}.role is {turn.role[:50]!r}: use user, assistant or system",
                    param=f"{where}.role",
                    code="invalid_type",
                )
    talk = [turn.role for turn in turns if turn.role != "system"]
    if talk and talk[-1] == "assistant":
        raise Untranslatable(
            "the last of messages is the assistant's, to be continued: a chat would begin anew;"
            " end with a user's",
            param="messages",
        )
    return messages


def cached(marked: Json, cache_control: msgspec.Raw) -> Json:
    """`marked` with the mark that its block had."""
    return marked | {"cache_control": cache_control} if is_given(cache_control) else marked


def _blocks(content: Content) -> list[Block]:
    if isinstance(content, str):
        return [Block("text", text=content)] if content else []
    return content


def _cannot(what: str, where: str) -> Untranslatable:
    return Untranslatable(f"{where} is {what}, which a chat completion cannot say", param=where)


def _read(decode: Callable[[msgspec.Raw], T], raw: msgspec.Raw, where: str) -> T:
    """A field that is only read in the blocks that have it."""
    try:
        return decode(raw)
    except msgspec.ValidationError as error:
        told = bodies.misfit(error, "a Messages request", where).message
        raise Invalid(told, param=where, code="invalid_type") from None
    except msgspec.DecodeError as error:
        raise Invalid(f"{where} is wrong: {error}", param=where, code="invalid_type") from None


def _said(parts: list[Json]) -> str | list[Json]:
    """Text alone is a string: not every provider takes parts everywhere."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        text: str = parts[0]["text"]
        return text
    return parts


# -- text, images, documents


def _parts(blocks: Sequence[Block], where: str) -> list[Json]:
    parts: list[Json] = []
    for i, block in enumerate(blocks):
        made = _part(block, f"{where}.content.{i}")
        if made:
            made[-1] = cached(made[-1], block.cache_control)
        parts += made
    return parts


def _part(block: Block, where: str) -> list[Json]:
    match block.type:
        case "text":
            return [_text_part(block.text or "")]  # its citations say where it was found, not more
        case "image":
            return [_image(block, where)]
        case "document":
            return _document(block, where)
        case "search_result":
            _refuse_citations(block, where)
            source = _read(_text, block.source, f"{where}.source")
            found = _blocks(_read(_content, block.content, f"{where}.content") or "")
            return [_text_part(f"{block.title or ''}\n{source}".strip()), *_parts(found, where)]
        case _:
            raise _cannot(f"a block of type {block.type[:50]}", where)


def _text_part(text: str) -> Json:
    return {"type": "text", "text": text}


def _image(block: Block, where: str) -> Json:
    source = _read(_source, block.source, f"{where}.source")
    if is_given(block.transformations):
        asked = _read(_transformations, block.transformations, f"{where}.transformations")
        if asked is not None and asked.oversized_image not in (None, "downsize"):
            raise _cannot("an image that may not be made smaller", where)
    match source.type:
        case "base64":
            url = f"data:{source.media_type};base64,{source.data}"
        case "url":
            url = source.url
        case kind:
            raise _cannot(f"an image of source {kind[:50]}", where)
    return {"type": "image_url", "image_url": {"url": url}}


def _document(block: Block, where: str) -> list[Json]:
    _refuse_citations(block, where)
    source = _read(_source, block.source, f"{where}.source")
    about = [_text_part(one) for one in (block.title, block.context) if one]
    match source.type:
        case "text":
            return [*about, _text_part(source.data)]
        case "content":
            inner = _blocks(_read(_content, source.content, f"{where}.source.content") or "")
            return [*about, *_parts(inner, f"{where}.source")]
        case "base64" if source.media_type == "application/pdf":
            data = f"data:application/pdf;base64,{source.data}"
            file = {"filename": block.title or "document.pdf", "file_data": data}
            context = [_text_part(block.context)] if block.context else []
            return [*context, {"type": "file", "file": file}]
        case kind:
            raise _cannot(f"a document of source {kind[:50]}", where)


def _refuse_citations(block: Block, where: str) -> None:
    if is_given(block.citations):
        asked = _read(_citations, block.citations, f"{where}.citations")
        if isinstance(asked, _Citations) and asked.enabled:
            raise _cannot("a source to be cited", where)


# -- the user's turns, with the results of tools


def _of_user(blocks: Sequence[Block], where: str) -> list[Json]:
    """The results first: they answer the calls before, and stand first in the turn anyway."""
    messages: list[Json] = []
    shown: list[Json] = []
    for i, block in enumerate(blocks):
        if block.type == "tool_result":
            message, images = _result(block, f"{where}.content.{i}")
            messages.append(message)
            shown += images
    rest = shown + _parts([one for one in blocks if one.type != "tool_result"], where)
    if rest or not messages:
        messages.append({"role": "user", "content": _said(rest)})
    return messages


def _result(block: Block, where: str) -> tuple[Json, list[Json]]:
    """The tool's message, and the parts of the user's that show its images."""
    if block.toolset_name is not None:
        raise _cannot(f"a result of the toolset {block.toolset_name[:50]}", where)
    content = _read(_content, block.content, f"{where}.content") if is_given(block.content) else ""
    parts: list[Json] = []
    shown: list[Json] = []
    for part in _parts(_blocks(content or ""), where):
        if part["type"] == "text":
            parts.append(part)
        else:
            parts.append(_text_part("(It is shown in the next message.)"))
            shown += [_text_part(f"What tool call {block.tool_use_id} returned:"), part]
    if block.is_error:
        parts = _failed(parts)
    if parts:
        parts[-1] = cached(parts[-1], block.cache_control)
    return {"role": "tool", "tool_call_id": block.tool_use_id, "content": _said(parts)}, shown


def _failed(parts: list[Json]) -> list[Json]:
    first = parts[0] if parts else _text_part("")
    if first["text"].startswith(_FAILED):
        return parts
    return [first | _text_part(f"{_FAILED} {first['text']}".strip()), *parts[1:]]


# -- the assistant's turns


def _of_assistant(blocks: Sequence[Block], where: str) -> Json:
    said: list[Block] = []
    calls: list[Json] = []
    thoughts: list[str] = []
    details: list[reasoning.Detail] = []
    for i, block in enumerate(blocks):
        match block.type:
            case "tool_use":
                calls.append(_call(block, f"{where}.content.{i}"))
            case "thinking":
                thoughts.append(block.thinking)
                if block.signature:
                    details.append(
                        reasoning.detail_of_thinking(block.thinking, block.signature, len(details))
                    )
            case "redacted_thinking":
                details.append(reasoning.detail_of_redacted(block.data, len(details)))
            case _:
                said.append(block)
    parts = _parts(said, where)
    message: Json = {"role": "assistant", "content": _said(parts) if parts or not calls else None}
    if any(thoughts):
        message["reasoning_content"] = "".join(thoughts)
    if details:
        message["reasoning_details"] = details
    if calls:
        message["tool_calls"] = calls
    return message


def _call(block: Block, where: str) -> Json:
    if block.toolset_name is not None:
        raise _cannot(f"a call of the toolset {block.toolset_name[:50]}", where)
    if block.caller is not None and block.caller.type != "direct":
        raise _cannot(f"a call by {block.caller.type[:50]}", where)
    arguments = bytes(block.input).decode() or "{}"
    call = {"name": block.name, "arguments": arguments}
    return cached({"id": block.id, "type": "function", "function": call}, block.cache_control)

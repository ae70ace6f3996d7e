"""A Responses request as a chat request.

Under another name or in another form: input and instructions, tools, tool_choice, text, reasoning,
max_output_tokens, top_logprobs and include. Left out, for they only concern the answer or nothing:
metadata (some refuse it in a chat that is not stored), store, max_tool_calls (it counts the hosted
tools alone, which are refused), reasoning.summary (what a provider shows of its reasoning is shown
in full), truncation "disabled". Whatever else there is passes through: temperature and top_p, and
also what only some provider knows.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from proxy.errors import Untranslatable
from proxy.translate.responses_fields import beside
from proxy.translate.responses_input import messages_of
from proxy.translate.responses_tools import choice_to_chat, tool_to_chat
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, Count, is_given


class _Text(msgspec.Struct, gc=False):
    format: dict[str, msgspec.Raw] | None = None
    verbosity: str | None = None


class _Reasoning(msgspec.Struct, gc=False):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    context: str | None = None
    mode: str | None = None


class _Request(msgspec.Struct, gc=False):
    """The fields that a chat request writes otherwise, or cannot have. The rest passes through."""

    input: str | list[msgspec.Raw] | None = None
    instructions: str | None = None
    tools: list[msgspec.Raw] | None = None
    tool_choice: msgspec.Raw = ABSENT
    parallel_tool_calls: bool | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None
    max_output_tokens: Count | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    include: list[str] | None = None
    stream: bool | None = None
    stream_options: dict[str, msgspec.Raw] | None = None
    metadata: msgspec.Raw = ABSENT
    store: msgspec.Raw = ABSENT
    max_tool_calls: msgspec.Raw = ABSENT
    truncation: str | None = None
    background: msgspec.Raw = ABSENT
    previous_response_id: msgspec.Raw = ABSENT
    conversation: msgspec.Raw = ABSENT
    prompt: msgspec.Raw = ABSENT
    context_management: msgspec.Raw = ABSENT
    moderation: msgspec.Raw = ABSENT


_request = msgspec.json.Decoder(_Request).decode

_UNTRANSLATABLE = {
    "background": "an answer in the background is fetched later, and nothing is kept here",
    "previous_response_id": "no response is kept here: send its items as input",
    "conversation": "no conversation is kept here: send its items as input",
    "prompt": "no prompt template is kept here: write it out as instructions and input",
    "context_management": "nobody on this way compacts a context: leave it out",
    "moderation": "nobody on this way moderates: leave it out",
}
_OF_CHAT = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
    "reasoning_effort": "reasoning.effort",
    "logprobs": "top_logprobs",
    "functions": "tools",
    "function_call": "tool_choice",
    "n": None,
    "audio": None,
    "modalities": None,
    "web_search_options": None,
    "search_parameters": None,
}
"""Fields that only a chat request has, and what they are called here. Passed on, they would speak
against what we write ourselves, or buy what this request was not priced for."""
_LOGPROBS = "message.output_text.logprobs"
_INCLUDED = {
    "reasoning.encrypted_content",  # what stands for it here is always there
    _LOGPROBS,
    # What hosted tools found, and they are refused; or what input items look like when fetched.
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "message.input_image.image_url",
}


def request_to_chat(body: bytes) -> bytes:
    """The same request to POST /chat/completions.

    Raises Invalid for what is no Responses request, and Untranslatable, naming the field, for what
    a chat request cannot say.
    """
    request = bodies.read(_request, body, "a Responses request")
    tree = bodies.tree_of(body)
    _refuse(request, tree)
    chat: dict[str, Any] = {
        key: value for key, value in tree.items() if key not in _Request.__struct_fields__
    }
    chat["messages"] = messages_of(request.input, request.instructions)
    chat |= _tools(request) | _form(request.text) | _logprobs(request)
    if request.max_output_tokens is not None:
        chat["max_completion_tokens"] = request.max_output_tokens
    if request.reasoning is not None and request.reasoning.effort is not None:
        chat["reasoning_effort"] = request.reasoning.effort
    if request.stream is not None:
        chat["stream"] = request.stream
    if request.stream:  # a response always says its usage
        chat["stream_options"] = (request.stream_options or {}) | {"include_usage": True}
    return bodies.encode(chat)


def _refuse(request: _Request, tree: dict[str, Any]) -> None:
    """What would change the answer or its bill if it were left out."""
    for name, why in _UNTRANSLATABLE.items():
        if is_given(getattr(request, name)):
            raise Untranslatable(f"{name} has no translation: {why}", param=name)
    for key, value in tree.items():
        if key.lower() in _OF_CHAT and bytes(value) != b"null":
            ours = _OF_CHAT[key.lower()]
            advice = "leave it out" if ours is None else f"here it is {ours}"
            raise Untranslatable(
                f"{key[:50]} belongs to chat completions: {advice}", param=key[:50]
            )
    for name, form in (("text", _Text), ("reasoning", _Reasoning)):
        unknown = beside(tree[name], form) if getattr(request, name) is not None else None
        if unknown:
            raise _leave_out(f"{name}.{next(iter(unknown))[:50]}")
    if request.truncation not in (None, "disabled"):
        raise _leave_out("truncation")
    if request.reasoning is not None:
        if request.reasoning.mode not in (None, "standard"):
            raise _leave_out("reasoning.mode")
        if request.reasoning.context not in (None, "auto", "current_turn"):
            raise _leave_out("reasoning.context")
    for one in request.include or ():
        if one not in _INCLUDED:
            raise Untranslatable(
                f"{one!r:.60} cannot be included: no chat completion has it", param="include"
            )


def _leave_out(param: str) -> Untranslatable:
    return Untranslatable(f"this {param} has no translation: leave it out", param=param)


def _tools(request: _Request) -> dict[str, Any]:
    chat: dict[str, Any] = {}
    choice = None
    if is_given(request.tool_choice):
        choice = choice_to_chat(request.tool_choice)
    if request.tools:
        chat["tools"] = [
            tool_to_chat(tool, f"tools[{position}]") for position, tool in enumerate(request.tools)
        ]
        if request.parallel_tool_calls is not None:
            chat["parallel_tool_calls"] = request.parallel_tool_calls
    # Without tools, a chat request may not even say that none is to be called.
    if choice is not None and (request.tools or choice not in ("auto", "none")):
        chat["tool_choice"] = choice
    return chat


def _form(text: _Text | None) -> dict[str, Any]:
    """In a chat request the form of the answer and its length stand at the top."""
    chat: dict[str, Any] = {}
    if text is None:
        return chat
    if text.verbosity is not None:
        chat["verbosity"] = text.verbosity
    form = dict(text.format or {})
    match msgspec.json.decode(form.pop("type", b'"text"')):
        case "text":
            pass
        case "json_object":
            chat["response_format"] = {"type": "json_object"}
        case "json_schema":
            chat["response_format"] = {"type": "json_schema", "json_schema": form}
        case other:
            raise Untranslatable(
                f"text.format of type {other!r:.60} has no translation: there are text,"
                " json_object and json_schema",
                param="text.format",
            )
    return chat


def _logprobs(request: _Request) -> dict[str, Any]:
    if _LOGPROBS not in (request.include or ()) and not request.top_logprobs:
        return {}
    return {"logprobs": True, "top_logprobs": request.top_logprobs or 0}

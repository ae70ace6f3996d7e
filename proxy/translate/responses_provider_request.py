"""A chat request as a Responses request.

Under another name or in another form: messages, the two limits (the smaller, if both are set),
tools, tool_choice, response_format, verbosity, reasoning_effort, `reasoning`, logprobs and
top_logprobs. A function, or a schema, that does not say whether it is strict is not: in a chat that
is so, in a response it need not be.

Refused, for the answer would be another: n above 1, stop, logit_bias, the penalties, audio,
modalities, moderation, functions and web searches; and fields of a Responses request by which an
answer comes elsewhere, or stands on what a provider keeps.

Left out, for no answer is wrong without it: seed (nobody promises what it is for), prediction (it
makes an answer sooner, not another), cache_control (another provider's hint), stream_options (a
response always tells its usage) but for include_obfuscation. `store` is false whatever was asked
for: to keep a response is not to keep a chat, and nobody could fetch it.

`include` is a field of a Responses request alone, but it may ask for reasoning.encrypted_content: a
client that sends reasoning_details back then lets the model go on where it was. It is not asked for
on our own: at another account, where the next request may go, it cannot be read, and is refused.

Whatever else there is passes through: temperature, top_p, metadata, user, safety_identifier,
service_tier, stream, the prompt cache's options, and what only some provider knows.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from proxy.errors import Invalid, Untranslatable
from proxy.translate.messages_effort import Reasoning
from proxy.translate.responses_fields import beside
from proxy.translate.responses_provider_turns import Json, Message, talk_of
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, Count, is_given


class _Function(msgspec.Struct, gc=False):
    name: str
    description: str | None = None
    parameters: dict[str, msgspec.Raw] | None = None
    strict: bool | None = None


class _Grammar(msgspec.Struct, gc=False):
    definition: str
    syntax: str


class _Form(msgspec.Struct, gc=False):
    type: str
    grammar: _Grammar | None = None


class _Custom(msgspec.Struct, gc=False):
    name: str
    description: str | None = None
    format: _Form | None = None


class _Tool(msgspec.Struct, gc=False):
    type: str = "function"
    function: _Function | None = None
    custom: _Custom | None = None


class _Allowed(msgspec.Struct, gc=False):
    mode: str
    tools: list[_Tool]


class _Choice(_Tool, gc=False):
    allowed_tools: _Allowed | None = None


class _Schema(msgspec.Struct, gc=False):
    name: str
    schema: dict[str, msgspec.Raw] | None = None
    description: str | None = None
    strict: bool | None = None


class _Format(msgspec.Struct, gc=False):
    type: str
    json_schema: _Schema | None = None


class _Summarized(Reasoning, gc=False):
    """`reasoning`, with a Responses request's own word for how it is shown."""

    summary: str | None = None


class _StreamOptions(msgspec.Struct, gc=False):
    include_obfuscation: bool | None = None


class _Request(msgspec.Struct, gc=False):
    """The fields that a Responses request writes otherwise. The rest passes through."""

    messages: list[Message]
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _Choice | None = None
    parallel_tool_calls: bool | None = None
    response_format: _Format | None = None
    verbosity: str | None = None
    reasoning_effort: str | None = None
    reasoning: _Summarized | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    include: list[str] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None


_request = msgspec.json.Decoder(_Request).decode
_LEFT_OUT = ("seed", "prediction", "cache_control", "store")
_REFUSED: dict[str, tuple[object, ...]] = {
    "n": (1,),
    "stop": ("", []),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "modalities": (["text"],),
    "functions": ([],),
    "function_call": ("auto", "none"),
    "audio": (),
    "moderation": (),
    "web_search_options": (),
    "search_parameters": (),
}
"""Fields for which there is no other word there, and the values that change nothing."""
_MORE_THAN_A_CHAT = (
    *("background", "previous_response_id", "conversation", "prompt", "context_management"),
)
"""A Responses request's fields by which it is answered elsewhere, or is longer than it looks."""
_OF_RESPONSES = {
    "input": "messages",
    "instructions": "messages",
    "max_output_tokens": "max_completion_tokens",
    "text": "response_format and verbosity",
}
"""Its fields that would speak against what we write ourselves, and a chat's for them."""
_KNOWN = frozenset(
    (*_Request.__struct_fields__, *_LEFT_OUT, *_REFUSED, *_MORE_THAN_A_CHAT, *_OF_RESPONSES)
)
_LOGPROBS = "message.output_text.logprobs"
_ENCRYPTED = "reasoning.encrypted_content"


def request_from_chat(body: bytes) -> bytes:
    """The same request to POST /responses.

    Raises Invalid for what is no chat request, and Untranslatable, naming the field, for what a
    Responses request cannot say.
    """
    request = bodies.read(_request, body, "a chat request")
    bodies.fields_of(body, _KNOWN)
    tree = bodies.tree_of(body)
    _refuse(request, tree)
    asked: Json = {name: one for name, one in tree.items() if name not in _KNOWN}
    form = request.response_format
    # The word JSON must be in the input then, and instructions are none.
    talk = talk_of(request.messages, instructs=form is None or form.type != "json_object")
    if talk.instructions is not None:
        asked["instructions"] = talk.instructions
    asked["input"] = talk.items
    limits = [one for one in (request.max_tokens, request.max_completion_tokens) if one]
    if limits:
        asked["max_output_tokens"] = min(limits)
    asked |= _tools(request) | _reasoning(request) | _included(request)
    text = _format(form) | ({} if request.verbosity is None else {"verbosity": request.verbosity})
    if text:
        asked["text"] = text
    if request.stream is not None:
        asked["stream"] = request.stream
    options = request.stream_options
    if request.stream and options is not None and options.include_obfuscation is not None:
        asked["stream_options"] = {"include_obfuscation": options.include_obfuscation}
    return bodies.encode(asked | {"store": False})


def _refuse(request: _Request, tree: dict[str, Any]) -> None:
    for name, harmless in _REFUSED.items():
        raw = tree.get(name, ABSENT)
        if is_given(raw) and msgspec.json.decode(raw) not in harmless:
            raise Untranslatable(f"a response knows no {name}: leave it out", param=name)
    for name in _MORE_THAN_A_CHAT:
        if is_given(tree.get(name, ABSENT)):
            raise Untranslatable(
                f"what {name} does, or costs, no chat completion can tell: leave it out", param=name
            )
    for name, ours in _OF_RESPONSES.items():
        if is_given(tree.get(name, ABSENT)):
            raise Untranslatable(f"{name} is no field of a chat request: write {ours}", param=name)
    unknown = {} if request.reasoning is None else beside(tree["reasoning"], _Summarized)
    for name in unknown:
        raise Untranslatable(
            f"what reasoning.{name[:50]} does, or costs, is not known here: leave it out",
            param=f"reasoning.{name[:50]}",
        )
    for one in request.include or ():
        if one != _ENCRYPTED:
            raise Untranslatable(
                f"{one[:50]} cannot be included: no chat completion has it", param="include"
            )
    if request.top_logprobs and not request.logprobs:
        raise Invalid(
            "top_logprobs says nothing without logprobs: set it to true",
            param="top_logprobs",
            code="invalid_type",
        )


# -- tools


def _tools(request: _Request) -> Json:
    tools = [_tool(one, f"tools.{i}") for i, one in enumerate(request.tools or ())]
    choice = _tool_choice(request.tool_choice)
    said: Json = {}
    if tools:
        said["tools"] = tools
        if request.parallel_tool_calls is not None:
            said["parallel_tool_calls"] = request.parallel_tool_calls
    if choice is not None and (tools or choice not in ("auto", "none")):
        said["tool_choice"] = choice
    return said


def _tool(tool: _Tool, where: str) -> Json:
    match tool:
        case _Tool(type="function", function=_Function() as function):
            made: Json = {
                "type": "function",
                "name": function.name,
                "parameters": function.parameters,
                "strict": function.strict or False,
            }
            return _described(made, function.description)
        case _Tool(type="custom", custom=_Custom() as custom):
            made = {"type": "custom", "name": custom.name}
            if custom.format is not None:
                made["format"] = _custom_format(custom.format)
            return _described(made, custom.description)
        case _:
            raise Untranslatable(
                f"a {tool.type[:50]} tool has no translation: use functions and custom tools,"
                " which the client runs itself",
                param=where,
            )


def _described(made: Json, description: str | None) -> Json:
    return made if description is None else made | {"description": description}


def _custom_format(form: _Form) -> Json:
    grammar = form.grammar
    if grammar is None:
        return {"type": form.type}
    return {"type": form.type, "definition": grammar.definition, "syntax": grammar.syntax}


def _tool_choice(choice: str | _Choice | None) -> str | Json | None:
    match choice:
        case None | str():
            return choice
        case _Choice(type="allowed_tools", allowed_tools=_Allowed(mode=mode, tools=tools)):
            return {"type": "allowed_tools", "mode": mode, "tools": [_named(one) for one in tools]}
        case _:
            return _named(choice)


def _named(choice: _Tool) -> Json:
    match choice:
        case _Tool(type="function" as kind, function=_Function(name=name)):
            return {"type": kind, "name": name}
        case _Tool(type="custom" as kind, custom=_Custom(name=name)):
            return {"type": kind, "name": name}
        case _:
            raise Untranslatable(
                f"tool_choice {choice.type[:50]} says nothing there: use auto, none, required, a"
                " function or a custom tool",
                param="tool_choice",
            )


# -- the answer


def _format(said: _Format | None) -> Json:
    if said is None or said.type == "text":
        return {}
    if said.type == "json_object":
        return {"format": {"type": "json_object"}}
    schema = said.json_schema
    if said.type != "json_schema" or schema is None or schema.schema is None:
        raise Untranslatable(
            f"response_format {said.type[:50]} has no translation: use text, json_object, or"
            " json_schema with its schema",
            param="response_format",
        )
    made = {
        "type": "json_schema",
        "name": schema.name,
        "schema": schema.schema,
        "strict": schema.strict or False,
    }
    return {"format": _described(made, schema.description)}


def _reasoning(request: _Request) -> Json:
    """OpenAI shows no reasoning to a chat, nor unasked to anybody: a summary is asked for only if
    the client does, for not every account may."""
    said = request.reasoning or _Summarized()
    made: Json = {}
    if effort := said.word or request.reasoning_effort:
        made["effort"] = effort
    if said.summary is not None and not said.exclude:
        made["summary"] = said.summary
    return {"reasoning": made} if made else {}


def _included(request: _Request) -> Json:
    included = list(request.include or ())
    made: Json = {}
    if request.logprobs:
        included.append(_LOGPROBS)
        if request.top_logprobs is not None:
            made["top_logprobs"] = request.top_logprobs
    return made | ({"include": included} if included else {})

"""A chat request as a Messages request.

Under another name or in another form: messages, the two limits (the smaller, if both are set),
tools, tool_choice, parallel_tool_calls, stop, response_format, reasoning_effort, `reasoning`, user
and safety_identifier, service_tier.

Left out, for no answer is wrong without it: seed (nobody promises what it is for), metadata and
store (for what is kept), the hints for a prompt cache, prediction (it makes an answer sooner, not
another), stream_options (a message's stream always tells its usage). Refused: what would make it
another answer. Whatever else there is passes through, Anthropic's own fields among it: top_k,
thinking, output_config, cache_control; but not those by which more is billed, or more comes back,
than a chat can tell.
"""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.errors import Untranslatable
from proxy.translate.messages_effort import Reasoning, thinking_for
from proxy.translate.messages_provider_turns import Json, Message, cached, talk_of
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, Count, is_given


class _Function(msgspec.Struct, gc=False):
    name: str
    description: str | None = None
    parameters: dict[str, msgspec.Raw] | None = None
    strict: bool | None = None
    cache_control: msgspec.Raw = ABSENT


class _Tool(msgspec.Struct, gc=False):
    type: str = "function"
    function: _Function | None = None
    cache_control: msgspec.Raw = ABSENT


class _Named(msgspec.Struct, gc=False):
    name: str


class _Allowed(msgspec.Struct, gc=False):
    mode: str
    tools: list[_Tool]


class _Choice(msgspec.Struct, gc=False):
    type: str
    function: _Named | None = None
    allowed_tools: _Allowed | None = None


class _Schema(msgspec.Struct, gc=False):
    schema: dict[str, msgspec.Raw] | None = None
    description: str | None = None


class _Format(msgspec.Struct, gc=False):
    type: str
    json_schema: _Schema | None = None


class _Request(msgspec.Struct, gc=False):
    """The fields that a Messages request writes otherwise, or cannot have. The rest passes."""

    messages: list[Message]
    model: str = ""
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    stop: str | list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _Choice | None = None
    parallel_tool_calls: bool | None = None
    response_format: _Format | None = None
    reasoning_effort: str | None = None
    reasoning: Reasoning | None = None
    temperature: float | None = None
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    thinking: msgspec.Raw = ABSENT
    output_config: dict[str, msgspec.Raw] | None = None


_request = msgspec.json.Decoder(_Request).decode
_PASSED = frozenset(("model", "temperature", "thinking"))
_LEFT_OUT = frozenset(
    (
        *("seed", "metadata", "store", "prediction", "stream_options"),
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
    )
)
_REFUSED: dict[str, tuple[object, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "verbosity": ("medium",),
    "modalities": (["text"],),
    "functions": ([],),
    "function_call": ("auto", "none"),
    "audio": (),
    "moderation": (),
    "web_search_options": (),
}
"""Fields for which there is no other word there, and the values that change nothing."""
_MORE_THAN_A_CHAT = (
    *("speed", "inference_geo", "mcp_servers", "container", "context_management", "compaction"),
    *("thread", "fallbacks", "fallback_credit_token", "billing_policy"),
)
"""Anthropic's fields that have prices of their own, or answers that no chat completion has."""
_OF_MESSAGES = {
    "system": "messages",
    "stop_sequences": "stop",
    "output_format": "response_format",
}
"""Anthropic's fields that would speak against what we write ourselves, and a chat's for them."""
_HOTTEST = 1.0


def request_from_chat(body: bytes, default_max_tokens: int, model: str | None = None) -> bytes:
    """A request that sets no limit gets `default_max_tokens`: without one there is none there.

    model: the provider's name of the model, where that is not yet the one in the body; how it is
    told to think depends on it. Raises Untranslatable for what the Messages wire cannot say,
    Invalid for what is no chat request.
    """
    request = bodies.read(_request, body, "a chat request")
    tree = bodies.tree_of(body)
    _refuse(request, tree)
    left_out = frozenset(_Request.__struct_fields__) - _PASSED | _LEFT_OUT | _REFUSED.keys()
    asked: Json = {name: one for name, one in tree.items() if name not in left_out}
    limits = [request.max_tokens, request.max_completion_tokens]
    asked["max_tokens"] = most = min((one for one in limits if one), default=default_max_tokens)
    talk = talk_of(request.messages)
    if talk.system:
        asked["system"] = talk.system
    asked["messages"] = talk.turns
    asked |= _tools(request)
    if request.stop:
        asked["stop_sequences"] = [request.stop] if isinstance(request.stop, str) else request.stop
    user = request.safety_identifier or request.user
    if user:
        asked["metadata"] = {"user_id": user}
    if request.service_tier == "default":
        asked["service_tier"] = "standard_only"
    thought = thinking_for(
        request.reasoning_effort, request.reasoning, model or request.model, most
    )
    if "thinking" in thought and not is_given(request.thinking):
        asked["thinking"] = thought["thinking"]
    config = thought.get("output_config", {}) | _format(request.response_format)
    config |= request.output_config or {}
    if config:
        asked["output_config"] = config
    return bodies.encode(asked)


def _refuse(request: _Request, tree: dict[str, Any]) -> None:
    for name, harmless in _REFUSED.items():
        raw = tree.get(name, ABSENT)
        if is_given(raw) and msgspec.json.decode(raw) not in harmless:
            raise Untranslatable(f"the Messages wire has no {name}: leave it out", param=name)
    for name in _MORE_THAN_A_CHAT:
        if is_given(tree.get(name, ABSENT)):
            raise Untranslatable(
                f"what {name} does, or costs, no chat completion can tell: leave it out", param=name
            )
    for name, ours in _OF_MESSAGES.items():
        if is_given(tree.get(name, ABSENT)):
            raise Untranslatable(f"{name} is no field of a chat request: write {ours}", param=name)
    if request.temperature is not None and request.temperature > _HOTTEST:
        raise Untranslatable(
            f"temperature {request.temperature} is above 1, the most on the Messages wire",
            param="temperature",
        )


# -- tools


def _tools(request: _Request) -> Json:
    tools = [_tool(one, f"tools.{i}") for i, one in enumerate(request.tools or ())]
    choice, allowed = _tool_choice(request.tool_choice)
    if allowed is not None:
        tools = [one for one in tools if one["name"] in allowed]
    if not tools and (choice is None or choice["type"] in ("auto", "none")):
        return {}
    if request.parallel_tool_calls is False and (choice is None or choice["type"] != "none"):
        choice = (choice or {"type": "auto"}) | {"disable_parallel_tool_use": True}
    said: Json = {"tools": tools}
    if choice is not None:
        said["tool_choice"] = choice
    return said


def _tool(tool: _Tool, where: str) -> Json:
    function = tool.function
    if tool.type != "function" or function is None:
        raise Untranslatable(
            f"a {tool.type[:50]} tool takes text as it is, and on the Messages wire tools take"
            " JSON: use a function",
            param=where,
        )
    made: Json = {
        "name": function.name,
        "input_schema": {"type": "object", **(function.parameters or {})},
    }
    if function.description is not None:
        made["description"] = function.description
    if function.strict:
        made["strict"] = True
    return cached(cached(made, function.cache_control), tool.cache_control)


def _tool_choice(choice: str | _Choice | None) -> tuple[Json | None, set[str] | None]:
    """The choice, and the names of the only tools that may be chosen: no others are sent."""
    match choice:
        case None:
            return None, None
        case "auto" | "none":
            return {"type": choice}, None
        case "required":
            return {"type": "any"}, None
        case _Choice(type="function", function=_Named(name=name)):
            return {"type": "tool", "name": name}, None
        case _Choice(type="allowed_tools", allowed_tools=_Allowed(mode=mode, tools=tools)):
            names = {one.function.name for one in tools if one.function is not None}
            return {"type": "any" if mode == "required" else "auto"}, names
        case _:
            kind = choice if isinstance(choice, str) else choice.type
            raise Untranslatable(
                f"the Messages wire has no tool_choice {kind[:50]}: use auto, none, required, or a"
                " function",
                param="tool_choice",
            )


# -- the form of the answer


def _format(said: _Format | None) -> Json:
    """Anthropic keeps to a schema always, `strict` or not; it has no JSON without one."""
    if said is None or said.type == "text":
        return {}
    schema = None if said.json_schema is None else said.json_schema.schema
    if said.type != "json_schema" or said.json_schema is None or schema is None:
        raise Untranslatable(
            f"the Messages wire has no response_format {said.type[:50]} without a schema: use"
            " json_schema",
            param="response_format",
        )
    about = said.json_schema.description
    described = {} if about is None else {"description": about}
    return {"format": {"type": "json_schema", "schema": {**described, **schema}}}

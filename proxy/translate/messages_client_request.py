"""A Messages request as a chat request.

Under another name or in another form: system and messages, tools, tool_choice, stop_sequences,
thinking and output_config, metadata.user_id, service_tier. Left out, for they only concern the
answer or nothing: diagnostics, and an inference_geo, speed or context_management that changes
nothing. Whatever else there is passes through: temperature, top_p, top_k and max_tokens, a
cache_control for the whole (OpenRouter takes it there), and what only some provider knows.
"""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.errors import Untranslatable
from proxy.translate.messages_client_turns import (
    Content,
    Json,
    Turn,
    cached,
    messages_of,
    system_of,
)
from proxy.translate.messages_effort import Thinking, effort_of
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, is_given


class _Tool(msgspec.Struct, gc=False):
    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, msgspec.Raw] | None = None
    strict: bool | None = None
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None
    input_examples: msgspec.Raw = ABSENT
    cache_control: msgspec.Raw = ABSENT


class _ToolChoice(msgspec.Struct, gc=False):
    type: str
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class _Format(msgspec.Struct, gc=False):
    type: str
    schema: msgspec.Raw = ABSENT


class _OutputConfig(msgspec.Struct, gc=False):
    effort: str | None = None
    format: _Format | None = None
    task_budget: msgspec.Raw = ABSENT


class _Edit(msgspec.Struct, gc=False):
    type: str
    keep: msgspec.Raw = ABSENT


class _ContextManagement(msgspec.Struct, gc=False):
    edits: list[_Edit] | None = None


class _Metadata(msgspec.Struct, gc=False):
    user_id: str | None = None


class _Request(msgspec.Struct, gc=False):
    """The fields that a chat request writes otherwise, or cannot have. The rest passes through."""

    messages: list[Turn]
    system: Content | None = None
    max_tokens: int | None = None
    stream: bool | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    stop_sequences: list[str] | None = None
    thinking: Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None
    metadata: _Metadata | None = None
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    context_management: _ContextManagement | None = None
    diagnostics: msgspec.Raw = ABSENT
    container: msgspec.Raw = ABSENT
    mcp_servers: msgspec.Raw = ABSENT
    compaction: msgspec.Raw = ABSENT
    thread: msgspec.Raw = ABSENT
    fallbacks: msgspec.Raw = ABSENT
    fallback_credit_token: msgspec.Raw = ABSENT
    billing_policy: msgspec.Raw = ABSENT


_request = msgspec.json.Decoder(_Request).decode
_examples = msgspec.json.Decoder(list[msgspec.Raw] | None).decode
_PASSED = frozenset(("max_tokens", "stream"))
_READ = frozenset(_Request.__struct_fields__) - _PASSED

_ELSEWHERE = {
    "container": "no other provider has Anthropic's containers",
    "mcp_servers": "no other provider calls MCP servers by itself",
    "compaction": "nobody on this way compacts a conversation",
    "thread": "nothing is kept here between requests: send all messages",
    "fallbacks": "which model answers instead is not Anthropic's to choose here",
    "fallback_credit_token": "only Anthropic gives the credit that it stands for",
    "billing_policy": "nobody but this key's owner is billed here",
}
_OF_CHAT = {
    "max_completion_tokens": "max_tokens",
    "stop": "stop_sequences",
    "response_format": "output_config.format",
    "reasoning_effort": "output_config.effort",
    "reasoning": "thinking",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "functions": "tools",
    "function_call": "tool_choice",
    "user": "metadata.user_id",
    "stream_options": None,
    "n": None,
    "best_of": None,
    "logprobs": None,
    "modalities": None,
    "audio": None,
    "web_search_options": None,
    "search_parameters": None,
}
"""Fields that only a chat request has, and what they are called here. Passed on, they would speak
against what we write ourselves, or buy what this request was not priced for."""


def request_to_chat(body: bytes) -> bytes:
    """Raises Untranslatable for what a chat cannot say, Invalid for what is no request."""
    request = bodies.read(_request, body, "a Messages request")
    tree = bodies.tree_of(body)
    _refuse(request, tree)
    chat: Json = {name: one for name, one in tree.items() if name not in _READ}
    system = [] if request.system is None else system_of(request.system)
    chat["messages"] = system + messages_of(request.messages)
    if request.tools:
        chat["tools"] = [_tool(one, f"tools.{i}") for i, one in enumerate(request.tools)]
    if request.tool_choice is not None:
        chat |= _tool_choice(request.tool_choice)
    if request.stop_sequences:
        chat["stop"] = request.stop_sequences
    config = request.output_config or _OutputConfig()
    effort = effort_of(request.thinking, config.effort)
    if effort is not None:
        chat["reasoning_effort"] = effort
    schema = config.format or request.output_format
    if schema is not None:
        chat["response_format"] = _response_format(schema)
    if request.metadata is not None and request.metadata.user_id is not None:
        chat["user"] = request.metadata.user_id
    if request.service_tier == "standard_only":
        chat["service_tier"] = "default"
    if request.stream:
        chat["stream_options"] = {"include_usage": True}  # a message's stream always tells it
    return bodies.encode(chat)


def _refuse(request: _Request, tree: dict[str, Any]) -> None:
    for name, why in _ELSEWHERE.items():
        raw = getattr(request, name)
        if is_given(raw) and bytes(raw) not in (b"[]", b"{}"):
            raise Untranslatable(f"{why}: leave {name} out", param=name)
    for name, ours in _OF_CHAT.items():
        if name in tree and is_given(tree[name]):
            what = f"write {ours}" if ours else "leave it out"
            raise Untranslatable(f"{name} is no field of a Messages request: {what}", param=name)
    if request.max_tokens == 0:
        raise Untranslatable(
            "max_tokens 0 fills Anthropic's prompt cache, and no other: give at least 1",
            param="max_tokens",
        )
    if request.speed not in (None, "standard"):
        raise Untranslatable(
            "no other provider has Anthropic's fast mode: leave speed out", param="speed"
        )
    if request.inference_geo not in (None, "global"):
        raise Untranslatable(
            "where another provider computes cannot be said: leave inference_geo out",
            param="inference_geo",
        )
    config = request.output_config
    if config is not None and is_given(config.task_budget):
        raise Untranslatable(
            "no other provider keeps a task_budget: leave it out", param="output_config.task_budget"
        )
    edits = request.context_management and request.context_management.edits
    for edit in edits or ():
        # Claude Code asks to keep all thinking with every request, and all of it is sent on.
        if edit.type != "clear_thinking_20251015" or not _keeps_all(edit.keep):
            raise Untranslatable(
                f"nobody on this way does {edit.type[:50]}: send what the model shall see",
                param="context_management",
            )


def _keeps_all(keep: msgspec.Raw) -> bool:
    return msgspec.json.decode(bytes(keep) or b"null") in ("all", {"type": "all"})


def _tool(tool: _Tool, where: str) -> Json:
    if tool.type not in (None, "custom"):
        raise Untranslatable(
            f"{tool.type[:50]} is a tool that only Claude knows how to use: describe it yourself,"
            " with an input_schema",
            param=where,
        )
    if tool.defer_loading:
        raise Untranslatable(
            "a tool that is loaded later is found by Anthropic's tool search: leave out"
            " defer_loading",
            param=f"{where}.defer_loading",
        )
    if tool.allowed_callers is not None and tool.allowed_callers != ["direct"]:
        raise Untranslatable(
            "a tool that code calls needs Anthropic's containers: leave out allowed_callers",
            param=f"{where}.allowed_callers",
        )
    schema: Json = dict(tool.input_schema or {})
    if is_given(tool.input_examples) and _examples(tool.input_examples):
        schema["examples"] = tool.input_examples  # JSON Schema's own word for them
    function: Json = {"name": tool.name, "parameters": schema}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return cached({"type": "function", "function": function}, tool.cache_control)


def _tool_choice(choice: _ToolChoice) -> Json:
    said: Json
    match choice.type:
        case "auto" | "none":
            said = {"tool_choice": choice.type}
        case "any":
            said = {"tool_choice": "required"}
        case "tool":
            named = {"type": "function", "function": {"name": choice.name}}
            said = {"tool_choice": named}
        case kind:
            raise Untranslatable(
                f"tool_choice {kind[:50]} is unknown: use auto, any, tool or none",
                param="tool_choice",
            )
    if choice.disable_parallel_tool_use:
        said["parallel_tool_calls"] = False
    return said


def _response_format(said: _Format) -> Json:
    """Anthropic keeps to a schema always: that is `strict`."""
    if said.type != "json_schema" or not is_given(said.schema):
        raise Untranslatable(
            f"an output format of type {said.type[:50]} is unknown: use json_schema with a schema",
            param="output_config.format",
        )
    schema = {"name": "output", "strict": True, "schema": said.schema}
    return {"type": "json_schema", "json_schema": schema}

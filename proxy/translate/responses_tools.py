"""Tools and tool_choice: what stands flat in a Responses request, a chat request nests."""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.errors import Untranslatable
from proxy.translate.responses_fields import Typed, beside, read
from proxy.wires.body import ABSENT


class _Function(msgspec.Struct, gc=False):
    """output_schema describes what the client itself will answer: nothing that a call needs."""

    name: str
    type: str = "function"
    description: str | None = None
    parameters: msgspec.Raw = ABSENT
    strict: bool | None = None
    output_schema: msgspec.Raw = ABSENT
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None


class _Custom(msgspec.Struct, gc=False):
    name: str
    type: str = "custom"
    description: str | None = None
    format: dict[str, msgspec.Raw] | None = None
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None


class _Named(msgspec.Struct, gc=False):
    type: str
    name: str


class _Allowed(msgspec.Struct, gc=False):
    mode: str
    tools: list[msgspec.Raw]


def tool_to_chat(tool: msgspec.Raw, where: str) -> dict[str, Any]:
    """Raises Untranslatable for a tool that is no function of the client's own.

    `strict` stays as it was given. Left out, OpenAI's responses try for strict and its chats do
    not: a schema is not rewritten here, so calls are then made as well as the model can.
    """
    match read(tool, Typed, where).type:
        case "function":
            function = read(tool, _Function, where)
            _refuse_hidden(function, where)
            inner: dict[str, Any] = {"name": function.name}
            if function.description is not None:
                inner["description"] = function.description
            if bytes(function.parameters) not in (b"", b"null"):
                inner["parameters"] = function.parameters
            if function.strict is not None:
                inner["strict"] = function.strict
            return {"type": "function", "function": inner} | beside(tool, _Function)
        case "custom":
            custom = read(tool, _Custom, where)
            _refuse_hidden(custom, where)
            inner = {"name": custom.name}
            if custom.description is not None:
                inner["description"] = custom.description
            if custom.format is not None:
                inner["format"] = _format_to_chat(custom.format)
            return {"type": "custom", "custom": inner} | beside(tool, _Custom)
        case other:
            raise Untranslatable(
                f"a tool of type {other!r:.60} has no translation: a chat has functions and custom"
                " tools, which the client runs itself",
                param=where,
            )


def _refuse_hidden(tool: _Function | _Custom, where: str) -> None:
    """A tool that the model finds by a search, or that only a program of its may call."""
    if tool.defer_loading:
        raise Untranslatable(
            "defer_loading has no translation: nobody on this way searches tools",
            param=f"{where}.defer_loading",
        )
    if tool.allowed_callers not in (None, ["direct"]):
        raise Untranslatable(
            "allowed_callers has no translation: tools are only called directly",
            param=f"{where}.allowed_callers",
        )


def _format_to_chat(form: dict[str, msgspec.Raw]) -> dict[str, Any]:
    kind = form.get("type", msgspec.Raw(b'"text"'))
    if bytes(kind) != b'"grammar"':
        return dict(form)
    return {"type": kind, "grammar": {key: form[key] for key in form if key != "type"}}


def choice_to_chat(choice: msgspec.Raw) -> str | dict[str, Any]:
    """Raises Untranslatable for the choice of a hosted tool."""
    if bytes(choice).startswith(b'"'):
        return msgspec.json.decode(choice, type=str)
    if read(choice, Typed, "tool_choice").type == "allowed_tools":
        allowed = read(choice, _Allowed, "tool_choice")
        tools = [
            _named(tool, f"tool_choice.tools[{position}]")
            for position, tool in enumerate(allowed.tools)
        ]
        return {"type": "allowed_tools", "allowed_tools": {"mode": allowed.mode, "tools": tools}}
    return _named(choice, "tool_choice")


def _named(choice: msgspec.Raw, where: str) -> dict[str, Any]:
    kind = read(choice, Typed, where).type
    if kind not in ("function", "custom"):
        raise Untranslatable(
            f"{where} of type {kind!r:.60} has no translation: choose a function or a custom tool",
            param=where,
        )
    named = read(choice, _Named, where)
    return {"type": kind, kind: {"name": named.name}}

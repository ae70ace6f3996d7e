"""Responses: OpenAI's newer wire, at our door and at hosts that speak it."""

from __future__ import annotations

from typing import Any

import msgspec

from benchmarks.offers import Feature, Task
from ledger.money import Money
from proxy.endpoints import Endpoint
from proxy.errors import Invalid, ProxyError
from proxy.providers import Provider
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, UNREADABLE, Count, is_given, unpriced
from proxy.wires.chat import Part
from proxy.wires.events import error_in, framed
from proxy.wires.usage import responses_usage, tier_in
from proxy.wires.vocabulary import WORDS, for_provider, for_router
from proxy.wires.wire import Ask, Heard, Plain

# -- requests


class _Item(msgspec.Struct, gc=False):
    """Without a type it is a message, or, without a role too, the id of an item that a provider
    keeps."""

    type: str | None = None
    role: str | None = None
    content: str | list[Part] | None = None
    output: str | list[Part] | None = None


class _Text(msgspec.Struct, gc=False):
    format: Part | None = None


class ResponsesRequest(msgspec.Struct, gc=False):
    """The fields that routing, holding and metering need."""

    model: str = ""
    input: str | list[_Item] | None = None
    temperature: float | None = None
    stream: bool | None = None
    max_output_tokens: Count | None = None
    tools: list[Part] | None = None
    text: _Text | None = None
    service_tier: str | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: msgspec.Raw = ABSENT
    prompt: msgspec.Raw = ABSENT
    speed: msgspec.Raw = ABSENT


_request = msgspec.json.Decoder(ResponsesRequest).decode
_OURS = WORDS.union(ResponsesRequest.__struct_fields__)
OUR_THOUGHTS = "hedgerow1."
"""What `encrypted_content` begins with in items of reasoning that a translation wrote."""
_PRICED_TOOLS = ("function", "custom")
_PRICED_ITEMS = {
    *("message", "reasoning", "function_call", "function_call_output"),
    *("custom_tool_call", "custom_tool_call_output"),
}
_PRICED_PARTS = {"input_text", "output_text", "text", "refusal", "input_image", "reasoning_text"}
_NOT_KEPT = {
    "previous_response_id": ("answers", "send the whole conversation in input"),
    "conversation": ("conversations", "send the whole of it in input"),
    "prompt": ("prompts", "write it out in instructions and input"),
}
"""They stand for text that a provider keeps: it is billed as input, and not in the body. Nor would
another provider know it."""


def _parts(request: ResponsesRequest) -> list[Part]:
    items = request.input if isinstance(request.input, list) else ()
    return [
        part
        for item in items
        for parts in (item.content, item.output)
        if isinstance(parts, list)
        for part in parts
    ]


def _refuse_unpriced(request: ResponsesRequest, parts: list[Part]) -> None:
    if is_given(request.speed):
        raise unpriced("speed", "speed")
    for name, (kept, mend) in _NOT_KEPT.items():
        value = getattr(request, name)
        if is_given(value) if isinstance(value, msgspec.Raw) else value is not None:
            raise _unkept(name, f"{kept}, and {name} names one: {mend}")
    if request.background:
        raise _unkept("background", "answers to be fetched later: leave background out, or stream")
    for tool in request.tools or ():
        if tool.type not in _PRICED_TOOLS:
            what = f"a {tool.type[:50]} in tools, which the provider runs itself,"
            raise unpriced("tools", what)
    for item in request.input if isinstance(request.input, list) else ():
        kind = item.type or ("message" if item.role else "item_reference")
        if kind == "item_reference":
            raise _unkept("input", f"items, and an {kind} in input names one: send the item itself")
        if kind not in _PRICED_ITEMS:
            raise unpriced("input", f"an item of type {kind[:50]} in input")
    for part in parts:
        if part.type not in _PRICED_PARTS:
            raise unpriced("input", f"a part of type {part.type[:50] or '(none)'} in input")


def _unkept(param: str, what: str) -> Invalid:
    return Invalid(f"Hedgerow keeps no {what}", param=param, code="unpriced_feature")


_items = msgspec.json.Decoder(list[msgspec.Raw] | str).decode


def _without_our_thoughts(items: msgspec.Raw) -> list[msgspec.Raw] | str:
    """Thoughts that a translation has marked are nothing to a host that speaks this wire: it would
    refuse them."""
    found = _items(items)
    if isinstance(found, str):
        return found
    return [one for one in found if not _is_ours(one)]


def _is_ours(item: msgspec.Raw) -> bool:
    tree = bodies.tree_of(item)
    return bytes(tree.get("encrypted_content", b"")).startswith(b'"' + OUR_THOUGHTS.encode())


# -- answers


class _Written(msgspec.Struct, gc=False):
    text: str | None = None
    refusal: str | None = None

    @property
    def text_bytes(self) -> int:
        return sum(len(one.encode()) for one in (self.text, self.refusal) if one is not None)


class _Output(msgspec.Struct, gc=False):
    type: str = ""
    content: list[_Written] | None = None
    summary: list[_Written] | None = None
    arguments: str | None = None
    input: str | None = None

    @property
    def text_bytes(self) -> int:
        parts = (*(self.content or ()), *(self.summary or ()))
        size: int = sum(one.text_bytes for one in parts)
        calls = (self.arguments or "", self.input or "")
        return size + sum(len(one.encode()) for one in calls)


class _Answer(msgspec.Struct, gc=False):
    output: list[_Output]
    status: str = ""
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT
    service_tier: Any = None

    @property
    def text_bytes(self) -> int:
        return sum(one.text_bytes for one in self.output)


class _Ended(msgspec.Struct, gc=False):
    """A response in the last event of its stream, whatever else is in it."""

    usage: msgspec.Raw = ABSENT
    service_tier: Any = None


class _Event(msgspec.Struct, gc=False):
    type: str
    delta: msgspec.Raw = ABSENT
    response: msgspec.Raw = ABSENT


_answer = msgspec.json.Decoder(_Answer).decode
_ended = msgspec.json.Decoder(_Ended).decode
_event = msgspec.json.Decoder(_Event).decode
_LAST = {"response.completed", "response.incomplete"}


class ResponseReader:
    """A stream of one response. Only its last event says what was used."""

    ending = None

    def __init__(self) -> None:
        self.complete = False

    def read(self, name: bytes, data: bytes) -> Heard | None:
        try:
            event = _event(data)
            if event.type in _LAST:
                ended = _ended(event.response)
                self.complete = True
                tier = tier_in(ended.service_tier)
                return Heard(usage=responses_usage(ended.usage), keeps=True, ends=True, tier=tier)
            if event.type == "response.failed":
                return Heard(fault=error_in(bytes(event.response)))
        except UNREADABLE:
            return Heard(fault=error_in(data)) if name == b"error" else None
        if event.type == "error":
            return Heard(fault=error_in(data))
        if event.type.endswith(".delta"):
            return Heard(text_bytes=max(0, len(bytes(event.delta)) - 2), pieces=1)
        return Heard()

    def with_cost(self, data: bytes, cost: Money) -> bytes:
        tree = bodies.tree_of(data)
        if "response" not in tree:
            return data
        tree["response"] = msgspec.Raw(bodies.with_cost(bytes(tree["response"]), cost))
        return bodies.encode(tree)


def broken(error: ProxyError) -> bytes:
    """The end of a response that was cut.

    The error stands there flat, as it is documented, and nested, where OpenAI's clients look for
    what they raise.
    """
    flat = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
    return framed(bodies.encode(flat | bodies.tree_of(error.body())), b"error")


class ResponsesWire:
    """POST /responses."""

    endpoint = Endpoint.RESPONSES

    def ask(self, body: bytes, content_type: str) -> Ask:  # noqa: ARG002 - a wire's door
        request = bodies.read(_request, body, "a Responses request")
        fields = bodies.fields_of(body, _OURS)
        parts = _parts(request)
        _refuse_unpriced(request, parts)
        features = set()
        if request.tools:
            features.add(Feature.TOOLS)
        form = None if request.text is None else request.text.format
        if form is not None and form.type == "json_schema":
            features.add(Feature.JSON_SCHEMA)
        if request.top_logprobs or "message.output_text.logprobs" in (request.include or ()):
            features.add(Feature.LOGPROBS)
        if any(part.type == "input_image" for part in parts):
            features.add(Feature.VISION)
        ask = Ask(
            model=request.model,
            task=Task.CHAT,
            prompt_bytes=bodies.bytes_of_prompt(
                body, [one.image_url for one in parts if one.type == "input_image"]
            ),
            stream=request.stream is True,
            most_completion_tokens=request.max_output_tokens,
            features=frozenset(features),
            is_greedy=request.temperature == 0,
            service_tier=request.service_tier,
        )
        return for_router(ask, fields)

    def rewrite(
        self,
        body: bytes,
        content_type: str,  # noqa: ARG002 - a wire's door
        provider: Provider,
        model: str,
        limit: int | None,
    ) -> bytes:
        tree = for_provider(body, provider, model)
        if limit is not None:
            tree["max_output_tokens"] = limit
        if OUR_THOUGHTS.encode() in body:
            tree["input"] = _without_our_thoughts(tree["input"])
        return bodies.encode(tree)

    def plain(self, body: bytes, ask: Ask) -> Plain | None:  # noqa: ARG002 - a wire's door
        try:
            answer = _answer(body)
        except UNREADABLE:
            return None
        if answer.status == "failed":
            return None
        tier = tier_in(answer.service_tier)
        return Plain(responses_usage(answer.usage), answer.text_bytes, tier)

    def reader(self, ask: Ask) -> ResponseReader:  # noqa: ARG002 - a wire's door
        return ResponseReader()

    def with_cost(self, body: bytes, cost: Money) -> bytes:
        return bodies.with_cost(body, cost)

"""Messages: Anthropic's wire, at our door and at its own."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from benchmarks.offers import Feature, Task
from ledger.money import Money
from proxy.endpoints import Endpoint
from proxy.errors import Invalid, ProxyError
from proxy.providers import Provider
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, UNREADABLE, CacheControl, Count, is_given, unpriced
from proxy.wires.events import error_in, framed
from proxy.wires.usage import MessagesUsage
from proxy.wires.vocabulary import WORDS, for_provider, for_router
from proxy.wires.wire import Ask, Heard, Plain

# -- requests


class _Block(msgspec.Struct, gc=False):
    """A block of content; a tool's result has blocks of its own."""

    type: str = ""
    content: msgspec.Raw = ABSENT
    source: msgspec.Raw = ABSENT
    cache_control: CacheControl | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Block]


class _Tool(msgspec.Struct, gc=False):
    type: str | None = None
    cache_control: CacheControl | None = None


class _Edit(msgspec.Struct, gc=False):
    type: str = ""


class _Edits(msgspec.Struct, gc=False):
    """What is left out of a conversation costs nothing; what is summed up first does."""

    edits: list[_Edit] = []


class MessagesRequest(msgspec.Struct, gc=False):
    """The fields that routing, holding and metering need."""

    messages: list[_Message]
    model: str = ""
    max_tokens: Count | None = None
    system: str | list[_Block] | None = None
    temperature: float | None = None
    stream: bool | None = None
    tools: list[_Tool] | None = None
    service_tier: str | None = None
    cache_control: CacheControl | None = None
    speed: msgspec.Raw = ABSENT
    mcp_servers: msgspec.Raw = ABSENT
    container: msgspec.Raw = ABSENT
    inference_geo: msgspec.Raw = ABSENT
    fallbacks: msgspec.Raw = ABSENT
    compaction: msgspec.Raw = ABSENT
    thread: msgspec.Raw = ABSENT
    billing_policy: msgspec.Raw = ABSENT
    context_management: _Edits | None = None


_request = msgspec.json.Decoder(MessagesRequest).decode
_blocks = msgspec.json.Decoder(str | list[_Block] | None).decode
_OURS = WORDS.union(MessagesRequest.__struct_fields__)
_PRICED_BLOCKS = {
    *("text", "image", "document", "search_result"),
    *("tool_use", "tool_result", "thinking", "redacted_thinking"),
}
_BILLED_APART = (
    *("speed", "mcp_servers", "container", "inference_geo"),
    *("fallbacks", "compaction", "thread", "billing_policy"),
)
"""Other models, other prices, work that no count includes, prompts that the provider keeps."""
_PRICED_TOOLS = ("bash_", "text_editor_", "computer_", "memory_")
"""Tools that Anthropic defines and the client runs; those that it runs itself are billed apart."""


def _blocks_in(request: MessagesRequest) -> list[_Block]:
    found = list(request.system) if isinstance(request.system, list) else []
    for message in request.messages:
        found += message.content if isinstance(message.content, list) else ()
    for block in tuple(found):
        if block.type == "tool_result" and is_given(block.content):
            try:
                inner = _blocks(block.content)
            except msgspec.DecodeError:
                raise Invalid(
                    "the content of a tool_result is neither text nor blocks",
                    param="messages",
                    code="invalid_type",
                ) from None
            found += inner if isinstance(inner, list) else ()
    return found


def _refuse_unpriced(request: MessagesRequest, blocks: list[_Block]) -> None:
    for name in _BILLED_APART:
        if is_given(getattr(request, name)):
            raise unpriced(name, name)
    managed = request.context_management
    for edit in () if managed is None else managed.edits:
        if not edit.type.startswith("clear_"):
            raise unpriced("context_management", f"context_management by {edit.type[:50]}")
    for tool in request.tools or ():
        if tool.type not in (None, "custom") and not tool.type.startswith(_PRICED_TOOLS):
            what = f"a {tool.type[:50]} in tools, which the provider runs itself,"
            raise unpriced("tools", what)
    for block in blocks:
        if block.type not in _PRICED_BLOCKS:
            what = f"a block of type {block.type[:50] or '(none)'} in messages"
            raise unpriced("messages", what)


def _is_long_cache(request: MessagesRequest, blocks: list[_Block]) -> bool:
    """All are looked at, for one of them may be refused."""
    marks = {
        "cache_control": [request.cache_control],
        "tools": [one.cache_control for one in request.tools or ()],
        "messages": [one.cache_control for one in blocks],
    }
    return True in [bodies.is_long_cache(found, where) for where, found in marks.items()]


# -- what another provider wrote in an earlier turn

_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_IDS = {"tool_use": "id", "tool_result": "tool_use_id"}
_NO_ID = re.compile(rb"[^A-Za-z0-9_-]")


def _as_its_own(messages: bytes) -> list[dict[str, Any]]:
    """Thoughts that no provider has signed are left out, and names of calls are such as Anthropic
    gives: it refuses others, and a conversation may have begun elsewhere."""
    return [_turn(one) for one in _objects(messages)]


def _turn(turn: dict[str, Any]) -> dict[str, Any]:
    content = bytes(turn.get("content", b""))
    if not content.startswith(b"["):
        return turn
    blocks: list[dict[str, Any]] = []
    for block in _objects(content):
        kind = bytes(block.get("type", b"")).strip(b'"').decode()
        if kind == "thinking" and bytes(block.get("signature", b'""')) == b'""':
            continue
        if (name := _IDS.get(kind)) is not None and name in block:
            own = _NO_ID.sub(b"_", bytes(block[name])[1:-1])
            block[name] = msgspec.Raw(b'"' + own + b'"')
        blocks.append(block)
    return turn | {"content": blocks}


# -- answers


class _Content(msgspec.Struct, gc=False):
    """A block of an answer, or a delta of one."""

    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    input: msgspec.Raw = ABSENT
    data: str | None = None  # of redacted thinking
    stop_reason: str | None = None

    @property
    def text_bytes(self) -> int:
        texts = (self.text, self.thinking, self.partial_json, self.data)
        size = sum(len(one.encode()) for one in texts if one is not None)
        return size + (len(bytes(self.input)) if bytes(self.input) != b"{}" else 0)


class _Answer(msgspec.Struct, gc=False):
    content: list[_Content]
    usage: MessagesUsage | None = None


class _Event(msgspec.Struct, gc=False):
    type: str
    message: _Answer | None = None
    content_block: _Content | None = None
    delta: _Content | None = None
    usage: MessagesUsage | None = None


_answer = msgspec.json.Decoder(_Answer).decode
_event = msgspec.json.Decoder(_Event).decode


class MessageReader:
    """A stream of one message. Its counts are cumulative: each event names the newest."""

    ending = (b"message_stop", b'{"type":"message_stop"}')

    def __init__(self) -> None:
        self._usage = MessagesUsage()
        self.complete = False

    def read(self, name: bytes, data: bytes) -> Heard | None:
        try:
            event = _event(data)
        except UNREADABLE:
            return Heard(fault=error_in(data)) if name == b"error" else None
        if event.type == "error":
            return Heard(fault=error_in(data))
        if event.type == "message_stop":
            self.complete = True
            return Heard(ends=True, keeps=True)
        if event.type == "message_delta":
            if event.delta is not None and event.delta.stop_reason is not None:
                self.complete = True
            self._usage = self._usage.updated(event.usage or MessagesUsage())
            return Heard(usage=self._usage.counted(), keeps=True, tier=self._usage.tier)
        if event.type == "message_start" and event.message is not None:
            self._usage = event.message.usage or MessagesUsage()
            # Its output_tokens are only a beginning; its input is all that there is.
            return Heard(usage=self._usage.counted(), tier=self._usage.tier)
        written = event.delta or event.content_block
        return Heard(text_bytes=written.text_bytes if written else 0, pieces=written is not None)

    def with_cost(self, data: bytes, cost: Money) -> bytes:
        return bodies.with_cost(data, cost)


def broken(error: ProxyError) -> bytes:
    """The end of a message that was cut."""
    return framed(error.anthropic_body(), b"error")


class MessagesWire:
    """POST /messages."""

    endpoint = Endpoint.MESSAGES

    def ask(self, body: bytes, content_type: str) -> Ask:  # noqa: ARG002 - a wire's door
        request = bodies.read(_request, body, "a Messages request")
        if request.max_tokens is None:
            raise Invalid(
                "max_tokens is missing: say how long the answer may be",
                param="max_tokens",
                code="invalid_type",
            )
        return _ask(request, body)

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
            tree["max_tokens"] = limit
        messages = bytes(tree["messages"])
        if b'"thinking"' in messages or b'"tool_use"' in messages:
            tree["messages"] = _as_its_own(messages)
        return bodies.encode(tree)

    def plain(self, body: bytes, ask: Ask) -> Plain | None:  # noqa: ARG002 - a wire's door
        try:
            answer = _answer(body)
        except UNREADABLE:
            return None
        usage = answer.usage or MessagesUsage()
        text_bytes = sum(one.text_bytes for one in answer.content)
        return Plain(usage.counted(), text_bytes, usage.tier)

    def reader(self, ask: Ask) -> MessageReader:  # noqa: ARG002 - a wire's door
        return MessageReader()

    def with_cost(self, body: bytes, cost: Money) -> bytes:
        return bodies.with_cost(body, cost)


def ask_of_count(body: bytes) -> Ask:
    """What a request to count tokens would ask for. Raises Invalid."""
    return _ask(bodies.read(_request, body, "a request to count tokens"), body)


def _ask(request: MessagesRequest, body: bytes) -> Ask:
    if not request.messages:
        raise Invalid("messages is empty: give at least one", param="messages", code="invalid_type")
    fields = bodies.fields_of(body, _OURS)
    blocks = _blocks_in(request)
    _refuse_unpriced(request, blocks)
    features = set()
    if request.tools:
        features.add(Feature.TOOLS)
    if any(one.type in ("image", "document") for one in blocks):
        features.add(Feature.VISION)
    ask = Ask(
        model=request.model,
        task=Task.CHAT,
        prompt_bytes=bodies.bytes_of_prompt(
            body, [one.source for one in blocks if one.type == "image"]
        ),
        stream=request.stream is True,
        most_completion_tokens=request.max_tokens,
        features=frozenset(features),
        is_greedy=request.temperature == 0,
        service_tier=request.service_tier,
        long_cache=_is_long_cache(request, blocks),
    )
    return for_router(ask, fields)

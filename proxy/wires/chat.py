"""Chat completions: the form through which every other chat wire is translated."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from benchmarks.offers import Feature, Task
from ledger.money import Money
from proxy.endpoints import Endpoint
from proxy.errors import Invalid
from proxy.providers import Provider
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, UNREADABLE, CacheControl, Count, is_given, unpriced
from proxy.wires.events import error_in, message_of
from proxy.wires.usage import chat_usage, tier_in
from proxy.wires.vocabulary import WORDS, for_provider, for_router
from proxy.wires.wire import Ask, Heard, Plain

# -- requests


class StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class Part(msgspec.Struct, gc=False):
    type: str = ""
    cache_control: CacheControl | None = None
    image_url: msgspec.Raw = ABSENT


class Message(msgspec.Struct, gc=False):
    content: str | list[Part] | None = None


class Tool(msgspec.Struct, gc=False):
    type: str = "function"
    cache_control: CacheControl | None = None


class ChatRequest(msgspec.Struct, gc=False):
    """The fields of a chat request that routing, holding and metering need."""

    messages: list[Message]
    model: str = ""
    temperature: float | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    tools: list[Tool] | None = None
    response_format: Part | None = None
    logprobs: bool | None = None
    service_tier: str | None = None
    modalities: list[str] | None = None
    audio: msgspec.Raw = ABSENT
    web_search_options: msgspec.Raw = ABSENT
    search_parameters: msgspec.Raw = ABSENT
    speed: msgspec.Raw = ABSENT
    deferred: msgspec.Raw = ABSENT
    enable_search: msgspec.Raw = ABSENT

    @property
    def most_completion_tokens(self) -> int | None:
        """The client's limit per choice; the larger of the two fields if it set both."""
        limits = [one for one in (self.max_tokens, self.max_completion_tokens) if one is not None]
        return max(limits) if limits else None

    def features(self, parts: list[Part]) -> frozenset[Feature]:
        needs = set()
        if self.tools:
            needs.add(Feature.TOOLS)
        if self.response_format is not None and self.response_format.type == "json_schema":
            needs.add(Feature.JSON_SCHEMA)
        if self.logprobs:
            needs.add(Feature.LOGPROBS)
        if any(part.type == "image_url" for part in parts):
            needs.add(Feature.VISION)
        return frozenset(needs)

    def parts(self) -> list[Part]:
        return [
            part
            for message in self.messages
            if isinstance(message.content, list)
            for part in message.content
        ]


_request = msgspec.json.Decoder(ChatRequest).decode
_OURS = WORDS.union(ChatRequest.__struct_fields__)
_PRICED_PARTS = {"text", "image_url", "refusal"}
"""A part without a type is what its other fields make it, to some providers."""
_BILLED_APART = (
    *("audio", "web_search_options", "search_parameters"),
    *("speed", "deferred", "enable_search"),
)
"""Sound, searches, what is bought dearer, what xAI has fetched later."""


def _unpriced(request: ChatRequest, parts: list[Part]) -> tuple[str, str] | None:
    """The first field with something that no card prices, and what it is."""
    if request.modalities is not None and request.modalities != ["text"]:
        return "modalities", "more than text in modalities"
    for name in _BILLED_APART:
        if is_given(getattr(request, name)):
            return name, name
    for tool in request.tools or ():
        if tool.type not in ("function", "custom"):
            return "tools", f"a {tool.type[:50]} in tools, which the provider runs itself,"
    for part in parts:
        if part.type not in _PRICED_PARTS:
            return "messages", f"a part of type {part.type[:50] or '(none)'} in messages"
    return None


# -- answers


class _Function(msgspec.Struct, gc=False):
    arguments: msgspec.Raw = ABSENT


class _Custom(msgspec.Struct, gc=False):
    input: msgspec.Raw = ABSENT


class _Call(msgspec.Struct, gc=False):
    function: _Function | None = None
    custom: _Custom | None = None


class Written(msgspec.Struct, gc=False):
    """The message of a choice or a stream's delta: all that its provider bills as output.

    content is a list where a provider writes in parts (Mistral's reasoning models).
    """

    content: str | list[msgspec.Raw] | None = None
    refusal: str | None = None
    reasoning: msgspec.Raw = ABSENT
    reasoning_content: msgspec.Raw = ABSENT
    reasoning_details: msgspec.Raw = ABSENT
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None

    @property
    def text_bytes(self) -> int:
        size = 0
        if isinstance(self.content, str):
            size = len(self.content.encode())
        elif self.content is not None:
            size = sum(len(bytes(part)) for part in self.content)
        if self.refusal is not None:
            size += len(self.refusal.encode())
        # Some write the same reasoning under several names.
        thoughts = (self.reasoning, self.reasoning_content, self.reasoning_details)
        size += max(_json_bytes(one) for one in thoughts)
        for call in self.tool_calls or ():
            size += 0 if call.function is None else _json_bytes(call.function.arguments)
            size += 0 if call.custom is None else _json_bytes(call.custom.input)
        if self.function_call is not None:
            size += _json_bytes(self.function_call.arguments)
        return size


def _json_bytes(raw: msgspec.Raw) -> int:
    """The length of a JSON string without its quotes; 0 for null."""
    text = bytes(raw)
    return 0 if text == b"null" else max(0, len(text) - 2)


class _Choice(msgspec.Struct, gc=False):
    message: Written | None = None
    text: str | None = None  # of a completion
    index: int = 0
    delta: Written | None = None
    finish_reason: str | None = None

    @property
    def text_bytes(self) -> int:
        size = 0 if self.text is None else len(self.text.encode())
        written = self.message or self.delta
        return size if written is None else size + written.text_bytes


class _Answer(msgspec.Struct, gc=False):
    choices: list[_Choice]
    usage: msgspec.Raw = ABSENT
    service_tier: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] = []
    usage: msgspec.Raw = ABSENT
    service_tier: Any = None
    object: str = ""
    error: msgspec.Raw = ABSENT


_answer = msgspec.json.Decoder(_Answer).decode
_chunk = msgspec.json.Decoder(_Chunk).decode
_tree_or_null = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode


def read_choices(body: bytes) -> Plain | None:
    """A whole answer with choices, of a chat or a completion."""
    try:
        answer = _answer(body)
    except UNREADABLE:
        return None
    if not answer.choices:
        return None
    text_bytes = sum(one.text_bytes for one in answer.choices)
    return Plain(chat_usage(answer.usage), text_bytes, tier_in(answer.service_tier))


class ChunkReader:
    """A stream of chunks with choices, of a chat or a completion."""

    ending = (b"", b"[DONE]")

    def __init__(self, choices: int) -> None:
        self._choices = choices
        self._finished: set[int] = set()
        self._done = False

    @property
    def complete(self) -> bool:
        return self._done or len(self._finished) >= self._choices

    def read(self, name: bytes, data: bytes) -> Heard | None:
        if data == b"[DONE]":
            self._done = True
            return Heard(ends=True, keeps=True, only_usage=True)
        try:
            chunk = _chunk(data)
        except UNREADABLE:
            return None
        if is_given(chunk.error):
            return Heard(fault=message_of(bytes(chunk.error)))
        if name == b"error" or chunk.object == "error":
            return Heard(fault=error_in(data))
        text_bytes = 0
        for choice in chunk.choices:
            text_bytes += choice.text_bytes
            if choice.finish_reason:  # some write "" for one that goes on
                self._finished.add(choice.index)
        says_usage = bytes(chunk.usage) not in (b"", b"null")
        return Heard(
            text_bytes=text_bytes,
            pieces=bool(chunk.choices),
            usage=chat_usage(chunk.usage) if says_usage else None,
            keeps=says_usage,
            only_usage=not chunk.choices,
            tier=tier_in(chunk.service_tier),
        )

    def with_cost(self, data: bytes, cost: Money) -> bytes:
        return data if data == b"[DONE]" else bodies.with_cost(data, cost)


def ask_for_usage(tree: dict[str, Any]) -> None:
    """In a streamed request, usage is asked for always."""
    if bytes(tree.get("stream", b"")) == b"true":
        options = _tree_or_null(tree.get("stream_options", b"null")) or {}
        tree["stream_options"] = options | {"include_usage": True}


class ChatWire:
    """POST /chat/completions."""

    endpoint = Endpoint.CHAT

    def ask(self, body: bytes, content_type: str) -> Ask:  # noqa: ARG002 - a wire's door
        request = bodies.read(_request, body, "a chat request")
        if not request.messages:
            raise Invalid(
                "messages is empty: give at least one", param="messages", code="invalid_type"
            )
        fields = bodies.fields_of(body, _OURS)
        parts = request.parts()
        if found := _unpriced(request, parts):
            raise unpriced(*found)
        keeps = bodies.is_long_cache([one.cache_control for one in parts], "messages")
        tools = [one.cache_control for one in request.tools or ()]
        keeps_tools = bodies.is_long_cache(tools, "tools")
        options = request.stream_options
        ask = Ask(
            model=request.model,
            task=Task.CHAT,
            prompt_bytes=bodies.bytes_of_prompt(
                body, [one.image_url for one in parts if one.type == "image_url"]
            ),
            stream=request.stream is True,
            choices=request.n or 1,
            most_completion_tokens=request.most_completion_tokens,
            features=request.features(parts),
            wants_usage=options is not None and options.include_usage is True,
            is_greedy=request.temperature == 0,
            service_tier=request.service_tier,
            long_cache=keeps or keeps_tools,
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
        """The limit goes under the one name that this provider obeys: by the other it might be
        none."""
        tree = for_provider(body, provider, model)
        if limit is not None:
            for name in ("max_tokens", "max_completion_tokens"):
                tree.pop(name, None)
            tree[provider.max_tokens_field] = limit
        ask_for_usage(tree)
        return bodies.encode(tree)

    def plain(self, body: bytes, ask: Ask) -> Plain | None:  # noqa: ARG002 - a wire's door
        return read_choices(body)

    def reader(self, ask: Ask) -> ChunkReader:
        return ChunkReader(ask.choices)

    def with_cost(self, body: bytes, cost: Money) -> bytes:
        return bodies.with_cost(body, cost)

"""The OpenAI wire: the body is relayed; only what must differ upstream is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from ledger.money import Money, as_usd
from ledger.usage import TokenUsage

MaxTokensField = Literal["max_tokens", "max_completion_tokens"]


@dataclass(frozen=True, slots=True)
class Provider:
    """A host that speaks the OpenAI wire.

    max_tokens_field: how it wants to be told a limit when the client named none.
    """

    name: str
    base_url: str
    api_key: str | None
    max_tokens_field: MaxTokensField = "max_tokens"

    @property
    def chat_url(self) -> str:
        return f"{self.base_url}/chat/completions"

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        return headers


_tree = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_tree_or_null = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def rewrite(
    body: bytes, provider: Provider, model: str, *, stream: bool, max_completion_tokens: int | None
) -> bytes:
    """The client's body for one offer: its model name, usage asked for, the limit that was held.

    The limit goes under the one name that this provider obeys: by the other it might not be one.
    Every other field passes through untouched. A key that the client wrote twice is written once:
    nobody can hold for one value and be billed for the other.
    """
    tree: dict[str, Any] = dict(_tree(body))
    tree["model"] = model
    if max_completion_tokens is not None:
        for name in ("max_tokens", "max_completion_tokens"):
            tree.pop(name, None)
        tree[provider.max_tokens_field] = max_completion_tokens
    if stream:
        options = _tree_or_null(tree.get("stream_options", b"null")) or {}
        tree["stream_options"] = options | {"include_usage": True}
    return _encode(tree)


Count = Annotated[int, msgspec.Meta(le=2**31 - 1)]
"""More tokens than any answer has are no count: the books could not hold them."""


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: Count | None = None


class Usage(msgspec.Struct, gc=False):
    """The `usage` object of a chat completion: prompt_tokens include the cached ones."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: Count | None = None
    """DeepSeek's name for cached_tokens."""

    def counted(self) -> TokenUsage | None:
        """None unless both counts are there and make sense."""
        prompt, completion = self.prompt_tokens, self.completion_tokens
        if prompt is None or completion is None or prompt < 0 or completion < 0:
            return None
        details = self.prompt_tokens_details or _PromptDetails()
        reasoning = (self.completion_tokens_details or _CompletionDetails()).reasoning_tokens
        if reasoning and reasoning > 0 and self.total_tokens == prompt + completion + reasoning:
            completion += reasoning  # xAI counts reasoning beside completion_tokens, not in them
        cached = details.cached_tokens
        return TokenUsage(
            prompt=prompt,
            completion=completion,
            cached=_within(self.prompt_cache_hit_tokens if cached is None else cached, prompt),
            cache_write=_within(details.cache_write_tokens, prompt),
            reasoning=_within(reasoning, completion),
        )


_ABSENT = msgspec.Raw()


_usage = msgspec.json.Decoder(Usage).decode


def usage_in(raw: msgspec.Raw) -> TokenUsage | None:
    """What a `usage` field says; None if it is not there, null, or cannot be read."""
    try:
        return _usage(raw).counted()
    except msgspec.DecodeError:
        return None


class _Function(msgspec.Struct, gc=False):
    arguments: msgspec.Raw = _ABSENT


class _Custom(msgspec.Struct, gc=False):
    input: msgspec.Raw = _ABSENT


class _Call(msgspec.Struct, gc=False):
    function: _Function | None = None
    custom: _Custom | None = None


class Written(msgspec.Struct, gc=False):
    """The message of a choice or a stream's delta: all that its provider bills as output.

    content is a list where a provider writes in parts (Mistral's reasoning models).
    """

    content: str | list[msgspec.Raw] | None = None
    refusal: str | None = None
    reasoning: msgspec.Raw = _ABSENT
    reasoning_content: msgspec.Raw = _ABSENT
    reasoning_details: msgspec.Raw = _ABSENT
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


def _within(part: int | None, whole: int) -> int | None:
    """A part that is no part of its whole is not believed."""
    return part if part is not None and 0 <= part <= whole else None


def with_cost(raw: bytes, cost: Money) -> bytes:
    """An answer or a stream's chunk, with `usage.cost` (USD) in its usage."""
    tree: dict[str, Any] = dict(_tree(raw))
    try:
        tree["usage"] = _tree(tree["usage"]) | {"cost": as_usd(cost)}
    except msgspec.DecodeError:
        return raw  # no object to put it into
    return _encode(tree)


class TheirError(msgspec.Struct):
    """What a provider says is wrong with a request."""

    message: str = ""
    param: str | None = None
    code: str | int | None = None


class _ErrorBody(msgspec.Struct):
    """OpenAI's shape; some write the error as a string, vLLM and FastAPI at the top."""

    error: TheirError | str | None = None
    message: str | None = None
    detail: str | None = None


def read_error(body: bytes) -> TheirError:
    """The error in a refusal; without a message if it has none that can be read."""
    try:
        said = msgspec.json.decode(body, type=_ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return TheirError()
    if isinstance(said.error, TheirError):
        return said.error
    return TheirError(said.error or said.message or said.detail or "")

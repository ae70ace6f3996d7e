"""Usage: a chat's and a message's. Anthropic's input_tokens exclude what was read from or written
to the cache, where OpenAI's prompt_tokens include both. What either adds, `cost` above all, is
carried."""

from __future__ import annotations

import msgspec

from proxy.wires.usage import MessagesUsage, chat_usage

_OF_CHAT = frozenset(
    (
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
        "prompt_cache_hit_tokens",
        "prompt_cache_miss_tokens",
    )
)
_OF_MESSAGES = frozenset(
    (
        *("input_tokens", "output_tokens", "output_tokens_details"),
        *("cache_read_input_tokens", "cache_creation_input_tokens"),
    )
)

Tree = dict[str, msgspec.Raw]
_tree = msgspec.json.Decoder(Tree | None).decode
_encode = msgspec.json.encode


class _Details(msgspec.Struct, gc=False):
    thinking_tokens: int | None = None


class _WithDetails(MessagesUsage, gc=False):
    output_tokens_details: _Details | None = None


_counts = msgspec.json.Decoder(_WithDetails).decode


def tree_in(raw: msgspec.Raw) -> Tree:
    """A `usage` field; empty where there is none, or none that can be read."""
    try:
        return {name: one for name, one in (_tree(raw) or {}).items() if bytes(one) != b"null"}
    except msgspec.DecodeError:
        return {}


def from_chat(raw: msgspec.Raw) -> dict[str, object]:
    """A chat's `usage` as a message's. Its two counts cannot be left out there: they are 0 where
    the provider told none."""
    counted = chat_usage(raw)
    usage: dict[str, object] = {
        name: one for name, one in tree_in(raw).items() if name not in _OF_CHAT
    }
    if counted is None or counted.prompt is None or counted.completion is None:
        return usage | {"input_tokens": 0, "output_tokens": 0}
    read, written = counted.cached, counted.cache_write
    usage["input_tokens"] = max(0, counted.prompt - (read or 0) - (written or 0))
    usage["output_tokens"] = counted.completion
    if read is not None:
        usage["cache_read_input_tokens"] = read
    if written is not None:
        usage["cache_creation_input_tokens"] = written
    if counted.reasoning is not None:
        usage["output_tokens_details"] = {"thinking_tokens": counted.reasoning}
    return usage


def to_chat(tree: Tree) -> dict[str, object] | None:
    """A message's `usage` as a chat's; None where it does not tell what was used."""
    try:
        said = _counts(_encode(tree))
    except msgspec.DecodeError:
        return None
    counted = said.counted()
    if counted is None or counted.prompt is None or counted.completion is None:
        return None
    usage: dict[str, object] = {
        "prompt_tokens": counted.prompt,
        "completion_tokens": counted.completion,
        "total_tokens": counted.prompt + counted.completion,
    }
    parts = {"cached_tokens": counted.cached, "cache_write_tokens": counted.cache_write}
    known = {name: count for name, count in parts.items() if count is not None}
    if known:
        usage["prompt_tokens_details"] = known
    details = said.output_tokens_details
    if details is not None and details.thinking_tokens is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": details.thinking_tokens}
    return usage | {name: one for name, one in tree.items() if name not in _OF_MESSAGES}

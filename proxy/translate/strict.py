"""Strict hosts: they refuse fields of a chat that they do not know, harmless as those are."""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.wires.body import encode, tree_of

_OF_MESSAGES = ("reasoning_content", "reasoning_details", "reasoning")
_OF_PARTS_AND_TOOLS = ("cache_control",)
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def without_extras(body: bytes) -> bytes:
    """A translated chat without what only some hosts know: hints to a cache, and earlier thoughts.

    A client that speaks chat itself is not meddled with: it may know its host.
    """
    tree = tree_of(body)
    tree["messages"] = [_message(one) for one in _list(tree["messages"])]
    if "tools" in tree:
        tree["tools"] = [_without(one, _OF_PARTS_AND_TOOLS) for one in _list(tree["tools"])]
    tree.pop("cache_control", None)
    return encode(tree)


def _message(raw: msgspec.Raw) -> dict[str, Any]:
    message = _without(raw, (*_OF_MESSAGES, *_OF_PARTS_AND_TOOLS))
    if bytes(message.get("content", b"")).startswith(b"["):
        parts = _list(message["content"])
        message["content"] = [_without(one, _OF_PARTS_AND_TOOLS) for one in parts]
    return message


def _without(raw: msgspec.Raw, names: tuple[str, ...]) -> dict[str, Any]:
    tree = tree_of(raw)
    for name in names:
        tree.pop(name, None)
    return tree

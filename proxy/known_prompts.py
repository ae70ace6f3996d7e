"""KnownPrompts: how many tokens a provider has counted in the beginnings of conversations.

A conversation is sent again with every turn, and a little more each time. Of what was there before
the provider's own count is known; only what is new has to be bounded by its bytes. So what is held
for a long conversation shrinks to what it can cost, and is never less than what will be counted.

That is so if the same messages are the same tokens: whatever else a request says must not change
how a provider counts them. A field that is not known to be harmless ends it: some shorten a prompt
before it is counted.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from proxy.wires.body import UNREADABLE
from routing.warmth import Beginning

LEAST_BYTES = 2_048
"""Shorter prompts are bounded by their bytes alone."""
PROMPTS_REMEMBERED = 50_000
"""The longest unused go first: some MB."""
CUT_TOKENS = 64
"""What a template may put between what was there and what is new."""

HARMLESS = frozenset(
    (
        *("model", "messages", "max_tokens", "max_completion_tokens", "n", "seed", "user"),
        *("stream", "stream_options", "stop", "temperature", "top_p", "metadata", "store"),
        *("presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs"),
        *("tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort"),
        *("prompt_cache_key", "safety_identifier"),
        *("provider", "models", "route", "session_id"),  # which are ours to read
    )
)
"""What changes no count of messages. Tools do not: they are counted besides."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """beginnings: the first messages, each one message longer than the one before.

    is_countable: nothing else that the request says changes how they are counted.
    """

    beginnings: tuple[Beginning, ...] = ()
    is_countable: bool = False


NO_CONVERSATION = Conversation()


def conversation_in(body: bytes) -> Conversation:
    """That of a chat completion's body, or of Messages; NO_CONVERSATION of what is neither."""
    try:
        tree = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        messages = msgspec.json.decode(tree.get("messages", b"[]"), type=list[msgspec.Raw])
    except UNREADABLE:
        return NO_CONVERSATION
    digest, size, found = hashlib.blake2b(digest_size=16), 0, []
    system = [tree["system"]] if "system" in tree else []
    for message in map(bytes, (*system, *messages)):
        digest.update(len(message).to_bytes(8))
        digest.update(message)
        size += len(message)
        found.append(Beginning(digest.digest(), size))
    return Conversation(tuple(found), tree.keys() <= HARMLESS)


class KnownPrompts:
    """Counts of one worker, by the key that sent a prompt and the offer that counted it."""

    def __init__(self, most: int = PROMPTS_REMEMBERED) -> None:
        self._most = most
        self._tokens: OrderedDict[tuple[str, str, bytes], int] = OrderedDict()

    def bound(
        self, key_id: str, offer_id: str, beginnings: Sequence[Beginning], body_bytes: int
    ) -> int | None:
        """The most tokens that an offer can count in a body; None if it has never counted a
        beginning of it."""
        for one in reversed(beginnings):
            tokens = self._tokens.get((key_id, offer_id, one.mark))
            if tokens is not None:
                return tokens + body_bytes - one.bytes + CUT_TOKENS
        return None

    def note(
        self, key_id: str, offer_id: str, beginnings: Sequence[Beginning], tokens: int
    ) -> None:
        """An offer has counted so many tokens in a body: its messages are no more."""
        if not beginnings:
            return
        where = (key_id, offer_id, beginnings[-1].mark)
        self._tokens[where] = max(tokens, self._tokens.pop(where, 0))
        if len(self._tokens) > self._most:
            self._tokens.popitem(last=False)

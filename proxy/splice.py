"""Splice: an answer that broke off goes on from another provider, where nobody sees the seam.

The new answer is followed from its beginning, and nothing of it is passed on while it says, word
for word, what has been delivered already. If it says anything else, it is another answer, and the
client is told that its own broke off. A provider that can be handed the beginning of its answer
(prefilled) says only the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from proxy.errors import ProxyError
from proxy.tellers import FromChunks
from proxy.upstream import Diverged
from proxy.wires import body as bodies

DELIVERED_LIMIT = 1 << 20
"""Characters of an answer that are remembered; a longer one is not spliced."""


@dataclass(slots=True)
class SpliceTally:
    """How often a broken answer was tried to go on elsewhere, and how often it did."""

    tried: int = 0
    matched: int = 0


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    tool_calls: msgspec.Raw = bodies.ABSENT
    function_call: msgspec.Raw = bodies.ABSENT
    refusal: str | None = None
    reasoning: msgspec.Raw = bodies.ABSENT
    reasoning_content: msgspec.Raw = bodies.ABSENT
    reasoning_details: msgspec.Raw = bodies.ABSENT

    @property
    def is_no_text(self) -> bool:
        """Whether it brings what cannot be followed word for word."""
        calls = bodies.is_given(self.tool_calls) or bodies.is_given(self.function_call)
        return calls or bool(self.refusal)

    @property
    def thinks(self) -> bool:
        thoughts = (self.reasoning, self.reasoning_content, self.reasoning_details)
        return any(bytes(one) not in _NO_THOUGHT for one in thoughts)


_NO_THOUGHT = (b"", b"null", b'""', b"[]")


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] = []


_decode = msgspec.json.Decoder(_Chunk).decode
_HEAD = ("id", "created", "model")
"""What all chunks of one answer have in common."""


class Splice:
    """Chunks of a chat on their way to the client, over the seams between providers.

    is_resumed: it goes on with an answer that broke off.
    """

    def __init__(self, told_as: FromChunks) -> None:
        self._told_as = told_as
        self._parts: list[str] = []
        self._size = 0
        self._left = ""
        self._head: dict[str, Any] = {}
        self.is_resumed = False
        self._is_plain_text = True
        self._is_thinking = False

    @property
    def delivered(self) -> str:
        return "".join(self._parts)

    @property
    def pieces(self) -> int:
        return len(self._parts)

    @property
    def can_resume(self) -> bool:
        """Whether all that was delivered is text, not at its end, and all of it is remembered.

        An answer that broke off in its thoughts has nothing by which another could be known.
        """
        return self._is_plain_text and not self._is_thinking and self._size <= DELIVERED_LIMIT

    def resume(self, *, from_the_start: bool) -> None:
        """Another answer begins: from its start, or where the delivered text ends."""
        self._left = self.delivered if from_the_start else ""
        self.is_resumed = True

    def chunk(self, chunk: bytes) -> bytes:
        """Raises Diverged."""
        try:
            choices = _decode(chunk).choices
        except bodies.UNREADABLE:
            self._is_plain_text = False
            return self._told_as.chunk(chunk)
        if self._left:
            return self._followed(chunk, choices)
        if not self.is_resumed:
            if not self._head and choices:
                self._head = _head_of(chunk)
            self._note(choices)
            return self._told_as.chunk(chunk)
        delta, ends = (choices[0].delta, choices[0].finish_reason) if choices else (None, None)
        if delta is not None and not (delta.content or delta.is_no_text or ends):
            return b""  # its opening words, of which the client has had one already
        self._note(choices)
        return self._told_as.chunk(_as_one(chunk, self._head))

    def _note(self, choices: list[_Choice], text: str | None = None) -> None:
        """Remember what goes out. text: if that is not all of it."""
        for one in choices:
            delta = one.delta or _Delta()
            if delta.is_no_text or one.finish_reason or len(choices) > 1:
                self._is_plain_text = False
            words = delta.content if text is None else text
            if words:
                self._parts.append(words)
                self._size += len(words)
            self._is_thinking = not words and (self._is_thinking or delta.thinks)

    def _followed(self, chunk: bytes, choices: list[_Choice]) -> bytes:
        """A chunk of what should be delivered already."""
        deltas = [one.delta or _Delta() for one in choices]
        text = "".join(one.content or "" for one in deltas)
        says_more = any(one.is_no_text for one in deltas)
        says_more = says_more or any(one.finish_reason for one in choices)
        if len(text) < len(self._left):
            if says_more or not self._left.startswith(text):
                raise Diverged("its answer is not the one that broke off")
            self._left = self._left[len(text) :]
            return b""
        if not text.startswith(self._left):
            raise Diverged("its answer is not the one that broke off")
        rest, self._left = text[len(self._left) :], ""
        if not rest and not says_more:
            return b""
        self._note(choices, rest)
        return self._told_as.chunk(_as_one(chunk, self._head, rest))

    def close(self) -> bytes:
        return self._told_as.close()

    def broken(self, error: ProxyError) -> bytes:
        return self._told_as.broken(error)


def _head_of(chunk: bytes) -> dict[str, Any]:
    tree = bodies.tree_of(chunk)
    return {name: tree[name] for name in _HEAD if name in tree}


def _as_one(chunk: bytes, head: dict[str, Any], text: str | None = None) -> bytes:
    """A chunk as one of the answer that broke off. text: instead of its own, and without what its
    provider says of its own."""
    tree = bodies.tree_of(chunk) | head
    if text is not None:
        choice = bodies.tree_of(msgspec.json.decode(tree["choices"], type=list[msgspec.Raw])[0])
        delta = bodies.tree_of(choice.get("delta", b"{}")) | {"content": text}
        for name in ("role", "reasoning", "reasoning_content", "reasoning_details"):
            delta.pop(name, None)
        choice.pop("logprobs", None)
        tree["choices"] = [choice | {"delta": delta}]
    return bodies.encode(tree)

"""Splice: an answer that broke off goes on from another provider, where nobody sees the seam.

The new answer is followed from its beginning, and nothing of it is passed on while it says, word
for word, what has been delivered already. If it says anything else, it is another answer, and the
client is told that its own broke off. A provider that can be handed the beginning of its answer
(prefilled) says only the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

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


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] = []


_decode = msgspec.json.Decoder(_Chunk).decode


class Splice:
    """Chunks of a chat on their way to the client, over the seams between providers.

    is_resumed: it goes on with an answer that broke off.
    """

    def __init__(self, told_as: FromChunks) -> None:
        self._told_as = told_as
        self._parts: list[str] = []
        self._size = 0
        self._left = ""
        self.is_resumed = False
        self._is_plain_text = True

    @property
    def delivered(self) -> str:
        return "".join(self._parts)

    @property
    def can_resume(self) -> bool:
        """Whether all that was delivered is text, and all of it is remembered."""
        return self._is_plain_text and self._size <= DELIVERED_LIMIT

    def resume(self, *, from_the_start: bool) -> None:
        """Another answer begins: from its start, or where the delivered text ends."""
        self._left = self.delivered if from_the_start else ""
        self.is_resumed = True

    def chunk(self, chunk: bytes) -> bytes:
        """Raises Diverged."""
        try:
            choices = _decode(chunk).choices
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._is_plain_text = False
            return self._told_as.chunk(chunk)
        if self._left:
            return self._followed(chunk, choices)
        delta = choices[0].delta if choices else None
        if delta is not None:
            calls = bodies.is_given(delta.tool_calls) or bodies.is_given(delta.function_call)
            if len(choices) > 1 or calls or delta.refusal:
                self._is_plain_text = False
            if delta.content:
                self._parts.append(delta.content)
                self._size += len(delta.content)
            elif self.is_resumed and not calls and choices[0].finish_reason is None:
                return b""  # its opening words, of which the client has had one already
        return self._told_as.chunk(chunk)

    def _followed(self, chunk: bytes, choices: list[_Choice]) -> bytes:
        """A chunk of what should be delivered already."""
        text = "".join(one.delta.content or "" for one in choices if one.delta is not None)
        ends = any(one.finish_reason is not None for one in choices)
        if len(text) < len(self._left) or ends:
            if not self._left.startswith(text) or (ends and text != self._left):
                raise Diverged("its answer is not the one that broke off")
            self._left = self._left[len(text) :]
            return self._told_as.chunk(_with_content(chunk, "")) if ends else b""
        if not text.startswith(self._left):
            raise Diverged("its answer is not the one that broke off")
        rest, self._left = text[len(self._left) :], ""
        self._parts.append(rest)
        self._size += len(rest)
        return self._told_as.chunk(_with_content(chunk, rest)) if rest else b""

    def close(self) -> bytes:
        return self._told_as.close()

    def broken(self, error: ProxyError) -> bytes:
        return self._told_as.broken(error)


def _with_content(chunk: bytes, text: str) -> bytes:
    tree = bodies.tree_of(chunk)
    choice = bodies.tree_of(msgspec.json.decode(tree["choices"], type=list[msgspec.Raw])[0])
    choice["delta"] = bodies.tree_of(choice["delta"]) | {"content": text}
    tree["choices"] = [choice]
    return bodies.encode(tree)

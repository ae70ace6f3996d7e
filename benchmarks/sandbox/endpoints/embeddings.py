"""POST /v1/embeddings, in OpenAI's words."""

from __future__ import annotations

import base64
import hashlib
import math
from array import array
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from benchmarks.sandbox.endpoints.texts import Texts, as_texts, is_sound, words_of
from benchmarks.sandbox.refusal import Refusal, wrong
from benchmarks.sandbox.wire import Plain, Turn, Wish, decoded

DIMENSIONS = 16
"""Of a vector, unless others are asked for."""
MAX_DIMENSIONS = 4_096
MAX_INPUTS = 2_048
MAX_NUMBERS = 200_000
"""Of all vectors of one answer: more would keep everybody else waiting."""


class EmbeddingRequest(Struct, frozen=True):
    model: str
    input: Texts
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: Annotated[int, Meta(ge=1, le=MAX_DIMENSIONS)] | None = DIMENSIONS
    sandbox: Wish = Wish()

    stream = False

    @property
    def numbers(self) -> int:
        """Of each vector."""
        return self.dimensions or DIMENSIONS

    def words(self) -> list[str]:
        return words_of(self.input)

    def answer(self, turn: Turn) -> Plain:
        return Plain(turn.prompt_bill(self.model), partial(self._write, turn))

    def _write(self, turn: Turn, with_usage: bool) -> bytes:
        texts = as_texts(self.input)
        data = [
            {"object": "embedding", "index": index, "embedding": self._vector(turn, words)}
            for index, words in enumerate(texts)
        ]
        whole: dict[str, Any] = {"object": "list", "data": data, "model": self.model}
        if with_usage:
            tokens = len(turn.words)
            whole["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return msgspec.json.encode(whole)

    def _vector(self, turn: Turn, words: list[str]) -> list[float] | str:
        vector = embedding(words, self.numbers, turn.behaviour.voice)
        if self.encoding_format == "base64":
            return base64.b64encode(vector.tobytes()).decode()
        return vector.tolist()


def embedding(words: list[str], dimensions: int, voice: str | None = None) -> array[float]:
    """A vector of length 1, in 32-bit floats: of a text the same at every provider of a voice.

    Fewer dimensions are the first of more, drawn out to length 1 again.
    """
    text = "\0".join((voice or "", *words)).encode(errors="replace")
    raw = array("h", hashlib.shake_128(text).digest(2 * dimensions))
    length = math.sqrt(sum(one * one for one in raw)) or 1.0
    return array("f", [one / length for one in raw])


_decoder = msgspec.json.Decoder(EmbeddingRequest)


def read(body: bytes, _content_type: str) -> EmbeddingRequest | Refusal:
    request = decoded(_decoder, body)
    if isinstance(request, Refusal):
        return request
    if not is_sound(request.input) or not all(as_texts(request.input)):
        return wrong("input", "a text, texts, tokens, or lists of tokens; and none empty")
    inputs = len(as_texts(request.input))
    if inputs > MAX_INPUTS or inputs * request.numbers > MAX_NUMBERS:
        return wrong("input", f"at most {MAX_INPUTS} inputs and {MAX_NUMBERS} numbers in all")
    return request

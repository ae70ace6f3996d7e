"""POST /v1/images/generations, in OpenAI's words: real images, of one colour."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from benchmarks.sandbox.bill import Bill
from benchmarks.sandbox.refusal import Refusal, wrong
from benchmarks.sandbox.wire import Plain, Turn, Wish, decoded

BY_TOKENS = "gpt-image"
"""A model whose name starts so says what it used, and is billed by it; others by the image."""
IMAGE_TOKENS = 272
"""Of each image, whatever its size: what OpenAI counts for a square one of low quality."""
SIDE = 8


class ImageRequest(Struct, frozen=True):
    model: str
    prompt: Annotated[str, Meta(min_length=1, max_length=32_000)]
    n: Annotated[int, Meta(ge=1, le=10)] | None = None
    response_format: str | None = None
    stream: bool | None = False
    sandbox: Wish = Wish()

    @property
    def by_tokens(self) -> bool:
        return self.model.startswith(BY_TOKENS)

    def words(self) -> list[str]:
        return self.prompt.split()

    def answer(self, turn: Turn) -> Plain:
        images = self.n or 1
        write = partial(self._write, turn)
        if self.by_tokens:
            return Plain(Bill(len(turn.words)), write, completion_tokens=images * IMAGE_TOKENS)
        return Plain(Bill(units=images, unit="image"), write)

    def _write(self, turn: Turn, with_usage: bool) -> bytes:
        count = self.n or 1
        painted = [image(self.prompt, number, turn.behaviour.voice) for number in range(count)]
        data = [{"b64_json": base64.b64encode(one).decode()} for one in painted]
        whole: dict[str, Any] = {"created": turn.created, "data": data}
        if self.by_tokens and with_usage:
            words, tokens = len(turn.words), count * IMAGE_TOKENS
            whole["usage"] = {
                "input_tokens": words,
                "input_tokens_details": {"text_tokens": words, "image_tokens": 0},
                "output_tokens": tokens,
                "output_tokens_details": {"text_tokens": 0, "image_tokens": tokens},
                "total_tokens": words + tokens,
            }
        return msgspec.json.encode(whole)


def image(prompt: str, number: int, voice: str | None = None) -> bytes:
    """A PNG, in a colour that follows from the prompt and the number of the image."""
    seed = f"{voice or ''}\0{number}\0{prompt}".encode(errors="replace")
    colour = hashlib.blake2b(seed, digest_size=3).digest()
    rows = (b"\0" + colour * SIDE) * SIDE  # each row begins with its filter: none
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)  # 8 bits each of red, green, blue
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


_decoder = msgspec.json.Decoder(ImageRequest)


def read(body: bytes, _content_type: str) -> ImageRequest | Refusal:
    request = decoded(_decoder, body)
    if isinstance(request, Refusal):
        return request
    if request.stream:
        return wrong("stream", "a sandbox provider does not paint in parts: leave it out")
    if request.response_format not in (None, "b64_json"):
        return wrong("response_format", "a sandbox provider has no place for URLs: use b64_json")
    return request

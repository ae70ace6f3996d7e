"""Images: painted from a text, and sold by the image or by the tokens that they are made of."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated

import msgspec

from benchmarks.offers import Task
from ledger.usage import TokenUsage
from proxy.endpoints import Endpoint
from proxy.meter import BYTES_PER_TOKEN
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, UNREADABLE, is_given, unpriced
from proxy.wires.unlimited import UnlimitedWire
from proxy.wires.usage import chat_usage, responses_usage
from proxy.wires.vocabulary import WORDS, for_router
from proxy.wires.wire import Ask, Plain

# -- how many tokens an image can have

_GRID = {"low": 16, "medium": 48, "high": 96}
"""gpt-image-2: tokens along the longer side, before they are scaled by the area."""
_MOST_OF_THREE_SIZES = {"low": 408, "medium": 1584, "high": 6240}
"""gpt-image-1, -1-mini and -1.5, of the largest of their three sizes."""
_SQUARE = (1024, 1024)
"""Of the sizes that `auto` chooses from, the one that gpt-image-2 makes of the most tokens."""
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
OWN_WORDS = 1024
"""Tokens of text that gpt-image-1.5 and later write to themselves first (seen: about 200)."""


def most_image_tokens(size: str | None, quality: str | None) -> int:
    """The most output tokens of one image, at OpenAI; a quality that it does not name is `high`.

    Sources: the table under "Cost and latency" in OpenAI's guide to image generation, and for
    gpt-image-2, which takes any size, the formula behind the calculator there: its example of 7024
    tokens for 1024x1024 in high quality comes out.
    """
    quality = quality if quality in _GRID else "high"
    sides = _SIZE.fullmatch(size or "")
    width, height = (int(sides[1]), int(sides[2])) if sides else _SQUARE
    long, short = max(width, height), min(width, height)
    across = _GRID[quality]
    down = (2 * across * short + long) // (2 * long)  # rounded half up
    by_area = -(-across * down * (2_000_000 + width * height) // 4_000_000)
    return max(by_area, _MOST_OF_THREE_SIZES[quality]) + OWN_WORDS


# -- requests


class ImagesRequest(msgspec.Struct, gc=False):
    """The fields that routing, holding and metering need."""

    prompt: str
    model: str = ""
    n: Annotated[int, msgspec.Meta(ge=1, le=128)] | None = None
    size: str | None = None
    quality: str | None = None
    stream: bool | None = None
    partial_images: int | None = None
    num_images: msgspec.Raw = ABSENT
    batch_size: msgspec.Raw = ABSENT
    sequential_image_generation: msgspec.Raw = ABSENT


_request = msgspec.json.Decoder(ImagesRequest).decode
_OURS = WORDS.union(ImagesRequest.__struct_fields__)
_OTHER_COUNTS = ("num_images", "batch_size", "sequential_image_generation")
"""By which some hosts would paint more images than `n`."""


# -- answers


class _Answer(msgspec.Struct, gc=False):
    data: list[msgspec.Raw]
    usage: msgspec.Raw = ABSENT


_answer = msgspec.json.Decoder(_Answer).decode


class ImagesWire(UnlimitedWire):
    """POST /images/generations.

    An offer that is priced by the image has one price, whatever the size and the quality: where
    they cost more, give it the dearest that its clients may ask for.
    """

    endpoint = Endpoint.IMAGES

    def ask(self, body: bytes, content_type: str) -> Ask:  # noqa: ARG002 - a wire's door
        request = bodies.read(_request, body, "an image request")
        fields = bodies.fields_of(body, _OURS)
        if request.stream:
            raise unpriced("stream", "a stream of images, with the unfinished ones in it,")
        if request.partial_images:
            raise unpriced("partial_images", "every unfinished image")
        for name in _OTHER_COUNTS:
            if is_given(getattr(request, name)):
                raise unpriced(name, f"an image more by {name} than by n")
        images = request.n or 1
        ask = Ask(
            model=request.model,
            task=Task.IMAGE,
            prompt_bytes=len(body),
            choices=images,
            most_completion_tokens=most_image_tokens(request.size, request.quality),
            units=images,
        )
        return for_router(ask, fields)

    def plain(self, body: bytes, ask: Ask) -> Plain | None:
        """units: the images that came; none if all were filtered out. Tokens that are not named
        count as the most there can be: an image has no text to count them by."""
        try:
            answer = _answer(body)
        except UNREADABLE:
            return None
        images = len(answer.data)
        if tokens := responses_usage(answer.usage) or chat_usage(answer.usage):
            return Plain(replace(tokens, units=images))
        most = images * (ask.most_completion_tokens or 0)
        return Plain(TokenUsage(None, None, units=images), most * BYTES_PER_TOKEN)

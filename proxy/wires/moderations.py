"""Moderations: texts and images judged. OpenAI gives the judgements away, and counts nothing."""

from __future__ import annotations

import msgspec

from benchmarks.offers import Feature, Task
from proxy.endpoints import Endpoint
from proxy.errors import Invalid
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, UNREADABLE, unpriced
from proxy.wires.unlimited import UnlimitedWire
from proxy.wires.usage import input_usage
from proxy.wires.vocabulary import WORDS, for_router
from proxy.wires.wire import Ask, Plain


class _Part(msgspec.Struct, gc=False):
    type: str = ""


class ModerationRequest(msgspec.Struct, gc=False):
    """The fields that routing, holding and metering need."""

    input: str | list[str | _Part]
    model: str = ""

    @property
    def part_types(self) -> set[str]:
        parts = self.input if isinstance(self.input, list) else ()
        return {part.type for part in parts if isinstance(part, _Part)}


class _Answer(msgspec.Struct, gc=False):
    results: list[msgspec.Raw]
    usage: msgspec.Raw = ABSENT


_request = msgspec.json.Decoder(ModerationRequest).decode
_answer = msgspec.json.Decoder(_Answer).decode
_OURS = WORDS.union(ModerationRequest.__struct_fields__)
_PRICED_PARTS = {"text", "image_url"}


class ModerationsWire(UnlimitedWire):
    """POST /moderations."""

    endpoint = Endpoint.MODERATIONS

    def ask(self, body: bytes, content_type: str) -> Ask:  # noqa: ARG002 - a wire's door
        request = bodies.read(_request, body, "a moderation request")
        fields = bodies.fields_of(body, _OURS)
        if not request.input:
            raise Invalid("input is empty: give a text", param="input", code="invalid_type")
        for kind in sorted(request.part_types - _PRICED_PARTS):
            raise unpriced("input", f"a part of type {kind[:50] or '(none)'} in input")
        has_images = "image_url" in request.part_types
        ask = Ask(
            model=request.model,
            task=Task.MODERATION,
            prompt_bytes=len(body),
            most_completion_tokens=0,
            features=frozenset({Feature.VISION} if has_images else ()),
        )
        return for_router(ask, fields)

    def plain(self, body: bytes, ask: Ask) -> Plain | None:  # noqa: ARG002 - a wire's door
        """Without a usage, as OpenAI answers, the tokens are unknown, though they cost nothing."""
        try:
            answer = _answer(body)
        except UNREADABLE:
            return None
        return Plain(input_usage(answer.usage)) if answer.results else None

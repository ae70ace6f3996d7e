"""Embeddings: texts as vectors. Their answers have no tokens of their own."""

from __future__ import annotations

import msgspec

from benchmarks.offers import Task
from proxy.endpoints import Endpoint
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, UNREADABLE, is_given
from proxy.wires.inputs import Texts, count_texts
from proxy.wires.unlimited import UnlimitedWire
from proxy.wires.usage import input_usage
from proxy.wires.vocabulary import WORDS, for_router
from proxy.wires.wire import Ask, Plain

INSTRUCTION_TOKENS = 32
"""What a host may put before every text, and bill, for what the request says of its use: Voyage's
"Represent the query for retrieving supporting documents: " and its like."""


class EmbeddingsRequest(msgspec.Struct, gc=False):
    """The fields that routing, holding and metering need."""

    input: Texts
    model: str = ""
    input_type: msgspec.Raw = ABSENT
    task: msgspec.Raw = ABSENT
    prompt_name: msgspec.Raw = ABSENT


class _Answer(msgspec.Struct, gc=False):
    data: list[msgspec.Raw]
    usage: msgspec.Raw = ABSENT


_request = msgspec.json.Decoder(EmbeddingsRequest).decode
_answer = msgspec.json.Decoder(_Answer).decode
_OURS = WORDS.union(EmbeddingsRequest.__struct_fields__)


class EmbeddingsWire(UnlimitedWire):
    """POST /embeddings."""

    endpoint = Endpoint.EMBEDDINGS

    def ask(self, body: bytes, content_type: str) -> Ask:  # noqa: ARG002 - a wire's door
        request = bodies.read(_request, body, "an embeddings request")
        fields = bodies.fields_of(body, _OURS)
        texts = count_texts(request.input, "input")
        uses = (request.input_type, request.task, request.prompt_name)
        before_each = INSTRUCTION_TOKENS if any(is_given(use) for use in uses) else 0
        ask = Ask(
            model=request.model,
            task=Task.EMBEDDING,
            prompt_bytes=len(body) + texts * before_each,
            most_completion_tokens=0,
        )
        return for_router(ask, fields)

    def plain(self, body: bytes, ask: Ask) -> Plain | None:  # noqa: ARG002 - a wire's door
        try:
            answer = _answer(body)
        except UNREADABLE:
            return None
        return Plain(input_usage(answer.usage)) if answer.data else None

"""Rerank: documents ordered by how well they answer a query; as Cohere, Jina, Voyage, Together and
vLLM say it. Sold by the search, or by tokens."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated

import msgspec

from benchmarks.offers import Task
from ledger.usage import TokenUsage
from proxy.endpoints import Endpoint
from proxy.errors import Invalid
from proxy.wires import body as bodies
from proxy.wires.body import ABSENT, UNREADABLE, is_given, unpriced
from proxy.wires.unlimited import UnlimitedWire
from proxy.wires.usage import input_usage
from proxy.wires.vocabulary import WORDS, for_router
from proxy.wires.wire import Ask, Plain

DOCUMENTS_PER_SEARCH = 100
CHUNK_TOKENS = 500
"""A document that is longer, the query included, is cut into chunks, each of which counts as a
document (Cohere's price list, and Amazon's, Azure's and Oracle's after it)."""
MOST_QUERY_TOKENS = 256
"""Of the query, no more are repeated in each chunk."""
PAIR_TOKENS = 128
"""What a template may put around the query and one document, as Qwen3-Reranker's does."""

# -- requests


class RerankRequest(msgspec.Struct, gc=False):
    """The fields that routing, holding and metering need."""

    query: str
    documents: list[msgspec.Raw]
    model: str = ""
    instruction: str | None = None


_request = msgspec.json.Decoder(RerankRequest).decode
_OURS = WORDS.union(RerankRequest.__struct_fields__)
_IMAGES = {"image", "image_url", "video", "video_url", "content"}
"""Keys of a document that is not only text, at Jina and vLLM."""


def _sizes(documents: list[msgspec.Raw]) -> list[int]:
    """Bytes of each document. Raises Invalid for what is neither a text nor an object of texts."""
    if not documents:
        why = "documents is empty: give at least one"
        raise Invalid(why, param="documents", code="invalid_type")
    raws = [bytes(one) for one in documents]
    for place, raw in enumerate(raws):
        where = f"documents[{place}]"
        if raw.startswith(b"{"):
            if not _IMAGES.isdisjoint(bodies.tree_of(raw)):
                raise unpriced(where, f"a document that is not text, {where},")
        elif not raw.startswith(b'"'):
            why = f"{where} is neither a text nor an object with a text"
            raise Invalid(why, param=where, code="invalid_type")
    return [len(raw) for raw in raws]


def most_searches(query_bytes: int, document_bytes: list[int]) -> int:
    """The most search units that Cohere can count: a token is at least one byte."""
    room = CHUNK_TOKENS - min(query_bytes, MOST_QUERY_TOKENS)
    chunks = sum(
        max(math.ceil(size / room), math.ceil((query_bytes + size) / CHUNK_TOKENS))
        for size in document_bytes
    )
    return math.ceil(chunks / DOCUMENTS_PER_SEARCH)


# -- answers


class _Searches(msgspec.Struct, gc=False):
    search_units: Annotated[float, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None


class _Meta(msgspec.Struct, gc=False):
    billed_units: _Searches | None = None


class _Answer(msgspec.Struct, gc=False):
    """Voyage's has `data` for `results`."""

    results: list[msgspec.Raw] | None = None
    data: list[msgspec.Raw] | None = None
    meta: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT


_answer = msgspec.json.Decoder(_Answer).decode
_meta = msgspec.json.Decoder(_Meta | None).decode
_usage = msgspec.json.Decoder(_Searches | None).decode


def _searches_in(answer: _Answer) -> int | None:
    """What Cohere names in `meta`, and OpenRouter in `usage`."""
    try:
        said = None
        if is_given(answer.meta):
            meta = _meta(answer.meta)
            said = None if meta is None else meta.billed_units
        if said is None and is_given(answer.usage):
            said = _usage(answer.usage)
    except msgspec.DecodeError:
        return None
    return None if said is None or said.search_units is None else math.ceil(said.search_units)


class RerankWire(UnlimitedWire):
    """POST /rerank."""

    endpoint = Endpoint.RERANK

    def ask(self, body: bytes, content_type: str) -> Ask:  # noqa: ARG002 - a wire's door
        """prompt_bytes: a query is read, and by most hosts billed, with every document anew."""
        request = bodies.read(_request, body, "a rerank request")
        fields = bodies.fields_of(body, _OURS)
        documents = _sizes(request.documents)
        query = len(request.query.encode())
        with_each = query + len((request.instruction or "").encode()) + PAIR_TOKENS
        ask = Ask(
            model=request.model,
            task=Task.RERANK,
            prompt_bytes=len(body) + len(documents) * with_each,
            most_completion_tokens=0,
            units=most_searches(query, documents),
        )
        return for_router(ask, fields)

    def plain(self, body: bytes, ask: Ask) -> Plain | None:  # noqa: ARG002 - a wire's door
        """Its usage may name tokens, search units, or both: what it does not name is None."""
        try:
            answer = _answer(body)
        except UNREADABLE:
            return None
        if answer.results is None and answer.data is None:
            return None
        tokens, searches = input_usage(answer.usage), _searches_in(answer)
        if searches is None:
            return Plain(tokens)
        return Plain(replace(tokens or TokenUsage(None, 0), units=searches))

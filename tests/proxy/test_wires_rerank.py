"""Rerank: no host counts more searches or tokens than were held."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.offers import Task
from ledger.money import usd
from ledger.usage import TokenUsage
from proxy.endpoints import Endpoint
from proxy.errors import Invalid
from proxy.wires.rerank import RerankWire, most_searches
from proxy.wires.table import WIRES
from proxy.wires.wire import Plain

WIRE = RerankWire()
JSON = "application/json"


def raw(body: object) -> bytes:
    return json.dumps(body).encode()


def ask(**fields: Any) -> Any:
    return WIRE.ask(raw({"model": "m", "query": "q", "documents": ["a"]} | fields), JSON)


def chunks_with_the_query_in_each(query_tokens: int, document_tokens: int) -> int:
    """Cohere's guide: 512 tokens, two of them its own, hold at most 256 of the query and as much
    of the document as there is room for. Here with the 500 of its price list."""
    room, chunks, left = 500 - min(query_tokens, 256), 0, document_tokens
    while left > 0:
        left, chunks = left - room, chunks + 1
    return max(chunks, 1)


def chunks_of_both(query_tokens: int, document_tokens: int) -> int:
    """Its price list, read word by word: longer than 500, the query included, is several."""
    return max(1, math.ceil((query_tokens + document_tokens) / 500))


@given(
    st.integers(1, 3000),
    st.lists(st.integers(1, 5000), min_size=1, max_size=20),
    st.sampled_from([chunks_with_the_query_in_each, chunks_of_both]),
    st.sampled_from([0.25, 0.6, 1.0]),
)
def test_no_way_of_counting_finds_more_searches(
    query_bytes: int, document_bytes: list[int], chunks: Any, tokens_per_byte: float
) -> None:
    """However many tokens the bytes are, and whichever of its two readings is Cohere's; of each
    document a hundred, so that every chunk counts."""
    query = math.ceil(query_bytes * tokens_per_byte)
    documents = [math.ceil(one * tokens_per_byte) for one in document_bytes]
    searches = sum(chunks(query, one) for one in documents)
    assert most_searches(query_bytes, document_bytes * 100) >= searches


@pytest.mark.parametrize(("documents", "searches"), [(1, 1), (100, 1), (101, 2), (1000, 10)])
def test_short_documents_are_searched_by_the_hundred(documents: int, searches: int) -> None:
    """As Cohere bills them: the bound is the bill."""
    assert ask(documents=["short"] * documents).units == searches


@given(st.text(max_size=40), st.lists(st.text(max_size=40), min_size=1, max_size=20))
def test_a_query_counts_with_every_document(query: str, documents: list[str]) -> None:
    """Voyage: tokens of the query times the documents, and those of the documents; and two or
    three between them."""
    body = json.dumps({"model": "m", "query": query, "documents": documents}, ensure_ascii=False)
    asked = WIRE.ask(body.encode(), JSON)
    texts = sum(len(one.encode()) for one in documents)
    assert asked.prompt_bytes >= len(query.encode()) * len(documents) + texts + 3 * len(documents)
    assert (asked.task, asked.most_completion_tokens) == (Task.RERANK, 0)


def test_an_instruction_counts_with_every_document() -> None:
    """It stands in every pair's template."""
    longer = "x" * 1000
    more = ask(documents=["a"] * 9, instruction=longer).prompt_bytes
    assert more >= ask(documents=["a"] * 9).prompt_bytes + 9 * len(longer)


@pytest.mark.parametrize(
    ("documents", "code"),
    [
        ([], "invalid_type"),
        ("a", "invalid_type"),
        (["a", 1], "invalid_type"),
        ([None], "invalid_type"),
        ([["a"]], "invalid_type"),
        ([{"image": "http://a/b.png"}], "unpriced_feature"),
        ([{"content": [{"type": "image_url"}]}], "unpriced_feature"),
    ],
    ids=str,
)
def test_documents_are_texts(documents: Any, code: str) -> None:
    """The refusal says which document."""
    with pytest.raises(Invalid) as refused:
        ask(documents=documents)
    assert refused.value.code == code
    assert (refused.value.param or "").startswith("documents")


@pytest.mark.parametrize("document", ["a", {"text": "a"}, {"title": "a", "body": "b"}], ids=str)
def test_documents_may_be_objects_of_texts(document: Any) -> None:
    """Cohere's and Together's own fields, named by `rank_fields`."""
    assert ask(documents=[document], rank_fields=["title"]).units == 1


RESULTS = [{"index": 0, "relevance_score": 0.5}]


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        # Cohere
        (
            {"results": RESULTS, "meta": {"billed_units": {"search_units": 2}}},
            TokenUsage(None, 0, units=2),
        ),
        # Jina
        (
            {"results": RESULTS, "usage": {"total_tokens": 9, "prompt_tokens": 9}},
            TokenUsage(9, 0),
        ),
        # Voyage
        ({"object": "list", "data": RESULTS, "usage": {"total_tokens": 9}}, TokenUsage(9, 0)),
        # Together
        (
            {
                "results": RESULTS,
                "usage": {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9},
            },
            TokenUsage(9, 0),
        ),
        # vLLM
        ({"id": "r", "results": RESULTS, "usage": {"total_tokens": 9}}, TokenUsage(9, 0)),
        # OpenRouter
        (
            {"results": RESULTS, "usage": {"search_units": 1, "total_tokens": 9, "cost": 0.1}},
            TokenUsage(9, 0, units=1),
        ),
        ({"results": RESULTS, "meta": {"api_version": {"version": "2"}}}, None),
        (
            {"results": RESULTS, "meta": {"billed_units": {"search_units": 1.5}}},
            TokenUsage(None, 0, units=2),
        ),
        ({"results": RESULTS, "meta": {"billed_units": {"search_units": -1}}}, None),
        ({"results": RESULTS, "meta": [], "usage": []}, None),
        ({"results": []}, None),
    ],
    ids=str,
)
def test_answers_are_read_as_each_host_writes_them(
    answer: dict[str, Any], usage: TokenUsage | None
) -> None:
    """Searches, tokens, both or neither; what an answer does not name is unknown."""
    assert WIRE.plain(raw(answer), ask()) == Plain(usage)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"results":{}}', b'{"message":"no"}'])
def test_an_answer_without_results_is_none(body: bytes) -> None:
    """A 200 without an order is nonsense."""
    assert WIRE.plain(body, ask()) is None


def test_the_cost_is_told_where_there_is_a_usage() -> None:
    """Cohere's answers have none: they pass as they are."""
    wire = WIRES[Endpoint.RERANK]
    with_usage = {"results": RESULTS, "usage": {"total_tokens": 9}}
    told = json.loads(wire.with_cost(raw(with_usage), usd("0.25")))
    assert told == with_usage | {"usage": {"total_tokens": 9, "cost": 0.25}}
    cohere = raw({"results": RESULTS, "meta": {}})
    assert wire.with_cost(cohere, usd("0.25")) == cohere

"""Embeddings and moderations: endpoints whose answers have no tokens of their own."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.offers import Feature, Task
from ledger.money import usd
from ledger.usage import TokenUsage
from proxy.errors import Invalid
from proxy.wires.embeddings import EmbeddingsWire
from proxy.wires.moderations import ModerationsWire
from proxy.wires.wire import Plain
from tests.proxy.wire_clients import talk

EMBEDDINGS, MODERATIONS = EmbeddingsWire(), ModerationsWire()
JSON = "application/json"
VECTOR = base64.b64encode(struct.pack("<2f", 0.5, -0.5)).decode()
VECTORS = {
    "object": "list",
    "model": "m",
    "data": [{"object": "embedding", "index": 0, "embedding": VECTOR}],
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}


def raw(body: object) -> bytes:
    return json.dumps(body).encode()


texts = st.lists(st.text(), min_size=1, max_size=9)
lists_of_tokens = st.lists(st.lists(st.integers(0, 9), max_size=20), min_size=1, max_size=9)


@given(st.text() | texts | lists_of_tokens, st.sampled_from([None, "query"]))
def test_no_input_has_more_tokens_than_its_bound(inputs: Any, use: str | None) -> None:
    """A byte a token; two for a text's beginning and end; and an instruction before each where the
    request says what the vectors are for."""
    body = json.dumps({"model": "m", "input": inputs, "input_type": use}, separators=(",", ":"))
    asked = EMBEDDINGS.ask(body.encode(), JSON)
    many = [inputs] if isinstance(inputs, str) else inputs
    tokens = sum(len(one.encode()) if isinstance(one, str) else len(one) for one in many)
    instruction = 9 if use else 0  # Voyage's longest
    assert asked.prompt_bytes >= tokens + len(many) * (2 + instruction)
    assert (asked.task, asked.most_completion_tokens) == (Task.EMBEDDING, 0)


def test_the_official_client_sends_and_reads_embeddings() -> None:
    """It asks for base64 and decodes it: both pass through untouched."""
    told = EMBEDDINGS.with_cost(raw(VECTORS), usd("0.25"))
    sent, made = talk(
        lambda client: client.embeddings.create(model="m", input=["a"], dimensions=2), told
    )
    assert made.data[0].embedding == [0.5, -0.5]
    assert made.usage.model_dump()["cost"] == 0.25
    assert json.loads(sent.rewritten("theirs")) == json.loads(sent.body) | {"model": "theirs"}
    assert json.loads(sent.body)["encoding_format"] == "base64"
    assert EMBEDDINGS.plain(told, sent.ask()) == Plain(TokenUsage(3, 0))


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 3, "total_tokens": 3}, TokenUsage(3, 0)),
        ({"total_tokens": 3}, TokenUsage(3, 0)),  # Voyage
        ({"prompt_tokens": -3}, None),
        (None, None),
    ],
    ids=str,
)
def test_an_answer_that_names_no_tokens_has_none(usage: Any, counted: TokenUsage | None) -> None:
    """Unknown is not zero: then they are estimated."""
    body = raw(VECTORS | {"usage": usage})
    assert EMBEDDINGS.plain(body, EMBEDDINGS.ask(raw({"model": "m", "input": "a"}), JSON)) == Plain(
        counted
    )


@pytest.mark.parametrize(
    "inputs", [[], None, 1, [1, "a"], [{"image": "http://a/b.png"}], {"text": "a"}], ids=str
)
def test_what_is_no_text_is_refused(inputs: Any) -> None:
    """An image's tokens are bounded by nothing in the body."""
    with pytest.raises(Invalid) as refused:
        EMBEDDINGS.ask(raw({"model": "m", "input": inputs}), JSON)
    assert (refused.value.param or "").startswith("input")


@pytest.mark.parametrize("body", [{}, {"data": []}, {"data": None}, {"error": {"message": "no"}}])
def test_an_answer_without_vectors_is_none(body: dict[str, Any]) -> None:
    """A 200 without the one thing that was asked for is nonsense."""
    assert (
        EMBEDDINGS.plain(raw(body), EMBEDDINGS.ask(raw({"model": "m", "input": "a"}), JSON)) is None
    )


# -- moderations

IMAGE = {"type": "image_url", "image_url": {"url": "http://a/b.png"}}
JUDGED = {"id": "modr-1", "model": "m", "results": [{"flagged": False}]}


def test_the_official_client_sends_and_reads_moderations() -> None:
    """OpenAI names no usage: the tokens are unknown, and the cost has no place to be told in."""
    told = MODERATIONS.with_cost(raw(JUDGED), usd(0))
    sent, made = talk(
        lambda client: client.moderations.create(model="m", input=["a", "b"]),
        told,
    )
    assert not made.results[0].flagged
    asked = sent.ask()
    assert (asked.task, asked.most_completion_tokens) == (Task.MODERATION, 0)
    assert MODERATIONS.plain(told, asked) == Plain(None)
    assert told == raw(JUDGED)


def test_a_host_that_bills_moderations_says_so() -> None:
    """Mistral's answers name their tokens."""
    body = raw(JUDGED | {"usage": {"prompt_tokens": 5, "total_tokens": 5}})
    asked = MODERATIONS.ask(raw({"model": "m", "input": "a"}), JSON)
    assert MODERATIONS.plain(body, asked) == Plain(TokenUsage(5, 0))


@pytest.mark.parametrize(
    ("inputs", "sees"),
    [("a", False), (["a", "b"], False), ([{"type": "text"}], False), ([IMAGE], True)],
)
def test_images_need_an_offer_that_sees(inputs: Any, sees: bool) -> None:
    """As in a chat."""
    asked = MODERATIONS.ask(raw({"model": "m", "input": inputs}), JSON)
    assert asked.features == ({Feature.VISION} if sees else set())


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ("", "invalid_type"),
        ([], "invalid_type"),
        ([1], "invalid_type"),
        ([{"type": "input_audio"}], "unpriced_feature"),
        ([{"text": "a"}], "unpriced_feature"),
    ],
    ids=str,
)
def test_what_cannot_be_judged_is_refused(inputs: Any, code: str) -> None:
    """Parts of other kinds are billed at prices that nobody here knows."""
    with pytest.raises(Invalid) as refused:
        MODERATIONS.ask(raw({"model": "m", "input": inputs}), JSON)
    assert refused.value.code == code

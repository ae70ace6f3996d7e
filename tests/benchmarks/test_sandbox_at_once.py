"""Sandbox providers that answer at once: vectors, judgements, images and rankings."""

from __future__ import annotations

import base64
import json
import math
import struct
import zlib
from array import array
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sandbox import Behaviour, Fault, SandboxProvider
from benchmarks.sandbox.endpoints.embeddings import embedding
from benchmarks.sandbox.endpoints.rerank import relevance

MODEL = "oak-70b"
PAINTER, RANKER = "gpt-image-1", "jina-reranker-v3"
FAST = Behaviour(models=(MODEL, PAINTER, RANKER), time_scale=0.0)
SAID = "one two three"
BODIES: dict[str, dict[str, Any]] = {
    "embeddings": {"input": SAID},
    "moderations": {"input": SAID},
    "images/generations": {"prompt": SAID},
    "rerank": {"query": "one two", "documents": ["three"]},
}


@pytest.fixture
async def provider() -> AsyncIterator[SandboxProvider]:
    async with SandboxProvider(FAST) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
        yield session


@pytest.fixture
async def client(provider: SandboxProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=provider.base_url, api_key="sk-any", max_retries=0
    ) as official:
        yield official


async def ask(
    http: aiohttp.ClientSession, provider: SandboxProvider, path: str, **extra: Any
) -> tuple[int, bytes]:
    body = {"model": MODEL} | BODIES[path] | extra
    async with http.post(f"{provider.base_url}/{path}", json=body) as response:
        return response.status, await response.read()


# Embeddings


async def test_vectors_are_the_same_in_both_encodings(client: openai.AsyncOpenAI) -> None:
    """The official client decodes base64 by itself; floats say the same to the last bit."""
    floats = await client.embeddings.create(model=MODEL, input=SAID, encoding_format="float")
    packed = await client.embeddings.create(model=MODEL, input=SAID, encoding_format="base64")
    by_default = await client.embeddings.create(model=MODEL, input=SAID)

    raw: Any = packed.data[0].embedding
    assert array("f", base64.b64decode(raw)).tolist() == floats.data[0].embedding
    assert by_default.data[0].embedding == floats.data[0].embedding
    assert floats.usage.prompt_tokens == floats.usage.total_tokens == 3


async def test_each_input_has_its_vector(
    provider: SandboxProvider, client: openai.AsyncOpenAI
) -> None:
    """In order, as wide as asked; words and tokens are counted over all inputs."""
    texts = await client.embeddings.create(model=MODEL, input=["a b", "c", "a b"], dimensions=100)
    tokens = await client.embeddings.create(model=MODEL, input=[[1, 2], [3]], dimensions=100)

    assert [one.index for one in texts.data] == [0, 1, 2]
    assert texts.data[0].embedding == texts.data[2].embedding != texts.data[1].embedding
    assert {len(one.embedding) for one in (*texts.data, *tokens.data)} == {100}
    assert (texts.usage.prompt_tokens, tokens.usage.prompt_tokens) == (5, 3)
    assert (provider.tally.prompt_tokens, provider.tally.completion_tokens) == (8, 0)


@given(words=st.lists(st.text("abc", min_size=1), min_size=1, max_size=5), dims=st.integers(1, 64))
def test_a_vector_has_length_1_and_follows_from_the_words(words: list[str], dims: int) -> None:
    """The same words give the same; fewer dimensions point as the first of more do."""
    vector, wide = embedding(words, dims), embedding(words, 64)

    assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)
    assert vector == embedding(words, dims)
    scale = math.hypot(*wide[:dims])
    assert vector.tolist() == pytest.approx([one / scale for one in wide[:dims]], abs=1e-5)
    assert embedding(words, 64, voice="north") != wide


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": ""},
        {"input": []},
        {"input": ["a", ""]},
        {"input": ["a", 1]},
        {"input": ["a"] * 2_049},
        {"input": ["a"] * 100, "dimensions": 4_096},
        {"dimensions": 0},
        {"encoding_format": "hex"},
    ],
)
async def test_inputs_that_are_none(
    provider: SandboxProvider, http: aiohttp.ClientSession, wrong: dict[str, Any]
) -> None:
    """Empty, mixed and too large inputs are a 400, as is what no encoding is."""
    status, _ = await ask(http, provider, "embeddings", **wrong)
    assert status == 400


# Moderations


async def test_a_category_is_flagged_by_its_name(
    provider: SandboxProvider, client: openai.AsyncOpenAI
) -> None:
    """What is in the text, and nothing else; one result for each text, and nothing to pay."""
    judged = await client.moderations.create(
        model=MODEL, input=["the violence and self-harm in it", "nonviolence, hateful"]
    )

    first, second = judged.results
    assert first.flagged
    assert (first.categories.violence, first.categories.self_harm) == (True, True)
    assert not first.categories.hate
    assert first.category_scores.violence > 0.5 > first.category_scores.hate
    assert not second.flagged
    assert provider.tally.billed_requests == 1
    assert provider.tally.prompt_tokens == 0
    assert provider.tally.units == {}


async def test_parts_are_judged_as_one_message(
    provider: SandboxProvider, http: aiohttp.ClientSession
) -> None:
    """Text and image parts have one result."""
    parts = [{"type": "text", "text": "sexual"}, {"type": "image_url", "image_url": {"url": "x"}}]
    _, body = await ask(http, provider, "moderations", input=parts)
    (result,) = json.loads(body)["results"]
    assert result["categories"]["sexual"]
    assert (await ask(http, provider, "moderations", input=[]))[0] == 400


# Images


def pixels(png: bytes) -> tuple[int, int, set[bytes]]:
    """Width, height and colours of a PNG with eight bits of red, green and blue, unfiltered."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, rest = {}, png[8:]
    while rest:
        (size,) = struct.unpack(">I", rest[:4])
        kind, data, check = rest[4:8], rest[8 : 8 + size], rest[8 + size : 12 + size]
        assert struct.unpack(">I", check)[0] == zlib.crc32(kind + data)
        chunks[kind], rest = data, rest[12 + size :]
    width, height, bits, colour, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (bits, colour) == (8, 2)
    assert b"IEND" in chunks
    raw = zlib.decompress(chunks[b"IDAT"])
    rows = [raw[y * (1 + 3 * width) :][: 1 + 3 * width] for y in range(height)]
    assert len(raw) == height * (1 + 3 * width)
    assert all(row[0] == 0 for row in rows)
    return width, height, {row[1 + 3 * x :][:3] for row in rows for x in range(width)}


async def test_images_are_images(provider: SandboxProvider, client: openai.AsyncOpenAI) -> None:
    """n different PNGs, the same for the same prompt; billed by the image, without any usage."""
    twice = [await client.images.generate(model=MODEL, prompt=SAID, n=3) for _ in range(2)]

    first = [one.b64_json for one in twice[0].data or []]
    assert first == [one.b64_json for one in twice[1].data or []]
    painted = [pixels(base64.b64decode(one or "")) for one in first]
    assert len(painted) == 3
    assert all(len(colours) == 1 for _, _, colours in painted)
    assert len(set.union(*(colours for _, _, colours in painted))) == 3
    assert twice[0].usage is None
    assert provider.tally.units == {"image": 6}
    assert provider.tally.prompt_tokens == 0


async def test_a_gpt_image_model_says_its_tokens(
    provider: SandboxProvider, client: openai.AsyncOpenAI
) -> None:
    """The prompt's words and a fixed number for each image; by them it is billed."""
    made = await client.images.generate(model=PAINTER, prompt=SAID, n=2)

    assert made.usage is not None
    assert (made.usage.input_tokens, made.usage.output_tokens) == (3, 544)
    assert made.usage.total_tokens == 547
    assert (provider.tally.prompt_tokens, provider.tally.completion_tokens) == (3, 544)
    assert provider.tally.units == {}


@pytest.mark.parametrize("wrong", [{"n": 11}, {"stream": True}, {"response_format": "url"}])
async def test_images_that_are_not_made(
    provider: SandboxProvider, http: aiohttp.ClientSession, wrong: dict[str, Any]
) -> None:
    """What cannot be given is refused, not given otherwise."""
    assert (await ask(http, provider, "images/generations", **wrong))[0] == 400


# Rerank


DOCUMENTS = st.lists(
    st.lists(st.sampled_from("abcdef"), max_size=4).map(" ".join), min_size=1, max_size=6
)


@given(query=st.lists(st.sampled_from("abc"), max_size=3).map(" ".join), texts=DOCUMENTS)
def test_relevance_is_the_share_of_the_query_that_is_found(query: str, texts: list[str]) -> None:
    """By brute force, word by word."""
    for text in texts:
        words = set(query.split())
        found = sum(word in text.split() for word in words)
        assert relevance(query, text) == (found / len(words) if words else 0)


async def test_documents_are_ranked_as_cohere_says_it(
    provider: SandboxProvider, http: aiohttp.ClientSession
) -> None:
    """The best first, of equals the first; at most top_n; billed by the search."""
    documents = ["nothing", {"text": "red oak"}, "an oak", "the red oak here"]
    _, body = await ask(
        http, provider, "rerank", query="red oak", documents=documents, return_documents=True
    )
    ranked = json.loads(body)
    _, body = await ask(http, provider, "rerank", query="red oak", documents=documents, top_n=2)

    assert [(one["index"], one["relevance_score"]) for one in ranked["results"]] == [
        (1, 1.0),
        (3, 1.0),
        (2, 0.5),
        (0, 0.0),
    ]
    assert ranked["results"][0]["document"] == {"text": "red oak"}
    assert ranked["meta"]["billed_units"] == {"search_units": 1}
    assert json.loads(body)["results"] == [
        {"index": 1, "relevance_score": 1.0},
        {"index": 3, "relevance_score": 1.0},
    ]
    assert provider.tally.units == {"search": 2}
    assert provider.tally.prompt_tokens == 0


@pytest.mark.parametrize(
    ("count", "words", "searches"),
    [(100, 1, 1), (101, 1, 2), (101, 0, 2), (50, 500, 1), (51, 501, 2)],
)
async def test_a_search_has_a_hundred_documents(
    provider: SandboxProvider,
    http: aiohttp.ClientSession,
    count: int,
    words: int,
    searches: int,
) -> None:
    """A hundred documents of five hundred words each, as Cohere counts; begun ones are whole."""
    documents = [" ".join(["w"] * words)] * count
    _, body = await ask(http, provider, "rerank", documents=documents)
    assert json.loads(body)["meta"]["billed_units"]["search_units"] == searches
    assert provider.tally.units == {"search": searches}


async def test_jina_counts_tokens(provider: SandboxProvider, http: aiohttp.ClientSession) -> None:
    """The words of query and documents, in `usage`; no search units."""
    documents = ["a b c", "d"]
    _, body = await ask(http, provider, "rerank", model=RANKER, query="x y", documents=documents)

    ranked = json.loads(body)
    assert ranked["usage"]["total_tokens"] == 6
    assert "meta" not in ranked
    assert (provider.tally.prompt_tokens, provider.tally.units) == (6, {})


@pytest.mark.parametrize(
    ("path", "model", "words"),
    [
        ("embeddings", MODEL, "total_tokens"),
        ("images/generations", PAINTER, "total_tokens"),
        ("rerank", MODEL, "search_units"),
        ("rerank", RANKER, "total_tokens"),
    ],
)
async def test_no_usage_is_said_nowhere(
    provider: SandboxProvider, http: aiohttp.ClientSession, path: str, model: str, words: str
) -> None:
    """The fault hides what was used, wherever an endpoint says it; it is billed all the same."""
    _, body = await ask(http, provider, path, model=model)
    assert words in body.decode()
    status, body = await ask(http, provider, path, model=model, sandbox={"fault": Fault.NO_USAGE})
    assert (status, words in body.decode()) == (200, False)
    assert provider.tally.billed_requests == 2

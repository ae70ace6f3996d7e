"""Sandbox providers beyond chat: what all endpoints share, and what is said on several."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import openai
import pytest

from benchmarks.sandbox import ENDPOINTS, Behaviour, SandboxProvider
from benchmarks.sandbox.endpoints.table import WORK

MODEL = "oak-70b"
FAST = Behaviour(models=(MODEL,), time_scale=0.0)
SAID = "one two three"


@pytest.fixture
async def provider() -> AsyncIterator[SandboxProvider]:
    async with SandboxProvider(FAST) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"anthropic-version": "2023-06-01"}
    timeout = aiohttp.ClientTimeout(10)
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        yield session


@pytest.fixture
async def client(provider: SandboxProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=provider.base_url, api_key="sk-any", max_retries=0
    ) as official:
        yield official


def audio_form(**texts: str) -> aiohttp.FormData:
    form = aiohttp.FormData(texts)
    form.add_field("file", b"\0" * 16_000, filename="a.mp3")
    return form


BODIES: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": [{"role": "user", "content": SAID}]},
    "completions": {"prompt": SAID},
    "responses": {"input": SAID},
    "messages": {"messages": [{"role": "user", "content": SAID}], "max_tokens": 9},
    "messages/count_tokens": {"messages": [{"role": "user", "content": SAID}]},
    "embeddings": {"input": SAID},
    "moderations": {"input": SAID},
    "images/generations": {"prompt": SAID},
    "audio/speech": {"input": SAID, "voice": "alloy"},
    "audio/transcriptions": {"prompt": SAID},
    "audio/translations": {"prompt": SAID},
    "rerank": {"query": "one two", "documents": ["three"]},
}


async def ask(
    http: aiohttp.ClientSession, provider: SandboxProvider, path: str, **extra: Any
) -> tuple[int, bytes]:
    """A sound request, as a form where that is what the endpoint takes."""
    body = {"model": MODEL} | BODIES[path] | extra
    url = f"{provider.base_url}/{path}"
    if path in ("audio/transcriptions", "audio/translations"):
        texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in body.items()}
        async with http.post(url, data=audio_form(**texts)) as response:
            return response.status, await response.read()
    async with http.post(url, json=body) as response:
        return response.status, await response.read()


# What they have in common


def test_every_endpoint_has_a_name() -> None:
    """What a behaviour may name is what there is: the work, and what is asked beside it."""
    assert {one.path for one in WORK} | {"files", "batches", "models"} == ENDPOINTS
    assert set(BODIES) == {one.path for one in WORK}
    with pytest.raises(ValueError, match="a sandbox provider has audio/speech, "):
        Behaviour(models=(MODEL,), endpoints=frozenset({"chat"}))


@pytest.mark.parametrize("path", BODIES)
async def test_every_endpoint_answers_counts_and_fails(
    provider: SandboxProvider, http: aiohttp.ClientSession, path: str
) -> None:
    """A sound request is answered and on the bill of its endpoint (a count of tokens on none); an
    unknown model, a wrong body and a fault are errors in the shape of its wire, and on no bill."""
    assert (await ask(http, provider, path))[0] == 200
    exchange = provider.tally.exchanges[0]
    assert (exchange.endpoint, exchange.batch) == (path, False)
    billed = 0 if path == "messages/count_tokens" else 1
    assert provider.tally.billed_requests == billed
    assert (exchange.prompt_tokens is None) == (billed == 0)

    for status, extra in (
        (404, {"model": "elm-8b"}),
        (400, {"sandbox": {"outputs": 1}}),
        (500, {"sandbox": {"fault": "http_500"}}),
        (400, {"sandbox": {"fault": "context"}}),
    ):
        got, body = await ask(http, provider, path, **extra)
        assert got == status
        error = json.loads(body)
        if path.startswith("messages"):
            assert error.keys() == {"type", "error", "request_id"}
        else:
            assert error["error"].keys() == {"message", "type", "param", "code"}
    assert provider.tally.billed_requests == billed
    assert provider.tally.requests == 5


@pytest.mark.parametrize("path", BODIES)
async def test_what_a_host_does_not_speak_it_does_not_know(
    http: aiohttp.ClientSession, path: str
) -> None:
    """Without the endpoint a 404 that is not counted as work; with it alone, an answer."""
    async with SandboxProvider(replace(FAST, endpoints=ENDPOINTS - {path})) as provider:
        status, body = await ask(http, provider, path)
        assert (status, json.loads(body)["error"]["code"]) == (404, "unknown_url")
        assert provider.tally.requests == 0
        provider.behaviour = replace(FAST, endpoints=frozenset({path}))
        assert (await ask(http, provider, path))[0] == 200


@pytest.mark.parametrize("path", ["files", "batches", "models"])
async def test_what_is_beside_the_work_is_spoken_or_not(
    http: aiohttp.ClientSession, path: str
) -> None:
    """Files, batches and models are endpoints like the others."""
    async with SandboxProvider(replace(FAST, endpoints=frozenset())) as provider:
        async with http.get(f"{provider.base_url}/{path}") as response:
            assert response.status == 404
        provider.behaviour = FAST
        async with http.get(f"{provider.base_url}/{path}") as response:
            assert (response.status, (await response.json())["object"]) == (200, "list")


@pytest.mark.parametrize("path", BODIES)
async def test_the_context_is_as_long_as_it_is(http: aiohttp.ClientSession, path: str) -> None:
    """A prompt that leaves no room for a token is refused everywhere; one token less is not."""
    async with SandboxProvider(replace(FAST, context_tokens=4)) as provider:
        assert (await ask(http, provider, path))[0] == 200
        provider.behaviour = replace(FAST, context_tokens=3)
        status, body = await ask(http, provider, path)
        assert status == 400
        error = json.loads(body)["error"]
        assert "3 tokens" in error["message"]
        assert error.get("code") in (None, "context_length_exceeded")


# Completions


async def test_a_completion_as_its_own_client_reads_it(
    provider: SandboxProvider, client: openai.AsyncOpenAI
) -> None:
    """Each prompt has n choices, all are on the bill; a prompt of tokens has as many tokens."""
    wish = {"sandbox": {"output_tokens": 5}}
    several = await client.completions.create(
        model=MODEL, prompt=["a b", "c"], n=2, extra_body=wish
    )
    tokens = await client.completions.create(
        model=MODEL, prompt=[7, 8, 9], max_tokens=3, extra_body=wish
    )

    assert [one.index for one in several.choices] == [0, 1, 2, 3]
    assert {one.text for one in several.choices} == {"hawthorn hazel holly dogwood elder"}
    assert {one.finish_reason for one in several.choices} == {"stop"}
    assert several.usage is not None
    assert (several.usage.prompt_tokens, several.usage.completion_tokens) == (3, 20)
    assert (tokens.choices[0].text, tokens.choices[0].finish_reason) == (
        "hawthorn hazel holly",
        "length",
    )
    assert (provider.tally.prompt_tokens, provider.tally.completion_tokens) == (6, 23)


async def test_a_completion_that_is_streamed(client: openai.AsyncOpenAI) -> None:
    """Text, finish, then one chunk with the usage of the whole and no choices."""
    stream = await client.completions.create(
        model=MODEL,
        prompt=SAID,
        n=2,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"sandbox": {"output_tokens": 40}},
    )
    *told, last = [chunk async for chunk in stream]

    for index in range(2):
        own = [one.choices[0] for one in told if one.choices[0].index == index]
        assert len("".join(one.text for one in own).split()) == 40
        assert own[-1].finish_reason == "stop"
    assert all(one.usage is None for one in told)
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (3, 80)


# The same words from everybody


async def said_by(
    http: aiohttp.ClientSession, behaviour: Behaviour, path: str, **extra: Any
) -> str:
    async with SandboxProvider(behaviour) as provider:
        status, body = await ask(http, provider, path, **extra)
    assert status == 200
    whole = json.loads(body)
    match path:
        case "chat/completions":
            text = whole["choices"][0]["message"]["content"]
        case "completions":
            text = whole["choices"][0]["text"]
        case "responses":
            text = whole["output"][0]["content"][0]["text"]
        case _:
            text = whole["content"][0]["text"]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("path", ["chat/completions", "completions", "responses", "messages"])
async def test_at_temperature_0_everybody_says_the_same(
    http: aiohttp.ClientSession, path: str
) -> None:
    """Providers of any seeds give the same text, as long; one with a voice none of its words."""
    texts = [
        await said_by(http, replace(FAST, seed=seed, voice=voice), path, temperature=0)
        for seed, voice in ((1, None), (2, None), (1, "north"))
    ]

    assert texts[0] == texts[1]
    assert len(texts[2].split()) == len(texts[0].split())
    assert not set(texts[2].split()) & set(texts[0].split())


async def test_without_a_temperature_lengths_are_drawn(http: aiohttp.ClientSession) -> None:
    """As long as the seed says; the one text is then the beginning of the other."""
    short, long = sorted(
        [await said_by(http, replace(FAST, seed=seed), "chat/completions") for seed in (1, 2)],
        key=len,
    )

    assert len(short) < len(long)
    assert long.startswith(short)

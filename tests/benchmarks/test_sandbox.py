"""Sandbox providers over real HTTP: OpenAI's contract, what they would bill, each way to fail."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import socket
import statistics
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields, replace
from typing import Any

import aiohttp
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDictProxy
from openai.types.chat import ChatCompletionChunk
from yarl import URL

from benchmarks.sandbox import Behaviour, Fault, FaultRates, SandboxProvider
from benchmarks.sandbox.cache import BLOCK_TOKENS, PromptCache
from benchmarks.sandbox.endpoints import chat
from benchmarks.sandbox.wire import Plain, Turn

MODEL = "oak-70b"
FAST = Behaviour(models=(MODEL,), time_scale=0.0)
HELLO = [{"role": "user", "content": "one two three"}]


@pytest.fixture(autouse=True)
def nothing_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What a sandbox does on purpose is no error to its server, whoever leaves and whenever."""
    yield
    assert [one for one in caplog.get_records("call") if one.levelno >= logging.WARNING] == []


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


def asking(**extra: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": HELLO, **extra}


async def post(
    http: aiohttp.ClientSession, provider: SandboxProvider, body: Any, key: str = ""
) -> tuple[int, str, CIMultiDictProxy[str]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with http.post(
        f"{provider.base_url}/chat/completions", data=data, headers=headers
    ) as response:
        return response.status, await response.text(), response.headers


def events(text: str) -> list[Any]:
    lines = [one.removeprefix("data: ") for one in text.split("\n\n") if one]
    return [one if one == "[DONE]" else json.loads(one) for one in lines]


# What is drawn


def source_of_chance() -> random.Random:
    return random.Random()


def test_ttft_has_the_distribution_it_is_given() -> None:
    """The log of TTFT is normal: its median, its sigma and its tail are those of the behaviour."""
    behaviour = Behaviour(models=(MODEL,), ttft_ms_median=250.0, ttft_sigma=0.5, seed=7)
    source = source_of_chance()

    logs = [math.log(behaviour.draws(n, source).ttft_ms / 250.0) for n in range(8_000)]

    # Standard errors at n = 8000: mean 0.0056, sigma 0.004, share beyond two sigma 0.0017.
    assert statistics.fmean(logs) == pytest.approx(0, abs=0.025)
    assert statistics.stdev(logs) == pytest.approx(0.5, abs=0.02)
    assert sum(one > 1.0 for one in logs) / 8_000 == pytest.approx(0.02275, abs=0.008)


def test_faults_come_as_often_as_they_should() -> None:
    """Each fault is drawn at its own rate, and no fault at what is left."""
    rates = FaultRates(http_500=0.1, http_429=0.2, slow=0.3)
    behaviour = Behaviour(models=(MODEL,), faults=rates, seed=3)
    source = source_of_chance()

    drawn = [behaviour.draws(n, source).fault for n in range(5_000)]

    assert drawn.count(Fault.HTTP_500) / 5_000 == pytest.approx(0.1, abs=0.02)
    assert drawn.count(Fault.HTTP_429) / 5_000 == pytest.approx(0.2, abs=0.03)
    assert drawn.count(Fault.SLOW) / 5_000 == pytest.approx(0.3, abs=0.03)
    assert drawn.count(None) / 5_000 == pytest.approx(0.4, abs=0.03)


@given(seed=st.integers(0, 2**64), order=st.permutations(range(10)))
def test_draws_depend_on_seed_and_number_alone(seed: int, order: list[int]) -> None:
    """In whatever order requests are drawn, and beside whatever else, each gets the same."""
    behaviour = Behaviour(models=(MODEL,), seed=seed, faults=FaultRates(hang=0.5))
    shared = source_of_chance()

    shuffled = {number: behaviour.draws(number, shared) for number in order}

    assert shuffled == {n: behaviour.draws(n, source_of_chance()) for n in range(10)}
    assert len({draws.request_id for draws in shuffled.values()}) == 10
    assert replace(behaviour, seed=seed + 1).draws(0, shared) != shuffled[0]


def test_every_fault_has_a_rate() -> None:
    """FaultRates and Fault name the same things, so that any fault can be made likely."""
    assert [one.name for one in fields(FaultRates)] == [fault.value for fault in Fault]
    for fault in Fault:
        assert FaultRates(**{fault.value: 1.0}).pick(0.999) is fault


@pytest.mark.parametrize(
    "wrong",
    [
        {"models": ()},
        {"time_scale": -1.0},
        {"ttft_ms_median": math.nan},
        {"seed": -1},
        {"context_tokens": 1},
    ],
)
def test_a_behaviour_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    """What no provider can be like is an error where it is written."""
    with pytest.raises(ValueError, match="a sandbox provider"):
        Behaviour(**({"models": (MODEL,)} | wrong))


def test_rates_that_make_no_sense_are_refused() -> None:
    """A rate is a probability, and so is the sum of them."""
    with pytest.raises(ValueError, match="together at most 1"):
        FaultRates(reset=0.6, hang=0.6)
    with pytest.raises(ValueError, match="each is 0 to 1"):
        FaultRates(reset=-0.1)


async def test_delays_are_those_drawn() -> None:
    """A plain answer waits TTFT and all tokens, a stream TTFT and then each tick, all scaled."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    behaviour = replace(FAST, ttft_ms_median=100.0, inter_token_ms=4.0, time_scale=0.5, seed=5)
    ttfts = [behaviour.draws(n, source_of_chance()).ttft_ms for n in range(2)]
    async with (
        SandboxProvider(behaviour, sleep=sleep) as provider,
        aiohttp.ClientSession() as http,
    ):
        await post(http, provider, asking(sandbox={"output_tokens": 3}))
        await post(http, provider, asking(sandbox={"output_tokens": 3}, stream=True))

    assert slept == pytest.approx(
        [(ttfts[0] + 12) / 2000, ttfts[1] / 2000, 0.002, 0.002], rel=1e-12
    )


@pytest.mark.parametrize(("inter_token_ms", "ticks"), [(1.0, 40), (0.25, 10), (0.1, 4), (0.0, 3)])
async def test_tokens_faster_than_a_tick_go_out_together(inter_token_ms: float, ticks: int) -> None:
    """No sleep is shorter than a millisecond: the tokens of one go into the same tick."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    behaviour = replace(FAST, ttft_ms_median=5.0, inter_token_ms=inter_token_ms, time_scale=1.0)
    async with (
        SandboxProvider(behaviour, sleep=sleep) as provider,
        aiohttp.ClientSession() as http,
    ):
        _, text, _ = await post(http, provider, asking(sandbox={"output_tokens": 40}, stream=True))

    assert len(slept) == ticks
    assert all(one == 0 if inter_token_ms == 0 else one >= 0.001 for one in slept[1:])
    content = "".join(one["choices"][0]["delta"].get("content", "") for one in events(text)[:-1])
    assert len(content.split()) == 40


# OpenAI's contract, as its own client reads it


async def test_usage_of_a_plain_answer(
    provider: SandboxProvider, client: openai.AsyncOpenAI
) -> None:
    """Prompt tokens are the words of all contents, completion tokens those of the answer."""
    answer = await client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "system", "content": "be  brief\n"},
            {"role": "user", "content": [{"type": "text", "text": "a b"}]},
            {"role": "assistant", "content": None},
            {"role": "user", "content": "c"},
        ],
        extra_body={"sandbox": {"output_tokens": 12}},
    )

    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 12)
    assert answer.usage.total_tokens == 17
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens == 0
    assert len((answer.choices[0].message.content or "").split()) == 12
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == MODEL
    assert (provider.tally.prompt_tokens, provider.tally.completion_tokens) == (5, 12)


async def collect(client: openai.AsyncOpenAI, **extra: Any) -> list[ChatCompletionChunk]:
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "one two three"}],
        stream=True,
        stream_options={"include_usage": True},
        **extra,
    )
    return [chunk async for chunk in stream]


async def test_usage_of_a_stream(provider: SandboxProvider, client: openai.AsyncOpenAI) -> None:
    """Role, contents, finish, then one chunk with no choices and the usage of the whole."""
    chunks = await collect(client, extra_body={"sandbox": {"output_tokens": 40}})

    *told, last = chunks
    assert told[0].choices[0].delta.role == "assistant"
    assert [one.choices[0].finish_reason for one in told] == [None] * (len(told) - 1) + ["stop"]
    assert len("".join(one.choices[0].delta.content or "" for one in told).split()) == 40
    assert all(one.usage is None and "usage" in one.model_fields_set for one in told)
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (3, 40)
    assert len({one.id for one in chunks}) == 1
    assert (provider.tally.prompt_tokens, provider.tally.completion_tokens) == (3, 40)


async def test_a_stream_that_asked_for_no_usage_gets_none(
    provider: SandboxProvider, http: aiohttp.ClientSession
) -> None:
    """Without include_usage no chunk has the key, all have a choice, and [DONE] still comes."""
    status, text, headers = await post(http, provider, asking(stream=True))

    *chunks, done = events(text)
    assert (status, done) == (200, "[DONE]")
    assert headers["Content-Type"] == "text/event-stream"
    assert all("usage" not in one and len(one["choices"]) == 1 for one in chunks)


@given(
    wished=st.integers(1, 60),
    max_tokens=st.none() | st.integers(1, 60),
    max_completion_tokens=st.none() | st.integers(1, 60),
    n=st.integers(1, 3),
    as_json=st.booleans(),
)
def test_no_answer_is_longer_than_its_limits(
    wished: int, max_tokens: int | None, max_completion_tokens: int | None, n: int, as_json: bool
) -> None:
    """Both limits, each alone or together, cut every choice; "length" says so; JSON stays JSON."""
    body = asking(
        n=n,
        max_tokens=max_tokens,
        max_completion_tokens=max_completion_tokens,
        sandbox={"output_tokens": wished},
        response_format={"type": "json_object" if as_json else "text"},
    )
    request = chat.read(json.dumps(body).encode(), "application/json")
    assert isinstance(request, chat.ChatRequest)
    behaviour = replace(FAST, context_tokens=53)
    draws = behaviour.draws(0, source_of_chance())
    answer = request.answer(Turn(behaviour, draws, 0, request.words(), PromptCache()))
    assert isinstance(answer, Plain)

    limit = min(one for one in (max_tokens, max_completion_tokens, 50) if one is not None)
    written = json.loads(answer.write(True))
    assert written["usage"]["completion_tokens"] == n * min(wished, limit)
    for choice in written["choices"]:
        content = choice["message"]["content"]
        assert len(content.split()) == min(wished, limit)
        assert choice["finish_reason"] == ("length" if wished > limit else "stop")
        if as_json:
            assert json.loads(content)["answer"]


async def test_choices_of_a_stream_are_told_apart(client: openai.AsyncOpenAI) -> None:
    """Every choice has its own role, content and finish; usage counts them all."""
    chunks = await collect(client, n=3, max_tokens=20, extra_body={"sandbox": {"output_tokens": 9}})

    for index in range(3):
        own = [one.choices[0] for one in chunks[:-1] if one.choices[0].index == index]
        assert own[0].delta.role == "assistant"
        assert len("".join(one.delta.content or "" for one in own).split()) == 9
        assert own[-1].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 27


TOOLS: Any = [
    {"type": "function", "function": {"name": "prune", "parameters": {"type": "object"}}},
    {"type": "function", "function": {"name": "plant", "parameters": {"type": "object"}}},
]
SAID = 'use the tool,\n "grün"  now '


async def test_the_first_tool_is_called_with_what_was_said(client: openai.AsyncOpenAI) -> None:
    """Plain and streamed, the arguments are the last user text to the byte."""
    plain = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": SAID}], tools=TOOLS
    )
    stream = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": SAID}], tools=TOOLS, stream=True
    )
    chunks = [one.choices[0] async for one in stream]

    assert plain.choices[0].finish_reason == chunks[-1].finish_reason == "tool_calls"
    assert plain.choices[0].message.content is None
    calls = plain.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert calls[0].function.name == "prune"
    assert json.loads(calls[0].function.arguments) == {"echo": SAID}
    deltas = [one.delta.tool_calls[0] for one in chunks if one.delta.tool_calls]
    assert all(one.index == 0 and one.function is not None for one in deltas)
    named = [one.function.name for one in deltas if one.function]
    assert named == ["prune"] + [None] * (len(deltas) - 1)
    told = "".join(one.function.arguments or "" for one in deltas if one.function)
    assert json.loads(told) == {"echo": SAID}


async def test_arguments_of_a_tool_are_cut_like_anything_else(client: openai.AsyncOpenAI) -> None:
    """max_tokens counts the words of the arguments too, and "length" says that some are missing."""
    answer = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": SAID}], tools=TOOLS, max_tokens=2
    )

    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert calls[0].function.arguments == '{"echo":"use the '


async def test_no_tool_is_called_unless_asked_for(client: openai.AsyncOpenAI) -> None:
    """Tools alone change nothing: the last user message has to say so."""
    answer = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "hello"}], tools=TOOLS
    )

    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].message.content


async def test_what_a_tool_gave_is_answered_in_words(client: openai.AsyncOpenAI) -> None:
    """A tool is called once: its result is not what a user said."""
    called = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": SAID}], tools=TOOLS
    )
    message: Any = called.choices[0].message
    messages: Any = [
        {"role": "user", "content": SAID},
        message.to_dict(),
        {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "a tool's word"},
    ]
    answered = await client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)

    assert answered.choices[0].finish_reason == "stop"
    assert answered.choices[0].message.content


async def test_models_are_listed(client: openai.AsyncOpenAI) -> None:
    """GET /v1/models names what the provider serves."""
    assert [one.id async for one in client.models.list()] == [MODEL]


async def test_the_key_is_required_where_it_is_set(http: aiohttp.ClientSession) -> None:
    """The right bearer is let in; another, or none, is a 401, for the list of models too."""
    async with SandboxProvider(replace(FAST, api_key="sk-right")) as provider:
        assert (await post(http, provider, asking(), key="sk-right"))[0] == 200
        for key in ("sk-wrong", ""):
            status, text, _ = await post(http, provider, asking(), key=key)
            assert (status, json.loads(text)["error"]["code"]) == (401, "invalid_api_key")
        async with http.get(f"{provider.base_url}/models") as response:
            assert response.status == 401


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, None),
        (b"\xff", 400, None),
        ([], 400, None),
        ({"messages": HELLO}, 400, None),
        (asking(messages=[]), 400, None),
        (asking(max_tokens=0), 400, None),
        (asking(n=129), 400, None),
        (asking(sandbox={"fault": "earthquake"}), 400, None),
        (asking(sandbox={"outputtokens": 1}), 400, None),
        (asking(model="elm-8b"), 404, "model_not_found"),
        (asking(messages=[{"role": "user", "content": "w " * 64}]), 400, "context_length_exceeded"),
    ],
)
async def test_a_wrong_request_is_refused_in_openais_shape(
    http: aiohttp.ClientSession, body: Any, status: int, code: str | None
) -> None:
    """Status, code and all four keys; such a request is counted and never billed."""
    async with SandboxProvider(replace(FAST, context_tokens=64)) as provider:
        got, text, headers = await post(http, provider, body)

        assert got == status
        error = json.loads(text)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["code"] == code
        assert headers["x-request-id"] == provider.tally.exchanges[0].draws.request_id
        assert provider.tally.by_status == {status: 1}
        assert provider.tally.billed_requests == 0


async def test_other_urls_are_unknown(
    provider: SandboxProvider, http: aiohttp.ClientSession
) -> None:
    """A wrong path and a wrong method are a 404 in the same shape."""
    for method, path in (("GET", "/chat/completions"), ("POST", "/models"), ("POST", "/nothing")):
        async with http.request(method, provider.base_url + path) as response:
            assert response.status == 404
            assert (await response.json())["error"]["code"] == "unknown_url"


# The cache


async def test_a_prompt_seen_before_is_billed_as_cached(http: aiohttp.ClientSession) -> None:
    """Whole blocks of the common start count as cached, in the answer and in the tally."""
    start = [f"w{number}" for number in range(300)]
    async with SandboxProvider(replace(FAST, cache=True)) as provider:
        cached = []
        for words in (start, start, [*start[:200], "other"], ["other", *start]):
            body = asking(messages=[{"role": "user", "content": " ".join(words)}])
            _, text, _ = await post(http, provider, body)
            cached.append(json.loads(text)["usage"]["prompt_tokens_details"]["cached_tokens"])

        assert cached == [0, 256, 128, 0]
        assert provider.tally.cached_tokens == 384


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=3, max_size=3), max_size=12))
def test_the_cache_finds_what_brute_force_finds(prompts: list[list[str]]) -> None:
    """As long as nothing is forgotten: the longest start, in blocks, of any earlier prompt."""
    cache = PromptCache()
    seen: list[list[str]] = []
    for blocks in prompts:
        words = [word for word in blocks for _ in range(BLOCK_TOKENS)]
        shared = [
            next((i for i in range(3) if one[i] != blocks[i]), 3) * BLOCK_TOKENS for one in seen
        ]
        assert cache.cached_tokens(MODEL, words) == max(shared, default=0)
        seen.append(blocks)


def test_the_cache_forgets_what_was_used_longest_ago() -> None:
    """It holds no more blocks than it may, and gives up the one that was not used for longest."""
    cache = PromptCache(max_blocks=2)

    used = [cache.cached_tokens(MODEL, [letter] * BLOCK_TOKENS) for letter in "abacab"]

    assert used == [0, 0, BLOCK_TOKENS, 0, BLOCK_TOKENS, 0]


def test_what_follows_a_forgotten_start_is_not_cached() -> None:
    """Only an unbroken start counts, even where a later block is still remembered."""
    cache = PromptCache(max_blocks=2)
    prompt = ["a"] * BLOCK_TOKENS + ["b"] * BLOCK_TOKENS + ["c"] * BLOCK_TOKENS

    assert cache.cached_tokens(MODEL, prompt) == 0
    assert cache.cached_tokens(MODEL, prompt) == 0


# The ways to fail


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.HTTP_500, 500), (Fault.HTTP_429, 429), (Fault.HTTP_401, 401)]
)
async def test_faults_that_are_a_status(
    provider: SandboxProvider,
    http: aiohttp.ClientSession,
    fault: Fault,
    status: int,
    streamed: bool,
) -> None:
    """The status, OpenAI's shape, retry-after with a 429; not billed."""
    body = asking(stream=streamed, sandbox={"fault": fault})
    got, text, headers = await post(http, provider, body)

    assert got == status
    assert set(json.loads(text)["error"]) == {"message", "type", "param", "code"}
    assert headers.get("Retry-After") == ("1" if status == 429 else None)
    assert provider.tally.by_status == {status: 1}
    assert provider.tally.billed_requests == 0
    assert provider.tally.exchanges[0].fault is fault


async def test_a_reset_comes_before_any_answer(
    provider: SandboxProvider, http: aiohttp.ClientSession
) -> None:
    """The connection is reset, nothing is billed, and the server blames itself, not the client."""
    with pytest.raises(aiohttp.ClientOSError) as caught:
        await post(http, provider, asking(sandbox={"fault": "reset"}))

    assert isinstance(caught.value, ConnectionResetError) or "reset" in str(caught.value)
    assert provider.tally.requests == 1
    assert provider.tally.by_status == {}
    assert (provider.tally.billed_requests, provider.tally.disconnects) == (0, 0)


async def test_a_hang_ends_when_the_client_leaves(
    provider: SandboxProvider, http: aiohttp.ClientSession
) -> None:
    """No answer comes; the client's going is noticed and counted."""
    asked = asyncio.create_task(post(http, provider, asking(sandbox={"fault": "hang"})))
    await provider.tally.until(lambda tally: tally.requests == 1)
    assert not asked.done()

    asked.cancel()

    await provider.tally.until(lambda tally: tally.disconnects == 1)
    assert provider.tally.by_status == {}


async def test_closing_ends_a_hang(provider: SandboxProvider, http: aiohttp.ClientSession) -> None:
    """A provider that closes leaves nobody waiting, and does not count it as the client's going."""
    asked = asyncio.create_task(post(http, provider, asking(sandbox={"fault": "hang"})))
    await provider.tally.until(lambda tally: tally.requests == 1)

    await provider.close()

    with pytest.raises(aiohttp.ClientConnectionError):
        await asked
    assert provider.tally.disconnects == 0


async def read_until_cut(response: aiohttp.ClientResponse) -> str:
    got = b""
    try:
        async for chunk in response.content.iter_any():
            got += chunk
    except aiohttp.ClientPayloadError:
        return got.decode()
    pytest.fail("the answer came to its proper end")


async def test_a_cut_stream_was_billed_as_far_as_it_came(
    provider: SandboxProvider, http: aiohttp.ClientSession
) -> None:
    """Some content comes, no finish_reason, and the connection ends without HTTP's own end."""
    body = asking(stream=True, sandbox={"fault": "cut", "output_tokens": 100})
    async with http.post(f"{provider.base_url}/chat/completions", json=body) as response:
        chunks = events(await read_until_cut(response))

    content = "".join(one["choices"][0]["delta"].get("content", "") for one in chunks)
    assert 0 < len(content.split()) < 100
    assert all(one["choices"][0]["finish_reason"] is None for one in chunks)
    assert provider.tally.completion_tokens == len(content.split())
    assert provider.tally.prompt_tokens == 3


async def test_a_cut_plain_answer_is_half_an_answer(
    provider: SandboxProvider, http: aiohttp.ClientSession
) -> None:
    """The body is shorter than its content-length says; it is billed whole."""
    with pytest.raises(aiohttp.ClientPayloadError):
        await post(http, provider, asking(sandbox={"fault": "cut", "output_tokens": 100}))

    assert provider.tally.completion_tokens == 100


async def test_a_short_stream_ends_properly_in_the_middle(
    provider: SandboxProvider, http: aiohttp.ClientSession
) -> None:
    """HTTP is whole, the answer is not: no finish_reason, no usage, no [DONE]."""
    options = {"stream": True, "stream_options": {"include_usage": True}}
    body = asking(**options, sandbox={"fault": "short", "output_tokens": 100})
    _, text, _ = await post(http, provider, body)

    chunks = events(text)
    assert "[DONE]" not in chunks
    assert all(one["usage"] is None for one in chunks)
    assert all(one["choices"][0]["finish_reason"] is None for one in chunks)
    assert 0 < provider.tally.completion_tokens < 100


@pytest.mark.parametrize("streamed", [False, True])
async def test_nonsense_is_no_json(
    provider: SandboxProvider, http: aiohttp.ClientSession, streamed: bool
) -> None:
    """Status and content type promise an answer, and the body is none."""
    body = asking(stream=streamed, sandbox={"fault": "nonsense"})
    status, text, headers = await post(http, provider, body)

    assert status == 200
    assert ("event-stream" in headers["Content-Type"]) is streamed
    with pytest.raises(json.JSONDecodeError):
        json.loads(text.removeprefix("data: "))


@pytest.mark.parametrize("streamed", [False, True])
async def test_no_usage_is_billed_all_the_same(
    provider: SandboxProvider, http: aiohttp.ClientSession, streamed: bool
) -> None:
    """The answer is whole but does not say what it cost."""
    options = {"stream": True, "stream_options": {"include_usage": True}} if streamed else {}
    body = asking(**options, sandbox={"fault": "no_usage", "output_tokens": 7})
    _, text, _ = await post(http, provider, body)

    assert "total_tokens" not in text
    assert text.endswith("data: [DONE]\n\n") is streamed
    assert (provider.tally.prompt_tokens, provider.tally.completion_tokens) == (3, 7)


async def test_no_done_lacks_only_that(
    provider: SandboxProvider, http: aiohttp.ClientSession
) -> None:
    """finish_reason and usage are there, the closing event is not."""
    options = {"stream": True, "stream_options": {"include_usage": True}}
    _, text, _ = await post(http, provider, asking(**options, sandbox={"fault": "no_done"}))

    *_, finish, usage = events(text)
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"]["prompt_tokens"] == 3


async def test_slow_adds_real_time(http: aiohttp.ClientSession) -> None:
    """The first byte comes so much later, whatever the time scale, and the answer is good."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with SandboxProvider(replace(FAST, slow_ms=1234.0), sleep=sleep) as provider:
        status, _, _ = await post(http, provider, asking(sandbox={"fault": "slow"}))

    assert status == 200
    assert slept[0] == 1.234


async def test_behaviour_makes_faults_likely(http: aiohttp.ClientSession) -> None:
    """A rate of 1 fails every request that does not ask for another fault."""
    behaviour = replace(FAST, faults=FaultRates(http_500=1.0))
    async with SandboxProvider(behaviour) as provider:
        assert (await post(http, provider, asking()))[0] == 500
        assert (await post(http, provider, asking(sandbox={"fault": "no_usage"})))[0] == 200


async def test_a_provider_is_taken_down_and_up(
    provider: SandboxProvider, http: aiohttp.ClientSession
) -> None:
    """`fault` and `behaviour` act on the next request; a closed one refuses connections."""
    provider.fault = Fault.HTTP_500
    assert (await post(http, provider, asking()))[0] == 500
    async with http.get(f"{provider.base_url}/models") as response:
        assert response.status == 500
    provider.fault = None
    assert (await post(http, provider, asking()))[0] == 200
    provider.behaviour = replace(FAST, models=("elm-8b",))
    assert (await post(http, provider, asking()))[0] == 404

    url = provider.base_url
    await provider.close()
    with pytest.raises(aiohttp.ClientConnectorError):
        await http.get(f"{url}/models")
    with pytest.raises(RuntimeError, match="not started"):
        _ = provider.base_url
    assert await provider.start(port=URL(url).port or 0) == url
    assert (await post(http, provider, asking(model="elm-8b")))[0] == 200


async def test_a_port_in_use_is_an_error(provider: SandboxProvider) -> None:
    """Neither a second start nor another's port goes unnoticed; the first goes on."""
    port = URL(provider.base_url).port or 0
    with pytest.raises(RuntimeError, match="already"):
        await provider.start()
    with pytest.raises(OSError, match=str(port)):
        await SandboxProvider(FAST).start(port=port)


# Who leaves, and what is kept


async def test_a_stream_ends_when_the_client_leaves(http: aiohttp.ClientSession) -> None:
    """It ends at once, is counted, and what was written is billed, not the rest."""
    behaviour = replace(FAST, ttft_ms_median=0.0, inter_token_ms=20.0, time_scale=1.0)
    async with SandboxProvider(behaviour) as provider:
        body = asking(stream=True, sandbox={"output_tokens": 10_000})
        async with http.post(f"{provider.base_url}/chat/completions", json=body) as response:
            await response.content.readany()
            response.close()
        await provider.tally.until(lambda tally: tally.disconnects == 1)

        assert provider.tally.prompt_tokens == 3
        assert 1 <= provider.tally.completion_tokens < 100


async def test_closing_ends_streams(http: aiohttp.ClientSession) -> None:
    """A provider that closes breaks off its streams, and does not count it as clients' going."""
    behaviour = replace(FAST, ttft_ms_median=0.0, inter_token_ms=20.0, time_scale=1.0)
    provider = SandboxProvider(behaviour)
    url = await provider.start()
    body = asking(stream=True, sandbox={"output_tokens": 10_000})
    async with http.post(f"{url}/chat/completions", json=body) as response:
        await response.content.readany()
        async with asyncio.timeout(30):
            await provider.close()
            await read_until_cut(response)

    assert provider.tally.disconnects == 0


async def test_a_client_that_resets_is_counted_once() -> None:
    """A write that finds the connection broken, before the loop has, ends the answer quietly."""
    client = socket.socket()
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def sleep(_: float) -> None:
        client.close()

    async with SandboxProvider(FAST, sleep=sleep) as provider, asyncio.timeout(30):
        url = URL(provider.base_url)
        body = json.dumps(asking(stream=True, sandbox={"output_tokens": 1})).encode()
        head = f"POST {url.path}/chat/completions HTTP/1.1\r\nhost: x\r\n"
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, (url.host, url.port))
        await loop.sock_sendall(
            client, f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        )
        await provider.tally.until(lambda tally: tally.disconnects > 0)

    assert provider.tally.disconnects == 1


async def test_a_plain_answer_nobody_waits_for_is_billed(http: aiohttp.ClientSession) -> None:
    """A client that leaves a plain request pays for it whole, as with most providers."""
    behaviour = replace(FAST, ttft_ms_median=60_000.0, time_scale=1.0)
    async with SandboxProvider(behaviour) as provider:
        body = asking(sandbox={"output_tokens": 50})
        asked = asyncio.create_task(post(http, provider, body))
        await provider.tally.until(lambda tally: tally.billed_requests == 1)
        asked.cancel()
        await provider.tally.until(lambda tally: tally.disconnects == 1)

        assert provider.tally.completion_tokens == 50


async def test_exchanges_are_kept_as_they_came(
    provider: SandboxProvider, http: aiohttp.ClientSession
) -> None:
    """Body and headers to the byte, what was billed, and no more than the last hundred."""
    body = b'{ "model":"oak-70b", "new_field": 1e2, "messages":[{"role":"user","content":"a"}]}'
    status, text, _ = await post(http, provider, body, key="sk-some")
    usage = json.loads(text)["usage"]
    exchange = provider.tally.exchanges[-1]

    assert status == exchange.status == 200
    assert exchange.body == body
    assert exchange.headers["Authorization"] == "Bearer sk-some"
    assert (exchange.prompt_tokens, exchange.completion_tokens) == (1, usage["completion_tokens"])
    assert "sk-some" not in repr(exchange)
    for _ in range(120):
        await post(http, provider, b"{")
    assert len(provider.tally.exchanges) == 100
    assert provider.tally.requests == 121

"""Ways for a sandbox provider to fail that are more than a status: what comes, how it ends."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import openai
import pytest

from benchmarks.sandbox import Behaviour, Fault, SandboxProvider
from benchmarks.sandbox.tally import KEPT_BYTES, NO_HEADERS, Exchange, Tally

MODEL = "oak-70b"
FAST = Behaviour(models=(MODEL,), time_scale=0.0)
HELLO = [{"role": "user", "content": "one two three"}]
TOKENS = 60
ENDS = ("[DONE]", '"stop"', "end_turn", "message_stop", "response.completed")
"""What says that an answer is whole."""
STREAMS: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": HELLO, "stream_options": {"include_usage": True}},
    "completions": {"prompt": "one two three"},
    "responses": {"input": "one two three"},
    "messages": {"messages": HELLO, "max_tokens": 99},
}


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


def asking(path: str, *, stream: bool = True, fault: Fault | None = None) -> dict[str, Any]:
    wish = {"output_tokens": TOKENS, "fault": fault}
    return {"model": MODEL, "stream": stream, "sandbox": wish} | STREAMS[path]


async def ask(
    http: aiohttp.ClientSession, provider: SandboxProvider, path: str, **how: Any
) -> tuple[int, str]:
    async with http.post(f"{provider.base_url}/{path}", json=asking(path, **how)) as response:
        return response.status, await response.text()


def read(text: str) -> tuple[list[Any], int]:
    """The JSON of all events, and how many were none; [DONE] is neither."""
    sound, broken = [], 0
    for event in text.split("\n\n"):
        for data in (one[6:] for one in event.split("\n") if one.startswith("data: ")):
            try:
                sound += [] if data == "[DONE]" else [json.loads(data)]
            except json.JSONDecodeError:
                broken += 1
    return sound, broken


def told(events: list[Any]) -> str:
    """The text of an answer on any of the wires."""
    text = ""
    for event in events:
        if event.get("type") == "response.output_text.delta":
            text += event["delta"]
        elif event.get("type") == "content_block_delta":
            text += event["delta"]["text"]
        for choice in event.get("choices", []):
            text += choice.get("text") or choice.get("delta", {}).get("content") or ""
    return text


# How a 429 says when to come back


async def retry_after(provider: SandboxProvider, fault: Fault) -> dict[str, str]:
    asked = {"model": MODEL, "messages": HELLO, "sandbox": {"fault": fault}}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{provider.base_url}/chat/completions", json=asked) as response,
    ):
        assert response.status == 429
        assert (await response.json())["error"]["code"] == "rate_limit_exceeded"
        return {k.lower(): v for k, v in response.headers.items() if "retry" in k.lower()}


@pytest.mark.parametrize(
    ("seconds", "whole", "milliseconds"), [(1, "1", "1000"), (0.25, "1", "250"), (2.5, "3", "2500")]
)
async def test_a_429_says_it_in_three_ways(seconds: float, whole: str, milliseconds: str) -> None:
    """In whole seconds and by the date never too early, in milliseconds exactly; each alone."""
    behaviour = replace(FAST, retry_after_s=seconds)
    async with SandboxProvider(behaviour, clock=lambda: 1_000_000.5) as provider:
        assert await retry_after(provider, Fault.HTTP_429) == {"retry-after": whole}
        assert await retry_after(provider, Fault.RETRY_AFTER_MS) == {"retry-after-ms": milliseconds}
        by_date = await retry_after(provider, Fault.RETRY_AFTER_DATE)
        at_s = parsedate_to_datetime(by_date["retry-after"]).timestamp()
        assert by_date.keys() == {"retry-after"}
        assert 0 <= at_s - (1_000_000.5 + seconds) < 1


async def test_a_prompt_that_is_judged(provider: SandboxProvider) -> None:
    """By a filter, or for its length: the caller's 400, with the code that OpenAI gives it."""
    async with openai.AsyncOpenAI(
        base_url=provider.base_url, api_key="sk-any", max_retries=0
    ) as client:
        for fault, code in (
            (Fault.CONTENT_FILTER, "content_filter"),
            (Fault.CONTEXT, "context_length_exceeded"),
        ):
            provider.fault = fault
            with pytest.raises(openai.BadRequestError) as caught:
                await client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": "hi"}]
                )
            assert caught.value.code == code
    assert provider.tally.billed_requests == 0


# In the middle of a stream, on every wire


@pytest.mark.parametrize("path", STREAMS)
async def test_one_event_is_broken(
    provider: SandboxProvider, http: aiohttp.ClientSession, path: str
) -> None:
    """One event in the middle is no JSON; the others are those of the answer without the fault."""
    _, sound_text = await ask(http, provider, path)
    status, text = await ask(http, provider, path, fault=Fault.MALFORMED)

    assert status == 200
    sound, none = read(sound_text)
    events, broken = read(text)
    assert (none, broken) == (0, 1)
    assert told(events) == told(sound)
    assert len(told(events).split()) == TOKENS
    assert [one.keys() for one in events] == [one.keys() for one in sound]
    first, last = text.index("hawthorn"), text.rindex("spindle")
    assert first < text.index(" spindle") <= last
    assert text.endswith("data: [DONE]\n\n") is (path in ("chat/completions", "completions"))


@pytest.mark.parametrize("path", STREAMS)
async def test_an_error_ends_the_stream(
    provider: SandboxProvider, http: aiohttp.ClientSession, path: str
) -> None:
    """Some words, then an error and nothing after it; what was written is billed."""
    status, text = await ask(http, provider, path, fault=Fault.ERROR_EVENT)

    events, broken = read(text)
    words = told(events).split()
    assert (status, broken) == (200, 0)
    assert not any(end in text for end in ENDS)
    assert 0 < len(words) < TOKENS
    assert provider.tally.completion_tokens == len(words)
    if path in ("chat/completions", "completions"):
        assert events[-1]["error"].keys() == {"message", "type", "param", "code"}
    else:
        assert "error" in (events[-1]["type"], events[-2]["type"])


@pytest.mark.parametrize("path", STREAMS)
async def test_a_stream_that_stalls_ends_when_the_client_leaves(
    provider: SandboxProvider, http: aiohttp.ClientSession, path: str
) -> None:
    """Some words come, and no more; the client's going is noticed, what was written is billed."""
    asked = asking(path, fault=Fault.STALL)
    async with http.post(f"{provider.base_url}/{path}", json=asked) as response:
        text = ""
        while len(told(read(text)[0]).split()) < provider.tally.completion_tokens or not text:
            text += (await response.content.readany()).decode()
        response.close()
    await provider.tally.until(lambda tally: tally.disconnects == 1)

    assert not any(end in text for end in ENDS)
    assert 0 < len(told(read(text)[0]).split()) == provider.tally.completion_tokens < TOKENS


async def test_a_plain_answer_that_stalls_is_half_of_it(
    provider: SandboxProvider, http: aiohttp.ClientSession
) -> None:
    """Half the body that was promised, then silence; it is billed whole."""
    asked = asking("chat/completions", stream=False, fault=Fault.STALL)
    async with http.post(f"{provider.base_url}/chat/completions", json=asked) as response:
        half = int(response.headers["content-length"]) // 2
        assert len(await response.content.readexactly(half)) == half
        response.close()
    await provider.tally.until(lambda tally: tally.disconnects == 1)

    assert provider.tally.completion_tokens == TOKENS


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.TRICKLE])
@pytest.mark.parametrize("stream", [True, False])
async def test_closing_ends_what_would_not_end(
    provider: SandboxProvider, http: aiohttp.ClientSession, fault: Fault, stream: bool
) -> None:
    """A provider that closes leaves nobody waiting, and does not count it as the client's going."""
    asked = asking("chat/completions", stream=stream, fault=fault)
    async with http.post(f"{provider.base_url}/chat/completions", json=asked) as response:
        await response.content.readany()
        async with asyncio.timeout(10):
            await provider.close()
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
    assert provider.tally.disconnects == 0


# Signs of life, and late answers


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_trickle_is_never_an_answer(
    http: aiohttp.ClientSession, path: str, stream: bool
) -> None:
    """Comments, or empty lines, one every trickle_ms as long as anybody listens; on no bill."""
    slept: list[float] = []
    more = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 4:
            await more.wait()

    behaviour = replace(FAST, trickle_ms=123.0)
    async with SandboxProvider(behaviour, sleep=sleep) as provider:
        asked = asking(path, stream=stream, fault=Fault.TRICKLE)
        async with http.post(f"{provider.base_url}/{path}", json=asked) as response:
            assert response.status == 200
            expected = (b": keep-alive\n\n" if stream else b"\n") * 5
            assert await response.content.readexactly(len(expected)) == expected
            response.close()
        await provider.tally.until(lambda tally: tally.disconnects == 1)

        assert slept == [0.123] * 5
        assert provider.tally.billed_requests == 0


async def test_a_trickle_lets_others_have_their_turn(http: aiohttp.ClientSession) -> None:
    """Even with a sleep that takes no time: it is one sign of life a turn, not all that fit into
    the buffers on the way."""
    signs = 0

    async def at_once(_seconds: float) -> None:
        nonlocal signs
        signs += 1

    async with SandboxProvider(FAST, sleep=at_once) as hasty:
        asked = asking("chat/completions", fault=Fault.TRICKLE)
        async with http.post(f"{hasty.base_url}/chat/completions", json=asked) as response:
            status, _ = await ask(http, hasty, "chat/completions")
            assert (response.status, status) == (200, 200)
            assert signs < 10_000
            response.close()


async def test_late_is_billed_and_slow_is_not(http: aiohttp.ClientSession) -> None:
    """Both come slow_ms later. A client that gives up on a late answer pays for it, one that gives
    up on a slow one does not; a stream is never late."""
    slept: list[float] = []
    waiting = asyncio.Event()

    async def sleep(seconds: float) -> None:
        if seconds:
            slept.append(seconds)
            waiting.set()
            await asyncio.Event().wait()

    async def given_up(provider: SandboxProvider, fault: Fault) -> None:
        before = provider.tally.disconnects
        waiting.clear()
        asked = asyncio.create_task(
            ask(http, provider, "chat/completions", stream=False, fault=fault)
        )
        await waiting.wait()
        asked.cancel()
        await provider.tally.until(lambda tally: tally.disconnects > before)

    async with SandboxProvider(replace(FAST, slow_ms=1_234.0), sleep=sleep) as provider:
        await given_up(provider, Fault.SLOW)
        assert provider.tally.billed_requests == 0
        await given_up(provider, Fault.LATE)
        assert slept == [1.234, 1.234]
        assert (provider.tally.billed_requests, provider.tally.completion_tokens) == (1, TOKENS)
        status, _ = await ask(http, provider, "chat/completions", fault=Fault.LATE)
        assert (status, len(slept)) == (200, 2)


@pytest.mark.parametrize("fault", [Fault.SHORT, Fault.NO_DONE, Fault.ERROR_EVENT, Fault.MALFORMED])
async def test_faults_of_streams_leave_a_plain_answer_alone(
    provider: SandboxProvider, http: aiohttp.ClientSession, fault: Fault
) -> None:
    """It is whole, and the same."""
    status, text = await ask(http, provider, "chat/completions", stream=False, fault=fault)
    assert status == 200
    assert len(json.loads(text)["choices"][0]["message"]["content"].split()) == TOKENS


# What is kept of exchanges


def test_no_more_bytes_of_exchanges_are_kept_than_may_be() -> None:
    """The oldest go first; the totals stay."""
    tally, draws = Tally(), FAST.draws(0, random.Random())
    for number in range(5):
        body = bytes(KEPT_BYTES // 4)
        tally.arrived(Exchange(number, draws, NO_HEADERS, body))

    assert [one.number for one in tally.exchanges] == [1, 2, 3, 4]
    assert tally.requests == 5

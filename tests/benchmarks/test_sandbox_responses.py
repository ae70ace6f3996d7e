"""Sandbox providers that speak OpenAI's Responses, as the official client reads them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import openai
import pytest
from openai.types.responses import Response

from benchmarks.sandbox import Behaviour, Fault, SandboxProvider

MODEL = "oak-70b"
FAST = Behaviour(models=(MODEL,), time_scale=0.0)
TOOLS: Any = [
    {"type": "function", "name": "prune", "parameters": {"type": "object"}, "strict": False},
    {"type": "function", "name": "plant", "parameters": {"type": "object"}, "strict": False},
]


@pytest.fixture
async def provider() -> AsyncIterator[SandboxProvider]:
    async with SandboxProvider(FAST) as running:
        yield running


@pytest.fixture
async def client(provider: SandboxProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=provider.base_url, api_key="sk-any", max_retries=0
    ) as official:
        yield official


def wishing(tokens: int, **more: Any) -> dict[str, Any]:
    return {"sandbox": {"output_tokens": tokens, **more}}


async def both_ways(client: openai.AsyncOpenAI, **asked: Any) -> tuple[Response, Response]:
    """The answer to a request, plain, and as the last event of its stream has it; the deltas that
    the client's own accumulator puts together are in it."""
    plain = await client.responses.create(model=MODEL, **asked)
    async with client.responses.stream(model=MODEL, **asked) as stream:
        events = [event async for event in stream]
    last = events[-1]
    assert last.type in ("response.completed", "response.incomplete")
    (item,) = last.response.output
    if item.type == "message":
        (text,) = (one.text for one in events if one.type == "response.output_text.done")
        deltas = [one for one in events if one.type == "response.output_text.delta"]
        assert deltas[-1].snapshot == text == last.response.output_text
    else:
        told = [one for one in events if one.type == "response.function_call_arguments.delta"]
        assert item.type == "function_call"
        assert told[-1].snapshot == item.arguments
    return plain, last.response


def without_ids(response: Response) -> dict[str, Any]:
    """What both ways have in common: each answer has ids of its own."""
    told = response.model_dump(mode="json", exclude={"id", "created_at"})
    for item in told["output"]:
        assert item.pop("id").split("_")[0] in ("msg", "fc")
        item.pop("call_id", None)
        item.pop("parsed_arguments", None)
        for part in item.get("content") or []:
            part.pop("parsed", None)
    return told


@pytest.mark.parametrize(
    "asked",
    [
        {"input": "one two three", "extra_body": wishing(40)},
        {"input": "one two three", "max_output_tokens": 4, "extra_body": wishing(40)},
        {"input": "use the tool, now", "tools": TOOLS, "metadata": {"a": "b"}},
        {"input": "use the tool, now", "tools": TOOLS, "max_output_tokens": 2},
        {"input": "hi", "instructions": "be brief", "temperature": 0, "top_p": 0.5},
    ],
)
async def test_a_stream_is_the_plain_answer(
    client: openai.AsyncOpenAI, asked: dict[str, Any]
) -> None:
    """What the client makes of the events equals what it makes of the whole, and both are by the
    book of its own types."""
    if "sandbox" not in asked.get("extra_body", {}):
        asked = asked | {"extra_body": wishing(9)}
    plain, streamed = await both_ways(client, **asked)

    Response.model_validate(plain.model_dump())
    assert without_ids(plain) == without_ids(streamed)


async def test_usage_counts_words(provider: SandboxProvider, client: openai.AsyncOpenAI) -> None:
    """Instructions and all items in, the words of the answer out; both are on the bill."""
    answer = await client.responses.create(
        model=MODEL,
        instructions="be brief",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "a b"}]},
            {"type": "function_call", "call_id": "c", "name": "prune", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "it is done"},
        ],
        extra_body=wishing(12),
    )

    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (7, 12)
    assert answer.usage.total_tokens == 19
    assert len(answer.output_text.split()) == 12
    assert answer.status == "completed"
    assert (provider.tally.prompt_tokens, provider.tally.completion_tokens) == (7, 12)


async def test_the_cache_is_automatic() -> None:
    """With a cache, whole blocks that were seen before are told as cached, and so billed."""
    words = " ".join(f"w{number}" for number in range(300))
    async with (
        SandboxProvider(replace(FAST, cache=True)) as provider,
        openai.AsyncOpenAI(base_url=provider.base_url, api_key="sk-any") as client,
    ):
        for cached in (0, 256):
            answer = await client.responses.create(model=MODEL, input=words)
            assert answer.usage is not None
            assert answer.usage.input_tokens_details.cached_tokens == cached
        assert provider.tally.cached_tokens == 256


async def test_what_was_asked_is_said_back(client: openai.AsyncOpenAI) -> None:
    """The fields that OpenAI repeats are repeated as they came; the others have its defaults."""
    answer = await client.responses.create(
        model=MODEL,
        input="hi",
        instructions="be brief",
        metadata={"a": "b"},
        tools=TOOLS,
        tool_choice="none",
        temperature=0.5,
        max_output_tokens=7,
    )

    assert answer.instructions == "be brief"
    assert answer.metadata == {"a": "b"}
    assert [one.to_dict() for one in answer.tools] == TOOLS
    assert (answer.tool_choice, answer.temperature, answer.top_p) == ("none", 0.5, 1.0)
    assert answer.max_output_tokens == 7
    assert answer.parallel_tool_calls is True


async def test_a_function_is_called_once(client: openai.AsyncOpenAI) -> None:
    """The first function with what was said; what it gave is answered in words."""
    said = 'use the tool,\n "grün"  now '
    called = await client.responses.create(model=MODEL, input=said, tools=TOOLS)
    (call,) = called.output
    assert call.type == "function_call"
    assert call.name == "prune"
    assert json.loads(call.arguments) == {"echo": said}

    given: Any = [
        {"role": "user", "content": said},
        call.to_dict(),
        {"type": "function_call_output", "call_id": call.call_id, "output": "pruned"},
    ]
    answered = await client.responses.create(model=MODEL, input=given, tools=TOOLS)
    assert answered.output_text


async def test_json_is_json(client: openai.AsyncOpenAI) -> None:
    """With a schema asked for, the text is JSON however short it has to be."""
    answer = await client.responses.create(
        model=MODEL,
        input="hi",
        max_output_tokens=1,
        text={"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}},
        extra_body=wishing(9),
    )
    assert json.loads(answer.output_text)["answer"] == "hawthorn"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("previous_response_id", "resp_1"),
        ("background", True),
        ("conversation", "conv_1"),
    ],
)
async def test_nothing_is_kept(client: openai.AsyncOpenAI, field: str, value: Any) -> None:
    """What needs an earlier answer, or a later look, is refused by its name."""
    asked: dict[str, Any] = {"model": MODEL, "input": "hi", field: value}
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(**asked)
    assert caught.value.param == field


async def events_of(provider: SandboxProvider, **wish: Any) -> list[tuple[str, Any]]:
    """Name and data of each event of a stream of 60 tokens; None for what is no JSON."""
    asked = {"model": MODEL, "input": "hi", "stream": True} | wishing(60, **wish)
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{provider.base_url}/responses", json=asked) as response,
    ):
        text = await response.text()
    events = []
    for event in text.split("\n\n")[:-1]:
        name, _, data = event.partition("\n")
        try:
            read = json.loads(data.removeprefix("data: "))
        except json.JSONDecodeError:
            read = None
        events.append((name.removeprefix("event: "), read))
    return events


async def test_events_are_numbered_and_named(provider: SandboxProvider) -> None:
    """Each event's name is its type, its number one more than the last; the order is OpenAI's."""
    events = await events_of(provider)

    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    assert all(name == data["type"] for name, data in events)
    names = [name for name, _ in events]
    deltas = names.count("response.output_text.delta")
    assert deltas > 1
    assert names == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * deltas,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


async def test_an_error_in_the_middle_is_a_failed_response(
    provider: SandboxProvider, client: openai.AsyncOpenAI
) -> None:
    """Some words, `error`, then `response.failed`; never completed. Billed as far as it came."""
    events = await events_of(provider, fault=Fault.ERROR_EVENT)

    names = [name for name, _ in events]
    assert names[-2:] == ["error", "response.failed"]
    assert "response.output_text.delta" in names
    assert events[-1][1]["response"]["error"]["code"] == "server_error"
    assert 0 < provider.tally.completion_tokens < 60
    stream = await client.responses.create(
        model=MODEL,
        input="hi",
        stream=True,
        extra_body=wishing(60, fault="error_event"),
    )
    last = [event async for event in stream][-1]
    assert last.type == "response.failed"
    assert last.response.status == "failed"


async def test_faults_of_its_streams(provider: SandboxProvider) -> None:
    """Malformed: one more event, and no JSON. Short: no end. No usage, and no last event."""
    sound = [name for name, _ in await events_of(provider)]

    malformed = await events_of(provider, fault="malformed")
    assert [name for name, data in malformed if data is None] == ["response.output_text.delta"]
    told = "".join(one["delta"] for name, one in malformed if one and name.endswith("text.delta"))
    assert len(told.split()) == 60
    assert len(malformed) == len(sound) + 1
    short = await events_of(provider, fault="short")
    assert short[-1][0] == "response.output_text.delta"
    no_usage = await events_of(provider, fault="no_usage")
    assert no_usage[-1][0] == "response.completed"
    assert no_usage[-1][1]["response"]["usage"] is None
    no_done = await events_of(provider, fault="no_done")
    assert [name for name, _ in no_done] == sound[:-1]

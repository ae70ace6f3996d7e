"""Sandbox providers that speak Anthropic's Messages, as the official client reads them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import anthropic
import pytest
from anthropic.types import Message

from benchmarks.sandbox import Behaviour, Fault, SandboxProvider

MODEL = "oak-70b"
FAST = Behaviour(models=(MODEL,), time_scale=0.0)
HELLO: Any = [{"role": "user", "content": "one two three"}]
TOOLS: Any = [
    {"name": "prune", "input_schema": {"type": "object"}},
    {"name": "plant", "input_schema": {"type": "object"}},
]
SAID = 'use the tool,\n "grün"  now '
THINKING: Any = {"type": "enabled", "budget_tokens": 1024}


@pytest.fixture
async def provider() -> AsyncIterator[SandboxProvider]:
    async with SandboxProvider(FAST) as running:
        yield running


@pytest.fixture
async def client(provider: SandboxProvider) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with official(provider) as made:
        yield made


def official(provider: SandboxProvider, key: str = "sk-ant-any") -> anthropic.AsyncAnthropic:
    root = provider.base_url.removesuffix("/v1")
    return anthropic.AsyncAnthropic(base_url=root, api_key=key, max_retries=0)


def wishing(tokens: int, **more: Any) -> dict[str, Any]:
    return {"sandbox": {"output_tokens": tokens, **more}}


def asking(**extra: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": HELLO, "max_tokens": 4_096, **extra}


async def post(
    provider: SandboxProvider, body: dict[str, Any], **headers: str
) -> tuple[int, Any, Any]:
    """Status, body and headers, by hand: with the version unless another is given."""
    sent = {"anthropic-version": "2023-06-01"} | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"{provider.base_url}/messages",
            json=body,
            headers={k: v for k, v in sent.items() if v},
        ) as response,
    ):
        return response.status, await response.text(), response.headers


def without_ids(message: Message) -> dict[str, Any]:
    """What a plain answer and a stream have in common: each has ids of its own."""
    told = message.model_dump(mode="json", exclude={"id"})
    for block in told["content"]:
        block.pop("id", None)
        block.pop("signature", None)
    return told


@pytest.mark.parametrize(
    "asked",
    [
        {"extra_body": wishing(40)},
        {"extra_body": wishing(40), "max_tokens": 4},
        {"extra_body": wishing(40), "thinking": THINKING},
        {"extra_body": wishing(3) | {"temperature": 0.5}, "system": "be brief"},
        {"messages": [{"role": "user", "content": SAID}], "tools": TOOLS},
        {"messages": [{"role": "user", "content": SAID}], "tools": TOOLS, "thinking": THINKING},
        {"messages": [{"role": "user", "content": SAID}], "tools": TOOLS, "max_tokens": 2},
        {
            "messages": [*HELLO, {"role": "assistant", "content": "hawthorn ha"}],
            "extra_body": wishing(30),
        },
    ],
)
async def test_a_stream_is_the_plain_answer(
    client: anthropic.AsyncAnthropic, asked: dict[str, Any]
) -> None:
    """What the client makes of the events equals what it makes of the whole, and both are by the
    book of its own types."""
    whole: dict[str, Any] = asking(**asked)
    plain = await client.messages.create(**whole)
    async with client.messages.stream(**whole) as stream:
        streamed = await stream.get_final_message()

    Message.model_validate(plain.model_dump())
    told, heard = without_ids(plain), without_ids(streamed)
    if plain.stop_reason == "max_tokens" and told["content"][-1]["type"] == "tool_use":
        # Half a call is nothing in a whole answer, and what has come of it in a stream.
        assert (told["content"].pop()["input"], heard["content"].pop()["name"]) == ({}, "prune")
    assert told == heard


async def test_usage_counts_words(
    provider: SandboxProvider, client: anthropic.AsyncAnthropic
) -> None:
    """System prompt and all blocks in, the words of the answer out; counted beforehand alike."""
    messages: Any = [
        {"role": "user", "content": [{"type": "text", "text": "a b"}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "prune", "input": {"x": "y"}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": "it is done"},
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "text", "text": "and this"}],
                },
            ],
        },
    ]
    system: Any = [{"type": "text", "text": "be brief"}]
    answer = await client.messages.create(
        model=MODEL, messages=messages, system=system, max_tokens=99, extra_body=wishing(12)
    )
    counted = await client.messages.count_tokens(model=MODEL, messages=messages, system=system)

    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (9, 12)
    assert counted.input_tokens == 9
    assert answer.stop_reason == "end_turn"
    (block,) = answer.content
    assert block.type == "text"
    assert len(block.text.split()) == 12
    assert (provider.tally.prompt_tokens, provider.tally.completion_tokens) == (9, 12)
    assert provider.tally.billed_requests == 1


async def test_a_tool_is_used_once(client: anthropic.AsyncAnthropic) -> None:
    """The first tool with what was said; what it gave is answered in words."""
    used = await client.messages.create(
        model=MODEL, max_tokens=99, messages=[{"role": "user", "content": SAID}], tools=TOOLS
    )
    (use,) = used.content
    assert used.stop_reason == "tool_use"
    assert use.type == "tool_use"
    assert (use.name, use.input) == ("prune", {"echo": SAID})

    result: Any = {"type": "tool_result", "tool_use_id": use.id, "content": "the tool says: done"}
    answered = await client.messages.create(
        model=MODEL,
        max_tokens=99,
        messages=[
            {"role": "user", "content": SAID},
            {"role": "assistant", "content": used.content},
            {"role": "user", "content": [result]},
        ],
        tools=TOOLS,
    )
    assert [one.type for one in answered.content] == ["text"]
    begun: Any = [{"role": "user", "content": SAID}, {"role": "assistant", "content": "the tool"}]
    gone_on = await client.messages.create(model=MODEL, max_tokens=99, messages=begun, tools=TOOLS)
    assert [one.type for one in gone_on.content] == ["text"]


@pytest.mark.parametrize(("wished", "thought"), [(None, 8), (30, 30)])
async def test_thoughts_are_told_first_and_billed(
    provider: SandboxProvider,
    client: anthropic.AsyncAnthropic,
    wished: int | None,
    thought: int,
) -> None:
    """A signed block of its own, as long as wished; its tokens are output tokens."""
    wish = {} if wished is None else {"reasoning_tokens": wished}
    asked: dict[str, Any] = asking(thinking=THINKING, extra_body=wishing(5, **wish))
    plain = await client.messages.create(**asked)
    async with client.messages.stream(**asked) as stream:
        streamed = await stream.get_final_message()

    told: list[Any] = [plain, streamed]
    for answer in told:
        first, second = answer.content
        assert first.type == "thinking"
        assert len(first.thinking.split()) == thought
        assert first.signature
        assert second.type == "text"
        assert len(second.text.split()) == 5
        assert answer.usage.output_tokens == thought + 5
    assert provider.tally.completion_tokens == 2 * (thought + 5)


async def test_thoughts_count_against_the_limit(client: anthropic.AsyncAnthropic) -> None:
    """They leave room for one word at least."""
    asked: dict[str, Any] = asking(thinking=THINKING, max_tokens=4, extra_body=wishing(5))
    answer = await client.messages.create(**asked)
    assert (answer.usage.output_tokens, answer.stop_reason) == (4, "max_tokens")
    assert [one.type for one in answer.content] == ["thinking", "text"]


async def test_json_is_json(client: anthropic.AsyncAnthropic) -> None:
    """With a schema asked for, the text is JSON."""
    form: Any = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    asked: dict[str, Any] = asking(output_config=form, extra_body=wishing(2))
    (block,) = (await client.messages.create(**asked)).content
    assert block.type == "text"
    assert json.loads(block.text) == {"answer": "hawthorn hazel"}


# The cache


def block(start: int, end: int, **control: Any) -> dict[str, Any]:
    text = " ".join(f"w{number}" for number in range(start, end))
    return {"type": "text", "text": text} | ({"cache_control": control} if control else {})


async def test_the_cache_keeps_what_is_marked() -> None:
    """Written once, in whole blocks up to the mark, then read; the rest is plain input. All three
    together are the prompt, and each is billed as what it is."""
    marked: Any = [block(0, 300, type="ephemeral", ttl="1h"), block(300, 400)]
    async with SandboxProvider(replace(FAST, cache=True)) as provider, official(provider) as client:
        first = await client.messages.create(
            model=MODEL, max_tokens=9, messages=HELLO, system=marked
        )
        second = await client.messages.create(
            model=MODEL, max_tokens=9, messages=HELLO, system=marked
        )
        plain: Any = [block(0, 300)]
        unmarked = await client.messages.create(
            model=MODEL, max_tokens=9, messages=HELLO, system=plain
        )
        longer: Any = [{"role": "user", "content": [block(0, 500)]}]
        automatic = await client.messages.create(
            model=MODEL, max_tokens=9, messages=longer, cache_control={"type": "ephemeral"}
        )

        told = [
            (
                one.usage.input_tokens,
                one.usage.cache_creation_input_tokens,
                one.usage.cache_read_input_tokens,
            )
            for one in (first, second, unmarked, automatic)
        ]
        assert told == [(147, 256, 0), (147, 0, 256), (303, 0, 0), (116, 128, 256)]
        assert first.usage.cache_creation is not None
        assert first.usage.cache_creation.ephemeral_1h_input_tokens == 256
        assert provider.tally.prompt_tokens == 403 + 403 + 303 + 500
        assert provider.tally.cached_tokens == 512
        assert provider.tally.cache_write_tokens == 384


async def test_without_a_cache_nothing_is_cached(client: anthropic.AsyncAnthropic) -> None:
    """The fields are there, and zero."""
    marked: Any = [block(0, 300, type="ephemeral")]
    asked: dict[str, Any] = asking(system=marked)
    usage = (await client.messages.create(**asked)).usage
    assert (usage.input_tokens, usage.cache_creation_input_tokens) == (303, 0)


# Its errors


@pytest.mark.parametrize(
    ("fault", "raised", "type", "message"),
    [
        (Fault.HTTP_500, anthropic.InternalServerError, "api_error", "error"),
        (Fault.HTTP_429, anthropic.RateLimitError, "rate_limit_error", "Rate limit"),
        (
            Fault.HTTP_401,
            anthropic.AuthenticationError,
            "authentication_error",
            "invalid x-api-key",
        ),
        (Fault.CONTEXT, anthropic.BadRequestError, "invalid_request_error", "prompt is too long: "),
        (
            Fault.CONTENT_FILTER,
            anthropic.BadRequestError,
            "invalid_request_error",
            "Output blocked",
        ),
    ],
)
async def test_errors_are_in_its_own_shape(
    client: anthropic.AsyncAnthropic,
    fault: Fault,
    raised: type[anthropic.APIStatusError],
    type: str,  # noqa: A002 - the field's word
    message: str,
) -> None:
    """Type and words as Anthropic has them, with the id of the request in body and header."""
    asked: dict[str, Any] = asking(extra_body=wishing(3, fault=fault))
    with pytest.raises(raised) as caught:
        await client.messages.create(**asked)

    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", type)
    assert message in body["error"]["message"]
    assert body["request_id"] == caught.value.request_id


async def test_an_unknown_model_is_not_found(client: anthropic.AsyncAnthropic) -> None:
    """Named as Anthropic names it."""
    with pytest.raises(anthropic.NotFoundError, match="model: elm-8b"):
        await client.messages.create(model="elm-8b", max_tokens=9, messages=HELLO)


async def test_keys_and_versions(provider: SandboxProvider) -> None:
    """The key goes in x-api-key or as bearer; without a version nothing is answered."""
    provider.behaviour = replace(FAST, api_key="sk-right")
    right = {"x_api_key": "sk-right"}
    assert (await post(provider, asking(), **right))[0] == 200
    assert (await post(provider, asking(), authorization="Bearer sk-right"))[0] == 200
    assert (await post(provider, asking(), x_api_key="sk-wrong"))[0] == 401
    assert (await post(provider, asking()))[0] == 401
    status, body, headers = await post(provider, asking(), **right, anthropic_version="")
    assert (status, "anthropic-version: header is required" in body) == (400, True)
    assert headers["request-id"] == json.loads(body)["request_id"]
    async with aiohttp.ClientSession(headers={"x-api-key": "sk-right"}) as http:
        chat = {"model": MODEL, "messages": HELLO}
        async with http.post(f"{provider.base_url}/chat/completions", json=chat) as response:
            assert response.status == 401


@pytest.mark.parametrize(
    "wrong", [{"max_tokens": 0}, {"messages": []}, {"messages": [{"role": "tool", "content": ""}]}]
)
async def test_wrong_requests(provider: SandboxProvider, wrong: dict[str, Any]) -> None:
    """No limit, no messages, no such role: a 400, and nothing on the bill."""
    status, body, _ = await post(provider, asking(**wrong))
    assert (status, json.loads(body)["error"]["type"]) == (400, "invalid_request_error")
    assert provider.tally.billed_requests == 0


# Faults of its streams


async def events_of(provider: SandboxProvider, **wish: Any) -> list[tuple[str, Any]]:
    """Name and data of each event of a stream of 60 tokens; None for what is no JSON."""
    status, text, _ = await post(provider, asking(stream=True) | wishing(60, **wish))
    assert status == 200
    events = []
    for event in text.split("\n\n")[:-1]:
        name, _, data = event.partition("\n")
        try:
            read = json.loads(data.removeprefix("data: "))
        except json.JSONDecodeError:
            read = None
        events.append((name.removeprefix("event: "), read))
    return events


async def test_events_are_named_and_in_order(provider: SandboxProvider) -> None:
    """Each event's name is its type; usage begins with the prompt and ends with all of it."""
    events = await events_of(provider)

    assert all(name == data["type"] for name, data in events)
    names = [name for name, _ in events]
    assert names[:3] == ["message_start", "ping", "content_block_start"]
    assert set(names[3:-3]) == {"content_block_delta"}
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert events[0][1]["message"]["usage"]["input_tokens"] == 3
    assert events[-2][1]["usage"]["output_tokens"] == 60


async def test_an_error_in_the_middle_raises(
    provider: SandboxProvider, client: anthropic.AsyncAnthropic
) -> None:
    """Some words, then `event: error`; the official client raises. Billed as far as it came."""
    events = await events_of(provider, fault="error_event")
    assert events[-1][0] == "error"
    assert events[-1][1]["error"]["type"] == "overloaded_error"
    assert 0 < provider.tally.completion_tokens < 60

    asked: dict[str, Any] = asking(extra_body=wishing(60, fault="error_event"))
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        async with client.messages.stream(**asked) as stream:
            await stream.get_final_message()


async def test_faults_of_its_streams(provider: SandboxProvider) -> None:
    """Malformed: one more event, and no JSON. Short: no end. No usage, and no last event."""
    sound = [name for name, _ in await events_of(provider)]

    malformed = await events_of(provider, fault="malformed")
    assert [name for name, data in malformed if data is None] == ["content_block_delta"]
    assert len(malformed) == len(sound) + 1
    short = await events_of(provider, fault="short")
    assert short[-1][0] == "content_block_delta"
    no_usage = await events_of(provider, fault="no_usage")
    assert not any("usage" in json.dumps(data) for _, data in no_usage)
    no_done = await events_of(provider, fault="no_done")
    assert [name for name, _ in no_done] == sound[:-1]

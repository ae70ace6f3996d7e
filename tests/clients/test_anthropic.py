"""The anthropic package: Messages, whatever the provider speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

from benchmarks.sandbox import Fault
from tests.serving import HELLO, MODEL, Proxy, serving, wishing

TOOL: Any = {
    "name": "echo",
    "input_schema": {"type": "object", "properties": {"echo": {"type": "string"}}},
}


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with talking(proxy) as one:
        yield one


def talking(proxy: Proxy) -> anthropic.AsyncAnthropic:
    """It adds /v1 itself, and sends its key as x-api-key."""
    root = proxy.base_url.removesuffix("/v1")
    return anthropic.AsyncAnthropic(base_url=root, api_key=proxy.key, max_retries=0)


async def test_plain_and_streamed_say_the_same(
    proxy: Proxy, client: anthropic.AsyncAnthropic
) -> None:
    """Text, stop reason and usage; and the books charged both alike."""
    ask: Any = {"model": MODEL, "messages": HELLO, "max_tokens": 50, "system": "be brief"}
    ask["extra_body"] = {"sandbox": wishing(7)}
    plain: Any = await client.messages.create(**ask)
    async with client.messages.stream(**ask) as stream:
        text = "".join([one async for one in stream.text_stream])
        streamed: Any = await stream.get_final_message()
    for one in (plain, streamed):
        assert [block.type for block in one.content] == ["text"]
        assert one.content[0].text == text
        assert one.stop_reason == "end_turn"
        assert one.usage.output_tokens == 7
    first, second = await proxy.charges()
    assert first.effective == second.effective
    assert first.usage.completion == second.usage.completion == 7


async def test_a_limit_is_said(client: anthropic.AsyncAnthropic) -> None:
    """An answer that was cut by max_tokens says so."""
    answer = await client.messages.create(
        model=MODEL, messages=HELLO, max_tokens=3, extra_body={"sandbox": wishing(9)}
    )
    assert answer.stop_reason == "max_tokens"
    assert answer.usage.output_tokens == 3


async def test_a_conversation_with_tools(client: anthropic.AsyncAnthropic) -> None:
    """A call, its result, and the answer to that; whole and in pieces."""
    messages: list[Any] = [{"role": "user", "content": "use the tool, please"}]
    ask: Any = {"model": MODEL, "max_tokens": 500, "tools": [TOOL]}
    plain: Any = await client.messages.create(messages=messages, **ask)
    async with client.messages.stream(messages=messages, **ask) as stream:
        streamed: Any = await stream.get_final_message()
    for one in (plain, streamed):
        assert one.stop_reason == "tool_use"
        (call,) = [block for block in one.content if block.type == "tool_use"]
        assert (call.name, call.input) == ("echo", {"echo": "use the tool, please"})
    (call,) = [block for block in plain.content if block.type == "tool_use"]
    messages += [
        {"role": "assistant", "content": [block.model_dump() for block in plain.content]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "an echo"}],
        },
    ]
    ended = await client.messages.create(model=MODEL, max_tokens=50, messages=messages)
    assert ended.stop_reason == "end_turn"


async def test_tokens_are_counted_for_nothing(
    proxy: Proxy, client: anthropic.AsyncAnthropic
) -> None:
    """By who counts, else as an estimate that says so; nothing is charged either way."""
    raw = await client.messages.with_raw_response.count_tokens(model=MODEL, messages=HELLO)
    counts_itself = "messages/count_tokens" in proxy.config.path.read_text()
    assert ("x-hedgerow-estimated" in raw.headers) != counts_itself
    assert (await raw.parse()).input_tokens > 0
    assert await proxy.charges() == []


async def test_models_are_listed_its_way(client: anthropic.AsyncAnthropic) -> None:
    """With the names that it reads."""
    listed = await client.models.list()
    assert [(one.id, one.type) for one in listed.data] == [(MODEL, "model")]
    assert (await client.models.retrieve(MODEL)).display_name == MODEL


async def test_errors_have_its_shape(proxy: Proxy, client: anthropic.AsyncAnthropic) -> None:
    """Its own classes, with a type, a message, and the request id that the books know."""
    with pytest.raises(anthropic.NotFoundError) as unknown:
        await client.messages.create(model="elm", messages=HELLO, max_tokens=5)
    body: Any = unknown.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "not_found_error")
    assert body["request_id"] == unknown.value.response.headers["x-request-id"]
    assert unknown.value.request_id == body["request_id"]
    with pytest.raises(anthropic.BadRequestError) as refused:
        await client.messages.create(
            model=MODEL,
            messages=HELLO,
            max_tokens=5,
            tools=[{"type": "web_search_20250305", "name": "web_search"}],
        )
    assert "web_search" in str(refused.value)
    async with talking(proxy).with_options(api_key="sk-wrong") as other:
        with pytest.raises(anthropic.AuthenticationError):
            await other.messages.create(model=MODEL, messages=HELLO, max_tokens=5)


@pytest.mark.parametrize("endpoints", ["chat/completions", "messages"])
@pytest.mark.parametrize("fault", [Fault.CUT, Fault.SHORT, Fault.ERROR_EVENT], ids=str)
async def test_a_cut_stream_raises(tmp_path: Path, endpoints: str, fault: Fault) -> None:
    """Never a silent end, on its own wire or through another."""
    provider = f", endpoints: [{endpoints}]"
    async with (
        serving(tmp_path, provider=provider, honest=False) as proxy,
        talking(proxy) as client,
    ):
        proxy.a.fault = fault
        with pytest.raises(anthropic.APIStatusError, match="a broke off"):
            async with client.messages.stream(
                model=MODEL,
                messages=HELLO,
                max_tokens=60,
                extra_body={"sandbox": wishing(60)},
            ) as stream:
                await stream.get_final_message()
        (charge,) = await proxy.charges()
        assert charge.estimated
        assert (charge.usage.completion or 0) > 0
        proxy.a.fault = fault
        body = {"model": MODEL, "messages": HELLO, "max_tokens": 60, "stream": True}
        reply = await proxy.post(body | {"sandbox": wishing(60)}, path="/messages")
        assert f'"request_id":"{reply.headers["x-request-id"]}"' in reply.body.decode()


async def test_a_conversation_that_changes_hosts(tmp_path: Path) -> None:
    """Thoughts that one host wrote unsigned, and names of calls that another would refuse, do not
    follow the conversation to Anthropic's wire."""
    async with (
        serving(tmp_path, provider=", endpoints: [messages]") as proxy,
        talking(proxy) as client,
    ):
        messages: Any = [
            {"role": "user", "content": "go"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": ""},
                    {"type": "tool_use", "id": "functions.echo:0", "name": "echo", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "functions.echo:0", "content": "x"}
                ],
            },
        ]
        await client.messages.create(model=MODEL, max_tokens=5, messages=messages, tools=[TOOL])
        sent = proxy.a.tally.exchanges[-1].body
        assert b"thinking" not in sent
        assert sent.count(b'"functions_echo_0"') == 2


async def test_the_blocking_client_in_a_thread(proxy: Proxy) -> None:
    """Without an event loop."""

    def use() -> str:
        root = proxy.base_url.removesuffix("/v1")
        with (
            anthropic.Anthropic(base_url=root, api_key=proxy.key, max_retries=0) as client,
            client.messages.stream(model=MODEL, messages=HELLO, max_tokens=2) as stream,
        ):
            return "".join(stream.text_stream)

    assert await asyncio.to_thread(use) == "hawthorn hazel"

"""The official openai client, sync and async, streamed and not, against the running proxy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import CompletionUsage

from benchmarks.sandbox import Fault
from ledger.money import as_usd
from tests.serving import HELLO, MODEL, Proxy, serving, wishing

TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "echo", "strict": True, "parameters": {}}}
]


def cost_in(usage: CompletionUsage | None) -> Decimal:
    """`usage.cost` in USD."""
    assert usage is not None
    return Decimal(str((usage.model_extra or {})["cost"]))


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    async with serving(tmp_path, names=("a", "b")) as running:
        yield running


async def test_a_plain_answer_reads_as_openais(proxy: Proxy) -> None:
    """Text, finish reason and usage come through, and usage.cost is what the books charged."""
    answer = await proxy.client().chat.completions.create(
        model=MODEL, messages=HELLO, max_tokens=50, extra_body={"sandbox": wishing(7)}
    )

    assert answer.choices[0].message.content == "hawthorn hazel holly dogwood elder field maple"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 7)
    (charge,) = await proxy.charges()
    assert charge.effective == 3 * 1000 + 7 * 2000
    assert cost_in(answer.usage) == as_usd(charge.effective)


@pytest.mark.parametrize("asked", [True, False, None])
async def test_usage_of_a_stream_is_there_if_it_was_asked_for(
    proxy: Proxy, asked: bool | None
) -> None:
    """One last chunk without choices carries usage and cost; without the wish there is none."""
    options: Any = {} if asked is None else {"stream_options": {"include_usage": asked}}
    stream = await proxy.client().chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, extra_body={"sandbox": wishing(40)}, **options
    )
    chunks = [chunk async for chunk in stream]

    text = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
    assert len(text.split()) == 40
    used = [one for one in chunks if one.usage is not None]
    (charge,) = await proxy.charges()
    assert (charge.usage.prompt, charge.usage.completion, charge.estimated) == (3, 40, False)
    if asked:
        assert used == chunks[-1:]
        assert used[0].choices == []
        assert cost_in(used[0].usage) == as_usd(charge.effective)
    else:
        assert used == []


async def test_tools_are_called(proxy: Proxy) -> None:
    """A tool call comes through whole, plain and in pieces."""
    ask: Any = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "use the tool, please"}],
        "tools": TOOLS,
        "max_tokens": 500,
    }
    client = proxy.client()
    plain = await client.chat.completions.create(**ask)
    async with client.chat.completions.stream(**ask) as stream:
        streamed = await stream.get_final_completion()

    for answer in (plain, streamed):
        assert answer.choices[0].finish_reason == "tool_calls"
        calls: Any = answer.choices[0].message.tool_calls
        assert calls[0].function.name == "echo"
        assert json.loads(calls[0].function.arguments) == {"echo": "use the tool, please"}


async def test_json_stays_json(proxy: Proxy) -> None:
    """response_format reaches the provider, and its answer comes back as it was written."""
    answer = await proxy.client().chat.completions.create(
        model=MODEL, messages=HELLO, response_format={"type": "json_object"}, max_tokens=20
    )
    assert json.loads(answer.choices[0].message.content or "").keys() == {"answer"}


async def test_several_choices_are_charged_as_many(proxy: Proxy) -> None:
    """n answers cost n completions; the hold covers them, so nothing is an overrun."""
    answer = await proxy.client().chat.completions.create(
        model=MODEL, messages=HELLO, n=3, max_tokens=4, extra_body={"sandbox": wishing(9)}
    )
    assert [one.finish_reason for one in answer.choices] == ["length"] * 3
    (charge,) = await proxy.charges()
    assert charge.usage.completion == 12


async def test_answer_headers_say_what_happened(proxy: Proxy) -> None:
    """Who answered, at which attempt, at what cost; and the request id finds it in the books."""
    proxy.a.fault = Fault.HTTP_500
    raw = await proxy.client().chat.completions.with_raw_response.create(
        model=MODEL, messages=HELLO, max_tokens=4
    )
    proxy.a.fault = None

    headers = raw.headers
    assert headers["x-hedgerow-provider"] == "b"
    assert headers["x-hedgerow-model"] == "oak-70b"
    assert headers["x-hedgerow-attempts"] == "2"
    assert float(headers["x-hedgerow-overhead-ms"]) >= 0
    assert "x-hedgerow-budget-remaining-usd" not in headers  # there is no budget
    (charge,) = await proxy.charges()
    assert Decimal(headers["x-hedgerow-cost-usd"]) == as_usd(charge.effective)
    answer: Any = raw.parse()
    assert charge.request_id == headers["x-request-id"]
    assert cost_in(answer.usage) == as_usd(charge.effective)


async def test_the_sync_client_in_a_thread(proxy: Proxy) -> None:
    """The blocking client does the same: plain, streamed, and the list of models."""

    def use() -> tuple[str | None, str, list[str]]:
        with openai.OpenAI(base_url=proxy.base_url, api_key=proxy.key, max_retries=0) as client:
            plain = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=2)
            with client.chat.completions.create(
                model=MODEL, messages=HELLO, max_tokens=2, stream=True
            ) as stream:
                text = "".join(one.choices[0].delta.content or "" for one in stream if one.choices)
            return plain.choices[0].message.content, text, [one.id for one in client.models.list()]

    plain, streamed, models = await asyncio.to_thread(use)
    assert plain == streamed == "hawthorn hazel"
    assert models == [MODEL]


async def test_models_are_those_the_key_may_use(proxy: Proxy) -> None:
    """A key for other models sees none of ours, may ask for none, and is told which it may."""
    assert (await proxy.client().models.retrieve(MODEL)).id == MODEL
    with pytest.raises(openai.NotFoundError) as unknown:
        await proxy.client().models.retrieve("elm/100%25")
    assert unknown.value.code == "model_not_found"
    assert "elm/100%25" in unknown.value.message

    other = proxy.client(api_key=await proxy.new_key(models=frozenset({"elm"})))
    assert [one.id async for one in other.models.list()] == []
    with pytest.raises(openai.PermissionDeniedError, match="it may use elm") as denied:
        await other.chat.completions.create(model=MODEL, messages=HELLO)
    assert (denied.value.code, denied.value.param) == ("model_not_allowed", "model")


async def test_errors_are_the_clients_own_classes(proxy: Proxy) -> None:
    """401, 404 and 400 arrive as the exceptions that applications already catch."""
    with pytest.raises(openai.AuthenticationError) as unknown_key:
        await proxy.client(api_key="sk-wrong").models.list()
    assert unknown_key.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError, match="there are: oak") as unknown_model:
        await proxy.client().chat.completions.create(model="elm", messages=HELLO)
    assert (unknown_model.value.code, unknown_model.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as empty:
        await proxy.client().chat.completions.create(model=MODEL, messages=[])
    assert empty.value.param == "messages"
    assert proxy.a.tally.requests == 0


async def test_a_retry_of_the_client_is_a_request_of_its_own(tmp_path: Path) -> None:
    """A 502 is retried by the client's own rule, and only the answer that came is charged."""
    async with serving(tmp_path) as proxy:
        proxy.a.fault = Fault.HTTP_500
        asked = asyncio.create_task(
            proxy.client(max_retries=2).chat.completions.create(
                model=MODEL, messages=HELLO, max_tokens=4
            )
        )
        async with asyncio.timeout(30):
            await proxy.a.tally.until(lambda tally: tally.by_status[500] == 1)
        proxy.a.fault = None
        answer = await asked
        assert answer.usage is not None
        assert len(await proxy.charges()) == 1

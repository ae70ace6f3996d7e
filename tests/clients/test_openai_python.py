"""The openai package: every resource that applications use, sync and async, streamed and not."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import struct
import wave
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from benchmarks.sandbox import Fault
from ledger.money import as_usd
from tests.clients.conftest import WIRES
from tests.serving import HELLO, MODEL, Proxy, offer, serving, wishing

ECHO: Any = {
    "type": "function",
    "function": {
        "name": "echo",
        "strict": True,
        "parameters": {"type": "object", "properties": {"echo": {"type": "string"}}},
    },
}
PIXEL = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


async def test_chat_plain_and_streamed_say_the_same(proxy: Proxy) -> None:
    """Text, reason, usage and cost are those of the plain answer, and of the books."""
    ask: Any = {"model": MODEL, "messages": HELLO, "max_tokens": 50}
    ask["extra_body"] = {"sandbox": wishing(7)}
    plain = await proxy.client().chat.completions.create(**ask)
    async with proxy.client().chat.completions.stream(
        **ask, stream_options={"include_usage": True}
    ) as stream:
        streamed = await stream.get_final_completion()
    for one in (plain, streamed):
        assert one.choices[0].message.content == "hawthorn hazel holly dogwood elder field maple"
        assert one.choices[0].finish_reason == "stop"
        assert one.usage is not None
        assert (one.usage.prompt_tokens, one.usage.completion_tokens) == (3, 7)
    usages: Any = [plain.usage, streamed.usage]
    told = [Decimal(str(one.model_extra["cost"])) for one in usages]
    assert told == [as_usd(one.effective) for one in await proxy.charges()]


async def test_a_conversation_with_tools(proxy: Proxy) -> None:
    """A call, its result, and the answer to that, whole and in pieces."""
    messages: list[Any] = [{"role": "user", "content": "use the tool, please"}]
    ask: Any = {"model": MODEL, "tools": [ECHO], "max_tokens": 500}
    client = proxy.client()
    plain = await client.chat.completions.create(messages=messages, **ask)
    async with client.chat.completions.stream(messages=messages, **ask) as stream:
        streamed = await stream.get_final_completion()
    for answer in (plain, streamed):
        assert answer.choices[0].finish_reason == "tool_calls"
        calls: Any = answer.choices[0].message.tool_calls
        assert [one.function.name for one in calls] == ["echo"]
        assert json.loads(calls[0].function.arguments) == {"echo": "use the tool, please"}
    asked = plain.choices[0].message
    messages += [
        asked.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": (asked.tool_calls or [])[0].id, "content": "an echo"},
    ]
    ended = await client.chat.completions.create(messages=messages, model=MODEL, max_tokens=50)
    assert ended.choices[0].finish_reason == "stop"
    assert ended.choices[0].message.content


class Trees(BaseModel):
    answer: str


async def test_structured_output(proxy: Proxy) -> None:
    """`parse` gives an object of the class that was asked for."""
    answer = await proxy.client().chat.completions.parse(
        model=MODEL, messages=HELLO, response_format=Trees, max_tokens=50
    )
    parsed = answer.choices[0].message.parsed
    assert isinstance(parsed, Trees)
    assert parsed.answer


@pytest.mark.parametrize("endpoints", list(WIRES.values()), ids=list(WIRES))
async def test_an_image_is_looked_at(tmp_path: Path, endpoints: str) -> None:
    """Whatever the provider speaks, it gets the image; and the hold covered what that may cost."""
    content: Any = [
        {"type": "text", "text": "what is this"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
    ]
    parts: Any = [
        {"type": "input_text", "text": "what is this"},
        {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
    ]
    offers = {"a": offer("a", more=", context_tokens: 4000")}
    provider = f", endpoints: [{endpoints}]"
    async with serving(tmp_path, provider=provider, offers=offers) as proxy:
        client = proxy.client()
        await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": content}], max_tokens=5
        )
        await client.responses.create(
            model=MODEL, input=[{"role": "user", "content": parts}], max_output_tokens=5
        )
        for exchange in proxy.a.tally.exchanges:
            assert PIXEL.partition(",")[2].encode() in exchange.body
        held = await proxy.read(
            lambda store: store.sql.execute(
                "SELECT min(held_nanos), sum(overrun_nanos) FROM entries"
            ).fetchall()
        )
        ((least, overrun),) = held
        assert least >= 4000 * 1000 + 5 * 2000
        assert overrun == 0


@pytest.mark.parametrize("endpoints", list(WIRES.values()), ids=list(WIRES))
@pytest.mark.parametrize("fault", [Fault.CUT, Fault.SHORT, Fault.ERROR_EVENT], ids=str)
async def test_a_cut_stream_raises(tmp_path: Path, endpoints: str, fault: Fault) -> None:
    """Never a silent end, of a chat or a response, on its own wire or through another."""
    provider = f", endpoints: [{endpoints}]"
    async with serving(tmp_path, provider=provider, honest=False) as proxy:
        proxy.a.fault = fault
        client = proxy.client()
        ask: Any = {"model": MODEL, "extra_body": {"sandbox": wishing(60)}}
        with pytest.raises(openai.APIError, match="a broke off"):
            async with client.chat.completions.stream(messages=HELLO, max_tokens=60, **ask) as chat:
                await chat.get_final_completion()
        with pytest.raises(openai.APIError, match="a broke off"):
            async with client.responses.stream(
                input="one two three", max_output_tokens=60, **ask
            ) as response:
                await response.get_final_response()
        for charge in await proxy.charges():
            assert charge.estimated
            assert (charge.usage.completion or 0) > 0


async def test_responses_plain_and_streamed_say_the_same(proxy: Proxy) -> None:
    """The Responses API, whatever the provider speaks."""
    ask: Any = {
        "model": MODEL,
        "instructions": "be brief",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "one two three"}]}],
        "max_output_tokens": 50,
        "extra_body": {"sandbox": wishing(7)},
    }
    client = proxy.client()
    plain = await client.responses.create(**ask)
    async with client.responses.stream(**ask) as stream:
        deltas = [one.delta async for one in stream if one.type == "response.output_text.delta"]
        streamed = await stream.get_final_response()
    for one in (plain, streamed):
        assert one.status == "completed"
        assert one.output_text == "hawthorn hazel holly dogwood elder field maple"
        assert one.usage is not None
        assert one.usage.output_tokens == 7
    assert "".join(deltas) == plain.output_text


async def test_responses_with_tools(proxy: Proxy) -> None:
    """A function call as an item, and its output as the next request's."""
    tool: Any = {
        "type": "function",
        "name": "echo",
        "parameters": {"type": "object", "properties": {}},
        "strict": False,
    }
    client = proxy.client()
    first = await client.responses.create(
        model=MODEL, input="use the tool, please", tools=[tool], max_output_tokens=500
    )
    (call,) = [one for one in first.output if one.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("echo", {"echo": "use the tool, please"})
    items: Any = [
        {"role": "user", "content": "use the tool, please"},
        *[one.model_dump(exclude_none=True) for one in first.output],
        {"type": "function_call_output", "call_id": call.call_id, "output": "an echo"},
    ]
    second = await client.responses.create(model=MODEL, input=items, max_output_tokens=50)
    assert second.output_text


async def test_responses_structured_output(proxy: Proxy) -> None:
    """`responses.parse`, too."""
    answer = await proxy.client().responses.parse(
        model=MODEL, input="one two", text_format=Trees, max_output_tokens=50
    )
    assert isinstance(answer.output_parsed, Trees)


async def test_raw_and_streamed_responses(full_proxy: Proxy) -> None:
    """`with_raw_response` has the headers; `with_streaming_response` the bytes as they come."""
    client = full_proxy.client()
    ask: Any = {"model": MODEL, "messages": HELLO, "max_tokens": 5}
    raw = await client.chat.completions.with_raw_response.create(**ask)
    assert raw.headers["x-request-id"].startswith("req")
    assert raw.request_id == raw.headers["x-request-id"]
    async with client.chat.completions.with_streaming_response.create(**ask, stream=True) as got:
        lines = [line async for line in got.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    async with client.audio.speech.with_streaming_response.create(
        model=MODEL, input="one two three", voice="alloy"
    ) as speech:
        sound = b"".join([part async for part in speech.iter_bytes()])
    with wave.open(io.BytesIO(sound)) as heard:
        assert heard.getnframes() > 0


async def test_embeddings(full_proxy: Proxy) -> None:
    """Of one text and of several, as floats and in base64, which the client asks for itself."""
    client = full_proxy.client()
    one = await client.embeddings.create(model=MODEL, input="one two")
    many = await client.embeddings.create(
        model=MODEL, input=["one two", "three"], encoding_format="float"
    )
    assert [found.index for found in many.data] == [0, 1]
    assert many.data[0].embedding == pytest.approx(one.data[0].embedding, rel=1e-5)
    assert (many.usage.prompt_tokens, many.usage.total_tokens) == (3, 3)


async def test_completions_moderations_images(full_proxy: Proxy) -> None:
    """What is older, what is free, and what is painted."""
    client = full_proxy.client()
    ask: Any = {"model": MODEL, "prompt": "one two", "extra_body": {"sandbox": wishing(5)}}
    text = await client.completions.create(**ask)
    assert len(text.choices[0].text.split()) == 5
    stream = await client.completions.create(**ask, stream=True)
    pieces = [one.choices[0].text async for one in stream if one.choices]
    assert "".join(pieces) == text.choices[0].text
    judged = await client.moderations.create(model=MODEL, input="one two")
    assert judged.results[0].flagged is False


def a_wave(seconds: float) -> bytes:
    """So much silence, as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(struct.pack("<h", 0) * int(8000 * seconds))
    return file.getvalue()


@pytest.mark.parametrize("form", ["json", "verbose_json", "text", "srt", "vtt"])
async def test_transcriptions_in_every_format(full_proxy: Proxy, form: Any) -> None:
    """A file goes up as it is, its text comes back as it was asked for."""
    client = full_proxy.client()
    heard = await client.audio.transcriptions.create(
        model=MODEL, file=("a.wav", a_wave(2.5)), response_format=form
    )
    text = heard if isinstance(heard, str) else heard.text
    assert text.strip()


async def test_the_blocking_client_in_a_thread(proxy: Proxy) -> None:
    """Plain, streamed, and responses, without an event loop."""

    def use() -> tuple[str | None, str, str]:
        with openai.OpenAI(base_url=proxy.base_url, api_key=proxy.key, max_retries=0) as client:
            ask: Any = {"model": MODEL, "messages": HELLO, "max_tokens": 2}
            plain = client.chat.completions.create(**ask)
            with client.chat.completions.create(**ask, stream=True) as stream:
                text = "".join(one.choices[0].delta.content or "" for one in stream if one.choices)
            answer = client.responses.create(
                model=MODEL, input="one two three", extra_body={"sandbox": wishing(2)}
            )
            return plain.choices[0].message.content, text, answer.output_text

    plain, streamed, answered = await asyncio.to_thread(use)
    assert plain == streamed == answered == "hawthorn hazel"


async def test_errors_have_their_classes(proxy: Proxy) -> None:
    """Unknown paths, models and keys, and requests that are none."""
    client = proxy.client()
    with pytest.raises(openai.NotFoundError):
        await client.post("/_stainless_unknown_path", cast_to=object)
    with pytest.raises(openai.NotFoundError, match="there are: oak"):
        await client.responses.create(model="elm", input="x")
    with pytest.raises(openai.AuthenticationError):
        await proxy.client(api_key="sk-wrong").responses.create(model=MODEL, input="x")
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model=MODEL, input="x", tools=[{"type": "web_search"}])
    assert refused.value.code == "unpriced_feature"

"""A real inference engine as the provider: llama.cpp's own server, with a tiny model."""

from __future__ import annotations

import asyncio
import math
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp
import anthropic
import openai
import pytest
from pydantic import BaseModel

from tests.clients.outside import environment
from tests.clients.tiny_model import CONTEXT_TOKENS, WIDTH, WORDS
from tests.serving import MODEL, PATIENCE_S, Proxy, serving

QUESTION: list[Any] = [{"role": "user", "content": "oak elm, hazel?"}]
TOKENS = 12
MANY_TOKENS = 12_000
"""More than the engine makes before anybody could have looked."""
TOO_LONG: list[Any] = [{"role": "user", "content": "oak " * (CONTEXT_TOKENS + 1)}]
PRESET, CHATS, MESSAGES = "as its preset says", "chats alone", "messages alone"
SPOKEN = {
    PRESET: ", preset: llamacpp",
    CHATS: ", endpoints: [chat/completions]",
    MESSAGES: ", endpoints: [messages]",
}
"""What of the engine's endpoints is used; all else is translated."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The server, as it can be asked without us."""

    root: str
    http: aiohttp.ClientSession

    async def tokens_of(self, messages: list[Any]) -> int:
        """By its own template and its own tokenizer."""
        async with self.http.post(
            f"{self.root}/apply-template", json={"messages": messages}
        ) as said:
            prompt = (await said.json())["prompt"]
        return await self.tokens_in(prompt)

    async def tokens_in(self, text: str) -> int:
        body = {"content": text, "add_special": True}
        async with self.http.post(f"{self.root}/tokenize", json=body) as said:
            return len((await said.json())["tokens"])

    async def counted(self) -> dict[str, float]:
        """Its counters, by name."""
        async with self.http.get(f"{self.root}/metrics") as said:
            lines = re.findall(r"^llamacpp:(\w+) (\S+)$", await said.text(), re.MULTILINE)
        return {name: float(value) for name, value in lines}

    async def idle(self) -> dict[str, float]:
        """Its counters as soon as it works on nothing."""
        async with asyncio.timeout(PATIENCE_S):
            while (counted := await self.counted())["requests_processing"]:
                pass
        return counted


@pytest.fixture(scope="module")
def engine_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One process for all tests: the engine's faults are not ours."""
    command = [sys.executable, "-m", "tests.clients.tiny_model", str(tmp_path_factory.mktemp("m"))]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=Path(__file__).parents[2],
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, "the engine did not start; its complaint is above"
            yield url
        finally:
            process.kill()


@pytest.fixture
async def engine(engine_url: str) -> AsyncIterator[Engine]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_S)) as http:
        yield Engine(engine_url, http)


@pytest.fixture(params=list(SPOKEN))
async def proxy(
    request: pytest.FixtureRequest, engine: Engine, tmp_path: Path
) -> AsyncIterator[Proxy]:
    """Whatever was not estimated is in the books as the engine itself counted it."""
    before = await engine.idle()
    async with before_the_engine(tmp_path, engine, SPOKEN[request.param]) as running:
        yield running
        charges = await running.charges()
    after = await engine.idle()
    if any(one.estimated for one in charges):
        return
    worked = {name: after[name] - before[name] for name in after}
    cached = worked["prompt_tokens_cached_total"]
    assert sum(one.usage.completion or 0 for one in charges) == worked["tokens_predicted_total"]
    assert sum(one.usage.cached or 0 for one in charges) == cached
    assert sum(one.usage.prompt or 0 for one in charges) == worked["prompt_tokens_total"] + cached


def before_the_engine(folder: Path, engine: Engine, spoken: str, **more: Any) -> Any:
    given: dict[str, Any] = {"names": (), "urls": {"a": f"{engine.root}/v1"}, "provider": spoken}
    return serving(folder, **given | more)


def words_of(text: str) -> list[str]:
    words = text.split()
    assert set(words) <= set(WORDS)
    return words


async def test_chat_plain_and_streamed_say_the_same(proxy: Proxy, engine: Engine) -> None:
    """What it says, and what its own tokenizer counts; the second time from its cache."""
    ask: Any = {"model": MODEL, "messages": QUESTION, "max_tokens": TOKENS, "temperature": 0}
    client = proxy.client()
    plain = await client.chat.completions.create(**ask)
    stream = await client.chat.completions.create(
        **ask, stream=True, stream_options={"include_usage": True}
    )
    chunks = [one async for one in stream]
    choices = [choice for chunk in chunks for choice in chunk.choices]
    streamed = "".join(one.delta.content or "" for one in choices)
    assert plain.choices[0].message.content == streamed
    assert len(words_of(streamed)) == TOKENS
    assert plain.choices[0].finish_reason == choices[-1].finish_reason == "length"
    tokens = await engine.tokens_of(QUESTION)
    for usage in (plain.usage, chunks[-1].usage):
        assert usage is not None
        assert (usage.prompt_tokens, usage.completion_tokens) == (tokens, TOKENS)
    _, again = await proxy.charges()
    assert (again.usage.cached or 0) > 0


class Tree(BaseModel):
    kind: Literal["oak", "elm"]


@pytest.mark.parametrize("proxy", [PRESET, CHATS], indirect=True)
async def test_structured_output(proxy: Proxy) -> None:
    """On each wire the engine's grammar lets it say nothing else; then it ends by itself. Only its
    chats have that grammar, so whoever asks is to be translated to them."""
    client = proxy.client()
    chat = await client.chat.completions.parse(
        model=MODEL, messages=QUESTION, response_format=Tree, max_tokens=200
    )
    answer = await client.responses.parse(
        model=MODEL, input="oak or elm?", text_format=Tree, max_output_tokens=200
    )
    async with talking(proxy) as other:
        message = await other.messages.parse(
            model=MODEL, messages=QUESTION, output_format=Tree, max_tokens=200
        )
    assert chat.choices[0].finish_reason == "stop"
    assert isinstance(chat.choices[0].message.parsed, Tree)
    assert isinstance(answer.output_parsed, Tree)
    assert message.stop_reason == "end_turn"
    assert isinstance(message.parsed_output, Tree)


async def test_responses(proxy: Proxy, engine: Engine) -> None:
    """Plain and streamed, in the engine's own words or translated."""
    ask: Any = {"model": MODEL, "input": QUESTION, "max_output_tokens": TOKENS, "temperature": 0}
    client = proxy.client()
    plain: Any = await client.responses.create(**ask)
    async with client.responses.stream(**ask) as stream:
        events: list[Any] = [one async for one in stream]
    deltas = [one.delta for one in events if one.type == "response.output_text.delta"]
    assert len(words_of(plain.output_text)) == TOKENS
    assert "".join(deltas) == plain.output_text
    for one in (plain, events[-1].response):
        assert one.status == "incomplete"
        assert one.incomplete_details.reason == "max_output_tokens"
    tokens = await engine.tokens_of(QUESTION)
    assert (plain.usage.input_tokens, plain.usage.output_tokens) == (tokens, TOKENS)


async def test_messages(proxy: Proxy, engine: Engine) -> None:
    """Anthropic's client, plain and streamed; input_tokens are without what came from a cache."""
    ask: Any = {"model": MODEL, "messages": QUESTION, "max_tokens": TOKENS}
    ask["extra_body"] = {"temperature": 0}
    async with talking(proxy) as client:
        plain = await client.messages.create(**ask)
        async with client.messages.stream(**ask) as stream:
            text = "".join([one async for one in stream.text_stream])
            streamed = await stream.get_final_message()
    tokens = await engine.tokens_of(QUESTION)
    assert len(words_of(text)) == TOKENS
    for one in (plain, streamed):
        assert one.content[0].text == text  # type: ignore[union-attr]
        assert one.stop_reason == "max_tokens"
        assert one.usage.input_tokens + (one.usage.cache_read_input_tokens or 0) == tokens
        assert one.usage.output_tokens == TOKENS


def talking(proxy: Proxy) -> anthropic.AsyncAnthropic:
    root = proxy.base_url.removesuffix("/v1")
    return anthropic.AsyncAnthropic(base_url=root, api_key=proxy.key, max_retries=0)


async def test_embeddings_and_counts(engine: Engine, tmp_path: Path) -> None:
    """What only it can know it is asked for: vectors of the model's width, and counted tokens."""
    async with (
        before_the_engine(tmp_path, engine, SPOKEN[PRESET]) as proxy,
        talking(proxy) as other,
    ):
        texts = ["oak elm", "ash"]
        found = await proxy.client().embeddings.create(model=MODEL, input=texts)
        counted = await other.messages.count_tokens(model=MODEL, messages=QUESTION)
        assert counted.input_tokens == await engine.tokens_of(QUESTION)
        assert found.usage.prompt_tokens == sum([await engine.tokens_in(one) for one in texts])
        (charge,) = await proxy.charges()
        assert charge.usage.prompt == found.usage.prompt_tokens
    for one in found.data:
        assert len(one.embedding) == WIDTH
        assert math.hypot(*one.embedding) == pytest.approx(1.0, rel=1e-3)


async def test_an_aborted_stream_ends_the_engines_work(proxy: Proxy, engine: Engine) -> None:
    """The one slot is free again long before the answer would have ended; what was delivered is
    charged, as an estimate."""
    before = await engine.idle()
    stream = await proxy.client().chat.completions.create(
        model=MODEL, messages=QUESTION, max_tokens=MANY_TOKENS, stream=True
    )
    said = ""
    async for chunk in stream:
        said += chunk.choices[0].delta.content or ""
        if len(said.split()) >= 5:
            break
    await stream.close()
    after = await engine.idle()
    assert after["n_decode_total"] - before["n_decode_total"] < MANY_TOKENS
    (charge,) = await proxy.settled(attempts=1)
    assert charge.estimated
    assert 5 <= (charge.usage.completion or 0) < MANY_TOKENS


async def test_a_prompt_that_is_too_long(proxy: Proxy) -> None:
    """What the engine says of its context is told in the words of each wire, and charged to
    nobody."""
    with pytest.raises(openai.BadRequestError, match="context size") as refused:
        await proxy.client().chat.completions.create(
            model=MODEL, messages=TOO_LONG, max_tokens=TOKENS
        )
    assert refused.value.code == "context_length_exceeded"
    async with talking(proxy) as client:
        with pytest.raises(anthropic.BadRequestError, match="context size"):
            await client.messages.create(model=MODEL, messages=TOO_LONG, max_tokens=TOKENS)
    assert await proxy.charges() == []


async def test_who_takes_longer_prompts_is_asked(engine: Engine, tmp_path: Path) -> None:
    """A prompt that is too long for the cheapest goes to the next offer."""
    async with before_the_engine(tmp_path, engine, "", names=("b",)) as proxy:
        raw = await proxy.client().chat.completions.with_raw_response.create(
            model=MODEL, messages=TOO_LONG, max_tokens=TOKENS
        )
        assert raw.headers["x-hedgerow-provider"] == "b"
        assert raw.headers["x-hedgerow-attempts"] == "2"
        (charge,) = await proxy.charges()
        assert charge.provider == "b"

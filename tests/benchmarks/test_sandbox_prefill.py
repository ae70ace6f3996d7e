"""Sandbox providers that are given the beginning of their answer: they go on where it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import anthropic
import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.sandbox import Behaviour, SandboxProvider
from benchmarks.sandbox.words import WORDS, Finish, say

MODEL = "oak-70b"
FAST = Behaviour(models=(MODEL,), time_scale=0.0)
HELLO: Any = [{"role": "user", "content": "one two three"}]


@pytest.fixture
async def provider() -> AsyncIterator[SandboxProvider]:
    async with SandboxProvider(FAST) as running:
        yield running


@pytest.fixture
async def client(provider: SandboxProvider) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with official(provider) as made:
        yield made


def official(provider: SandboxProvider) -> anthropic.AsyncAnthropic:
    root = provider.base_url.removesuffix("/v1")
    return anthropic.AsyncAnthropic(base_url=root, api_key="sk-ant-any", max_retries=0)


def asking(**extra: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": HELLO, "max_tokens": 4_096, **extra}


def whole(count: int) -> str:
    return " ".join(WORDS[place % len(WORDS)] for place in range(count))


@given(wished=st.integers(1, 30), cut=st.integers(0, 200), limit=st.integers(1, 40))
def test_an_answer_goes_on_where_it_was_left(wished: int, cut: int, limit: int) -> None:
    """At whatever character: the beginning and what comes are the answer without a beginning, up
    to the limit; every piece is one token."""
    text = whole(wished)
    begun = text[: min(cut, len(text))]

    said = say(wished, limit, prefill=begun)

    assert text.startswith(begun + said.text)
    assert len(said.pieces) <= limit
    missing = len(text[len(begun) :].split())
    assert len(said.pieces) == min(missing, limit)
    assert said.finish is (Finish.STOP if missing <= limit else Finish.LENGTH)


@given(
    begun=st.text("xy ", min_size=1, max_size=20).map(str.strip).filter(bool),
    wished=st.integers(1, 30),
)
def test_a_beginning_that_is_not_its_own_is_gone_on_with(begun: str, wished: int) -> None:
    """As many words further on as were given, in its own words."""
    said = say(wished, 100, prefill=begun)

    words = [WORDS[place % len(WORDS)] for place in range(wished)]
    assert said.text.split() == words[len(begun.split()) :]
    assert said.text == "" or said.text.startswith(" ")


async def test_another_provider_finishes_what_one_began(client: anthropic.AsyncAnthropic) -> None:
    """At temperature 0, over the wire, whatever the seeds: beginning + rest = the whole."""
    whole_text = await text_of(client, asking(extra_body={"temperature": 0}))
    begun = whole_text[: len(whole_text) // 2].rstrip()
    prefilled = [*HELLO, {"role": "assistant", "content": begun}]
    async with SandboxProvider(replace(FAST, seed=7)) as other, official(other) as second:
        rest = await text_of(second, asking(extra_body={"temperature": 0}, messages=prefilled))
        assert begun + rest == whole_text
    async with (
        SandboxProvider(replace(FAST, voice="north")) as other,
        official(other) as second,
    ):
        rest = await text_of(second, asking(extra_body={"temperature": 0}, messages=prefilled))
        assert begun + rest != whole_text
        assert len((begun + rest).split()) == len(whole_text.split())


async def text_of(client: anthropic.AsyncAnthropic, asked: dict[str, Any]) -> str:
    answer: Message = await client.messages.create(**asked)
    (block,) = answer.content
    assert block.type == "text"
    return block.text


async def test_what_is_finished_has_no_more_words(
    provider: SandboxProvider, client: anthropic.AsyncAnthropic
) -> None:
    """A beginning that is the whole answer is followed by nothing, plain and streamed."""
    messages = [*HELLO, {"role": "assistant", "content": "hawthorn hazel"}]
    asked: dict[str, Any] = asking(messages=messages, extra_body={"sandbox": {"output_tokens": 2}})
    plain = await client.messages.create(**asked)
    async with client.messages.stream(**asked) as stream:
        streamed = await stream.get_final_message()

    assert (plain.content, plain.stop_reason, plain.usage.output_tokens) == ([], "end_turn", 0)
    assert (streamed.content, streamed.stop_reason) == (plain.content, plain.stop_reason)
    assert streamed.usage.output_tokens == 0
    assert provider.tally.completion_tokens == 0


async def test_a_beginning_may_not_end_with_a_space(client: anthropic.AsyncAnthropic) -> None:
    """As with Anthropic: the next token would begin with one."""
    messages = [*HELLO, {"role": "assistant", "content": "hawthorn "}]
    asked: dict[str, Any] = asking(messages=messages)
    with pytest.raises(anthropic.BadRequestError, match="trailing whitespace"):
        await client.messages.create(**asked)

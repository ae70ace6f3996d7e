"""langchain-openai: its models and embeddings, as chains use them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from benchmarks.sandbox import Fault
from tests.serving import MODEL, Proxy, serving, wishing

SEVEN = "hawthorn hazel holly dogwood elder field maple"
USE_IT = HumanMessage("use the tool, please")
WIRES = pytest.mark.parametrize("responses", [False, True], ids=["chats", "responses"])


@tool
def echo(echo: str) -> str:
    """Says it again."""
    return f"{echo}, {echo}"


class Trees(BaseModel):
    """What a hedgerow is made of."""

    answer: str


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """Its own one outlives the event loop of a test."""
    async with openai.DefaultAsyncHttpxClient() as one:
        yield one


def talking(proxy: Proxy, http: httpx.AsyncClient, **settings: Any) -> ChatOpenAI:
    given: dict[str, Any] = {
        "model": MODEL,
        "base_url": proxy.base_url,
        "api_key": proxy.key,
        "max_tokens": 500,
        "max_retries": 0,
    }
    return ChatOpenAI(http_async_client=http, **given | settings)


async def whole(stream: AsyncIterator[AIMessage]) -> AIMessage:
    """Its chunks add up to what a plain answer would have been."""
    added: Any = None
    async for chunk in stream:
        added = chunk if added is None else added + chunk
    assert isinstance(added, AIMessage)
    return added


def usage(message: AIMessage) -> list[int]:
    assert message.usage_metadata is not None
    return [message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"]]


@WIRES
async def test_plain_and_streamed_say_the_same(
    proxy: Proxy, http: httpx.AsyncClient, responses: bool
) -> None:
    """Text and usage; `stream_usage` asks for it, and the books have it too."""
    model = talking(
        proxy,
        http,
        use_responses_api=responses,
        stream_usage=True,
        extra_body={"sandbox": wishing(7)},
    )
    plain = await model.ainvoke("one two three")
    streamed = await whole(model.astream("one two three"))
    for one in (plain, streamed):
        assert one.text == SEVEN
        assert usage(one) == [3, 7]
    for charge in await proxy.charges():
        assert (charge.usage.prompt, charge.usage.completion) == (3, 7)


@WIRES
async def test_a_conversation_with_tools(
    proxy: Proxy, http: httpx.AsyncClient, responses: bool
) -> None:
    """bind_tools: the call whole and in pieces, what the tool says, and the answer to that."""
    model = talking(proxy, http, use_responses_api=responses)
    with_tools = model.bind_tools([echo])
    plain = await with_tools.ainvoke([USE_IT])
    streamed = await whole(with_tools.astream([USE_IT]))
    for one in (plain, streamed):
        (call,) = one.tool_calls
        assert (call["name"], call["args"]) == ("echo", {"echo": USE_IT.content})
    heard = await echo.ainvoke(plain.tool_calls[0])
    assert isinstance(heard, ToolMessage)
    ended = await with_tools.ainvoke([USE_IT, plain, heard])
    assert ended.text
    assert not ended.tool_calls


@WIRES
async def test_structured_output(proxy: Proxy, http: httpx.AsyncClient, responses: bool) -> None:
    """An object of the class that was asked for."""
    model = talking(proxy, http, use_responses_api=responses)
    answer = await model.with_structured_output(Trees, method="json_schema").ainvoke("one two")
    assert isinstance(answer, Trees)


@pytest.mark.parametrize("method", ["json_mode", "function_calling"])
async def test_older_ways_to_structure(
    full_proxy: Proxy, http: httpx.AsyncClient, method: Any
) -> None:
    """JSON without a schema, and a class as a tool that has to be called."""
    model = talking(full_proxy, http).with_structured_output(Trees, method=method, include_raw=True)
    answer = await model.ainvoke("one tool, as json")
    assert isinstance(answer, dict)
    raw = answer["raw"]
    assert isinstance(raw, AIMessage)
    assert bool(raw.tool_calls) == (method == "function_calling")
    if method == "json_mode":
        assert isinstance(answer["parsed"], Trees)


async def test_several_at_once(proxy: Proxy, http: httpx.AsyncClient) -> None:
    """`abatch` over one connection pool: each answer is of its own question, each charged once."""
    model = talking(proxy, http, max_tokens=2)
    questions = [" ".join(["word"] * size) for size in range(1, 6)]
    answers = await model.abatch(list(questions))
    assert [usage(one)[0] for one in answers] == [1, 2, 3, 4, 5]
    assert len(await proxy.charges()) == 5


async def test_embeddings(full_proxy: Proxy, http: httpx.AsyncClient) -> None:
    """Documents and a query; texts as they are, as for any host that is not OpenAI's."""
    given: dict[str, Any] = {"base_url": full_proxy.base_url, "api_key": full_proxy.key}
    model = OpenAIEmbeddings(
        model=MODEL, check_embedding_ctx_length=False, http_async_client=http, **given
    )
    documents = await model.aembed_documents(["one two", "three"])
    query = await model.aembed_query("one two")
    assert len(documents) == 2
    assert documents[0] == pytest.approx(query, rel=1e-5)


@WIRES
@pytest.mark.parametrize("endpoints", ["chat/completions", "messages"])
async def test_a_cut_stream_raises(
    tmp_path: Path, http: httpx.AsyncClient, responses: bool, endpoints: str
) -> None:
    """A chain never takes a part of an answer for the whole."""
    async with serving(tmp_path, provider=f", endpoints: [{endpoints}]", honest=False) as proxy:
        proxy.a.fault = Fault.CUT
        model = talking(
            proxy, http, use_responses_api=responses, extra_body={"sandbox": wishing(60)}
        )
        with pytest.raises(openai.APIError, match="broke off"):
            async for _ in model.astream("one two three"):
                pass
        (charge,) = await proxy.charges()
        assert charge.estimated


@WIRES
async def test_errors_have_their_classes(
    proxy: Proxy, http: httpx.AsyncClient, responses: bool
) -> None:
    """The classes of the package below, unchanged."""
    with pytest.raises(openai.NotFoundError, match="there are: oak"):
        await talking(proxy, http, use_responses_api=responses, model="elm").ainvoke("one")
    with pytest.raises(openai.AuthenticationError):
        await talking(proxy, http, use_responses_api=responses, api_key="sk-wrong").ainvoke("one")

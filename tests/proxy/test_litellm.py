"""The real LiteLLM in its process: what providers get, what comes back, and what never happens."""

from __future__ import annotations

import asyncio
import binascii
import json
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from benchmarks.sandbox import Behaviour, Fault, SandboxProvider
from proxy.clock import SystemClock
from proxy.litellm_upstream import LitellmUpstream, litellm_upstream
from proxy.upstream import Answer, UpstreamRequest
from tests.serving import FAST, HELLO, PACED, PATIENCE_S, UPSTREAM_MODEL, Gate

pytestmark = pytest.mark.asyncio(loop_scope="module")
START_S = 60.0
WIRE = "hosted_vllm"
"""A provider of LiteLLM's that speaks OpenAI's wire at any address."""
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "echo",
            "parameters": {"type": "object", "properties": {"text": {"type": "string"}}},
        },
    }
]
WATCH = """
import os, sys

def note(event, args):
    if event == "socket.getaddrinfo":
        where = f"lookup {args[0]}"
    elif event == "socket.connect" and isinstance(args[1], tuple):
        where = "{}:{}".format(*args[1][:2])
    else:
        return
    with open(os.environ["WATCHED"], "a") as file:
        file.write(where + chr(10))

sys.addaudithook(note)
"""
"""In a sitecustomize.py: writes down every address that a process connects to or looks up."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.json["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        return error

    @property
    def events(self) -> list[Any]:
        texts = [one.removeprefix("data: ") for one in self.body.decode().split("\n\n") if one]
        return [one if one == "[DONE]" else json.loads(one) for one in texts]

    @property
    def chunks(self) -> list[ChatCompletionChunk]:
        """Those of a whole stream, which ends with [DONE]."""
        *chunks, done = self.events
        assert done == "[DONE]"
        return [ChatCompletionChunk.model_validate(one) for one in chunks]


@dataclass(slots=True)
class Litellm:
    """The upstream under test. connections: where its process writes down those that it makes."""

    upstream: LitellmUpstream
    connections: Path

    async def send(self, request: UpstreamRequest) -> Answer:
        return await self.upstream.send(request)

    async def ask(self, request: UpstreamRequest) -> Reply:
        answer = await self.upstream.send(request)
        try:
            return Reply(answer.status, dict(answer.headers), await answer.all(1 << 20))
        finally:
            answer.close()


def to(
    provider: str,
    base_url: str,
    body: Any = None,
    *,
    endpoint: str = "chat/completions",
    key: str | None = "sk-upstream",
    kind: str = "application/json",
    **params: Any,
) -> UpstreamRequest:
    headers = {
        "Content-Type": kind,
        "x-litellm-params": json.dumps({"api_base": base_url} | params),
    }
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return UpstreamRequest(f"litellm://{provider}/{endpoint}", headers, data, START_S, PATIENCE_S)


def chat(**extra: Any) -> dict[str, Any]:
    return {"model": UPSTREAM_MODEL, "messages": HELLO} | extra


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def litellm(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Litellm]:
    """One process for all tests here: its start takes seconds."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "sitecustomize.py").write_text(WATCH)
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    environ = os.environ | nowhere
    environ |= {"NO_PROXY": "127.0.0.1", "PYTHONPATH": str(folder)}
    environ |= {"WATCHED": str(folder / "connections"), "AWS_EC2_METADATA_DISABLED": "true"}
    environ |= {"NO_GCE_CHECK": "true"}
    environ |= {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
    async with litellm_upstream(SystemClock(), environ) as upstream:
        found = Litellm(upstream, folder / "connections")
        assert (await found.ask(to("nobody", "http://127.0.0.1:9", chat()))).status == 404
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def sandbox() -> AsyncIterator[SandboxProvider]:
    async with SandboxProvider(FAST) as provider:
        yield provider


@dataclass(slots=True)
class Heard:
    """What a scripted provider was sent."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Scripted:
    """A provider that says the same to everybody, and writes down what it was asked."""

    base_url: str
    heard: list[Heard] = field(default_factory=list)


@asynccontextmanager
async def saying(body: Any, kind: str = "application/json") -> AsyncIterator[Scripted]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(http: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in http.headers.items()}
        provider.heard.append(Heard(http.raw_path, headers, await http.read()))
        return web.Response(body=data, headers={"content-type": kind})

    async with serving_http(answer) as base_url:
        provider = Scripted(base_url)
        yield provider


@asynccontextmanager
async def serving_http(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


# -- answers


async def test_a_plain_answer_is_openais(litellm: Litellm, sandbox: SandboxProvider) -> None:
    """Text, finish reason, model and usage are what the provider said; the key that it got is the
    one that was named, and fields that LiteLLM does not know reach it as they are."""
    sandbox.behaviour = Behaviour((UPSTREAM_MODEL,), time_scale=0.0, api_key="sk-upstream")
    reply = await litellm.ask(to(WIRE, sandbox.base_url, chat(sandbox={"output_tokens": 7})))

    answer = ChatCompletion.model_validate(reply.json)
    assert reply.headers["content-type"].startswith("application/json")
    assert answer.choices[0].message.content == "hawthorn hazel holly dogwood elder field maple"
    assert (answer.choices[0].finish_reason, answer.model) == ("stop", UPSTREAM_MODEL)
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 7)
    assert sandbox.tally.completion_tokens == 7


async def test_a_stream_is_passed_on_as_it_comes(litellm: Litellm) -> None:
    """The first words are here while the provider still holds back the rest; the last chunk has
    the usage and no choices, and [DONE] follows it."""
    gate = Gate(open_for=3)
    async with SandboxProvider(PACED, sleep=gate.sleep) as provider:
        body = chat(stream=True, sandbox={"output_tokens": 9})
        answer = await litellm.send(to(WIRE, provider.base_url, body))
        first = b""
        while b"hawthorn" not in first:
            first += await answer.some()
        assert b"elder" not in first
        gate.open()
        reply = Reply(200, dict(answer.headers), first + await answer.all(1 << 20))
        answer.close()

    assert reply.headers["content-type"].startswith("text/event-stream")
    *chunks, last = reply.chunks
    text = "".join(one.choices[0].delta.content or "" for one in chunks)
    assert text.split()[:7] == ["hawthorn", "hazel", "holly", "dogwood", "elder", "field", "maple"]
    assert [one.choices[0].finish_reason for one in chunks][-1] == "stop"
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (3, 9)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_tools_are_called(litellm: Litellm, sandbox: SandboxProvider, streamed: bool) -> None:
    """A tool call is whole, in one piece or in several."""
    ask = chat(messages=[{"role": "user", "content": "use the tool"}], tools=TOOLS, stream=streamed)
    reply = await litellm.ask(to(WIRE, sandbox.base_url, ask))

    if streamed:
        pieces = [
            call
            for chunk in reply.chunks
            for choice in chunk.choices
            for call in choice.delta.tool_calls or ()
        ]
        names = [one.function.name for one in pieces if one.function and one.function.name]
        arguments = "".join(one.function.arguments or "" for one in pieces if one.function)
        finish = [one.choices[0].finish_reason for one in reply.chunks if one.choices][-1]
    else:
        (choice,) = ChatCompletion.model_validate(reply.json).choices
        calls: list[Any] = choice.message.tool_calls or []
        names = [one.function.name for one in calls]
        arguments = "".join(one.function.arguments for one in calls)
        finish = choice.finish_reason
    assert (names, json.loads(arguments), finish) == (
        ["echo"],
        {"echo": "use the tool"},
        "tool_calls",
    )


CLAUDE = "claude-sonnet-4-5"
CLAUDE_USAGE = {
    "input_tokens": 5,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 20,
    "output_tokens": 4,
}
CLAUDE_SAYS = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": CLAUDE,
    "content": [
        {"type": "text", "text": "so be it"},
        {"type": "tool_use", "id": "toolu_1", "name": "echo", "input": {"text": "oak"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": CLAUDE_USAGE,
}


def claude_events() -> bytes:
    start = CLAUDE_SAYS | {"content": [], "stop_reason": None}
    tool = {"type": "tool_use", "id": "toolu_1", "name": "echo", "input": {}}
    events: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": start | {"usage": CLAUDE_USAGE | {"output_tokens": 1}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "so be it"},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": tool},
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": '{"text": "oak"}'},
        },
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 4},
        },
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_another_wire_is_spoken(litellm: Litellm, streamed: bool) -> None:
    """Anthropic's wire: the system prompt, the tools and the key stand where it wants them; its
    answer comes back as OpenAI's, and its usage counts what was cached into the prompt."""
    said = (claude_events(), "text/event-stream") if streamed else (CLAUDE_SAYS,)
    messages = [{"role": "system", "content": "Be brief."}, *HELLO]
    body = chat(model=CLAUDE, messages=messages, tools=TOOLS, max_tokens=50, stream=streamed)
    async with saying(*said) as provider:
        reply = await litellm.ask(to("anthropic", provider.base_url, body))
        (heard,) = provider.heard

    assert heard.path == "/v1/messages"
    assert heard.headers["x-api-key"] == "sk-upstream"
    assert heard.json["system"] == [{"type": "text", "text": "Be brief."}]
    assert (heard.json["tools"][0]["name"], heard.json["max_tokens"]) == ("echo", 50)
    if streamed:
        *chunks, last = reply.chunks
        usage = last.usage
        text = "".join(one.choices[0].delta.content or "" for one in chunks)
        finish = chunks[-1].choices[0].finish_reason
    else:
        answer = ChatCompletion.model_validate(reply.json)
        usage, finish = answer.usage, answer.choices[0].finish_reason
        text = answer.choices[0].message.content or ""
    assert (text, finish) == ("so be it", "tool_calls")
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (125, 4)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 100


def aws_event(kind: str, payload: dict[str, Any]) -> bytes:
    """A message of the AWS event stream encoding: lengths, headers, payload and two checksums."""
    headers = b"".join(
        bytes([len(name)])
        + name.encode()
        + b"\x07"
        + struct.pack(">H", len(value))
        + value.encode()
        for name, value in (
            (":event-type", kind),
            (":content-type", "application/json"),
            (":message-type", "event"),
        )
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + body
    return message + struct.pack(">I", binascii.crc32(message))


BEDROCK = "anthropic.claude-3-haiku-20240307-v1:0"
BEDROCK_USAGE = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_bedrock_takes_its_account_from_the_environment(
    litellm: Litellm, streamed: bool
) -> None:
    """The request is signed with the environment's keys; AWS's binary stream becomes events."""
    plain = {
        "output": {"message": {"role": "assistant", "content": [{"text": "so be it"}]}},
        "stopReason": "end_turn",
        "usage": BEDROCK_USAGE,
    }
    events = [
        aws_event("messageStart", {"role": "assistant"}),
        aws_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "so be"}}),
        aws_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": " it"}}),
        aws_event("contentBlockStop", {"contentBlockIndex": 0}),
        aws_event("messageStop", {"stopReason": "end_turn"}),
        aws_event("metadata", {"usage": BEDROCK_USAGE, "metrics": {"latencyMs": 1}}),
    ]
    said = (b"".join(events), "application/vnd.amazon.eventstream") if streamed else (plain,)
    async with saying(*said) as provider:
        where = {"aws_region_name": "eu-west-1", "aws_bedrock_runtime_endpoint": provider.base_url}
        body = chat(model=BEDROCK, stream=streamed)
        reply = await litellm.ask(to("bedrock", provider.base_url, body, key=None, **where))
        (heard,) = provider.heard

    signed = heard.headers["authorization"]
    assert signed.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-1/bedrock/" in signed
    assert heard.path.endswith("/converse-stream" if streamed else "/converse")
    if streamed:
        *chunks, last = reply.chunks
        assert "".join(one.choices[0].delta.content or "" for one in chunks) == "so be it"
        usage = last.usage
    else:
        answer = ChatCompletion.model_validate(reply.json)
        assert answer.choices[0].message.content == "so be it"
        usage = answer.usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 2)


OTHERS: dict[str, tuple[str, str, dict[str, Any], Any]] = {
    "completions": (
        WIRE,
        "/completions",
        {"prompt": "x"},
        {
            "id": "cmpl-1",
            "object": "text_completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "text": "oak", "finish_reason": "stop", "logprobs": None}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
        },
    ),
    "embeddings": (
        "openai",
        "/embeddings",
        {"input": ["x"]},
        {
            "object": "list",
            "model": "m",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        },
    ),
    "images/generations": (
        "openai",
        "/images/generations",
        {"prompt": "x", "n": 2},
        {"created": 1, "data": [{"url": "https://images.example/oak.png"}]},
    ),
    "moderations": (
        "openai",
        "/moderations",
        {"input": "x"},
        {
            "id": "modr-1",
            "model": "m",
            "results": [{"flagged": True, "categories": {}, "category_scores": {}}],
        },
    ),
    "rerank": (
        "cohere",
        "/v2/rerank",
        {"query": "x", "documents": ["a", "b"]},
        {
            "id": "r-1",
            "results": [{"index": 1, "relevance_score": 0.5}],
            "meta": {"billed_units": {"search_units": 1}},
        },
    ),
}


@pytest.mark.parametrize("endpoint", list(OTHERS))
async def test_the_other_endpoints(litellm: Litellm, endpoint: str) -> None:
    """Each asks the provider's own endpoint, once; what the answer says is what it said."""
    provider, path, body, said = OTHERS[endpoint]
    async with saying(said) as scripted:
        base = scripted.base_url + (path if provider == "cohere" else "")
        ask = to(provider, base, {"model": "m"} | body, endpoint=endpoint)
        reply = await litellm.ask(ask)
        (heard,) = scripted.heard
    assert (reply.status, heard.path) == (200, path)
    assert heard.json == {"model": "m"} | body
    assert contains(reply.json, said)


def contains(found: Any, expected: Any) -> bool:
    """Whether all that is expected is there; more is no harm, and nothing is as good as null."""
    if isinstance(expected, dict):
        return all(contains(found.get(name), value) for name, value in expected.items())
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(contains, found, expected))
    return bool(found == expected)


async def test_speech_is_bytes(litellm: Litellm) -> None:
    """Sound comes as it is, of its own content type."""
    sound = bytes(range(256))
    async with saying(sound, "audio/mpeg") as provider:
        body = {"model": "m", "input": "x", "voice": "alloy"}
        reply = await litellm.ask(to("openai", provider.base_url, body, endpoint="audio/speech"))
    assert (reply.body, reply.headers["content-type"]) == (sound, "audio/mpeg")


async def test_a_transcription_is_a_form(litellm: Litellm) -> None:
    """The file and its fields reach the provider; its text comes back."""
    form = aiohttp.FormData({"model": "m", "language": "en", "temperature": "0.5"})
    form.add_field("file", b"RIFF-oak", filename="oak.wav", content_type="audio/wav")
    payload = form()
    async with saying({"text": "one two"}) as provider:
        reply = await litellm.ask(
            to(
                "openai",
                provider.base_url,
                await payload.as_bytes(),
                endpoint="audio/transcriptions",
                kind=payload.headers["content-type"],
            )
        )
        (heard,) = provider.heard
    assert reply.json == {"text": "one two"}
    assert heard.path == "/audio/transcriptions"
    assert all(part in heard.body for part in (b'filename="oak.wav"', b"RIFF-oak", b"0.5"))


async def test_many_at_once_get_their_own_answers(
    litellm: Litellm, sandbox: SandboxProvider
) -> None:
    """Fifty requests under way together, plain and streamed, do not meet."""

    async def one(count: int) -> None:
        body = chat(stream=count % 2 == 0, sandbox={"output_tokens": count})
        reply = await litellm.ask(to(WIRE, sandbox.base_url, body))
        usage = reply.events[-2]["usage"] if body["stream"] else reply.json["usage"]
        assert usage["completion_tokens"] == count

    await asyncio.gather(*[one(count) for count in range(1, 51)])


# -- what goes wrong


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.HTTP_429, 429, "rate_limit_exceeded"),
        (Fault.HTTP_401, 401, "invalid_api_key"),
        (Fault.HTTP_500, 500, None),
        (Fault.RESET, 504, None),
        (Fault.NONSENSE, 504, None),
    ],
)
async def test_a_provider_that_refuses_or_fails(
    litellm: Litellm,
    sandbox: SandboxProvider,
    fault: Fault,
    status: int,
    code: str | None,
    streamed: bool,
) -> None:
    """Its own status and words, and when to come back. Where it was asked and gave no answer that
    can be read, 504: it may bill that. It is asked once, whatever happens."""
    sandbox.fault = fault
    reply = await litellm.ask(to(WIRE, sandbox.base_url, chat(stream=streamed)))
    assert (reply.status, reply.error["code"]) == (status, code)
    assert sandbox.tally.requests == 1
    assert ("retry-after" in reply.headers) == (fault is Fault.HTTP_429)
    assert "litellm" not in reply.error["message"].lower()


async def test_a_callers_mistake_is_told_in_the_providers_words(
    litellm: Litellm, sandbox: SandboxProvider
) -> None:
    """A prompt that is too long: status, message, param and code are the provider's."""
    sandbox.behaviour = Behaviour((UPSTREAM_MODEL,), time_scale=0.0, context_tokens=3)
    reply = await litellm.ask(to(WIRE, sandbox.base_url, chat()))
    assert reply.status == 400
    assert (reply.error["param"], reply.error["code"]) == ("messages", "context_length_exceeded")
    assert reply.error["message"].startswith("This model's maximum context length is 3 tokens.")


async def test_nothing_was_sent_where_nobody_listens(litellm: Litellm, closed_port: int) -> None:
    """No connection is 503, which books nothing."""
    reply = await litellm.ask(to(WIRE, f"http://127.0.0.1:{closed_port}/v1", chat()))
    assert reply.status == 503


@pytest.fixture
def closed_port() -> Iterator[int]:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    ("provider", "model", "status"),
    [("no_such_provider", "m", 404), ("vertex_ai", "gemini-2.0-flash", 401)],
)
async def test_what_the_operator_has_to_mend_is_logged(
    litellm: Litellm,
    sandbox: SandboxProvider,
    caplog: pytest.LogCaptureFixture,
    provider: str,
    model: str,
    status: int,
) -> None:
    """A provider that LiteLLM does not know, or for which the environment has no credentials: said
    in the log, and by a status that is not the client's."""
    with caplog.at_level(logging.ERROR, "hedgerow"):
        reply = await litellm.ask(to(provider, sandbox.base_url, chat(model=model), key=None))
    assert reply.status == status
    assert [one for one in caplog.messages if one.startswith(f"{provider}, through LiteLLM: ")]


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.SHORT])
async def test_a_cut_stream_never_looks_finished(
    litellm: Litellm, sandbox: SandboxProvider, fault: Fault
) -> None:
    """A connection that breaks, and a stream that just ends: what came is passed on, then an error
    event; LiteLLM's own finish_reason and [DONE] are not."""
    body = chat(stream=True, sandbox={"output_tokens": 60, "fault": fault})
    reply = await litellm.ask(to(WIRE, sandbox.base_url, body))
    *chunks, last = reply.events
    assert reply.status == 200
    assert "hawthorn" in chunks[1]["choices"][0]["delta"]["content"]
    assert all(one["choices"][0]["finish_reason"] is None for one in chunks)
    assert last["error"].keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_usage_is_never_made_up(
    litellm: Litellm, sandbox: SandboxProvider, streamed: bool
) -> None:
    """A provider that does not say what it used: then there is none, neither zeros nor guesses."""
    body = chat(stream=streamed, sandbox={"output_tokens": 20, "fault": Fault.NO_USAGE})
    reply = await litellm.ask(to(WIRE, sandbox.base_url, body))
    assert reply.status == 200
    assert all("usage" not in one for one in (reply.events[:-1] if streamed else [reply.json]))


async def test_several_choices_are_not_streamed(litellm: Litellm, sandbox: SandboxProvider) -> None:
    """LiteLLM would lose how all but the first of them ended: refused before it is asked."""
    reply = await litellm.ask(to(WIRE, sandbox.base_url, chat(stream=True, n=2)))
    assert (reply.status, reply.error["param"]) == (400, "n")
    plain = await litellm.ask(to(WIRE, sandbox.base_url, chat(n=2)))
    assert len(plain.json["choices"]) == 2
    assert sandbox.tally.requests == 1


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b'{"messages": []}'])
async def test_what_is_no_request_is_the_callers_mistake(litellm: Litellm, body: bytes) -> None:
    """400 before LiteLLM hears of it."""
    assert (await litellm.ask(to(WIRE, "http://127.0.0.1:9", body))).status == 400


# -- what a client must not be able to do

SETTINGS: dict[str, Any] = {
    "api_base": "http://127.0.0.1:9",
    "base_url": "http://127.0.0.1:9",
    "api_key": "sk-mine",
    "custom_llm_provider": "openai",
    "fallbacks": [{"model": "gpt-4"}],
    "model_list": [{"model_name": "x"}],
    "mock_response": "I am not the model",
    "num_retries": 5,
    "success_callback": ["langfuse"],
    "extra_headers": {"x-mine": "1"},
    "proxy_auth": "x",
    "vertex_credentials": "/etc/passwd",
    "aws_bedrock_runtime_endpoint": "http://127.0.0.1:9",
    "azure_ad_token": "oidc/env/AWS_SECRET_ACCESS_KEY",
    "x-litellm-params": {},
}


@pytest.mark.parametrize("name", list(SETTINGS))
async def test_a_body_sets_nothing_of_litellms(
    litellm: Litellm, sandbox: SandboxProvider, name: str
) -> None:
    """A client that says LiteLLM's own settings is refused, or has said a field that means nothing
    to anybody: the request goes where it was to go, with our key, and is answered there."""
    body = chat(sandbox={"output_tokens": 3}) | {name: SETTINGS[name]}
    sandbox.behaviour = Behaviour((UPSTREAM_MODEL,), time_scale=0.0, api_key="sk-upstream")
    reply = await litellm.ask(to(WIRE, sandbox.base_url, body))
    if reply.status == 200:
        assert reply.json["choices"][0]["message"]["content"] == "hawthorn hazel holly"
        (exchange,) = sandbox.tally.exchanges
        assert "x-mine" not in exchange.headers
    else:
        assert (reply.status, reply.error["param"]) == (400, name)
    async with saying(CLAUDE_SAYS) as provider:
        other = await litellm.ask(to("anthropic", provider.base_url, body))
        assert (other.status, provider.heard) == (400, [])


@pytest.mark.parametrize("name", ["metadata", "store", "user", "prompt_cache_key"])
async def test_what_changes_no_answer_is_no_reason_to_refuse(litellm: Litellm, name: str) -> None:
    """A field that only OpenAI has, and that does not change an answer, is left out elsewhere; so
    is what says only what is so anyway."""
    value: Any = {"user": "u1", "prompt_cache_key": "k", "store": True}.get(name, {"a": "b"})
    body = chat(model=CLAUDE, n=1, frequency_penalty=0, logprobs=False) | {name: value}
    async with saying(CLAUDE_SAYS) as provider:
        reply = await litellm.ask(to("anthropic", provider.base_url, body))
    assert reply.status == 200


async def test_what_would_change_the_answer_is_refused(litellm: Litellm) -> None:
    """A parameter that the provider lacks is a 400, and not silently left out; unless the operator
    says so."""
    body = chat(model=CLAUDE, seed=7)
    async with saying(CLAUDE_SAYS) as provider:
        reply = await litellm.ask(to("anthropic", provider.base_url, body))
        assert (reply.status, reply.error["code"]) == (400, "unsupported_parameter")
        assert "seed" in reply.error["message"]
        assert provider.heard == []
        for said, status in (("true", 200), ("False", 400), (True, 200)):
            ask = to("anthropic", provider.base_url, body, drop_params=said)
            assert (await litellm.ask(ask)).status == status


# -- clients that leave, and who else is asked


async def test_who_leaves_a_stream_ends_it_at_the_provider(litellm: Litellm) -> None:
    """Closing the answer hangs up on the provider, in the middle of its answer."""
    gate = Gate(open_for=3)
    async with SandboxProvider(PACED, sleep=gate.sleep) as provider:
        body = chat(stream=True, sandbox={"output_tokens": 50})
        answer = await litellm.send(to(WIRE, provider.base_url, body))
        await answer.some()
        answer.close()
        async with asyncio.timeout(PATIENCE_S):
            await provider.tally.until(lambda tally: tally.disconnects == 1)


async def test_who_stops_waiting_ends_the_call(litellm: Litellm, sandbox: SandboxProvider) -> None:
    """A plain request that is cancelled before its answer is cancelled at the provider, too."""
    sandbox.fault = Fault.HANG
    asked = asyncio.create_task(litellm.send(to(WIRE, sandbox.base_url, chat())))
    async with asyncio.timeout(PATIENCE_S):
        await sandbox.tally.until(lambda tally: tally.requests == 1)
        asked.cancel()
        await sandbox.tally.until(lambda tally: tally.disconnects == 1)
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_nothing_but_providers_is_reached(litellm: Litellm, sandbox: SandboxProvider) -> None:
    """From its start on the process connects to providers, and to nobody else: for no price file,
    no tokenizer, no telemetry, through no proxy. It looks up no name."""
    assert (await litellm.ask(to(WIRE, sandbox.base_url, chat()))).status == 200
    lines = (await asyncio.to_thread(litellm.connections.read_text)).splitlines()
    assert sandbox.base_url.removeprefix("http://").removesuffix("/v1") in lines
    here = ("127.0.0.1:", "lookup 127.0.0.1")
    assert [one for one in lines if not one.startswith(here) or one == "127.0.0.1:9"] == []

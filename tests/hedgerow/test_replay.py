"""Replaying a trace: every request is made as planned, every answer is read for what it is."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks.sandbox import Behaviour, Fault, FaultRates, SandboxProvider
from benchmarks.trace import TraceRow, azure_conversation
from hedgerow.replay import ReplayResult, is_loopback, replay

MODEL = "oak-70b"
FAST = Behaviour(models=(MODEL,), time_scale=0.0)
ROWS = [TraceRow(0.0, 3 + place, 1 + place) for place in range(12)]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as running:
        yield running


async def run(
    session: aiohttp.ClientSession, base_url: str, rows: list[TraceRow] = ROWS, **other: Any
) -> ReplayResult:
    settings: dict[str, Any] = {"keys": ["sk-a"], "model": MODEL, "speedup": math.inf} | other
    return await replay(rows, base_url=base_url, session=session, **settings)


@asynccontextmanager
async def answering(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    """A server that answers every request so; gives its base URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


# What is sent


async def test_totals_are_the_providers_own(session: aiohttp.ClientSession) -> None:
    """Over a real trace, streamed and not, we read exactly the tokens that were billed."""
    rows = azure_conversation(60)
    async with SandboxProvider(FAST) as provider:
        result = await run(session, provider.base_url, rows, concurrency=8)
        tally = provider.tally

        assert result.succeeded == tally.requests == len(rows)
        assert (result.prompt_tokens, result.completion_tokens) == (
            tally.prompt_tokens,
            tally.completion_tokens,
        )
        assert result.by_status == tally.by_status == {200: 60}
    for row, outcome in zip(rows, result.outcomes, strict=True):
        assert outcome.row == row
        assert outcome.prompt_tokens == row.input_tokens
        assert outcome.completion_tokens == row.output_tokens
        assert outcome.request_id is not None
        assert outcome.complete
        assert outcome.error_code is None
        assert (outcome.ttft_ms is not None) is outcome.streamed
    assert len({one.request_id for one in result.outcomes}) == 60
    assert 10 < sum(one.streamed for one in result.outcomes) < 50


async def test_totals_are_the_providers_own_when_it_fails(session: aiohttp.ClientSession) -> None:
    """With every fault that still says its usage, and refusals, the sums stay the provider's."""
    rates = FaultRates(http_500=0.2, http_429=0.2, nonsense=0.1, no_done=0.2, reset=0.1)
    rows = [TraceRow(0.0, 10, 5)] * 80
    behaviour = Behaviour(models=(MODEL,), time_scale=0.0, faults=rates, seed=11)
    async with SandboxProvider(behaviour) as provider:
        result = await run(session, provider.base_url, rows)
        tally = provider.tally

        assert result.prompt_tokens == tally.prompt_tokens
        assert result.completion_tokens == tally.completion_tokens
        statuses = {status: n for status, n in result.by_status.items() if status is not None}
        assert statuses == tally.by_status
    assert {
        "connection_failed",
        "rate_limit_exceeded",
        "server_error",
        "not_readable",
        "incomplete",
    } == set(result.by_error)
    assert result.succeeded == 80 - sum(result.by_error.values())


async def test_the_same_seed_sends_the_same(session: aiohttp.ClientSession) -> None:
    """Bodies and keys depend on the seed and on nothing else; every key is used."""

    async def sent(seed: int) -> list[tuple[bytes, str]]:
        async with SandboxProvider(FAST) as provider:
            keys = ["sk-a", "sk-b", "sk-c"]
            await run(session, provider.base_url, seed=seed, keys=keys, concurrency=1)
            return [(one.body, one.headers["authorization"]) for one in provider.tally.exchanges]

    first = await sent(1)

    assert first == await sent(1)
    assert first != await sent(2)
    assert {key for _, key in first} == {"Bearer sk-a", "Bearer sk-b", "Bearer sk-c"}


async def test_prompts_have_as_many_words_as_the_trace_has_tokens(
    session: aiohttp.ClientSession,
) -> None:
    """Never more tokens than bytes, the limit that was asked for, usage with every stream."""
    async with SandboxProvider(FAST) as provider:
        await run(session, provider.base_url, max_tokens=7, concurrency=1)
        bodies = [json.loads(one.body) for one in provider.tally.exchanges]

    for row, body in zip(ROWS, bodies, strict=True):
        prompt = body["messages"][0]["content"]
        assert len(prompt.split()) == row.input_tokens <= len(prompt)
        assert prompt == prompt.strip()
        assert body["max_tokens"] == 7
        assert body.get("stream_options") == ({"include_usage": True} if "stream" in body else None)
    assert len({body["messages"][0]["content"][:4] for body in bodies}) > 6


@pytest.mark.parametrize(("share", "streamed"), [(0.0, 0), (1.0, 12)])
async def test_all_or_none_are_streamed(
    session: aiohttp.ClientSession, share: float, streamed: int
) -> None:
    """A share of 0 or 1 is kept exactly."""
    async with SandboxProvider(FAST) as provider:
        result = await run(session, provider.base_url, streamed_share=share)

    assert sum(one.streamed for one in result.outcomes) == streamed
    assert result.succeeded == 12


async def test_requests_go_out_at_their_time(session: aiohttp.ClientSession) -> None:
    """At trace time over speedup from the start, by the clock that was given."""
    now, slept = 100.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    rows = [TraceRow(t, 3, 1) for t in (0.0, 4.0, 4.0, 10.0)]
    async with SandboxProvider(FAST) as provider:
        result = await run(
            session, provider.base_url, rows, speedup=2.0, clock=lambda: now, sleep=sleep
        )

    assert slept == [2.0, 3.0]
    assert result.seconds == 5.0


async def test_no_more_are_under_way_than_allowed(session: aiohttp.ClientSession) -> None:
    """The bound holds and is reached, and progress counts every answer once."""
    under_way, most = 0, 0
    progress: list[tuple[int, int]] = []
    full = asyncio.Event()

    async def answer(_: web.Request) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 3:
            full.set()
        await full.wait()
        for _turn in range(100):  # of the loop: a fourth, were it on its way, would come in
            await asyncio.sleep(0)
        under_way -= 1
        return web.json_response({"choices": [{"finish_reason": "stop"}]})

    async with answering(answer) as base_url, asyncio.timeout(30):
        result = await run(
            session,
            base_url,
            concurrency=3,
            streamed_share=0.0,
            on_progress=lambda done, every: progress.append((done, every)),
        )

    assert most == 3
    assert progress == [(done, 12) for done in range(1, 13)]
    assert result.succeeded == 12
    assert result.outcomes[-1].late_ms > 0


# What is read


@pytest.mark.parametrize(
    ("fault", "streamed", "status", "error_code", "tokens"),
    [
        (Fault.HTTP_500, False, 500, "server_error", None),
        (Fault.HTTP_429, True, 429, "rate_limit_exceeded", None),
        (Fault.HTTP_401, False, 401, "invalid_api_key", None),
        (Fault.RESET, False, None, "connection_failed", None),
        (Fault.HANG, True, None, "timed_out", None),
        (Fault.CUT, True, 200, "incomplete", None),
        (Fault.CUT, False, 200, "incomplete", None),
        (Fault.SHORT, True, 200, "incomplete", None),
        (Fault.NONSENSE, True, 200, "not_readable", None),
        (Fault.NONSENSE, False, 200, "not_readable", None),
        (Fault.NO_DONE, True, 200, "incomplete", 40),
        (Fault.NO_USAGE, True, 200, None, None),
        (Fault.NO_USAGE, False, 200, None, None),
    ],
)
async def test_a_failure_is_an_outcome(
    session: aiohttp.ClientSession,
    fault: Fault,
    streamed: bool,
    status: int | None,
    error_code: str | None,
    tokens: int | None,
) -> None:
    """Each fault is told by its status and code; what was not reported is None, never 0."""
    async with SandboxProvider(FAST, fault=fault) as provider:
        result = await run(
            session,
            provider.base_url,
            [TraceRow(0.0, 5, 40)],
            streamed_share=float(streamed),
            timeout_s=0.3 if fault is Fault.HANG else 10.0,
        )

    (outcome,) = result.outcomes
    assert (outcome.status, outcome.error_code) == (status, error_code)
    assert outcome.completion_tokens == tokens
    assert outcome.succeeded is (error_code is None)
    assert result.succeeded == (error_code is None)


async def test_nobody_there_is_an_outcome(session: aiohttp.ClientSession) -> None:
    """A refused connection fails every request, and the replay comes to its end."""
    provider = SandboxProvider(FAST)
    url = await provider.start()
    await provider.close()

    result = await run(session, url)

    assert result.by_error == {"connection_failed": 12}
    assert result.by_status == {None: 12}


def sse(*values: Any) -> bytes:
    return b"".join(b"data: %s\n\n" % json.dumps(value).encode() for value in values)


CONTENT = {"choices": [{"delta": {"content": "é"}, "finish_reason": None}], "usage": None}
FINISH = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None}
USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}


async def replayed_stream(body: bytes, piece_bytes: int) -> ReplayResult:
    async def answer(http: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "content-type": "text/event-stream; charset=utf-8",
                "x-hedgerow-provider": "hazel",
            }
        )
        await response.prepare(http)
        for start in range(0, len(body), piece_bytes):
            await response.write(body[start : start + piece_bytes])
            await asyncio.sleep(0)
        return response

    async with answering(answer) as base_url, aiohttp.ClientSession() as session:
        return await run(session, base_url, ROWS[:1], streamed_share=1.0)


@pytest.mark.parametrize("piece_bytes", [1, 2, 7, 10_000])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
async def test_a_stream_is_read_however_it_is_broken_up(piece_bytes: int, newline: bytes) -> None:
    """Comments, other fields and any packet border change nothing of what is read."""
    body = b": keep-alive\n\nevent: chunk\n" + sse(CONTENT, FINISH, USAGE) + b"data:[DONE]\n\n"
    # A value may stand in several data lines, with other fields between them.
    body = body.replace(b", ", b",\nid: 7\ndata: ")

    result = await replayed_stream(body.replace(b"\n", newline), piece_bytes)

    (outcome,) = result.outcomes
    assert outcome.succeeded
    assert (outcome.prompt_tokens, outcome.completion_tokens) == (3, 1)
    assert outcome.ttft_ms is not None
    assert outcome.ttft_ms <= outcome.total_ms
    assert result.by_provider == {"hazel": 1}


@pytest.mark.parametrize(
    ("body", "error_code"),
    [
        (sse(CONTENT, {"error": {"code": "upstream_failed", "type": "x"}}), "upstream_failed"),
        (sse(CONTENT, {"error": {"code": None, "type": "server_error"}}), "server_error"),
        (sse(CONTENT, USAGE) + b"data: [DONE]\n\n", "incomplete"),
        (sse(CONTENT, FINISH) + b"data: [DONE]\n", "incomplete"),
        (sse({"choices": 3}), "not_readable"),
        (b"", "incomplete"),
    ],
)
async def test_a_stream_that_is_not_whole_is_told(body: bytes, error_code: str) -> None:
    """An error inside, no finish_reason, half a [DONE] and other shapes are no success."""
    result = await replayed_stream(body, 10_000)

    assert result.by_error == {error_code: 1}
    assert result.succeeded == 0
    assert result.by_provider == {}


async def test_a_redirect_is_not_followed(session: aiohttp.ClientSession) -> None:
    """It could lead off this machine: it is a failed request."""
    paths = []

    async def answer(http: web.Request) -> web.StreamResponse:
        paths.append(http.path)
        return web.json_response({}, status=307, headers={"location": "/elsewhere"})

    async with answering(answer) as base_url:
        result = await run(session, base_url, ROWS[:1])

    assert paths == ["/v1/chat/completions"]
    assert result.by_error == {"http_307": 1}


# What is refused


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.example.com/v1",
        "http://10.0.0.1/v1",
        "https://[2001:db8::1]/v1",
        "ftp://localhost/",
        "localhost:80",
    ],
)
async def test_other_machines_are_refused(session: aiohttp.ClientSession, base_url: str) -> None:
    """Nothing is sent to a host that is not this one, or to what is no HTTP URL."""
    with pytest.raises(ValueError, match=r"not this machine|write http://HOST:PORT/v1"):
        await run(session, base_url)


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ({"keys": []}, "no keys"),
        ({"speedup": 0.0}, "speedup"),
        ({"speedup": math.nan}, "speedup"),
        ({"streamed_share": 1.5}, "streamed_share"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 100_000}, "concurrency"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
async def test_settings_that_make_no_sense_are_refused(
    session: aiohttp.ClientSession, setting: dict[str, Any], what: str
) -> None:
    """Before anything is sent, and by name."""
    with pytest.raises(ValueError, match=what):
        await run(session, "http://127.0.0.1:1/v1", **setting)


async def test_remote_is_a_choice(session: aiohttp.ClientSession) -> None:
    """With allow_remote the host is not looked at; an empty trace sends nothing to it."""
    result = await run(session, "http://api.example.com/v1", [], allow_remote=True)

    assert result.outcomes == ()


@given(st.ip_addresses())
def test_loopback_is_what_the_address_says(address: Any) -> None:
    """Of all addresses only 127.0.0.0/8 and ::1 are this machine."""
    # Whether ::ffff:127.0.0.1 counts differs between releases of Python.
    assume(getattr(address, "ipv4_mapped", None) is None)
    expected = str(address) == "::1" or str(address).startswith("127.")
    assert is_loopback(str(address)) is expected


def test_loopback_by_name() -> None:
    """Names are not resolved: only localhost is taken for this machine."""
    assert is_loopback("localhost")
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("localhost.example.com")
    assert not is_loopback("127.0.0.1.example.com")
    assert not is_loopback(None)

"""Providers that fail, each in every way: what the client gets, and what the books say."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest

from benchmarks.sandbox import Behaviour, Fault
from ledger.usage import TokenUsage
from proxy.aiohttp_upstream import STALE_WITHIN_S
from tests.serving import (
    FAST,
    HELLO,
    MODEL,
    PACED,
    STREAM_HEAD,
    UPSTREAM_MODEL,
    Gate,
    ManualClock,
    Reply,
    answering,
    head,
    offer,
    read_request,
    scripted,
    serving,
    wishing,
)

QUICK = "{attempts: 3, first_byte_timeout: 100ms, idle_timeout: 200ms}"


def looks_whole(reply: Reply) -> bool:
    """Whether a client could take this stream for a finished answer."""
    finished = {choice["finish_reason"] for one in chunks(reply) for choice in one["choices"]}
    return "[DONE]" in reply.events or bool(finished & {"stop", "length", "tool_calls"})


def chunks(reply: Reply) -> list[Any]:
    return [one for one in reply.events if one != "[DONE]"]


def expect_cut(reply: Reply) -> None:
    assert reply.status == 200
    assert not looks_whole(reply)
    last = chunks(reply)[-1]
    assert last["error"].keys() == {"message", "type", "param", "code"}
    assert last["choices"][0]["finish_reason"] == "error"
    assert last["error"]["message"].startswith("a broke off: ")


async def test_a_cut_stream_raises_in_the_official_client(tmp_path: Path) -> None:
    """The client gets what was written, and then an exception; never a silent end."""
    async with serving(tmp_path, honest=False) as proxy:
        proxy.a.fault = Fault.CUT
        stream = await proxy.client().chat.completions.create(
            model=MODEL, messages=HELLO, stream=True, extra_body={"sandbox": wishing(60)}
        )
        got = []

        async def read() -> None:
            async for one in stream:
                got.append(one.choices[0].delta.content)  # noqa: PERF401 - kept when it raises

        with pytest.raises(openai.APIError, match="a broke off"):
            await read()
        assert "".join(text or "" for text in got).startswith("hawthorn hazel")


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def test_a_provider_that_is_down_costs_nothing(tmp_path: Path, closed_port: int) -> None:
    """No connection, no charge: the hold is voided, and the next offer answers."""
    urls = {"a": f"http://127.0.0.1:{closed_port}/v1"}
    async with serving(tmp_path, names=(), urls=urls) as proxy:
        reply = await proxy.ask()
        assert (reply.status, reply.error["code"]) == (502, "upstream_failed")
        assert await proxy.charges() == []
    (tmp_path / "two").mkdir()
    async with serving(tmp_path / "two", names=("b",), urls=urls) as proxy:
        for _ in range(5):
            assert (await proxy.ask()).headers["x-hedgerow-provider"] == "b"


async def test_a_provider_that_takes_no_connections_costs_nothing(tmp_path: Path) -> None:
    """A host that does not even answer the handshake was sent nothing: late, but not billed."""
    with closing(socket.socket()) as deaf, closing(socket.socket()) as first:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)  # one connection waits to be accepted; the handshake of the next is dropped
        first.connect(deaf.getsockname())
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
        async with serving(tmp_path, names=(), urls={"a": url}, routing=QUICK) as proxy:
            reply = await proxy.ask(stream=True)
            assert reply.status == 502
            assert "no connection in 0.1 s" in reply.error["message"]
            assert await proxy.charges() == []


async def test_a_connection_that_died_in_the_pool_is_no_failure(tmp_path: Path) -> None:
    """A provider that hangs up on a used connection, just as the next request comes, is asked anew
    on a fresh one, within the same attempt."""
    answer = b'{"choices":[{}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
    keeping = head(more=f"content-length: {len(answer)}\r\n")

    async def once_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(keeping + answer)
        await read_request(reader)

    async with (
        answering(once_each) as url,
        serving(tmp_path, names=("b",), urls={"a": url}) as proxy,
    ):
        for _ in range(4):
            reply = await proxy.ask()
            assert reply.headers["x-hedgerow-provider"] == "a"
            assert reply.headers["x-hedgerow-attempts"] == "1"
        assert len(await proxy.charges()) == 4


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(models=(UPSTREAM_MODEL,), time_scale=0, api_key="another"),
        Behaviour(models=("elm-70b",), time_scale=0),
    ],
    ids=["wrong key", "unknown model"],
)
async def test_what_the_operator_did_wrong_is_not_the_clients_error(
    tmp_path: Path, behaviour: Behaviour
) -> None:
    """A provider that refuses our key or our model name (401, 404) is passed over; if there is no
    other, the client hears 502, never a 401 or 404 that it could take for its own."""
    async with serving(tmp_path, names=("a", "b")) as proxy:
        proxy.a.behaviour = behaviour
        assert (await proxy.ask()).headers["x-hedgerow-provider"] == "b"
        proxy.sandboxes["b"].behaviour = behaviour
        reply = await proxy.ask()
        assert (reply.status, reply.error["code"]) == (502, "upstream_failed")


@pytest.mark.parametrize("status", [402, 403, 405])
async def test_an_account_without_credit_is_not_the_clients_budget(
    tmp_path: Path, status: int
) -> None:
    """A provider's 402 is about our account there: it is no 402 of ours, and the next offer is
    asked."""
    broke = head(f"{status} No") + b'{"error":{"message":"Insufficient Balance"}}'
    async with (
        scripted(broke) as url,
        serving(tmp_path, names=("b",), urls={"a": url}) as proxy,
    ):
        assert (await proxy.ask()).headers["x-hedgerow-provider"] == "b"


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_prompt_that_is_too_long_is_told_in_the_providers_words(
    tmp_path: Path, streamed: bool
) -> None:
    """A 400 is the caller's: it is passed on once, with message, param and code, and not billed."""
    short = Behaviour(models=(UPSTREAM_MODEL,), time_scale=0, context_tokens=3)
    offers = {name: offer(name, more=", context_tokens: 64") for name in ("a", "b")}
    async with serving(tmp_path, behaviour=short, names=("a", "b"), offers=offers) as proxy:
        reply = await proxy.ask(stream=streamed)
        assert reply.status == 400
        assert reply.error == {
            "message": "This model's maximum context length is 3 tokens. However, your messages"
            " resulted in 3 tokens.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
        assert proxy.sandboxes["b"].tally.requests == 0
        assert (await proxy.record(reply)).attempts == 1


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (b'{"error":{"message":"no","code":"content_filter"}}', "no", "content_filter"),
        (b'{"error":{"message":"no","code":1234}}', "no", "1234"),
        (b'{"error":"just text"}', "just text", None),
        (b"<html>", "the provider refused the request with status 422", None),
        (b"\xff\xfe", "the provider refused the request with status 422", None),
        (b'{"error":' + b"[" * 9999, "the provider refused the request with status 422", None),
        (b"", "the provider refused the request with status 422", None),
    ],
)
async def test_a_refusal_in_any_shape_gets_ours(
    tmp_path: Path, body: bytes, message: str, code: str | None
) -> None:
    """Whatever a provider's 4xx looks like, the client gets four keys and the same status."""
    async with (
        scripted(head("422 Unprocessable") + body) as url,
        serving(tmp_path, names=(), urls={"a": url}) as proxy,
    ):
        reply = await proxy.ask()
        assert reply.status == 422
        assert (reply.error["message"], reply.error["code"]) == (message, code)


@pytest.mark.parametrize(
    "retry_after", ["", "soon", "-3", "nan", "inf", "1e400", "Fri, 20 Nov 2026 04:00:00"]
)
async def test_a_429_may_say_anything(tmp_path: Path, retry_after: str) -> None:
    """Whatever stands in retry-after, the next offer answers."""
    limited = head("429 Slow down", more=f"retry-after: {retry_after}\r\n") + b"{}"
    async with (
        scripted(limited) as url,
        serving(tmp_path, names=("b",), urls={"a": url}) as proxy,
    ):
        assert (await proxy.ask()).headers["x-hedgerow-provider"] == "b"
    alone = tmp_path / "alone"
    alone.mkdir()
    async with scripted(limited) as url, serving(alone, names=(), urls={"a": url}) as proxy:
        reply = await proxy.ask()
        assert (reply.status, reply.error["code"]) == (429, "rate_limit_exceeded")
        assert 0 <= int(reply.headers["retry-after"]) <= 86_400


CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"oak"},"finish_reason":null}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
DONE = b"data: [DONE]\n\n"


async def test_done_is_the_end_even_if_the_provider_stays(tmp_path: Path) -> None:
    """After [DONE] nobody waits for a provider that keeps its connection open."""
    whole = (STREAM_HEAD, CHUNK, FINISH, USAGE, DONE)
    async with (
        scripted(*whole, stay=True) as url,
        serving(tmp_path, names=(), urls={"a": url}) as proxy,  # it would wait for 30 s
    ):
        reply = await proxy.ask(stream=True)
        assert reply.events[-1] == "[DONE]"
        (charge,) = await proxy.charges()
        assert (charge.usage, charge.estimated) == (TokenUsage(3, 1), False)


async def test_an_answer_that_has_finished_is_whole_however_it_hangs_up(tmp_path: Path) -> None:
    """finish_reason and usage came: a connection that then breaks spoils nothing."""
    unended = head(kind="text/event-stream", more="content-length: 9999\r\n")
    async with (
        scripted(unended, CHUNK, FINISH, USAGE) as url,
        serving(tmp_path, names=(), urls={"a": url}) as proxy,
    ):
        reply = await proxy.ask(stream=True)
        assert reply.events[-1] == "[DONE]"
        (charge,) = await proxy.charges()
        assert not charge.estimated


async def test_comments_are_no_answer(tmp_path: Path) -> None:
    """A provider that only keeps the connection warm is late, and the next offer answers."""

    async def comments(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD)
        while not writer.is_closing():
            writer.write(b": PROCESSING\n\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with (
        answering(comments) as url,
        serving(tmp_path, names=("b",), urls={"a": url}, routing=QUICK, honest=False) as proxy,
    ):
        reply = await proxy.ask(stream=True)
        assert reply.headers["x-hedgerow-provider"] == "b"
        assert reply.headers["x-hedgerow-attempts"] == "2"


async def test_comments_do_not_keep_a_stream_open(tmp_path: Path) -> None:
    """In the middle of an answer, too, only events count: comments alone are silence."""

    async def goes_quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + CHUNK)
        while not writer.is_closing():
            writer.write(b": still here\n\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with (
        answering(goes_quiet) as url,
        serving(
            tmp_path, names=(), urls={"a": url}, routing="{idle_timeout: 200ms}", honest=False
        ) as proxy,
    ):
        reply = await proxy.ask(stream=True)
        assert reply.events[-1]["error"]["code"] == "upstream_timeout"
        (charge,) = await proxy.charges()
        assert charge.estimated
        assert charge.usage.completion == 1


@pytest.mark.parametrize(("status", "booked"), [(504, True), (524, True), (502, False)])
async def test_a_gateway_that_gave_up_may_have_been_billed(
    tmp_path: Path, status: int, booked: bool
) -> None:
    """Behind a gateway's time-out the model may have written all the same: that is booked, as an
    estimate; a gateway that reached nobody is not."""
    async with (
        scripted(head(f"{status} Gateway") + b"{}") as url,
        serving(tmp_path, names=("b",), urls={"a": url}, honest=False) as proxy,
    ):
        assert (await proxy.ask()).headers["x-hedgerow-provider"] == "b"
        rows = {one.provider: one.estimated for one in await proxy.charges()}
        assert rows == ({"a": True, "b": False} if booked else {"b": False})


async def test_a_plain_answer_that_is_late_is_heard_out(tmp_path: Path) -> None:
    """Most providers write a plain answer to its end, and bill it, whoever waits for it: it is
    booked by what it really used, long after the client went on with another offer."""
    gate = Gate(open_for=0)
    async with serving(
        tmp_path, names=("a",), urls={}, behaviour=PACED, gate=gate, routing=QUICK
    ) as proxy:
        for _ in range(200):  # answers are short here: a plain one may take little longer
            proxy.server.house.learned.note(MODEL, "key", 100, 25, 1)
        reply = await proxy.ask(max_tokens=500, sandbox=wishing(40))
        assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
        assert await proxy.charges() == []
        gate.open()
        charges = await proxy.settled(3)
        assert [(one.usage.completion, one.estimated) for one in charges] == [(40, False)] * 3


async def test_a_plain_answer_that_never_comes_is_booked_at_its_hold(tmp_path: Path) -> None:
    """Until the server stops it is waited for; then only the hold bounds what may be billed."""
    async with serving(tmp_path, routing=QUICK, honest=False) as proxy:
        for _ in range(200):
            proxy.server.house.learned.note(MODEL, "key", 100, 25, 1)
        proxy.a.fault = Fault.HANG
        assert (await proxy.ask(max_tokens=500)).status == 504
        await proxy.server.house.unheard.close()
        for charge in await proxy.charges():
            assert (charge.estimated, charge.usage.completion) == (True, 500)


async def test_work_is_never_asked_for_twice_on_one_hold(tmp_path: Path) -> None:
    """A used connection that dies after a while may have been at work: the request is not sent
    again on the same hold, but to the next offer, and what may have been billed is booked."""
    answer = b'{"choices":[{}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
    keeping = head(more=f"content-length: {len(answer)}\r\n")
    asked = 0

    async def then_works_in_vain(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal asked
        await read_request(reader)
        asked += 1
        writer.write(keeping + answer)
        await read_request(reader)
        asked += 1
        await asyncio.sleep(STALE_WITHIN_S * 1.2)

    async with (
        answering(then_works_in_vain) as url,
        serving(tmp_path, names=("b",), urls={"a": url}, honest=False) as proxy,
    ):
        assert (await proxy.ask()).headers["x-hedgerow-provider"] == "a"
        reply = await proxy.ask()
        assert reply.headers["x-hedgerow-provider"] == "b"
        assert asked == 2
        rows = [(one.provider, one.estimated) for one in await proxy.charges()]
        assert rows == [("a", False), ("a", True), ("b", False)]


@pytest.mark.parametrize(
    "first",
    [
        b'data: {"error":{"message":"overloaded"}}\n\n',
        b'event: error\ndata: {"message":"overloaded"}\n\n',
        b"data: \xff\n\n",
        b"",
        b": nothing but a comment\n\n",
    ],
)
async def test_a_stream_that_begins_with_an_error_fails_over(tmp_path: Path, first: bytes) -> None:
    """200 and then an error before any content: as good as a 500."""
    async with (
        scripted(STREAM_HEAD, first) as url,
        serving(tmp_path, names=("b",), urls={"a": url}, honest=False) as proxy,
    ):
        assert (await proxy.ask(stream=True)).headers["x-hedgerow-provider"] == "b"


@pytest.mark.parametrize(
    ("streamed", "answer"),
    [(True, head() + b'{"choices":[]}'), (False, STREAM_HEAD + CHUNK + DONE)],
)
async def test_the_wrong_kind_of_answer_fails_over(
    tmp_path: Path, streamed: bool, answer: bytes
) -> None:
    """JSON where a stream was asked for, or the other way round, is nonsense."""
    async with (
        scripted(answer) as url,
        serving(tmp_path, names=("b",), urls={"a": url}, honest=False) as proxy,
    ):
        assert (await proxy.ask(stream=streamed)).headers["x-hedgerow-provider"] == "b"


async def test_an_error_in_the_middle_is_passed_on_as_one(tmp_path: Path) -> None:
    """The provider's own words reach the client, and nothing after them does."""
    error = b'data: {"error":{"message":"GPU on fire","code":500}}\n\n'
    async with (
        scripted(STREAM_HEAD, CHUNK, error, FINISH, DONE) as url,
        serving(tmp_path, names=(), urls={"a": url}) as proxy,
    ):
        reply = await proxy.ask(stream=True)
        expect_cut(reply)
        assert "GPU on fire" in chunks(reply)[-1]["error"]["message"]
        assert reply.content == "oak"


async def test_only_so_many_offers_are_tried(tmp_path: Path) -> None:
    """`attempts` bounds the offers that are asked for one request."""
    async with serving(tmp_path, names=("a", "b", "c"), routing="{attempts: 2}") as proxy:
        for one in proxy.sandboxes.values():
            one.fault = Fault.HTTP_500
        reply = await proxy.ask()
        assert reply.status == 502
        assert [one.tally.requests for one in proxy.sandboxes.values()] == [1, 1, 0]


async def test_a_provider_that_keeps_failing_rests_and_comes_back(tmp_path: Path) -> None:
    """After three failures it is left alone at once; when its rest is over, one request tries it,
    and if that succeeds it is first again."""
    clock = ManualClock()
    async with serving(tmp_path, names=("a", "b"), clock=clock) as proxy:
        proxy.a.fault = Fault.HTTP_500
        for _ in range(6):
            assert (await proxy.ask()).headers["x-hedgerow-provider"] == "b"
        assert proxy.a.tally.requests == 3

        clock.advance(1.5)
        assert (await proxy.ask()).headers["x-hedgerow-attempts"] == "2"  # the probe failed
        assert (await proxy.ask()).headers["x-hedgerow-attempts"] == "1"
        assert proxy.a.tally.requests == 4

        proxy.a.fault = None
        clock.advance(10)
        for _ in range(3):
            assert (await proxy.ask()).headers["x-hedgerow-provider"] == "a"


async def test_a_resting_provider_is_better_than_none(tmp_path: Path) -> None:
    """If all are resting they are asked all the same."""
    async with serving(tmp_path, clock=ManualClock()) as proxy:
        proxy.a.fault = Fault.HTTP_500
        for _ in range(4):
            assert (await proxy.ask()).status == 502
        proxy.a.fault = None
        assert (await proxy.ask()).status == 200


async def test_callers_mistakes_do_not_open_a_breaker(tmp_path: Path) -> None:
    """Any number of 400s leaves the provider in place."""
    short = Behaviour(models=(UPSTREAM_MODEL,), time_scale=0, context_tokens=3)
    async with serving(tmp_path, names=("a", "b"), clock=ManualClock()) as proxy:
        for one in proxy.sandboxes.values():
            one.behaviour = short
        for _ in range(5):
            assert (await proxy.ask()).status == 400
        proxy.a.behaviour = FAST
        assert (await proxy.ask()).headers["x-hedgerow-provider"] == "a"


async def test_our_keys_reach_only_their_own_provider(tmp_path: Path) -> None:
    """The client's key stays here; each provider gets the key that is configured for it."""
    keyed = Behaviour(models=(UPSTREAM_MODEL,), time_scale=0, api_key="sk-upstream")
    async with serving(tmp_path, behaviour=keyed, provider=", api_key: sk-upstream") as proxy:
        assert (await proxy.ask()).status == 200
        (exchange,) = proxy.a.tally.exchanges
        assert proxy.key not in str(dict(exchange.headers)) + exchange.body.decode()
        assert json.loads(exchange.body)["model"] == UPSTREAM_MODEL


async def test_a_provider_that_closes_in_the_middle_of_traffic(tmp_path: Path) -> None:
    """Requests that were under way there are answered elsewhere or told; no hold is lost."""
    async with serving(tmp_path, names=("a", "b"), honest=False) as proxy:
        asked = [asyncio.create_task(proxy.ask(stream=n % 2 == 0)) for n in range(20)]
        async with asyncio.timeout(30):
            await proxy.a.tally.until(lambda tally: tally.requests >= 5)
            await proxy.a.close()
            replies = await asyncio.gather(*asked)
        assert {one.status for one in replies} == {200}

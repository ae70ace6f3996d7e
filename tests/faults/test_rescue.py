"""Streams that break: held back, spliced, or told; and streams that are silent for long."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sandbox import Behaviour, Fault
from proxy.providers import Prefill
from tests.serving import (
    FAST,
    HELLO,
    PATIENCE_S,
    STREAM_HEAD,
    UPSTREAM_MODEL,
    Proxy,
    Reply,
    answering,
    read_request,
    serving,
    wishing,
)

BUFFER = "{stream_rescue: buffer}"
SPLICE = "{stream_rescue: prefix_match}"
BREAKS = (Fault.CUT, Fault.SHORT, Fault.ERROR_EVENT)


async def long_stream(proxy: Proxy, **extra: Any) -> Reply:
    return await proxy.ask(
        **{"stream": True, "max_tokens": 60, "temperature": 0, "sandbox": wishing(60)} | extra
    )


def seams(reply: Reply) -> tuple[int, int, list[str]]:
    """How many events open an answer, how many end it, and all that the client was told last."""
    chunks = [one for one in reply.events if one != "[DONE]"]
    deltas = [choice for one in chunks for choice in one["choices"]]
    opened = sum("role" in one["delta"] for one in deltas)
    ended = sum(one.get("finish_reason") is not None for one in deltas)
    return opened, ended, [one for one in reply.events if one == "[DONE]"]


def expect_whole(reply: Reply) -> None:
    assert reply.status == 200
    assert len(reply.content.split()) == 60
    assert seams(reply) == (1, 1, ["[DONE]"])


@pytest.mark.parametrize("fault", BREAKS, ids=str)
async def test_a_buffered_stream_begins_anew_elsewhere(tmp_path: Path, fault: Fault) -> None:
    """The client gets one whole answer, of one provider; both are charged, each for its own."""
    async with serving(tmp_path, names=("a", "b"), own_routing=BUFFER, honest=False) as proxy:
        proxy.a.fault = fault
        reply = await long_stream(proxy, temperature=None)
        expect_whole(reply)
        assert reply.headers["x-hedgerow-provider"] == "b"
        assert reply.headers["x-hedgerow-attempts"] == "2"
        first, second = await proxy.charges()
        assert (first.provider, first.estimated) == ("a", True)
        assert (first.usage.completion or 0) > 0
        assert (second.provider, second.estimated, second.usage.completion) == ("b", False, 60)


async def test_a_buffered_stream_that_breaks_everywhere_is_an_error(tmp_path: Path) -> None:
    """Nothing was delivered, so the client gets a plain 502 that its own retries understand."""
    async with serving(tmp_path, names=("a", "b"), own_routing=BUFFER, honest=False) as proxy:
        for one in proxy.sandboxes.values():
            one.fault = Fault.CUT
        reply = await long_stream(proxy)
        assert (reply.status, reply.error["code"]) == (502, "upstream_failed")


@pytest.mark.parametrize("fault", BREAKS, ids=str)
async def test_a_spliced_stream_goes_on_where_it_broke(tmp_path: Path, fault: Fault) -> None:
    """Another provider says the same words: the client sees no seam, one opening, one end."""
    async with serving(tmp_path, names=("a", "b"), own_routing=SPLICE, honest=False) as proxy:
        proxy.a.fault = fault
        reply = await long_stream(proxy, stream_options={"include_usage": True})
        expect_whole(reply)
        charges = {one.provider: one for one in await proxy.charges()}
        assert charges["a"].estimated
        assert charges["b"].usage.completion == 60
        assert (await proxy.record(reply)).attempts == 2
        splices = proxy.server.house.splices
        assert (splices.tried, splices.matched) == (1, 1)


async def test_another_answer_is_not_spliced(tmp_path: Path) -> None:
    """A provider that says something else is not believed: the client hears that its own answer
    broke off, and of the other not a word."""
    async with serving(tmp_path, names=("a", "b"), own_routing=SPLICE, honest=False) as proxy:
        proxy.a.fault = Fault.CUT
        proxy.sandboxes["b"].behaviour = replace(FAST, voice="rook")
        reply = await long_stream(proxy)
        last = reply.events[-1]
        assert last["error"]["message"].startswith("a broke off")
        assert last["choices"][0]["finish_reason"] == "error"
        assert "rook" not in reply.body.decode()
        splices = proxy.server.house.splices
        assert (splices.tried, splices.matched) == (1, 0)
        assert {one.provider for one in await proxy.charges()} == {"a", "b"}


@pytest.mark.parametrize(
    "extra",
    [{"temperature": 0.7}, {"temperature": None}, {"n": 2}],
    ids=str,
)
async def test_what_may_be_another_answer_is_not_asked_for(
    tmp_path: Path, extra: dict[str, Any]
) -> None:
    """Where the same request need not get the same words, nobody pays for a second try."""
    async with serving(tmp_path, names=("a", "b"), own_routing=SPLICE, honest=False) as proxy:
        proxy.a.fault = Fault.CUT
        reply = await long_stream(proxy, **extra)
        assert "error" in reply.events[-1]
        assert proxy.sandboxes["b"].tally.requests == 0


async def test_a_prefilled_provider_says_only_the_rest(tmp_path: Path) -> None:
    """At any temperature: what was delivered is handed over as the beginning of the answer."""
    rest = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"index": 0, "delta": {"content": " and the rest"}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 3}},
    ]
    events = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in rest)
    asked: list[Any] = []

    async def prefilled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(json.loads(await read_request(reader)))
        writer.write(STREAM_HEAD + events + b"data: [DONE]\n\n")

    async with (
        answering(prefilled) as url,
        serving(tmp_path, names=("a",), urls={"b": url}, own_routing=SPLICE, honest=False) as proxy,
    ):
        house = proxy.server.house
        other = replace(house.providers["b"], prefill=Prefill({"prefix": True}, {"go_on": 1}))
        house.providers = {**house.providers, "b": other}
        proxy.a.fault = Fault.CUT
        reply = await long_stream(proxy, temperature=1)
        (request,) = asked
        delivered = request["messages"][-1]["content"]
        assert request["messages"][-1] == {
            "role": "assistant",
            "content": delivered,
            "prefix": True,
        }
        assert request["go_on"] == 1
        assert reply.content == delivered + " and the rest"
        assert seams(reply) == (1, 1, ["[DONE]"])


async def test_a_silent_stream_is_kept_alive(tmp_path: Path) -> None:
    """Comments come while the provider thinks, none while it writes, and no client sees more than
    the same answer."""
    go_on = asyncio.Event()
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"oak"},"finish_reason":null}]}\n\n'
    finish = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'

    async def thinks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + chunk)
        await go_on.wait()
        writer.write(chunk + finish + b"data: [DONE]\n\n")

    async with (
        answering(thinks) as url,
        serving(
            tmp_path, names=(), urls={"a": url}, own_routing="{heartbeat: 20ms}", honest=False
        ) as proxy,
    ):
        body = json.dumps({"model": "oak", "messages": [{"role": "user", "content": "x"}]})
        sent = body[:-1] + ',"stream":true}'
        async with proxy.http.post(
            f"{proxy.base_url}/chat/completions",
            data=sent,
            headers={"authorization": f"Bearer {proxy.key}"},
        ) as response:
            seen = b""
            while seen.count(b"\n\n: ") < 3:
                seen += await response.content.readany()
            go_on.set()
            seen += await response.content.read()
        events = [one for one in seen.split(b"\n\n") if one]
        assert [one for one in events if not one.startswith(b":")] == [
            *(one.strip() for one in (chunk, chunk, finish)),
            b"data: [DONE]",
        ]


@pytest.mark.parametrize("path", ["chat/completions", "messages", "responses"])
async def test_heartbeats_come_before_the_first_byte_too(tmp_path: Path, path: str) -> None:
    """A provider that thinks long before it begins, and then fails, and one that does not: the
    stream is open, and its end is whole or an error on its own wire; nothing stays held."""
    begun: asyncio.Queue[bool] = asyncio.Queue()
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"oak"},"finish_reason":null}]}\n\n'
    finish = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'

    async def thinks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if not await begun.get():
            writer.write(STREAM_HEAD + chunk + finish + b"data: [DONE]\n\n")

    body: dict[str, Any] = {"model": "oak", "stream": True, "max_tokens": 9}
    body |= {"input": "x"} if path == "responses" else {"messages": HELLO}
    if path == "responses":
        body["max_output_tokens"] = body.pop("max_tokens")
    async with (
        answering(thinks) as url,
        serving(
            tmp_path,
            names=(),
            urls={"a": url},
            own_routing="{heartbeat: 20ms, attempts: 1}",
            honest=False,
        ) as proxy,
    ):
        for fails in (True, False):
            async with proxy.http.post(
                f"{proxy.base_url}/{path}",
                json=body,
                headers={"authorization": f"Bearer {proxy.key}"},
            ) as response:
                seen = b""
                while seen.count(b": still there") < 2:
                    seen += await response.content.readany()
                begun.put_nowait(fails)
                seen += await response.content.read()
            last = seen.strip().rpartition(b"\n\n")[2]
            assert (b"upstream_failed" in last) == fails
            assert (b'"oak"' in seen) != fails
        assert len(await proxy.settled(2)) == 2


async def test_who_leaves_before_the_first_byte_is_not_waited_for(tmp_path: Path) -> None:
    """With heartbeats too, a client that leaves ends its provider's work."""
    async with serving(tmp_path, own_routing="{heartbeat: 20ms}", honest=False) as proxy:
        proxy.a.fault = Fault.HANG
        async with proxy.http.post(
            f"{proxy.base_url}/chat/completions",
            json={"model": "oak", "stream": True, "messages": HELLO},
            headers={"authorization": f"Bearer {proxy.key}"},
        ) as response:
            await response.content.readany()
        async with asyncio.timeout(PATIENCE_S):
            await proxy.a.tally.until(lambda tally: tally.disconnects == 1)
            await proxy.settled(1)


async def test_no_comments_unless_they_are_wanted(tmp_path: Path) -> None:
    """Some clients take no comments: without `heartbeat` there is none, however long it takes."""
    slow = Behaviour(models=(UPSTREAM_MODEL,), time_scale=1, ttft_ms_median=5, inter_token_ms=20)
    async with serving(tmp_path, behaviour=slow) as proxy:
        reply = await proxy.ask(stream=True)
        assert not any(one.startswith(b":") for one in reply.body.split(b"\n"))

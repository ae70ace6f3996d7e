"""An adversary's requests and answers: where money or truth could be lost."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.sandbox import Fault
from ledger.audit import verify
from ledger.statements import charged
from proxy.chat import serve
from proxy.endpoints import Endpoint
from proxy.exchange import Headers
from proxy.providers import Prefill
from proxy.upstream import (
    Broken,
    Late,
    NotConnected,
    TooLong,
    UpstreamError,
    UpstreamRequest,
    retry_after_s,
)
from proxy.wires.chat import ChatWire
from routing.breaker import Health
from tests.faults.test_clients_that_leave import raw_client
from tests.serving import (
    HELLO,
    MODEL,
    PATIENCE_S,
    STREAM_HEAD,
    Proxy,
    Reply,
    SkippingClock,
    answering,
    asking,
    head,
    offer,
    read_books,
    read_request,
    scripted,
    serving,
)

SPLICE = "{stream_rescue: prefix_match}"
OK = (
    b'{"choices":[{"message":{"content":"oak"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":1}}'
)


def data(*events: Any) -> bytes:
    """Events of a stream, without names."""
    texts = [one if isinstance(one, str) else json.dumps(one) for one in events]
    return b"".join(b"data: " + one.encode() + b"\n\n" for one in texts)


def named(*events: dict[str, Any]) -> bytes:
    """Events of a stream that are named by their type."""
    return b"".join(f"event: {one['type']}\n".encode() + data(one) for one in events)


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def in_flight(proxy: Proxy, provider: str = "a") -> int:
    states = proxy.server.house.accounts._states
    return sum(one.in_flight for one in states[provider].values())


async def held(proxy: Proxy) -> int:
    in_store = (await proxy.read(lambda store: verify(store.sql))).open_holds
    return in_store + proxy.server.house.book.under_way


# -- what cannot be said at all


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_that_was_never_sent_costs_and_holds_nothing(
    tmp_path: Path, streamed: bool
) -> None:
    """What no provider's wire can say within the limit (a thinking budget below its least) goes
    to the next offer: nothing stays held, no account stays taken, nothing is charged."""
    claude = "claude-3-7-sonnet-20250219"
    offers = {"a": f"{{provider: a, model: {claude}, price: {{input: 1, output: 2}}}}"}
    async with serving(
        tmp_path,
        names=("a",),
        offers=offers,
        provider=", endpoints: [messages], accounts: [{name: one, api_key: sk-1, parallel: 1}]",
    ) as proxy:
        async with asyncio.timeout(PATIENCE_S):
            reply = await proxy.ask(reasoning_effort="low", max_tokens=500, stream=streamed)
        assert (reply.status, reply.error["code"]) == (400, "not_translatable")
        assert await proxy.charges() == []
        assert (in_flight(proxy), await held(proxy)) == (0, 0)
        assert proxy.a.tally.requests == 0


# -- what is booked


HEARING = {"a": offer("a", more=", tasks: [transcription]")}


async def test_a_stream_that_counts_only_seconds_is_still_charged(tmp_path: Path) -> None:
    """A transcription's last event may name seconds where its offer is priced by tokens: what it
    does not name is estimated, and the hold ends."""
    events = named(
        {"type": "transcript.text.delta", "delta": "oak elm"},
        {
            "type": "transcript.text.done",
            "text": "oak elm",
            "usage": {"type": "duration", "seconds": 2},
        },
    )
    form = (
        b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\noak\r\n'
        b'--x\r\ncontent-disposition: form-data; name="stream"\r\n\r\ntrue\r\n'
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        b"RIFF" + bytes(400) + b"\r\n--x--\r\n"
    )
    async with (
        scripted(STREAM_HEAD, events) as url,
        serving(tmp_path, names=(), urls={"a": url}, offers=HEARING, honest=False) as proxy,
    ):
        reply = await proxy.post(
            form,
            path="/audio/transcriptions",
            **{"content-type": "multipart/form-data; boundary=x"},
        )
        assert reply.status == 200
        assert b"transcript.text.done" in reply.body
        (charge,) = await proxy.charges()
        assert charge.estimated
        assert (charge.usage.completion or 0) > 0
        assert await held(proxy) == 0


async def test_who_leaves_pays_for_the_prompt_that_its_provider_counted(tmp_path: Path) -> None:
    """A message begins with the exact length of its prompt (a document of 50 000 tokens behind a
    short URL): who hangs up just before the end pays for all of it."""
    start = {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "usage": {"input_tokens": 50_000, "output_tokens": 1},
        },
    }
    text = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "oak"},
    }
    document = {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}}
    body = {
        "model": MODEL,
        "max_tokens": 100,
        "stream": True,
        "messages": [{"role": "user", "content": [document]}],
    }
    async with (
        scripted(STREAM_HEAD, named(start, text), stay=True) as url,
        serving(
            tmp_path,
            names=(),
            urls={"a": url},
            offers={"a": offer("a", more=", context_tokens: 200000, features: [vision]")},
            provider=", endpoints: [messages]",
            honest=False,
        ) as proxy,
    ):
        sent = {"authorization": f"Bearer {proxy.key}"}
        async with proxy.http.post(f"{proxy.base_url}/messages", json=body, headers=sent) as answer:
            seen = b""
            while b"oak" not in seen:
                seen += await answer.content.readany()
        async with asyncio.timeout(PATIENCE_S):
            (charge,) = await proxy.settled(attempts=1)
        assert charge.estimated
        assert charge.usage.prompt == 50_000


async def test_a_stream_that_was_cut_is_booked_as_an_estimate(tmp_path: Path) -> None:
    """Some name the usage so far in every chunk: where the stream is cut, that is no last word."""
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    async with (
        scripted(
            STREAM_HEAD,
            data(chunk(content="oak") | {"usage": usage}, chunk(content="elm") | {"usage": usage}),
        ) as url,
        serving(tmp_path, names=(), urls={"a": url}, honest=False) as proxy,
    ):
        reply = await proxy.ask(stream=True)
        assert "error" in reply.events[-1]
        (charge,) = await proxy.charges()
        assert charge.estimated


async def test_a_plain_answer_cut_by_the_drain_is_booked_as_the_most(tmp_path: Path) -> None:
    """Its provider writes it to its end and bills it: as of every answer that we hang up on, only
    the hold bounds that (decision 9)."""

    async with (
        scripted(stay=True) as url,
        serving(tmp_path, names=(), urls={"a": url}, drain_s=0.05, honest=False) as proxy,
    ):
        asked = asyncio.create_task(proxy.ask(max_tokens=5000))
        async with asyncio.timeout(PATIENCE_S):
            while await held(proxy) == 0:
                pass
            await proxy.stop()
        await asyncio.gather(asked, return_exceptions=True)
        (charge,) = await asyncio.to_thread(
            read_books, proxy.config, lambda store: list(charged(store.sql))
        )
        assert (charge.estimated, charge.usage.completion) == (True, 5000)


# -- what looks whole


@pytest.mark.parametrize("rescue", ["error", "buffer", "prefix_match"])
async def test_an_empty_finish_reason_is_none(tmp_path: Path, rescue: str) -> None:
    """Some hosts write "" for what goes on: where such a stream is cut, it is not whole."""
    events = data(chunk("", role="assistant", content=""), chunk("", content="oak"))
    async with (
        scripted(STREAM_HEAD, events) as url,
        serving(
            tmp_path,
            names=(),
            urls={"a": url},
            own_routing=f"{{stream_rescue: {rescue}}}",
            routing="{attempts: 1}",
            honest=False,
        ) as proxy,
    ):
        reply = await proxy.ask(stream=True)
        assert b"[DONE]" not in reply.body
        assert b"error" in reply.body


@pytest.mark.parametrize(
    "response",
    [
        {"id": "r", "status": "completed", "usage": {"input_tokens": 3, "output_tokens": 2}},
        {"id": "r", "status": "completed", "output": [{"type": "function_call", "arguments": {}}]},
        {"id": "r", "status": "completed", "output": [{"type": "x", "content": "oak"}]},
    ],
    ids=["no output", "odd arguments", "odd content"],
)
async def test_the_last_word_of_a_response_is_passed_on(
    tmp_path: Path, response: dict[str, Any]
) -> None:
    """Whatever is in its `response` beside the usage: a stream never just ends, without its last
    event and without an error."""
    events = named(
        {"type": "response.output_text.delta", "delta": "oak"},
        {"type": "response.completed", "response": response},
    )
    async with (
        scripted(STREAM_HEAD, events) as url,
        serving(
            tmp_path, names=(), urls={"a": url}, provider=", endpoints: [responses]", honest=False
        ) as proxy,
    ):
        reply = await proxy.post({"model": MODEL, "input": "x", "stream": True}, path="/responses")
        last = reply.body.decode().rstrip().split("\n\n")[-1]
        assert "response.completed" in last or "error" in last
        (charge,) = await proxy.charges()
        assert charge.usage.prompt == 3 or charge.estimated


# -- streams that go on elsewhere


async def test_a_rescued_stream_stays_in_its_clients_wire(tmp_path: Path) -> None:
    """A Messages client whose chat provider breaks off is not handed another provider's own
    events, from the beginning, in the middle of its answer."""
    start = {
        "type": "message_start",
        "message": {
            "id": "msg_2",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "usage": {"input_tokens": 3, "output_tokens": 1},
        },
    }
    block = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    }
    texts = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": one}}
        for one in ("hawthorn ", "hazel ", "and the rest")
    ]
    end = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 9},
    }
    whole = named(
        start,
        block,
        *texts,
        {"type": "content_block_stop", "index": 0},
        end,
        {"type": "message_stop"},
    )
    begun = data(chunk(role="assistant", content=""), chunk(content="hawthorn "))
    async with (
        scripted(STREAM_HEAD, begun) as chats,
        scripted(STREAM_HEAD, whole) as messages,
        serving(
            tmp_path, names=(), urls={"a": chats, "b": messages}, own_routing=SPLICE, honest=False
        ) as proxy,
    ):
        house = proxy.server.house
        speaks = {"a": [Endpoint.CHAT], "b": [Endpoint.MESSAGES]}
        house.providers = {
            name: replace(one, endpoints=frozenset(speaks[name]))
            for name, one in house.providers.items()
        }
        reply = await proxy.post(asking(stream=True, temperature=0), path="/messages")
        assert reply.body.count(b'"message_start"') == 1
        assert reply.body.count(b'"hawthorn "') == 1


@dataclass(frozen=True)
class Rescued:
    """What came of a stream that broke off, and of asking another provider for its rest.

    asked: the bodies that the other was sent. held: what was held for it, in nano-USD.
    """

    reply: Reply
    asked: list[Any]
    held: int
    is_resting: bool


async def rescued(
    tmp_path: Path, first: bytes, second: bytes, *, attempts: int = 2, prefill: bool = False
) -> Rescued:
    asked: list[Any] = []

    async def goes_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(json.loads(await read_request(reader)))
        writer.write(STREAM_HEAD + second)

    clock = SkippingClock()
    async with (
        scripted(STREAM_HEAD, first) as a,
        answering(goes_on) as b,
        serving(
            tmp_path,
            names=(),
            urls={"a": a, "b": b},
            own_routing=f"{{stream_rescue: prefix_match, attempts: {attempts}}}",
            honest=False,
            clock=clock,
        ) as proxy,
    ):
        house = proxy.server.house
        if prefill:
            other = replace(house.providers["b"], prefill=Prefill())
            house.providers = {**house.providers, "b": other}
        reply = await proxy.ask(stream=True, temperature=0, max_tokens=60)
        held = await proxy.read(
            lambda store: store.sql.execute(
                "SELECT max(held_nanos) FROM entries JOIN subjects ON subjects.id = subject_id"
                " WHERE provider = 'b'"
            ).fetchall()[0][0]
        )
        health = house.breakers.health("b/oak-70b", clock.monotonic_s())
        return Rescued(reply, asked, held or 0, health is not Health.CLOSED)


CALL = [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


@pytest.mark.parametrize(
    "second",
    [
        [chunk(tool_calls=CALL), chunk(content="oak elm"), chunk("tool_calls")],
        [chunk(content="oak ", tool_calls=CALL), chunk("tool_calls")],
    ],
    ids=["before the text", "beside its end"],
)
async def test_a_rescued_stream_drops_no_tool_call(tmp_path: Path, second: list[Any]) -> None:
    """Whoever says that tools were called has said which: or it is another answer."""
    made = await rescued(tmp_path, data(chunk(content="oak ")), data(*second, "[DONE]"))
    reply = made.reply
    if b'"finish_reason":"tool_calls"' in reply.body.replace(b" ", b""):
        assert b'"name":"f"' in reply.body.replace(b" ", b"")


async def test_a_rescued_stream_ends_once(tmp_path: Path) -> None:
    """An answer that had said how it ended, and failed after it, is not begun anew."""
    whole = [chunk(content="oak"), chunk("stop")]
    fails = data(*whole, {"error": {"message": "no"}})
    made = await rescued(tmp_path, fails, data(*whole, "[DONE]"))
    assert made.reply.body.replace(b" ", b"").count(b'"finish_reason":"stop"') == 1


async def test_thoughts_of_two_answers_are_not_mixed(tmp_path: Path) -> None:
    """A stream that broke off while it thought is not finished by another provider's answer, whose
    own thoughts nobody saw."""
    first = data(chunk(role="assistant", content=""), chunk(reasoning_content="it must be an"))
    second = data(
        chunk(reasoning_content="elm, of course"), chunk(content="elm"), chunk("stop"), "[DONE]"
    )
    reply = (await rescued(tmp_path, first, second)).reply
    assert ("it must be an" in reply.body.decode()) != ("elm" in reply.content)


async def test_a_rescued_stream_has_one_id(tmp_path: Path) -> None:
    """Chunks of one answer have one id: clients put their answers together by it."""
    first = data({"id": "one", **chunk(content="oak ")})
    second = data(
        {"id": "two", **chunk(content="oak elm")}, {"id": "two", **chunk("stop")}, "[DONE]"
    )
    reply = (await rescued(tmp_path, first, second)).reply
    assert reply.content == "oak elm"
    assert {one["id"] for one in reply.events if one != "[DONE]"} == {"one"}


async def test_another_answer_is_asked_for_once(tmp_path: Path) -> None:
    """A provider that says something else would say it again: it is not paid for twice, and is not
    out of order."""
    another = data(chunk(content="elm"), chunk("stop"), "[DONE]")
    made = await rescued(tmp_path, data(chunk(content="oak ")), another, attempts=5)
    assert "error" in made.reply.events[-1]
    assert len(made.asked) == 1
    assert not made.is_resting


async def test_what_goes_on_from_a_prefill_is_held_and_limited(tmp_path: Path) -> None:
    """What was delivered is a prompt now, and a part of the limit: the hold covers the one, and
    the whole answer is no longer than the client allows."""
    words = "oak " * 49 + "elm"
    first = data(*[chunk(content=one) for one in words.split(" ")])
    usage = {"prompt_tokens": 300, "completion_tokens": 10}
    second = data(chunk(content="ash"), chunk("stop"), {"choices": [], "usage": usage}, "[DONE]")
    made = await rescued(tmp_path, first, second, prefill=True)
    (request,) = made.asked
    assert request["max_tokens"] == 60 - 50
    prompt_bytes = len(json.dumps(request["messages"], separators=(",", ":")))
    assert made.held >= 3000 * prompt_bytes + 6000 * request["max_tokens"]


# -- what takes longer than it may


async def test_comments_do_not_keep_a_held_back_stream_forever(tmp_path: Path) -> None:
    """The idle limit is on events, also of a stream that is held back until it is whole."""

    async def comments(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + data(chunk(content="oak")))
        while True:
            writer.write(b": still there\n\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    routing = "{stream_rescue: buffer, idle_timeout: 200ms, attempts: 1}"
    async with (
        answering(comments) as url,
        serving(tmp_path, names=(), urls={"a": url}, own_routing=routing, honest=False) as proxy,
    ):
        async with asyncio.timeout(3):
            reply = await proxy.ask(stream=True)
        assert reply.status in (502, 504)


async def test_a_refusal_that_dribbles_keeps_no_stream_beyond_its_deadline(tmp_path: Path) -> None:
    """The deadline is for all that comes before the first event: also for the words of an error."""

    async def dribbles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(head("500 Out of order"))
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    routing = "{idle_timeout: 200ms, first_byte_timeout: 300ms, deadline: 500ms, attempts: 1}"
    async with (
        answering(dribbles) as url,
        serving(tmp_path, names=(), urls={"a": url}, own_routing=routing, honest=False) as proxy,
    ):
        async with asyncio.timeout(3):
            reply = await proxy.ask(stream=True)
        assert reply.status == 502


async def test_who_left_while_it_waited_is_not_asked_for(tmp_path: Path) -> None:
    """A plain request that waits for one of our accounts costs nothing when its client leaves."""
    full, go_on = asyncio.Event(), asyncio.Event()
    asked = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while True:
            await read_request(reader)
            asked += 1
            full.set()
            await go_on.wait()
            writer.write(head(more=f"content-length: {len(OK)}\r\n") + OK)

    provider = ", accounts: [{name: one, api_key: sk-1, parallel: 1}]"
    async with (
        answering(slow) as url,
        serving(tmp_path, names=(), urls={"a": url}, provider=provider) as proxy,
    ):
        async with asyncio.timeout(PATIENCE_S):
            first = asyncio.create_task(proxy.ask())
            await full.wait()
            async with raw_client(proxy, asking()):
                await proxy.alive()
            await proxy.alive()
            go_on.set()
            assert (await first).status == 200
            await proxy.stop()
        assert asked == 1


# -- accounts


ACCOUNTS = ", accounts: [" + ", ".join(f"{{name: n{n}, api_key: sk-{n}}}" for n in range(4)) + "]"


async def test_many_limited_accounts_leave_a_try_to_other_offers(tmp_path: Path) -> None:
    """Every account of the cheapest is rate limited: another provider answers all the same."""
    async with serving(tmp_path, names=("a", "b"), provider=ACCOUNTS) as proxy:
        proxy.a.fault = Fault.HTTP_429
        reply = await proxy.ask()
        assert reply.status == 200
        assert reply.headers["x-hedgerow-provider"] == "b"


async def test_rate_limited_everywhere_is_told_as_such(tmp_path: Path) -> None:
    """All that was answered was 429: so is what the client gets, not a 502."""
    async with serving(tmp_path, provider=ACCOUNTS, clock=SkippingClock()) as proxy:
        proxy.a.fault = Fault.HTTP_429
        reply = await proxy.ask()
        assert reply.status == 429


async def test_a_rest_that_is_over_leaves_time_to_breathe(tmp_path: Path) -> None:
    """`retry-after: 0` of a rate-limited account is no invitation to ask it again at once, nor
    does it count as another account."""
    asked: list[float] = []

    async def limited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            asked.append(asyncio.get_running_loop().time())
            writer.write(head("429 Slow", more="retry-after: 0\r\ncontent-length: 2\r\n") + b"{}")

    async with (
        answering(limited) as url,
        serving(tmp_path, names=(), urls={"a": url}, routing="{attempts: 4}") as proxy,
    ):
        await proxy.ask()
        assert asked[-1] - asked[0] > 0.25 or len(asked) < 3


def test_no_date_is_too_odd() -> None:
    """Whatever a provider writes as a date, it is a number of seconds, or 1."""
    odd = "Fri, 20 Nov 2026 07:14:19 +99999999999999999999"
    assert retry_after_s({"retry-after": odd}, 0) == 1.0


# -- what is billed apart


PROMPT: dict[str, Any] = {"messages": HELLO, "max_tokens": 8}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/messages", PROMPT | {"fallbacks": [{"model": "claude-opus-4"}]}),
        ("/messages", PROMPT | {"fallbacks": "default"}),
        ("/messages", PROMPT | {"compaction": {"type": "x"}}),
        ("/messages", PROMPT | {"context_management": {"edits": [{"type": "compact_20260112"}]}}),
        ("/messages", PROMPT | {"thread": {"type": "continue", "previous_message_id": "msg_1"}}),
        ("/responses", {"input": [{"type": "item_reference", "id": "msg_1"}]}),
        ("/responses", {"input": [{"id": "msg_1"}]}),
        ("/chat/completions", PROMPT | {"preset": "dear"}),
        ("/chat/completions", PROMPT | {"deferred": True}),
        ("/chat/completions", PROMPT | {"enable_search": True}),
    ],
    ids=str,
)
async def test_what_is_billed_apart_is_refused(
    tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    """Another model's prices, work that no usage counts, prompts that a provider keeps, answers
    that are fetched elsewhere: nobody is asked."""
    provider = ", endpoints: [chat/completions, messages, responses]"
    async with serving(tmp_path, provider=provider) as proxy:
        reply = await proxy.post({"model": MODEL} | body, path=path)
        assert (reply.status, reply.json["error"]["code"]) == (400, "unpriced_feature")
        assert proxy.a.tally.requests == 0


async def test_what_is_only_left_out_is_not_billed_apart(tmp_path: Path) -> None:
    """Tool results and thoughts that are cleared from a conversation cost nothing: coding agents
    ask for it."""
    edits = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    async with serving(tmp_path, provider=", endpoints: [messages]") as proxy:
        reply = await proxy.post(
            {"model": MODEL, "context_management": edits} | PROMPT, path="/messages"
        )
        assert reply.status == 200


async def test_a_shorter_answer_is_not_a_whole_one(tmp_path: Path) -> None:
    """Another answer that ends before the end of what was delivered: the client hears that its own
    broke off, and no [DONE]."""

    async def ends_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM_HEAD + data(chunk(content="oak ")))
        await writer.drain()
        await asyncio.sleep(0.1)  # a packet of its own
        writer.write(data(chunk("stop"), "[DONE]"))

    async with (
        scripted(STREAM_HEAD, data(chunk(content="oak "), chunk(content="elm "))) as a,
        answering(ends_early) as b,
        serving(
            tmp_path, names=(), urls={"a": a, "b": b}, own_routing=SPLICE, honest=False
        ) as proxy,
    ):
        reply = await proxy.ask(stream=True, temperature=0)
        assert "[DONE]" not in reply.events
        assert reply.events[-1]["error"]["message"].startswith("a broke off")


async def test_a_stream_that_was_held_back_does_not_look_fast(tmp_path: Path) -> None:
    """All of it came at once, from us: the market learns nothing of how fast its provider writes,
    by which others' patience is measured."""
    async with serving(tmp_path, own_routing="{stream_rescue: buffer}") as proxy:
        assert (await proxy.ask(stream=True)).status == 200
        market = proxy.server.house.market
        market.rebuild(datetime.now(UTC))
        (listing,) = market.snapshot.models[MODEL]
        assert listing.seen.ttft_ms_p50 is not None
        assert listing.seen.inter_token_ms_p50 is None


async def test_an_account_without_credit_is_not_the_clients_fault(tmp_path: Path) -> None:
    """Anthropic says 400 of it: the next offer is asked, and no client reads of our credit."""
    why = "Your credit balance is too low to access the Anthropic API."
    body = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": why}})
    async with (
        scripted(head("400 Bad Request") + body.encode()) as url,
        serving(tmp_path, names=("b",), urls={"a": url}) as proxy,
    ):
        reply = await proxy.ask()
        assert (reply.status, reply.headers["x-hedgerow-provider"]) == (200, "b")


async def test_counting_tokens_takes_no_requests_from_others(tmp_path: Path) -> None:
    """It costs nothing, so it must not use up what our accounts may begin in a minute."""
    provider = (
        ", endpoints: [messages, messages/count_tokens],"
        " accounts: [{name: one, api_key: sk-1, requests_per_minute: 2}]"
    )
    async with serving(tmp_path, provider=provider, routing="{deadline: 1s}") as proxy:
        for _ in range(3):
            await proxy.post({"model": MODEL, "messages": HELLO}, path="/messages/count_tokens")
        reply = await proxy.post({"model": MODEL} | PROMPT, path="/messages")
        assert reply.status == 200


async def test_a_stream_is_one_in_any_case(tmp_path: Path) -> None:
    """Content types are the same in any case: what was billed as a stream is not thrown away."""
    event = data(chunk("stop", content="oak"), "[DONE]")
    async with (
        scripted(head(kind="Text/Event-Stream"), event) as url,
        serving(tmp_path, names=(), urls={"a": url}, honest=False) as proxy,
    ):
        reply = await proxy.ask(stream=True)
        assert (reply.status, reply.content) == (200, "oak")


IMAGE = "data:image/png;base64," + "A" * 500_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/chat/completions",
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": IMAGE}}],
                    }
                ],
                "max_tokens": 8,
            },
        ),
        (
            "/responses",
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_image", "image_url": IMAGE}]}
                ],
                "max_output_tokens": 8,
            },
        ),
        (
            "/messages",
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image", "source": {"type": "base64", "data": IMAGE}}],
                    }
                ],
                "max_tokens": 8,
            },
        ),
    ],
    ids=["chat", "responses", "messages"],
)
async def test_an_image_is_no_text(tmp_path: Path, path: str, body: dict[str, Any]) -> None:
    """The bytes of an image are not the length of a prompt: half a million fit into any context,
    and what is held for it is what that context can cost."""
    offers = {"a": offer("a", more=", context_tokens: 10000, features: [vision]")}
    provider = ", endpoints: [chat/completions, messages, responses]"
    async with serving(tmp_path, offers=offers, provider=provider, honest=False) as proxy:
        reply = await proxy.post({"model": MODEL} | body, path=path)
        assert reply.status == 200
        ((amount,),) = await proxy.read(
            lambda store: store.sql.execute("SELECT held_nanos FROM entries").fetchall()
        )
        assert amount == 10_000 * 1000 + 8 * 2000


# -- all of it together


WORDS = ("oak ", "elm ", "ash")
STREAMED = {"content-type": "text/event-stream"}
TEXTS = [chunk(role="assistant", content=""), *[chunk(content=one) for one in WORDS]]
USED: dict[str, Any] = {
    "choices": [],
    "usage": {"prompt_tokens": 3, "completion_tokens": 3},
}
ENDS = [chunk("stop"), USED, "[DONE]"]
WHOLE = data(*TEXTS, *ENDS)
PARTS = [data(one) for one in (*TEXTS, *ENDS)]
PLAIN = json.dumps(
    {"choices": [{"message": {"content": "".join(WORDS)}}], "usage": USED["usage"]}
).encode()
SILENCE: list[bytes | UpstreamError | None] = [None]
BREAK: list[bytes | UpstreamError | None] = [Broken("it broke")]


@dataclass(frozen=True)
class Does:
    """What a provider does with one attempt: it fails, or answers so. None in parts: silence."""

    name: str
    error: UpstreamError | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[bytes | UpstreamError | None] = ()
    plain: Sequence[bytes | UpstreamError | None] = (PLAIN,)


DOES = [
    Does("answers", parts=[WHOLE]),
    Does("answers in pieces", parts=PARTS),
    Does("refuses the connection", NotConnected("no connection")),
    Does("hangs up", Broken("it hung up")),
    *[Does(f"says {status}", status=status) for status in (202, 401, 404, 500, 504)],
    *[
        Does(f"is limited for {rest}", status=429, headers={"retry-after": rest})
        for rest in ("0", "1", "100", "Fri, 20 Nov 2020 07:14:19 GMT")
    ],
    Does("finds it wrong", status=400, plain=[b'{"error":{"message":"bad"}}']),
    Does("finds it long", status=400, plain=[b'{"error":{"message":"prompt is too long"}}']),
    Does("says nothing", parts=[], plain=[]),
    Does("says an error", parts=[data({"error": {"message": "x"}})], plain=[b'{"error":{}}']),
    Does("is too long", parts=[TooLong("x")], plain=[TooLong("x")]),
    Does("says another thing", parts=[data(chunk(content="fir "), *ENDS)]),
    Does("says less", parts=[data(*TEXTS[:2]), data(*ENDS)]),
    Does("forgets its last word", parts=[data(*TEXTS, *ENDS[:2])]),
    *[Does(f"stops after {n}", parts=PARTS[:n], plain=[PLAIN[:9]]) for n in range(1, 6)],
    *[Does(f"breaks after {n}", parts=PARTS[:n] + BREAK, plain=BREAK) for n in range(6)],
    *[Does(f"is silent after {n}", parts=PARTS[:n] + SILENCE, plain=SILENCE) for n in range(6)],
]


class ScriptedAnswer:
    def __init__(self, does: Does, parts: Sequence[Any], clock: SkippingClock) -> None:
        self.status = does.status
        self.headers = does.headers if does.status != 200 else STREAMED
        self._parts, self._clock = list(parts), clock
        self.is_closed = False

    async def all(self, limit: int) -> bytes:
        whole = b""
        while part := await self.some():
            whole += part
        assert len(whole) <= limit
        return whole

    async def some(self, within_s: float | None = None) -> bytes:
        await asyncio.sleep(0)
        if not self._parts:
            return b""
        if self._parts[0] is None:
            await self._clock.sleep(30.0 if within_s is None else min(30.0, within_s))
            raise Late("it was silent")
        part = self._parts.pop(0)
        if isinstance(part, UpstreamError):
            raise part
        return bytes(part)

    def close(self) -> None:
        self.is_closed = True


class ScriptedUpstream:
    """Providers by the script, one line for each attempt, then from its beginning."""

    def __init__(self, script: Sequence[Does], clock: SkippingClock) -> None:
        self._script, self._clock = script, clock
        self.answers: list[ScriptedAnswer] = []
        self.sent = 0

    async def send(self, request: UpstreamRequest) -> ScriptedAnswer:
        does = self._script[self.sent % len(self._script)]
        self.sent += 1
        await asyncio.sleep(0)
        if does.error is not None:
            raise does.error
        streamed = json.loads(request.body).get("stream") is True and does.status == 200
        answer = ScriptedAnswer(does, does.parts if streamed else does.plain, self._clock)
        self.answers.append(answer)
        return answer


class LeavingClient:
    """An exchange whose client leaves at its nth step; 0: never."""

    method, path = "POST", "/v1/chat/completions"
    abandonable = False

    def __init__(self, key: str, body: object, leaves_at: int) -> None:
        self.headers: Mapping[str, str] = {"authorization": f"Bearer {key}"}
        self.body = json.dumps(body).encode()
        self.has_begun = self.is_over = False
        self.got = b""
        self._steps, self._leaves_at = 0, leaves_at

    async def _step(self, got: bytes = b"") -> None:
        await asyncio.sleep(0)
        self._steps += 1
        if self._steps == self._leaves_at:
            raise ConnectionResetError
        self.got += got

    async def answer(self, _status: int, _headers: Headers, body: bytes) -> None:
        self.got, self.is_over = body, True

    async def open(self, _status: int, _headers: Headers) -> None:
        await self._step()
        self.has_begun = True

    async def write(self, part: bytes) -> None:
        await self._step(part)

    async def finish(self, part: bytes) -> None:
        await self._step(part)
        self.is_over = True

    async def fail(self, part: bytes) -> None:
        await self.finish(part)


def expect_one_answer(got: bytes) -> None:
    """A stream that came to its end is one whole answer, or says that it was cut."""
    events = [one.removeprefix("data: ") for one in got.decode().split("\n\n") if one]
    choices = [one for text in events if text != "[DONE]" for one in json.loads(text)["choices"]]
    text = "".join(one["delta"].get("content") or "" for one in choices)
    ends = [one["finish_reason"] for one in choices if one.get("finish_reason")]
    if events[-1] == "[DONE]":
        assert (text, ends) in [(one, ["stop"]) for one in ("".join(WORDS), "fir ", WORDS[0])]
    else:
        assert ends == ["error"]
        assert "".join(WORDS).startswith(text) or text == "fir "


LIMITED = (
    ", accounts: [{name: one, api_key: sk-1, parallel: 1},"
    " {name: two, api_key: sk-2, parallel: 1, requests_per_minute: 3}]"
)


@given(
    script=st.lists(st.sampled_from(DOES), min_size=1, max_size=6),
    rescue=st.sampled_from(["error", "buffer", "prefix_match"]),
    accounts=st.sampled_from(["", LIMITED]),
    streamed=st.lists(st.booleans(), min_size=1, max_size=3),
    leaves_at=st.integers(0, 6),
    cancelled_after=st.none() | st.integers(0, 40),
)
@settings(max_examples=60, deadline=None)
def test_whatever_happens_every_attempt_ends_once(
    script: list[Does],
    rescue: str,
    accounts: str,
    streamed: list[bool],
    leaves_at: int,
    cancelled_after: int | None,
) -> None:
    """Whatever providers do, and whenever clients leave or the server cuts them: no more attempts
    than allowed, each hold ended once, every account, probe and connection given back, and no
    answer that is mixed, repeated, or looks whole and is not."""

    async def story(folder: Path) -> None:
        clock, attempts = SkippingClock(), 4
        own = f"{{stream_rescue: {rescue}, attempts: {attempts}}}"
        async with serving(
            folder,
            names=("a", "b"),
            own_routing=own,
            provider=accounts,
            clock=clock,
            honest=False,
        ) as proxy:
            house = proxy.server.house
            upstream = ScriptedUpstream(script, clock)
            house.upstream = upstream
            clients = [
                LeavingClient(proxy.key, asking(stream=one, temperature=0), leaves_at)
                for one in streamed
            ]
            tasks = [asyncio.create_task(serve(one, house, ChatWire())) for one in clients]
            if cancelled_after is not None:
                for _ in range(cancelled_after):
                    await asyncio.sleep(0)
                tasks[0].cancel()
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.gather(*tasks, return_exceptions=True)
                await house.unheard.close()
            assert upstream.sent <= attempts * len(clients)
            assert await held(proxy) == 0
            assert (in_flight(proxy, "a"), in_flight(proxy, "b")) == (0, 0)
            assert not any(one.probing for one in house.breakers._by_offer.values())
            assert all(one.is_closed for one in upstream.answers)
            for client in clients:
                if client.has_begun and client.is_over:
                    expect_one_answer(client.got)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(story(Path(folder)))

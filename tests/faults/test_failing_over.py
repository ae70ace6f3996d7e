"""Failing over: one deadline, one number of attempts, and no offer asked in vain."""

from __future__ import annotations

import asyncio
import json
from email.utils import formatdate
from pathlib import Path

import pytest

from benchmarks.sandbox import Behaviour, Fault
from tests.serving import (
    HELLO,
    MODEL,
    UPSTREAM_MODEL,
    ManualClock,
    SkippingClock,
    answering,
    head,
    offer,
    read_request,
    serving,
)

OK = (
    b'{"choices":[{"message":{"content":"oak"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
)


@pytest.mark.parametrize(
    ("rest", "waits_s"),
    [
        ("retry-after: 7\r\n", 7.0),
        ("retry-after-ms: 1500\r\nretry-after: 7\r\n", 1.5),
        ("retry-after: {date}\r\n", 30.0),
    ],
    ids=["seconds", "milliseconds", "date"],
)
async def test_with_no_other_offer_a_rest_is_waited_out(
    tmp_path: Path, rest: str, waits_s: float
) -> None:
    """A 429 that says when to come back is asked again then, inside the deadline, not before."""
    clock, asked_s = SkippingClock(), []
    limited = (
        rest.replace("{date}", formatdate(clock.now_ns() / 1e9 + 30, usegmt=True))
        + "content-length: 2\r\n"
    )

    async def limited_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            asked_s.append(clock.monotonic_s())
            if len(asked_s) == 1:
                writer.write(head("429 Slow down", more=limited) + b"{}")
            else:
                writer.write(head(more=f"content-length: {len(OK)}\r\n") + OK)

    async with (
        answering(limited_once) as url,
        serving(tmp_path, names=(), urls={"a": url}, clock=clock) as proxy,
    ):
        reply = await proxy.ask()
        assert (reply.status, reply.headers["x-hedgerow-attempts"]) == (200, "2")
        first_s, second_s = asked_s
        assert waits_s - 1.5 <= second_s - first_s <= waits_s + 5


async def test_a_rest_beyond_the_deadline_is_told_to_the_client(tmp_path: Path) -> None:
    """Nobody waits for what will not come in time: 429 at once, with the provider's own rest."""
    behaviour = Behaviour(models=(UPSTREAM_MODEL,), time_scale=0, retry_after_s=90)
    async with serving(tmp_path, behaviour=behaviour, clock=ManualClock()) as proxy:
        proxy.a.fault = Fault.HTTP_429
        reply = await proxy.ask()
        assert (reply.status, reply.headers["retry-after"]) == (429, "90")
        assert proxy.a.tally.requests == 1


async def test_a_failure_that_passes_is_tried_again_where_there_is_no_other(
    tmp_path: Path,
) -> None:
    """Two failures, then an answer: within the attempts of one request, and charged once."""
    async with serving(tmp_path, clock=SkippingClock()) as proxy:
        proxy.a.fault = Fault.HTTP_500
        asked = asyncio.create_task(proxy.ask())
        await proxy.a.tally.until(lambda tally: tally.by_status[500] == 2)
        proxy.a.fault = None
        reply = await asked
        assert (reply.status, reply.headers["x-hedgerow-attempts"]) == (200, "3")
        assert len(await proxy.charges()) == 1


async def test_a_prompt_that_is_too_long_goes_to_a_longer_window(tmp_path: Path) -> None:
    """Cheapest first: its context is too short; the next has no longer one and is not asked; the
    last has, and answers."""
    contexts = {"a": 100, "b": 100, "c": 1000}
    offers = {
        name: offer(name, more=f", context_tokens: {tokens}") for name, tokens in contexts.items()
    }
    async with serving(tmp_path, names=("a", "b", "c"), offers=offers) as proxy:
        for name in ("a", "b"):
            proxy.sandboxes[name].behaviour = Behaviour(
                models=(UPSTREAM_MODEL,), time_scale=0, context_tokens=3
            )
        for streamed in (False, True):
            reply = await proxy.ask(stream=streamed)
            assert (reply.status, reply.headers["x-hedgerow-provider"]) == (200, "c")
            assert reply.headers["x-hedgerow-attempts"] == "2"
        assert proxy.sandboxes["b"].tally.requests == 0


async def test_a_content_filter_is_the_answer(tmp_path: Path) -> None:
    """It is not shopped around: no other provider sees what one has refused."""
    async with serving(tmp_path, names=("a", "b")) as proxy:
        proxy.a.fault = Fault.CONTENT_FILTER
        reply = await proxy.ask()
        assert (reply.status, reply.error["code"]) == (400, "content_filter")
        assert proxy.sandboxes["b"].tally.requests == 0


@pytest.mark.parametrize("streamed", [True, False])
async def test_one_deadline_for_all_attempts(tmp_path: Path, streamed: bool) -> None:
    """Attempts that each would have time are not begun after the deadline."""
    routing = "{attempts: 9, first_byte_timeout: 200ms, deadline: 300ms}"
    names = ("a", "b", "c")
    async with serving(tmp_path, names=names, routing=routing, honest=False) as proxy:
        for one in proxy.sandboxes.values():
            one.fault = Fault.HANG
        for _ in range(200):  # answers are short here: a plain one may take little longer
            proxy.server.house.learned.note(MODEL, "key", 100, 25, 1)
        reply = await proxy.ask(stream=streamed)
        assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
        assert sum(one.tally.requests for one in proxy.sandboxes.values()) == 2
        await proxy.server.house.unheard.close()


async def test_a_route_has_its_own_patience(tmp_path: Path) -> None:
    """What a model sets for itself holds for it, and the rest is as for all."""
    own = "{attempts: 1, stream_rescue: buffer}"
    async with serving(tmp_path, routing="{attempts: 2}", own_routing=own) as proxy:
        proxy.a.fault = Fault.HTTP_500
        reply = await proxy.ask()
        assert (reply.status, proxy.a.tally.requests) == (502, 1)
        manners = proxy.server.house.manners_of
        assert manners(MODEL).patience.stream_rescue == "buffer"
        assert manners(MODEL).patience.deadline_s == manners("another").patience.deadline_s
        assert manners("another").patience.attempts == 2


ACCOUNTS = (
    ", accounts: [{name: one, api_key: sk-1}, {name: two, api_key: sk-2},"
    " {name: three, api_key: sk-3}]"
)


async def test_requests_are_spread_over_our_accounts(tmp_path: Path) -> None:
    """Each key has its share of them, and the books say whose each was."""
    async with serving(tmp_path, provider=ACCOUNTS) as proxy:
        for _ in range(9):
            assert (await proxy.ask()).status == 200
        sent = [one.headers["authorization"] for one in proxy.a.tally.exchanges]
        assert sorted(sent) == sorted(f"Bearer sk-{n}" for n in (1, 2, 3) for _ in range(3))
        rows = await proxy.read(
            lambda store: store.sql.execute(
                "SELECT account, count(*) FROM entries JOIN subjects ON subjects.id = subject_id"
                " WHERE kind = 'posted' GROUP BY account"
            ).fetchall()
        )
        assert dict(rows) == {"one": 3, "two": 3, "three": 3}


@pytest.mark.parametrize("status", ["429 Slow down", "401 No", "402 Pay", "403 No"])
async def test_an_account_that_is_refused_leaves_the_offer_to_the_others(
    tmp_path: Path, status: str
) -> None:
    """The next account is asked at once, at the same offer; the refused one rests; no breaker."""
    asked: list[str] = []

    async def refuses_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request_head = await reader.readuntil(b"\r\n\r\n")
            length = int(request_head.lower().partition(b"content-length:")[2].split()[0])
            await reader.readexactly(length)
            key = request_head.partition(b"Bearer ")[2].split()[0].decode()
            asked.append(key)
            refused = key == "sk-1"
            body = b"{}" if refused else OK
            more = f"content-length: {len(body)}\r\nretry-after: 60\r\n"
            writer.write(head(status if refused else "200 OK", more=more) + body)

    async with (
        answering(refuses_one) as url,
        serving(tmp_path, names=("b",), urls={"a": url}, provider=ACCOUNTS) as proxy,
    ):
        replies = [await proxy.ask() for _ in range(6)]
        assert {one.headers["x-hedgerow-provider"] for one in replies} == {"a"}
        assert [one.headers["x-hedgerow-attempts"] for one in replies] == ["2"] + ["1"] * 5
        assert asked.count("sk-1") == 1


async def test_a_refused_account_does_not_rest_the_offer_while_another_is_busy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The good account is waited for, or the next offer asked; the offer is sound, and the alarm
    about the other account comes once."""
    both = asyncio.Event()

    async def refuses_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request_head = await reader.readuntil(b"\r\n\r\n")
            length = int(request_head.lower().partition(b"content-length:")[2].split()[0])
            await reader.readexactly(length)
            refused = b"Bearer sk-2" in request_head
            if refused:
                both.set()
            else:
                await both.wait()
            answer = b"{}" if refused else OK
            status = "401 No" if refused else "200 OK"
            writer.write(head(status, more=f"content-length: {len(answer)}\r\n") + answer)

    provider = ", accounts: [{name: one, api_key: sk-1, parallel: 1}, {name: two, api_key: sk-2}]"
    async with (
        answering(refuses_one) as url,
        serving(tmp_path, names=("b",), urls={"a": url}, provider=provider) as proxy,
    ):
        await asyncio.gather(*[proxy.ask() for _ in range(6)])
        assert (await proxy.ask()).headers["x-hedgerow-provider"] == "a"
    alarms = [one for one in caplog.messages if "answers 401 to account two" in one]
    assert len(alarms) == 1
    assert not [one for one in caplog.messages if "rests: it failed" in one]


async def test_the_client_is_told_what_the_request_has_cost(tmp_path: Path) -> None:
    """Attempts that failed, and may have been billed, are in the cost that the client is told."""
    async with serving(tmp_path, names=("a", "b"), honest=False) as proxy:
        proxy.a.fault = Fault.NONSENSE
        plain = await proxy.ask()
        streamed = await proxy.ask(stream=True, stream_options={"include_usage": True})
        charges = await proxy.charges()
        of = {
            one: sum(row.effective for row in charges if row.request_id == one)
            for one in (plain.headers["x-request-id"], streamed.headers["x-request-id"])
        }
        assert len(charges) == 4
        told = [plain.json["usage"]["cost"], streamed.events[-2]["usage"]["cost"]]
        assert [round(one * 1e9) for one in told] == list(of.values())
        record = await proxy.record(plain)
        assert [(one.offer, one.account) for one in record.failures] == [("a/oak-70b", "main")]
        assert record.failures[0].why


async def test_a_back_off_grows(tmp_path: Path) -> None:
    """An offer that keeps failing is given more and more time."""
    waits: list[float] = []

    class Counting(SkippingClock):
        async def sleep(self, seconds: float) -> None:
            waits.append(seconds)
            await super().sleep(seconds)

    async with serving(tmp_path, routing="{attempts: 5}", clock=Counting()) as proxy:
        proxy.a.fault = Fault.HTTP_500
        assert (await proxy.ask()).status == 502
    assert len(waits) == 4
    for n, wait in enumerate(waits):
        assert 0.25 * 2**n / 2 <= wait <= 0.25 * 2**n


async def test_an_account_has_no_more_at_once_than_it_may(tmp_path: Path) -> None:
    """A full account is waited for if there is no other offer, and is not asked for more."""
    at_once, most = 0, 0
    full = asyncio.Event()

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        while True:
            await read_request(reader)
            at_once += 1
            most = max(most, at_once)
            if at_once == 2:
                full.set()
            await full.wait()
            at_once -= 1
            writer.write(head(more=f"content-length: {len(OK)}\r\n") + OK)

    provider = ", accounts: [{name: one, api_key: sk-1, parallel: 2}]"
    async with (
        answering(counting) as url,
        serving(tmp_path, names=(), urls={"a": url}, provider=provider) as proxy,
    ):
        replies = await asyncio.gather(*[proxy.ask() for _ in range(8)])
        assert {one.status for one in replies} == {200}
        assert most == 2


async def test_an_account_begins_no_more_in_a_minute_than_it_may(tmp_path: Path) -> None:
    """Beyond its rate the next offer is asked; without one, the client is told when to come."""
    provider = ", accounts: [{name: one, api_key: sk-1, requests_per_minute: 3}]"
    clock = ManualClock()
    async with serving(tmp_path, names=("a", "b"), provider=provider, clock=clock) as proxy:
        who = [(await proxy.ask()).headers["x-hedgerow-provider"] for _ in range(6)]
        assert who == ["a"] * 3 + ["b"] * 3
        clock.advance(61)
        assert (await proxy.ask()).headers["x-hedgerow-provider"] == "a"


async def test_all_that_a_request_was_sent_is_what_it_asked(tmp_path: Path) -> None:
    """Whatever is tried how often, a provider is sent the client's own messages."""
    async with serving(tmp_path, names=("a", "b")) as proxy:
        proxy.a.fault = Fault.HTTP_500
        await proxy.ask(seed=7)
        for one in proxy.sandboxes.values():
            for exchange in one.tally.exchanges:
                body = json.loads(exchange.body)
                assert (body["messages"], body["seed"]) == (HELLO, 7)

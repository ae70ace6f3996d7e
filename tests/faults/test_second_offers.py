"""Second offers: a second offer where the first is silent; one answer, and all money told."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sandbox import SandboxProvider
from ledger.requests import RequestRecord
from proxy.accounts import Busy
from proxy.clock import SystemClock
from proxy.pursuit import OVERTAKEN
from routing.breaker import Health
from routing.explanation import from_text
from tests.serving import (
    PACED,
    PATIENCE_S,
    STREAM_HEAD,
    Proxy,
    Reply,
    answering,
    asking,
    head,
    offer,
    read_request,
    serving,
    wishing,
)

A_SILENCE_S = 3600.0
"""The least of what `SilenceClock` takes for the wait for a second offer."""


class SilenceClock(SystemClock):
    """The time, but a silence of an hour lasts until the test says so: for all that wait now."""

    def __init__(self) -> None:
        self.waiting = 0
        self._over = asyncio.Event()
        self._changed = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds < A_SILENCE_S:
            await super().sleep(seconds)
            return
        self.waiting += 1
        self._changed.set()
        try:
            await self._over.wait()
        finally:
            self.waiting -= 1

    async def pass_by(self, requests: int = 1) -> None:
        """So many wait for somebody who is silent: now it has been for long enough."""
        async with asyncio.timeout(PATIENCE_S):
            while self.waiting < requests:
                self._changed.clear()
                await self._changed.wait()
        self._over.set()
        self._over = asyncio.Event()


@dataclass(slots=True)
class Call:
    """A request that a puppet has taken. word: the last that it answers; left: its client hung up
    before that."""

    writer: asyncio.StreamWriter
    word: asyncio.Future[bytes] = field(default_factory=asyncio.Future)
    left: asyncio.Event = field(default_factory=asyncio.Event)


class Puppet:
    """A provider that answers each request when the test says so, in the test's words."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[Call] = asyncio.Queue()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        call = Call(writer)
        self.calls.put_nowait(call)
        leaving = asyncio.create_task(reader.read())
        await asyncio.wait((call.word, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not call.word.done():
            call.left.set()
            return
        leaving.cancel()
        writer.write(call.word.result())
        await writer.drain()


def _event(**chunk: Any) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


OAK = STREAM_HEAD + _event(choices=[{"index": 0, "delta": {"content": "oak"}}])
BEGINS = (
    OAK
    + _event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
    + _event(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 1})
    + b"data: [DONE]\n\n"
)
FAILS = head("500 Oh") + b"{}"
REFUSES = head("400 No") + b'{"error":{"message":"no","code":"content_filter"}}'

ALWAYS = "hedge: {after: 1h, share: 100%}"
NEAR = {
    "a": offer("a", price="{input: 1, output: 1000}"),
    "b": offer("b", price="{input: 1, output: 1200}"),
}
"""Of eight tokens, 0.008 and 0.0096 USD, and a little for the prompt."""


@dataclass(slots=True)
class Two:
    """A proxy with two offers, a first."""

    proxy: Proxy
    clock: SilenceClock
    a: Puppet
    b: Puppet

    async def asked(self, who: Puppet) -> Call:
        return await asyncio.wait_for(who.calls.get(), PATIENCE_S)

    def stream(self, **extra: Any) -> asyncio.Task[Reply]:
        order = {"order": ["a", "b"]}  # whatever was seen of them
        return asyncio.create_task(self.proxy.ask(stream=True, provider=order, **extra))

    async def well(self) -> None:
        """Nothing is left of the last request: no hold, its accounts are free. Breakers close."""
        house, now_s = self.proxy.server.house, self.clock.monotonic_s()
        async with asyncio.timeout(PATIENCE_S):
            while house.book.under_way:
                await self.proxy.alive()
        for name in ("a", "b"):
            account = house.accounts.take(name, now_s, is_counted=False)
            assert not isinstance(account, Busy)
            house.accounts.give_back(name, account)
            house.breakers.succeeded(f"{name}/oak-70b", now_s)

    async def last(self) -> RequestRecord:
        rows = await self.proxy.read(
            lambda store: store.sql.execute(
                "SELECT id FROM requests ORDER BY id DESC LIMIT 1"
            ).fetchall()
        )
        found = await self.proxy.read(lambda store: store.requests.one(rows[0][0]))
        assert found is not None
        return found


@asynccontextmanager
async def two(
    folder: Path, *, routing: str = ALWAYS, attempts: int = 2, **settings: Any
) -> AsyncIterator[Two]:
    a, b, clock = Puppet(), Puppet(), SilenceClock()
    accounts = ", accounts: [{name: one, api_key: sk-1, parallel: 1}]"
    given: dict[str, Any] = {"provider": accounts} | settings
    async with (
        answering(a.answer) as url_a,
        answering(b.answer) as url_b,
        serving(
            folder,
            names=(),
            urls={"a": url_a, "b": url_b},
            routing=f"{{attempts: {attempts}, {routing}}}",
            clock=clock,
            **given,
        ) as proxy,
    ):
        yield Two(proxy, clock, a, b)


# -- who is asked, and who answers


async def test_every_order_of_what_can_happen(tmp_path: Path) -> None:
    """The silence ends, a and b each begin, fail or refuse, the client leaves: in every order. What
    the client gets is what a plain list of rules says; and nothing is left over of any of them."""
    async with two(tmp_path) as both:
        words = [BEGINS, FAILS, REFUSES]
        attempts = 0
        for word_a, word_b in itertools.product(words, words):
            orders = itertools.permutations(("silence", "a", "b", "leaves"))
            for order in {one[: one.index("leaves") + 1] for one in orders} | set(
                itertools.permutations(("silence", "a", "b"))
            ):
                attempts += await _play(both, order, word_a, word_b)
        await both.proxy.settled(attempts)
        await both.well()


async def _play(both: Two, order: tuple[str, ...], word_a: bytes, word_b: bytes) -> int:
    """One request; returns how many attempts it took."""
    words = {"a": word_a, "b": word_b}
    asking_it, calls = both.stream(), {"a": await both.asked(both.a)}
    said: dict[str, bytes] = {}
    expected: int | str | None = None  # a status, or who answers

    async def also_b() -> None:
        calls["b"] = await both.asked(both.b)

    for event in order:
        if event == "leaves":
            asking_it.cancel()
            expected = "nobody"
        elif event == "silence":
            if "a" not in said:
                await both.clock.pass_by()
                await also_b()
        elif event in calls:
            said[event] = words[event]
            calls[event].word.set_result(words[event])
            other = "b" if event == "a" else "a"
            if words[event] == BEGINS:
                expected = event
            elif words[event] == REFUSES and (event == "a" or said.get("a") == FAILS):
                expected = 400
            elif event == "a" and "b" not in calls:
                await also_b()
            elif other in said:
                expected = 400 if REFUSES in said.values() else 502
        if expected is not None:
            break
        await both.proxy.alive()  # it has seen what came, before the next comes
    if expected is None:  # somebody has not spoken, and there is time
        for name in ("a", "b"):
            if name in calls and name not in said:
                calls[name].word.set_result(BEGINS)
                said[name] = BEGINS
                expected = name
    (came,) = await asyncio.gather(asking_it, return_exceptions=True)
    if expected == "nobody":
        assert isinstance(came, asyncio.CancelledError)
    else:
        assert isinstance(came, Reply), (order, came)
        got = came.headers["x-hedgerow-provider"] if came.status == 200 else came.status
        assert got == expected, (order, word_a, word_b)
        if came.status == 200:
            assert came.headers["x-hedgerow-attempts"] == str(len(calls))
            assert (came.content, came.events[-1]) == ("oak", "[DONE]")
    for name, call in calls.items():
        if name not in said:
            await asyncio.wait_for(call.left.wait(), PATIENCE_S)
    await both.well()
    return len(calls)


async def test_what_has_begun_is_not_given_company(tmp_path: Path) -> None:
    """A first offer that has begun is left alone, though its answer is held back until it is whole;
    comments are no beginning."""
    async with two(tmp_path, routing=f"{ALWAYS}, stream_rescue: buffer") as both:
        for part, is_hedged in [(OAK, False), (STREAM_HEAD + b": working\n\n", True)]:
            asking_it, first = both.stream(), await both.asked(both.a)
            first.writer.write(part)
            await first.writer.drain()
            await both.proxy.alive()
            await both.clock.pass_by()
            if is_hedged:
                (await both.asked(both.b)).word.set_result(BEGINS)
            else:
                first.word.set_result(BEGINS.removeprefix(OAK))
            reply = await asking_it
            assert (reply.status, reply.content) == (200, "oak")
            assert reply.headers["x-hedgerow-attempts"] == ("2" if is_hedged else "1")
            await both.well()
        assert both.b.calls.empty()


async def test_a_second_offer_that_breaks_off_is_rescued(tmp_path: Path) -> None:
    """What goes on is the answer that won, not the one that was overtaken."""
    routing = f"{ALWAYS}, stream_rescue: prefix_match"
    async with two(tmp_path, routing=routing, attempts=3) as both:
        asking_it, first = both.stream(temperature=0), await both.asked(both.a)
        await both.clock.pass_by()
        (await both.asked(both.b)).word.set_result(OAK)
        await asyncio.wait_for(first.left.wait(), PATIENCE_S)
        again = await both.asked(both.a)
        tree = _event(choices=[{"index": 0, "delta": {"content": " tree"}}])
        again.word.set_result(OAK + tree + BEGINS.removeprefix(OAK))
        reply = await asking_it
        assert (reply.status, reply.content) == (200, "oak tree")
        assert reply.headers["x-hedgerow-provider"] == "b"
        record = await both.last()
        whys = [one.why for one in record.failures]
        assert (record.attempts, whys[0], len(whys)) == (3, OVERTAKEN, 2)


async def test_the_later_of_two_at_the_same_moment_is_charged_too(tmp_path: Path) -> None:
    """Many pairs that begin together: one answer each, both charged, and nothing stays held. What
    they would have cost elsewhere they cost once: a second offer is no offer's saving."""
    pairs = 40
    async with two(tmp_path, provider="") as both:
        asking_all = [both.stream() for _ in range(pairs)]
        firsts = [await both.asked(both.a) for _ in range(pairs)]
        await both.clock.pass_by(pairs)
        seconds = [await both.asked(both.b) for _ in range(pairs)]
        for pair in zip(firsts, seconds, strict=True):
            for call in pair:
                call.word.set_result(BEGINS)
        replies = await asyncio.gather(*asking_all)
        assert {(one.status, one.content) for one in replies} == {(200, "oak")}
        charges = await both.proxy.settled(2 * pairs)
        assert len(charges) == 2 * pairs
        exact = {one.request_id for one in charges if not one.estimated}
        assert len(exact) == pairs
        elsewhere = sorted((one.request_id, one.first_offer, one.cheapest) for one in charges)
        assert [row[1:] for row in elsewhere] == pairs * [(0, 0), (5000, 5000)]


async def test_no_more_than_their_share_get_a_second_offer(tmp_path: Path) -> None:
    """Where all are silent, as in an outage, one request in three is asked for twice."""
    async with two(tmp_path, routing="hedge: {after: 1h, share: 34%}") as both:
        for is_hedged in [False, False, True, False, False, True, False]:
            asking_it, first = both.stream(), await both.asked(both.a)
            await both.clock.pass_by()
            call = await both.asked(both.b) if is_hedged else first
            call.word.set_result(BEGINS)
            assert (await asking_it).status == 200
            await both.well()
        assert both.b.calls.empty()
        offers = both.proxy.server.house.second_offers
        assert (offers.asked, offers.won) == (2, 2)


# -- what is held and charged


def _cap(usd: str) -> str:
    return f"{{name: all, scope: {{}}, window: month, cap_usd: {usd}}}"


async def test_a_second_offer_that_no_budget_has_room_for_is_not_asked(tmp_path: Path) -> None:
    """The first goes on alone, and is no 402; when it has failed, its room is the other's."""
    for number, (word, who) in enumerate([(BEGINS, "a"), (FAILS, "b")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with two(folder, offers=NEAR, budgets=_cap("0.01")) as both:
            asking_it, first = both.stream(), await both.asked(both.a)
            await both.clock.pass_by()
            await both.proxy.alive()
            assert both.b.calls.empty()
            first.word.set_result(word)
            if who == "b":
                (await both.asked(both.b)).word.set_result(BEGINS)
            reply = await asking_it
            assert (reply.status, reply.headers["x-hedgerow-provider"]) == (200, who)
            assert both.b.calls.empty()


async def test_no_request_costs_more_than_its_client_allows(tmp_path: Path) -> None:
    """The second offer counts for that limit, too: both may bill. Without room it is not asked."""
    for most_usd, is_hedged in [("0.01", False), ("0.02", True)]:
        folder = tmp_path / most_usd
        folder.mkdir()
        async with two(folder, offers=NEAR) as both:
            body = asking(stream=True, provider={"order": ["a", "b"]})
            most = {"x-hedgerow-max-cost-usd": most_usd}
            asking_it = asyncio.create_task(both.proxy.post(body, **most))
            first = await both.asked(both.a)
            await both.clock.pass_by()
            call = await both.asked(both.b) if is_hedged else first
            call.word.set_result(BEGINS)
            assert (await asking_it).status == 200
            assert both.b.calls.empty()


async def test_both_worst_cases_are_held_at_once(tmp_path: Path) -> None:
    """While two are asked, a budget that both fill lets nobody else in; then it does again."""
    async with two(tmp_path, offers=NEAR, provider="", budgets=_cap("0.02")) as both:
        asking_it, _ = both.stream(), await both.asked(both.a)
        await both.clock.pass_by()
        second = await both.asked(both.b)
        refused = await both.proxy.ask(stream=True)
        assert (refused.status, refused.error["code"]) == (402, "budget_exceeded")
        second.word.set_result(BEGINS)
        assert (await asking_it).status == 200
        await both.proxy.settled(2)
        asking_it = both.stream()
        (await both.asked(both.a)).word.set_result(BEGINS)
        assert (await asking_it).status == 200


async def test_a_stream_that_was_overtaken_is_told_of(tmp_path: Path) -> None:
    """It is hung up on, and its prompt is charged by estimate; what was planned and what it came to
    is kept with the request; the market learns that it takes longer than that, and no more."""
    async with two(tmp_path) as both:
        asking_it, first = both.stream(), await both.asked(both.a)
        await both.clock.pass_by()
        (await both.asked(both.b)).word.set_result(BEGINS)
        reply = await asking_it
        await asyncio.wait_for(first.left.wait(), PATIENCE_S)
        assert reply.headers["x-hedgerow-attempts"] == "2"
        overtaken, won = sorted(await both.proxy.settled(2), key=lambda one: one.attempt_id)
        assert (won.provider, won.estimated, won.usage.completion) == ("b", False, 1)
        assert (overtaken.provider, overtaken.estimated) == ("a", True)
        assert (overtaken.usage.completion, overtaken.usage.prompt or 0) >= (0, 3)

        record = await both.last()
        assert [(one.offer, one.why) for one in record.failures] == [("a/oak-70b", OVERTAKEN)]
        assert (record.outcome, record.attempts) == ("answered", 2)
        plan = from_text(record.decision or "").second
        assert plan is not None
        assert (plan.offer, plan.after_ms, plan.chance) == ("b/oak-70b", 3_600_000, None)

        house = both.proxy.server.house
        assert house.breakers.health("a/oak-70b", both.clock.monotonic_s()) is Health.CLOSED
        waited_ms = record.failures[0].after_ms
        await both.well()
        again = both.stream()
        (await both.asked(both.a)).word.set_result(BEGINS)
        assert (await again).headers["x-hedgerow-provider"] == "a"
        seen = house.market.observations.seen("a/oak-70b", both.clock.now_ns() / 1e9)
        assert (seen.attempts, seen.error_rate) == (2, 0.0)
        assert (seen.ttft_ms_p99 or 0) >= 0.9 * waited_ms


class Stile:
    """A sleep that lasts while it is shut."""

    def __init__(self) -> None:
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def sleep(self, _seconds: float) -> None:
        await self._open.wait()


@pytest.mark.parametrize("winner", ["a", "b"])
async def test_plain_answers_are_charged_as_both_providers_bill_them(
    tmp_path: Path, winner: str
) -> None:
    """One is passed on, the other is heard out: not a token of either is guessed."""
    stiles, clock = {"a": Stile(), "b": Stile()}, SilenceClock()
    async with AsyncExitStack() as stack:
        sold = {name: SandboxProvider(PACED, sleep=one.sleep) for name, one in stiles.items()}
        urls = {name: await one.start() for name, one in sold.items()}
        for one in sold.values():
            stack.push_async_callback(one.close)
        routing = "{hedge: {after: 1h, share: 100%, plain: true}}"
        proxy = await stack.enter_async_context(
            serving(tmp_path, names=(), urls=urls, routing=routing, clock=clock)
        )
        async with asyncio.timeout(PATIENCE_S):
            asking_it = asyncio.create_task(proxy.ask(sandbox=wishing(7)))
            await sold["a"].tally.until(lambda tally: tally.billed_requests == 1)
            await clock.pass_by()
            await sold["b"].tally.until(lambda tally: tally.billed_requests == 1)
            stiles[winner].open()
            reply = await asking_it
            assert (reply.status, reply.headers["x-hedgerow-provider"]) == (200, winner)
            assert reply.json["usage"]["completion_tokens"] == 7
            for stile in stiles.values():
                stile.open()
            charges = await proxy.settled(2)
        hears = dict.fromkeys(sold, 0)
        for charge in charges:
            assert not charge.estimated
            hears[charge.provider] += charge.usage.completion or 0
            assert charge.usage.prompt == sold[charge.provider].tally.prompt_tokens
        assert hears == {name: one.tally.completion_tokens for name, one in sold.items()}
        assert all(one.tally.disconnects == 0 for one in sold.values())


async def test_only_streams_are_hedged_unless_plain_answers_are_named(tmp_path: Path) -> None:
    """A plain answer waits for its one offer, and nobody counts a silence."""
    async with two(tmp_path) as both:
        asking_it = asyncio.create_task(both.proxy.ask())
        call = await both.asked(both.a)
        assert both.clock.waiting == 0
        call.word.set_result(FAILS)
        (await both.asked(both.b)).word.set_result(FAILS)
        assert (await asking_it).status == 502

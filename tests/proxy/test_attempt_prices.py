"""What an attempt is charged by: its tier, its hour, its reasoning, and how long it is cached."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.offers import paid_tier
from benchmarks.sandbox import Behaviour
from proxy.endpoints import Endpoint
from proxy.errors import Invalid
from proxy.wires.table import WIRES
from proxy.wires.usage import MessagesUsage, chat_usage
from tests.serving import (
    HELLO,
    MODEL,
    UPSTREAM_MODEL,
    ManualClock,
    answering,
    asking,
    head,
    offer,
    read_request,
    serving,
)

USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


@dataclass
class Provider:
    """Answers every chat with the same usage, and with what it is told to say besides."""

    says: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=lambda: dict(USAGE))
    bodies: list[dict[str, Any]] = field(default_factory=list)
    base_url: str = ""
    clock: ManualClock | None = None
    takes_s: float = 0.0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = json.loads(await read_request(reader))
        self.bodies.append(body)
        if self.clock is not None:
            self.clock.advance(self.takes_s)
        message = {"role": "assistant", "content": "Oak."}
        common = {"id": "c", "created": 1, "model": body["model"]}
        if body.get("stream"):
            chunk = common | {"object": "chat.completion.chunk"}
            delta = {"index": 0, "delta": message, "finish_reason": "stop"}
            events = [
                chunk | {"choices": [delta]},
                chunk | {"choices": [], "usage": self.usage} | self.says,
            ]
            data = [f"data: {json.dumps(one)}\n\n" for one in events]
            writer.write(head(kind="text/event-stream"))
            writer.write("".join([*data, "data: [DONE]\n\n"]).encode())
        else:
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = common | {"object": "chat.completion", "choices": [choice]}
            writer.write(head() + json.dumps(whole | {"usage": self.usage} | self.says).encode())
        await writer.drain()


@asynccontextmanager
async def provider(**more: Any) -> AsyncIterator[Provider]:
    one = Provider(**more)
    async with answering(one.answer) as one.base_url:
        yield one


def at(price: str, tier: str | None = None) -> str:
    more = "" if tier is None else f", service_tier: {tier}"
    return f"{{provider: a, model: {UPSTREAM_MODEL}, price: {price}{more}}}"


# -- tiers

TIERS = "\n      - ".join(
    [
        at("{input: 2, output: 4}"),
        at("{input: 1, output: 2}", "flex"),
        at("{input: 4, output: 8}", "priority"),
    ]
)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_is_served_at_its_tier(tmp_path: Path, streamed: bool) -> None:
    """At the prices of that tier, however much cheaper another is, and its provider is asked for
    it; who asks for none is served at the usual one, and nothing is asked for."""
    async with (
        provider() as a,
        serving(tmp_path, names=(), urls={"a": a.base_url}, offers={"a": TIERS}) as proxy,
    ):
        for tier, sent, nanos in (
            (None, None, 2000 * 10 + 4000 * 4),
            ("auto", "auto", 2000 * 10 + 4000 * 4),
            ("flex", "flex", 1000 * 10 + 2000 * 4),
            ("priority", "priority", 4000 * 10 + 8000 * 4),
            ("fast", "priority", 4000 * 10 + 8000 * 4),
        ):
            a.says = {} if sent in (None, "auto") else {"service_tier": sent}
            reply = await proxy.ask(service_tier=tier, stream=streamed)
            assert reply.status == 200
            assert a.bodies[-1].get("service_tier") == sent
            (*_, charge) = await proxy.charges()
            assert (charge.effective, charge.estimated) == (nanos, False)


async def test_who_asks_for_less_waits_and_who_asks_for_more_is_served(tmp_path: Path) -> None:
    """Without an offer of its tier, a flex request is refused with the reason; a priority request
    is served as usual, and nobody is asked to serve it better."""
    usual = {"a": at("{input: 2, output: 4}")}
    async with (
        provider() as a,
        serving(tmp_path, names=(), urls={"a": a.base_url}, offers=usual) as proxy,
    ):
        for tier in ("flex", "scale", "x" * 99):
            error = (await proxy.ask(service_tier=tier)).error
            assert error["code"] == "no_eligible_offer"
            assert tier[:50] in error["message"]
        assert a.bodies == []
        assert (await proxy.ask(service_tier="priority")).status == 200
        assert "service_tier" not in a.bodies[0]
        ((charge),) = await proxy.charges()
        assert charge.effective == 2000 * 10 + 4000 * 4


async def test_a_better_tier_comes_before_the_usual_one(tmp_path: Path) -> None:
    """The usual offer, though it is cheaper, is tried when that of the tier has failed."""
    dear = at("{input: 4, output: 8}", "priority").replace("provider: a", "provider: b")
    both = {"a": f"{at('{input: 2, output: 4}')}\n      - {dear}"}
    more = '  b: {dialect: openai, base_url: "http://127.0.0.1:9/v1"}'
    async with (
        provider() as a,
        serving(
            tmp_path, names=(), urls={"a": a.base_url}, offers=both, provider=f"}}\n{more[:-1]}"
        ) as proxy,
    ):
        reply = await proxy.ask(service_tier="priority")
        assert (reply.status, reply.headers["x-hedgerow-attempts"]) == (200, "2")
        record = await proxy.record(reply)
        assert record.decision is not None
        told = json.loads(record.decision)["candidates"]
        assert [one["offer"].partition("@")[2] for one in told] == ["priority", ""]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("served", "estimated"),
    [("flex", False), ("priority", False), ("default", False), ("turbo", True)],
)
async def test_what_was_served_is_charged(
    tmp_path: Path, streamed: bool, served: str, estimated: bool
) -> None:
    """By the card of the tier that the provider says it was served at, if the price file has one;
    else by the dearer of what was asked for and the usual one, and that is an estimate."""
    model = "gpt-5"
    flex = f"{{provider: a, model: {model}, service_tier: flex}}"
    async with (
        provider(says={"service_tier": served}) as a,
        serving(
            tmp_path,
            names=(),
            urls={"a": a.base_url},
            offers={"a": flex},
            provider=", litellm_provider: openai",
            feeds="[{kind: litellm}]",
        ) as proxy,
    ):
        listing = proxy.server.house.market.snapshot.models[MODEL][0]
        quote = listing.quote
        assert quote is not None
        assert (await proxy.ask(service_tier="flex", stream=streamed)).status == 200
        (charge,) = await proxy.charges()
        own, usual, best = quote.rates, quote.tiers[None].rates, quote.tiers["priority"].rates
        expected = {"flex": own, "priority": best, "default": usual, "turbo": usual}[served]
        assert charge.rates == expected
        assert (charge.effective, charge.estimated) == (expected.charge(charge.usage), estimated)


# -- hours


async def test_the_hour_that_counts_is_that_of_the_start(tmp_path: Path) -> None:
    """An attempt that begins before the boundary is charged as before it, though its answer comes
    after; the next one is charged by the new prices."""
    clock = ManualClock()
    minute = clock.now_ns() // 60_000_000_000 % 1440
    start, end = ((minute + ahead) % 1440 for ahead in (10, 70))
    hours = f'"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"'
    price = f"{{input: 2, output: 4, off_peak: [{{hours: {hours}, input: 1, output: 2}}]}}"
    async with (
        provider(clock=clock, takes_s=700) as a,
        serving(
            tmp_path,
            names=(),
            urls={"a": a.base_url},
            offers={"a": at(price)},
            clock=clock,
            routing="{first_byte_timeout: 2h, idle_timeout: 2h, deadline: 3h}",
        ) as proxy,
    ):
        for nanos in (2000 * 10 + 4000 * 4, 1000 * 10 + 2000 * 4):
            assert (await proxy.ask()).status == 200
            assert [one.effective for one in await proxy.charges()][-1] == nanos
            a.takes_s = 0


async def test_a_price_that_has_lapsed(tmp_path: Path) -> None:
    """Its offer gets no requests from then on, and the refusal says why."""
    price = "{input: 2, output: 4, valid_until: 2026-01-31}"
    async with serving(tmp_path, offers={"a": offer("a", price=price)}) as proxy:
        error = (await proxy.ask()).error
        assert "2026-01-31" in error["message"]
        assert proxy.a.tally.requests == 0


# -- reasoning


@pytest.mark.parametrize("streamed", [False, True])
async def test_reasoning_at_its_own_price(tmp_path: Path, streamed: bool) -> None:
    """What was thought costs its price, what was said another; where nobody counts the thoughts,
    all of it costs the dearer one, and that is an estimate."""
    price = at("{input: 1, output: 2, reasoning: 10}")
    counted = USAGE | {"completion_tokens_details": {"reasoning_tokens": 3}}
    async with (
        provider(usage=counted) as a,
        serving(tmp_path, names=(), urls={"a": a.base_url}, offers={"a": price}) as proxy,
    ):
        assert (await proxy.ask(stream=streamed)).status == 200
        a.usage = dict(USAGE)
        assert (await proxy.ask(stream=streamed)).status == 200
        said = [(one.effective, one.estimated) for one in await proxy.charges()]
        assert said == [(10_000 + 2_000 + 30_000, False), (10_000 + 40_000, True)]


# -- caches

LONG = " ".join(str(n) for n in range(200))


def message(ttl: str | None) -> dict[str, Any]:
    mark = {"type": "ephemeral"} | ({} if ttl is None else {"ttl": ttl})
    block = {"type": "text", "text": LONG, "cache_control": mark}
    return {"model": MODEL, "max_tokens": 8, "messages": [{"role": "user", "content": [block]}]}


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_hour_of_cache(tmp_path: Path, streamed: bool) -> None:
    """It costs what the card says of an hour, five minutes what it says of those; where the card
    says nothing of an hour, the offer is not asked, and the refusal says why."""
    caching = Behaviour((UPSTREAM_MODEL,), ttft_ms_median=0, time_scale=0, cache=True)
    price = "{input: 1, output: 0, cache_read: 0.1, cache_write: 1.25, cache_write_1h: 2}"
    offers = {"a": offer("a", price=price)}
    wire = ", endpoints: [messages]"
    async with serving(tmp_path, behaviour=caching, offers=offers, provider=wire) as proxy:
        for ttl in ("1h", "5m"):
            body = message(ttl) | {"stream": streamed}
            body["messages"][0]["content"][0]["text"] += f" {ttl}" if ttl == "5m" else ""
            body["system"] = ttl
            assert (await proxy.post(body, path="/messages")).status == 200
        for one, of_an_hour in zip(await proxy.charges(), (True, False), strict=True):
            usage = one.usage
            assert usage.prompt is not None
            assert usage.cache_write
            assert usage.cache_write_1h == (usage.cache_write if of_an_hour else 0)
            plain = usage.prompt - usage.cache_write - (usage.cached or 0)
            nanos = plain * 1000 + (usage.cached or 0) * 100
            nanos += usage.cache_write * (2000 if of_an_hour else 1250)
            assert (one.effective, one.estimated) == (nanos, False)


@pytest.mark.parametrize("streamed", [False, True])
async def test_who_counts_what_is_kept_for_an_hour(tmp_path: Path, streamed: bool) -> None:
    """Where its provider does not, nothing is, if nobody has asked for it; else all that is said to
    be written to its cache may be, or, where not even that is said, all that it was sent."""
    price = at("{input: 1, output: 0, cache_write: 2, cache_write_1h: 5}")
    async with (
        provider() as a,
        serving(tmp_path, names=(), urls={"a": a.base_url}, offers={"a": price}) as proxy,
    ):
        for ttl, details, nanos, estimated in (
            ("5m", {"cache_write_tokens": 6}, 4 * 1000 + 6 * 2000, False),
            ("1h", {"cache_write_tokens": 6}, 4 * 1000 + 6 * 5000, True),
            ("1h", {"cached_tokens": 3}, 3 * 1000 + 7 * 5000, True),
            ("1h", {"cache_write_tokens": 0}, 10 * 1000, False),
        ):
            a.usage = USAGE | {"prompt_tokens_details": details}
            mark = {"type": "ephemeral", "ttl": ttl}
            part = {"type": "text", "text": "x", "cache_control": mark}
            messages = [{"role": "user", "content": [part]}]
            assert (await proxy.ask(messages=messages, stream=streamed)).status == 200
            (*_, charge) = await proxy.charges()
            assert (charge.effective, charge.estimated) == (nanos, estimated)


async def test_an_hour_of_cache_without_a_price(tmp_path: Path) -> None:
    """The offer is refused by name; the client that asks for minutes is served."""
    async with serving(tmp_path) as proxy:
        part = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
        asked = asking(messages=[{"role": "user", "content": [part]}])
        error = (await proxy.post(asked)).error
        assert error["code"] == "no_eligible_offer"
        assert "cache_write_1h" in error["message"]
        part["cache_control"] = {"type": "ephemeral", "ttl": "5m"}
        assert (await proxy.post(asked)).status == 200


# -- what wires read


@pytest.mark.parametrize(
    ("place", "where"),
    [("tools", "tools"), ("messages", "messages"), ("cache_control", "cache_control")],
)
@pytest.mark.parametrize(("ttl", "is_long"), [(None, False), ("5m", False), ("1h", True)])
def test_marks_of_caches(place: str, where: str, ttl: str | None, is_long: bool) -> None:
    """Wherever they stand; another time than those is refused where it stands, whatever else
    there is."""

    def asked(ttl: str | None) -> Any:
        mark = {"type": "ephemeral"} | ({} if ttl is None else {"ttl": ttl})
        body = {"model": MODEL, "max_tokens": 8, "messages": HELLO}
        hour = {"type": "ephemeral", "ttl": "1h"}
        more: dict[str, Any] = {
            "tools": {"tools": [{"name": "f", "input_schema": {}, "cache_control": mark}]},
            "messages": message(ttl),
            "cache_control": {"cache_control": mark},
        }[place]
        if ttl == "2h" and place != "cache_control":
            more = more | {"cache_control": hour}
        return WIRES[Endpoint.MESSAGES].ask(json.dumps(body | more).encode(), "application/json")

    assert asked(ttl).long_cache is is_long
    with pytest.raises(Invalid) as refused:
        asked("2h")
    assert (refused.value.code, refused.value.param) == ("unpriced_feature", where)


@pytest.mark.parametrize("endpoint", ["chat/completions", "completions", "responses", "messages"])
def test_tiers_by_whatever_word(endpoint: str) -> None:
    """Those of the usual price are none; others are what they are called."""
    body: dict[str, Any] = {"model": MODEL, "max_tokens": 8, "messages": HELLO, "input": "Oak"}
    for said, tier in (
        *((one, None) for one in (None, "auto", "default", "standard_only")),
        *(("flex", "flex"), ("priority", "priority"), ("fast", "priority"), ("scale", "scale")),
    ):
        wire = WIRES[Endpoint(endpoint)]
        asked = wire.ask(json.dumps(body | {"service_tier": said}).encode(), "application/json")
        assert asked.service_tier == said
        assert paid_tier(asked.service_tier) == tier


def test_counts_of_what_is_cached_for_an_hour() -> None:
    """Anthropic's and LiteLLM's; None where nobody counts it, and where it is no part."""
    for kept, hour in (
        ({"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 70}, 70),
        ({"ephemeral_1h_input_tokens": 0}, 0),
        ({"ephemeral_1h_input_tokens": 101}, None),
        ({}, None),
        (None, None),
    ):
        anthropic = MessagesUsage(1, 2, 3, 100).updated(
            json_of(MessagesUsage, {"output_tokens": 9, "cache_creation": kept})
        )
        counted = anthropic.counted()
        assert counted is not None
        assert (counted.cache_write, counted.cache_write_1h) == (100, hour)
        details = {"cache_write_tokens": 100, "cache_creation_token_details": kept}
        usage = USAGE | {"prompt_tokens": 104, "prompt_tokens_details": details}
        said = chat_usage(json_of(None, usage))
        assert said is not None
        assert said.cache_write_1h == hour


def json_of(kind: Any, value: object) -> Any:
    raw = json.dumps(value).encode()
    return msgspec.Raw(raw) if kind is None else msgspec.json.decode(raw, type=kind)

"""Feeds over HTTP, read by a running proxy: what is right acts, and nothing wrong does."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from benchmarks.alarms import AlarmName
from benchmarks.errors import FeedRefused
from benchmarks.feeds.beliefs import Belief
from benchmarks.feeds.document import MOST_BYTES
from benchmarks.tables.history import MarketHistory
from hedgerow.books import market_books
from hedgerow.market.fetching import feed_session, fetched
from hedgerow.market.last_good import kept_beliefs
from hedgerow.market.sources import Address
from tests.benchmarks.feeds.bodies import endpoint, endpoints
from tests.hedgerow.market.feeds import Feed, believed, feed
from tests.serving import PATIENCE_S, UPSTREAM_MODEL, Proxy, answering, offer, serving

FILE = "/prices.json"
UNPRICED = {name: offer(name, price=None) for name in ("a", "b")}
ALWAYS_BEST = "{attempts: 3, explore: 0}"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

Answer = Callable[[web.Request], web.StreamResponse]


def litellm(**usd: float) -> dict[str, Any]:
    """LiteLLM's file: input so many USD per million tokens at each provider, output twice that."""
    return {
        f"{name}/{UPSTREAM_MODEL}": {
            "litellm_provider": name,
            "mode": "chat",
            "input_cost_per_token": price / 1e6,
            "output_cost_per_token": 2 * price / 1e6,
        }
        for name, price in usd.items()
    }


GOOD = litellm(a=1, b=3)


def feeds_of(source: Feed) -> str:
    return f"[{{kind: litellm, url: '{source.url}{FILE}', every: 100ms}}]"


def prices(proxy: Proxy) -> dict[str, Decimal | None]:
    """What the router sees: input, by provider."""
    listings = proxy.server.house.market.snapshot.models["oak"]
    return {
        one.offer.provider: None if one.quote is None else one.quote.rates.input for one in listings
    }


async def priced(proxy: Proxy, **expected: int) -> None:
    """Wait until the router sees these prices."""
    async with asyncio.timeout(PATIENCE_S):
        while prices(proxy) != expected:
            await proxy.alive()


def names(beliefs: Mapping[str, Belief]) -> set[AlarmName]:
    return {alarm.name for one in beliefs.values() for alarm in one.alarms}


def alarmed(name: AlarmName, beliefs: Mapping[str, Belief]) -> bool:
    return name in names(beliefs)


async def asked_at(proxy: Proxy) -> str:
    """Where a request goes now."""
    reply = await proxy.ask()
    assert reply.status == 200
    return reply.headers["x-hedgerow-provider"]


async def test_a_price_that_changes_moves_traffic(tmp_path: Path) -> None:
    """The file at an address prices the offers; another price acts without a restart, at its own
    rate, and is in the history."""
    async with feed() as source:
        source.say(FILE, GOOD)
        async with serving(
            tmp_path,
            names=("a", "b"),
            offers=UNPRICED,
            feeds=feeds_of(source),
            routing=ALWAYS_BEST,
        ) as proxy:
            await priced(proxy, a=1, b=3)
            assert await asked_at(proxy) == "a"
            source.say(FILE, litellm(a=6, b=3))
            await priced(proxy, a=6, b=3)
            assert await asked_at(proxy) == "b"
            source.say(FILE, GOOD)
            await priced(proxy, a=1, b=3)
            assert await asked_at(proxy) == "a"
            rows = await proxy.charges()
            usage = [(row.usage.prompt or 0) + 2 * (row.usage.completion or 0) for row in rows]
            at = [price * tokens * 1000 for price, tokens in zip((1, 3, 1), usage, strict=True)]
            assert [row.effective for row in rows] == at
            past = await asyncio.to_thread(_past, proxy)
    assert past == [Decimal(1), Decimal(6), Decimal(1)]


def _past(proxy: Proxy) -> list[Decimal]:
    with market_books(proxy.config.ledger, create=False) as sql:
        until = datetime.now(UTC)
        since = until - timedelta(days=1)
        found = MarketHistory(sql).changes(f"a/{UPSTREAM_MODEL}", since, until, until)
    return [one.said.rates.input for one in found if one.said is not None]


def _stale(_: web.Request) -> web.StreamResponse:
    old = format_datetime(datetime.now(UTC) - timedelta(days=3), usegmt=True)
    return web.json_response(litellm(a=2, b=1), headers={"last-modified": old})


def _body(**usd: float) -> bytes:
    return json.dumps(litellm(**usd)).encode()


BAD: tuple[tuple[bytes | Answer, AlarmName], ...] = (
    (_body(a=1, b=0), AlarmName.ZERO),
    (_body(a=1000, b=3), AlarmName.UNIT_ERROR),
    (_body(a=1, b=-1), AlarmName.NEGATIVE),
    (_body(a=1, b=0.2), AlarmName.JUMP),
    (b"<!doctype html><title>Sign in</title>", AlarmName.HTML),
    (json.dumps(GOOD).encode()[:-9], AlarmName.TRUNCATED),
    (json.dumps(GOOD).encode() + b" " * MOST_BYTES, AlarmName.TOO_LARGE),
    (_stale, AlarmName.STALE),
    (lambda _: web.Response(status=503), AlarmName.UNREACHABLE),
    (json.dumps({"a/oak-70b": GOOD["a/oak-70b"]}).encode(), AlarmName.GONE),
)


async def test_nothing_wrong_routes_or_charges_wrongly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a feed says: the alarm has its name, the request goes where it went, and costs what
    it did. An alarm that stays is logged once, and the next good document is believed."""
    async with feed() as source:
        source.say(FILE, GOOD)
        async with serving(
            tmp_path,
            names=("a", "b"),
            offers=UNPRICED,
            feeds=feeds_of(source),
            routing=ALWAYS_BEST,
        ) as proxy:
            await priced(proxy, a=1, b=3)
            for answer, name in BAD:
                source.answers[FILE] = answer
                await believed(proxy.config, partial(alarmed, name))
                assert prices(proxy) == {"a": 1, "b": 3}, name
                assert await asked_at(proxy) == "a", name
            source.say(FILE, litellm(a=2, b=3))
            await priced(proxy, a=2, b=3)
            assert names(await asyncio.to_thread(kept_beliefs, proxy.config)) == set()
            rows = await proxy.charges()
    for row in rows:
        tokens = (row.usage.prompt or 0) + 2 * (row.usage.completion or 0)
        assert (row.provider, row.effective) == ("a", tokens * 1000)
    assert len(rows) == len(BAD)
    warned = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    for _, name in BAD:
        assert len([one for one in warned if f" {name}: " in one]) == 1, name


async def test_a_restart_without_the_feed_has_its_prices(tmp_path: Path) -> None:
    """What was believed is kept with the books: what an offer costs is known before the first
    document, also of an offer that was not there before."""
    async with feed() as source:
        source.say(FILE, GOOD)
        async with serving(
            tmp_path, offers=UNPRICED, feeds=feeds_of(source), routing=ALWAYS_BEST
        ) as proxy:
            await priced(proxy, a=1)
            url = feeds_of(source)
    async with serving(tmp_path, offers=UNPRICED, feeds=url, routing=ALWAYS_BEST) as proxy:
        assert prices(proxy) == {"a": 1}
        assert await asked_at(proxy) == "a"
        await believed(proxy.config, lambda one: names(one) == {AlarmName.UNREACHABLE})
        assert prices(proxy) == {"a": 1}


async def test_endpoints_at_openrouter(tmp_path: Path) -> None:
    """The endpoints of a model that has a name there price its offers, and tell how they do; a key
    is sent; without an entry of its own, an offer stays without a price."""
    path = "/models/oak/oak-70b/endpoints"
    async with feed() as source:
        source.say(path, endpoints(endpoint("a"), endpoint("a/flex", status=-2)))
        async with serving(
            tmp_path,
            names=("a", "b"),
            offers={"a": offer("a", price=None)},
            feeds=f"[{{kind: openrouter, url: '{source.url}', api_key: or-key, every: 100ms}}]",
            own_routing="{}\n    openrouter: oak/oak-70b",
        ) as proxy:
            async with asyncio.timeout(PATIENCE_S):
                while prices(proxy)["a"] is None:
                    await proxy.alive()
            a, b = proxy.server.house.market.snapshot.models["oak"]
            assert source.headers[path]["authorization"] == "Bearer or-key"
            assert a.quote is not None
            assert a.quote.rates.output == Decimal("0.19")
            assert a.quote.source.startswith("openrouter ")
            assert a.stats is not None
            assert (a.stats.ttft_ms.p50, a.stats.uptime_30m) == (310, 0.9925)
            assert a.offer.context_tokens == 131072
            assert b.stats is None


async def test_the_operators_file_acts_when_it_changes(tmp_path: Path) -> None:
    """Before every feed, at once, and whatever it says; one with an error in it changes nothing."""
    file = tmp_path / "prices.yaml"
    line = "  - {{provider: {0}, model: oak-70b, input: {1}, output: 2}}\n"
    file.write_text("prices:\n" + line.format("b", 0.5))
    async with feed() as source:
        source.say(FILE, GOOD)
        feeds = feeds_of(source).replace("]", ", {kind: prices}]")
        async with serving(
            tmp_path, names=("a", "b"), offers=UNPRICED, feeds=feeds, routing=ALWAYS_BEST
        ) as proxy:
            async with asyncio.timeout(PATIENCE_S):
                while prices(proxy) != {"a": 1, "b": Decimal("0.5")}:
                    await proxy.alive()
            file.write_text("prices:\n" + line.format("b", 0.5) + line.format("a", -1))
            await believed(proxy.config, lambda one: names(one) == {AlarmName.MALFORMED})
            (alarm,) = (await asyncio.to_thread(kept_beliefs, proxy.config))["prices.yaml"].alarms
            assert "prices[1].input" in alarm.value
            assert prices(proxy) == {"a": 1, "b": Decimal("0.5")}
            file.write_text("prices:\n" + line.format("b", 50))
            await priced(proxy, a=1, b=50)
            file.write_text("prices: []\n")
            await believed(proxy.config, lambda one: not one["prices.yaml"].standings)


async def test_refresh(tmp_path: Path) -> None:
    """`market refresh` asks now, says what changed and every alarm, and fails if a feed is
    refused; what is doubted acts when the operator accepts it."""
    async with feed() as source:
        source.say(FILE, GOOD)
        async with serving(
            tmp_path,
            names=("a", "b"),
            offers=UNPRICED,
            feeds=feeds_of(source).replace("100ms", "1h"),
        ) as proxy:
            await priced(proxy, a=1, b=3)
            source.say(FILE, litellm(a=2, b=40))
            code, found = await refreshed(proxy)
            assert code == 0
            (changed,) = found["changed"]
            assert (changed["offer"], changed["now"]["input"]) == (f"a/{UPSTREAM_MODEL}", 2)
            (alarm,) = found["alarms"]
            assert (alarm["name"], alarm["what"]) == ("price_jump", f"b/{UPSTREAM_MODEL}")
            await priced(proxy, a=2, b=3)  # the server follows

            code, found = await refreshed(proxy, "--accept", alarm["what"])
            assert (code, found["alarms"]) == (0, [])
            await priced(proxy, a=2, b=40)
            code, _ = await refreshed(proxy, "--accept", "b/misspelt")
            assert code == 1

            source.say(FILE, b"<html>")
            code, found = await refreshed(proxy)
            assert code == 1
            assert [one["refused"] for one in found["feeds"]] == [True]
            assert found["changed"] == []


async def refreshed(proxy: Proxy, *more: str) -> tuple[int, Any]:
    path = str(proxy.config.path)
    args = ["market", "refresh", "-c", path, "--json", *more]
    return await asyncio.to_thread(_ran, args)


def _ran(args: list[str]) -> tuple[int, Any]:
    found = subprocess.run(
        [sys.executable, "-c", "from hedgerow.cli import main; main()", *args],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.returncode, json.loads(found.stdout)


# -- fetching


async def test_what_has_not_changed_is_not_sent_again() -> None:
    """By its ETag: the document is the same, known anew."""
    async with feed() as source, feed_session() as session:
        source.say("/x", {"a": 1})
        address = Address(f"{source.url}/x", {"x-key": "k"})
        first = await fetched(session, address, None, NOW)
        later = await fetched(session, address, first, NOW + timedelta(hours=1))
        assert source.unchanged["/x"] == 1
        assert (later.body, later.known_at) == (first.body, NOW + timedelta(hours=1))
        assert source.headers["/x"]["x-key"] == "k"
        source.say("/x", {"a": 2})
        assert (await fetched(session, address, first, NOW)).body == b'{"a": 2}'


async def test_a_last_modified_that_is_to_come_is_not_believed() -> None:
    """A clock that is ahead does not make a document the newest for ever."""
    async with feed() as source, feed_session() as session:
        for at, expected in ((NOW, NOW), (NOW + timedelta(days=1), None)):
            stated = format_datetime(at, usegmt=True)
            source.answers["/x"] = partial(_modified, stated)
            found = await fetched(session, Address(f"{source.url}/x"), None, NOW)
            assert found.as_of == expected


def _modified(stated: str, _: web.Request) -> web.StreamResponse:
    return web.Response(body=b"{}", headers={"last-modified": stated})


async def test_a_redirect_is_not_followed() -> None:
    """A key goes to the address that the operator wrote, and nowhere else."""
    async with feed() as source, feed() as other, feed_session() as session:
        other.say("/x", {})
        source.answers["/x"] = lambda _: web.Response(
            status=302, headers={"location": f"{other.url}/x"}
        )
        with pytest.raises(FeedRefused) as refused:
            await fetched(session, Address(f"{source.url}/x", {"x-key": "k"}), None, NOW)
        assert refused.value.name is AlarmName.UNREACHABLE
        assert not other.asked


@pytest.mark.parametrize(
    "written", [b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", b"", b"hello"]
)
async def test_a_connection_that_breaks_is_named(written: bytes) -> None:
    """Within a document, before it, or at once."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(written)

    async with answering(answer) as url, feed_session() as session:
        with pytest.raises(FeedRefused) as refused:
            await fetched(session, Address(url), None, NOW)
    assert refused.value.name in (AlarmName.TRUNCATED, AlarmName.UNREACHABLE)

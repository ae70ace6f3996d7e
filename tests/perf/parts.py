"""The parts of a request that cost something, one by one."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from benchmarks.market import Market, Quoted
from benchmarks.offers import Offer
from benchmarks.quotes import Quote
from ledger.attempts import Attempt, Charge, Settlement
from ledger.budgets import Budget, Scope
from ledger.money import usd
from ledger.principals import Principal
from ledger.rates import RateCard
from ledger.usage import TokenUsage
from ledger.windows import Window
from proxy.providers import Account, Provider
from proxy.relay import StreamRelay
from proxy.tellers import ChunkTeller, ToldAsChunks
from proxy.wires.chat import ChatWire, ChunkReader
from routing.breaker import Breakers
from routing.decide import Limits, decide
from routing.intent import RoutingIntent
from tests.books import opened_book, opened_store
from tests.perf.load import request
from tests.perf.upstream import _stream

CARD = RateCard.of(Decimal("0.15"), Decimal("0.60"))


def measure() -> list[tuple[str, str]]:
    body = request("x", "k", streamed=False).partition(b"\r\n\r\n")[2]
    provider, wire = Provider("u0", "http://127.0.0.1/v1", (Account("1", "sk"),)), ChatWire()
    usage = TokenUsage(212, 20)
    rows = [
        ("parse a 1 KB request", _each(lambda: wire.ask(body, "application/json"))),
        (
            "rewrite it for an offer",
            _each(lambda: wire.rewrite(body, "application/json", provider, "m", None)),
        ),
        ("decide among 10 offers", _each(_deciding(10))),
        ("decide among 50 offers", _each(_deciding(50))),
        ("charge", _each(lambda: CARD.charge(usage))),
        ("relay a stream of 22 events", _each(_relaying())),
    ]
    shown = [(name, f"{seconds * 1e6:.1f} µs") for name, seconds in rows]
    for together in (1, 64):
        each_s = asyncio.run(_holding(together))
        shown.append((f"hold and post, 3 budgets, {together} at a time", f"{each_s * 1e6:.0f} µs"))
    return shown


def _each(call: Callable[[], object], seconds: float = 0.3) -> float:
    """Seconds per call: the best of several short runs."""
    count, best = 1, float("inf")
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        for _ in range(count):
            call()
        took = time.perf_counter() - began
        best = min(best, took / count)
        if took < 0.02:
            count *= 2
    return best


def _deciding(offers: int) -> Callable[[], object]:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    draw = random.Random(1)
    quoted = tuple(
        Quoted(
            Offer(f"u{n}", "m", context_tokens=131072),
            Quote(RateCard.of(Decimal(n + 1), Decimal(2 * n + 1)), None, (), "bench", at),
        )
        for n in range(offers)
    )
    snapshot = Market({"m": quoted}, at, 0.0).snapshot
    intent = RoutingIntent("m", 250, 200, 64)
    breakers, limits = Breakers(), Limits()
    return lambda: decide(intent, snapshot, breakers, limits, draw.random(), 0.0)


def _relaying() -> Callable[[], object]:
    body = _stream().partition(b"\r\n\r\n")[2]
    events = [one[one.find(b"data:") :] + b"\n\n" for one in body.split(b"\n\n") if b"data:" in one]

    def relay() -> None:
        one = StreamRelay(ChunkReader(1), ChunkTeller(ToldAsChunks()), wants_usage=True)
        for event in events:
            one.feed(event)
        one.close(usd("0.01"))

    return relay


async def _holding(together: int, rounds: int = 2000) -> float:
    budgets = tuple(
        Budget(name, scope, Window.MONTH, "UTC", usd(1_000_000))
        for name, scope in (
            ("everyone", Scope()),
            ("team", Scope(team="bench")),
            ("user", Scope(user="bench")),
        )
    )
    who = Principal("key_bench", team="bench", user="bench")
    usage = TokenUsage(212, 20)
    cost = CARD.charge(usage)
    charge = Charge(cost, cost, cost, cost, cost, cost)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "b.db"
        book = opened_book(opened_store(path), path, budgets)

        async def one(number: int) -> None:
            at_ns = time.time_ns()
            attempt = Attempt(
                f"r{number}.1", f"r{number}", at_ns, who, "m", "u0", "m", CARD, False, usd("0.001")
            )
            hold = await book.hold(attempt)
            await book.post(hold, Settlement(at_ns, usage, CARD, charge, False, 1.0, 2.0))

        began = time.perf_counter()
        for start in range(0, rounds, together):
            await asyncio.gather(*(one(start + n) for n in range(together)))
        took = time.perf_counter() - began
        await book.close()
    return took / rounds

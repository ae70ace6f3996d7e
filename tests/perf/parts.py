"""The parts of a request that cost something, one by one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from benchmarks.market import Market, Quoted
from benchmarks.offers import Offer
from benchmarks.quotes import Quote
from ledger.money import usd
from ledger.rates import RateCard
from ledger.usage import TokenUsage
from proxy.providers import Account, Provider
from proxy.relay import StreamRelay
from proxy.tellers import ChunkTeller, ToldAsChunks
from proxy.wires.chat import ChatWire, ChunkReader
from routing.decide import Moment, Wanted, decide
from routing.intent import RoutingIntent
from routing.limits import Limits
from routing.state import State
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
    return [(name, f"{seconds * 1e6:.1f} µs") for name, seconds in rows]


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
    snapshot, state = Market({"m": quoted}, at).snapshot, State()
    wanted, at_ns = [[Wanted(RoutingIntent("m", 250, 200, 64), Limits())]], 1_800_000_000 * 10**9
    return lambda: decide(wanted, snapshot, state, Moment(at_ns, 0.0, draw.random()))


def _relaying() -> Callable[[], object]:
    body = _stream().partition(b"\r\n\r\n")[2]
    events = [one[one.find(b"data:") :] + b"\n\n" for one in body.split(b"\n\n") if b"data:" in one]

    def relay() -> None:
        one = StreamRelay(ChunkReader(1), ChunkTeller(ToldAsChunks()), wants_usage=True)
        for event in events:
            one.feed(event)
        one.close(usd("0.01"))

    return relay

"""The parts of a request that cost something, one by one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal

from benchmarks.market import Market, Quoted
from benchmarks.offers import Offer
from benchmarks.quotes import Quote
from benchmarks.traffic.observations import Observation, Outcome
from ledger.money import MAX_NANOS, usd
from ledger.rates import RateCard
from ledger.usage import TokenUsage
from proxy.providers import Account, Provider
from proxy.relay import StreamRelay
from proxy.tellers import ChunkTeller, ToldAsChunks
from proxy.wires.chat import ChatWire, ChunkReader
from routing.decide import Moment, Wanted, decide
from routing.decision import RouteDecision
from routing.explanation import to_text
from routing.intent import RoutingIntent
from routing.limits import Limits
from routing.state import State
from tests.ledger.owned import bid_price, commitment
from tests.perf.load import request
from tests.perf.upstream import _stream

CARD = RateCard.of(Decimal("0.15"), Decimal("0.60"))
AT = datetime(2026, 11, 20, tzinfo=UTC)


def measure() -> list[tuple[str, str]]:
    body = request("x", "k", streamed=False).partition(b"\r\n\r\n")[2]
    provider, wire = Provider("u0", "http://127.0.0.1/v1", (Account("1", "sk"),)), ChatWire()
    usage = TokenUsage(212, 20)
    deciding = _deciding(50)
    rows = [
        ("parse a 1 KB request", _each(lambda: wire.ask(body, "application/json"))),
        (
            "rewrite it for an offer",
            _each(lambda: wire.rewrite(body, "application/json", provider, "m", None)),
        ),
        ("decide among 10 offers", _each(_deciding(10))),
        ("decide among 50 offers", _each(deciding)),
        ("... of which we own one", _each(_deciding(50, owns=True))),
        ("... and take the first", _each(lambda: deciding().candidates[0])),
        ("... and write it down", _each(lambda: to_text(deciding()))),
        ("charge", _each(lambda: CARD.charge(usage))),
        ("relay a stream of 22 events", _each(_relaying())),
        ("note what an attempt saw", _each(_noting())),
        ("a snapshot of 500 offers: no news", _each(_rebuilding(()))),
        ("... of one in ten", _each(_rebuilding(range(0, 500, 10)))),
        ("... of all", _each(_rebuilding(range(500)))),
    ]
    return [(name, f"{seconds * 1e6:.1f} µs") for name, seconds in rows]


def _each(call: Callable[[], object], seconds: float = 0.3) -> float:
    """Seconds of CPU per call: the best of several short runs."""
    count, best = 1, float("inf")
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.thread_time()
        for _ in range(count):
            call()
        took = time.thread_time() - began
        best = min(best, took / count)
        if took < 0.02:
            count *= 2
    return best


def _market(models: int, offers: int) -> Market:
    """Of `offers` each."""
    quotes = [
        Quote(RateCard.of(Decimal(n + 1), Decimal(2 * n + 1)), None, (), "bench", AT)
        for n in range(offers)
    ]
    quoted = {
        f"m{model}": tuple(
            Quoted(Offer(f"u{n}", f"m{model}", context_tokens=131072), quote)
            for n, quote in enumerate(quotes)
        )
        for model in range(models)
    }
    return Market(quoted, AT, dict.fromkeys(quoted, 2000.0))


def _deciding(offers: int, *, owns: bool = False) -> Callable[[], RouteDecision]:
    draw = random.Random(1)
    snapshot, state = _market(1, offers).snapshot, State()
    if owns:
        own = commitment(ends_ns=MAX_NANOS)
        bid = bid_price(own, rate=10**8, at_ns=1_800_000_000 * 10**9)
        state.owned = {snapshot.models["m0"][3].offer.id: (bid,)}
    wanted, at_ns = [[Wanted(RoutingIntent("m0", 250, 200, 64), Limits())]], 1_800_000_000 * 10**9
    return lambda: decide(wanted, snapshot, state, Moment(at_ns, 0.0, draw.random()))


def _noting() -> Callable[[], object]:
    market = _market(1, 1)
    seen = Observation(AT.timestamp(), Outcome.ANSWERED, 300.0, 20.0)
    return lambda: market.note("u0/m0", seen)


def _rebuilding(news: Iterable[int]) -> Callable[[], object]:
    """50 models of 10 offers, each of which was asked in the last minutes; a few attempts more at
    those in `news`."""
    market, draw = _market(50, 10), random.Random(1)
    ids = [one.offer.id for its in market.snapshot.models.values() for one in its]
    for minute in range(5):
        at_s = AT.timestamp() - 60 * (4 - minute)
        for offer_id in ids * 30:
            ttft_ms = draw.lognormvariate(6, 0.5)
            market.note(offer_id, Observation(at_s, Outcome.ANSWERED, ttft_ms, 20.0))
    told = [ids[one] for one in news]
    seen = Observation(AT.timestamp(), Outcome.ANSWERED, 300.0, 20.0)

    def rebuild() -> None:
        for offer_id in told:
            market.note(offer_id, seen)
        market.rebuild(AT)

    rebuild()
    return rebuild


def _relaying() -> Callable[[], object]:
    body = _stream().partition(b"\r\n\r\n")[2]
    events = [one[one.find(b"data:") :] + b"\n\n" for one in body.split(b"\n\n") if b"data:" in one]

    def relay() -> None:
        one = StreamRelay(ChunkReader(1), ChunkTeller(ToldAsChunks()), wants_usage=True)
        for event in events:
            one.feed(event)
        one.close(usd("0.01"))

    return relay

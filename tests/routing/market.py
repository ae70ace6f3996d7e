"""Markets for the tests of the router: any offers, any prices, any luck."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

from hypothesis import strategies as st

from benchmarks.offers import Feature, Offer, Task
from benchmarks.quotes import Override, Quote
from benchmarks.snapshot import Listing, MarketSnapshot
from benchmarks.traffic.chances import Chances
from benchmarks.traffic.observations import UNSEEN
from ledger.rates import RateCard
from ledger.usage import Unit
from routing.breaker import Breakers
from routing.decide import Moment, Wanted, decide
from routing.decision import RouteDecision
from routing.intent import RoutingIntent
from routing.limits import Limits
from routing.state import State

AT = datetime(2026, 3, 14, tzinfo=UTC)
AT_NS = int(AT.timestamp()) * 10**9
MODEL = "llama"
LIMITS = Limits(explore=0.0, late_last=True)
NOW_S = 100.0


def quote(input_usd: str, output_usd: str, *, request_usd: str = "0") -> Quote:
    card = RateCard.of(Decimal(input_usd), Decimal(output_usd), request=Decimal(request_usd))
    return Quote(card, card, (), "test", AT)


def quote_per(unit: Unit, usd: str) -> Quote:
    card = RateCard.of(Decimal(0), Decimal(0), unit=Decimal(usd), per=unit)
    return Quote(card, card, (), "test", AT)


def luck(success: float = 1.0, on_time: float = 1.0, weight: float = 100.0) -> Chances:
    return Chances(success, on_time, weight)


def decided(
    wanted: RoutingIntent,
    market: MarketSnapshot,
    breakers: Breakers | None = None,
    draw: float = 0.0,
    limits: Limits = LIMITS,
    now_s: float = NOW_S,
    state: State | None = None,
    warm: Mapping[str, int] | None = None,
    at_ns: int = AT_NS,
) -> RouteDecision:
    """A decision about one model."""
    state = state or State(breakers=breakers or Breakers())
    return decide([[Wanted(wanted, limits)]], market, state, Moment(at_ns, now_s, draw), warm or {})


def snapshot(*listings: Listing, version: int = 1) -> MarketSnapshot:
    return MarketSnapshot(version, AT, MappingProxyType({MODEL: listings}))


def intent(
    prompt_tokens: int = 1000,
    completion_tokens: int = 100,
    *,
    longest: int | None = None,
    features: frozenset[Feature] = frozenset(),
    task: Task = Task.CHAT,
    units: int = 0,
) -> RoutingIntent:
    return RoutingIntent(
        MODEL,
        prompt_tokens,
        completion_tokens,
        longest,
        features=features,
        task=task,
        units=units,
    )


prices = st.decimals("0", "5", places=2)
near_prices = st.sampled_from([Decimal(one) for one in ("1", "1.01", "1.02", "1.03")])


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    either = st.one_of(prices, near_prices)
    card = RateCard.of(draw(either), draw(either))
    if draw(st.integers(0, 3)) == 0:  # tokens may cost something besides
        unit, usd = draw(st.sampled_from(Unit)), draw(st.sampled_from(["0.001", "0.0001"]))
        card = replace(card, unit=Decimal(usd), per=unit)
    long: tuple[Override, ...] = ()
    if draw(st.booleans()):
        long = (Override(RateCard.of(draw(prices), draw(prices)), draw(st.integers(1, 3000))),)
    return Quote(card, None, long, "test", AT)


@st.composite
def listings(draw: st.DrawFn) -> tuple[Listing, ...]:
    """Up to eight offers; some without a price, some slow, some with limits or few features."""
    count = draw(st.integers(0, 8))
    return tuple(
        Listing(
            Offer(
                f"p{number}",
                MODEL,
                context_tokens=draw(st.none() | st.integers(1, 3000)),
                max_output_tokens=draw(st.none() | st.integers(1, 500)),
                features=draw(st.none() | st.frozensets(st.sampled_from(Feature))),
                tasks=draw(st.none() | st.frozensets(st.sampled_from(Task), min_size=1)),
            ),
            draw(st.none() | quotes()),
            UNSEEN,
            luck(on_time=draw(st.sampled_from([1.0, 0.97, 0.95, 0.9499, 0.5, 0.0]))),
        )
        for number in range(count)
    )


intents = st.builds(
    intent,
    st.integers(0, 4000),
    st.integers(0, 400),
    longest=st.none() | st.integers(1, 600),
    features=st.frozensets(st.sampled_from(Feature), max_size=2),
    task=st.just(Task.CHAT) | st.sampled_from(Task),
    units=st.integers(0, 50),
)

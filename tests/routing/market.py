"""Markets for the tests of the router: any offers, any prices, any luck."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

from hypothesis import strategies as st

from benchmarks.observations import UNSEEN, Seen
from benchmarks.offers import Feature, Offer, Task
from benchmarks.quotes import Override, Quote
from benchmarks.snapshot import Listing, MarketSnapshot
from ledger.rates import RateCard
from ledger.usage import Unit
from routing.intent import RoutingIntent

AT = datetime(2026, 3, 14, tzinfo=UTC)
AT_NS = int(AT.timestamp()) * 10**9
MODEL = "llama"


def quote(input_usd: str, output_usd: str, *, request_usd: str = "0") -> Quote:
    card = RateCard.of(Decimal(input_usd), Decimal(output_usd), request=Decimal(request_usd))
    return Quote(card, card, (), "test", AT)


def quote_per(unit: Unit, usd: str) -> Quote:
    card = RateCard.of(Decimal(0), Decimal(0), unit=Decimal(usd), per=unit)
    return Quote(card, card, (), "test", AT)


def seen(ttft_ms_p95: float | None) -> Seen:
    return Seen(10, ttft_ms_p95, ttft_ms_p95, None, None, 0.1, 0.0)


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
            draw(st.sampled_from([UNSEEN, *map(seen, (None, 500.0, 2000.0, 2001.0, 9000.0))])),
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

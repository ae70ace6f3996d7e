"""Charges as the tests of exports and of reconciliation draw them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import strategies as st

from ledger.charges import ChargeRow
from ledger.money import ZERO, Money
from ledger.rates import RateCard
from ledger.usage import TokenUsage, Unit
from tests.ledger.entries import NOW_NS

MINUTE_NS = 60_000_000_000
DAY_NS = 24 * 60 * MINUTE_NS
PLAIN = RateCard.of(
    Decimal("0.15"), Decimal("0.60"), cache_read=Decimal("0.075"), cache_write=Decimal("0.1875")
)

prices = st.sampled_from(["0", "0.15", "3", "0.0123456789", "0.000000000000001", "999999.5"]).map(
    Decimal
)
counts = st.integers(0, 3) | st.integers(0, 2_000_000)
labels = (
    st.none()
    | st.sampled_from(["=1+1", "+1", "-1", "@a", "'=1", 'a,"b'])
    | st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1)
)


@st.composite
def cards(draw: st.DrawFn) -> RateCard:
    unit = draw(prices)
    per = draw(st.sampled_from(list(Unit))) if unit else None
    return RateCard(
        input=draw(prices),
        output=draw(prices),
        cache_read=draw(prices),
        cache_write=draw(prices),
        request=draw(prices),
        unit=unit,
        per=per,
        reasoning=draw(st.none() | prices),
        cache_write_1h=draw(st.none() | prices),
    )


@st.composite
def usages(draw: st.DrawFn, rates: RateCard) -> TokenUsage:
    """What a provider may say: counts may be missing, and caches may be more than the prompt."""
    units = draw(counts) if rates.per else None
    if draw(st.integers(0, 9)) == 0:
        return TokenUsage(None, None, units=draw(st.none() | st.just(units)))
    return TokenUsage(
        prompt=draw(counts),
        completion=draw(counts),
        cached=draw(st.none() | counts),
        cache_write=draw(st.none() | counts),
        reasoning=draw(st.none() | counts),
        units=units,
        cache_write_1h=draw(st.none() | counts),
    )


def charge_row(
    number: int = 1,
    *,
    rates: RateCard = PLAIN,
    usage: TokenUsage | None = None,
    cost: int | None = None,
    at_ns: int = NOW_NS,
    provider: str = "acme",
    model: str = "acme-llama",
    estimated: bool = False,
) -> ChargeRow:
    """A charge at what its card says, unless it is told what it cost."""
    usage = usage or TokenUsage(1000, 100)
    amount = rates.charge(usage) if cost is None else Money(cost)
    return ChargeRow(
        attempt_id=f"req_{number}.1",
        request_id=f"req_{number}",
        at_ns=at_ns,
        ended_at_ns=at_ns + 1_500_000_000,
        org=None,
        team="research",
        project=None,
        user="ada",
        key_id="key_1",
        tags=(),
        model="llama",
        provider=provider,
        upstream_model=model,
        account=None,
        streamed=False,
        batch=None,
        rate_card=rates.version,
        rates=rates,
        usage=usage,
        billed=amount,
        effective=amount,
        contracted=amount,
        list=amount,
        first_offer=None,
        cheapest=None,
        held=amount,
        overrun=ZERO,
        estimated=estimated,
        ttft_ms=None,
        total_ms=1500.0,
    )


amounts = st.integers(0, 10**6) | st.integers(0, 10**13)


@st.composite
def charges(draw: st.DrawFn) -> ChargeRow:
    """Any charge: most at their card's own price, some at another, all with what people write."""
    rates = draw(cards())
    usage = draw(usages(rates))
    try:
        own: int | None = rates.charge(usage)
    except ValueError:
        own = None
    some = st.builds(Money, amounts if own is None else st.just(own) | amounts)
    row = charge_row(
        draw(st.integers(1, 99)),
        rates=rates,
        usage=usage,
        cost=draw(some),
        at_ns=NOW_NS + draw(st.integers(-40 * DAY_NS, 40 * DAY_NS)),
    )
    return replace(
        row,
        ended_at_ns=row.at_ns + draw(st.sampled_from([0, 1, 10**9, 10**12])),
        team=draw(labels),
        user=draw(labels),
        account=draw(labels),
        tags=tuple(draw(st.lists(st.text(min_size=1, max_size=5), max_size=2, unique=True))),
        contracted=draw(some),
        effective=draw(some),
        list=draw(some),
        first_offer=draw(st.none() | some),
        estimated=draw(st.booleans()),
        ttft_ms=draw(st.none() | st.floats(0, 1e6)),
    )

"""What owned capacity is worth, learned from the books, with real requests to real providers."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from hedge.bids.minute import MinutePrices
from hedgerow.bidding import WHO, MinuteDesk, QuotaDesk, bidding_for_minutes, rate_now
from hedgerow.books import books, opened_sql
from ledger.charges import charge_rows
from ledger.commitments import Commitment, CommitmentKind, Covered
from ledger.money import Money
from ledger.store import Store
from tests.ledger.owned import commitment
from tests.serving import MODEL, Proxy, offer, serving, wishing

HOUR_NS = 3_600 * 10**9
CHEAP = "twig"
FLAT_PRICE = "{{input: {0}, output: {0}}}"
OFFERS = {name: offer(name, price=FLAT_PRICE.format(usd)) for name, usd in (("a", 1), ("c", 9))}
MODELS = f"{CHEAP}: {{offers: [{offer('c', price=FLAT_PRICE.format('0.15'))}, {offer('b')}]}}"
"""A request costs the one model 1 USD per million tokens, at a, the other 0.15, at c. Both could
be served from what we own, at b."""
ROUNDS = 12


def of_b(**changes: Any) -> Commitment:
    now_ns = time.time_ns()
    its: dict[str, Any] = {
        "provider": "b",
        "covers": (Covered("b", None),),
        "team_rate": Money(0),
        "starts_ns": now_ns - HOUR_NS,
        "ends_ns": now_ns + 2 * HOUR_NS,
    }
    return commitment(**its | changes)


async def asked(proxy: Proxy, rounds: int) -> list[tuple[str, bool]]:
    """Of each request: its model, and whether it drew."""
    found = []
    for _ in range(rounds):
        for model in (CHEAP, MODEL):
            reply = await proxy.ask(model=model, max_tokens=8, sandbox=wishing(8))
            assert reply.status == 200
            found.append((model, "x-hedgerow-commitment" in reply.headers))
    return found


async def bought(proxy: Proxy, one: Commitment) -> None:
    def add() -> None:
        with books(proxy.config) as store, store.transaction():
            store.commitments.add(one)

    await asyncio.to_thread(add)


async def seen(proxy: Proxy, rate: Money) -> None:
    """Wait until the router has seen what the commitment is worth."""
    routing = proxy.server.house.routing
    async with asyncio.timeout(10):
        while {bid.rate for its in routing.owned.values() for bid in its} != {rate}:
            await proxy.alive()


def totals(store: Store) -> tuple[int, int]:
    """What was billed, and the tokens that were drawn."""
    rows = list(charge_rows(store.sql))
    drawn = [row for row in rows if row.commitment]
    return sum(row.billed for row in rows), sum(row.micro_units for row in drawn) // 10**6


async def cost_of(tmp_path: Path, *, by_traffic: bool) -> tuple[int, list[tuple[str, bool]], int]:
    """What is billed for the same requests, with a quota for half of them; who drew; its rate."""
    async with serving(tmp_path, names=("a", "b", "c"), offers=OFFERS, more_models=MODELS) as proxy:
        await asked(proxy, ROUNDS)
        before, _ = await proxy.read(totals)
        tokens = before // (ROUNDS * 1150)
        rate = Money(0)
        # Room for half of them, and for what the last one holds until its answer is there.
        # Its end is far: whatever minute of the hour it is, more will be wanted than is left.
        one = of_b(capacity_units=ROUNDS * tokens + 150, ends_ns=time.time_ns() + 480 * HOUR_NS)
        await bought(proxy, one)
        if by_traffic:
            rate = await asyncio.to_thread(set_rates, proxy)
        await seen(proxy, rate)
        found = await asked(proxy, ROUNDS)
        after, _ = await proxy.read(totals)
    return after - before, found, rate


def set_rates(proxy: Proxy) -> Money:
    sql = opened_sql(proxy.config.ledger, create=False)
    try:
        QuotaDesk(sql).set_rates(proxy.server.house.market.snapshot.models, time.time_ns())
        (row,) = sql.execute("SELECT nanos, who FROM bid_prices ORDER BY at_ns DESC LIMIT 1")
        assert row[1] == WHO
        return Money(int(row[0]))
    finally:
        sql.close()


async def test_the_dear_class_draws_and_the_cheap_one_does_not(tmp_path: Path) -> None:
    """A quota for half of the requests, alternatives at 1 and 0.15: all of the dear ones draw, none
    of the cheap ones, and less is billed than where what is prepaid is free until exhausted."""
    folders = [tmp_path / name for name in ("ours", "naive")]
    for one in folders:
        await asyncio.to_thread(one.mkdir)
    billed, found, rate = await cost_of(folders[0], by_traffic=True)
    naive_billed, naive, _ = await cost_of(folders[1], by_traffic=False)
    assert 0.15e9 < rate < 1e9
    assert {model for model, drew in found if drew} == {MODEL}
    assert sum(drew for _, drew in found) == ROUNDS
    assert {model for model, drew in naive if drew} == {MODEL, CHEAP}
    assert billed < 0.4 * naive_billed


async def test_a_price_holds_until_traffic_says_otherwise(tmp_path: Path) -> None:
    """What the plan, or a person, has set is not touched while too little was seen."""
    async with serving(tmp_path, names=("a", "b", "c"), offers=OFFERS, more_models=MODELS) as proxy:
        await bought(proxy, of_b())
        await asked(proxy, 3)
        await proxy.read(totals)

        def looked() -> tuple[object, ...]:
            with books(proxy.config) as store, store.transaction():
                store.commitments.set_bid_prices({"flat": Money(123_456_789)}, 1, "plan")
            sql = opened_sql(proxy.config.ledger, create=False)
            try:
                QuotaDesk(sql).set_rates(proxy.server.house.market.snapshot.models, time.time_ns())
                return tuple(sql.execute("SELECT nanos, who FROM bid_prices").fetchall())
            finally:
                sql.close()

        assert await asyncio.to_thread(looked) == ((123_456_789, "plan"),)


async def test_minutes_are_priced_by_each_worker(tmp_path: Path) -> None:
    """Capacity by the minute: prices are there for what is active, and what is over has none."""
    async with serving(tmp_path, names=("a", "b", "c"), offers=OFFERS, more_models=MODELS) as proxy:
        one = of_b(kind=CommitmentKind.THROUGHPUT, capacity_units=500)
        await bought(proxy, one)
        house, ledger = proxy.server.house, proxy.config.ledger
        async with bidding_for_minutes(ledger, house.market, house.clock, 0.01) as prices:
            async with asyncio.timeout(10):
                while one.id not in prices:
                    await proxy.alive()
            assert rate_now(prices[one.id], 10**6, time.time_ns()) == 0
        await asked(proxy, ROUNDS)
        await proxy.read(totals)

        def priced() -> list[int]:
            sql = opened_sql(ledger, create=False)
            try:
                desk, models = MinuteDesk(sql), house.market.snapshot.models
                now_ns = time.time_ns()
                assert desk.prices(models, one.ends_ns) == {}
                table = desk.prices(models, now_ns)[one.id]
                return [rate_now(table, left * 10**6, now_ns) for left in (1, 500)]
            finally:
                sql.close()

        assert await asyncio.to_thread(priced) == [0, 0]  # a first look has no traffic yet


@pytest.mark.parametrize("rate", [0.0, 1e-9, 0.123456, 987.654321])
def test_a_rate_is_cut_not_rounded(rate: float) -> None:
    """What is at the edge still draws; three digits are enough."""
    cut = rate_now(MinutePrices.flat(1.0, rate), 10**6, 0)
    assert 0.99 * rate * 1e6 - 1 <= cut <= rate * 1e6

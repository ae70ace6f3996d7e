"""Requests that draw on what we own, over HTTP: what their clients see, their teams are charged,
and the books say; and what happens when nothing is left to draw."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hedgerow.books import books
from hedgerow.owning import LEAST_SEEN, is_idle
from ledger.charges import ChargeRow, charge_rows
from ledger.commitments import Commitment, CommitmentKind, Covered
from ledger.money import Money, as_usd
from ledger.statements import charged
from ledger.store import Store
from tests.hedgerow.processes import hedgerow
from tests.ledger.owned import DAY_NS, bid_price, commitment
from tests.serving import HELLO, PACED, UPSTREAM_MODEL, Gate, Proxy, asking, serving, wishing

MICRO = 1_000_000
TEAM_RATE = Money(400_000_000)
"""0.40 USD per million units: cheaper than a's 1 and 2 USD per million tokens."""


def owned(**changes: Any) -> Commitment:
    """A quota that is used at b, the dearer of two providers, as of today."""
    now_ns = time.time_ns()
    its: dict[str, Any] = {"starts_ns": now_ns - DAY_NS, "ends_ns": now_ns + DAY_NS}
    covers = commitment().covers
    its |= {"covers": (replace(covers[0], provider="b"),), "provider": "b"}
    return commitment(**its | changes)


async def own(proxy: Proxy, *commitments: Commitment, **rates: int) -> None:
    """Have them bought beside the running server, and wait until it has seen it. rates: USD per
    million units that they are worth to later requests, by id."""

    def buy() -> None:
        with books(proxy.config) as store, store.transaction():
            for one in commitments:
                store.commitments.add(one)
            nanos = {name: Money(rate * 10**9) for name, rate in rates.items()}
            store.commitments.set_bid_prices(nanos, time.time_ns(), "ada")

    await asyncio.to_thread(buy)
    routing = proxy.server.house.routing
    async with asyncio.timeout(10):
        while True:
            seen = {one.commitment.id: one.rate for its in routing.owned.values() for one in its}
            wanted = {one.id for one in commitments if one.id != "foreign"}
            if wanted <= seen.keys() and rates.keys() <= {
                name for name, rate in seen.items() if rate == rates.get(name, 0) * 10**9
            }:
                return
            await proxy.alive()


async def rows(proxy: Proxy) -> list[ChargeRow]:
    def look(store: Store) -> list[ChargeRow]:
        with store.view():
            return list(charge_rows(store.sql))

    return await proxy.read(look)


async def used(proxy: Proxy) -> dict[str, int]:
    """The micro-units that the books say were drawn, by account."""

    def look(store: Store) -> dict[str, int]:
        found = store.sql.execute(
            "SELECT budget, sum(posted) FROM accounts WHERE measure = 'units'"
            " AND time_window <> 'minute' GROUP BY budget"
        )
        return dict(found.fetchall())

    return await proxy.read(look)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("longest", [8, None])
async def test_a_request_is_served_from_what_we_own(
    stream: bool, longest: int | None, tmp_path: Path
) -> None:
    """At the dearer provider, since there it is paid for: nothing is billed, the team is charged
    the rate that was fixed, and the units are counted one by one; what it would have cost
    otherwise is at pay-as-you-go."""
    async with serving(tmp_path, names=("a", "b"), budgets=BUDGET) as proxy:
        await own(proxy, owned(micro_units_per_completion=3 * MICRO, team_rate=TEAM_RATE))
        wanted = {"stream": stream, "max_tokens": longest, "sandbox": wishing(5)}
        reply = await proxy.ask(**wanted)
        assert reply.status == 200
        assert reply.headers["x-hedgerow-provider"] == "b"
        assert reply.headers["x-hedgerow-commitment"] == "flat"
        (one,) = await rows(proxy)
        prompt, completion = one.usage.prompt or 0, one.usage.completion or 0
        units = prompt + 3 * completion
        assert (one.commitment, one.micro_units) == ("flat", units * MICRO)
        assert await used(proxy) == {"commitment flat": units * MICRO}
        assert (one.billed, one.effective) == (0, units * 400)
        assert one.contracted == one.list == prompt * 3000 + completion * 6000
        assert one.cheapest == one.first_offer == prompt * 1000 + completion * 2000
        assert one.held == max(one.held, one.contracted)
        if not stream:
            assert Decimal(reply.headers["x-hedgerow-cost-usd"]) == as_usd(one.effective)


BUDGET = "{name: the-month, scope: {}, window: month, cap_usd: 1}"


async def test_explained(tmp_path: Path) -> None:
    """Why a request drew, then and there, and later; why another did not."""
    async with serving(tmp_path, names=("a", "b")) as proxy:
        await own(proxy, owned())
        first = await proxy.post(asking(), **{"x-hedgerow-explain": "1"})
        told = json.loads(first.headers["x-hedgerow-explain"])["candidates"][0]
        assert (told["offer"], told["commitment"]) == (f"b/{UPSTREAM_MODEL}", "flat")
        assert told["expected_cost_nanos"] == 0
        assert "nobody else is expected to need it" in told["why"]
        record = await proxy.record(first)
        assert record.decision is not None
        assert '"commitment":"flat"' in record.decision

        await own(proxy, flat=1)
        second = await proxy.post(asking(), **{"x-hedgerow-explain": "1"})
        told = json.loads(second.headers["x-hedgerow-explain"])["candidates"]
        of_b = next(one for one in told if "commitment" in one)
        assert of_b["why"].endswith("at its bid price, 1 USD per million capacity units")
        done = await hedgerow("explain", "-c", tmp_path / "hedgerow.yaml", record.id)
        assert "draws on commitment flat: nobody else is expected to need it" in done.out
        (charge,) = await proxy.read(lambda store: list(charged(store.sql, record.id)))
        units = charge.micro_units // MICRO
        assert units == (charge.usage.prompt or 0) + (charge.usage.completion or 0)
        assert f"drawn on commitment flat: {units} capacity units" in done.out

        await own(proxy, flat=9)
        reply = await proxy.ask()
        assert reply.headers["x-hedgerow-provider"] == "a"
        assert "x-hedgerow-commitment" not in reply.headers


async def test_a_draw_that_did_not_fit_is_told(tmp_path: Path) -> None:
    """There is some left, so that it was to be drawn; not as much as the request might take."""
    async with serving(tmp_path, names=("b",)) as proxy:
        await own(proxy, owned(capacity_units=320))
        reply = await proxy.ask(max_tokens=500)
        assert "x-hedgerow-commitment" not in reply.headers
        done = await hedgerow(
            "explain", "-c", tmp_path / "hedgerow.yaml", reply.headers["x-request-id"]
        )
        assert "draws on commitment flat" in done.out
        assert "not drawn on commitment flat: its worst case did not fit there" in done.out


async def test_where_paying_is_cheaper_it_is_paid(tmp_path: Path) -> None:
    """At one offer of one provider: drawn as long as that is worth no more to others than what is
    paid for it there."""
    async with serving(tmp_path, names=("b",)) as proxy:
        await own(proxy, owned())
        for rate, drawn in ((2, "flat"), (7, None)):
            await own(proxy, flat=rate)
            assert (await proxy.ask()).headers.get("x-hedgerow-commitment") == drawn
        first, second = await rows(proxy)
        assert (first.billed, first.commitment) == (0, "flat")
        assert (second.billed, second.commitment) == (second.effective, None)
        assert second.billed > 0


async def test_nothing_left_to_draw(tmp_path: Path) -> None:
    """Requests go where they would go without it, in their order, and pay there; what was left over
    is less than the next request has to hold."""
    body = json.dumps(asking(sandbox=wishing(8))).encode()
    quota = 3 * (len(body) + 8)
    async with serving(tmp_path, names=("a", "b")) as proxy:
        await own(proxy, owned(capacity_units=quota))
        replies = [await proxy.post(body) for _ in range(40)]
        assert {one.status for one in replies} == {200}
        drawn = [one.headers.get("x-hedgerow-commitment") for one in replies]
        places = [one.headers["x-hedgerow-provider"] for one in replies]
        count = drawn.count("flat")
        assert 3 <= count < 40
        assert drawn == ["flat"] * count + [None] * (40 - count)
        assert places == ["b"] * count + ["a"] * (40 - count)
        taken = (await used(proxy))["commitment flat"]
        assert 0 <= quota * MICRO - taken < (len(body) + 8) * MICRO
        assert {one.headers["x-hedgerow-attempts"] for one in replies} == {"1"}


async def test_the_next_commitment_is_drawn_when_the_first_has_too_little(tmp_path: Path) -> None:
    """What is left of one is less than a request holds, which is more than it uses: the others of
    the same offer serve it, in their order, and then it is paid for."""
    body = json.dumps(asking(sandbox=wishing(8))).encode()
    once = len(body) + 8
    async with serving(tmp_path, names=("a", "b")) as proxy:
        ours = [
            owned(id=name, capacity_units=once + 5, apply_order=order)
            for order, name in enumerate(("first", "second", "third"))
        ]
        await own(proxy, *ours)
        replies = [await proxy.post(body) for _ in range(5)]
        drawn = [one.headers.get("x-hedgerow-commitment") for one in replies]
        assert drawn == ["first", "second", "third", None, None]
        assert [one.headers["x-hedgerow-provider"] for one in replies] == [*"bbbaa"]


async def test_what_goes_beyond_is_billed_as_the_contract_says(tmp_path: Path) -> None:
    """Where it bills overage, its offer costs that once the quota is used up, and it is counted
    apart; the cheaper provider is asked where that is cheaper."""
    body = json.dumps(asking(sandbox=wishing(8))).encode()
    quota = len(body) + 8
    async with serving(tmp_path, names=("b",)) as proxy:
        await own(proxy, owned(capacity_units=quota, overage_rate=Money(5 * 10**9)))
        replies = [await proxy.post(body) for _ in range(12)]
        assert {one.status for one in replies} == {200}
        assert {one.headers["x-hedgerow-commitment"] for one in replies} == {"flat"}
        found = await rows(proxy)
        beyond = [one for one in found if one.overage_micro_units]
        within = [one for one in found if not one.overage_micro_units]
        assert len(within) >= 1
        assert len(beyond) >= 1
        for one in beyond:
            units = (one.usage.prompt or 0) + (one.usage.completion or 0)
            assert one.overage_micro_units == units * MICRO
            assert one.billed == one.effective == units * 5000
        assert await used(proxy) == {
            "commitment flat": sum(one.micro_units for one in within),
            "commitment flat overage": sum(one.overage_micro_units for one in beyond),
        }


async def test_many_at_once_draw_no_more_than_there_is(tmp_path: Path) -> None:
    """While the first are under way, what they may take is nobody else's."""
    body = json.dumps(asking(sandbox=wishing(8))).encode()
    gate = Gate(open_for=0)
    async with serving(tmp_path, names=("a", "b"), behaviour=PACED, gate=gate) as proxy:
        await own(proxy, owned(capacity_units=4 * (len(body) + 8)))
        asked = [asyncio.create_task(proxy.post(body)) for _ in range(12)]
        house = proxy.server.house
        async with asyncio.timeout(10):
            while house.book.under_way < 12:
                await proxy.alive()
        gate.open()
        replies = await asyncio.gather(*asked)
        places = [one.headers["x-hedgerow-provider"] for one in replies]
        assert sorted(places) == ["a"] * 8 + ["b"] * 4


async def test_capacity_by_the_minute(tmp_path: Path) -> None:
    """It is drawn, and counted by the month as well."""
    async with serving(tmp_path, names=("a", "b")) as proxy:
        await own(proxy, owned(kind=CommitmentKind.THROUGHPUT, capacity_units=10_000))
        reply = await proxy.ask()
        assert reply.headers["x-hedgerow-commitment"] == "flat"
        assert [name for name in reply.headers if name.startswith("x-ratelimit")] == []
        (one,) = await rows(proxy)
        assert await used(proxy) == {"commitment flat": one.micro_units}


async def test_a_commitment_of_spend(tmp_path: Path) -> None:
    """Its unit is a USD at pay-as-you-go, in millionths, rounded up."""
    async with serving(tmp_path, names=("a", "b")) as proxy:
        await own(
            proxy,
            owned(kind=CommitmentKind.SPEND, capacity_units=1, team_rate=Money(7 * 10**14)),
        )
        await proxy.ask()
        (one,) = await rows(proxy)
        assert one.micro_units == -(-one.contracted // 1000)
        assert one.effective == one.micro_units * 700


@pytest.mark.parametrize("longest", [8, None])
async def test_a_budget_that_the_teams_rate_does_not_fit_into(
    longest: int | None, tmp_path: Path
) -> None:
    """Where paying as one goes is cheaper for the team, and fits, that is what it does."""
    budget = "{name: the-month, scope: {}, window: month, cap_usd: 0.005}"
    async with serving(tmp_path, names=("b",), budgets=budget) as proxy:
        await own(proxy, owned(team_rate=Money(10**12)))
        reply = await proxy.ask(max_tokens=longest, sandbox=wishing(8))
        assert reply.status == 200
        assert "x-hedgerow-commitment" not in reply.headers
        (one,) = await rows(proxy)
        assert one.billed == one.effective == one.contracted


async def test_an_order_of_the_requests_own(tmp_path: Path) -> None:
    """Who says which provider is asked first is served there, and draws there where we own it."""
    async with serving(tmp_path, names=("a", "b")) as proxy:
        await own(proxy, owned())
        for name, drawn in (("a", None), ("b", "flat")):
            reply = await proxy.ask(provider={"order": [name]}, messages=HELLO)
            assert reply.headers["x-hedgerow-provider"] == name
            assert reply.headers.get("x-hedgerow-commitment") == drawn


async def test_of_two_the_first_to_be_applied(tmp_path: Path) -> None:
    """What covers one model only serves that one; at the same price `apply_order` decides, and
    when that is used up, the other is drawn."""
    covers = (Covered("b", UPSTREAM_MODEL),)
    units = len(json.dumps(asking())) + 8
    async with serving(tmp_path, names=("a", "b")) as proxy:
        await own(
            proxy,
            owned(id="later", apply_order=1),
            owned(id="first", covers=covers, capacity_units=units),
            owned(id="foreign", covers=(Covered("a", "elm"),)),
        )
        drawn = [(await proxy.ask()).headers["x-hedgerow-commitment"] for _ in range(12)]
        count = drawn.count("first")
        assert 1 <= count < 12
        assert drawn == ["first"] * count + ["later"] * (12 - count)


# -- batches


@pytest.mark.parametrize(
    ("passed", "left", "is_so"),
    [
        (0.01, 1.0, False),  # too soon to say
        (0.5, 0.6, True),
        (0.5, 0.5, False),  # at this pace it is used up
        (0.9, 0.2, True),
        (0.9, 0.05, False),
    ],
)
def test_a_quota_lies_idle(passed: float, left: float, is_so: bool) -> None:
    """If it will not be used up by its end, even somewhat faster than until now."""
    one = commitment(capacity_units=1000)
    at_ns = one.starts_ns + int(passed * (one.ends_ns - one.starts_ns))
    bid = bid_price(one, units_left=int(left * 1000), at_ns=at_ns)
    assert is_idle(bid, at_ns) is is_so
    assert LEAST_SEEN > 0.01


def test_a_minute_lies_idle() -> None:
    """While half of it is left; what is left of the last one says nothing."""
    one = commitment(kind=CommitmentKind.THROUGHPUT, capacity_units=1000)
    for left, is_so in ((1000, True), (500, True), (499, False)):
        bid = bid_price(one, units_left=left)
        assert is_idle(bid, bid.allowance.until_ns - 1) is is_so
        assert not is_idle(bid, bid.allowance.until_ns)

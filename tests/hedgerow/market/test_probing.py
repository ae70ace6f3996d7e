"""The prober at work: real requests, a key of its own, and a budget that holds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from benchmarks.errors import BudgetSpent
from benchmarks.own_api import OwnApi
from benchmarks.prober import Prober, Probing
from benchmarks.sandbox import Fault
from hedgerow.config import load_config
from hedgerow.errors import ConfigInvalid
from hedgerow.market.probing import TEAM, USER, prober_key
from ledger.money import Money, usd
from ledger.owners import OwnerKind
from ledger.statements import Dimension, spend
from ledger.store import Store
from ledger.tables.policy import KeyFilter
from tests.hedgerow.beside import providers, said, told, urls
from tests.hedgerow.processes import NOWHERE, write_config
from tests.serving import FAST, PATIENCE_S, UPSTREAM_MODEL, Proxy, SkippingClock, serving

PROBING = Probing(every_s=86_400, per_day=usd("0.002"), max_tokens=8, prompt="one two three")


async def a_key(proxy: Proxy, settings: Probing) -> str:
    """The prober's, from when the proxy knows it."""
    at_ns = proxy.server.house.clock.now_ns()
    key = await proxy.server.house.book.run(lambda store: prober_key(store, settings, at_ns))
    async with asyncio.timeout(PATIENCE_S):
        while (await proxy.get("/models", authorization=f"Bearer {key}")).status != 200:
            pass
    return key


def a_prober(proxy: Proxy, session: aiohttp.ClientSession, key: str, settings: Probing) -> Prober:
    clock = SkippingClock()
    return Prober(
        api=OwnApi(session, proxy.base_url, key, clock.monotonic_s),
        probing=settings,
        models=lambda: proxy.server.house.market.snapshot.models,
        monotonic_s=clock.monotonic_s,
        now=lambda: datetime.now(UTC),
        sleep=clock.sleep,
        draw=lambda: 0.5,
    )


def spent_by(dimension: Dimension) -> Any:
    return lambda store: {row.name: row.cost for row in spend(store.sql, dimension).rows}


async def test_every_offer_is_seen(tmp_path: Path) -> None:
    """One round asks each offer once, pinned; the market has seen it, as it sees all traffic, and
    the books have what it cost, on the prober's name."""
    async with (
        serving(tmp_path, names=("a", "b", "c")) as proxy,
        aiohttp.ClientSession() as session,
    ):
        prober = a_prober(proxy, session, await a_key(proxy, PROBING), PROBING)
        probed = await prober.round()
        assert sorted(one.target.offer.provider for one in probed) == ["a", "b", "c"]
        assert all(one.seen is not None and one.seen.ttft_ms is not None for one in probed)
        assert [one.tally.requests for one in proxy.sandboxes.values()] == [1, 1, 1]
        now = datetime.fromtimestamp(proxy.server.house.clock.now_ns() / 1e9, UTC)
        proxy.server.house.market.rebuild(now)
        (listings,) = proxy.server.house.market.snapshot.models.values()
        assert [one.seen.attempts for one in listings] == [1, 1, 1]
        costs = sum(one.seen.cost or 0 for one in probed if one.seen is not None)
        assert await proxy.read(spent_by(Dimension.TEAM)) == {TEAM: costs}
        assert await proxy.read(spent_by(Dimension.USER)) == {USER: costs}


async def test_one_that_fails_is_seen_too(tmp_path: Path) -> None:
    """Its probe says why; the others are probed all the same."""
    async with (
        serving(tmp_path, names=("a", "b")) as proxy,
        aiohttp.ClientSession() as session,
    ):
        proxy.a.fault = Fault.HTTP_500
        prober = a_prober(proxy, session, await a_key(proxy, PROBING), PROBING)
        errors = {one.target.offer.provider: one.error for one in await prober.round()}
    assert errors["b"] is None
    assert "HTTP 502" in (errors["a"] or "")


async def until_refused(prober: Prober) -> None:
    """Round after round, as if it had not probed yet, and had all the money."""
    while True:
        prober.last_s.clear()
        prober.allowance = prober.probing.per_day
        await prober.round()


async def test_the_budget_of_the_day_holds(tmp_path: Path) -> None:
    """Whatever the prober thinks that it may spend, and whichever key it has: by the books it is
    never more, and the first refusal ends the round."""
    greedy = Probing(every_s=86_400, per_day=usd(1), max_tokens=8, prompt="one two three " * 20)
    cap = usd("0.002")
    real = Probing(every_s=86_400, per_day=cap, max_tokens=8, prompt="")
    async with (
        serving(tmp_path, names=("a", "b", "c")) as proxy,
        aiohttp.ClientSession() as session,
    ):
        for _ in range(2):
            prober = a_prober(proxy, session, await a_key(proxy, real), greedy)
            with pytest.raises(BudgetSpent):
                await until_refused(prober)
        spent = await proxy.read(spent_by(Dimension.TEAM))
        assert cap / 5 < spent[TEAM] <= cap


async def test_one_key_for_ever(tmp_path: Path) -> None:
    """Each start has a new secret, and the old one works no more; the key and its budget stay. What
    an operator has set for the team stays, too."""
    async with serving(tmp_path) as proxy:
        first, second = await a_key(proxy, PROBING), await a_key(proxy, PROBING)
        assert first != second

        def look(store: Store) -> tuple[int, list[Money]]:
            wanted = KeyFilter(team=TEAM, user=USER)
            budgets = store.policy.limits_of(OwnerKind.TEAM, TEAM)
            return store.policy.count_keys(wanted), [Money(one.cap) for one in budgets]

        assert await proxy.read(look) == (1, [PROBING.per_day])
        assert (await proxy.get("/models", authorization=f"Bearer {first}")).status == 401


async def test_whoever_leads_probes(tmp_path: Path) -> None:
    """With `market.probe`, offers that nobody asks are asked, again and again; and no more once
    enough has been seen of them."""
    probe = "[], probe: {every: 20ms, budget_usd_per_day: 1000, max_tokens: 8}"
    async with serving(tmp_path, names=("a", "b"), feeds=probe) as proxy:
        async with asyncio.timeout(PATIENCE_S):
            while min(one.tally.requests for one in proxy.sandboxes.values()) < 3:
                await proxy.alive()
        spent = await proxy.read(spent_by(Dimension.USER))
        assert set(spent) == {USER}


def test_what_a_probe_may_say(tmp_path: Path) -> None:
    """A budget has to be named: nothing is spent that nobody has allowed."""
    config = write_config(tmp_path, NOWHERE)
    written = config.read_text()
    config.write_text(written.replace("feeds: []", "feeds: [], probe: {every: 10m}"))
    with pytest.raises(ConfigInvalid, match="budget_usd_per_day"):
        load_config(config, {})
    config.write_text(written.replace("feeds: []", "feeds: [], probe: {budget_usd_per_day: 0.50}"))
    probe = load_config(config, {}).market.probe
    assert probe is not None
    assert (probe.every, probe.max_tokens) == (600, 16)


def test_market_probe(tmp_path: Path) -> None:
    """The command asks now: what each offer took, what it cost, or why there is nothing to say."""
    with providers(a=FAST) as good:
        config = write_config(tmp_path, {**urls(good), "b": NOWHERE["b"]})
        good_one, gone = told("market", "probe", "-c", config)["offers"]
        only = said("market", "probe", "-c", config, "--offers", f"a/{UPSTREAM_MODEL}")
        unknown = said("market", "probe", "-c", config, "--offers", "elm/elm")
        nothing = said("market", "probe", "-c", config, "--budget-usd", "0.000001")
    assert (good_one["offer"], good_one["error"]) == (f"a/{UPSTREAM_MODEL}", None)
    assert good_one["ttft_ms"] > 0
    assert good_one["cost_usd"] > 0
    assert gone["ttft_ms"] is None
    assert "HTTP 502" in gone["error"]
    assert only.stdout.count("ms") == 1
    assert (unknown.exit_code, nothing.exit_code) == (1, 1)
    assert "no offer elm/elm" in unknown.stderr
    assert "HTTP 402" in nothing.stderr

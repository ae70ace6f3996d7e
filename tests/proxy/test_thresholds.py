"""What budgets do to requests as they fill up, through the whole proxy."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from benchmarks.traffic.observations import Observation, Outcome
from tests.serving import PATIENCE_S, Proxy, asking, offer, serving


def thresholds(at: str, *, cap: str = "1", more: str = "") -> str:
    return f"{{name: all, scope: {{}}, window: month, cap_usd: {cap}, at: [{at}]{more}}}"


async def spent_some(proxy: Proxy) -> None:
    """One request is charged, and in the books."""
    assert (await proxy.ask()).status == 200
    await proxy.server.house.book.folded()


async def test_the_cheapest_comes_first(tmp_path: Path) -> None:
    """Below the threshold a slow offer comes last, however cheap; above it, first."""
    budgets = thresholds("{spent: 0.0001%, route: cheapest}", cap="1")
    async with serving(tmp_path, names=("a", "b"), budgets=budgets) as proxy:
        market = proxy.server.house.market
        slow = "a/oak-70b"
        clock = proxy.server.house.clock
        for _ in range(40):
            market.note(slow, Observation(clock.now_ns() / 1e9, Outcome.ANSWERED, 9000.0, 1.0))
        market.rebuild(datetime.now(UTC))
        first = await proxy.ask()
        assert first.headers["x-hedgerow-provider"] == "b"
        await proxy.server.house.book.folded()
        second = await proxy.ask()
        assert second.headers["x-hedgerow-provider"] == "a"


@pytest.mark.parametrize(
    ("asked", "provider"),
    [
        ({"provider": {"order": ["b"]}}, "a"),
        ({"provider": {"sort": "latency"}}, "a"),
        ({"provider": {"preferred_max_latency": 0.1}}, "a"),
        ({"model": "oak:nitro"}, "a"),
        ({"provider": {"order": ["b"], "allow_fallbacks": False}}, "b"),
        ({"provider": {"only": ["b"]}}, "b"),
    ],
)
async def test_no_order_of_a_request_leads_around_the_cheapest(
    tmp_path: Path, asked: dict[str, Any], provider: str
) -> None:
    """A client may exclude offers; of the others the cheapest comes first."""
    budgets = thresholds("{spent: 0.0001%, route: cheapest}")
    async with serving(tmp_path, names=("a", "b"), budgets=budgets) as proxy:
        await spent_some(proxy)
        market, now_s = proxy.server.house.market, proxy.server.house.clock.now_ns() / 1e9
        for name, ttft_ms in (("a", 9000.0), ("b", 10.0)):
            for _ in range(40):
                seen = Observation(now_s, Outcome.ANSWERED, ttft_ms, ttft_ms)
                market.note(f"{name}/oak-70b", seen)
        market.rebuild(datetime.now(UTC))
        reply = await proxy.ask(**asked)
        assert reply.headers["x-hedgerow-provider"] == provider


async def test_other_models_are_refused(tmp_path: Path) -> None:
    """403 with the budget and what it lets through; nothing is sent, nothing is charged."""
    budgets = thresholds("{spent: 0.0001%, only_models: [elm]}")
    elm = f"elm: {{offers: [{offer('a')}]}}"
    async with serving(tmp_path, budgets=budgets, more_models=elm) as proxy:
        await spent_some(proxy)
        reply = await proxy.ask()
        assert (reply.status, reply.error["code"]) == (403, "model_restricted")
        assert "budget all is nearly spent, and lets only elm through" in reply.error["message"]
        assert reply.error["models"] == ["elm"]
        assert len(await proxy.charges()) == 1
        assert (await proxy.ask(model="elm")).status == 200


async def test_a_throttle_lets_so_many_through(tmp_path: Path) -> None:
    """So many requests in a minute for each member, then 429 with when to come back."""
    budgets = thresholds("{spent: 0.0001%, throttle: {requests_per_minute: 2}}")
    async with serving(tmp_path, budgets=budgets) as proxy:
        await spent_some(proxy)
        replies = [await proxy.ask() for _ in range(5)]
        statuses = [one.status for one in replies]
        # The minute may end in between: then two more are let through.
        assert 1 <= statuses.count(429) <= 3
        refused = next(one for one in replies if one.status == 429)
        assert refused.error["code"] == "rate_limit_exceeded"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["x-ratelimit-limit-requests"] == "2"
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[str, Callable[[], list[Any]]]]:
    """A webhook's receiver: its URL, and what has come."""
    came: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        came.append(json.loads(await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}/hook", lambda: came
    finally:
        await runner.cleanup()


async def until(proxy: Proxy, what: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not what():
            await proxy.alive()


async def test_a_throttled_model_is_throttled_by_every_name(tmp_path: Path) -> None:
    """Neither a class that it is in nor a list of models that has it leads around."""
    throttle = "{spent: 0.0001%, throttle: {requests_per_minute: 1}}"
    budgets = f"{{name: oaks, scope: {{model: oak}}, window: month, cap_usd: 1, at: [{throttle}]}}"
    more = f"elm: {{offers: [{offer('b')}]}}\n  wood: {{any_of: [oak, elm]}}"
    async with serving(
        tmp_path, names=("a", "b"), budgets=budgets, more_models=more, routing="{explore: 0}"
    ) as proxy:
        await spent_some(proxy)
        assert (await proxy.ask()).status == 200
        assert (await proxy.ask()).status == 429
        any_order = {"sort": {"by": "price", "partition": "none"}}
        for asked in (
            {"model": "wood"},
            {"model": "elm", "models": ["oak"], "provider": any_order},
        ):
            reply = await proxy.ask(**asked)
            assert reply.headers["x-hedgerow-provider"] == "b"
        assert proxy.a.tally.requests == 2


async def test_what_was_refused_pays_for_no_exploring(tmp_path: Path) -> None:
    """What may be spent on it is a share of what was charged, not of what somebody asked for."""
    budgets = thresholds("{spent: 100%, then: block}", cap="0.01")
    async with serving(tmp_path, budgets=budgets) as proxy:
        purse = proxy.server.house.routing.purse
        long = [{"role": "user", "content": "x" * 100_000}]
        assert (await proxy.ask(messages=long)).status == 402
        assert purse.left == 0
        assert (await proxy.ask()).status == 200
        (charge,) = await proxy.charges()
        assert purse.left == pytest.approx(0.01 * charge.effective)


async def test_a_threshold_is_told_once(tmp_path: Path) -> None:
    """A webhook hears of each threshold that is crossed, and of none twice."""
    async with receiver() as (url, came):
        budgets = thresholds(
            "{spent: 0.0001%, notify: [ops]}, {spent: 0.0002%, notify: [ops]}", cap="10"
        )
        more = f"notify: {{ops: {{kind: webhook, url: '{url}'}}}}"
        async with serving(tmp_path, budgets=budgets, more=more) as proxy:
            for _ in range(6):
                await spent_some(proxy)
            await until(proxy, lambda: len(came()) >= 2)
        assert sorted(float(one["part"]) for one in came()) == [0.000001, 0.000002]


async def test_shadow_lets_through_and_says_so(tmp_path: Path) -> None:
    """Nothing is refused; the record names the budget, and the channel hears of it once."""
    async with receiver() as (url, came):
        budgets = thresholds("{spent: 99%, notify: [ops]}", cap="0.000001", more=", mode: shadow")
        more = f"notify: {{ops: {{kind: webhook, url: '{url}'}}}}"
        async with serving(tmp_path, budgets=budgets, more=more) as proxy:
            replies = [await proxy.ask() for _ in range(3)]
            assert {one.status for one in replies} == {200}
            reply = replies[-1]
            assert (await proxy.record(reply)).would_block == ("all",)
            await until(proxy, lambda: any(one["kind"] == "shadow" for one in came()))
        assert [one["kind"] for one in came()].count("shadow") == 1


@pytest.mark.parametrize("measure", ["cap_requests: 2", "cap_tokens: 150"])
async def test_other_measures_refuse_with_429(tmp_path: Path, measure: str) -> None:
    """A budget of requests or tokens lets through what fits, and says when it starts anew."""
    budgets = f"{{name: some, scope: {{team: research}}, window: day, {measure}}}"
    async with serving(tmp_path, budgets=budgets) as proxy:
        replies = [await proxy.ask() for _ in range(12)]
        refused = [one for one in replies if one.status != 200]
        assert refused
        assert {one.status for one in refused} == {429}
        error = refused[0].error
        assert (error["budget"], error["scope"]) == ("some", "team=research")
        assert error["spent"] + error["held"] + error["needed"] > error["cap"]
        assert int(refused[0].headers["retry-after"]) >= 1
        ((posted,),) = await proxy.read(
            lambda store: store.sql.execute("SELECT posted FROM accounts").fetchall()
        )
        assert posted <= error["cap"]


async def test_a_refused_attempt_counts_no_request(tmp_path: Path) -> None:
    """What its provider refuses is no request: it can be made again."""
    budgets = "{name: some, scope: {}, window: day, cap_requests: 1}"
    async with serving(tmp_path, budgets=budgets, honest=False) as proxy:
        for _ in range(3):
            refused = await proxy.ask(sandbox={"fault": "http_500"})
            assert refused.status >= 500
        assert (await proxy.ask()).status == 200
        assert (await proxy.ask()).status == 429


async def test_a_failover_counts_one_request(tmp_path: Path) -> None:
    """However many attempts it takes, and pays."""
    budgets = "{name: some, scope: {}, window: day, cap_requests: 2}"
    async with serving(tmp_path, names=("a", "b"), budgets=budgets, honest=False) as proxy:
        cut = await proxy.ask(sandbox={"fault": "cut"})
        assert int(cut.headers.get("x-hedgerow-attempts", "3")) >= 1 or cut.status >= 500
        await proxy.server.house.book.folded()
        ((posted,),) = await proxy.read(
            lambda store: store.sql.execute("SELECT posted FROM accounts").fetchall()
        )
        assert posted == 1


@pytest.mark.parametrize("policy", ["deny", "allow"])
async def test_books_that_are_locked(tmp_path: Path, policy: str) -> None:
    """Requests go on within their slice; beyond it the budget decides, and all is counted later."""
    budgets = (
        "{name: each, scope: {user: '*'}, window: month, cap_usd: 1,"
        f" on_ledger_error: {policy}}}"
    )
    async with serving(tmp_path, budgets=budgets) as proxy:
        await spent_some(proxy)
        other = await proxy.new_key(team="research", user="new")
        path = proxy.config.ledger.path
        assert path is not None
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as lock:
            await asyncio.to_thread(lock.execute, "BEGIN EXCLUSIVE")
            within, beyond = await asyncio.gather(
                proxy.ask(), proxy.post(asking(), authorization=f"Bearer {other}")
            )
            lock.execute("ROLLBACK")
        assert within.status == 200
        assert beyond.status == (503 if policy == "deny" else 200)
        if policy == "deny":
            assert beyond.error["code"] == "ledger_unavailable"
        charges = await proxy.charges()
        assert len(charges) == (2 if policy == "deny" else 3)


async def test_a_changed_policy_acts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A cap that is lowered in its file refuses within a moment; what was leased returns. One that
    is wrong changes nothing."""
    budgets = "{name: all, scope: {}, window: month, cap_usd: 1}"
    async with serving(tmp_path, budgets=budgets) as proxy:
        await spent_some(proxy)
        file = tmp_path / "policy.yaml"
        good = file.read_text()
        file.write_text(good.replace("cap_usd: 1", "cap_usd: 0"))
        async with asyncio.timeout(PATIENCE_S):
            while (reply := await proxy.ask()).status == 200:
                pass
        assert (reply.status, reply.error["cap_usd"]) == (402, 0)
        file.write_text(good.replace("cap_usd: 1", "cap_usd: never"))
        await until(proxy, lambda: "the policies stay as they were" in caplog.text)
        assert (await proxy.ask()).status == 402
        file.write_text(good)
        async with asyncio.timeout(PATIENCE_S):
            while (await proxy.ask()).status != 200:
                pass


async def test_a_cap_at_once(tmp_path: Path) -> None:
    """cap_parallel: no more than so many are under way, and each place is free again."""
    budgets = "{name: at-once, scope: {}, cap_parallel: 3}"
    async with serving(tmp_path, budgets=budgets) as proxy:
        late = []
        for _ in range(4):
            replies = await asyncio.gather(*(proxy.ask() for _ in range(12)))
            statuses = [one.status for one in replies]
            assert statuses.count(200) >= 3
            assert set(statuses) <= {200, 429}
            late += [one for one in replies if one.status == 429]
        assert all(one.error["code"] == "concurrency_limit_exceeded" for one in late)


@pytest.mark.parametrize("streamed", [False, True])
async def test_answers_say_how_limits_by_the_minute_stand(tmp_path: Path, streamed: bool) -> None:
    """As OpenAI's clients read it: of each measure the tightest limit, with this request in it."""
    budgets = (
        "{name: all, scope: {}, window: minute, cap_requests: 1000}\n"
        "  - {name: each, scope: {user: '*'}, window: minute, cap_requests: 900}\n"
        "  - {name: words, scope: {}, window: minute, cap_tokens: 50000}\n"
        "  - {name: month, scope: {}, window: month, cap_requests: 7}"
    )
    async with serving(tmp_path, budgets=budgets) as proxy:
        reply = await proxy.ask(stream=streamed)
        assert reply.status == 200
        told = {name: reply.headers[f"x-ratelimit-{name}"] for name in RATES}
        assert told["limit-requests"] == "900"
        assert told["remaining-requests"] == "899"
        assert told["limit-tokens"] == "50000"
        assert 49_000 < int(told["remaining-tokens"]) < 50_000
        assert 0 <= int(told["reset-requests"].removesuffix("s")) <= 60


RATES = [
    f"{what}-{measure}"
    for what in ("limit", "remaining", "reset")
    for measure in ("requests", "tokens")
]


async def test_without_such_limits_nothing_is_said(tmp_path: Path) -> None:
    """A budget of money by the month is no rate."""
    budgets = "{name: all, scope: {}, window: month, cap_usd: 1}"
    async with serving(tmp_path, budgets=budgets) as proxy:
        reply = await proxy.ask()
        assert not [name for name in reply.headers if name.lower().startswith("x-ratelimit")]

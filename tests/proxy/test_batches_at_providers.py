"""Batches that a provider runs: for less, held before they are sent, booked by their own usage."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.quality import Quality
from benchmarks.sandbox import Behaviour, Fault, SandboxProvider
from hedgerow.config import Config, load_config
from ledger.attempts import Charge, Hold, Settlement
from ledger.audit import verify
from ledger.budgets import Budget, Scope, Threshold
from ledger.money import usd
from ledger.statements import charged
from ledger.usage import TokenUsage
from ledger.windows import Window
from routing.limits import Floor, Limits
from tests.books import opened_book, opened_store
from tests.hedgerow.processes import serve
from tests.proxy.batch_clients import (
    HALF_PRICE,
    WITH_BATCHES,
    again,
    contents,
    done,
    ended,
    line,
    lines,
    results,
    submitted,
)
from tests.serving import (
    FAST,
    MODEL,
    PACED,
    UPSTREAM_MODEL,
    Gate,
    Proxy,
    asking,
    hold_true,
    make_key,
    offer,
    read_books,
    serving,
    wishing,
    write_config,
)

CHEAP: dict[str, Any] = {"offers": {"a": HALF_PRICE}, "provider": WITH_BATCHES}
"""A provider whose batches cost half."""


async def test_a_cheaper_batch_api_is_used(tmp_path: Path) -> None:
    """Every line goes to the provider's batch, under its name of the model and within its limit,
    and comes back under its own id; each is charged by its own usage at batch prices, with what
    it would have cost as a request; and what was uploaded there is deleted."""
    async with serving(tmp_path, **CHEAP) as proxy:
        client = proxy.client()
        text = "\n".join(
            line(f"ä {one}", asking(sandbox=wishing(one % 5 + 1))) for one in range(50)
        )
        batch = await done(client, text, metadata={"mine": "yes"})
        assert (batch.status, batch.error_file_id) == ("completed", None)
        found = await results(client, batch.output_file_id)
        assert list(found) == [f"ä {one}" for one in range(50)]
        assert (proxy.a.tally.batch_lines, proxy.a.tally.requests) == (50, 0)
        for sent in proxy.a.tally.exchanges:
            body = json.loads(sent.body)
            assert (body["model"], body["max_tokens"]) == (UPSTREAM_MODEL, 8)
        charges = {one.request_id: one for one in await proxy.charges()}
        assert len(charges) == 50
        for number, one in enumerate(found.values()):
            charge = charges[one["response"]["request_id"]]
            tokens = number % 5 + 1
            assert charge.usage.completion == tokens
            assert charge.effective == 3 * 500 + tokens * 1000
            assert charge.first_offer == 2 * charge.effective
            assert charge.cheapest == charge.list == charge.effective
            assert one["response"]["body"]["usage"]["cost"] == charge.effective / 1e9
        assert batch.usage is not None
        assert batch.usage.output_tokens == proxy.a.tally.completion_tokens
        assert list(proxy.a._files) == []
        assert await asyncio.to_thread(contents, proxy) == {
            batch.input_file_id,
            batch.output_file_id,
        }
        first = await proxy.read(lambda store: store.requests.one(next(iter(charges))))
        assert first is not None
        assert (first.outcome, first.status, first.attempts) == ("answered", 200, 1)


async def test_what_a_line_may_not_go_to_is_no_cheapest_offer(tmp_path: Path) -> None:
    """An offer that its client refuses is none that it would have cost less at."""
    there = CHEAP["offers"] | {"b": offer("b", price="{input: 0.1, output: 0.1}")}
    async with serving(tmp_path, **CHEAP | {"names": ("a", "b"), "offers": there}) as proxy:
        text = line("x", asking(sandbox=wishing(3), provider={"ignore": ["b"]}))
        assert (await done(proxy.client(), text)).status == "completed"
        (one,) = await proxy.charges()
        assert (one.provider, one.cheapest) == ("a", one.effective)
        assert proxy.a.tally.batch_lines == 1


DEARER = offer("b", price="{input: 3, output: 6, batch: {input: 1, output: 2}}")
TWO: dict[str, Any] = {"names": ("a", "b"), "offers": {"b": DEARER}, "provider": WITH_BATCHES}


@pytest.mark.parametrize(
    ("given_", "window"),
    [
        ({"provider": WITH_BATCHES}, "24h"),  # no price of batches
        ({"offers": {"a": HALF_PRICE}}, "24h"),  # no batch API
        (TWO, "24h"),  # a request at a costs as much as a batch at b
        (CHEAP, "23h"),  # no provider promises that
    ],
)
async def test_otherwise_lines_are_run_as_requests(
    tmp_path: Path, given_: dict[str, Any], window: str
) -> None:
    """Where there is no batch API, no price of it, none that is cheaper, or a window that providers
    do not promise, no provider gets a batch."""
    async with serving(tmp_path, **given_) as proxy:
        batch = await done(proxy.client(), lines(3), window=window)
        assert batch.request_counts is not None
        assert (batch.status, batch.request_counts.completed) == ("completed", 3)
        assert proxy.a.tally.requests == 3
        assert {one.tally.batch_lines for one in proxy.sandboxes.values()} == {0}


@pytest.mark.parametrize("known", [{"a": 0.9, "b": 0.5}, {"a": 0.9}])
async def test_a_cheap_batch_api_below_the_quality_that_is_wanted_gets_none(
    tmp_path: Path, known: dict[str, float]
) -> None:
    """Nor one of unknown quality, where one that is known to be good can be asked."""
    cheap = offer("b", price="{input: 3, output: 6, batch: {input: 0.1, output: 0.2}}")
    async with serving(tmp_path, **TWO | {"offers": {"b": cheap}}) as proxy:
        house = proxy.server.house
        floor = Limits(quality=Floor("ours", 0.7))
        house.own_manners = {MODEL: replace(house.manners_of(MODEL), limits=floor)}
        at = datetime.now(UTC)
        house.market.grade(
            {
                f"{name}/{UPSTREAM_MODEL}": {"ours": Quality("ours", score, score, 1, 9, at, "us")}
                for name, score in known.items()
            }
        )
        house.market.rebuild(at)
        batch = await done(proxy.client(), lines(3))
        assert (batch.status, proxy.a.tally.requests) == ("completed", 3)
        assert {one.tally.batch_lines for one in proxy.sandboxes.values()} == {0}


async def test_what_a_provider_fails_is_run_again_by_us(tmp_path: Path) -> None:
    """A line that the provider's batch ends with a 5xx is run as a request, and charged as one;
    what is wrong with the line itself is told, and costs nothing."""
    behaviour = replace(FAST, batch_fails_every=4)
    async with serving(tmp_path, behaviour=behaviour, **CHEAP) as proxy:
        client = proxy.client()
        wrong = asking(sandbox={"fault": "content_filter"})
        text = "\n".join(line(f"{one}", wrong if one % 4 == 0 else None) for one in range(12))
        batch = await done(client, text)
        assert batch.status == "completed"
        told = await results(client, batch.error_file_id)
        assert list(told) == ["0", "4", "8"]
        for one in told.values():
            assert one["response"]["status_code"] == 400
            assert one["response"]["body"]["error"]["code"] == "content_filter"
        assert len(await results(client, batch.output_file_id)) == 9
        assert (proxy.a.tally.batch_lines, proxy.a.tally.requests) == (12, 3)
        cards = sorted(str(one.rates.input) for one in await proxy.charges())
        assert cards == ["0.5"] * 6 + ["1"] * 3


async def test_a_provider_that_takes_no_batches_after_all(tmp_path: Path) -> None:
    """A refused upload gives all lines back to us, and every hold to its budgets."""
    budgets = "{name: all, scope: {}, window: month, cap_usd: 1}"
    only = frozenset({"chat/completions"})
    behaviour = replace(FAST, endpoints=only)
    async with serving(tmp_path, behaviour=behaviour, budgets=budgets, **CHEAP) as proxy:
        client = proxy.client()
        batch = await done(client, lines(10))
        assert (batch.status, proxy.a.tally.requests) == ("completed", 10)
        assert len(await results(client, batch.output_file_id)) == 10


@given(cap=st.integers(0, 400), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=30))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_what_does_not_fit_fails_in_the_order_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, cap: int, sizes: list[int]
) -> None:
    """Lines are admitted one by one, as their worst cases fit beside those before; the others fail
    with 402, and are never sent. As brute force says it."""
    folder = tmp_path_factory.mktemp("budget")
    budgets = f"{{name: all, scope: {{}}, window: month, cap_usd: {cap / 1e6:.6f}}}"
    async with serving(folder, budgets=budgets, **CHEAP) as proxy:
        client = proxy.client()
        bodies = [asking(max_tokens=one, sandbox=wishing(1)) for one in sizes]
        batch = await done(client, "\n".join(line(f"{n}", one) for n, one in enumerate(bodies)))
        left, fits = cap * 1000, []
        for number, body in enumerate(bodies):
            worst = len(json.dumps(body)) * 500 + body["max_tokens"] * 1000
            if worst <= left:
                left -= worst
                fits.append(f"{number}")
        assert list(await results(client, batch.output_file_id)) == fits
        wrong = await results(client, batch.error_file_id)
        assert len(wrong) + len(fits) == len(sizes)
        for one in wrong.values():
            error = one["response"]["body"]["error"]
            assert (one["response"]["status_code"], error["code"]) == (402, "budget_exceeded")
        assert proxy.a.tally.batch_lines == len(fits)
        for one in wrong.values():
            kept = await proxy.read(
                lambda store, one=one: store.requests.one(one["response"]["request_id"])  # type: ignore[misc]
            )
            assert kept is not None
            assert (kept.status, kept.attempts) == (402, 0)
            assert kept.would_have_cost is not None


@pytest.mark.parametrize("budget", [None, 0.05, 0.4])
async def test_lines_without_a_limit_share_what_is_left(
    tmp_path: Path, budget: float | None
) -> None:
    """Under a budget each is told a limit, so that all of them fit if a fair share is enough for
    anybody; without one nothing is cut short."""
    budgets = budget and f"{{name: all, scope: {{}}, window: month, cap_usd: {budget}}}"
    async with serving(tmp_path, budgets=budgets or None, **CHEAP) as proxy:
        client = proxy.client()
        batch = await done(client, lines(20, max_tokens=None))
        assert batch.request_counts is not None
        assert batch.request_counts.completed == 20
        told = {json.loads(one.body).get("max_tokens") for one in proxy.a.tally.exchanges}
        if budget is None:
            assert told == {None}
        else:
            (limit,) = told
            assert limit >= 1024
            assert limit * 20 * 1000 <= budget * 1e9


async def test_a_model_that_a_budget_no_longer_lets_through_goes_to_no_batch_api(
    tmp_path: Path,
) -> None:
    """A threshold's list holds for batches, too: each line is told so, and nothing is sent."""
    ladder = (Threshold(Decimal("0.000001"), only_models=frozenset()),)
    budget = Budget("all", Scope(), Window.MONTH, "UTC", usd(1), thresholds=ladder)
    async with serving(tmp_path, **CHEAP) as proxy:
        assert (await proxy.ask()).status == 200
        await proxy.server.house.book.run(lambda store: store.policy.add_budget(budget, 0))
        async with asyncio.timeout(10):
            while (await proxy.ask()).status == 200:
                pass
        client = proxy.client()
        batch = await done(client, lines(3))
        wrong = await results(client, batch.error_file_id)
        assert [one["response"]["status_code"] for one in wrong.values()] == [403] * 3
        assert proxy.a.tally.batch_lines == 0


def said(number: int, status: int, body: Any) -> str:
    """A line of a provider's output."""
    response = {"status_code": status, "request_id": "x", "body": body}
    return json.dumps({"id": "x", "custom_id": str(number), "response": response, "error": None})


def spoken(**more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "word " * 8}
    return {"object": "chat.completion", "choices": [{"index": 0, "message": message}], **more}


USED = {"prompt_tokens": 3, "completion_tokens": 5}
ODD_OUTPUT = (
    said(1, 200, spoken(usage=USED)),
    said(2, 200, spoken()),  # it does not say what it used
    said(3, 200, {"hello": "there"}),
    said(4, 504, {"error": "the gateway gave up"}),
    # nothing of line 5
    '{"custom_id": "6", "response": null, "error": {"code": "batch_expired", "message": ""}}',
    said(1, 200, spoken(usage={"prompt_tokens": 3, "completion_tokens": 8})),
    said(999, 200, spoken(usage=USED)),
    '{"custom_id": "5", "resp',
    '{"custom_id": "five", "response": null}',
)


@asynccontextmanager
async def odd_provider() -> AsyncIterator[str]:
    """A provider whose batches have ended at once, with ODD_OUTPUT. Its base URL."""

    async def answer(request: web.Request) -> web.Response:
        match request.method, request.path.removeprefix("/v1"):
            case "GET", "/files/out/content":
                return web.Response(text="\n".join(ODD_OUTPUT))
            case "GET", "/batches/odd":
                return web.json_response(
                    {"id": "odd", "status": "completed", "output_file_id": "out"}
                )
            case "POST", "/chat/completions":
                return web.json_response(spoken(usage=USED))
            case "POST", "/batches":
                return web.json_response({"id": "odd", "status": "validating"})
            case "POST", "/files":
                await request.read()
                return web.json_response({"id": "in"})
            case _:
                return web.json_response({}, status=404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def test_odd_output_is_charged_for_what_it_may_have_cost(tmp_path: Path) -> None:
    """No usage: an estimate by its length. No answer, or a gateway that gave up: all that was
    held. No line: nothing, and it is run as a request. A line that comes twice counts once."""
    async with (
        odd_provider() as url,
        serving(tmp_path, names=(), urls={"a": url}, **CHEAP) as proxy,
    ):
        client = proxy.client()
        batch = await done(client, "\n".join(line(f"{one}") for one in range(1, 7)))
        assert batch.status == "completed"
        assert set(await results(client, batch.output_file_id)) == {"1", "2", "4", "5", "6"}
        (nonsense,) = (await results(client, batch.error_file_id)).values()
        assert nonsense["response"]["status_code"] == 502
        charges = await proxy.charges()
        batched = [one for one in charges if str(one.rates.input) == "0.5"]
        worst = len(json.dumps(asking())) * 500 + 8 * 1000
        by_line = {int(one.request_id[-5:]): (one.effective, one.estimated) for one in batched}
        assert by_line.keys() == {1, 2, 3, 4}
        assert by_line[1] == (3 * 500 + 5 * 1000, False)
        assert by_line[3] == by_line[4] == (worst, True)
        assert by_line[2][1]
        assert 10 * 1000 < by_line[2][0] < 2 * worst
        requests = [one for one in charges if one not in batched]
        assert [(one.effective, one.estimated) for one in requests] == [(13_000, False)] * 3


async def test_a_batch_that_its_provider_has_lost(tmp_path: Path) -> None:
    """Nobody will ever say what it used: each line fails, and is charged for all that it held."""
    gate, behaviour = held()
    async with serving(tmp_path, behaviour=behaviour, gate=gate, honest=False, **CHEAP) as proxy:
        client = proxy.client()
        batch = await submitted(client, lines(5))
        async with asyncio.timeout(10):
            await proxy.a.tally.until(lambda tally: tally.batch_lines >= 2)
        proxy.a.behaviour = replace(behaviour, endpoints=frozenset({"chat/completions"}))
        batch = await ended(client, batch)
        wrong = await results(client, batch.error_file_id)
        assert [one["response"]["status_code"] for one in wrong.values()] == [502] * 5
        charges = await proxy.charges()
        assert len(charges) == 5
        assert all(one.estimated for one in charges)
        worst = len(json.dumps(asking())) * 500 + 8 * 1000
        assert {one.effective for one in charges} == {worst}
        gate.open()


async def test_a_key_that_the_provider_refuses_for_a_while(tmp_path: Path) -> None:
    """A batch is not given up for a 401: when the key is mended, its answers are taken in."""
    gate, behaviour = held()
    async with serving(tmp_path, behaviour=behaviour, gate=gate, **CHEAP) as proxy:
        client = proxy.client()
        batch = await submitted(client, lines(5))
        async with asyncio.timeout(10):
            await proxy.a.tally.until(lambda tally: tally.batch_lines >= 2)
        proxy.a.fault = Fault.HTTP_401
        gate.open()
        await asyncio.sleep(0.4)  # more than one look at it
        assert (await client.batches.retrieve(batch.id)).status == "in_progress"
        proxy.a.fault = None
        batch = await ended(client, batch)
        assert len(await results(client, batch.output_file_id)) == 5


# -- stops


def held() -> tuple[Gate, Behaviour]:
    """A provider whose batches go on step by step: the first steps, and the rest when told."""
    return Gate(open_for=6), replace(PACED, batch_ms=20.0)


async def test_a_batch_at_a_provider_is_cancelled(tmp_path: Path) -> None:
    """It is cancelled there; what was answered until then is in the output, and paid; the rest is
    not run, and nothing is held for it."""
    gate, behaviour = held()
    async with serving(tmp_path, behaviour=behaviour, gate=gate, **CHEAP) as proxy:
        client = proxy.client()
        batch = await submitted(client, lines(20))
        async with asyncio.timeout(10):
            await proxy.a.tally.until(lambda tally: tally.batch_lines >= 4)
        assert (await client.batches.cancel(batch.id)).status == "cancelling"
        async with asyncio.timeout(10):
            while (await their_batches(proxy))[0]["status"] != "cancelling":
                await proxy.alive()
        gate.open()
        batch = await ended(client, batch)
        assert batch.status == "cancelled"
        answered = proxy.a.tally.batch_lines
        assert 4 <= answered < 20
        assert len(await results(client, batch.output_file_id)) == answered
        wrong = await results(client, batch.error_file_id)
        assert {one["error"]["code"] for one in wrong.values()} == {"batch_cancelled"}
        assert len(wrong) == 20 - answered
        assert proxy.a.tally.requests == 0


async def their_batches(proxy: Proxy) -> list[Any]:
    """What the provider says of its batches."""
    async with proxy.http.get(f"{proxy.a.base_url}/batches") as answer:
        found: list[Any] = (await answer.json())["data"]
        return found


def look(proxy: Proxy, sql: str) -> list[Any]:
    """Into the database of files and batches."""
    db = sqlite3.connect(proxy.config.files.path / "files.db")
    try:
        with db:
            return db.execute(sql).fetchall()
    finally:
        db.close()


async def test_a_restart_goes_on_with_the_same_batch(tmp_path: Path) -> None:
    """Stopped while the provider works: the holds stay, the batch is found again, nothing is sent
    a second time, and every line is charged once."""
    gate, behaviour = held()
    async with serving(tmp_path, behaviour=behaviour, gate=gate, **CHEAP) as proxy:
        client = proxy.client()
        batch = await submitted(client, lines(20))
        async with asyncio.timeout(10):
            await proxy.a.tally.until(lambda tally: tally.batch_lines >= 4)
        assert (await proxy.read(lambda store: verify(store.sql))).open_holds == 20
        async with again(proxy) as client:
            assert (await client.batches.retrieve(batch.id)).status == "in_progress"
            gate.open()
            batch = await ended(client, batch)
            assert len(await results(client, batch.output_file_id)) == 20
        assert len(await their_batches(proxy)) == 1
        assert (proxy.a.tally.batch_lines, proxy.a.tally.requests) == (20, 0)


CRASHES = {
    "after holding": "UPDATE lines SET state = 'placed', attempt_id = NULL WHERE job IS NOT NULL;"
    " UPDATE jobs SET state = 'holding', input_id = NULL, batch_id = NULL",
    "after creating": "UPDATE jobs SET state = 'creating', batch_id = NULL",
}


@pytest.mark.parametrize("moment", CRASHES)
async def test_a_crash_before_something_is_noted_down(tmp_path: Path, moment: str) -> None:
    """What was done and not noted is found again: holds in the books, a batch at its provider by
    our mark in its metadata. Nothing is held, or answered, twice."""
    gate, behaviour = held()
    async with serving(tmp_path, behaviour=behaviour, gate=gate, honest=False, **CHEAP) as proxy:
        client = proxy.client()
        batch = await submitted(client, lines(20))
        async with asyncio.timeout(10):
            await proxy.a.tally.until(lambda tally: tally.batch_lines >= 4)
        await proxy.stop()

        def crash() -> None:
            for one in CRASHES[moment].split(";"):
                look(proxy, one)

        await asyncio.to_thread(crash)
        gate.open()
        async with again(proxy) as client:
            batch = await ended(client, batch)
            assert batch.status == "completed"
            assert len(await results(client, batch.output_file_id)) == 20
        if moment == "after creating":
            assert len(await their_batches(proxy)) == 1
            assert proxy.a.tally.batch_lines == 20
        assert proxy.a.tally.requests == 0


async def test_a_crash_after_a_charge(tmp_path: Path) -> None:
    """Lines that were charged, and whose answers were not kept, are not charged again."""
    gate, behaviour = held()
    async with serving(tmp_path, behaviour=behaviour, gate=gate, **CHEAP) as proxy:
        batch = await submitted(proxy.client(), lines(20))
        async with asyncio.timeout(10):
            await proxy.a.tally.until(lambda tally: tally.batch_lines >= 4)
        await proxy.stop()
        gate.open()
        async with asyncio.timeout(10):
            while (found := (await their_batches(proxy))[0])["status"] != "completed":
                pass  # the asking takes its time
        url = f"{proxy.a.base_url}/files/{found['output_file_id']}/content"
        async with proxy.http.get(url) as answer:
            theirs = [json.loads(one) for one in (await answer.text()).splitlines()]

        path = proxy.config.ledger.path
        assert path is not None
        store = await asyncio.to_thread(opened_store, path)
        book = opened_book(store, path)  # as the process that crashed
        for hold in await book.stored.of_batch(batch.id):
            number = int(hold.attempt.request_id.rpartition("-")[2])
            (said,) = [one for one in theirs if one["custom_id"] == str(number)]
            if number <= 7:
                await book.post(hold, charged_as(hold, said["response"]["body"]["usage"]))
        await book.close()

        async with again(proxy) as client:
            batch = await ended(client, batch)
            assert len(await results(client, batch.output_file_id)) == 20


def charged_as(hold: Hold, said: dict[str, int]) -> Settlement:
    usage = TokenUsage(said["prompt_tokens"], said["completion_tokens"])
    cost = hold.attempt.rates.charge(usage)
    charge = Charge(cost, cost, cost, cost, None, cost)
    return Settlement(time.time_ns(), usage, hold.attempt.rates, charge, False, None, 1.0)


@pytest.mark.parametrize("at_provider", [True, False])
async def test_killed_at_any_moment(tmp_path: Path, at_provider: bool) -> None:
    """kill -9, again and again: every line has one result, and the books verify. A batch at a
    provider is sent and charged once, exactly; of lines that we run, those that were under way are
    run again, and their first attempts are charged by an estimate."""
    behaviour = replace(PACED, batch_ms=15.0, ttft_ms_median=100.0)
    found: dict[str, Any] = {}
    async with SandboxProvider(behaviour) as sandbox:
        given = CHEAP if at_provider else {}
        config = await asyncio.to_thread(configured, tmp_path, sandbox.base_url, given)
        key, batch = await asyncio.to_thread(make_key, config), None
        for pause_s in (0.0, 0.1, 0.4, None):
            async with serve(config.path) as server:
                url = server.base_url
                async with openai.AsyncOpenAI(base_url=url, api_key=key) as client:
                    batch = batch or await submitted(client, lines(40))
                    if pause_s is None:
                        batch = await ended(client, batch)
                        found = await results(client, batch.output_file_id)
                        continue
                    await asyncio.sleep(pause_s)
                    server.process.kill()
                    await server.ended()
        assert list(found) == [f"line-{one}" for one in range(40)]
        audit, rows = await asyncio.to_thread(
            read_books, config, lambda store: (verify(store.sql), list(charged(store.sql)))
        )
        hold_true(audit, rows, {"a": sandbox} if at_provider else None)
        if at_provider:
            assert (len(rows), sandbox.tally.batch_lines, sandbox.tally.requests) == (40, 40, 0)
        else:
            assert len([one for one in rows if not one.estimated]) >= 40


def configured(folder: Path, url: str, given: dict[str, Any]) -> Config:
    usual: dict[str, Any] = {"offers": {}, "provider": ""}
    path = write_config(
        folder,
        {"a": url},
        routing="{attempts: 3}",
        own_routing="{}",
        budgets=None,
        server="{port: 0}",
        feeds="[]",
        more="",
        more_models="",
        **usual | given,
    )
    return load_config(path, {})


async def test_a_provider_that_cannot_be_reached_for_a_while(tmp_path: Path) -> None:
    """Nothing is given up: when it is back, its answers are taken in."""
    gate, behaviour = held()
    async with serving(tmp_path, behaviour=behaviour, gate=gate, **CHEAP) as proxy:
        client = proxy.client()
        batch = await submitted(client, lines(8))
        async with asyncio.timeout(10):
            await proxy.a.tally.until(lambda tally: tally.batch_lines >= 2)
        for fault in (Fault.HTTP_500, Fault.HTTP_429, Fault.RESET):
            proxy.a.fault = fault
            await asyncio.sleep(0.3)
        proxy.a.fault = None
        gate.open()
        batch = await ended(client, batch)
        assert len(await results(client, batch.output_file_id)) == 8
        assert proxy.a.tally.requests == 0

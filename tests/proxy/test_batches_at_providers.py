"""Batches that a provider runs: for less, held before they are sent, booked by their own usage."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.sandbox import Behaviour, Fault
from ledger.audit import verify
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
from tests.serving import FAST, PACED, UPSTREAM_MODEL, Gate, Proxy, asking, offer, serving, wishing

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
        first = await proxy.read(lambda store: store.request(next(iter(charges))))
        assert first is not None
        assert (first.outcome, first.status, first.attempts) == ("answered", 200, 1)


@pytest.mark.parametrize(
    ("settings_", "more"),
    [
        ({"provider": WITH_BATCHES}, {}),  # no price of batches
        ({"offers": {"a": HALF_PRICE}}, {}),  # no batch API
        (
            {"offers": {"a": HALF_PRICE}, "provider": ", endpoints: [completions, files, batches]"},
            {},
        ),
        (CHEAP, {"window": "23h"}),
        (
            {
                "names": ("a", "b"),
                "provider": WITH_BATCHES,
                "offers": {
                    "b": offer("b", price="{input: 3, output: 6, batch: {input: 1, output: 2}}")
                },
            },
            {},
        ),
    ],
)
async def test_otherwise_lines_are_run_as_requests(
    tmp_path: Path, settings_: dict[str, Any], more: dict[str, Any]
) -> None:
    """Where there is no batch API, none of the endpoint, no price of it, none that is cheaper, or
    a window that providers do not promise, no provider gets a batch."""
    async with serving(tmp_path, **settings_) as proxy:
        if settings_.get("provider", "").startswith(", endpoints: [completions"):
            proxy.a.behaviour = replace(FAST, endpoints=None)
            url, body = "/v1/completions", {"model": "oak", "prompt": "x", "max_tokens": 3}
            batch = await done(proxy.client(), line("x", asking()))
            assert batch.request_counts is not None
            assert batch.request_counts.failed == 1
            assert (url, body) != ("", {})
        else:
            batch = await done(proxy.client(), lines(3), **more)
            assert batch.request_counts is not None
            assert batch.request_counts.completed == 3
        assert batch.status == "completed"
        for one in proxy.sandboxes.values():
            assert one.tally.batch_lines == 0


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
                lambda store, one=one: store.request(one["response"]["request_id"])  # type: ignore[misc]
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
        assert (await proxy.read(verify)).open_holds == 20
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
    "after uploading": "UPDATE jobs SET state = 'uploading', input_id = NULL, batch_id = NULL",
    "after creating": "UPDATE jobs SET state = 'creating', batch_id = NULL",
}


@pytest.mark.parametrize("moment", ["after holding", "after creating"])
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
    """Lines that were charged, and whose answers were not kept: they are fetched again, and not
    charged again."""
    async with serving(tmp_path, **CHEAP) as proxy:
        await proxy.stop()
        from hedgerow.app import running

        async with running(proxy.config, port=0) as server:
            book = server.house.book
            who = book.principal(proxy.key)
            assert who.team == "research"


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

"""Several workers of one `hedgerow serve`, as processes: one service, that survives them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path

import aiohttp
import openai
import pytest

from benchmarks.sandbox import SandboxProvider
from hedgerow.config import load_config
from tests.hedgerow.crews import again, gone, pinned, pinned_client, runner, workers
from tests.hedgerow.processes import (
    NOWHERE,
    PATIENCE_S,
    Serving,
    hedgerow,
    serve,
    told,
    write_config,
)
from tests.proxy.batch_clients import WITH_BATCHES, done, ended, lines, results, submitted, until
from tests.serving import FAST, PACED, Gate, make_key

BUDGET = "  - {name: all, scope: {}, window: lifetime, cap_usd: 1000}\n"
TWO = ("--workers", "2")


@pytest.fixture
async def upstream() -> AsyncIterator[SandboxProvider]:
    async with SandboxProvider(FAST) as provider:
        yield provider


@pytest.fixture
def config(tmp_path: Path, upstream: SandboxProvider) -> Path:
    return write_config(tmp_path, {"a": upstream.base_url}, budgets=BUDGET)


async def new_key(config: Path) -> str:
    return await asyncio.to_thread(lambda: make_key(load_config(config, {}), team="research"))


async def books_of(config: Path) -> tuple[bool, int, int]:
    """Whether they verify, how many charges there are, and how many holds are open."""
    audit = await told("ledger", "verify", "-c", config)
    return audit["verified"], audit["charges"], audit["open_holds"]


async def test_every_worker_serves(config: Path) -> None:
    """From the ready line on, each answers; the charges of all are in the same books, and they say
    the same of their models."""
    key = await new_key(config)
    async with serve(config, "--workers", "3") as server:
        assert sorted(workers(server)) == [0, 1, 2]
        models = set()
        for index in range(3):
            async with pinned(server, index, key) as one:
                assert (await one.post())[0] == 200
                async with one.http.get(f"{server.base_url}/models") as answer:
                    models.add(await answer.text())
        assert len(models) == 1
        assert await server.stop() == 0
        assert [line for line in server.said if "ready" in line] == []  # it was said once
    assert await books_of(config) == (True, 3, 0)


async def test_a_killed_worker_is_replaced(config: Path) -> None:
    """The connections of the others do not notice; its successor serves, and then a stop is clean.
    A worker that is told to stop by itself is replaced as well."""
    key = await new_key(config)
    async with serve(config, *TWO) as server:
        async with pinned(server, 1, key) as other:
            for times, number in enumerate((signal.SIGKILL, signal.SIGTERM), start=1):
                dead = workers(server)[0]
                os.kill(dead, number)
                await gone(dead)
                assert (await other.post())[0] == 200
                await again(server, 0, times)
                async with pinned(server, 0, key) as one:
                    assert (await one.post())[0] == 200
        assert await server.stop() == 0
    assert await books_of(config) == (True, 4, 0)


class Turnstile:
    """A sleep that takes no time: it lets pauses pass in the order in which they came, as many as
    it is told to."""

    def __init__(self) -> None:
        self._passes = asyncio.Semaphore(0)

    def let(self, count: int) -> None:
        for _ in range(count):
            self._passes.release()

    async def sleep(self, _seconds: float) -> None:
        await self._passes.acquire()


async def reading(
    server: Serving,
    key: str,
    provider: SandboxProvider,
    turnstile: Turnstile,
    stack: AsyncExitStack,
) -> list[aiohttp.ClientResponse]:
    """A stream from each worker, begun."""
    asking = []
    for index in sorted(workers(server)):
        one = await stack.enter_async_context(pinned(server, index, key))
        asked = one.stream({}, stream=True, max_tokens=20, sandbox={"output_tokens": 20})
        asking.append(asyncio.create_task(stack.enter_async_context(asked)))
    async with asyncio.timeout(PATIENCE_S):
        await provider.tally.until(lambda tally: tally.requests == len(asking))
        turnstile.let(3 * len(asking))
        answers = await asyncio.gather(*asking)
        for one in answers:
            assert (await one.content.readline()).startswith(b"data: {")
    return answers


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_what_is_under_way_is_finished(number: signal.Signals, tmp_path: Path) -> None:
    """Told to stop, or its supervisor killed: every worker brings its streams to their end, takes
    nothing new, and ends; until then nobody else gets at the books; then anybody does."""
    turnstile = Turnstile()
    async with SandboxProvider(PACED, sleep=turnstile.sleep) as provider, AsyncExitStack() as stack:
        config = write_config(tmp_path, {"a": provider.base_url})
        key = await new_key(config)
        async with serve(config, *TWO) as server:
            pids = workers(server).values()
            answers = await reading(server, key, provider, turnstile, stack)
            server.process.send_signal(number)
            if number == signal.SIGKILL:
                await gone(server.process.pid)
            else:
                await server.stopping.wait()
            second = await hedgerow("serve", "-c", config, "--port", "0", *TWO)
            assert second.failed_in_one_line
            assert str(tmp_path / "hedgerow.db") in second.err
            turnstile.let(100)
            for answer in answers:
                assert (await answer.content.read()).endswith(b"data: [DONE]\n\n")
            await asyncio.gather(*(gone(pid) for pid in pids))
            assert await server.ended() == (-number if number == signal.SIGKILL else 0)
            port = int(server.base_url.rpartition(":")[2].removesuffix("/v1"))
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
        assert await books_of(config) == (True, 2, 0)
        async with serve(config, *TWO) as again:
            assert (await again.post(key))[0] == 200


async def both(server: Serving, key: str, stack: AsyncExitStack) -> list[openai.AsyncOpenAI]:
    """A client of each of two workers."""
    every = (pinned_client(server, index, key) for index in (0, 1))
    return [await stack.enter_async_context(one) for one in every]


async def test_a_batch_is_run_whoever_takes_it(config: Path) -> None:
    """Each worker takes files and batches, and sees those of the others; each is run once."""
    key = await new_key(config)
    async with serve(config, *TWO) as server, AsyncExitStack() as stack:
        clients = await both(server, key, stack)
        for here, there in (clients, clients[::-1]):
            batch = await done(here, lines(5))
            assert (batch.status, len(await results(there, batch.output_file_id))) == (
                "completed",
                5,
            )
            assert (await there.files.delete(batch.input_file_id)).deleted
            assert batch.input_file_id not in [one.id async for one in here.files.list()]
    assert await books_of(config) == (True, 10, 0)


async def test_a_batch_is_cancelled_by_any_worker(tmp_path: Path) -> None:
    """Whoever made it: its lines end within a second or so, and nothing stays held."""
    gate = Gate(open_for=0)
    async with SandboxProvider(PACED, sleep=gate.sleep) as provider, AsyncExitStack() as stack:
        config = write_config(tmp_path, {"a": provider.base_url}, more="batches: {parallel: 1}")
        key = await new_key(config)
        server = await stack.enter_async_context(serve(config, *TWO))
        clients = await both(server, key, stack)
        for here, there in (clients, clients[::-1]):
            batch = await submitted(here, lines(5))
            await until(there, batch, lambda one: one.status == "in_progress")
            assert (await there.batches.cancel(batch.id)).status == "cancelling"
        gate.open()
        for here in clients:
            batch = await ended(here, batch)
            assert batch.status == "cancelled"
        assert await server.stop() == 0
    assert (await books_of(config))[2] == 0


@pytest.mark.parametrize("at_provider", [True, False])
async def test_runners_are_killed_at_any_moment(tmp_path: Path, at_provider: bool) -> None:
    """Again and again, and the next one goes on at once: every line has one result, the books
    verify, and nothing is held. A provider's batch is sent and charged once, exactly."""
    behaviour = replace(PACED, batch_ms=15.0, ttft_ms_median=50.0)
    async with SandboxProvider(behaviour) as provider:
        config = write_config(tmp_path, {"a": provider.base_url})
        if at_provider:
            text = await asyncio.to_thread(config.read_text)
            text = text.replace("/v1}", f"/v1{WITH_BATCHES}}}").replace(
                "{input: 1, output: 2}", "{input: 1, output: 2, batch: {input: 0.5, output: 1}}"
            )
            await asyncio.to_thread(config.write_text, text)
        key = await new_key(config)
        async with serve(config, "--workers", "3") as server:
            async with openai.AsyncOpenAI(base_url=server.base_url, api_key=key) as client:
                batch = await submitted(client, lines(40))
                for pause_s in (0.0, 0.1, 0.4, 0.8):
                    await asyncio.sleep(pause_s)
                    os.kill(workers(server)[await runner(config, server)], signal.SIGKILL)
                batch = await ended(client, batch)
                found = await results(client, batch.output_file_id)
            assert list(found) == [f"line-{one}" for one in range(40)]
    verified, charges, open_holds = await books_of(config)
    assert (verified, open_holds) == (True, 0)
    if at_provider:
        assert (charges, provider.tally.batch_lines, provider.tally.requests) == (40, 40, 0)
    else:
        assert charges >= provider.tally.requests >= 40  # what was held, and not sent yet, counts


async def test_an_idempotency_key_at_another_worker(
    config: Path, upstream: SandboxProvider
) -> None:
    """Its answer is in one worker's memory: that one replays it, any other says 409 and that no
    retry will help. It is asked for, and charged, once."""
    key = await new_key(config)
    headers = {"Idempotency-Key": "one"}
    async with serve(config, *TWO) as server, AsyncExitStack() as stack:
        here, there = [await stack.enter_async_context(pinned(server, one, key)) for one in (0, 1)]
        first = await here.post(headers=headers)
        assert first[0] == 200
        assert await here.post(headers=headers) == first
        async with there.stream(headers) as answer:
            error = (await answer.json())["error"]
            assert (answer.status, error["code"]) == (409, "idempotency_key_used")
            assert answer.headers["x-should-retry"] == "false"
    assert await books_of(config) == (True, 1, 0)
    assert upstream.tally.billed_requests == 1


async def test_limits_are_shared_out(tmp_path: Path) -> None:
    """Of two requests that a key may have under way, each of two workers allows one."""
    turnstile = Turnstile()
    async with SandboxProvider(PACED, sleep=turnstile.sleep) as provider, AsyncExitStack() as stack:
        url = {"a": provider.base_url}
        config = write_config(tmp_path, url, more="server: {parallel_per_key: 2}")
        key = await new_key(config)
        server = await stack.enter_async_context(serve(config, *TWO))
        first, second, other = [
            await stack.enter_async_context(pinned(server, index, key)) for index in (0, 0, 1)
        ]
        asking = [asyncio.create_task(one.post()) for one in (first, other)]
        async with asyncio.timeout(PATIENCE_S):
            await provider.tally.until(lambda tally: tally.requests == 2)
        assert (await second.post())[0] == 429
        turnstile.let(100)
        assert [(await one)[0] for one in asking] == [200, 200]


@pytest.mark.parametrize("what", ["port", "files"])
async def test_what_cannot_start(what: str, config: Path) -> None:
    """One line that says why, once for all workers, and exit code 1."""
    port = "0"
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        if what == "port":
            port = str(taken.getsockname()[1])
        else:
            (config.parent / "hedgerow-files").write_text("")
        done = await hedgerow("serve", "-c", config, "--port", port, *TWO)
    assert done.failed_in_one_line
    assert {"port": f":{port}: ", "files": "files.path"}[what] in done.err


async def test_workers_that_never_become_ready(tmp_path: Path) -> None:
    """If they die without a word, it is tried again a few times; then it ends, and says how."""
    config = write_config(tmp_path, NOWHERE)
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'hedgerow.worker' in sys.orig_argv:\n    os._exit(3)\n"
    )
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    done = await hedgerow("serve", "-c", config, "--port", "0", *TWO, env={"PYTHONPATH": path})
    assert (done.code, done.out) == (1, "")
    *tries, last = done.err.splitlines()
    assert last == "Error: exit code 3, before it was ready"
    assert 2 <= len(tries) <= 4
    assert all("starts again" in line for line in tries)


async def test_a_worker_that_is_refused_while_others_serve(config: Path) -> None:
    """A configuration that is being edited, when one dies: the others go on, it is said why, and
    once the file is right the worker is back."""
    key, right = await new_key(config), await asyncio.to_thread(config.read_text)
    async with serve(config, *TWO) as server, AsyncExitStack() as stack:
        other = await stack.enter_async_context(pinned(server, 1, key))
        await asyncio.to_thread(config.write_text, right + "nonsense: 1\n")
        os.kill(workers(server)[0], signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            while not any("nonsense" in line for line in server.said):
                assert (await other.post())[0] == 200
        await asyncio.to_thread(config.write_text, right)
        await again(server, 0)
        one = await stack.enter_async_context(pinned(server, 0, key))
        assert (await one.post())[0] == 200
        assert (await other.post())[0] == 200

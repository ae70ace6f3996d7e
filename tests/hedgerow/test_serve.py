"""`hedgerow serve` as a process: it starts, stops, is killed, and the books hold."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from benchmarks.sandbox import SandboxProvider
from hedgerow.config import load_config
from tests.hedgerow.processes import (
    NOWHERE,
    PATIENCE_S,
    Serving,
    hedgerow,
    serve,
    told,
    write_config,
)
from tests.serving import FAST, MODEL, PACED, Gate, make_key


@pytest.fixture
async def upstream() -> AsyncIterator[SandboxProvider]:
    async with SandboxProvider(FAST) as provider:
        yield provider


@pytest.fixture
def config(tmp_path: Path, upstream: SandboxProvider) -> Path:
    budgets = "  - {name: all, scope: {}, window: lifetime, cap_usd: 1000}\n"
    return write_config(tmp_path, {"a": upstream.base_url}, budgets=budgets)


async def new_key(config: Path) -> str:
    return await asyncio.to_thread(lambda: make_key(load_config(config, {}), team="research"))


async def test_ready_means_ready(config: Path) -> None:
    """After the ready line both health checks answer 200, and a request is served and booked."""
    key = await new_key(config)
    async with serve(config) as server, aiohttp.ClientSession() as http:
        for check in ("live", "ready"):
            url = f"{server.base_url.removesuffix('/v1')}/health/{check}"
            async with http.get(url) as answer:
                assert answer.status == 200
                assert (await answer.json())["status"] == check
        status, headers, _ = await server.post(key)
        assert status == 200
    total = (await told("spend", "-c", config))["total"]
    assert total["requests"] == 1
    assert total["cost_usd"] == json.loads(headers["x-hedgerow-cost-usd"])


async def test_a_provider_that_only_litellm_speaks_to(
    tmp_path: Path, upstream: SandboxProvider
) -> None:
    """In the server as it is run, on its own event loop: the process for LiteLLM starts with the
    first request, answers it, and is gone with the server."""
    config = tmp_path / "hedgerow.yaml"
    config.write_text(
        "market: {feeds: []}\n"
        "providers:\n"
        "  only: {dialect: litellm, litellm_provider: hosted_vllm, api_key: k,\n"
        f"    litellm_params: {{api_base: '{upstream.base_url}'}}}}\n"
        f"models: {{{MODEL}: {{offers: [{{provider: only, model: {FAST.models[0]},"
        " price: {input: 1, output: 2}}]}}\n"
        "routing: {first_byte_timeout: 60s}\n"
    )
    key = await new_key(config)
    async with serve(config) as server:
        status, headers, answer = await server.post(key)
        assert (status, headers["x-hedgerow-provider"]) == (200, "only")
        assert answer["choices"][0]["message"]["content"]
        assert await server.stop() == 0
    total = (await told("spend", "-c", config))["total"]
    assert total["requests"] == 1


async def test_what_check_warns_of_is_said_at_the_start(tmp_path: Path) -> None:
    """Once, in the same words, before anything is listened to; the port here is taken."""
    more = "routing: {heartbeat: 31s, deadline: 1s}"
    config = write_config(tmp_path, NOWHERE, more=more)
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        checked = await hedgerow("check", "-c", config)
        served = await hedgerow("serve", "-c", config, "--port", port)
    warnings = checked.err.splitlines()
    assert [line.partition("routing.")[2].partition(":")[0] for line in warnings] == [
        "deadline",
        "heartbeat",
    ]
    assert served.err.splitlines()[:-1] == warnings
    assert "Address already in use" in served.err.splitlines()[-1]


async def test_a_port_in_use(config: Path) -> None:
    """One line that names the address and what to do; the books stay free for the next."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        done = await hedgerow("serve", "-c", config, "--port", str(port))
    assert done.failed_in_one_line
    assert f"127.0.0.1:{port}: Address already in use" in done.err
    assert "choose another port with --port" in done.err
    async with serve(config):
        pass


async def test_one_server_for_one_set_of_books(config: Path) -> None:
    """A second one is refused by name of the file, however the first is doing; then it may."""
    async with serve(config):
        done = await hedgerow("serve", "-c", config, "--port", "0")
        assert done.failed_in_one_line
        assert str(config.parent / "hedgerow.db") in done.err
    async with serve(config):
        pass


@pytest.mark.parametrize("what", ["no database", "another program's", "a later version's"])
async def test_a_file_that_is_not_our_books(what: str, tmp_path: Path) -> None:
    """Every command names the file and leaves it as it is, byte by byte."""
    config = write_config(tmp_path, NOWHERE)
    books = tmp_path / "hedgerow.db"
    if what == "no database":
        books.write_text("Dear diary, this is no database, and never was.\n")
    elif what == "another program's":
        with closing(sqlite3.connect(books)) as other:
            other.execute("CREATE TABLE songs (title TEXT)")
    else:
        await new_key(config)
        with closing(sqlite3.connect(books)) as ours:
            ours.execute(
                "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
                " SELECT migration_set, 'm999_later', applied_at FROM _sqlite_migrations LIMIT 1"
            )
            ours.commit()
            ours.execute("PRAGMA journal_mode = DELETE")
    before = books.read_bytes()
    commands = [("serve", "--port", "0"), ("spend",), ("ledger", "verify"), ("key", "create")]
    for done in await asyncio.gather(*(hedgerow(*words, "-c", config) for words in commands)):
        assert done.failed_in_one_line
        assert str(books) in done.err
        assert "ledger.url" in done.err
    assert books.read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stream_under_way_is_finished(number: signal.Signals, tmp_path: Path) -> None:
    """Told to stop in the middle of a stream: it comes to its end, then exit code 0; new
    connections are refused; the books verify, with the charge and no hold open."""
    gate = Gate(open_for=3)
    async with SandboxProvider(PACED, sleep=gate.sleep) as provider:
        config = write_config(tmp_path, {"a": provider.base_url})
        key = await new_key(config)
        async with serve(config) as server:
            body = {
                "model": MODEL,
                "messages": [{"role": "user", "content": "a b c"}],
                "stream": True,
                "max_tokens": 20,
                "sandbox": {"output_tokens": 20},
            }
            headers = {"authorization": f"Bearer {key}"}
            async with (
                aiohttp.ClientSession(headers=headers) as http,
                http.post(f"{server.base_url}/chat/completions", json=body) as answer,
            ):
                first = await answer.content.readline()
                server.process.send_signal(number)
                await server.stopping.wait()
                gate.open()
                rest = await answer.content.read()
            assert first.startswith(b"data: {")
            assert rest.endswith(b"data: [DONE]\n\n")
            assert await server.ended() == 0
            port = int(server.base_url.rpartition(":")[2].removesuffix("/v1"))
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
    audit = await told("ledger", "verify", "-c", config)
    assert (audit["verified"], audit["charges"], audit["open_holds"]) == (True, 1, 0)
    assert (await told("spend", "-c", config))["total"]["completion_tokens"] == 20


async def answered_until_killed(
    server: Serving, key: str, enough: int
) -> dict[str, tuple[str, int]]:
    """Load it from several sides and kill it when `enough` were answered: what clients got to
    know, each request's cost and completion tokens."""
    answered: dict[str, tuple[str, int]] = {}

    async def ask(length: int) -> None:
        while True:
            _, headers, body = await server.post(key, sandbox={"output_tokens": length})
            tokens = body["usage"]["completion_tokens"]
            answered[headers["x-request-id"]] = (headers["x-hedgerow-cost-usd"], tokens)
            if len(answered) == enough:
                server.process.kill()

    asking = [asyncio.create_task(ask(1 + at % 8)) for at in range(8)]
    ends = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(end, aiohttp.ClientError | OSError) for end in ends)
    return answered


async def test_killed_under_load(config: Path) -> None:
    """SIGKILL under load. After a restart every answered request is in the books at the cost that
    its client was told; what was lost is posted in full as estimated; nothing is held."""
    key = await new_key(config)
    async with serve(config) as server:
        async with asyncio.timeout(PATIENCE_S):
            answered = await answered_until_killed(server, key, 60)
        assert await server.ended() == -signal.SIGKILL
    async with serve(config) as again:
        assert (await again.post(key))[0] == 200
        request_id, (cost_usd, tokens) = next(iter(answered.items()))
        found = await told("explain", request_id, "-c", config)
        assert (found["status"], found["charges"][0]["completion_tokens"]) == (200, tokens)
        assert found["cost_usd"] == json.loads(cost_usd)
    audit = await told("ledger", "verify", "-c", config)
    assert (audit["verified"], audit["open_holds"]) == (True, 0)
    with closing(sqlite3.connect(config.parent / "hedgerow.db")) as books:
        rows = books.execute(
            "SELECT request_id, effective_nanos, completion_tokens, estimated, held_nanos"
            " FROM entries WHERE kind = 'posted'"
        ).fetchall()
    charged = {row[0]: row for row in rows}
    assert len(rows) == len(charged) == audit["charges"]
    for request_id, (cost_usd, tokens) in answered.items():
        _, nanos, completion, estimated, _ = charged[request_id]
        assert (nanos, completion, estimated) == (round(float(cost_usd) * 1e9), tokens, 0)
    lost = [row for row in rows if row[3]]
    assert all(nanos == held for _, nanos, _, _, held in lost)
    assert len(lost) <= 8


async def test_killed_while_an_answer_is_awaited(tmp_path: Path) -> None:
    """What was at a provider when the process died costs its whole hold, flagged as estimated."""
    reached, over = asyncio.Event(), asyncio.Event()

    async def wait(_seconds: float) -> None:
        reached.set()
        await over.wait()

    async with SandboxProvider(PACED, sleep=wait) as provider:
        config = write_config(tmp_path, {"a": provider.base_url})
        key = await new_key(config)
        async with serve(config) as server:
            lost = asyncio.create_task(server.post(key))
            await reached.wait()
            assert await server.stop(signal.SIGKILL) == -signal.SIGKILL
            with pytest.raises((aiohttp.ClientError, OSError)):
                await lost
        over.set()
        before = await told("ledger", "verify", "-c", config)
        assert (before["verified"], before["charges"]) == (True, 0)  # the journal has its hold
        async with serve(config):
            after = await told("ledger", "verify", "-c", config)
        assert (after["verified"], after["open_holds"], after["charges"]) == (True, 0, 1)
        total = (await told("spend", "-c", config))["total"]
        assert (total["estimated"], total["completion_tokens"]) == (1, 0)
        assert total["cost_usd"] > 8 * 2 / 1e6  # eight tokens out at most, and the prompt

"""The books' database goes away, stands still, or is full, while requests come in."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from benchmarks.sandbox import SandboxProvider
from hedgerow.config import Config, load_config
from ledger.money import usd
from tests.faults.crowds import (
    MOST_TOKENS,
    Crowd,
    Reply,
    agree,
    billed_nanos,
    found,
    many_connections,
    new_key,
    report,
)
from tests.hedgerow.processes import PATIENCE_S, Serving, serve, write_config
from tests.ledger.databases import Postgres
from tests.serving import FAST

BUDGETS = (
    "  - {name: denies, scope: {user: ada}, window: lifetime, cap_usd: 0.01}\n"
    "  - {name: allows, scope: {user: bob}, window: lifetime, cap_usd: 0.01,"
    " on_ledger_error: allow}\n"
)
"""A worker that is alone has half of each in its slice: some 25 requests at once, or 400 in all."""
BEYOND = 300
"""So many of the longest answers cost more than such a slice, and less than the cap."""
PAUSE_S = 3.0


@pytest.fixture
async def upstream() -> AsyncIterator[SandboxProvider]:
    async with SandboxProvider(FAST) as provider:
        yield provider


class Database:
    """A PostgreSQL of this test alone: it is stopped, and others would notice."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.url = server.new()

    def backends(self) -> list[int]:
        """The processes that serve hedgerow's connections."""
        with self.server.admin() as admin:
            rows = admin.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'hedgerow'"
            ).fetchall()
        return [int(str(pid)) for (pid,) in rows]


@pytest.fixture
def database() -> Iterator[Database]:
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder))
        try:
            yield Database(server)
        finally:
            server.close()


@asynccontextmanager
async def crowds(
    path: Path,
) -> AsyncIterator[tuple[Serving, Config, Crowd, Crowd]]:
    """A server, and clients of Ada and of Bob."""
    keys = [await new_key(path, user=user) for user in ("ada", "bob")]
    config = await asyncio.to_thread(load_config, path, {})
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(many_connections())
        server = await stack.enter_async_context(serve(path))
        ada, bob = [Crowd(http, lambda: server.base_url, key) for key in keys]
        yield server, config, ada, bob


async def until(crowd: Crowd, status: int) -> list[Reply]:
    """Ask again and again until the answer has this status; the answers before it."""
    before: list[Reply] = []
    rng = random.Random(len(crowd.replies))
    async with asyncio.timeout(PATIENCE_S):
        while True:
            streamed = rng.random() < 0.5
            reply = await crowd.ask(rng.randint(1, MOST_TOKENS), streamed=streamed)
            if reply.status == status:
                return before
            before.append(reply)


async def test_postgres_is_stopped_and_started(
    tmp_path: Path, upstream: SandboxProvider, database: Database
) -> None:
    """Requests go on within the slice that the worker has; then it is refused, or goes on, as the
    budget says. When it is back all that was charged is in it."""
    more = f'ledger: {{url: "{database.url}"}}'
    path = write_config(tmp_path, {"a": upstream.base_url}, budgets=BUDGETS, more=more)
    async with crowds(path) as (_, config, ada, bob):
        for crowd in (ada, bob):
            assert (await crowd.ask(1)).status == 200
        await asyncio.to_thread(database.server.stop)
        within = await until(ada, 503)
        assert len(within) >= 25
        assert {one.status for one in within} == {200}
        refusal = ada.replies[-1]
        assert refusal.error["code"] == "ledger_unavailable"
        beyond = [await bob.ask(MOST_TOKENS) for _ in range(BEYOND)]
        assert sum(bob.answers.values()) > usd("0.005")  # more than its slice
        assert {one.status for one in beyond} == {200}
        await asyncio.to_thread(database.server.start)
        outage = await until(ada, 200)
        assert {one.status for one in outage} <= {503}
    books = await asyncio.to_thread(found, config)
    agree(books, ada, bob)
    assert sum(books.costs.values()) == billed_nanos(upstream)
    report("PostgreSQL stopped", books, within=len(within), beyond=len(beyond))


async def test_postgres_stands_still(
    tmp_path: Path, upstream: SandboxProvider, database: Database
) -> None:
    """For some seconds nothing comes back: within slices nobody waits for it."""
    more = f'ledger: {{url: "{database.url}"}}'
    path = write_config(tmp_path, {"a": upstream.base_url}, budgets=BUDGETS, more=more)
    loop = asyncio.get_running_loop()
    async with crowds(path) as (_, config, ada, bob):
        for crowd in (ada, bob):
            assert (await crowd.ask(1)).status == 200
        backends = await asyncio.to_thread(database.backends)
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        began_s, longest_s = loop.time(), 0.0
        try:
            while (now_s := loop.time()) - began_s < PAUSE_S:
                for crowd in (ada, bob):
                    if len(crowd.answers) < 60:
                        assert (await crowd.ask(1)).status == 200
                        longest_s = max(longest_s, loop.time() - now_s)
                await asyncio.sleep(0.05)
        finally:
            for pid in backends:
                os.kill(pid, signal.SIGCONT)
        assert longest_s < 1.5  # an answer of the books may take 2 s
        assert (await ada.ask(1)).status == 200
    books = await asyncio.to_thread(found, config)
    agree(books, ada, bob)
    assert sum(books.costs.values()) == billed_nanos(upstream)
    report("PostgreSQL paused", books, longest_ms=round(1000 * longest_s))


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A disk of so many bytes at `folder`. Skips where this user may not mount one."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],  # noqa: S607
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("a small disk is mounted, for which one must be root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607


async def test_the_disk_is_full(tmp_path: Path, upstream: SandboxProvider) -> None:
    """What fits into the slice and the journal goes on and is charged; then requests are refused,
    and none is lost. When there is room again, all of it is in the books."""
    with small_disk(tmp_path, "40m"):
        path = write_config(tmp_path, {"a": upstream.base_url}, budgets=BUDGETS)
        async with crowds(path) as (_, config, ada, bob):
            for crowd in (ada, bob):
                assert (await crowd.ask(1)).status == 200
            filler = tmp_path / "filler"
            await asyncio.to_thread(fill, filler)
            within = await until(ada, 503)
            assert {one.status for one in within} == {200}
            assert ada.replies[-1].error["code"] == "ledger_unavailable"
            more = [await bob.ask(MOST_TOKENS) for _ in range(50)]
            assert {one.status for one in more} == {200}
            await asyncio.to_thread(filler.unlink)
            outage = await until(ada, 200)
            assert {one.status for one in outage} <= {503}
        books = await asyncio.to_thread(found, config)
        agree(books, ada, bob)
        assert sum(books.costs.values()) == billed_nanos(upstream)
        report("disk full", books, within=len(within), beyond=len(more))


def fill(file: Path) -> None:
    """Write until nothing more fits on its disk."""
    with file.open("wb", buffering=0) as filling:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while filling.write(bytes(size)) == size:
                    pass
            except OSError:
                continue

"""Workers that draw on what we own, as processes: together no more than there is, also where one of
them is killed while it draws."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import aiohttp

from benchmarks.sandbox import SandboxProvider
from hedgerow.books import books
from hedgerow.config import load_config
from ledger.commitments import Covered
from ledger.store import Store
from tests.hedgerow.crews import again, gone, workers
from tests.hedgerow.processes import Serving, serve, told, write_config
from tests.ledger.owned import DAY_NS, commitment
from tests.serving import FAST, MODEL, make_key, read_books

BODY = {"model": MODEL, "messages": [{"role": "user", "content": "a b c"}], "max_tokens": 8}
MICRO = 1_000_000
MANY = 120


async def ask(server: Serving, key: str) -> str | None:
    """What a request of its own connection drew on; None: nothing, or its worker was killed."""
    headers = {"authorization": f"Bearer {key}"}
    try:
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{server.base_url}/chat/completions", json=BODY) as answer,
        ):
            await answer.read()
            return answer.headers.get("x-hedgerow-commitment")
    except aiohttp.ClientError:
        return None


async def test_a_worker_is_killed_while_it_draws(tmp_path: Path) -> None:
    """What it held is taken to be drawn; the books verify, and say no more than the quota. Enough
    is left for the workers to draw on it after that, as well."""
    most = len(json.dumps(BODY)) + 8
    quota = 100 * most
    async with SandboxProvider(FAST) as provider:
        path = write_config(tmp_path, {"a": provider.base_url})
        config = await asyncio.to_thread(load_config, path, {})
        key = await asyncio.to_thread(make_key, config, team="research")

        def buy() -> None:
            now_ns = time.time_ns()
            with books(config) as store, store.transaction():
                store.commitments.add(
                    commitment(
                        covers=(Covered("a", None),),
                        capacity_units=quota,
                        starts_ns=now_ns - DAY_NS,
                        ends_ns=now_ns + DAY_NS,
                    )
                )

        await asyncio.to_thread(buy)
        async with serve(path, "--workers", "2") as server:
            assert await ask(server, key) == "flat"
            asked = [asyncio.create_task(ask(server, key)) for _ in range(MANY)]
            dead = workers(server)[0]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            os.kill(dead, signal.SIGKILL)
            await gone(dead)
            await asyncio.gather(*asked)
            await again(server, 0)
            after = [await ask(server, key) for _ in range(4)]
            assert "flat" in after
            drawn = await asyncio.gather(*(ask(server, key) for _ in range(6 * MANY)))
            assert None in drawn
            assert await server.stop() == 0
        assert (await told("ledger", "verify", "-c", path))["verified"]
        posted, rows = await asyncio.to_thread(read_books, config, _units)
    assert posted == rows
    assert 0 < posted <= quota * MICRO


def _units(store: Store) -> tuple[int, int]:
    """What was drawn in all, by the account and by the entries."""
    found = store.sql.execute(
        "SELECT (SELECT sum(posted) FROM accounts WHERE measure = 'units'),"
        " (SELECT sum(micro_units) FROM entries)"
    ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])

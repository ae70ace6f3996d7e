"""Five hundred at once on a budget that pays for some of them: in one process, in four, in three
replicas on one PostgreSQL. Never is more spent than it has, and in the end hardly anything is left.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from benchmarks.sandbox import SandboxProvider
from hedgerow.config import load_config
from ledger.money import usd
from tests.faults.crowds import (
    Crowd,
    agree,
    billed_nanos,
    found,
    many_connections,
    new_key,
    report,
    watched,
)
from tests.hedgerow.processes import serve, write_config
from tests.ledger.databases import Postgres
from tests.serving import FAST

CLIENTS = 500
CAP_USD = "0.004"
BUDGETS = (
    f"  - {{name: all, scope: {{}}, window: lifetime, cap_usd: {CAP_USD}}}\n"
    '  - {name: users, scope: {user: "*"}, window: month, cap_usd: 100}\n'
)


@pytest.fixture
async def upstream() -> AsyncIterator[SandboxProvider]:
    async with SandboxProvider(FAST) as provider:
        yield provider


async def hold_true(
    name: str, configs: list[Path], options: tuple[str, ...], upstream: SandboxProvider
) -> None:
    config = await asyncio.to_thread(load_config, configs[0], {})
    key = await new_key(configs[0], user="ada")
    async with many_connections() as http:
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(serve(one, *options)) for one in configs]
            turns = itertools.cycle(servers)
            crowd = Crowd(http, lambda: next(turns).base_url, key)
            async with watched(config):
                last = await crowd.flood(CLIENTS, random.Random(4))
        books = await asyncio.to_thread(found, config)
    agree(books, crowd)
    assert books.lost == 0
    spent, cap, needed = books.of("all").posted, usd(CAP_USD), usd(str(last.error["needed_usd"]))
    assert spent == billed_nanos(upstream) == sum(crowd.answers.values()) <= cap
    assert cap - spent < needed
    report(name, books, cap=cap, spent=spent, unused=cap - spent, hold=needed, **_by_status(crowd))


def _by_status(crowd: Crowd) -> dict[str, int]:
    return {f"status_{status}": count for status, count in sorted(crowd.statuses.items())}


@pytest.mark.parametrize("workers", [1, 4])
async def test_more_ask_than_the_budget_pays_for(
    workers: int, tmp_path: Path, upstream: SandboxProvider
) -> None:
    """Of one worker or four: what is spent is exactly what the provider billed and the clients were
    told, never more than the cap; who is refused asks again until nothing is held, and then less
    is left than one more request may cost."""
    config = write_config(tmp_path, {"a": upstream.base_url}, budgets=BUDGETS)
    options = ("--workers", str(workers)) if workers > 1 else ()
    await hold_true(f"{workers} workers", [config], options, upstream)


async def test_more_ask_several_replicas(
    tmp_path: Path, upstream: SandboxProvider, postgres: Postgres
) -> None:
    """The same of three that share nothing but a PostgreSQL."""
    url, configs = await asyncio.to_thread(postgres.new), []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        more = f'ledger: {{url: "{url}"}}'
        configs.append(write_config(folder, {"a": upstream.base_url}, budgets=BUDGETS, more=more))
    await hold_true("3 replicas", configs, (), upstream)

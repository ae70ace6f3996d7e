"""The dashboard's pages before books of many entries: how long each takes, over HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from hedgerow.app import running
from hedgerow.config import load_config
from hedgerow.web.routes import PAGES
from proxy.clock import SystemClock
from tests.perf.books import DAYS, SINCE_NS, make

GIVEN_BOOKS = "HEDGEROW_BENCH_BOOKS"
ADMIN = "sk-admin-of-the-bench"
TIMES = 5
_DAY_NS = 86_400_000_000_000
_OURS = (
    "/ui/spend",
    "/ui/spend?by=model",
    "/ui/spend?by=key",
    "/ui/spend?by=day",
    "/ui/spend?by=tag&period=30d",
    "/ui/spend?by=model&team=team07",
    "/ui/spend?by=key&model=model3",
    "/ui/spend?by=provider&period=all",
    "/ui/spend?zone=Asia/Kolkata",
    "/ui/spend/requests",
    "/ui/spend/requests?key=key17",
    "/ui/budgets",
    "/ui/budgets/one?name=teams-month",
)
_CONFIG = """
server: {{port: 0, admin_key: {admin}}}
ledger: {{url: "sqlite:///{path}"}}
market: {{feeds: []}}
providers: {{a: {{dialect: openai, base_url: "http://127.0.0.1:9/v1"}}}}
models:
  model0: {{offers: [{{provider: a, model: m, price: {{input: 1, output: 2}}}}]}}
policies: [policy.yaml]
"""
_POLICY = """
budgets:
  - {name: house-month, scope: {}, window: month, timezone: Europe/Berlin, cap_usd: 1000000}
  - {name: teams-month, scope: {team: "*"}, window: month, cap_usd: 20000}
  - {name: users-day, scope: {user: "*"}, window: day, cap_usd: 100, mode: shadow}
  - {name: model0, scope: {model: model0}, window: quarter, cap_usd: 50000}
"""


class _LastDay(SystemClock):
    """The time as it was an hour before the books end."""

    def __init__(self) -> None:
        self._behind_ns = time.time_ns() - (SINCE_NS + DAYS * _DAY_NS - 3_600_000_000_000)

    def now_ns(self) -> int:
        return super().now_ns() - self._behind_ns


def rows(count: int) -> Iterator[tuple[str, ...]]:
    """Each page: the median and the slowest of a few times, and its size. HEDGEROW_BENCH_BOOKS
    names books that are there, to be used as they are."""
    given = os.environ.get(GIVEN_BOOKS)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(given) if given else Path(folder) / "books.db"
        if given is None:
            make(path, count)
        (Path(folder) / "policy.yaml").write_text(_POLICY)
        config = Path(folder) / "hedgerow.yaml"
        config.write_text(_CONFIG.format(admin=ADMIN, path=path))
        yield from asyncio.run(_measured(config))


async def _measured(path: Path) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    async with (
        running(load_config(path, {}), port=0, clock=_LastDay()) as app,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        await _log_in(http, app.admin_url)
        nav = [one.nav.path for one in PAGES if one.nav.path not in _OURS]
        for page in (*_OURS, *nav):
            took, body = [], b""
            for _ in range(TIMES):
                began = time.perf_counter()
                async with http.get(app.admin_url + page) as response:
                    body = await response.read()
                    assert response.status == 200, (page, response.status, body[:500])
                took.append((time.perf_counter() - began) * 1e3)
            found.append(
                (page, f"{statistics.median(took):.0f} ms", f"{max(took):.0f} ms", f"{len(body):,}")
            )
    return found


async def _log_in(http: aiohttp.ClientSession, url: str) -> None:
    """As a browser does: with what the page has hidden in its form."""
    async with http.get(url + "/ui/login") as response:
        hidden = dict(
            re.findall(r'type="hidden" name="(.*?)" value="(.*?)"', await response.text())
        )
    async with http.post(
        url + "/ui/login", data=hidden | {"key": ADMIN}, allow_redirects=False
    ) as response:
        assert response.status == 303, await response.text()

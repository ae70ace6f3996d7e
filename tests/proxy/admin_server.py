"""The admin API on loopback, over books of its own."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import aiohttp
from aiohttp.test_utils import TestServer

from benchmarks.offers import Offer
from benchmarks.snapshot import Listing, MarketSnapshot
from benchmarks.traffic.observations import UNSEEN
from ledger.budgets import Raise
from ledger.databases.sql import Sql
from ledger.keys import hash_of
from ledger.principals import Principal
from ledger.requests import RequestRecord
from ledger.tables.policy import PolicyTable
from proxy.admin.books import FileBudget
from proxy.admin.desk import AdminDesk
from proxy.admin.routes import admin_routes
from proxy.house import House
from proxy.server import ServerLimits, admin_application
from tests.ledger.databases import Books
from tests.serving import ManualClock

T = TypeVar("T")

ADMIN = "sk-admin-of-these-tests"
LIMITS = ServerLimits(
    body_bytes=2**20, header_bytes=2**13, body_timeout_s=5.0, idle_timeout_s=5.0, drain_s=0.0
)


SNAPSHOT = MarketSnapshot(
    1,
    datetime(2027, 1, 1, tzinfo=UTC),
    {"oak": (Listing(Offer("a", "oak-70b"), None, UNSEEN),), "elm": ()},
)


@dataclass
class SqlBooks:
    """An open database, as the admin API sees it; nobody else writes."""

    sql: Sql
    file_budgets: Mapping[str, FileBudget] = field(default_factory=dict)
    file_raises: tuple[Raise, ...] = ()
    requests: dict[str, RequestRecord] = field(default_factory=dict)

    async def change(self, work: Callable[[PolicyTable], T]) -> T:
        def changed() -> T:
            with self.sql.transaction():
                return work(PolicyTable(self.sql))

        return await asyncio.to_thread(changed)

    async def read(self, look: Callable[[Sql], T]) -> T:
        def seen() -> T:
            with self.sql.view():
                return look(self.sql)

        return await asyncio.to_thread(seen)

    async def request(self, request_id: str) -> RequestRecord | None:
        return self.requests.get(request_id)


@dataclass(frozen=True, slots=True)
class Said:
    """An answer."""

    status: int
    body: Any

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.body["error"]
        assert {"message", "type", "param", "code"} <= error.keys()
        return error


@dataclass
class AdminServer:
    """The admin API that runs, and a client with the admin key."""

    books: SqlBooks
    clock: ManualClock
    url: str
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, body: Any = None, key: str | None = ADMIN) -> Said:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.request(
            method, self.url + path, data=None if body is None else data, headers=headers
        ) as response:
            return Said(response.status, json.loads(await response.read()))

    async def get(self, path: str, **more: Any) -> Said:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Said:
        return await self.ask("POST", path, {} if body is None else body, **more)

    async def owner(self, secret: str) -> Principal:
        """Who asks with it, as the proxy finds it. Raises KeyError, KeyRefused."""
        keys = await self.books.read(lambda sql: PolicyTable(sql).keys())
        found = keys[hash_of(secret)]
        found.check(self.clock.now_ns())
        return found.principal


@dataclass
class _Parts:
    clock: ManualClock
    random_bytes: Callable[[int], bytes]


@asynccontextmanager
async def admin_server(
    new_books: Books, file_budgets: Mapping[str, FileBudget] | None = None
) -> AsyncIterator[AdminServer]:
    """A server that ends with the block."""
    clock = ManualClock()
    with closing(await asyncio.to_thread(new_books.open)) as sql:
        books = SqlBooks(sql, file_budgets or {})
        desk = AdminDesk(
            books=books,
            clock=clock,
            random_bytes=secrets.token_bytes,
            admin_key=ADMIN,
            snapshot=lambda: SNAPSHOT,
            channels=("ops",),
        )
        house = cast("House", _Parts(clock, secrets.token_bytes))
        app = admin_application(house, LIMITS, admin_routes(desk))
        async with TestServer(app) as server, aiohttp.ClientSession() as http:
            yield AdminServer(books, clock, str(server.make_url("")).rstrip("/"), http)

"""The composition root: opens every part in order, and closes them in reverse."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from benchmarks.history import MarketHistory
from benchmarks.market import Market, Quoted
from hedgerow.config import Config
from hedgerow.errors import PortTaken
from hedgerow.offers import past_quotes, price_file, quoted_offers
from ledger.book import Book, open_book
from ledger.lock import sole_server
from ledger.sqlite_store import SqliteStore
from proxy.aiohttp_upstream import aiohttp_upstream
from proxy.clock import Clock, SystemClock
from proxy.dialects.openai import Provider
from proxy.house import House, Patience
from proxy.server import application
from routing.decide import Limits

DRAIN_S = 20.0
"""How long answers that are under way may take after SIGTERM."""
CLOSE_S = 1.0
"""How long the last bytes may take after that."""
REBUILD_S = 0.25
"""How old a snapshot of the market gets."""


@dataclass(frozen=True, slots=True)
class Running:
    """A proxy that answers at `base_url` (ending in /v1)."""

    base_url: str
    house: House


@contextmanager
def books(config: Config, *, create: bool = True) -> Iterator[SqliteStore]:
    """The books of a configuration, for commands that read them or make keys."""
    store = SqliteStore.open(config.ledger.path, durability=config.ledger.durability, create=create)
    try:
        yield store
    finally:
        store.close()


@asynccontextmanager
async def running(
    config: Config,
    *,
    host: str | None = None,
    port: int | None = None,
    clock: Clock | None = None,
    draws: random.Random | None = None,
    drain_s: float = DRAIN_S,
) -> AsyncIterator[Running]:
    """Serve until the block ends; then let answers that are under way finish, `drain_s` at most.

    Raises LedgerError, MarketError, PortTaken.
    """
    clock = clock or SystemClock()
    models = quoted_offers(config, price_file(config), _utc(clock))
    market = Market(models, _utc(clock), clock.monotonic_s())
    async with AsyncExitStack() as stack:
        stack.enter_context(sole_server(config.ledger.path))
        book = await stack.enter_async_context(_book(config, models, clock))
        upstream = await stack.enter_async_context(aiohttp_upstream(clock))
        await stack.enter_async_context(_rebuilding(market, clock))
        house = House(
            book=book,
            market=market,
            upstream=upstream,
            providers=_providers(config),
            clock=clock,
            random_bytes=secrets.token_bytes,
            opened_at_s=clock.now_ns() // 1_000_000_000,
            draw=(draws or random.Random()).random,  # noqa: S311 - spreads load, guards nothing
            limits=Limits(ttft_ms_p95_max=config.routing.ttft_ms_p95_max),
            patience=Patience(
                attempts=config.routing.attempts,
                first_byte_timeout_s=config.routing.first_byte_timeout,
                idle_timeout_s=config.routing.idle_timeout,
                deadline_s=config.routing.deadline,
            ),
        )
        host = config.server.host if host is None else host
        port = config.server.port if port is None else port
        app = application(house, config.server.max_body_bytes, drain_s)
        bound = await stack.enter_async_context(_listening(app, host, port))
        yield Running(f"http://{f'[{host}]' if ':' in host else host}:{bound}/v1", house)


@asynccontextmanager
async def _book(
    config: Config, models: Mapping[str, tuple[Quoted, ...]], clock: Clock
) -> AsyncIterator[Book]:
    with ExitStack() as until_open:
        store = SqliteStore.open(config.ledger.path, durability=config.ledger.durability)
        until_open.callback(store.close)
        with store.transaction():
            MarketHistory.migrate(store.database)
            MarketHistory(store.database).append(past_quotes(models))
        budgets = tuple(spec.budget() for spec in config.budgets)
        book = open_book(store, budgets, clock.now_ns)
        until_open.pop_all()  # from here on the book owns the store
    try:
        yield book
    finally:
        await book.close()


@asynccontextmanager
async def _rebuilding(market: Market, clock: Clock) -> AsyncIterator[None]:
    """Keep the market's snapshot fresh."""

    async def rebuild() -> None:
        while True:
            await asyncio.sleep(REBUILD_S)
            market.rebuild(_utc(clock), clock.monotonic_s())

    task = asyncio.create_task(rebuild())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _listening(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Listen; the port that was bound. At the end, drain."""
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=CLOSE_S
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except (OSError, UnicodeError) as error:  # the second: a name that no resolver takes
            why, hint = _refusal(error)
            raise PortTaken(f"cannot listen on {host}:{port}: {why}; {hint}") from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _refusal(error: OSError | UnicodeError) -> tuple[str, str]:
    """Why an address cannot be had, and what to do."""
    code = error.errno or 0 if isinstance(error, OSError) else 0
    why = os.strerror(code) if code > 0 else str(error)  # a resolver's codes are negative
    if code == errno.EADDRINUSE:
        return why, "choose another port with --port, or stop what uses it"
    return why, "check --host and --port, or server.host and server.port"


def _providers(config: Config) -> dict[str, Provider]:
    return {
        name: Provider(
            name=name,
            base_url=one.base_url.rstrip("/"),
            api_key=one.api_key.get_secret_value() if one.api_key else None,
            max_tokens_field=one.output_limit_field,
        )
        for name, one in config.providers.items()
    }


def _utc(clock: Clock) -> datetime:
    return datetime.fromtimestamp(clock.now_ns() / 1e9, UTC)

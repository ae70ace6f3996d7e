"""The composition root: opens every part in order, and closes them in reverse."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from benchmarks.market import Market, Quoted
from benchmarks.snapshot import Listing
from hedgerow.background import beside
from hedgerow.bidding import bidding_for_minutes, bidding_for_quotas
from hedgerow.books import keep_history, leader_lock, opened_sql
from hedgerow.config import Config, Ledger
from hedgerow.duties import leading_the_books
from hedgerow.listening import base_url, bound, listening, near_url
from hedgerow.manners import classes, own_manners, ttft_limits_ms, usual_manners
from hedgerow.market.feeding import asking_feeds, first_prices, following_feeds
from hedgerow.market.grading import following_evals
from hedgerow.market.offers import quoted_offers
from hedgerow.market.probing import probing
from hedgerow.market.remembering import remembering
from hedgerow.market.sharing import sharing
from hedgerow.owning import lies_idle, owning
from hedgerow.policy_books import BookPolicy
from hedgerow.providers import providers
from hedgerow.randomness import DrawnAhead
from hedgerow.reloading import Reloading, reloading
from hedgerow.router.standing import standing
from hedgerow.web.headers import always_guarded, guarded
from hedgerow.web.report_maker import making, own_command
from hedgerow.web.routes import web_desk, web_routes
from ledger.book import Book
from ledger.desk import Times
from ledger.instants import instant
from ledger.leader import Duty, FileLock, leading
from ledger.lock import sole_server
from ledger.opening import Slot, node_of, open_book
from ledger.recovery import adopt_dead
from ledger.store import Store
from proxy.accounts import Accounts
from proxy.admin.desk import AdminDesk
from proxy.admin.routes import admin_routes, own_routes
from proxy.aiohttp_upstream import aiohttp_upstream
from proxy.batches.batch_store import BatchStore
from proxy.batches.database import Database, opened, sole_folder
from proxy.batches.file_store import FileLimits, FileStore
from proxy.batches.routes import BatchDesk
from proxy.batches.runner import Runner
from proxy.batches.timing import Timing
from proxy.clock import Clock, SystemClock
from proxy.connection import Connection
from proxy.doors import Doors
from proxy.house import House
from proxy.litellm_upstream import litellm_upstream
from proxy.replays import Replays
from proxy.server import PREFIXES, ServerLimits, admin_application, application
from proxy.upstreams import Upstreams
from routing.learned import Learned

DRAIN_S = 20.0
"""How long answers that are under way may take after SIGTERM."""
CLOSE_S = 1.0
"""How long the last bytes may take after that."""
log = logging.getLogger("hedgerow")

REBUILD_S = 0.25
"""How old a snapshot of the market gets."""


@dataclass(frozen=True, slots=True)
class Running:
    """A proxy that answers at `base_url` (ending in /v1). admin_url: where its admin API is."""

    base_url: str
    house: House
    admin_url: str


@dataclass(frozen=True, slots=True)
class Worker:
    """One of `count` that share the books and listen on the same `sockets`.

    opened_at_s: since when they serve, in seconds since 1970.
    """

    index: int
    count: int
    sockets: tuple[socket.socket, ...]
    opened_at_s: int


@asynccontextmanager
async def running(
    config: Config,
    *,
    host: str | None = None,
    port: int | None = None,
    clock: Clock | None = None,
    draws: random.Random | None = None,
    drain_s: float = DRAIN_S,
    worker: Worker | None = None,
) -> AsyncIterator[Running]:
    """Serve until the block ends; then let answers that are under way finish, `drain_s` at most.

    worker: which of several this is; whoever started them is in their `sole_place`. Without it,
    there is one.

    Raises LedgerError, MarketError, PortTaken.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        if worker is None:
            await stack.enter_async_context(sole_place(config, clock))
        prices = await asyncio.to_thread(first_prices, config, clock)
        models = quoted_offers(config, prices, instant(clock.now_ns()))
        market = Market(models, instant(clock.now_ns()), ttft_limits_ms(config))
        book = await stack.enter_async_context(_book(config, models, clock, worker))
        upstream = Upstreams(
            http=await stack.enter_async_context(aiohttp_upstream(clock)),
            litellm=await stack.enter_async_context(litellm_upstream(clock, os.environ)),
        )
        await stack.enter_async_context(_rebuilding(market, clock))
        await stack.enter_async_context(following_feeds(config, market, prices, clock))
        await stack.enter_async_context(following_evals(config.ledger, market, clock))
        called = f"{node_of(config.ledger.journals)}/{worker.index if worker else 0}"
        learned = Learned()
        draw = (draws or random.Random()).random  # noqa: S311 - spreads load, guards nothing
        duties: list[Duty] = [
            partial(leading_the_books, config, book, clock, draw),
            partial(asking_feeds, config, clock),
            partial(remembering, config.ledger, clock),
            partial(bidding_for_quotas, config.ledger, market, clock),
        ]
        address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if (probe := config.market.probe) is not None:
            asked = partial(_models, market)
            duties.append(partial(probing, probe, book, clock, draw, asked, address))
        await stack.enter_async_context(leading(leader_lock(config.ledger), *duties))
        policy = BookPolicy(book, config)
        await stack.enter_async_context(_following_files(config, policy))
        ways = providers(config, worker.count if worker else 1)
        keeping = config.idempotency
        house = House(
            book=book,
            market=market,
            learned=learned,
            upstream=upstream,
            providers=ways,
            clock=clock,
            random_bytes=DrawnAhead().take,
            opened_at_s=worker.opened_at_s if worker else _now_s(clock),
            draw=draw,
            manners=usual_manners(config),
            own_manners=own_manners(config),
            classes=classes(config),
            doors=Doors(_share(config.server.parallel_per_key, worker)),
            replays=Replays(book, clock, keep_s=keeping.keep, max_bytes=keeping.max_bytes),
            accounts=Accounts(ways),
            called=called,
        )
        stands = partial(standing, house)
        await stack.enter_async_context(
            sharing(config.ledger, called, market, learned, clock, stands)
        )
        minutes = await stack.enter_async_context(bidding_for_minutes(config.ledger, market, clock))
        await stack.enter_async_context(owning(house, minutes))
        stack.push_async_callback(house.unheard.close)
        limits = ServerLimits(
            body_bytes=config.server.max_body_bytes,
            header_bytes=config.server.max_header_bytes,
            body_timeout_s=config.server.body_timeout,
            idle_timeout_s=config.routing.idle_timeout,
            drain_s=drain_s,
        )
        host = config.server.host if host is None else host
        port = config.server.port if port is None else port
        desk = await stack.enter_async_context(_batches(config, house, drain_s))
        sockets = worker.sockets if worker else await bound(host, port)
        admin = _admin_desk(config, house, policy)
        own = [route for prefix in PREFIXES for route in own_routes(admin, prefix)]
        apart = config.server.admin
        command = own_command(config.path)
        reports = await stack.enter_async_context(
            making(config.files.path / "reports", command, clock)
        )
        pages = await asyncio.to_thread(web_desk, admin, house, config, reports)
        if apart is None:
            own += admin_routes(admin) if admin.admin_key is not None else []
            own += web_routes(pages)
        app = application(house, limits, desk, own)
        app.on_response_prepare.append(guarded)
        await stack.enter_async_context(_listening(app, house, limits, sockets))
        address.set_result(near_url(host, sockets[0].getsockname()[1]))
        admin_url = base_url(host, sockets).removesuffix("/v1")
        if apart is not None and (worker is None or worker.index == 0):
            its = await bound(apart.host, apart.port)
            app = admin_application(house, limits, [*admin_routes(admin), *web_routes(pages)])
            app.on_response_prepare.append(always_guarded)
            await stack.enter_async_context(_listening(app, house, limits, its))
            admin_url = base_url(apart.host, its).removesuffix("/v1")
        yield Running(base_url(host, sockets), house, admin_url)


@asynccontextmanager
async def sole_place(config: Config, clock: Clock) -> AsyncIterator[tuple[int, ...]]:
    """The place to serve from, for one `hedgerow serve` with all of its workers: its books and its
    files, with what a crash left there mended.

    Yields the file descriptors of its locks: who inherits them is in the place, too. Raises
    LedgerError.
    """
    with sole_server(config.ledger.place) as books_lock, sole_folder(config.files.path) as lock:
        async with opened(config.files.path) as database:
            await _files(config, database, clock).mend()
        await asyncio.to_thread(_adopt_dead, config.ledger, clock)
        yield books_lock, lock


def _adopt_dead(ledger: Ledger, clock: Clock) -> None:
    """Bring what dead workers have left in their journals into the books: there may have been more
    of them than there will be now."""
    with closing(Store(opened_sql(ledger, is_server=True))) as store:
        adopt_dead(store, ledger.journals, node_of(ledger.journals), clock.now_ns)


@asynccontextmanager
async def _book(
    config: Config,
    models: Mapping[str, tuple[Quoted, ...]],
    clock: Clock,
    worker: Worker | None,
) -> AsyncIterator[Book]:
    ledger = config.ledger
    with ExitStack() as until_open:
        store = Store(opened_sql(ledger, is_server=True))
        until_open.callback(store.close)
        if worker is None or worker.index == 0:
            keep_history(ledger, models, instant(clock.now_ns()))
        book = open_book(
            store,
            config.rules(),
            Slot(ledger.journals, 0 if worker is None else worker.index),
            Times(clock.now_ns, clock.monotonic_s, clock.sleep),
            durability=ledger.durability,
        )
        until_open.pop_all()  # from here on the book owns the store
    try:
        yield book
    finally:
        await book.close()


@asynccontextmanager
async def _batches(config: Config, house: House, drain_s: float) -> AsyncIterator[BatchDesk]:
    """Files and batches. Of all workers that share the files one runs the batches: those of this
    host, though on PostgreSQL the books may be shared by more."""
    # The first look reads the time zone from disk.
    await asyncio.to_thread(config.batches.is_off_peak, instant(house.clock.now_ns()))
    timing = Timing(
        config.batches.parallel,
        config.batches.is_off_peak,
        lambda: lies_idle(house.routing.owned, house.clock.now_ns()),
    )
    async with opened(config.files.path) as database:
        files = _files(config, database, house.clock)
        store = BatchStore(database)
        runner = Runner(
            house,
            files,
            store,
            timing,
            most_line_bytes=config.server.max_body_bytes,
            drain_s=drain_s,
        )
        lock = FileLock(config.files.path / "runner.lock")
        async with leading(lock, lambda: runner):
            yield BatchDesk(house, files, store, runner)


def _files(config: Config, database: Database, clock: Clock) -> FileStore:
    limits = FileLimits(
        max_bytes_per_file=config.files.max_bytes_per_file,
        max_bytes=config.files.max_bytes,
        idle_timeout_s=config.server.body_timeout,
    )
    return FileStore(database, config.files.path, limits, clock)


@asynccontextmanager
async def _rebuilding(market: Market, clock: Clock) -> AsyncIterator[None]:
    """Keep the market's snapshot fresh."""

    async def rebuild() -> None:
        trouble = ""
        while True:
            await asyncio.sleep(REBUILD_S)
            try:
                market.rebuild(instant(clock.now_ns()))
            except Exception as error:
                # A market that stands still for ever would be seen by nobody.
                if trouble != (trouble := repr(error)):
                    log.exception("the market stays as it was; this is a fault in Hedgerow")

    async with beside(rebuild(), "the market"):
        yield


def _models(market: Market) -> Mapping[str, tuple[Listing, ...]]:
    """What is for sale now."""
    return market.snapshot.models


def _admin_desk(config: Config, house: House, policy: BookPolicy) -> AdminDesk:
    key = config.server.admin_key
    return AdminDesk(
        books=policy,
        channels=tuple(config.notify),
        clock=house.clock,
        random_bytes=house.random_bytes,
        admin_key=None if key is None else key.get_secret_value(),
        snapshot=lambda: house.market.snapshot,
        body_timeout_s=config.server.body_timeout,
    )


@asynccontextmanager
async def _following_files(config: Config, policy: BookPolicy) -> AsyncIterator[None]:
    """Have changes of policy files act without a restart."""
    watch = await asyncio.to_thread(Reloading, config, os.environ)
    async with beside(reloading(watch, policy.follow), "the reading of policy files"):
        yield


@asynccontextmanager
async def _listening(
    app: web.Application, house: House, limits: ServerLimits, sockets: tuple[socket.socket, ...]
) -> AsyncIterator[None]:
    """Listen. At the end, drain."""
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=CLOSE_S
    )
    await runner.setup()
    server = runner.server
    if server is None:
        raise AssertionError("a runner that was set up has a server")

    def connection() -> Connection:
        return Connection(
            server,
            house,
            access_log=None,
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
        )

    try:
        servers = await listening(sockets, connection)
        try:
            yield
        finally:
            for one in servers:
                one.close()
    finally:
        await runner.cleanup()


def _share(most: int | None, worker: Worker | None) -> int | None:
    """What one worker lets a key do of what all may together: in all that, or hardly more."""
    return most if most is None or worker is None else -(-most // worker.count)


def _now_s(clock: Clock) -> int:
    return clock.now_ns() // 1_000_000_000

"""Rehearsal: a trace through the real proxy, with sandbox providers in the place of real ones.

Everything but the providers is what `serve` runs: the same configuration, router, books and HTTP.
Prices are the real ones; latencies and failures are the sandbox's, seeded, and labelled so.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp

from benchmarks.feeds.litellm import provider_of
from benchmarks.market import Quoted
from benchmarks.quotes import Quote
from benchmarks.sandbox import Behaviour, FaultRates, SandboxProvider
from benchmarks.trace import TraceRow
from hedgerow.app import Running
from hedgerow.books import books
from hedgerow.config import Config
from hedgerow.market.last_good import known_prices
from hedgerow.market.offers import quoted_offers
from hedgerow.replay import ReplayResult, replay
from ledger.audit import Audit, verify
from ledger.instants import instant
from ledger.keys import hash_of, mint
from ledger.money import Money
from ledger.requests import RequestRecord
from ledger.statements import Charged, Dimension, Spend, charged, spend
from proxy.clock import Clock, SystemClock

TIME_SCALE = 0.1
"""Sandbox providers are ten times as fast as they say: a rehearsal need not take hours."""
CONCURRENCY = 64
BLOCKED = "budget_exceeded"
"""The code of an answer that a budget refused."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the requests that succeeded cost, and would have cost, by real prices.

    spent: all that was charged, attempts that failed included. cheapest: each request at its
    cheapest eligible quote; dearest: at its dearest; first_offer: all at the first-listed offer.
    best_alone: all at the one offer that is cheapest for them together.
    """

    spent: Money
    cheapest: Money
    best_alone: Money
    first_offer: Money
    dearest: Money


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What came of a rehearsal, from the answers and from the books."""

    replayed: ReplayResult
    bounds: Bounds
    by_provider: Spend
    audit: Audit

    @property
    def blocked(self) -> int:
        return self.replayed.by_error[BLOCKED]


@asynccontextmanager
async def sandbox_instead(config: Config, seed: int) -> AsyncIterator[Config]:
    """Start a sandbox provider for each provider; the configuration that points at them."""
    async with AsyncExitStack() as stack:
        providers = {}
        for name, provider in config.providers.items():
            sold = {
                spec.model
                for model in config.models.values()
                for spec in model.offers
                if spec.provider == name
            }
            if not sold:
                continue
            server = SandboxProvider(_behaviour(name, tuple(sorted(sold)), seed))
            url = await server.start()
            stack.push_async_callback(server.close)
            # Its host is gone with its URL: what the price file calls it has to be said.
            known_as = provider.litellm_provider or provider_of(provider.base_url)
            providers[name] = provider.stand_in(url, known_as)
        yield config.replaced(providers)


def _behaviour(name: str, models: tuple[str, ...], seed: int) -> Behaviour:
    """A temperament for a provider: the same name and seed give the same one."""
    own_seed = zlib.crc32(f"{seed}/{name}".encode())
    draw = random.Random(own_seed)  # noqa: S311 - a seeded temperament is no secret
    return Behaviour(
        models=models,
        seed=own_seed,
        ttft_ms_median=draw.uniform(150, 700),
        ttft_sigma=draw.uniform(0.2, 0.5),
        inter_token_ms=draw.uniform(4, 15),
        time_scale=TIME_SCALE,
        faults=FaultRates(
            http_500=draw.uniform(0, 0.02),
            http_429=draw.uniform(0, 0.004),
            reset=draw.uniform(0, 0.004),
            cut=draw.uniform(0, 0.004),
        ),
    )


def team_key(config: Config, team: str, clock: Clock) -> str:
    """A new key of a team, in the books of a configuration."""
    secret, record = mint(clock.now_ns(), secrets.token_bytes, name="rehearsal", team=team)
    with books(config) as store, store.transaction():
        store.policy.add_key(record, hash_of(secret))
    return secret


async def rehearse(
    config: Config,
    server: Running,
    rows: Sequence[TraceRow],
    *,
    keys: Sequence[str],
    model: str,
    speedup: float,
    max_tokens: int,
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
    clock: Clock | None = None,
) -> Rehearsed:
    """Replay `rows` against `server`, which runs with `config`, and read its books afterwards.

    Books may hold earlier traffic: only the audit is over all of them. Raises StoreUnavailable when
    what was charged cannot be written into them.
    """
    clock = clock or SystemClock()
    since_ns = clock.now_ns()
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    async with aiohttp.ClientSession(connector=connector) as session:
        replayed = await replay(
            rows,
            base_url=server.base_url,
            keys=keys,
            model=model,
            session=session,
            speedup=speedup,
            concurrency=CONCURRENCY,
            max_tokens=max_tokens,
            seed=seed,
            on_progress=on_progress,
        )
    await server.house.book.folded()
    return await asyncio.to_thread(_read_books, config, model, replayed, since_ns)


def _read_books(config: Config, model: str, replayed: ReplayResult, since_ns: int) -> Rehearsed:
    at = instant(since_ns)
    quoted = quoted_offers(config, known_prices(config, at), at)[model]
    with books(config, create=False) as store:
        rows = list(charged(store.sql, since_ns=since_ns))
        return Rehearsed(
            replayed,
            _bounds(rows, quoted, replayed),
            spend(store.sql, Dimension.PROVIDER, since_ns),
            verify(store.sql),
        )


def _bounds(rows: Sequence[Charged], quoted: Sequence[Quoted], replayed: ReplayResult) -> Bounds:
    answered = {one.request_id for one in replayed.outcomes if one.succeeded}
    # The last attempt of a request is the one that answered it.
    last = {one.request_id: one for one in rows if one.request_id in answered}
    quotes = [one.quote for one in quoted if one.quote is not None]
    alone = [Money(sum(_at(quote, one) for one in last.values())) for quote in quotes]
    return Bounds(
        spent=Money(sum(one.effective for one in rows)),
        cheapest=Money(sum(_or(one.cheapest, one) for one in last.values())),
        best_alone=min(alone, default=Money(0)),
        first_offer=Money(sum(_or(one.first_offer, one) for one in last.values())),
        dearest=Money(sum(_dearest(one, quoted) for one in last.values())),
    )


def _or(amount: Money | None, one: Charged) -> Money:
    return one.effective if amount is None else amount


def _at(quote: Quote, one: Charged) -> Money:
    return quote.card(one.usage.prompt or 0, one.at_ns).charge(one.usage)


def _dearest(one: Charged, quoted: Sequence[Quoted]) -> Money:
    """The same tokens at the dearest offer whose context they fit into."""
    total = (one.usage.prompt or 0) + (one.usage.completion or 0)
    costs = [
        _at(other.quote, one)
        for other in quoted
        if other.quote is not None
        and (other.offer.context_tokens is None or total <= other.offer.context_tokens)
    ]
    return max(costs, default=one.effective)


def last_answered(config: Config, replayed: ReplayResult) -> RequestRecord | None:
    """The record of the last request that succeeded, to show how it was decided."""
    with books(config, create=False) as store:
        for outcome in reversed(replayed.outcomes):
            if outcome.succeeded and outcome.request_id is not None:
                record = store.requests.one(outcome.request_id)
                if record is not None:  # records are written behind: the last may be on its way
                    return record
    return None

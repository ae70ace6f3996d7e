"""Probing: the prober as a duty of whoever leads, with a key and a budget in the books."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import aiohttp

from benchmarks.own_api import OwnApi
from benchmarks.prober import Prober, Probing
from benchmarks.snapshot import Listing
from hedgerow.background import beside
from hedgerow.files.probe_spec import Probe
from ledger.book import Book
from ledger.errors import StoreUnavailable
from ledger.instants import instant
from ledger.keys import hash_of, label_of, mint, new_key
from ledger.limits import Limits, Whose, with_limits
from ledger.money import usd
from ledger.owners import OwnerKind
from ledger.store import Store
from ledger.tables.policy import KeyFilter
from ledger.windows import Window
from proxy.clock import Clock

log = logging.getLogger("hedgerow")

TEAM, USER, NAME = "hedgerow", "prober", "prober"
"""Whose the probes are, in the books."""
KNOWN_AFTER_S = 1.0
"""A worker takes a key that is new after at most so long."""
ANSWER_S = 60.0
"""How long a probe may take."""


def probing_of(probe: Probe) -> Probing:
    """The settings as the prober has them."""
    return Probing(
        every_s=probe.every,
        per_day=usd(probe.budget_usd_per_day),
        max_tokens=probe.max_tokens,
        prompt=probe.prompt,
    )


@asynccontextmanager
async def probing(
    probe: Probe,
    book: Book,
    clock: Clock,
    draw: Callable[[], float],
    models: Callable[[], Mapping[str, Sequence[Listing]]],
    base_url: asyncio.Future[str],
) -> AsyncIterator[None]:
    """Probe until the block ends. base_url: where this worker listens, once it does."""
    async with beside(_probing(probe, book, clock, draw, models, base_url), "the prober"):
        yield


async def _probing(
    probe: Probe,
    book: Book,
    clock: Clock,
    draw: Callable[[], float],
    models: Callable[[], Mapping[str, Sequence[Listing]]],
    base_url: asyncio.Future[str],
) -> None:
    url, settings = await asyncio.shield(base_url), probing_of(probe)
    key: str | None = None
    while key is None:
        try:
            key = await book.run(lambda store: prober_key(store, settings, clock.now_ns()))
        except StoreUnavailable as error:
            log.warning("the prober has no key yet: %s", error)
            await clock.sleep(probe.every)
    await clock.sleep(KNOWN_AFTER_S)
    async with aiohttp.ClientSession() as session:
        prober = Prober(
            api=OwnApi(session, url, key, clock.monotonic_s, ANSWER_S),
            probing=settings,
            models=models,
            monotonic_s=clock.monotonic_s,
            now=lambda: instant(clock.now_ns()),
            sleep=clock.sleep,
            draw=draw,
        )
        await prober.run()


def prober_key(store: Store, settings: Probing, at_ns: int) -> str:
    """A new secret of the prober's key, whose budget is that of the day, within a transaction.

    The key is made once. The budget is not the key's but the member's, so that no further key gets
    it again.
    """
    policy = store.policy
    whose = Whose(OwnerKind.TEAM, TEAM, user=USER)
    limits = Limits(usd=settings.per_day, window=Window.DAY)
    there = policy.limits_of(OwnerKind.TEAM, TEAM)
    policy.set_limits(OwnerKind.TEAM, TEAM, with_limits(there, whose, limits), at_ns=at_ns)
    wanted = KeyFilter(team=TEAM, user=USER, name=NAME, unrevoked_at_ns=at_ns)
    if known := policy.key_page(wanted, after="", limit=1):
        secret = new_key(secrets.token_bytes)
        policy.rotate_key(known[0].id, hash_of(secret), label_of(secret), at_ns)
        return secret
    secret, record = mint(at_ns, secrets.token_bytes, name=NAME, team=TEAM, user=USER)
    policy.add_key(record, hash_of(secret))
    return secret

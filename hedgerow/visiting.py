"""Visiting: our own HTTP for a command, with a key of its own that lasts as long as the command.

Where nobody serves, the proxy runs for that time, on loopback and on the books of the
configuration: what is spent is in them, and every budget in them holds.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp

from benchmarks.own_api import OwnApi
from hedgerow.app import Running, running
from hedgerow.books import books
from hedgerow.config import Config
from hedgerow.errors import NotReached
from hedgerow.listening import near_url
from ledger.errors import StoreInUse
from ledger.keys import hash_of, mint
from ledger.limits import KEY, Limits, Whose, budgets_for
from ledger.money import Money

KNOWN_WITHIN_S = 5.0
"""A server that runs knows a new key within a second."""
_LASTS_NS = 24 * 3600 * 1_000_000_000
_ASK_EVERY_S = 0.1
DRAIN_S = 1.0
"""How long what is under way may take when the command ends."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whose key it is, and the most that it may ever spend."""

    name: str
    team: str
    user: str | None
    most: Money


@dataclass(frozen=True, slots=True)
class Address:
    """Where a proxy serves these books already, and a key of it. None: find out, make one."""

    url: str | None = None
    key: str | None = None


@asynccontextmanager
async def visiting(config: Config, who: Visitor, address: Address) -> AsyncIterator[OwnApi]:
    """Our API, until the block ends. Raises LedgerError, NotReached.

    With a key that is given, the budgets of that key hold and `who` is not looked at.
    """
    async with _key(config, who, address) as key, _base_url(config, address) as base_url:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            await _known(session, base_url, key)
            yield OwnApi(session, base_url, key, time.monotonic)


@asynccontextmanager
async def _key(config: Config, who: Visitor, address: Address) -> AsyncIterator[str]:
    if address.key is not None:
        yield address.key
        return
    secret, key_id = await asyncio.to_thread(_make_key, config, who)
    try:
        yield secret
    finally:
        await asyncio.to_thread(_revoke, config, key_id)


@asynccontextmanager
async def _base_url(config: Config, address: Address) -> AsyncIterator[str]:
    if address.url is not None:
        yield address.url.rstrip("/")
        return
    async with AsyncExitStack() as stack:
        try:
            served = await stack.enter_async_context(_serving(config))
            url = served.base_url
        except StoreInUse:
            url = _served_at(config)
        yield url


def _serving(config: Config) -> AbstractAsyncContextManager[Running]:
    """The proxy, with nothing that only a server needs."""
    server = config.server.model_copy(update={"admin": None, "admin_key": None})
    market = config.market.model_copy(update={"probe": None})
    apart = replace(config, server=server, market=market)
    return running(apart, host="127.0.0.1", port=0, drain_s=DRAIN_S)


def _served_at(config: Config) -> str:
    """Where another process serves, which has the books open."""
    host, port = config.server.host, config.server.port
    if port == 0:
        raise NotReached("a server that took a free port has the books open: name its --url")
    return near_url(host, port)


async def _known(session: aiohttp.ClientSession, base_url: str, key: str) -> None:
    """Wait until the server knows the key. Raises NotReached."""
    headers = {"authorization": f"Bearer {key}"}
    try:
        async with asyncio.timeout(KNOWN_WITHIN_S):
            while True:
                async with session.get(f"{base_url}/models", headers=headers) as response:
                    if response.status == 200:
                        return
                await asyncio.sleep(_ASK_EVERY_S)
    except TimeoutError:
        raise NotReached(
            f"{base_url} does not take the key: is it a proxy with these books? Name its --url"
        ) from None
    except aiohttp.ClientError as error:
        raise NotReached(f"{base_url} does not answer ({error}): name the proxy's --url") from error


def _make_key(config: Config, who: Visitor) -> tuple[str, str]:
    """The secret of a new key, and its id."""
    at_ns = time.time_ns()
    secret, record = mint(
        at_ns,
        secrets.token_bytes,
        name=who.name,
        team=who.team,
        user=who.user,
        expires_at_ns=at_ns + _LASTS_NS,
    )
    own = budgets_for(Whose(KEY, record.id), Limits(usd=who.most))
    with books(config) as store, store.transaction():
        store.policy.add_key(record, hash_of(secret))
        store.policy.set_limits(KEY, record.id, own, at_ns=at_ns)
    return secret, record.id


def _revoke(config: Config, key_id: str) -> None:
    with books(config) as store, store.transaction():
        store.policy.revoke_key(key_id, time.time_ns())

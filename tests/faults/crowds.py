"""Crowds of clients over HTTP, and whether the books agree with all that they were told."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.sandbox import SandboxProvider
from hedgerow.config import Config, load_config
from ledger.audit import Audit, verify
from ledger.entries import Kind
from ledger.money import Money, usd
from ledger.statements import charged
from ledger.store import Store
from tests.hedgerow.processes import PATIENCE_S, PRICES
from tests.serving import HELLO, MODEL, make_key, read_books

MOST_TOKENS = 8
LOOK_EVERY_S = 0.1
NANOS_PER_TOKEN = tuple(1000 * one for one in PRICES["a"])
"""What the provider bills for a token of a prompt, and for one of an answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What one client was told. cost: of an answer that came whole; None otherwise.

    status: 0 if the connection broke before there was one. error: of a refusal.
    """

    status: int
    request_id: str = ""
    cost: Money | None = None
    error: dict[str, Any] = field(default_factory=dict)


@dataclass
class Crowd:
    """Clients of one key; what they were told is kept. url: where they ask, the next time."""

    http: aiohttp.ClientSession
    url: Callable[[], str]
    key: str
    replies: list[Reply] = field(default_factory=list)

    @property
    def answers(self) -> dict[str, Money]:
        """What each answer that came whole was said to cost, by its request."""
        return {one.request_id: one.cost for one in self.replies if one.cost is not None}

    @property
    def statuses(self) -> Counter[int]:
        return Counter(one.status for one in self.replies)

    async def ask(self, output_tokens: int, *, streamed: bool = False, **extra: Any) -> Reply:
        """One request."""
        body = {
            "model": MODEL,
            "messages": HELLO,
            "max_tokens": MOST_TOKENS,
            "sandbox": {"output_tokens": output_tokens},
        }
        if streamed:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        status, request_id = 0, ""
        try:
            async with self.http.post(
                f"{self.url()}/chat/completions",
                json=body | extra,
                headers={"authorization": f"Bearer {self.key}"},
            ) as response:
                status, request_id = response.status, response.headers.get("x-request-id", "")
                reply = _reply(response, await response.read())
        except (aiohttp.ClientError, ConnectionError):  # it was killed
            reply = Reply(status, request_id)
        self.replies.append(reply)
        return reply

    async def flood(self, count: int, rng: random.Random) -> Reply:
        """All ask at once. Who is refused asks again, until nothing is held by anybody.

        Returns one of the last refusals.
        """
        waiting = [rng.randint(1, MOST_TOKENS) for _ in range(count)]
        refused: list[tuple[int, Reply]] = []
        for _ in range(_MOST_ROUNDS):
            asked = [self.ask(one, streamed=one % 2 == 0) for one in waiting]
            replies = await asyncio.gather(*asked)
            odd = [one.error for one in replies if one.status not in (200, 402)]
            assert not odd, (self.statuses, odd)
            refused = [one for one in zip(waiting, replies, strict=True) if one[1].status == 402]
            assert refused, "the budget pays for all of them: it shows nothing"
            if all(reply.error["held_usd"] == 0 for _, reply in refused):
                return refused[0][1]
            waiting = [tokens for tokens, _ in refused]
        raise AssertionError(f"after {_MOST_ROUNDS} rounds something is held still: {refused[0]}")


_MOST_ROUNDS = 30


def _reply(response: aiohttp.ClientResponse, body: bytes) -> Reply:
    request_id = response.headers.get("x-request-id", "")
    if response.status != 200:
        return Reply(response.status, request_id, error=json.loads(body)["error"])
    if response.content_type == "text/event-stream":
        if not body.endswith(b"data: [DONE]\n\n"):
            return Reply(200, request_id)
        (usage,) = [
            chunk["usage"]
            for event in body.decode().split("\n\n")[:-2]
            if (chunk := json.loads(event.removeprefix("data: "), parse_float=Decimal)).get("usage")
        ]
        return Reply(200, request_id, usd(str(Decimal(usage["cost"]))))
    cost = usd(response.headers["x-hedgerow-cost-usd"])
    said = json.loads(body, parse_float=Decimal)["usage"]["cost"]
    assert usd(str(Decimal(said))) == cost
    return Reply(200, request_id, cost)


# -- the books


@dataclass(frozen=True, slots=True)
class Standing:
    """Of an account: what is spent, held and leased of its cap, in its unit."""

    budget: str
    cap: int
    posted: int
    pending: int
    leased: int

    @property
    def used(self) -> int:
        return self.posted + self.pending + self.leased


@dataclass(frozen=True, slots=True)
class Found:
    """The books, at the end. costs: of each charged request that did not get lost; lost: charged
    at their whole hold, since their worker died."""

    audit: Audit
    standings: tuple[Standing, ...]
    costs: dict[str, int]
    lost: int
    lost_nanos: int
    open_writers: int
    leases: int

    def of(self, budget: str) -> Standing:
        (found,) = [one for one in self.standings if one.budget == budget]
        return found

    @property
    def overspend(self) -> int:
        """In nano-USD, over all budgets."""
        return sum(max(0, one.used - one.cap) for one in self.standings)


def standings(config: Config, store: Store) -> tuple[Standing, ...]:
    caps = {one.name: one.budget().cap for one in config.budgets}
    rows = store.sql.execute("SELECT budget, posted, pending, leased FROM accounts").fetchall()
    return tuple(Standing(row[0], caps[row[0]], *row[1:]) for row in rows)


def found(config: Config) -> Found:
    def look(store: Store) -> Found:
        lost = store.sql.execute(
            "SELECT request_id, effective_nanos FROM entries WHERE kind = ? AND reason <> ''",
            (Kind.POSTED,),
        ).fetchall()
        names = {row[0] for row in lost}
        costs: dict[str, int] = {}
        for one in charged(store.sql):
            if one.request_id not in names:
                assert one.request_id not in costs, f"{one.request_id} was charged twice"
                costs[one.request_id] = one.effective
        writers = store.sql.execute("SELECT count(*) FROM writers WHERE is_open = 1").fetchall()
        leases = store.sql.execute("SELECT count(*) FROM leases").fetchall()
        return Found(
            verify(store.sql),
            standings(config, store),
            costs,
            len(lost),
            sum(row[1] for row in lost),
            writers[0][0],
            leases[0][0],
        )

    return read_books(config, look)


def agree(books: Found, *crowds: Crowd) -> None:
    """Nothing is held, nobody has a slice, no cap was passed, the books verify; and each answer
    that came whole is in them, once, at exactly the cost that its client was told."""
    assert books.audit.findings == ()
    assert (books.audit.open_holds, books.open_writers, books.leases) == (0, 0, 0)
    assert (books.overspend, books.audit.overrun) == (0, 0)
    for crowd in crowds:
        told = crowd.answers
        assert {name: books.costs.get(name) for name in told} == told


def billed_nanos(provider: SandboxProvider) -> int:
    """What the provider would bill us by its own count."""
    prompt, completion = NANOS_PER_TOKEN
    tally = provider.tally
    return prompt * tally.prompt_tokens + completion * tally.completion_tokens


@asynccontextmanager
async def watched(config: Config) -> AsyncIterator[None]:
    """Look again and again, while the block runs, that no budget is overdrawn, leases included."""

    def look(store: Store) -> None:
        for one in standings(config, store):
            assert one.used <= one.cap, one

    async def watch() -> None:
        while True:
            await asyncio.to_thread(read_books, config, look)
            await asyncio.sleep(LOOK_EVERY_S)

    watching = asyncio.create_task(watch())
    try:
        yield
        assert not watching.done() or watching.result() is None
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


@asynccontextmanager
async def many_connections() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(2 * PATIENCE_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        yield http


async def new_key(config: Path, **who: str) -> str:
    return await asyncio.to_thread(lambda: make_key(load_config(config, {}), **who))


REPORT: dict[str, dict[str, int]] = {}
"""The numbers of each test that has run."""


def report(name: str, books: Found, **numbers: int) -> None:
    """Print what came of a test: `pytest -s` shows it."""
    REPORT[name] = {"overspend": books.overspend, "charges": books.audit.charges} | numbers
    more = ", ".join(f"{one} {number:,}" for one, number in REPORT[name].items())
    print(f"\n{name}: overspend: {books.overspend} nano-USD ({more})")

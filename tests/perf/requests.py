"""Requests as the books see them: what one attempt holds, and what it turns out to cost."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path

from ledger.attempts import Attempt, Charge, Settlement
from ledger.book import Book, Durability
from ledger.budgets import Budget, Scope
from ledger.databases.postgres import PostgresDatabase, Server
from ledger.databases.sqlite_file import SqliteFile
from ledger.desk import Times
from ledger.measures import Measure
from ledger.money import usd
from ledger.opening import Slot, open_book
from ledger.policy import Rules
from ledger.principals import Principal
from ledger.rates import RateCard
from ledger.store import Store
from ledger.usage import TokenUsage
from ledger.windows import Window

CARD = RateCard.of(Decimal("0.15"), Decimal("0.60"))
USAGE = TokenUsage(212, 20)
COST = CARD.charge(USAGE)
CHARGE = Charge(COST, COST, COST, COST, COST, COST)
KEYS = tuple(Principal(f"key_{n}", team="bench", user=f"user{n}") for n in range(20))
BUDGETS = (
    Budget("everyone", Scope(), Window.MONTH, "UTC", usd(1_000_000)),
    Budget("team", Scope(team="bench"), Window.MONTH, "UTC", usd(500_000)),
    Budget("user", Scope(user="*"), Window.DAY, "UTC", usd(10_000)),
    Budget("rpm", Scope(key="*"), Window.MINUTE, "UTC", 10**9, Measure.REQUESTS),
)
"""Three nested ones, and so many requests in a minute."""


def attempt(number: int) -> Attempt:
    at_ns = time.time_ns()
    request_id = f"req_{at_ns // 1_000_000:012x}{number:016x}"
    return Attempt(
        id=f"{request_id}.1",
        request_id=request_id,
        at_ns=at_ns,
        principal=KEYS[number % len(KEYS)],
        model="gpt-4o-mini",
        provider=f"u{number % 3}",
        upstream_model="gpt-4o-mini",
        rates=CARD,
        streamed=False,
        worst_case=usd("0.001"),
        most_tokens=500,
    )


def settlement() -> Settlement:
    return Settlement(time.time_ns(), USAGE, CARD, CHARGE, False, 201.5, 903.25)


def opened_store(url: str) -> Store:
    """The books at a URL."""
    if url.startswith("sqlite:///"):
        return Store(SqliteFile.open(Path(url.removeprefix("sqlite:///"))))
    return Store(PostgresDatabase.open(Server(url)))


def opened_book(
    url: str, journals: Path, number: int = 0, durability: Durability = "process"
) -> Book:
    """A worker's books. Needs a running loop."""
    times = Times(time.time_ns, time.monotonic, asyncio.sleep)
    return open_book(
        opened_store(url),
        Rules(BUDGETS),
        Slot(journals, number),
        times,
        durability=durability,
    )

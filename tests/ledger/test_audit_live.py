"""Books that are being written are verified at any moment: the audit raises no wrong alarm."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

from ledger.audit import Audit, verify
from ledger.book import Book
from ledger.budgets import EACH, Budget, Scope
from ledger.desk import Times
from ledger.measures import Measure
from ledger.opening import Slot, open_book
from ledger.policy import Rules
from ledger.principals import Principal
from ledger.retention import Limits, retire
from ledger.statements import Head, heads
from ledger.store import Store
from ledger.windows import Window, window_of
from tests.ledger.databases import Books
from tests.ledger.entries import NOW_NS, attempt, settlement

DAY_NS = 86_400_000_000_000
REQUESTS = 240
AT_ONCE = 12

RULES = Rules(
    (
        Budget("all", Scope(), Window.MONTH, "UTC", 10**9),
        Budget("teams", Scope(team=EACH), Window.DAY, "UTC", 10**6, Measure.TOKENS),
        Budget("models", Scope(model=EACH), window_of("rolling:24h"), "UTC", 10**8),
        Budget("each", Scope(user=EACH), Window.LIFETIME, "UTC", 10**4, Measure.REQUESTS),
        Budget("rpm", Scope(user=EACH), Window.MINUTE, "UTC", 10**4, Measure.REQUESTS),
        Budget("at-once", Scope(), Window.LIFETIME, "UTC", 50, Measure.PARALLEL),
    )
)


async def ask(book: Book, number: int, draw: Random) -> None:
    """One request, a second after the one before; a few go wrong, a few cost more than was held."""
    who = Principal(f"key_{number % 3}", team=f"team{number % 2}", user=f"user{number % 5}")
    at_ns = NOW_NS + number * 1_000_000_000
    made = replace(
        attempt(f"req_{at_ns // 1_000_000:012x}{number:016x}", 100, who, at_ns=at_ns),
        most_tokens=100,
        model=f"model{number % 4}",
    )
    is_batch = number % 10 == 0
    if is_batch:
        made = replace(made, batch="batch_1")
        (hold,) = await book.stored.hold_all([made])
    else:
        hold = await book.hold(made)
    await asyncio.sleep(0)
    match draw.randrange(5):
        case 0:
            await book.void(hold, "not connected")
        case 1:
            await book.post(hold, settlement(150, at_ns=at_ns + 1))
        case _ if is_batch and draw.random() < 0.3:
            pass  # its job goes on at the provider
        case _:
            await book.post(hold, settlement(draw.randrange(100), prompt=7, at_ns=at_ns + 1))


async def test_an_audit_beside_a_server(books: Books, tmp_path: Path) -> None:
    """While requests are admitted, leased, folded and posted, each audit finds nothing, and each
    head that was given lies on its chain in the end. Retention goes on beside them."""
    server, reader, old = [await asyncio.to_thread(books.open) for _ in range(3)]
    times = Times(lambda: NOW_NS, time.monotonic, asyncio.sleep)
    book = open_book(Store(server), RULES, Slot(tmp_path / "journals"), times)
    draw = Random(4)
    audits: list[Audit] = []
    known: list[Head] = []
    done = asyncio.Event()

    async def watch() -> None:
        while not done.is_set():
            known.extend(await asyncio.to_thread(heads, reader))
            audits.append(await asyncio.to_thread(verify, reader, known))

    async def serve() -> None:
        numbers = iter(range(REQUESTS))

        async def worker() -> None:
            for number in numbers:
                await ask(book, number, draw)

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        done.set()

    with closing(reader), closing(old):
        try:
            await asyncio.gather(serve(), watch())
            await asyncio.to_thread(retire, old, Limits(NOW_NS + DAY_NS), 7)
            audits.append(await asyncio.to_thread(verify, reader))
        finally:
            await book.close()
        audits.append(await asyncio.to_thread(verify, reader, known))
        await asyncio.to_thread(retire, old, Limits(NOW_NS + DAY_NS), 7)
        audits.append(await asyncio.to_thread(verify, reader, known))
    assert [one.findings for one in audits] == [()] * len(audits)
    assert [one.attempts + one.retired for one in audits[-2:]] == [REQUESTS, REQUESTS]
    assert audits[-1].retired == REQUESTS - audits[-1].open_holds

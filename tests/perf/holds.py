"""Holds: what an admission and a charge cost in memory, in the journal, and on the disk."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ledger.allowances import allowance
from ledger.attempts import Attempt, Settlement
from ledger.book import Book
from ledger.budgets import accounts_of
from ledger.desk import Times
from ledger.draws import Draw
from ledger.entries import Drawn
from ledger.following import read_policy
from ledger.journal import START, Journal
from ledger.journal_records import encode, held_of, posted_of
from ledger.money import MAX_NANOS
from ledger.policy import Rules
from tests.ledger.owned import commitment
from tests.perf.meter import resident_mib
from tests.perf.requests import BUDGETS, attempt, opened_book, opened_store, settlement

PAIRS = 2_000
"""Of hold and post in one run."""
RUNS = 15
OPEN_HOLDS = 15_000
SYNCED = 320


def rows() -> Iterator[tuple[str, ...]]:
    """What it was, and the µs for each: the least, the median and the most."""
    in_memory, with_journal, drawn = asyncio.run(_holding())
    yield _row("hold + post, journal left out", in_memory)
    yield _row("hold + post", with_journal)
    yield _row("hold + post of a draw", drawn)
    hold_us, end_us, hold_bytes, end_bytes = _appending()
    yield _row(f"journal: append a hold of {hold_bytes} bytes", hold_us)
    yield _row(f"journal: append an end of {end_bytes} bytes", end_us)
    for together in (1, 32):
        synced = asyncio.run(_synced(together))
        yield _row(f"hold + post on disk, {together} together (wall)", synced)
    kib = asyncio.run(_open_kib())
    yield (f"memory of an open hold: {kib:.2f} KiB", "", "", "", "")


def _row(what: str, runs: list[float]) -> tuple[str, ...]:
    middle = statistics.median(runs)
    shown = (f"{one:.1f} µs" for one in (min(runs), middle, max(runs)))
    return (what, *shown, f"{1e6 / middle:,.0f}")


def _each_us(call: Callable[[], object], count: int) -> float:
    """Of this thread's CPU: others may have the machine meanwhile."""
    began = time.thread_time_ns()
    for _ in range(count):
        call()
    return (time.thread_time_ns() - began) / count / 1000


def _pairs(count: int) -> list[tuple[Attempt, Settlement]]:
    return [(attempt(number), settlement()) for number in range(count)]


def _drawing_pairs(count: int) -> list[tuple[Attempt, Settlement]]:
    """Of attempts that are served from what is owned."""
    its = allowance(commitment(ends_ns=MAX_NANOS, capacity_units=10**9), time.time_ns())
    draw = Draw(its, 1000)
    return [(replace(one, draw=draw), end) for one, end in _pairs(count)]


async def _each_pair_us(book: Book, pairs: list[tuple[Attempt, Settlement]]) -> float:
    """The loop is not left meanwhile, so that nothing else of the books runs."""
    began = time.thread_time_ns()
    for one, end in pairs:
        more = () if one.draw is None else one.draw.accounts
        await book.post(await book.hold(one, more), end)
    return (time.thread_time_ns() - began) / len(pairs) / 1000


# -- in memory


class _NoJournal(Journal):
    """Takes every record, and writes none."""

    def append(self, data: bytes, *, keep_free: int = 0) -> None:
        pass


def _without_journal(folder: Path) -> Book:
    journal = _NoJournal.open(folder / "none")
    journal.begin(START)
    store, rules = opened_store(f"sqlite:///{folder}/none.db"), Rules(BUDGETS)
    with store.transaction():
        writer_id, place = store.writers.open("none", time.time_ns())
        store.writers.move(writer_id, place, journal.tail, time.time_ns())
        policy = read_policy(store, rules, time.time_ns())
    return Book(
        *(store, journal, writer_id, journal.tail, policy, rules),
        durability="process",
        times=Times(time.time_ns, time.monotonic, asyncio.sleep),
    )


async def _holding() -> tuple[list[float], list[float], list[float]]:
    """Without a journal and with one, and of draws with one, in turns: what else the machine does
    hurts all alike."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        books = (
            _without_journal(folder),
            opened_book(f"sqlite:///{folder}/books.db", folder / "journals"),
        )
        ways = ((books[0], _pairs), (books[1], _pairs), (books[1], _drawing_pairs))
        found: tuple[list[float], list[float], list[float]] = ([], [], [])
        for round_number in range(RUNS + 1):
            for (book, pairs), runs in zip(ways, found, strict=True):
                each_us = await _each_pair_us(book, pairs(PAIRS))
                if round_number:  # the first takes the slices
                    runs.append(each_us)
                await book.folded()
        for book in books:
            await book.close()
        return found


async def _open_kib() -> float:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        book = opened_book(f"sqlite:///{folder}/books.db", folder / "journals")
        for one, end in _pairs(PAIRS):
            await book.post(await book.hold(one), end)
        before_mib = resident_mib()
        holds = [await book.hold(attempt(number)) for number in range(OPEN_HOLDS)]
        kib = (resident_mib() - before_mib) * 1024 / OPEN_HOLDS
        await book.void_all(holds, "bench")
        await book.close()
        return kib


# -- on disk


def _appending() -> tuple[list[float], list[float], int, int]:
    """A hold and its end, each as bytes: µs in the journal, and how many bytes."""
    one, end = attempt(1), settlement()
    accounts = accounts_of(BUDGETS, one.subject, datetime.now(UTC))
    held = held_of(one, accounts)
    drawn = [Drawn(account.key, 0, end.spends(one, account.measure)) for account in accounts]
    holds, ends = encode(held), encode(posted_of(one, end, drawn))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        journal = Journal.open(Path(name))
        journal.begin(START)
        hold_us = [_each_us(lambda: journal.append(holds), PAIRS) for _ in range(RUNS)]
        end_us = [_each_us(lambda: journal.append(ends), PAIRS) for _ in range(RUNS)]
        journal.close(remove=True)
    return hold_us, end_us, len(holds), len(ends)


async def _synced(together: int) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        book = opened_book(f"sqlite:///{folder}/books.db", folder / "journals", durability="disk")

        async def pair(number: int) -> None:
            await book.post(await book.hold(attempt(number)), settlement())

        runs = []
        for _ in range(5):
            began = time.perf_counter()
            for first in range(0, SYNCED, together):
                await asyncio.gather(*(pair(first + n) for n in range(together)))
            runs.append((time.perf_counter() - began) / SYNCED * 1e6)
        await book.close()
        return runs

"""Folds: how fast a full journal gets into the store, and how long a slice of a budget takes."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from ledger.budgets import accounts_of
from ledger.tables.leases import Want
from tests.ledger.databases import Postgres
from tests.perf.meter import Meter, resident_mib
from tests.perf.requests import BUDGETS, attempt, opened_book, opened_store, settlement

REQUESTS = 200_000
GRANTS = 500
WORKERS = 4
WORKERS_S = 3.0


def rows(requests: int = REQUESTS) -> Iterator[tuple[str, ...]]:
    """On each store, what it was and how fast."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with closing(Postgres(folder)) as server:
            for store in ("SQLite", "PostgreSQL"):
                urls = [
                    f"sqlite:///{folder}/{number}.db" if store == "SQLite" else server.new()
                    for number in range(3)
                ]
                fold = asyncio.run(_folding(urls[0], folder / f"{store}-fold", requests))
                yield (store, f"fold {requests:,} requests", *fold)
                yield (store, "grant of 4 slices", *_granting(urls[1]))
                each, folded = _working(urls[2], folder / f"{store}-workers")
                beside = f"{min(each):,.0f} to {max(each):,.0f} of each; {folded:,.0f}/s folded"
                yield (store, f"{WORKERS} workers", f"{sum(each):,.0f} admissions/s", beside)


async def _folding(url: str, journals: Path, requests: int) -> tuple[str, str]:
    """Requests that ended while the fold had no turn, until all of them are in the store."""
    book = opened_book(url, journals)
    for number in range(requests):
        await book.post(await book.hold(attempt(number)), settlement())
    meter = Meter()
    before_mib = resident_mib()
    await book.folded()
    took = meter.read()
    await book.close()
    each_us = took.cpu_s / requests * 1e6
    return (
        f"{requests / took.wall_s:,.0f} entries/s",
        f"{each_us:.1f} µs of CPU each, {took.peak_mib - before_mib:.1f} MiB more memory",
    )


def _granting(url: str) -> tuple[str, str]:
    """One transaction with a slice of each of an attempt's accounts."""
    with closing(opened_store(url)) as store:
        with store.transaction():
            writer_id, _ = store.writers.open("bench", time.time_ns())
        accounts = accounts_of(BUDGETS, attempt(0).subject, datetime.now(UTC))
        wants = [Want(one, 1, 1) for one in accounts]
        each_us = []
        for _ in range(GRANTS):
            began = time.perf_counter()
            with store.transaction():
                store.leases.grant(writer_id, wants, time.time_ns())
            each_us.append((time.perf_counter() - began) * 1e6)
        *_, p99_us = statistics.quantiles(each_us, n=100)
        return (f"{statistics.median(each_us):,.0f} µs", f"p99 {p99_us:,.0f} µs")


def _working(url: str, journals: Path) -> tuple[list[float], float]:
    """Admissions/s of each of several processes; and of all, until they are in the store."""
    opened_store(url).close()
    workers = [
        subprocess.Popen(
            (
                *(sys.executable, "-m", "tests.perf.worker"),
                *(url, str(journals), str(number), str(WORKERS_S)),
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(WORKERS)
    ]
    for one in workers:
        assert one.stdout is not None
        one.stdout.readline()  # it is ready
    began = time.perf_counter()
    for one in workers:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    done = [int(one.communicate()[0]) for one in workers]
    took_s = time.perf_counter() - began
    return [one / WORKERS_S for one in done], sum(done) / took_s

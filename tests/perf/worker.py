"""One of several workers on one store: it holds and posts for a while, says how often, and folds
that.

`python -m tests.perf.worker URL JOURNALS NUMBER SECONDS`
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from ledger.errors import StoreUnavailable
from tests.perf.requests import attempt, opened_book, settlement

TOGETHER = 16
"""How many it admits before the rest of the loop has its turn."""


async def _work(url: str, journals: Path, number: int, seconds: float) -> None:
    book = opened_book(url, journals, number)
    print("ready", flush=True)
    sys.stdin.readline()
    done, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        for _ in range(TOGETHER):
            await book.post(await book.hold(attempt(number * 10**9 + done)), settlement())
            done += 1
        await asyncio.sleep(0)
    print(done, flush=True)
    while True:
        try:
            await book.folded()
        except StoreUnavailable:  # the others have it
            continue
        break
    await book.close()


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))

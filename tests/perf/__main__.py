"""`make bench`: the speed of our own code. Read the ratios: the machine is whatever it is.

`python -m tests.perf [PART …] [--rows N]`: the parts are `chat` (the proxy), `parts` (of a
request), `holds` (admissions in memory, the journal), `folds` (into the store), `books` (of N
entries: statements, the audit, retention), `pages` (of the dashboard, before N entries), `packet`
(reports of a month of N requests), `hedged` (second offers where tails are heavy) and `hedge`
(contracts over twelve months).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from hedgerow.printing import table
from tests.perf import books, chat, folds, hedge, holds, packet, pages, parts, second_offers

BOOKS_ROWS = 200_000
"""A few seconds; `--rows 10000000` takes some minutes, and 7 GB of disk."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.perf")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(_PARTS))
    parser.add_argument("--rows", type=int, default=BOOKS_ROWS, help="entries of `books`, `pages`")
    asked = parser.parse_args()
    unknown = [one for one in asked.parts if one not in _PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]}: take of {', '.join(_PARTS)}")
    print(f"Python {sys.version.split()[0]}")
    for one in asked.parts or _PARTS:
        print(flush=True)
        _PARTS[one](asked.rows)


def _parts(_: int) -> None:
    _show("Parts of a request, in this process:", ("part", "each"), parts.measure())


def _holds(_: int) -> None:
    heads = ("holds: 3 nested budgets, and rpm", "least", "median", "most", "per s")
    _show("Admissions; µs of this thread's CPU:", heads, list(holds.rows()))


def _folds(_: int) -> None:
    heads = ("store", "what", "how fast", "beside")
    _show("From the journal into the store:", heads, list(folds.rows()))


def _hedged(_: int) -> None:
    heads = ("second offers", "TTFT p50 ms", "p95", "p99", "p99.9", "asked", "won", "µUSD each")
    _show("Heavy tails, with and without a second offer:", heads, list(second_offers.rows()))


def _hedge(_: int) -> None:
    heads = ("12 months, 300 scenarios, 24 blocks", "wall", "gap", "expected USD")
    _show("Contracts to hold: 3 classes, 3 pools at 4 terms:", heads, list(hedge.rows()))


def _books(count: int) -> None:
    heads = (f"{count:,} entries, SQLite", "wall", "CPU", "entries/s", "memory")
    _show("The books at scale:", heads, list(books.rows(count)))


def _pages(count: int) -> None:
    before = os.environ.get(pages.GIVEN_BOOKS) or f"{count:,} entries, SQLite"
    heads = (f"page, {before}", "median", "slowest", "bytes")
    _show("The dashboard:", heads, list(pages.rows(count)))


def _packet(count: int) -> None:
    heads = (f"{count:,} requests in the month", "wall", "CPU", "bytes")
    _show("A month's packet for finance:", heads, list(packet.rows(count)))


def _show(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"{title}\n\n{table(heads, rows)}", flush=True)


_PARTS: dict[str, Callable[[int], None]] = {
    "parts": _parts,
    "holds": _holds,
    "folds": _folds,
    "books": _books,
    "pages": _pages,
    "packet": _packet,
    "hedged": _hedged,
    "hedge": _hedge,
    "chat": lambda _: chat.show(),
}

if __name__ == "__main__":
    main()

"""What goes to PostgreSQL and comes from it, as SQLite would have it.

A row is the same: whole numbers are int, truth is 0 or 1.
"""

from __future__ import annotations

from functools import lru_cache

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg.types.numeric import Int8Dumper


class _NumberLoader(Loader):
    """A sum of whole numbers is a whole number; a mean is a float, as in SQLite."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else float(text)


class _TruthLoader(Loader):
    def load(self, data: Buffer) -> int:
        return int(bytes(data) == b"t")


def _adapters() -> AdaptersMap:
    adapters = AdaptersMap(psycopg.adapters)
    for kind in (int, bool):  # one type for all: a statement is prepared once, sums do not overflow
        adapters.register_dumper(kind, Int8Dumper)
    adapters.register_loader("numeric", _NumberLoader)
    adapters.register_loader("bool", _TruthLoader)
    return adapters


class _Context:
    """What psycopg takes adapters from."""

    adapters = _adapters()
    connection = None


AS_SQLITE = _Context()


@lru_cache(maxsize=1024)
def numbered(statement: str) -> str:
    """`?` as PostgreSQL's `$1`, `$2`, but within quotes and comments."""
    parts, number = [], 0
    inside = ""
    for at, sign in enumerate(statement):
        if inside:
            inside = "" if sign == inside else inside
        elif sign in "'\"":
            inside = sign
        elif sign == "-" and statement[at : at + 2] == "--":
            inside = "\n"
        elif sign == "?":
            number += 1
            parts.append(f"${number}")
            continue
        parts.append(sign)
    return "".join(parts)

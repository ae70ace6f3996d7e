"""What makes a report again: its command, what it read, and the versions that computed it."""

from __future__ import annotations

import hashlib
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

from hedgerow.reports.document import Reproduction
from ledger.databases.sql import Sql
from ledger.instants import instant
from ledger.statements import heads_until

_COMPUTES = ("hedgerow", "matplotlib", "numpy", "reportlab", "scipy", "xlsxwriter")


def reproduction(
    sql: Sql,
    config: Path,
    what: str,
    month: date,
    at_ns: int,
    until_ns: int,
    seeds: tuple[tuple[str, int], ...] = (),
    inputs: tuple[tuple[str, str], ...] = (),
) -> Reproduction:
    """what: `hedge` or `spend`. until_ns: up to when entries were read. inputs: what else was, and
    its hash. Raises OSError if the configuration cannot be read any more."""
    heads = heads_until(sql, until_ns)
    return Reproduction(
        command=(
            f"hedgerow report {what} -c {config.name} --month {month:%Y-%m}"
            f" --at {instant(at_ns):%Y-%m-%dT%H:%M:%S} -o {what}-{month:%Y-%m}.html"
        ),
        inputs=(
            (config.name, hashlib.sha256(config.read_bytes()).hexdigest()),
            *((f"{one.writer}, {one.seq:,} entries", one.hash.hex()) for one in heads),
            *inputs,
        ),
        versions=(
            ("python", platform.python_version()),
            *((name, version(name)) for name in _COMPUTES),
        ),
        seeds=seeds,
    )

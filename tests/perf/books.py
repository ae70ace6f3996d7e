"""The books at scale: how long statements, the audit and retention take over so many entries."""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ledger.audit import verify
from ledger.databases.sqlite_file import SqliteFile
from ledger.rates import RateCard
from ledger.retention import Limits, retire
from ledger.statements import Dimension, spend
from ledger.tables import outlines
from ledger.tables.ddl import ENTRY_7, ROLLUP_STEPS_S
from tests.perf.meter import Meter

TEAMS, KEYS, MODELS, PROVIDERS, WRITERS, DAYS = 50, 500, 20, 5, 4, 90
RETIRED_DAYS = 9
SINCE_NS = 1_767_225_600_000_000_000
"""2026-01-01."""
_DAY_NS = 86_400_000_000_000
_STEPS_NS = tuple(step_s * 1_000_000_000 for step_s in ROLLUP_STEPS_S)


def rows(count: int) -> Iterator[tuple[str, ...]]:
    """What was asked of books of so many entries: its wall time, CPU time, rate and memory."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "books.db"
        yield _row("make them, elsewhere", count, partial(_made, path, count))
        with closing(SqliteFile.open(path)) as books:
            for by in (Dimension.TEAM, Dimension.USER, Dimension.DAY, Dimension.TAG):
                yield _row(f"spend by {by}", count, partial(spend, books, by))
            day = SINCE_NS + 30 * _DAY_NS
            month = (day + 1, day + 30 * _DAY_NS)  # its first edge lies within a quarter
            yield _row(
                "spend by team, 30 days", count, partial(spend, books, Dimension.TEAM, *month)
            )
            yield _row("verify", count, partial(_verify, books))
            old = count * RETIRED_DAYS // DAYS
            limits = Limits(entries_ns=SINCE_NS + RETIRED_DAYS * _DAY_NS)
            yield _row("retire a tenth", old, partial(retire, books, limits))
            yield _row("verify the rest", count - old, partial(_verify, books))
        yield (f"{path.stat().st_size / count:,.0f} bytes of file per entry", "", "", "", "")


def _row(what: str, count: int, call: Callable[[], object]) -> tuple[str, ...]:
    meter = Meter()
    call()
    took = meter.read()
    per_second = f"{count / took.wall_s:,.0f}"
    return (
        *(what, f"{took.wall_s:.3f} s", f"{took.cpu_s:.3f} s"),
        *(per_second, f"{took.peak_mib:.0f} MiB"),
    )


def _made(path: Path, count: int) -> None:
    """By a process of its own: its memory is not that of who asks."""
    maker = get_context("spawn").Process(target=make, args=(path, count))
    maker.start()
    maker.join()
    assert maker.exitcode == 0


def _verify(books: SqliteFile) -> None:
    found = verify(books)
    assert found.verified, found.findings[:5]


def make(path: Path, count: int) -> None:
    """Entries of all keys at every model and provider, at random, evenly over the days."""
    with closing(SqliteFile.open(path)) as books:
        conn = books.database.conn
        for pragma in (
            "journal_mode = OFF",
            "synchronous = OFF",
            "foreign_keys = OFF",
            "cache_size = -500000",
        ):
            conn.execute(f"PRAGMA {pragma}")
        conn.execute("BEGIN")
        cards = [RateCard.of(Decimal(n), Decimal(2 * n)) for n in range(1, MODELS + 1)]
        conn.executemany(
            f"INSERT INTO rate_cards VALUES ({', '.join('?' * 10)})",
            [(one.version, *one.row) for one in cards],
        )
        keys = list(_subjects())
        conn.executemany(
            f"INSERT INTO subjects VALUES ({', '.join('?' * 12)})",
            [
                (number, _text(one), *one[:5], _text(one[5]), *one[6:])
                for number, one in enumerate(keys, start=1)
            ],
        )
        accounts = [("team", "usd", f"team=team{n:02}", "lifetime", 0) for n in range(TEAMS)]
        for number, account in enumerate(accounts, start=1):
            conn.execute("INSERT INTO accounts VALUES (?,?,?,?,?,?,0,0,0)", (number, *account))
            conn.execute("INSERT INTO draws VALUES (?, ?)", (number, f"[{number}]"))
        rows = _entries(count, [_text(one) for one in keys], accounts, cards)
        conn.executemany(f"INSERT INTO entries ({ENTRY_7}) VALUES ({', '.join('?' * 34)})", rows)
        conn.executemany(
            f"INSERT INTO requests VALUES ({', '.join('?' * 13)})", _requests(count, keys)
        )
        for number in range(1, WRITERS + 1):
            conn.execute(
                "INSERT INTO writers SELECT ?, ?, 0, 0, count(*), (SELECT hash FROM entries"
                " WHERE writer_id = ? ORDER BY seq DESC LIMIT 1), 0, 0 FROM entries"
                " WHERE writer_id = ?",
                (number, f"w{number}", number, number),
            )
        conn.execute(
            "UPDATE accounts SET posted ="
            " (SELECT sum(effective_nanos) FROM entries WHERE draws_id = accounts.id)"
        )
        for step_ns in _STEPS_NS:
            conn.execute(
                "INSERT INTO rollups SELECT ?, at_ns / ? * ?, subject_id, count(*),"
                " sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens),"
                " sum(cache_write_tokens), sum(reasoning_tokens), sum(billed_nanos),"
                " sum(effective_nanos), sum(contracted_nanos), sum(list_nanos),"
                " sum(first_offer_nanos), sum(cheapest_nanos), sum(overrun_nanos), sum(estimated)"
                " FROM entries GROUP BY 2, 3",
                (step_ns // 1_000_000_000, step_ns, step_ns),
            )
        outlines.fill(books)
        conn.execute("COMMIT")


def _subjects() -> Iterator[tuple[Any, ...]]:
    for key in range(KEYS):
        for model in range(MODELS):
            for provider in range(PROVIDERS):
                who = ("acme", f"team{key % TEAMS:02}", None, f"user{key}", f"key{key}")
                where = (f"model{model}", f"provider{provider}", f"upstream-model{model}", None)
                yield (*who, [f"tag{key % 7}"], *where)


def _entries(
    count: int, subjects: list[str], accounts: Sequence[tuple[Any, ...]], cards: list[RateCard]
) -> Iterator[tuple[Any, ...]]:
    draw = random.Random(7)
    heads, seqs = [bytes(32)] * WRITERS, [0] * WRITERS
    drawn = [_text([one]) for one in accounts]
    choose, noise = draw.randrange, draw.random
    for number in range(count):
        at_ns = SINCE_NS + number * DAYS * _DAY_NS // count
        subject, writer = choose(len(subjects)), choose(WRITERS)
        model, team = subject // PROVIDERS % MODELS, subject // (MODELS * PROVIDERS) % TEAMS
        prompt, completion = choose(4000), choose(1000)
        cost = (prompt + 2 * completion) * (model + 1) * 1000
        attempt = f"req_{at_ns // 1_000_000:012x}{number:016x}"
        facts = (attempt, attempt, at_ns, at_ns + 10**9, "posted", "")
        rest = (
            *(cards[model].version, 1, None, prompt, completion, 0, 0, 0, None),
            *(cost, cost, cost, cost, cost, cost, cost + 1000, 0, 5000),
            *(prompt + completion, 1, 0, 200 + noise(), 900 + noise()),
        )
        row = _text((*facts, subjects[subject], drawn[team], *rest)).encode()
        heads[writer] = hashlib.sha256(heads[writer] + row).digest()
        seqs[writer] += 1
        yield (*facts, subject + 1, team + 1, *rest, writer + 1, seqs[writer], heads[writer])


def _requests(count: int, subjects: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """What each entry was asked by; one in a hundred more were refused by a budget."""
    draw = random.Random(8)
    for number in range(count):
        at_ns = SINCE_NS + number * DAYS * _DAY_NS // count
        _, team, _, user, key, _, model, *_ = subjects[draw.randrange(len(subjects))]
        who = (key, team, user, model)
        request_id = f"req_{at_ns // 1_000_000:012x}{number:016x}"
        yield (request_id, at_ns, *who, "answered", 200, 1, None, None, None, None)
        if number % 100 == 0:
            refused = ("budget_exceeded", 402, 0, 10**7)
            yield (f"{request_id}x", at_ns, *who, *refused, None, None, None)


def _text(value: object) -> str:
    return _encode(value)


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

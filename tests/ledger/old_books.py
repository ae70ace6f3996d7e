"""Books of version 6 with generated rows, by plain SQL: what `m007` has to bring over."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from sqlite_utils import Database

from ledger.databases.schema import APPLICATION_ID, PRICES, migrations
from ledger.errors import UsageUnknown
from ledger.rates import RateCard
from ledger.usage import TokenUsage, Unit

NOW_NS = 1_773_500_966_000_000_000
HOUR_NS = 3600 * 10**9
OLD_TABLES = (
    "rate_cards",
    "accounts",
    "holds",
    "hold_accounts",
    "dispatches",
    "resolutions",
    "usage",
    "keys",
    "budgets",
    "policy_version",
    "requests",
    "idempotency_keys",
)
CARDS = (
    RateCard.of(Decimal(1), Decimal("2.5")),
    RateCard.of(Decimal("0.03"), Decimal("0.6"), Decimal("0.003"), Decimal("0.04")),
    RateCard.of(Decimal(0), Decimal(0), unit=Decimal("0.0004"), per=Unit.IMAGE),
)


def make_old_books(path: Path, draw: random.Random, attempts: int, *, lost: bool = True) -> None:
    """Consistent books: posted, voided, expired and open holds, those of batches, those that may
    expire, and (if `lost`) those that a dead worker left."""
    with closing(sqlite3.connect(path)) as conn:
        migrations.apply(Database(conn))
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        conn.executemany(
            f"INSERT INTO rate_cards (version, {PRICES}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(card.version, *card.row[:7]) for card in CARDS],
        )
        accounts = [
            (
                number,
                draw.choice(["all", "teams", "ünï"]),
                f"team={number}",
                "month",
                draw.choice([0, NOW_NS]),
            )
            for number in sorted(draw.sample(range(1, 40), draw.randint(1, 6)))
        ]
        conn.executemany(
            "INSERT INTO accounts (id, budget, member, time_window, window_start_ns)"
            " VALUES (?, ?, ?, ?, ?)",
            accounts,
        )
        for number in range(attempts):
            _attempt(conn, draw, number, [one[0] for one in accounts], lost=lost)
        conn.execute(
            "INSERT INTO keys VALUES ('key_1', x'00ff', 'sk…1', 'ci', NULL, 'red', NULL, 'ada',"
            """ '["a"]', NULL, 1, NULL, NULL)"""
        )
        conn.execute("INSERT INTO budgets VALUES ('b', '{}', 'month', 'UTC', 5, 1)")
        conn.execute(
            "INSERT INTO requests VALUES ('req_1', 1, 'key_1', 'red', 'ada', 'llama', 'answered',"
            " 200, 1, NULL, '{}', NULL)"
        )
        conn.execute("INSERT INTO idempotency_keys VALUES ('key_1', 'k', x'00', 'req_1', 1)")
        conn.commit()


def _attempt(
    conn: sqlite3.Connection, draw: random.Random, number: int, accounts: list[int], *, lost: bool
) -> None:
    at_ns = NOW_NS + draw.randint(-50, 50) * HOUR_NS + number
    attempt_id = f"req_{at_ns // 10**6:012x}{draw.getrandbits(64):016x}.1"
    who = (
        *(draw.choice([None, "acme"]), draw.choice([None, "red", "blue"]), None),
        *(draw.choice(["ada", "bób", None]), draw.choice(["key_1", "key_2"])),
        json.dumps(draw.choice([[], ["x"], ["é", "x"], ['"', "?"]])),
        *("llama", draw.choice(["acme", "zenith"]), "llama-big"),
        draw.randint(0, 1),
    )
    account, amount = draw.choice([None, "ours-2"]), draw.randint(0, 10**6)
    batch, expires = draw.choice([None, None, None, "batch_1"]), None
    if draw.random() < 0.3:
        expires = at_ns + HOUR_NS
    card = draw.choice(CARDS)
    conn.execute(
        "INSERT INTO holds (attempt_id, request_id, at_ns, org, team, project, user, key_id, tags,"
        " model, provider, upstream_model, streamed, rate_card, amount_nanos, expires_at_ns,"
        " account, batch) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(attempt_id, attempt_id[:-2], at_ns, *who, card.version, amount),
            *(expires, account, batch),
        ),
    )
    drawn = draw.sample(accounts, draw.randint(0, len(accounts)))
    conn.executemany(
        "INSERT INTO hold_accounts VALUES (?, ?)", [(attempt_id, one) for one in drawn]
    )
    is_sent = expires is not None and draw.random() < 0.5
    if is_sent:
        conn.execute("INSERT INTO dispatches VALUES (?, ?)", (attempt_id, at_ns + 1))
    ends = ["posted", "posted", "voided"]
    if lost or batch is not None or (expires is not None and not is_sent):
        ends.append("")
    if expires is not None and not is_sent:
        ends.append("expired")
    kind = draw.choice(ends)
    # A charge may be at another card than the hold; only a durable hold keeps its own.
    own = draw.choice(CARDS) if batch or expires else card
    counts = [draw.choice([None, draw.randint(0, 999), draw.randint(0, 999)]) for _ in range(6)]
    is_estimated, posted = draw.randint(0, 1), 0
    if kind == "posted":
        try:
            posted = int(own.charge(TokenUsage(*counts)))
        except UsageUnknown:
            is_estimated, posted = 1, amount
    _move(conn, drawn, posted, amount if not kind else 0)
    if not kind:
        return
    ended_at_ns = at_ns + draw.randint(0, 3) * HOUR_NS
    reason = "" if kind == "posted" else "no answer"
    conn.execute(
        "INSERT INTO resolutions VALUES (?, ?, ?, ?, ?)",
        (attempt_id, ended_at_ns, kind, posted, reason),
    )
    if kind == "posted":
        conn.execute(
            "INSERT INTO usage (attempt_id, request_id, at_ns, org, team, project, user, key_id,"
            " tags, model, provider, upstream_model, streamed, account, rate_card, prompt_tokens,"
            " completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, units,"
            " billed_nanos, effective_nanos, contracted_nanos, list_nanos, first_offer_nanos,"
            " cheapest_nanos, held_nanos, overrun_nanos, estimated, ttft_ms, total_ms)"
            f" VALUES ({', '.join('?' * 32)})",
            (
                *(attempt_id, attempt_id[:-2], at_ns, *who, account),
                own.version,
                *counts,
                *(posted, posted, posted, posted + 3),
                *(draw.choice([None, posted + 4]), draw.choice([None, posted // 2])),
                *(amount, max(0, posted - amount), is_estimated),
                *(draw.choice([None, 12.0, 0.1 + 0.2]), draw.choice([None, 1e3])),
            ),
        )


def _move(conn: sqlite3.Connection, accounts: list[int], posted: int, pending: int) -> None:
    for one in accounts:
        conn.execute(
            "UPDATE accounts SET posted_nanos = posted_nanos + ?, pending_nanos = pending_nanos + ?"
            " WHERE id = ?",
            (posted, pending, one),
        )

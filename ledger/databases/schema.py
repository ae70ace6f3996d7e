"""The tables of the books, as migrations. A migration that has landed is never changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from ledger.databases.lean_sqlite import Database, Migrations

APPLICATION_ID = 0x48454447
"""`HEDG`, in the header of every database of ours: what has another is not opened."""

migrations = Migrations("hedgerow.ledger")

SUBJECT = (
    "org, team, project, user, key_id, tags, model, provider, upstream_model, streamed, account"
)
"""The columns that say whose attempt it was and where it went, in holds and in usage alike."""

PRICES = "input, output, cache_read, cache_write, request, unit, per"
"""The columns of a rate card of those times."""

USAGE = (
    "prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, units"
)
"""The columns of what was used, in the order of TokenUsage."""

_SUBJECT_DDL = """
    org TEXT, team TEXT, project TEXT, user TEXT, key_id TEXT NOT NULL, tags TEXT NOT NULL,
    model TEXT NOT NULL, provider TEXT NOT NULL, upstream_model TEXT NOT NULL,
    streamed INTEGER NOT NULL,
"""


@migrations()
def m001_books(db: Database) -> None:
    """Accounts, holds, their resolutions, and usage: the money."""
    for statement in (
        # Prices as exact text: a charge can be recomputed from its row for ever.
        """CREATE TABLE rate_cards (
            version TEXT PRIMARY KEY, input TEXT NOT NULL, output TEXT NOT NULL,
            cache_read TEXT NOT NULL, cache_write TEXT NOT NULL, request TEXT NOT NULL
        ) STRICT""",
        # Balances: the one table of money that is updated. `verify` recomputes it from the rows.
        """CREATE TABLE accounts (
            id INTEGER PRIMARY KEY, budget TEXT NOT NULL, member TEXT NOT NULL,
            time_window TEXT NOT NULL, window_start_ns INTEGER NOT NULL,
            posted_nanos INTEGER NOT NULL DEFAULT 0,
            pending_nanos INTEGER NOT NULL DEFAULT 0,
            UNIQUE (budget, member, time_window, window_start_ns)
        ) STRICT""",
        # expires_at_ns NULL: dispatched at once, so it can never expire.
        f"""CREATE TABLE holds (
            attempt_id TEXT PRIMARY KEY, request_id TEXT NOT NULL, at_ns INTEGER NOT NULL,
            {_SUBJECT_DDL}
            rate_card TEXT NOT NULL REFERENCES rate_cards,
            amount_nanos INTEGER NOT NULL CHECK (amount_nanos >= 0), expires_at_ns INTEGER
        ) STRICT""",
        """CREATE TABLE hold_accounts (
            attempt_id TEXT NOT NULL REFERENCES holds,
            account_id INTEGER NOT NULL REFERENCES accounts,
            PRIMARY KEY (attempt_id, account_id)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX hold_accounts_account ON hold_accounts (account_id)",
        """CREATE TABLE dispatches (
            attempt_id TEXT PRIMARY KEY REFERENCES holds, at_ns INTEGER NOT NULL
        ) STRICT""",
        # The primary key is what makes it exactly once.
        """CREATE TABLE resolutions (
            attempt_id TEXT PRIMARY KEY REFERENCES holds, at_ns INTEGER NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('posted', 'voided', 'expired')),
            amount_nanos INTEGER NOT NULL CHECK (amount_nanos >= 0), reason TEXT NOT NULL
        ) STRICT""",
        f"""CREATE TABLE usage (
            attempt_id TEXT PRIMARY KEY REFERENCES resolutions, request_id TEXT NOT NULL,
            at_ns INTEGER NOT NULL,
            {_SUBJECT_DDL}
            rate_card TEXT NOT NULL REFERENCES rate_cards,
            prompt_tokens INTEGER, completion_tokens INTEGER, cached_tokens INTEGER,
            cache_write_tokens INTEGER, reasoning_tokens INTEGER,
            billed_nanos INTEGER NOT NULL, effective_nanos INTEGER NOT NULL,
            contracted_nanos INTEGER NOT NULL, list_nanos INTEGER NOT NULL,
            first_offer_nanos INTEGER, cheapest_nanos INTEGER,
            held_nanos INTEGER NOT NULL, overrun_nanos INTEGER NOT NULL,
            estimated INTEGER NOT NULL, ttft_ms REAL, total_ms REAL
        ) STRICT""",
        "CREATE INDEX usage_at ON usage (at_ns)",
        "CREATE INDEX usage_request ON usage (request_id)",
    ):
        db.execute(statement)
    for table in ("rate_cards", "holds", "hold_accounts", "dispatches", "resolutions", "usage"):
        db.execute(
            f"""CREATE TRIGGER {table}_are_never_edited BEFORE UPDATE ON {table}
            BEGIN SELECT RAISE(ABORT, 'rows of {table} are never edited'); END"""
        )


@migrations()
def m002_policy(db: Database) -> None:
    """Keys and the budgets made with them; a counter tells every worker that they changed."""
    for statement in (
        """CREATE TABLE keys (
            id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, label TEXT NOT NULL, name TEXT,
            org TEXT, team TEXT, project TEXT, user TEXT, tags TEXT NOT NULL, models TEXT,
            created_at_ns INTEGER NOT NULL, expires_at_ns INTEGER, revoked_at_ns INTEGER
        ) STRICT""",
        """CREATE TABLE budgets (
            name TEXT PRIMARY KEY, scope TEXT NOT NULL, time_window TEXT NOT NULL,
            timezone TEXT NOT NULL, cap_nanos INTEGER NOT NULL, created_at_ns INTEGER NOT NULL
        ) STRICT""",
        "CREATE TABLE policy_version (version INTEGER NOT NULL) STRICT",
        "INSERT INTO policy_version VALUES (0)",
    ):
        db.execute(statement)
    for table in ("keys", "budgets"):
        for change in ("INSERT", "UPDATE", "DELETE"):
            db.execute(
                f"""CREATE TRIGGER {table}_{change.lower()}_is_news AFTER {change} ON {table}
                BEGIN UPDATE policy_version SET version = version + 1; END"""
            )


@migrations()
def m003_requests(db: Database) -> None:
    """What was decided for each request, and what became of it: for `explain` and for forecasts."""
    db.execute(
        """CREATE TABLE requests (
            id TEXT PRIMARY KEY, at_ns INTEGER NOT NULL, key_id TEXT NOT NULL, team TEXT, user TEXT,
            model TEXT NOT NULL, outcome TEXT NOT NULL, status INTEGER NOT NULL,
            attempts INTEGER NOT NULL, would_have_cost_nanos INTEGER, decision TEXT
        ) STRICT"""
    )
    db.execute("CREATE INDEX requests_at ON requests (at_ns)")


@migrations()
def m004_units_accounts_batches(db: Database) -> None:
    """Prices of what is no token; our several accounts at a provider; jobs that outlive us."""
    for statement in (
        "ALTER TABLE rate_cards ADD COLUMN unit TEXT NOT NULL DEFAULT '0'",
        "ALTER TABLE rate_cards ADD COLUMN per TEXT",
        "ALTER TABLE usage ADD COLUMN units INTEGER",
        "ALTER TABLE usage ADD COLUMN account TEXT",
        "ALTER TABLE holds ADD COLUMN account TEXT",
        "ALTER TABLE holds ADD COLUMN batch TEXT",
        "CREATE INDEX holds_batch ON holds (batch, attempt_id) WHERE batch IS NOT NULL",
    ):
        db.execute(statement)


@migrations()
def m005_idempotency(db: Database) -> None:
    """Idempotency-Keys of the last day. Which of them were charged, the holds of a request say."""
    for statement in (
        """CREATE TABLE idempotency_keys (
            key_id TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL,
            request_id TEXT NOT NULL, at_ns INTEGER NOT NULL, PRIMARY KEY (key_id, key)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX idempotency_keys_at ON idempotency_keys (at_ns)",
        "CREATE INDEX holds_request ON holds (request_id)",
    ):
        db.execute(statement)


@migrations()
def m006_failures(db: Database) -> None:
    """Why the attempts of a request failed that did, as JSON."""
    db.execute("ALTER TABLE requests ADD COLUMN failures TEXT")


def later_migrations(database: Database, known: Migrations) -> list[str]:
    """Migrations of a set that a later version has applied, and this one does not know."""
    with closing(sqlite3.connect(":memory:")) as empty:
        ours = {one.name for one in known.pending(Database(empty))}
    return sorted({one.name for one in known.applied(database)} - ours)

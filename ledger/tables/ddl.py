"""The tables of the books, in SQL that SQLite and PostgreSQL both take.

What is written down, and never changed: rate_cards, subjects, draws, holds, dispatches, entries,
write_offs. What is kept up to date with them, in the same transaction, and recomputed by `verify`:
accounts (balances), leases, writers, rollups. A row that ages goes by retention, which leaves its
sums in `retired`, the end of its writer's chain in `checkpoints`, and up to when in `aged`.
"""

from __future__ import annotations

from ledger.databases.sql import Dialect

SUBJECT = "org, team, project, user_id, key_id, tags, model, provider, upstream_model, account"
"""The columns that say whose an attempt was and where it went."""

PRICES = "input, output, cache_read, cache_write, request, unit, per, reasoning, cache_write_1h"
"""The columns of a rate card, here and wherever cards are kept."""

USAGE_7 = (
    "prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, units"
)
USAGE = f"{USAGE_7}, cache_write_1h_tokens"
"""The columns of what was used, in the order of TokenUsage."""

CHARGE = (
    "billed_nanos, effective_nanos, contracted_nanos, list_nanos, first_offer_nanos, cheapest_nanos"
)
"""The columns of what it cost, in the order of Charge."""

_WHAT = (
    "attempt_id, request_id, at_ns, ended_at_ns, kind, reason, subject_id, draws_id, rate_card,"
    f" streamed, batch, {USAGE_7}, {CHARGE}, held_nanos, overrun_nanos, held_tokens, tokens,"
    " requests, estimated, ttft_ms, total_ms"
)
ENTRY_7 = f"{_WHAT}, writer_id, seq, hash"
DRAW = "commitment, micro_units, overage_micro_units"
"""The columns of what it drew on a commitment; NULL for what was paid for as it went."""

ENTRY = f"{_WHAT}, cache_write_1h_tokens, {DRAW}, writer_id, seq, hash"
"""The columns of an entry. What came after version 7 stands behind what that had, as the chain has
it."""

ROLLUP = (
    "step_s, start_ns, subject_id, requests, prompt_tokens, completion_tokens, cached_tokens,"
    " cache_write_tokens, reasoning_tokens, billed_nanos, effective_nanos, contracted_nanos,"
    " list_nanos, first_offer_nanos, cheapest_nanos, overrun_nanos, estimated"
)
"""The columns of a rollup: its key (the first three), and sums."""

ROLLUP_STEPS_S = (900, 86_400, 2_764_800)
"""A quarter of an hour (time zones at :30 and :45 exist), a day of UTC, and 32 days: so that what
was spent in all is read from few rows."""

MONEY = (
    # A combination of names, once: entries and rollups then name it by a number. key: the other
    # columns as one JSON array, so that NULLs compare.
    """CREATE TABLE subjects (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,
        org TEXT, team TEXT, project TEXT, user_id TEXT, key_id TEXT NOT NULL, tags TEXT NOT NULL,
        model TEXT NOT NULL, provider TEXT NOT NULL, upstream_model TEXT NOT NULL, account TEXT
    ) STRICT""",
    # Balances, in the unit of their measure. leased: what writers have taken, to admit from.
    """CREATE TABLE accounts (
        id INTEGER PRIMARY KEY, budget TEXT NOT NULL, measure TEXT NOT NULL, member TEXT NOT NULL,
        time_window TEXT NOT NULL, window_start_ns INTEGER NOT NULL,
        posted INTEGER NOT NULL DEFAULT 0, pending INTEGER NOT NULL DEFAULT 0,
        leased INTEGER NOT NULL DEFAULT 0,
        UNIQUE (budget, measure, member, time_window, window_start_ns)
    ) STRICT""",
    # A set of accounts that holds draw on together: a JSON array of their ids, ascending.
    """CREATE TABLE draws (
        id INTEGER PRIMARY KEY, accounts TEXT NOT NULL UNIQUE
    ) STRICT""",
    # Holds that outlive the process that took them: those of batches, and those that may expire.
    # All others are in the journal of their writer until they end. expires_at_ns NULL: never.
    """CREATE TABLE holds (
        attempt_id TEXT PRIMARY KEY, request_id TEXT NOT NULL, at_ns INTEGER NOT NULL,
        subject_id INTEGER NOT NULL REFERENCES subjects,
        draws_id INTEGER NOT NULL REFERENCES draws,
        rate_card TEXT NOT NULL REFERENCES rate_cards,
        streamed INTEGER NOT NULL, batch TEXT,
        amount_nanos INTEGER NOT NULL CHECK (amount_nanos >= 0), tokens INTEGER NOT NULL,
        requests INTEGER NOT NULL, expires_at_ns INTEGER
    ) STRICT""",
    "CREATE INDEX holds_batch ON holds (batch, attempt_id) WHERE batch IS NOT NULL",
    "CREATE INDEX holds_request ON holds (request_id)",
    "CREATE INDEX holds_expire ON holds (expires_at_ns) WHERE expires_at_ns IS NOT NULL",
    """CREATE TABLE dispatches (
        attempt_id TEXT PRIMARY KEY REFERENCES holds, at_ns INTEGER NOT NULL
    ) STRICT""",
    # Whoever writes entries: a slot of a host, whose chain goes on when its process is another.
    # segment, position: how far its journal is folded. seq, head: how many entries it has written,
    # and the hash of the last one.
    """CREATE TABLE writers (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
        segment INTEGER NOT NULL DEFAULT 0, position INTEGER NOT NULL DEFAULT 0,
        seq INTEGER NOT NULL DEFAULT 0, head BLOB NOT NULL,
        is_open INTEGER NOT NULL DEFAULT 0, seen_at_ns INTEGER NOT NULL
    ) STRICT""",
    # How an attempt ended: its primary key is what makes it exactly once. tokens, requests: what
    # it takes of accounts that count those. hash: of this row and the writer's row before it.
    """CREATE TABLE entries (
        attempt_id TEXT PRIMARY KEY, request_id TEXT NOT NULL, at_ns INTEGER NOT NULL,
        ended_at_ns INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('posted', 'voided', 'expired')), reason TEXT NOT NULL,
        subject_id INTEGER NOT NULL REFERENCES subjects,
        draws_id INTEGER NOT NULL REFERENCES draws,
        rate_card TEXT NOT NULL REFERENCES rate_cards,
        streamed INTEGER NOT NULL, batch TEXT,
        prompt_tokens INTEGER, completion_tokens INTEGER, cached_tokens INTEGER,
        cache_write_tokens INTEGER, reasoning_tokens INTEGER, units INTEGER,
        billed_nanos INTEGER NOT NULL, effective_nanos INTEGER NOT NULL,
        contracted_nanos INTEGER NOT NULL, list_nanos INTEGER NOT NULL,
        first_offer_nanos INTEGER, cheapest_nanos INTEGER,
        held_nanos INTEGER NOT NULL, overrun_nanos INTEGER NOT NULL,
        held_tokens INTEGER NOT NULL, tokens INTEGER NOT NULL, requests INTEGER NOT NULL,
        estimated INTEGER NOT NULL, ttft_ms REAL, total_ms REAL,
        writer_id INTEGER NOT NULL REFERENCES writers, seq INTEGER NOT NULL, hash BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX entries_at ON entries (at_ns)",
    "CREATE INDEX entries_request ON entries (request_id)",
    "CREATE INDEX entries_chain ON entries (writer_id, seq)",
    # What a writer has taken of an account. held: the part of it that is in holds, as of its last
    # fold. is_recalled: another writer needs what is free of it.
    """CREATE TABLE leases (
        writer_id INTEGER NOT NULL REFERENCES writers,
        account_id INTEGER NOT NULL REFERENCES accounts,
        amount INTEGER NOT NULL, held INTEGER NOT NULL DEFAULT 0,
        is_recalled INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (writer_id, account_id)
    ) STRICT""",
    "CREATE INDEX leases_account ON leases (account_id)",
    # What an operator gave back of a writer whose journal is gone.
    """CREATE TABLE write_offs (
        id INTEGER PRIMARY KEY, writer_id INTEGER NOT NULL REFERENCES writers,
        account_id INTEGER NOT NULL REFERENCES accounts, amount INTEGER NOT NULL,
        at_ns INTEGER NOT NULL, who TEXT NOT NULL
    ) STRICT""",
    # Sums of posted entries over a step of time. The counterfactuals count at the attempt's own
    # cost where they are unknown.
    """CREATE TABLE rollups (
        step_s INTEGER NOT NULL, start_ns INTEGER NOT NULL, subject_id INTEGER NOT NULL,
        requests INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,
        billed_nanos INTEGER NOT NULL, effective_nanos INTEGER NOT NULL,
        contracted_nanos INTEGER NOT NULL, list_nanos INTEGER NOT NULL,
        first_offer_nanos INTEGER NOT NULL, cheapest_nanos INTEGER NOT NULL,
        overrun_nanos INTEGER NOT NULL, estimated INTEGER NOT NULL,
        PRIMARY KEY (step_s, start_ns, subject_id)
    ) STRICT, WITHOUT ROWID""",
    # What retention has left of the entries that it deleted: sums by the accounts they drew on,
    # and for each writer the number and hash of the last one, from which its chain goes on.
    """CREATE TABLE retired (
        draws_id INTEGER PRIMARY KEY REFERENCES draws, entries INTEGER NOT NULL,
        effective_nanos INTEGER NOT NULL, tokens INTEGER NOT NULL, requests INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE checkpoints (
        writer_id INTEGER NOT NULL REFERENCES writers, seq INTEGER NOT NULL, hash BLOB NOT NULL,
        at_ns INTEGER NOT NULL, PRIMARY KEY (writer_id, seq)
    ) STRICT""",
    # From when on there are rollups of a step again; step 0: entries. The beginning of a day (UTC).
    """CREATE TABLE aged (
        step_s INTEGER PRIMARY KEY, before_ns INTEGER NOT NULL
    ) STRICT""",
)

NEVER_EDITED = ("rate_cards", "subjects", "draws", "holds", "dispatches", "entries", "write_offs")
"""Tables whose rows nothing updates: a trigger refuses it."""


def ddl(statement: str, dialect: Dialect) -> str:
    """A statement of the above as a database takes it."""
    if dialect is Dialect.SQLITE:
        return statement
    for ours, theirs in (
        ("id INTEGER PRIMARY KEY", "id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"),
        ("INTEGER", "BIGINT"),
        ("TEXT", 'TEXT COLLATE "C"'),  # sorted as SQLite sorts, whatever the server's language
        ("REAL", "DOUBLE PRECISION"),
        ("BLOB", "BYTEA"),
        (") STRICT, WITHOUT ROWID", ")"),
        (") STRICT", ")"),
    ):
        statement = statement.replace(ours, theirs)
    return statement

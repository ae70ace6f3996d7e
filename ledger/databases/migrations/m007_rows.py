"""The rows of version 6 as version 7 keeps them, and back. In SQLite, on the SQL of those times.

Holds, their resolutions and their usage become entries of one writer, on a chain in the order in
which they ended; sums and balances stay. A hold that a dead worker left is charged in full, as the
opening of those books always did; that it ended when it began is all that anyone can know.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import msgspec

from ledger.databases.lean_sqlite import Database
from ledger.databases.migrations.triggers import never_edited
from ledger.databases.schema import migrations as of_version_6
from ledger.databases.sql import Row, Sql, Value, marks
from ledger.errors import CannotMigrate
from ledger.tables.chain import GENESIS, canonical, chained, drawn_text
from ledger.tables.ddl import (
    ENTRY_7,
    MONEY,
    NEVER_EDITED,
    ROLLUP,
    ROLLUP_STEPS_S,
    SUBJECT,
    USAGE_7,
)

WRITER, WRITER_ID = "migrated", 1

_OLD = ("usage", "resolutions", "dispatches", "hold_accounts", "holds", "accounts")
_NEW = tuple(
    statement.split()[2] for statement in reversed(MONEY) if statement.startswith("CREATE TABLE ")
)
"""The tables that change, those that name others before them."""

_WHO = "org, team, project, user, key_id, tags, model, provider, upstream_model, account"
"""What SUBJECT was called."""

_COSTS = ("billed", "effective", "contracted", "list")


# -- forward


def bring_over(sql: Sql) -> None:
    """The tables of version 7 with the rows of version 6."""
    _end_what_was_lost(sql)
    _set_aside(sql, _OLD)
    for statement in MONEY:
        sql.execute(statement)
    sql.execute(
        "INSERT INTO accounts SELECT id, budget, 'usd', member, time_window, window_start_ns,"
        " posted_nanos, pending_nanos, 0 FROM aside_accounts"
    )
    names = _Names(sql)
    _bring_holds(sql, names)
    _bring_entries(sql, names)
    _roll_up(sql)
    for table in _OLD:
        sql.execute(f"DROP TABLE aside_{table}")
    for table in NEVER_EDITED:
        if table != "rate_cards":  # has been there from the beginning
            never_edited(sql, table)


def _end_what_was_lost(sql: Sql) -> None:
    """Post every hold whose worker has died at its full amount; those of batches go on."""
    lost = (
        "SELECT attempt_id FROM holds LEFT JOIN dispatches USING (attempt_id)"
        " LEFT JOIN resolutions USING (attempt_id) WHERE kind IS NULL AND batch IS NULL"
        " AND (expires_at_ns IS NULL OR dispatches.at_ns IS NOT NULL)"
    )
    sql.execute(
        "UPDATE accounts SET pending_nanos = pending_nanos - lost, posted_nanos = posted_nanos"
        " + lost FROM (SELECT account_id, sum(amount_nanos) AS lost FROM hold_accounts"
        f" JOIN holds USING (attempt_id) WHERE attempt_id IN ({lost}) GROUP BY account_id)"
        " WHERE id = account_id"
    )
    sql.execute(
        "INSERT INTO resolutions SELECT attempt_id, at_ns, 'posted', amount_nanos,"
        f" 'lost with its worker' FROM holds WHERE attempt_id IN ({lost})"
    )


def _set_aside(sql: Sql, tables: tuple[str, ...]) -> None:
    """Give tables other names, and theirs and those of their indexes free."""
    for kind, name in sql.execute(
        "SELECT type, name FROM sqlite_master WHERE type IN ('index', 'trigger')"
        f" AND sql IS NOT NULL AND tbl_name IN ({marks(len(tables))})",
        tables,
    ).fetchall():
        sql.execute(f"DROP {kind} {name}")
    for table in tables:
        sql.execute(f"ALTER TABLE {table} RENAME TO aside_{table}")


class _Names:
    """The numbers of subjects and draws, given when one is met for the first time."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self._subjects: dict[Row, tuple[int, str]] = {}
        self._draws: dict[str, tuple[int, str]] = {}

    def subject(self, who: Row) -> tuple[int, str]:
        """Its number and its key."""
        found = self._subjects.get(who)
        if found is None:
            tags = json.loads(who[5])
            key = msgspec.json.encode([*who[:5], tags, *who[6:]]).decode()
            kept = msgspec.json.encode(tags).decode()
            found = self._subjects[who] = len(self._subjects) + 1, key
            self._sql.execute(
                f"INSERT INTO subjects (id, key, {SUBJECT}) VALUES ({marks(12)})",
                (*found, *who[:5], kept, *who[6:]),
            )
        return found

    def draws(self, accounts: str) -> tuple[int, str]:
        """Its number, and what the chain has of it."""
        found = self._draws.get(accounts)
        if found is None:
            number = len(self._draws) + 1
            self._sql.execute("INSERT INTO draws VALUES (?, ?)", (number, accounts))
            keys = self._sql.execute(
                "SELECT budget, measure, member, time_window, window_start_ns FROM accounts"
                " WHERE id IN (SELECT value FROM json_each(?))",
                (accounts,),
            ).fetchall()
            found = self._draws[accounts] = number, drawn_text(keys)
        return found


_HOLD_NAMES = (
    ", ".join(f"h.{one}" for one in _WHO.split(", "))
    + ", (SELECT json_group_array(account_id) FROM (SELECT account_id FROM aside_hold_accounts AS a"
    " WHERE a.attempt_id = h.attempt_id ORDER BY account_id))"
)
"""A hold's subject, and its draws as text."""


def _bring_holds(sql: Sql, names: _Names) -> None:
    """Those that outlived their process: of batches, and those that could expire."""

    def rows() -> Iterator[Row]:
        for row in sql.stream(
            "SELECT attempt_id, request_id, at_ns, rate_card, streamed, batch, amount_nanos,"
            f" expires_at_ns, {_HOLD_NAMES} FROM aside_holds AS h"
            " WHERE batch IS NOT NULL OR expires_at_ns IS NOT NULL ORDER BY at_ns, attempt_id"
        ):
            attempt_id, request_id, at_ns, card, streamed, batch, amount, expires = row[:8]
            subject, draws = names.subject(row[8:18])[0], names.draws(row[18])[0]
            yield (
                *(attempt_id, request_id, at_ns, subject, draws, card, streamed, batch, amount),
                *(0, 1, expires),
            )

    sql.insert(
        "holds",
        "attempt_id, request_id, at_ns, subject_id, draws_id, rate_card, streamed, batch,"
        " amount_nanos, tokens, requests, expires_at_ns",
        rows(),
    )
    sql.execute(
        "INSERT INTO dispatches SELECT * FROM aside_dispatches"
        " WHERE attempt_id IN (SELECT attempt_id FROM holds)"
    )


def _bring_entries(sql: Sql, names: _Names) -> None:
    used = ", ".join(f"u.{one}" for one in USAGE_7.split(", "))
    cost = ", ".join(f"coalesce(u.{one}_nanos, r.amount_nanos)" for one in _COSTS)
    found = sql.stream(
        "SELECT h.attempt_id, h.request_id, h.at_ns, r.at_ns, r.kind, r.reason,"
        f" coalesce(u.rate_card, h.rate_card), h.streamed, h.batch, {used}, {cost},"
        " u.first_offer_nanos, u.cheapest_nanos, h.amount_nanos,"
        " coalesce(u.overrun_nanos, max(0, r.amount_nanos - h.amount_nanos)), 0,"
        " coalesce(u.prompt_tokens + u.completion_tokens, 0), r.kind = 'posted',"
        f" coalesce(u.estimated, r.kind = 'posted'), u.ttft_ms, u.total_ms, {_HOLD_NAMES}"
        " FROM aside_resolutions AS r JOIN aside_holds AS h USING (attempt_id)"
        " LEFT JOIN aside_usage AS u USING (attempt_id) ORDER BY r.at_ns, attempt_id"
    )
    if (first := next(found, None)) is None:
        return
    sql.execute(
        "INSERT INTO writers (id, name, head, seen_at_ns) VALUES (?, ?, ?, 0)",
        (WRITER_ID, WRITER, GENESIS),
    )
    seq, head, ended_at_ns = 0, GENESIS, 0

    def rows() -> Iterator[tuple[Value, ...]]:
        nonlocal seq, head, ended_at_ns
        row: Row | None = first
        while row is not None:
            facts, rest = row[:6], row[6:-11]
            (subject, key), (draws, drawn) = names.subject(row[-11:-1]), names.draws(row[-1])
            head = chained(head, canonical([*facts, key, drawn, *rest, None]))
            seq, ended_at_ns = seq + 1, facts[3]
            yield (*facts, subject, draws, *rest, WRITER_ID, seq, head)
            row = next(found, None)

    sql.insert("entries", ENTRY_7, rows())
    sql.execute(
        "UPDATE writers SET seq = ?, head = ?, seen_at_ns = ? WHERE id = ?",
        (seq, head, ended_at_ns, WRITER_ID),
    )


def _roll_up(sql: Sql) -> None:
    for step_s in ROLLUP_STEPS_S:
        step_ns = step_s * 1_000_000_000
        sql.execute(
            f"INSERT INTO rollups ({ROLLUP}) SELECT {step_s}, at_ns - at_ns % {step_ns},"
            " subject_id, count(*), "
            + ", ".join(f"sum(coalesce({one}, 0))" for one in USAGE_7.split(", ")[:-1])
            + ", "
            + ", ".join(f"sum({one}_nanos)" for one in _COSTS)
            + ", sum(coalesce(first_offer_nanos, effective_nanos)),"
            " sum(coalesce(cheapest_nanos, effective_nanos)), sum(overrun_nanos), sum(estimated)"
            " FROM entries WHERE kind = 'posted' GROUP BY 2, 3"
        )


# -- back


def bring_back(sql: Sql) -> tuple[str, ...]:
    """The tables of version 6 with the rows of version 7; what had no place there.

    Raises CannotMigrate while a writer's journal may hold what the books do not have yet.
    """
    for (name,) in sql.execute(
        "SELECT name FROM writers WHERE is_open = 1 OR id IN"
        " (SELECT writer_id FROM leases WHERE amount != 0) ORDER BY name"
    ).fetchall():
        raise CannotMigrate(
            f"writer {name} has not given back what it took: start and stop `hedgerow serve`"
            " once, so that its journal is read to the end"
        )
    dropped = tuple(_without_a_place(sql))
    _set_aside(sql, _NEW)
    for statement in _ddl_of_version_6():
        sql.execute(statement)
    _keep_old_tags(sql)
    sql.execute(
        "INSERT INTO accounts SELECT id, budget, member, time_window, window_start_ns, posted,"
        " pending FROM aside_accounts WHERE measure = 'usd'"
    )
    _attempts_back(sql)
    _ends_back(sql)
    for table in ("old_tags", *(f"aside_{one}" for one in _NEW)):
        sql.execute(f"DROP TABLE {table}")
    return dropped


def _without_a_place(sql: Sql) -> Iterator[str]:
    for count, what in (
        (
            "SELECT count(*) FROM accounts WHERE measure != 'usd'",
            "accounts that count no USD, with what is spent of them",
        ),
        ("SELECT count(*) FROM write_offs", "write-offs"),
        (
            "SELECT coalesce(sum(entries), 0) FROM retired",
            "attempts that retention had deleted: balances still have them, verify will say so",
        ),
    ):
        (number,) = sql.execute(count).fetchall()[0]
        if number:
            yield f"{number} {what}"


def _ddl_of_version_6() -> list[str]:
    """The statements that make its tables, as SQLite itself tells them."""
    with closing(sqlite3.connect(":memory:")) as conn:
        of_version_6.apply(Database(conn))
        found = conn.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"
            f" AND tbl_name IN ({marks(len(_OLD))}) ORDER BY rowid",
            _OLD,
        ).fetchall()
    return [text for (text,) in found]


def _keep_old_tags(sql: Sql) -> None:
    """Tags as version 6 wrote them."""
    sql.execute("CREATE TABLE old_tags (subject_id INTEGER PRIMARY KEY, tags TEXT NOT NULL) STRICT")
    sql.insert(
        "old_tags",
        "subject_id, tags",
        [
            (number, json.dumps(json.loads(tags)))
            for number, tags in sql.stream("SELECT id, tags FROM aside_subjects")
        ],
    )


_ATTEMPTS = (
    "SELECT e.attempt_id, e.request_id, e.at_ns, e.subject_id, e.draws_id, e.streamed,"
    " coalesce(h.rate_card, e.rate_card) AS rate_card, e.held_nanos AS amount_nanos, e.batch,"
    " h.expires_at_ns FROM aside_entries AS e LEFT JOIN aside_holds AS h USING (attempt_id)"
    " UNION ALL SELECT attempt_id, request_id, at_ns, subject_id, draws_id, streamed, rate_card,"
    " amount_nanos, batch, expires_at_ns FROM aside_holds"
    " WHERE attempt_id NOT IN (SELECT attempt_id FROM aside_entries)"
)
_WHO_BACK = ", ".join(
    "old_tags.tags" if one == "tags" else f"s.{one}" for one in SUBJECT.split(", ")
)


def _attempts_back(sql: Sql) -> None:
    sql.execute(
        f"INSERT INTO holds (attempt_id, request_id, at_ns, {_WHO}, streamed, rate_card,"
        f" amount_nanos, batch, expires_at_ns) SELECT attempt_id, request_id, at_ns, {_WHO_BACK},"
        f" streamed, rate_card, amount_nanos, batch, expires_at_ns FROM ({_ATTEMPTS}) AS a"
        " JOIN aside_subjects AS s ON s.id = a.subject_id JOIN old_tags USING (subject_id)"
        " ORDER BY at_ns, attempt_id"
    )
    sql.execute(
        f"INSERT INTO hold_accounts SELECT attempt_id, one.value FROM ({_ATTEMPTS}) AS a"
        " JOIN aside_draws AS d ON d.id = a.draws_id JOIN json_each(d.accounts) AS one"
        " WHERE one.value IN (SELECT id FROM accounts)"
    )
    sql.execute("INSERT INTO dispatches SELECT * FROM aside_dispatches")


def _ends_back(sql: Sql) -> None:
    sql.execute(
        "INSERT INTO resolutions SELECT attempt_id, ended_at_ns, kind, effective_nanos, reason"
        " FROM aside_entries ORDER BY ended_at_ns, attempt_id"
    )
    same = (
        f"{USAGE_7}, billed_nanos, effective_nanos, contracted_nanos, list_nanos,"
        " first_offer_nanos, cheapest_nanos, held_nanos, overrun_nanos, estimated, ttft_ms,"
        " total_ms"
    )
    sql.execute(
        f"INSERT INTO usage (attempt_id, request_id, at_ns, {_WHO}, streamed, rate_card, {same})"
        f" SELECT attempt_id, request_id, at_ns, {_WHO_BACK}, streamed, rate_card, {same}"
        " FROM aside_entries AS e JOIN aside_subjects AS s ON s.id = e.subject_id"
        " JOIN old_tags USING (subject_id) WHERE kind = 'posted' ORDER BY ended_at_ns, attempt_id"
    )

"""The audit names whatever was done to the books behind their back: on both databases."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ledger.audit import verify
from ledger.databases.sql import Dialect, Row, Sql, Value
from ledger.entries import Kind
from ledger.errors import RowRefused
from ledger.findings import FINDINGS_KEPT
from ledger.journal_records import Ended, Held, HeldDraw
from ledger.statements import Head, heads
from ledger.store import Store
from ledger.tables.chain import GENESIS, canonical, chained
from ledger.tables.ddl import ENTRY, NEVER_EDITED, ROLLUP, SUBJECT
from ledger.tables.rollups import SUMMED
from ledger.usage import TokenUsage
from tests.ledger.databases import Books
from tests.ledger.entries_of import (
    ACCOUNTS,
    CARDS,
    DAY_0_NS,
    DRAWN,
    Made,
    attempt_id,
    attempts,
    books_of,
    open_holds,
    own,
    undone,
    various,
    write,
)

SLICES = ((1, 1, 500, 30), (2, 1, 100, 0), (3, 2, 70, 70))
MANY = 60

with_sql = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def some(sql: Sql) -> Sql:
    """Entries of three writers, of every kind; open holds, slices."""
    write(sql, various(MANY), SLICES)
    return sql


# Books that nobody touched


@with_sql
@given(st.lists(attempts | open_holds, max_size=12))
def test_books_that_nobody_touched(sql: Sql, made: list[Made]) -> None:
    """Whatever happened in them is verified, and counted: overruns included, nothing hidden."""
    with books_of(sql, made, SLICES):
        found = verify(sql, heads(sql))
        assert found.findings == ()
        ended = [one for one in made if one.kind is not None]
        assert (found.accounts, found.attempts) == (len(ACCOUNTS), len(made))
        assert found.charges == sum(one.is_charged for one in made)
        assert found.open_holds == len(made) - len(ended)
        assert found.overrun == sum(max(0, one.cost - one.held) for one in ended)
        assert (found.retired, found.heads, found.heads_gone) == (0, len(heads(sql)), 0)


@with_sql
@given(st.lists(attempts, max_size=12))
def test_books_that_the_ledger_wrote(sql: Sql, made: list[Made]) -> None:
    """They are verified, and are what they must be: the same chains, sums and balances as books
    that were written by rows alone."""
    made = [one for one in made if not one.is_durable]
    numbered = sorted(enumerate(made), key=lambda pair: pair[1].at_ns + pair[1].took_ns)
    with books_of(sql, made):
        expected = _contents(sql)
    with undone(sql):
        own(sql, made)
        store = Store(sql)
        ids = [store.writers.open(f"w{number}", DAY_0_NS)[0] for number in (1, 2, 3)]
        for number, one in numbered:
            store.writers.write(ids[one.writer - 1], [_ended(number, one)])
        assert verify(sql, heads(sql)).findings == ()
        assert _contents(sql) == expected


def _ended(number: int, one: Made) -> tuple[Held, Ended]:
    who, use, cost = one.who, one.usage, one.cost
    accounts = [ACCOUNTS[account - 1] for account in DRAWN[one.drawn]]
    held = Held(
        attempt_id(number, one),
        f"req_{number}",
        one.at_ns,
        (*who.names, who.tags, *who.where),  # type: ignore[arg-type]
        False,
        CARDS[one.card].row,
        one.held,
        one.held_tokens,
        one.is_counted,
        tuple((key, one.reserves(key[1])) for key in accounts),
        draw=_draw(one),
    )
    if not one.is_charged:
        at_ns, kind = one.at_ns + one.took_ns, Kind(one.kind or "")
        why, estimated = "not connected", one.estimated
        return held, Ended(held.attempt_id, kind, at_ns, why, estimated=estimated, total_ms=12.5)
    spent = tuple(one.spends(key[1]) for key in accounts)
    return held, Ended(
        held.attempt_id,
        Kind.POSTED,
        one.at_ns + one.took_ns,
        usage=(use.prompt, use.completion, use.cached, use.cache_write, use.reasoning, use.units),
        charge=(
            *(one.billed, cost, one.contracted, one.contracted, one.first_offer, one.cheapest),
        ),
        estimated=one.estimated,
        total_ms=12.5,
        spent=spent,
        uncovered=spent,
        micro_units=one.micro_units,
    )


def _draw(one: Made) -> HeldDraw | None:
    if one.drawn_on is None:
        return None
    return HeldDraw(one.drawn_on, one.micro_units, one.cost, one.drawn_on == "c2")


def _contents(sql: Sql) -> tuple[object, ...]:
    """Whatever is said by name, not by number."""
    columns = [one for one in ENTRY.split(", ") if not one.endswith("_id")]
    entries = sql.execute(
        f"SELECT attempt_id, {', '.join(f'entries.{one}' for one in columns)}, subjects.key,"
        " writers.name FROM entries JOIN subjects ON subjects.id = subject_id"
        " JOIN writers ON writers.id = writer_id ORDER BY attempt_id"
    ).fetchall()
    sums = ROLLUP.replace("subject_id, ", "")
    rollups = sql.execute(
        f"SELECT key, {sums} FROM rollups JOIN subjects ON subjects.id = subject_id"
        " ORDER BY 2, 3, 1"
    ).fetchall()
    balances = sql.execute(
        "SELECT budget, measure, member, time_window, window_start_ns, posted FROM accounts"
        " WHERE posted <> 0 ORDER BY 1, 2, 3, 4, 5"
    ).fetchall()
    ends = {head.writer: head for head in heads(sql) if head.seq}
    return entries, rollups, balances, ends


# Books that somebody did touch


@dataclass(frozen=True)
class Table:
    """Its key, the columns of which any edit is found, and which of its rows matter."""

    key: str
    columns: str
    where: str = "1 = 1"


_BY_ENTRY = "EXISTS (SELECT * FROM entries WHERE {})"
_DRAWN_ON = " OR ".join(
    f"(accounts.id = {number} AND "
    + _BY_ENTRY.format(f"draws_id IN ({', '.join(map(str, drawn_by))})")
    + ")"
    for number in range(1, len(ACCOUNTS) + 1)
    if (drawn_by := [n for n, ids in enumerate(DRAWN, start=1) if number in ids])
)
TABLES = {
    "entries": Table("attempt_id", ENTRY),
    "subjects": Table("id", f"id, key, {SUBJECT}"),
    "draws": Table("id", "id, accounts", _BY_ENTRY.format("draws_id = draws.id")),
    "accounts": Table(
        "id",
        "id, budget, measure, member, time_window, window_start_ns, posted, pending, leased",
        _DRAWN_ON,
    ),
    "rate_cards": Table(
        "version", "version, input, output, cache_read, cache_write, request, unit, per"
    ),
    "holds": Table(
        "attempt_id",
        "request_id, at_ns, subject_id, draws_id, streamed, batch, amount_nanos, tokens",
        _BY_ENTRY.format("entries.attempt_id = holds.attempt_id"),
    ),
    "writers": Table("id", "id, seq, head"),
    "commitments": Table(
        "id",
        "id, micro_units_per_completion",
        _BY_ENTRY.format(
            "entries.commitment = commitments.id AND overage_micro_units = 0"
            " AND micro_units > 1000000 AND completion_tokens > 0"
        ),
    ),
    "leases": Table("writer_id, account_id", "account_id, amount"),
    "rollups": Table("step_s, start_ns, subject_id", ROLLUP),
    "outlines": Table("id", "id, kind", "kind <> 'what'"),
    "subject_outlines": Table(
        "subject_id",
        "subject_id, what_id, who_id, way_id",
        "EXISTS (SELECT * FROM rollups WHERE rollups.subject_id = subject_outlines.subject_id)",
    ),
    "outline_sums": Table(
        "step_s, kind, start_ns, outline_id",
        f"step_s, kind, start_ns, outline_id, {', '.join(SUMMED)}",
    ),
}
EDITS = [(name, column) for name, table in TABLES.items() for column in table.columns.split(", ")]


def _rows(sql: Sql, name: str) -> list[Row]:
    table = TABLES[name]
    return sql.execute(
        f"SELECT {table.key} FROM {name} WHERE {table.where} ORDER BY {table.key}"
    ).fetchall()


def _where(name: str) -> str:
    return " AND ".join(f"{one} = ?" for one in TABLES[name].key.split(", "))


def _edited(value: Value, column: str, by: int) -> Value:
    match value:
        case None:
            return "image" if column == "per" else by if column in _COUNTS else "x"
        case bytes():
            return bytes([value[0] ^ (1 + by % 255)]) + value[1:]
        case str() if column in ("tags", "key", "accounts"):
            return value.replace("[", "[7,", 1)
        case str() if column == "kind":
            return "voided" if value == "posted" else "expired" if value == "voided" else "posted"
        case str() if column in ("input", "output", "cache_read", "cache_write", "request"):
            return f"{by}.5"
        case str() if column == "unit":
            return f"0.{by}7"
        case str():
            return f"{value}{by}"
        case _:
            return value + by


_COUNTS = {*ENTRY.split(", ")} - {"batch", "account", "reason", "commitment"}


def _untie(sql: Sql) -> None:
    """Triggers and foreign keys off, as one can who has the database in his hands."""
    if sql.dialect is Dialect.POSTGRES:
        sql.execute("SET LOCAL session_replication_role = replica")
        return
    sql.execute("PRAGMA defer_foreign_keys = ON")
    for table in (*NEVER_EDITED, "commitments"):
        sql.execute(f"DROP TRIGGER {table}_are_never_edited")


@settings(with_sql, max_examples=8)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 900, 86_400 * 10**9, 2**40]))
def test_every_edit_is_found(some: Sql, pick: int, by: int) -> None:
    """Of any column of any row. What an entry says of itself is named by its attempt."""
    for name, column in EDITS:
        rows = _rows(some, name)
        key = rows[pick % len(rows)]
        with undone(some):
            _untie(some)
            ((before,),) = some.execute(
                f"SELECT {column} FROM {name} WHERE {_where(name)}", key
            ).fetchall()
            after = _edited(before, column, by)
            assert after != before
            try:
                with some.step():
                    some.execute(
                        f"UPDATE {name} SET {column} = ? WHERE {_where(name)}", (after, *key)
                    )
            except RowRefused:
                continue
            found = verify(some)
            assert not found.verified, (name, column, key, before, after)
            if name == "entries" and column not in ("attempt_id", "writer_id", "seq"):
                assert key[0] in {one.where for one in found.findings}, (column, found.findings)


@settings(with_sql, max_examples=8)
@given(st.integers(0, 10**6))
def test_every_missing_row_is_found(some: Sql, pick: int) -> None:
    """Of any table that something hangs on."""
    for name in TABLES:
        if name == "holds":
            continue  # those that have ended: their entries say all that they said
        rows = _rows(some, name)
        key = rows[pick % len(rows)]
        with undone(some):
            _untie(some)
            some.execute(f"DELETE FROM {name} WHERE {_where(name)}", key)
            assert not verify(some).verified, (name, key)


@settings(with_sql, max_examples=40)
@given(st.integers(0, MANY), st.sampled_from(["same seq", "next seq", "other writer"]))
def test_every_doubled_entry_is_found(some: Sql, pick: int, how: str) -> None:
    """Under another id, wherever on a chain it is put, and whatever else is made to fit."""
    rows = some.execute(f"SELECT {ENTRY} FROM entries ORDER BY attempt_id").fetchall()
    row = list(rows[pick % len(rows)])
    row[0] += "0"
    if how == "next seq":
        ((last,),) = some.execute("SELECT seq FROM writers WHERE id = ?", (row[-3],)).fetchall()
        row[-2] = last + 1
    elif how == "other writer":
        row[-3] = row[-3] % 3 + 1
    with undone(some):
        some.insert("entries", ENTRY, [row])
        found = verify(some)
        named = [one for one in found.findings if row[0] == one.where or "chain" in one.where]
        assert named
        if how == "same seq":  # of two that say the same, either may be the other
            assert any("another entry's" in one.what for one in found.findings)


@settings(with_sql, max_examples=40)
@given(st.integers(0, MANY), st.integers(1, MANY), st.sampled_from(["seq", "seq, hash"]))
def test_entries_in_another_order_are_found(
    some: Sql, pick: int, distance: int, columns: str
) -> None:
    """Two entries of a writer that change places, with their hashes or without."""
    rows = some.execute(
        f"SELECT attempt_id, {columns} FROM entries WHERE writer_id = 1 ORDER BY seq"
    ).fetchall()
    one, other = rows[pick % len(rows)], rows[(pick + distance) % len(rows)]
    assume(one != other)
    named = columns.split(", ")
    with undone(some):
        _untie(some)
        for to, of in ((one, other), (other, one)):
            some.execute(
                f"UPDATE entries SET {', '.join(f'{name} = ?' for name in named)}"
                " WHERE attempt_id = ?",
                (*of[1:], to[0]),
            )
        found = {finding.where for finding in verify(some).findings}
        assert {one[0], other[0]} <= found


def test_a_history_that_was_written_anew_is_found(sql: Sql) -> None:
    """A chain that fits in itself, but not to a head that was given before: only that shows it."""
    first, second = Made(DAY_0_NS), Made(DAY_0_NS + 1)
    with books_of(sql, [first, second]):
        given_heads = heads(sql)
        assert verify(sql, given_heads).verified
    with books_of(sql, [Made(DAY_0_NS, held=101), second, Made(DAY_0_NS + 2)]):
        assert verify(sql).verified
        found = verify(sql, given_heads)
        assert [one.where for one in found.findings] == ["chain of w1"]
        assert (found.heads, found.heads_gone) == (2, 0)
    with books_of(sql, [first]):
        assert [one.where for one in verify(sql, given_heads).findings] == ["chain of w1"]
    with books_of(sql, [first, second, Made(DAY_0_NS + 2)]):
        assert verify(sql, given_heads).verified


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(Head("w9", 3, bytes(32)), id="of a writer that is not there"),
        pytest.param(Head("w1", 0, b"x" * 32), id="of a beginning that is none"),
        pytest.param(Head("w1", 2, bytes(32)), id="with another hash"),
        pytest.param(Head("w1", 9, bytes(32)), id="beyond the end"),
    ],
)
def test_a_head_that_lies_on_no_chain(sql: Sql, head: Head) -> None:
    """It is named by its writer."""
    write(sql, [Made(DAY_0_NS), Made(DAY_0_NS + 1)])
    (finding,) = verify(sql, [head]).findings
    assert finding.where == f"chain of {head.writer}"


LIES = {
    "another charge": "effective_nanos = effective_nanos + 1",
    "another amount billed": "billed_nanos = billed_nanos - 1",
    "another amount contracted": "contracted_nanos = 0",
    "other tokens": "completion_tokens = completion_tokens + 1",
    "tokens that budgets do not count": "tokens = tokens - 1",
    "a hidden overrun": "overrun_nanos = 0",
    "an overrun hidden with its hold": "held_nanos = 0, overrun_nanos = 0",
    "a charge called void": "kind = 'voided'",
    "no count, and no estimate": "prompt_tokens = NULL, tokens = held_tokens",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_an_entry_that_was_never_right_is_found(sql: Sql, lie: str) -> None:
    """On a chain that fits: a charge is what its card makes of its usage, whoever wrote it."""
    write(sql, [Made(DAY_0_NS, usage=TokenUsage(20, 10), held=30), Made(DAY_0_NS + 1)])
    with undone(sql):
        _untie(sql)
        attempt = attempt_id(0, Made(DAY_0_NS))
        sql.execute(f"UPDATE entries SET {lie} WHERE attempt_id = ?", (attempt,))
        _chain_anew(sql)
        what = [one.what for one in verify(sql).findings if one.where == attempt]
        assert what
        assert not any("chain" in one for one in what)


def _chain_anew(sql: Sql) -> None:
    """Make the one chain of these books fit whatever its entries say now."""
    last = GENESIS
    for row in sql.execute(f"SELECT {ENTRY} FROM entries ORDER BY seq").fetchall():
        key = sql.execute("SELECT key FROM subjects WHERE id = ?", (row[6],)).fetchall()[0][0]
        last = chained(last, canonical([*row[:6], key, "[]", *row[8:32]]))
        sql.execute("UPDATE entries SET hash = ? WHERE attempt_id = ?", (last, row[0]))
    sql.execute("UPDATE writers SET head = ? WHERE id = 1", (last,))


def test_only_the_first_findings_are_kept(sql: Sql) -> None:
    """An edit that every row hangs on does not fill the memory; it is counted all the same."""
    count = FINDINGS_KEPT + 50
    write(sql, [Made(DAY_0_NS + number, drawn=1) for number in range(count)])
    sql.execute("UPDATE accounts SET budget = 'other' WHERE id = 1")
    found = verify(sql)
    assert (len(found.findings), found.places) == (FINDINGS_KEPT, count)


@pytest.mark.parametrize("table", NEVER_EDITED)
def test_rows_of_the_books_are_never_edited(some: Sql, table: str) -> None:
    """UPDATE on any table of money but the balances is refused by the database itself."""
    if table == "write_offs":
        some.execute("INSERT INTO write_offs VALUES (1, 1, 1, 5, 0, 'ada')")
    column = TABLES[table].key if table in TABLES else "at_ns"
    with pytest.raises(RowRefused, match="never edited"):
        some.execute(f"UPDATE {table} SET {column} = {column}")


def test_an_audit_waits_for_nobody_and_holds_up_nobody(books: Books) -> None:
    """While it reads, others may write; it sees the books of one moment."""
    with closing(books.open()) as writer, closing(books.open()) as reader:
        write(writer, [Made(DAY_0_NS)])
        with reader.view():
            assert verify(reader).attempts == 1
            with writer.transaction():
                writer.execute("UPDATE accounts SET posted = 1")
            assert verify(reader).verified
        with writer.transaction():
            writer.execute("UPDATE accounts SET posted = 0")
            assert not verify(reader).verified
        assert verify(reader).verified

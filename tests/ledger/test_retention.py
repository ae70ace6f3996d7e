"""What retention deletes is gone, and the books hold as before: on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.audit import verify
from ledger.databases.sql import Sql
from ledger.errors import StoreUnavailable
from ledger.retention import BATCH_ROWS, RETIRE_EVERY_S, Keep, Limits, Retired, retire, retire_some
from ledger.retention import retiring as retention_duty
from ledger.statements import Dimension, heads, spend
from ledger.tables.rollups import QUARTER_NS
from tests.ledger.databases import Books
from tests.ledger.entries_of import (
    DAY_0_NS,
    DAY_NS,
    HOUR_NS,
    SECOND_NS,
    Made,
    attempt_id,
    attempts,
    books_of,
    moments,
    open_holds,
    undone,
    various,
    write,
)

SLICES = ((1, 1, 500, 30),)
with_sql = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
some_made = st.lists(attempts | open_holds, max_size=15)


def retired_of(made: Sequence[Made], before_ns: int) -> set[str]:
    """The longest prefix of each writer whose entries began and ended before that day."""
    before_ns = before_ns // DAY_NS * DAY_NS
    gone: set[str] = set()
    for writer in (1, 2, 3):
        ended = sorted(
            ((n, one) for n, one in enumerate(made) if one.kind and one.writer == writer),
            key=lambda pair: pair[1].at_ns + pair[1].took_ns,
        )
        for number, one in ended:
            if max(one.at_ns, one.at_ns + one.took_ns) >= before_ns:
                break
            gone.add(attempt_id(number, one))
    return gone


def ids(sql: Sql, table: str) -> set[str]:
    return {row[0] for row in sql.execute(f"SELECT attempt_id FROM {table}")}


def balances(sql: Sql) -> list[tuple[object, ...]]:
    return sql.execute("SELECT * FROM accounts ORDER BY id").fetchall()


@with_sql
@given(some_made, moments, st.integers(1, 4))
def test_the_oldest_entries_go(sql: Sql, made: list[Made], before_ns: int, batch_rows: int) -> None:
    """Those and no others, with the holds that they ended; after each batch the books are verified,
    balances are what they were, and so is what was spent."""
    with books_of(sql, made, SLICES):
        gone, before = retired_of(made, before_ns), balances(sql)
        spent = [spend(sql, by) for by in Dimension]
        total = Retired()
        while batch := retire_some(sql, Limits(entries_ns=before_ns), batch_rows):
            assert batch.entries <= batch_rows
            total += batch
            assert verify(sql).findings == ()
        assert total == Retired(entries=len(gone))
        all_ids = {attempt_id(n, one) for n, one in enumerate(made) if one.kind}
        assert ids(sql, "entries") == all_ids - gone
        held = {
            attempt_id(n, one) for n, one in enumerate(made) if one.kind is None or one.is_durable
        }
        assert ids(sql, "holds") == ids(sql, "dispatches") == held - gone
        assert balances(sql) == before
        assert [spend(sql, by) for by in Dimension] == spent
        assert verify(sql).retired == len(gone)


@with_sql
@given(some_made, moments, moments, st.integers(1, 20))
def test_details_go_apart_from_entries(
    sql: Sql, made: list[Made], entries_ns: int, details_ns: int, batch_rows: int
) -> None:
    """Rollups of a quarter of an hour, of whole days, whatever became of the entries."""
    with books_of(sql, made):
        spent = [spend(sql, by) for by in Dimension]
        while retire_some(sql, Limits(entries_ns, details_ns), batch_rows):
            assert verify(sql).findings == ()
        left = {row[0] for row in sql.execute("SELECT start_ns FROM rollups WHERE step_s = 900")}
        charged = {one.at_ns - one.at_ns % (900 * SECOND_NS) for one in made if one.is_charged}
        assert left == {one for one in charged if one >= details_ns // DAY_NS * DAY_NS}
        assert [spend(sql, by) for by in Dimension] == spent


@with_sql
@given(some_made, moments, moments, moments, moments)
def test_a_span_whose_edge_is_gone(
    sql: Sql, made: list[Made], entries_ns: int, details_ns: int, since_ns: int, until_ns: int
) -> None:
    """What is counted is what the statement says that it counted: no more, no less."""
    with books_of(sql, made):
        while retire_some(sql, Limits(entries_ns, details_ns)):
            pass
        for by in (Dimension.TEAM, Dimension.DAY, Dimension.TAG):
            found = spend(sql, by, since_ns, until_ns)
            assert found.since_ns is not None
            assert found.until_ns is not None
            within = [
                one
                for one in made
                if one.is_charged and found.since_ns <= one.at_ns < found.until_ns
            ]
            assert found.total.requests == len(within)
            assert found.total.cost == sum(one.cost for one in within)


def test_old_requests_go(sql: Sql) -> None:
    """A day after the other, by their own limit."""
    for day in range(4):
        sql.execute(
            "INSERT INTO requests (id, at_ns, key_id, model, outcome, status, attempts)"
            " VALUES (?, ?, 'key_1', 'llama', 'answered', 200, 1)",
            (f"req_{day}", DAY_0_NS + day * DAY_NS + HOUR_NS),
        )
    limits = Limits(details_ns=DAY_0_NS + 2 * DAY_NS + 5 * HOUR_NS)
    assert retire(sql, limits, batch_rows=1) == Retired(requests=2)
    assert [row[0] for row in sql.execute("SELECT id FROM requests ORDER BY id")] == [
        "req_2",
        "req_3",
    ]
    assert not retire(sql, limits)


def test_a_long_attempt_keeps_what_came_after_it(sql: Sql) -> None:
    """A chain has no holes: what a writer wrote after an entry that stays, stays with it."""
    long = Made(DAY_0_NS - 3 * DAY_NS, took_ns=4 * DAY_NS)
    made = [Made(DAY_0_NS - 2 * DAY_NS), long, Made(DAY_0_NS - 2 * DAY_NS, took_ns=5 * DAY_NS)]
    write(sql, made)
    assert retire(sql, Limits(entries_ns=DAY_0_NS)) == Retired(entries=1)
    assert ids(sql, "entries") == {attempt_id(1, made[1]), attempt_id(2, made[2])}


def test_a_clock_that_was_set_back(sql: Sql) -> None:
    """What began on a day that stays does not go, though it ended before by another clock: that
    day's rollups are of all its entries."""
    made = [Made(DAY_0_NS - DAY_NS), Made(DAY_0_NS, took_ns=-HOUR_NS)]
    write(sql, made)
    assert retire(sql, Limits(entries_ns=DAY_0_NS)) == Retired(entries=1)
    assert ids(sql, "entries") == {attempt_id(1, made[1])}
    assert verify(sql).findings == ()


def test_what_drew_on_no_account_is_audited_by_what_was_spent(sql: Sql) -> None:
    """There is no balance that would show it; but all rollups are all that was ever charged."""
    write(sql, [Made(DAY_0_NS, drawn=0), Made(DAY_0_NS + DAY_NS, drawn=0)])
    retire(sql, Limits(entries_ns=DAY_0_NS + DAY_NS))
    sql.execute("UPDATE retired SET effective_nanos = effective_nanos - 1")
    assert [one.where for one in verify(sql).findings] == ["rollups"]


def test_a_second_time_with_an_earlier_limit(sql: Sql) -> None:
    """Somebody keeps rows for longer from now on, after a run that was broken off: all holds."""
    write(sql, [Made(DAY_0_NS - days * DAY_NS) for days in range(1, 9)])
    with sql.transaction():
        retire_some(sql, Limits(entries_ns=DAY_0_NS - 2 * DAY_NS), batch_rows=1)
    assert retire(sql, Limits(entries_ns=DAY_0_NS - 4 * DAY_NS)).entries == 3
    assert verify(sql).findings == ()
    edge_ns = DAY_0_NS - 4 * DAY_NS
    assert spend(sql, Dimension.TEAM, edge_ns + 1).since_ns == edge_ns + QUARTER_NS


def test_heads_of_what_is_gone(sql: Sql) -> None:
    """One that retention has deleted cannot be looked for, and that is said; one at the last entry
    that went, and later ones, can."""
    first, second, third = (Made(DAY_0_NS + days * DAY_NS) for days in range(3))
    given_heads = []
    for until in range(4):
        with books_of(sql, [first, second, third][:until]):
            given_heads.append(heads(sql)[0])
    write(sql, [first, second, third])
    retire(sql, Limits(entries_ns=DAY_0_NS + 2 * DAY_NS))
    found = verify(sql, given_heads)
    assert (found.findings, found.heads, found.heads_gone) == ((), 4, 2)
    wrong = [type(one)(one.writer, one.seq, b"x" * 32) for one in given_heads]
    assert len(verify(sql, wrong).findings) == 2


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE retired SET entries = entries + 1",
        "UPDATE retired SET effective_nanos = effective_nanos - 1",
        "UPDATE retired SET tokens = tokens - 1",
        "UPDATE retired SET requests = requests + 1",
        "UPDATE retired SET micro_units = micro_units + 1",
        "UPDATE retired SET draws_id = 9",
        "DELETE FROM retired",
        "UPDATE checkpoints SET seq = seq + 1 WHERE writer_id = 1",
        "UPDATE checkpoints SET hash = head FROM writers WHERE writer_id = writers.id",
        "UPDATE checkpoints SET writer_id = 9 WHERE writer_id = 1",
        "UPDATE checkpoints SET at_ns = at_ns + 1",
        "DELETE FROM checkpoints WHERE writer_id = 1",
        "UPDATE aged SET before_ns = before_ns - 1 WHERE step_s = 0",
        "DELETE FROM aged WHERE step_s = 0",
        "DELETE FROM rollups WHERE step_s = 86400 AND start_ns < 1771200000000000000",
        "DELETE FROM rollups WHERE step_s = 2764800",
    ],
)
def test_what_retention_left_is_audited(sql: Sql, edit: str) -> None:
    """An edit of it is found as one of the entries would be."""
    count, drawn = (300, 4) if "micro_units" in edit else (60, 2)
    write(sql, [one for one in various(count) if one.drawn == drawn], SLICES)
    assert retire(sql, Limits(DAY_0_NS + DAY_NS, DAY_0_NS + DAY_NS)).entries > 5
    assert verify(sql).verified
    with undone(sql):
        if sql.dialect == "postgres":
            sql.execute("SET LOCAL session_replication_role = replica")
        else:
            sql.execute("PRAGMA defer_foreign_keys = ON")
        assert sql.execute(edit).rowcount
        assert not verify(sql).verified


def test_others_write_between_batches(books: Books) -> None:
    """Each batch is a transaction of its own; a server that writes meanwhile is not held up."""
    with closing(books.open()) as server, closing(books.open()) as sql:
        write(sql, [Made(DAY_0_NS + number) for number in range(9)])
        pauses = 0

        def pause() -> None:
            nonlocal pauses
            pauses += 1
            with server.transaction():
                server.execute("UPDATE writers SET seen_at_ns = seen_at_ns + 1")
            assert verify(server).verified

        limits = Limits(entries_ns=DAY_0_NS + 2 * DAY_NS)
        assert retire(sql, limits, batch_rows=2, pause=pause).entries == 9
        assert pauses == 5


async def test_the_leader_does_it_hour_by_hour(sql: Sql) -> None:
    """All that is old by its clock; and again after an hour, also if the books could not be had."""
    made = [Made(DAY_0_NS + days * DAY_NS) for days in range(4)]
    await asyncio.to_thread(write, sql, made)
    now_ns = DAY_0_NS + 10 * DAY_NS
    slept: list[float] = []
    is_down = True

    async def submit(call: Callable[[], Retired]) -> Retired:
        if is_down:
            raise StoreUnavailable("down")

        def within() -> Retired:
            with sql.transaction():
                return call()

        return await asyncio.to_thread(within)

    async def sleep(seconds: float) -> None:
        nonlocal is_down, now_ns
        slept.append(seconds)
        is_down = False
        if len(slept) == 2:
            assert len(await asyncio.to_thread(ids, sql, "entries")) == 2
            now_ns += DAY_NS
        if len(slept) == 3:
            assert len(await asyncio.to_thread(ids, sql, "entries")) == 1
            raise asyncio.CancelledError

    keep = Keep(entries_ns=8 * DAY_NS)
    with pytest.raises(asyncio.CancelledError):
        await retention_duty(submit, sql, keep, lambda: now_ns, sleep)
    assert slept == [RETIRE_EVERY_S] * 3


def test_nothing_is_deleted_unless_it_is_said(sql: Sql) -> None:
    """Without limits all is kept, but for what only limited the rate of a minute: a week."""
    assert Keep.days(None, None) == Keep()
    assert Keep.days(400, 90) == Keep(400 * DAY_NS, 90 * DAY_NS)
    write(sql, various(BATCH_ROWS // 20), SLICES)
    now_ns = DAY_0_NS + 100 * DAY_NS
    days = (8, 8, 6)
    sql.insert(
        "accounts",
        "id, budget, measure, member, time_window, window_start_ns, posted, pending, leased",
        [
            (n, "rpm", "requests", f"user={n}", "minute", now_ns - age * DAY_NS, 5, 0, 0)
            for n, age in enumerate(days, start=100)
        ],
    )
    sql.insert("leases", "writer_id, account_id, amount, held", [(1, 101, 0, 0)])
    assert retire(sql, Keep().limits(now_ns), batch_rows=1) == Retired(rates=1)
    left = sql.execute("SELECT id FROM accounts WHERE budget = 'rpm' ORDER BY id").fetchall()
    assert left == [(101,), (102,)]
    assert verify(sql).findings == ()

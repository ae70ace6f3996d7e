"""The outbox's table against a naive model: nothing lost, nothing told twice, nothing for ever."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlite_utils import Database

from ledger.databases.sqlite_file import SqliteFile
from ledger.money import MAX_NANOS
from ledger.notices import Delivery
from ledger.tables.ddl import ddl
from ledger.tables.outbox import DELIVERIES, KEPT_NS, OutboxTable
from tests.ledger.entries import NOW_NS
from tests.ledger.test_notices import MARCH_ENDS, notice

MARCH_ENDS_NS = int(MARCH_ENDS.timestamp()) * 1_000_000_000
DAY_NS = 86_400 * 1_000_000_000
CHANNELS = ("a", "b", "c")


class Undone(Exception):
    pass


def new_table() -> tuple[SqliteFile, OutboxTable]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    sql = SqliteFile(Database(connection), Path(":memory:"))
    for statement in DELIVERIES:
        sql.execute(ddl(statement, sql.dialect))
    return sql, OutboxTable(sql)


@dataclass
class Row:
    """A delivery as the model knows it."""

    created_at_ns: int
    keep_until_ns: int
    next_try_at_ns: int
    tries: int = 0
    state: str = "due"
    why: str = ""


class Outbox(RuleBasedStateMachine):
    """Any notices and any endings, in any order, on a clock that goes both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.sql, self.table = new_table()
        self.rows: dict[tuple[str, str], Row] = {}
        self.taken: list[Delivery] = []
        self.now_ns = NOW_NS

    @rule(
        cap=st.integers(1, 4),
        channels=st.lists(st.sampled_from(CHANNELS), max_size=3).map(tuple),
        resets=st.booleans(),
    )
    def add(self, cap: int, channels: tuple[str, ...], resets: bool) -> None:
        more = {} if resets else {"resets_at": None, "window": "lifetime"}
        one = notice(cap=cap, channels=channels, **more)
        keep_until_ns = max(self.now_ns, MARCH_ENDS_NS) + KEPT_NS if resets else MAX_NANOS
        new = {(one.id, channel) for channel in channels} - self.rows.keys()
        assert self.table.add(one, self.now_ns) == len(new)
        for key in new:
            self.rows[key] = Row(self.now_ns, keep_until_ns, self.now_ns)

    @rule(limit=st.integers(1, 20), busy=st.sets(st.sampled_from(CHANNELS)))
    def take(self, limit: int, busy: set[str]) -> None:
        due = self.table.due(self.now_ns, limit, busy)
        expected = sorted(
            (row.next_try_at_ns, *key)
            for key, row in self.rows.items()
            if row.state == "due" and row.next_try_at_ns <= self.now_ns and key[1] not in busy
        )[:limit]
        assert [(one.notice.id, one.channel) for one in due] == [key[1:] for key in expected]
        for one in due:
            row = self.rows[one.notice.id, one.channel]
            assert (one.created_at_ns, one.tries) == (row.created_at_ns, row.tries)
        self.taken += due

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), how=st.sampled_from(["delivered", "failed", "given_up"]))
    def end(self, data: st.DataObject, how: str) -> None:
        """Also what was taken long ago and has ended meanwhile, as after a change of leaders."""
        delivery = data.draw(st.sampled_from(self.taken))
        key = (delivery.notice.id, delivery.channel)
        row = self.rows.get(key)
        if how == "delivered":
            done = self.table.delivered(delivery)
        elif how == "given_up":
            done = self.table.given_up(delivery, "never")
        else:
            done = self.table.failed(delivery, self.now_ns + DAY_NS, "later")
        assert done is (row is not None and row.state == "due")
        if not done or row is None:
            return
        row.tries += 1
        row.why = {"delivered": "", "failed": "later", "given_up": "never"}[how]
        if how == "failed":
            row.next_try_at_ns = self.now_ns + DAY_NS
        else:
            row.state = how

    @rule(days=st.integers(-2, 30))
    def pass_time(self, days: int) -> None:
        self.now_ns += days * DAY_NS

    @rule(limit=st.integers(1, 3))
    def forget(self, limit: int) -> None:
        old = [
            key
            for key, row in self.rows.items()
            if row.state != "due" and row.keep_until_ns <= self.now_ns
        ]
        assert self.table.forget(self.now_ns, limit) == min(limit, len(old))
        kept = {tuple(one) for one in self.sql.execute("SELECT notice_id, channel FROM deliveries")}
        gone = self.rows.keys() - kept
        assert gone <= set(old)
        for key in gone:
            del self.rows[key]

    @invariant()
    def as_the_model_has_it(self) -> None:
        found = self.sql.execute(
            "SELECT notice_id, channel, created_at_ns, keep_until_ns, next_try_at_ns, tries, state,"
            " why FROM deliveries"
        ).fetchall()
        assert {(one[0], one[1]): Row(*one[2:]) for one in found} == self.rows

    def teardown(self) -> None:
        self.sql.close()


TestOutbox = Outbox.TestCase
TestOutbox.settings = settings(max_examples=60, stateful_step_count=30)


def test_a_notice_and_its_cause_are_committed_together() -> None:
    """What is rolled back takes its notice with it, and may be told later."""
    sql, table = new_table()
    with closing(sql):
        with suppress(Undone), sql.transaction():
            assert table.add(notice(), NOW_NS) == 1
            raise Undone
        assert table.due(NOW_NS, 10) == ()
        assert table.add(notice(), NOW_NS) == 1


def test_what_cannot_be_read_is_given_up_and_stops_nobody() -> None:
    """A row that is no notice is kept as given up, and the others come."""
    sql, table = new_table()
    with closing(sql):
        table.add(notice(), NOW_NS)
        table.add(notice(cap=1), NOW_NS)
        sql.execute("UPDATE deliveries SET notice = '{}' WHERE notice_id = ?", (notice().id,))
        assert [one.notice for one in table.due(NOW_NS, 10)] == [notice(cap=1)]
        ended = sql.execute("SELECT notice_id, why FROM deliveries WHERE state = 'given_up'")
        assert [(notice().id, True)] == [(one, "unreadable" in why) for one, why in ended]


def test_a_look_reads_only_what_it_finds() -> None:
    """However many have ended, what is due, and what may be forgotten, is found by an index."""
    sql, table = new_table()
    with closing(sql):
        asked: list[str] = []
        sql.database.conn.set_trace_callback(asked.append)
        table.due(NOW_NS, 10, {"a"})
        table.forget(NOW_NS, 10)
        sql.database.conn.set_trace_callback(None)
        for statement, index in zip(asked, ("deliveries_due", "deliveries_done"), strict=True):
            plan = sql.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            assert any(f"SEARCH deliveries USING INDEX {index}" in step[3] for step in plan)
            assert not any("SCAN deliveries" in step[3] for step in plan)

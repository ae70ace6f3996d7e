"""Logins in the books: on both databases, against a list of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.databases.sql import Sql
from ledger.tables.sessions import (
    IDLE_NS,
    LASTS_NS,
    MOST_OF_A_KEY,
    SEEN_EVERY_NS,
    Session,
    SessionTable,
)
from tests.ledger.entries_of import undone

MINUTE_NS = 60_000_000_000
keys = st.sampled_from([b"anna", b"bert"])
pauses = st.sampled_from([0, 1, MINUTE_NS, 31 * MINUTE_NS, IDLE_NS - 1, IDLE_NS])
moves = st.tuples(
    st.sampled_from(["begin", "seen", "look", "end"]), keys, st.integers(0, 30), pauses
)


@dataclass
class Naive:
    """All logins that there ever were."""

    all: dict[bytes, Session] = field(default_factory=dict)

    def begin(self, token: bytes, key: bytes, now_ns: int) -> None:
        its = [one for one in self.all.values() if one.key_hash == key and not one.is_over(now_ns)]
        for one in sorted(its, key=lambda one: -one.created_at_ns)[MOST_OF_A_KEY - 1 :]:
            del self.all[one.hash]
        self.all[token] = Session(token, key, now_ns, now_ns)

    def find(self, token: bytes, now_ns: int) -> Session | None:
        one = self.all.get(token)
        if one is None or now_ns - one.created_at_ns >= LASTS_NS:
            return None
        return one if now_ns - one.seen_at_ns < IDLE_NS else None

    def seen(self, one: Session, now_ns: int) -> None:
        if now_ns - one.seen_at_ns >= SEEN_EVERY_NS:
            self.all[one.hash] = Session(one.hash, one.key_hash, one.created_at_ns, now_ns)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(moves, max_size=60))
def test_as_a_list_of_logins(sql: Sql, moves: list[tuple[str, bytes, int, int]]) -> None:
    """Begun, seen, ended, over by time or by too many of one key: what is found is what a naive
    list has."""
    naive, now_ns = Naive(), 1_800_000_000_000_000_000
    with undone(sql):
        table = SessionTable(sql)
        for number, (move, key, which, pause_ns) in enumerate(moves):
            now_ns += pause_ns + 1
            token = list(naive.all)[which % len(naive.all)] if naive.all else b"none"
            if move == "begin":
                table.begin(b"%d" % number, key, now_ns)
                naive.begin(b"%d" % number, key, now_ns)
            elif move == "end":
                table.end(token)
                naive.all.pop(token, None)
            else:
                found = table.find(token, now_ns)
                assert found == naive.find(token, now_ns)
                if move == "seen" and found is not None:
                    table.seen(found, now_ns)
                    naive.seen(found, now_ns)


def test_what_is_over_goes(sql: Sql) -> None:
    """Each login sweeps: books do not fill with those of years."""
    with undone(sql):
        table, now_ns = SessionTable(sql), 1_800_000_000_000_000_000
        for number in range(1000):
            table.begin(b"%d" % number, b"key %d" % number, now_ns)
            now_ns += IDLE_NS // 10
        (row,) = sql.execute("SELECT count(*) FROM sessions").fetchall()
        assert row[0] == 10

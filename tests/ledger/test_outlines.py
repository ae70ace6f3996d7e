"""Outlines: what the books write of them, and that statements read the same from them."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.audit import verify
from ledger.databases.migrations.history import NEWEST, migrate
from ledger.databases.sql import Sql
from ledger.entries import Kind
from ledger.journal_records import Ended, Held
from ledger.store import Store
from ledger.tables.outlines import OUTLINED, kind_with, source
from ledger.tables.rollups import DAY_NS, SUMMED, Kept, plan
from tests.ledger.entries import NANO_PER_TOKEN
from tests.ledger.entries_of import undone

DAY_0_NS = 1_800_000_000 * 10**9 // DAY_NS * DAY_NS
NOTHING_GONE = Kept(0, 0)
COLUMNS = ("org", "team", "project", "user_id", "key_id", "tags", "model", "provider", "account")

with_sql = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])

ends = st.tuples(
    st.integers(0, 3 * DAY_NS - 1),
    st.sampled_from([None, "a"]),
    st.sampled_from(["key1", "key2"]),
    st.sampled_from([(), ("x", "y")]),
    st.sampled_from(["m1", "m2"]),
    st.sampled_from([None, "eu"]),
    st.integers(1, 10**9),
)


def _written(sql: Sql, made: list[Any], round_: int) -> None:
    store = Store(sql)
    writer_id, _ = store.writers.open("writer", DAY_0_NS)
    written = []
    for number, (after_ns, team, key, tags, model, account, nanos) in enumerate(made):
        at_ns = DAY_0_NS + after_ns
        attempt_id = f"req_{round_}_{number}"
        subject = (None, team, None, None, key, tags, model, "p", "up", account)
        held = Held(
            attempt_id=attempt_id,
            request_id=attempt_id,
            at_ns=at_ns,
            subject=subject,
            card=NANO_PER_TOKEN.row,
            streamed=False,
            batch=None,
            worst_case=nanos,
            most_tokens=nanos,
            is_counted=True,
            accounts=(),
        )
        cost = (nanos, nanos, nanos, nanos, None, None)
        end = Ended(
            attempt_id, Kind.POSTED, at_ns, "", usage=(0, nanos, 0, 0, 0, None), charge=cost
        )
        written.append((held, end))
    store.writers.write(writer_id, written)


@with_sql
@given(st.lists(ends, max_size=8), st.lists(ends, max_size=8))
def test_outlines_say_what_subjects_say(sql: Sql, first: list[Any], then: list[Any]) -> None:
    """Whatever names are asked for, whatever the span: as many requests, tokens and USD as the
    entries themselves have; written at once or later, and found right by the audit."""
    with undone(sql):
        _written(sql, first, 1)
        _written(sql, then, 2)
        assert verify(sql).findings == ()
        edges = (0, DAY_0_NS, DAY_0_NS + DAY_NS, DAY_0_NS + DAY_NS + 7, DAY_0_NS + 3 * DAY_NS)
        for since_ns, until_ns in product(edges, repeat=2):
            for names in ((), ("team",), ("key_id", "tags"), ("team", "model"), ("tags", "model")):
                found = _by(sql, names, since_ns, until_ns)
                counted: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
                for after_ns, team, key, tags, model, _, nanos in (*first, *then):
                    said = {"team": team, "key_id": key, "tags": _tags(tags), "model": model}
                    if since_ns <= DAY_0_NS + after_ns < until_ns:
                        sums = counted[tuple(said[one] for one in names)]
                        sums[0] += 1
                        sums[1] += nanos
                assert found == counted


def _tags(tags: tuple[str, ...]) -> str:
    return "[" + ",".join(f'"{one}"' for one in tags) + "]"


def _by(
    sql: Sql, names: tuple[str, ...], since_ns: int, until_ns: int
) -> dict[tuple[Any, ...], list[int]]:
    parts, values = source(
        plan(since_ns, until_ns, NOTHING_GONE).parts, names, "requests, effective_nanos"
    )
    grouped = f"GROUP BY {', '.join(names)}" if names else "HAVING count(*) > 0"
    rows = sql.execute(
        f"SELECT {''.join(f'{one}, ' for one in names)} CAST(sum(requests) AS BIGINT),"
        f" CAST(sum(effective_nanos) AS BIGINT) FROM {parts} {grouped}",
        values,
    )
    return {tuple(row[:-2]): [int(row[-2]), int(row[-1])] for row in rows}


def test_the_way_there_and_back(sql: Sql) -> None:
    """What an older version wrote is outlined as if it had been written today; and nothing is lost
    on the way back."""
    made = [
        (number * DAY_NS // 3, team, "key1", ("x",), model, None, 10 + number)
        for number, (team, model) in enumerate(product((None, "a"), ("m1", "m2")))
    ]
    with sql.transaction():
        _written(sql, made, 1)
    before = _all(sql)
    assert before
    assert migrate(sql, NEWEST - 1) == ()
    migrate(sql, NEWEST)
    assert _all(sql) == before
    assert verify(sql).findings == ()


def _all(sql: Sql) -> list[Any]:
    return sorted(
        map(
            str,
            sql.execute(
                f"SELECT step_s, outline_sums.kind, key, start_ns, {', '.join(SUMMED)}"
                " FROM outline_sums JOIN outlines ON outlines.id = outline_id"
            ).fetchall(),
        )
    )


@given(st.sets(st.sampled_from(COLUMNS)))
def test_the_kind_that_says_it(names: set[str]) -> None:
    """An outline is read only if it says all that is asked for."""
    kind = kind_with(names)
    able = [one for one, known in OUTLINED.items() if names <= set(known)]
    assert kind == (able[0] if able else None)

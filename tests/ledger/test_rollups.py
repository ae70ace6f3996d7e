"""Rollups are sums of entries, and a span is put together from them without a gap or an overlap."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from ledger.databases.sql import Sql
from ledger.money import MAX_NANOS
from ledger.tables.ddl import ROLLUP, ROLLUP_STEPS_S
from ledger.tables.rollups import (
    DAY_NS,
    ENTRIES_S,
    NANOS_PER_S,
    QUARTER_NS,
    QUARTER_S,
    SUMMED,
    Kept,
    keys_of,
    plan,
    upsert,
)
from tests.ledger.entries_of import DAY_0_NS, HOUR_NS

days = st.integers(0, 80).map(lambda day: day * DAY_NS)
edges = st.builds(
    lambda day, quarters, nanos: day + quarters * QUARTER_NS + nanos,
    days,
    st.integers(0, 95),
    st.sampled_from([0, 0, 1, QUARTER_NS - 1]),
)
some_kept = st.builds(Kept, st.just(0) | days, st.just(0) | days)


@given(edges, edges | st.just(MAX_NANOS), some_kept)
@example(0, MAX_NANOS, Kept(0, 0))
def test_a_span_is_made_of_its_parts(since_ns: int, until_ns: int, kept: Kept) -> None:
    """Parts follow one another from the first moment to the last, each made of whole steps, and
    of rows that retention has left."""
    found = plan(since_ns, until_ns, kept)
    at_ns = found.since_ns
    for part in found.parts:
        assert part.since_ns == at_ns < part.until_ns
        at_ns = part.until_ns
        if part.step_s == ENTRIES_S:
            assert part.since_ns >= kept.entries_since_ns
            continue
        assert part.step_s in ROLLUP_STEPS_S
        assert part.since_ns % (part.step_s * NANOS_PER_S) == 0
        assert part.until_ns % (part.step_s * NANOS_PER_S) == 0 or part.until_ns == MAX_NANOS
        if part.step_s == QUARTER_S:
            assert part.since_ns >= kept.quarters_since_ns
    assert at_ns == found.until_ns or not found.parts
    assert bool(found.parts) == (found.since_ns < found.until_ns)


@given(edges, edges, some_kept)
def test_a_span_is_the_one_that_was_asked_for(since_ns: int, until_ns: int, kept: Kept) -> None:
    """Unless the rows at an edge are gone: then it is the next edge of what is left."""
    found = plan(since_ns, until_ns, kept)
    for asked, edge in ((since_ns, found.since_ns), (until_ns, found.until_ns)):
        if asked >= kept.entries_since_ns:
            assert edge == asked
        elif asked >= kept.quarters_since_ns:
            assert asked <= edge < asked + QUARTER_NS
            assert edge % QUARTER_NS == 0
        else:
            assert asked <= edge < asked + DAY_NS
            assert edge == asked or edge % DAY_NS == 0


@given(edges, edges, edges, some_kept)
def test_spans_that_meet_make_up_one(first: int, middle: int, last: int, kept: Kept) -> None:
    """Whatever is gone: nothing is counted twice, and nothing is left out."""
    first, middle, last = sorted((first, middle, last))
    left, right, whole = (
        plan(first, middle, kept),
        plan(middle, last, kept),
        plan(first, last, kept),
    )
    assert (left.since_ns, left.until_ns, right.until_ns) == (
        whole.since_ns,
        right.since_ns,
        whole.until_ns,
    )


def test_what_is_large_is_read_in_large_steps() -> None:
    """All there ever was, without a limit: by the largest step alone. A day: by one row."""
    kept = Kept(0, 0)
    assert [one.step_s for one in plan(0, MAX_NANOS, kept).parts] == [max(ROLLUP_STEPS_S)]
    assert [one.step_s for one in plan(DAY_0_NS, DAY_0_NS + DAY_NS, kept).parts] == [86_400]


@given(st.integers(0, 2**62))
def test_the_steps_of_a_moment(at_ns: int) -> None:
    """It lies in one step of each size."""
    keys = keys_of(at_ns, 7)
    assert [step_s for step_s, _, _ in keys] == sorted(ROLLUP_STEPS_S)
    for step_s, start_ns, subject_id in keys:
        assert start_ns <= at_ns < start_ns + step_s * NANOS_PER_S
        assert (start_ns % (step_s * NANOS_PER_S), subject_id) == (0, 7)


def test_sums_are_added(sql: Sql) -> None:
    """To rows that are there, and as rows of their own; more than fit into one statement."""
    many = {
        (900, start * HOUR_NS, subject): tuple(range(start, start + len(SUMMED)))
        for start in range(40)
        for subject in range(6)
    }
    with sql.transaction():
        upsert(sql, many)
        upsert(sql, {key: sums for key, sums in many.items() if key[2] < 3})
        upsert(sql, {})
    found = {tuple(row[:3]): tuple(row[3:]) for row in sql.execute(f"SELECT {ROLLUP} FROM rollups")}
    assert found == {
        key: tuple(one * 2 for one in sums) if key[2] < 3 else sums for key, sums in many.items()
    }

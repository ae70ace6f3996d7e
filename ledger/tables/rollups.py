"""Rollups: sums of posted entries over steps of time, and how a span of time is put together.

A span is answered from the largest steps that lie within it, then from smaller ones at its edges,
and from the entries themselves at edges within the smallest step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import add
from typing import TypeAlias

from ledger.databases.sql import Sql, Value, marks
from ledger.money import MAX_NANOS
from ledger.tables.ddl import ROLLUP, ROLLUP_STEPS_S

NANOS_PER_S = 1_000_000_000
STEPS_S = tuple(sorted(ROLLUP_STEPS_S))
QUARTER_S, DAY_S = STEPS_S[:2]
QUARTER_NS, DAY_NS = QUARTER_S * NANOS_PER_S, DAY_S * NANOS_PER_S
ENTRIES_S = 0
"""The step of what is no sum: the entries themselves."""

Key: TypeAlias = tuple[int, int, int]
"""Step in seconds, its start in ns, and the id of a subject."""
Sums: TypeAlias = tuple[int, ...]
"""The columns of ROLLUP after its key, in their order."""

SUMMED = tuple(ROLLUP.split(", "))[3:]

OF_ENTRY = (
    "1 AS requests, coalesce(prompt_tokens, 0) AS prompt_tokens,"
    " coalesce(completion_tokens, 0) AS completion_tokens,"
    " coalesce(cached_tokens, 0) AS cached_tokens,"
    " coalesce(cache_write_tokens, 0) AS cache_write_tokens,"
    " coalesce(reasoning_tokens, 0) AS reasoning_tokens, billed_nanos, effective_nanos,"
    " contracted_nanos, list_nanos, coalesce(first_offer_nanos, effective_nanos) AS"
    " first_offer_nanos, coalesce(cheapest_nanos, effective_nanos) AS cheapest_nanos,"
    " overrun_nanos, estimated"
)
"""What a posted entry adds to a rollup: the columns of SUMMED, made of those of an entry."""

_ROWS_AT_ONCE = 100
_UPDATE = ", ".join(f"{one} = rollups.{one} + excluded.{one}" for one in SUMMED)


# -- writing


def keys_of(at_ns: int, subject_id: int) -> tuple[Key, ...]:
    """The rollups that an attempt of a moment counts in."""
    return tuple((step_s, at_ns - at_ns % (step_s * NANOS_PER_S), subject_id) for step_s in STEPS_S)


def quarter_of(at_ns: int) -> int:
    """When the quarter of an hour began that a moment lies in."""
    return at_ns - at_ns % QUARTER_NS


def in_steps(quarters: Mapping[tuple[int, int], Sums]) -> dict[Key, Sums]:
    """Sums over quarters of an hour, by their start and subject, as sums over steps of all sizes:
    each of the larger ones is made of whole quarters."""
    steps: dict[Key, Sums] = {}
    for (start_ns, subject_id), sums in quarters.items():
        for key in keys_of(start_ns, subject_id):
            before = steps.get(key)
            steps[key] = sums if before is None else added(before, sums)
    return steps


def added(one: Sums, other: Sums) -> Sums:
    return tuple(map(add, one, other))


def upsert(sql: Sql, sums: Mapping[Key, Sums]) -> None:
    """Add sums to the rollups that are there, and make the others. Within a transaction.

    In the order of their keys, so that two writers wait for each other, and never both.
    """
    rows = sorted(sums.items())
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        few = rows[first : first + _ROWS_AT_ONCE]
        values: list[Value] = [value for key, more in few for value in (*key, *more)]
        row = f"({marks(len(SUMMED) + 3)})"
        sql.execute(
            f"INSERT INTO rollups ({ROLLUP}) VALUES {', '.join([row] * len(few))}"
            f" ON CONFLICT (step_s, start_ns, subject_id) DO UPDATE SET {_UPDATE}",
            values,
        )


# -- reading


@dataclass(frozen=True, slots=True)
class Part:
    """A piece `[since, until)` of a span, and the step that it is read at; ENTRIES_S: none."""

    step_s: int
    since_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class Kept:
    """From when on retention has left the entries, and the rollups of a quarter of an hour.

    Both are the beginning of a day in UTC. Rollups of a day, and longer ones, stay for ever.
    """

    entries_since_ns: int
    quarters_since_ns: int


def kept(sql: Sql) -> Kept:
    aged: dict[int, int] = dict(sql.execute("SELECT step_s, before_ns FROM aged").fetchall())
    return Kept(aged.get(ENTRIES_S, 0), aged.get(QUARTER_S, 0))


@dataclass(frozen=True, slots=True)
class Plan:
    """The parts that make up `[since, until)`, which is the span that was asked for; but where its
    edge lies in a step whose finer rows are gone, that step counts where it begins."""

    since_ns: int
    until_ns: int
    parts: tuple[Part, ...]


def plan(since_ns: int, until_ns: int, kept: Kept, largest_s: int = STEPS_S[-1]) -> Plan:
    """How to read a span, by no larger steps than those. Without limits: 0, MAX_NANOS."""
    since_ns, until_ns = _edge(since_ns, kept), _edge(until_ns, kept)
    largest = STEPS_S.index(largest_s)
    parts = _split(since_ns, until_ns, largest, kept) if since_ns < until_ns else []
    return Plan(since_ns, until_ns, tuple(parts))


def _edge(at_ns: int, kept: Kept) -> int:
    """The first moment from this one on at which a span can still begin or end."""
    if at_ns >= MAX_NANOS or at_ns % DAY_NS == 0 or at_ns >= kept.entries_since_ns:
        return at_ns
    step_ns = QUARTER_NS if at_ns >= kept.quarters_since_ns else DAY_NS
    return -(-at_ns // step_ns) * step_ns


def _split(since_ns: int, until_ns: int, index: int, kept: Kept) -> Iterable[Part]:
    """The whole steps of one size within a span; what lies before and after, in smaller ones."""
    if since_ns >= until_ns:
        return []
    if index < 0:
        return [Part(ENTRIES_S, since_ns, until_ns)]
    step_s = STEPS_S[index]
    step_ns = step_s * NANOS_PER_S
    first = -(-since_ns // step_ns) * step_ns
    last = until_ns if until_ns >= MAX_NANOS else until_ns // step_ns * step_ns
    if step_s == QUARTER_S:  # edges of a day: where its quarters are gone, by its entries
        first = max(first, kept.quarters_since_ns)
    if first >= last:
        return _split(since_ns, until_ns, index - 1, kept)
    return [
        *_split(since_ns, first, index - 1, kept),
        Part(step_s, first, last),
        *_split(last, until_ns, index - 1, kept),
    ]


def source(parts: Iterable[Part], columns: str) -> tuple[str, list[Value]]:
    """A FROM of the rows that parts are made of, as `parts`: subject_id and some of SUMMED."""
    selects: list[str] = []
    values: list[Value] = []
    for part in parts:
        if part.step_s == ENTRIES_S:
            selects.append(
                f"SELECT subject_id, {columns} FROM (SELECT subject_id, {OF_ENTRY} FROM entries"
                " WHERE kind = 'posted' AND at_ns >= ? AND at_ns < ?) AS fine"
            )
        else:
            selects.append(
                f"SELECT subject_id, {columns} FROM rollups"
                f" WHERE step_s = {part.step_s} AND start_ns >= ? AND start_ns < ?"
            )
        values += [part.since_ns, part.until_ns]
    if not selects:
        selects.append(f"SELECT subject_id, {columns} FROM rollups WHERE step_s < 0")
    return f"({' UNION ALL '.join(selects)}) AS parts", values

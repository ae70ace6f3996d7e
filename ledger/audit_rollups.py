"""The audit of rollups: each is the sum of the next finer rows, and those of the entries.

A day at a time, so that what is compared at once is bounded. Where retention has deleted the finer
rows nothing is compared with them; that all rollups together are all that was ever charged is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from ledger.databases.sql import Sql, Value
from ledger.errors import StoreUnavailable
from ledger.findings import Findings
from ledger.tables.rollups import (
    DAY_NS,
    DAY_S,
    ENTRIES_S,
    NANOS_PER_S,
    OF_ENTRY,
    QUARTER_S,
    STEPS_S,
    SUMMED,
    Kept,
    kept,
)

_COLUMNS = ", ".join(SUMMED)
_DIFFERS = " OR ".join(f"sum({one}) <> 0" for one in SUMMED)
_LESS = ", ".join(f"-{one}" for one in SUMMED)


def audit_rollups(sql: Sql, findings: Findings, charged_nanos: int) -> None:
    """charged_nanos: what was ever charged, by the entries and what is left of them. Within a
    `view`."""
    left = kept(sql)
    _in_all(sql, findings, charged_nanos)
    _each(sql, left, lambda day_ns: _day(sql, findings, left, day_ns))
    for coarse_s, fine_s in zip(STEPS_S[2:], STEPS_S[1:], strict=False):
        _coarse(sql, findings, coarse_s, fine_s)


def _in_all(sql: Sql, findings: Findings, charged_nanos: int) -> None:
    sums = 0
    for (nanos,) in sql.stream(f"SELECT effective_nanos FROM rollups WHERE step_s = {DAY_S}"):
        sums += nanos
    if sums != charged_nanos:
        findings.add("rollups", f"sum to {sums} nano-USD, but {charged_nanos} were charged")
    steps = ", ".join(map(str, STEPS_S))
    for (step_s,) in sql.execute(
        f"SELECT DISTINCT step_s FROM rollups WHERE step_s NOT IN ({steps})"
    ).fetchall():
        findings.add("rollups", f"there is no step of {step_s} s")


def _each(sql: Sql, left: Kept, check: Callable[[int], None]) -> None:
    """Every day in UTC of which there are entries or finer rollups."""
    since_ns = 0
    while True:
        found = [
            row[0]
            for row in sql.execute(
                "SELECT min(start_ns) FROM rollups WHERE step_s = ? AND start_ns >= ?"
                " UNION ALL SELECT min(start_ns) FROM rollups WHERE step_s = ? AND start_ns >= ?"
                " UNION ALL SELECT min(at_ns) FROM entries WHERE at_ns >= ?",
                (QUARTER_S, since_ns, DAY_S, since_ns, max(since_ns, left.entries_since_ns)),
            ).fetchall()
            if row[0] is not None
        ]
        if not found:
            return
        day_ns = min(found) // DAY_NS * DAY_NS
        check(day_ns)
        since_ns = day_ns + DAY_NS


def _day(sql: Sql, findings: Findings, left: Kept, day_ns: int) -> None:
    """A day's own rollup against its quarters, and the finest there is against the entries."""
    has_entries = day_ns >= left.entries_since_ns
    if day_ns >= left.quarters_since_ns:
        _compare(sql, findings, DAY_S, QUARTER_S, day_ns, DAY_NS)
        if has_entries:
            _compare(sql, findings, QUARTER_S, ENTRIES_S, day_ns, DAY_NS)
    elif has_entries:
        _compare(sql, findings, DAY_S, ENTRIES_S, day_ns, DAY_NS)


def _coarse(sql: Sql, findings: Findings, coarse_s: int, fine_s: int) -> None:
    starts = "SELECT DISTINCT start_ns FROM rollups WHERE step_s = ?"
    step_ns = coarse_s * NANOS_PER_S
    days = sql.execute(starts, (fine_s,)).fetchall()
    own = sql.execute(starts, (coarse_s,)).fetchall()
    for start_ns in sorted({row[0] // step_ns * step_ns for row in (*days, *own)}):
        _compare(sql, findings, coarse_s, fine_s, start_ns, step_ns)


def _compare(
    sql: Sql, findings: Findings, coarse_s: int, fine_s: int, since_ns: int, length_ns: int
) -> None:
    """Name each rollup of a step that is not the sum of what it is made of."""
    step_ns = coarse_s * NANOS_PER_S
    until_ns = since_ns + length_ns
    if fine_s == ENTRIES_S:
        fine = (
            f"SELECT at_ns - at_ns % {step_ns} AS start_ns, subject_id, {OF_ENTRY} FROM entries"
            " WHERE kind = 'posted' AND at_ns >= ? AND at_ns < ?"
        )
    else:
        fine = (
            f"SELECT start_ns - start_ns % {step_ns} AS start_ns, subject_id, {_COLUMNS}"
            f" FROM rollups WHERE step_s = {fine_s} AND start_ns >= ? AND start_ns < ?"
        )
    values: tuple[Value, ...] = (since_ns, until_ns)
    try:
        differing = sql.execute(
            f"SELECT start_ns, subject_id FROM (SELECT start_ns, subject_id, {_COLUMNS} FROM"
            f" ({fine}) AS fine UNION ALL SELECT start_ns, subject_id, {_LESS} FROM rollups"
            f" WHERE step_s = {coarse_s} AND start_ns >= ? AND start_ns < ?) AS compared"
            f" GROUP BY start_ns, subject_id HAVING {_DIFFERS} ORDER BY start_ns, subject_id",
            (*values, *values),
        ).fetchall()
    except StoreUnavailable as error:
        if "overflow" not in str(error.__cause__):
            raise
        findings.add(_name(coarse_s, since_ns), "sums to more than the books can hold")
        return
    of = "the entries" if fine_s == ENTRIES_S else f"those of {fine_s} s"
    for start_ns, subject_id in differing:
        findings.add(
            f"{_name(coarse_s, start_ns)}, subject {subject_id}", f"is not the sum of {of} in it"
        )


def _name(step_s: int, start_ns: int) -> str:
    start = datetime.fromtimestamp(start_ns // NANOS_PER_S, UTC)
    return f"rollup of {step_s} s from {start:%Y-%m-%d %H:%M} UTC"

"""Outlines: subjects with a part of their names left out, and what was spent on each by the day.

There are many times fewer of them than of subjects, so that a month by team is read from few rows.
An outline of kind WHAT says where it went, one of kind WHO who asked, one of kind WAY for which
team, and where it went; each subject has one of each. Their sums are those of rollups, of a day and
longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from ledger.databases.sql import Row, Sql, Value, marks
from ledger.tables.ddl import ROLLUP_STEPS_S
from ledger.tables.rollups import (
    DAY_NS,
    DAY_S,
    ENTRIES_S,
    NANOS_PER_S,
    OF_ENTRY,
    SUMMED,
    Part,
    Sums,
    added,
)

DAY_NAME = "day_ns"
"""Stands among names for the beginning of the day (UTC)."""
WHAT = "what"
WHO = "who"
WAY = "way"
OUTLINED = {
    WHAT: ("model", "provider", "account"),
    WHO: ("org", "team", "project", "user_id", "key_id", "tags"),
    WAY: ("org", "team", "project", "model", "provider", "account"),
}
"""What is left of a subject in an outline of a kind; those with the fewest outlines first."""

_EMPTY = {DAY_NAME: f"start_ns AS {DAY_NAME}"}
_SUBJECT = ("org", "team", "project", "user_id", "key_id", "tags", "model", "provider", "account")
_Key: TypeAlias = tuple[int, str, int, int]
"""Step in seconds, kind, its start in ns, and the id of an outline."""
_STEPS_S = tuple(one for one in ROLLUP_STEPS_S if one >= DAY_S)
_ROWS_AT_ONCE = 100
_STARTS_AT_ONCE = 400
_SUMS = ", ".join(f"{one} INTEGER NOT NULL" for one in SUMMED)
_ADDED = ", ".join(f"{one} = outline_sums.{one} + excluded.{one}" for one in SUMMED)

OUTLINES = (
    # key: the kind and its columns as one JSON array, so that NULLs compare.
    """CREATE TABLE outlines (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
        org TEXT, team TEXT, project TEXT, user_id TEXT, key_id TEXT, tags TEXT,
        model TEXT, provider TEXT, account TEXT
    ) STRICT""",
    """CREATE TABLE subject_outlines (
        subject_id INTEGER PRIMARY KEY REFERENCES subjects,
        what_id INTEGER NOT NULL REFERENCES outlines, who_id INTEGER NOT NULL REFERENCES outlines,
        way_id INTEGER NOT NULL REFERENCES outlines
    ) STRICT""",
    f"""CREATE TABLE outline_sums (
        step_s INTEGER NOT NULL, kind TEXT NOT NULL, start_ns INTEGER NOT NULL,
        outline_id INTEGER NOT NULL, {_SUMS},
        PRIMARY KEY (step_s, kind, start_ns, outline_id)
    ) STRICT, WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True)
class Outlined:
    """The outlines of one subject."""

    what_id: int
    who_id: int
    way_id: int

    @property
    def by_kind(self) -> tuple[tuple[str, int], ...]:
        return ((WHAT, self.what_id), (WHO, self.who_id), (WAY, self.way_id))


def kind_with(columns: Iterable[str]) -> str | None:
    """The kind of outline that says all of some columns of subjects; None if neither does."""
    wanted = set(columns)
    return next((kind for kind, known in OUTLINED.items() if wanted <= set(known)), None)


def outlined(sql: Sql, subject_id: int) -> Outlined:
    """The outlines of a subject, made if they are not there. Within a transaction."""
    row = sql.execute(
        "SELECT what_id, who_id, way_id FROM subject_outlines WHERE subject_id = ?", (subject_id,)
    ).fetchone()
    if row is not None:
        return Outlined(*row)
    (subject,) = sql.execute(
        f"SELECT {', '.join(_SUBJECT)} FROM subjects WHERE id = ?", (subject_id,)
    ).fetchall()
    made = Outlined(*(_outline(sql, kind, subject) for kind in OUTLINED))
    sql.execute(
        "INSERT INTO subject_outlines (subject_id, what_id, who_id, way_id) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (subject_id, made.what_id, made.who_id, made.way_id),
    )
    return made


def _outline(sql: Sql, kind: str, subject: Row) -> int:
    columns = OUTLINED[kind]
    values = [subject[_SUBJECT.index(one)] for one in columns]
    key = msgspec.json.encode([kind, *values]).decode()
    find = "SELECT id FROM outlines WHERE key = ?"
    row = sql.execute(find, (key,)).fetchone()
    if row is None:
        row = sql.execute(
            f"INSERT INTO outlines (key, kind, {', '.join(columns)})"
            f" VALUES (?, ?, {marks(len(columns))}) ON CONFLICT DO NOTHING RETURNING id",
            (key, kind, *values),
        ).fetchone()
    if row is None:  # another writer was faster
        (row,) = sql.execute(find, (key,)).fetchall()
    return int(row[0])


def add(sql: Sql, quarters: Mapping[tuple[int, int], Sums], of: Mapping[int, Outlined]) -> None:
    """Add sums over quarters of an hour, by their start and subject, to those of their outlines.

    In the order of their keys, as rollups are. Within a transaction.
    """
    days: dict[_Key, Sums] = {}
    for (quarter_ns, subject_id), more in quarters.items():
        day_ns = quarter_ns - quarter_ns % DAY_NS
        for kind, outline_id in of[subject_id].by_kind:
            _add(days, (DAY_S, kind, day_ns, outline_id), more)
    sums = dict(days)
    for (_, kind, day_ns, outline_id), more in days.items():
        for step_s in _STEPS_S[1:]:
            start_ns = day_ns - day_ns % (step_s * NANOS_PER_S)
            _add(sums, (step_s, kind, start_ns, outline_id), more)
    rows = sorted(sums.items())
    columns = f"step_s, kind, start_ns, outline_id, {', '.join(SUMMED)}"
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        few = rows[first : first + _ROWS_AT_ONCE]
        values = [value for key, its in few for value in _row(key, its)]
        marked = ", ".join([f"({marks(len(SUMMED) + 4)})"] * len(few))
        sql.execute(
            f"INSERT INTO outline_sums ({columns}) VALUES {marked}"
            f" ON CONFLICT (step_s, kind, start_ns, outline_id) DO UPDATE SET {_ADDED}",
            values,
        )


def _add(sums: dict[_Key, Sums], key: _Key, more: Sums) -> None:
    before = sums.get(key)
    sums[key] = more if before is None else added(before, more)


def _row(key: _Key, its: Sums) -> tuple[Value, ...]:
    return (*key, *its)


def fill(sql: Sql) -> None:
    """Make those of all subjects and rollups that are there. Within a transaction, of empty tables.

    Raises StoreUnavailable.
    """
    for (subject_id,) in sql.execute("SELECT id FROM subjects ORDER BY id").fetchall():
        outlined(sql, subject_id)
    sums = ", ".join(f"CAST(sum({one}) AS BIGINT)" for one in SUMMED)
    for step_s in _STEPS_S:
        for kind in OUTLINED:
            column = f"{kind}_id"
            sql.execute(
                f"INSERT INTO outline_sums SELECT step_s, '{kind}', start_ns, {column}, {sums}"
                " FROM rollups JOIN subject_outlines ON"
                " subject_outlines.subject_id = rollups.subject_id"
                f" WHERE step_s = {step_s} GROUP BY step_s, start_ns, {column}"
            )


@dataclass(frozen=True, slots=True)
class Of:
    """A condition on columns of subjects, with its values. newest_ns: no day began later."""

    where: str
    values: tuple[Value, ...]
    newest_ns: int


def source(
    parts: Iterable[Part], names: Iterable[str], columns: str, of: Of | None = None
) -> tuple[str, list[Value]]:
    """A FROM of the rows that parts of a span are made of, as `parts`: some columns of subjects,
    and some of SUMMED. Days and longer are read from outlines, if a kind says all the names. Among
    the names can be DAY_NAME, where no part is longer than a day.

    of: what of them is wanted, to be found faster; others can be among the rows all the same.
    """
    names = tuple(names)
    kind = kind_with(one for one in names if one != DAY_NAME)
    selects: list[str] = []
    values: list[Value] = []
    for part in parts:
        at, span = "start_ns", [part.since_ns, part.until_ns]
        where, its_values = f"{at} >= ? AND {at} < ?", list[Value](span)
        if part.step_s in _STEPS_S and kind is not None:
            its = "outline_sums JOIN outlines ON outlines.id = outline_id"
            where = f"step_s = {part.step_s} AND outline_sums.kind = '{kind}' AND {where}"
        elif part.step_s == ENTRIES_S:
            at = "at_ns"
            its = f"(SELECT at_ns, subject_id, {OF_ENTRY} FROM entries WHERE kind = 'posted') AS"
            its += " fine JOIN subjects ON subjects.id = subject_id"
            where = f"{at} >= ? AND {at} < ?"
        else:
            its = "rollups JOIN subjects ON subjects.id = subject_id"
            starts = range(0) if of is None else _starts(part, of.newest_ns)
            if of is not None and part.step_s in _STEPS_S and len(starts) <= _STARTS_AT_ONCE:
                # Each row by its whole key, rather than all rows of the span.
                where = f"start_ns IN ({marks(len(starts)) or 'NULL'}) AND subject_id IN"
                where += f" (SELECT id FROM subjects WHERE {of.where})"
                its_values = [*starts, *of.values]
            where = f"step_s = {part.step_s} AND {where}"
        wanted = "".join(
            f"{at} - {at} % {DAY_NS} AS {one}, " if one == DAY_NAME else f"{one}, " for one in names
        )
        selects.append(f"SELECT {wanted}{columns} FROM {its} WHERE {where}")
        values += its_values
    if not selects:
        wanted = "".join(f"{_EMPTY.get(one, one)}, " for one in names)
        selects.append(
            f"SELECT {wanted}{columns} FROM rollups JOIN subjects ON subjects.id = subject_id"
            " WHERE step_s < 0"
        )
    return f"({' UNION ALL '.join(selects)}) AS parts", values


def _starts(part: Part, newest_ns: int) -> range:
    step_ns = part.step_s * NANOS_PER_S
    return range(part.since_ns, min(part.until_ns, newest_ns + 1), step_ns)

"""Facts: what was said of the market, append-only and bitemporal.

A fact has two times: since when it holds (value time) and since when we know it (known time).
`as_of(subject, known)` sees only what was known then, so that a restatement never leaks into the
past. Of two facts for one value time the one known later is the restatement, and counts.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from ledger.databases.sql import Row, Sql, Value
from ledger.instants import as_ns, instant

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """What `source` says of `subject`. said is None where from then on there is none."""

    subject: str
    value_time: datetime
    known_time: datetime
    source: str
    said: T | None


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of facts: its name in the database, and how what is said is written there.

    as_text: equal things have equal text. of_text: from it, the fact's source and its value time.
    """

    name: str
    as_text: Callable[[T], str]
    of_text: Callable[[str, str, datetime], T]


def kind_of(name: str, type_: type[T]) -> Kind[T]:
    """The kind of a dataclass of plain values: numbers, texts, Decimals, times, None."""
    decode = msgspec.json.Decoder(type_).decode
    return Kind(
        name,
        lambda said: msgspec.json.encode(said).decode(),
        lambda text, _source, _value_time: decode(text),
    )


class Facts(Generic[T]):
    """The facts of one kind in a database; the caller owns its transactions."""

    def __init__(self, sql: Sql, kind: Kind[T]) -> None:
        self._sql = sql
        self._kind = kind

    def append(self, facts: Iterable[Fact[T]]) -> int:
        """Keep what says something new, within a transaction; how many did.

        What is no news: the same from the same source as was known, at its known time, to hold at
        its value time; and that there is none where none was known.
        """
        added = 0
        for one in facts:
            row = self._written(one)
            _, value_ns, known_ns, source, said = row
            last = self._row(one.subject, known_ns, value_ns)
            if _is_news(source, said, None if last is None else (last[3], last[4])):
                self._insert([row])
                added += 1
        return added

    def append_many(self, facts: Iterable[Fact[T]]) -> int:
        """The same of tens of thousands, in transactions of its own that are short: what is known
        of this kind is read first, all of it. One program at a time."""
        past = _InMemory(self._all())
        news = [row for row in map(self._written, facts) if past.append(row)]
        for first in range(0, len(news), _ROWS_AT_ONCE):
            with self._sql.transaction():
                self._insert(news[first : first + _ROWS_AT_ONCE])
        return len(news)

    def as_of(self, subject: str, known: datetime, value: datetime | None = None) -> Fact[T] | None:
        """What held at `value` (default: at `known`) as it was known at `known`, or None."""
        row = self._row(subject, as_ns(known), as_ns(known if value is None else value))
        return None if row is None else self._fact(row)

    def all_as_of(self, known: datetime, value: datetime | None = None) -> Mapping[str, Fact[T]]:
        """The same of every subject, by subject; those of which nothing was known are not there."""
        at = (as_ns(known), as_ns(known if value is None else value))
        rows = self._sql.execute(
            f"SELECT {_ROW} FROM (SELECT {_ROW}, row_number() OVER (PARTITION BY subject"
            f" ORDER BY {_NEWEST_FIRST}) AS place FROM market_facts WHERE kind = ?"
            " AND known_time_ns <= ? AND value_time_ns <= ?) AS placed"
            " WHERE place = 1 ORDER BY subject",
            (self._kind.name, *at),
        ).fetchall()
        return {row[0]: self._fact(row) for row in rows}

    def changes(
        self, subject: str, since: datetime, until: datetime, known: datetime
    ) -> list[Fact[T]]:
        """What held from `since` on and before `until` as it was known at `known`, oldest first.

        The first is what held at `since` already, if anything was known to.
        """
        return [self._fact(row) for row in self._changed(subject, since, until, known)]

    def some_changes(
        self, subject: str, since: datetime, until: datetime, known: datetime, most: int
    ) -> tuple[list[Fact[T]], int]:
        """Of these `most` at most, evenly, the first and the last among them; and how many are left
        out. most: at least two."""
        rows = self._changed(subject, since, until, known)
        few, last = rows, len(rows) - 1
        if len(rows) > most:
            few = [rows[round(number * last / (most - 1))] for number in range(most)]
        return [self._fact(row) for row in few], len(rows) - len(few)

    def _changed(
        self, subject: str, since: datetime, until: datetime, known: datetime
    ) -> list[Row]:
        first = self._row(subject, as_ns(known), as_ns(since))
        rows: list[Row] = [] if first is None else [first]
        for row in self._sql.execute(
            f"SELECT {_ROW} FROM (SELECT {_ROW}, row_number() OVER (PARTITION BY value_time_ns"
            " ORDER BY known_time_ns DESC, id DESC) AS place FROM market_facts WHERE kind = ?"
            " AND subject = ? AND known_time_ns <= ? AND value_time_ns > ? AND value_time_ns < ?)"
            " AS placed WHERE place = 1 ORDER BY value_time_ns",
            (self._kind.name, subject, *map(as_ns, (known, since, until))),
        ):
            if not rows or rows[-1][3:] != row[3:]:  # a restatement may have said it before
                rows.append(row)
        return rows

    def subjects(self) -> list[str]:
        """Of whom anything was ever said, sorted."""
        rows = self._sql.execute(
            "SELECT DISTINCT subject FROM market_facts WHERE kind = ? ORDER BY subject",
            (self._kind.name,),
        )
        return [subject for (subject,) in rows]

    def _all(self) -> list[Row]:
        return self._sql.execute(
            f"SELECT {_ROW} FROM market_facts WHERE kind = ? ORDER BY id", (self._kind.name,)
        ).fetchall()

    def _written(self, one: Fact[T]) -> Row:
        said = None if one.said is None else self._kind.as_text(one.said)
        return (one.subject, as_ns(one.value_time), as_ns(one.known_time), one.source, said)

    def _insert(self, rows: Iterable[Row]) -> None:
        kind = self._kind.name
        self._sql.insert("market_facts", f"kind, {_ROW}", [(kind, *row) for row in rows])

    def _row(self, subject: str, known_ns: int, value_ns: int) -> Row | None:
        values: tuple[Value, ...] = (self._kind.name, subject, known_ns, value_ns)
        return self._sql.execute(
            f"SELECT {_ROW} FROM market_facts WHERE kind = ? AND subject = ?"
            f" AND known_time_ns <= ? AND value_time_ns <= ? ORDER BY {_NEWEST_FIRST} LIMIT 1",
            values,
        ).fetchone()

    def _fact(self, row: Row) -> Fact[T]:
        subject, value_ns, known_ns, source, text = row
        at = instant(value_ns)
        said = None if text is None else self._kind.of_text(text, source, at)
        return Fact(subject, at, instant(known_ns), source, said)


class _InMemory:
    """Rows as the database would have them, to be asked more quickly."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._by_subject: dict[str, list[tuple[int, int, int, Row]]] = defaultdict(list)
        self._count = 0
        for row in rows:
            self._add(row)

    def append(self, row: Row) -> bool:
        """Add what is news; whether it is."""
        subject, value_ns, known_ns, source, said = row
        rows = self._by_subject[subject]
        until = bisect_right(rows, value_ns, key=lambda one: one[0])
        known = (rows[at] for at in range(until - 1, -1, -1))
        last = next((one[-1] for one in known if one[1] <= known_ns), None)
        is_news = _is_news(source, said, None if last is None else (last[3], last[4]))
        if is_news:
            self._add(row)
        return is_news

    def _add(self, row: Row) -> None:
        self._count += 1
        insort(self._by_subject[row[0]], (row[1], row[2], self._count, row))


def _is_news(source: str, said: str | None, last: tuple[str, str | None] | None) -> bool:
    return said is not None if last is None else last != (source, said)


_ROWS_AT_ONCE = 5_000

_ROW = "subject, value_time_ns, known_time_ns, source, said"
_NEWEST_FIRST = "value_time_ns DESC, known_time_ns DESC, id DESC"

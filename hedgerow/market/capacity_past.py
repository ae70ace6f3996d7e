"""CapacityPast: what an hour of a GPU cost, day by day, of each grade."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from benchmarks.capacity.grades import Grade
from benchmarks.capacity.prices import CAPACITY, CapacityIndex, CapacityPrice, indices
from benchmarks.tables.facts import Fact, Facts
from ledger.databases.sql import Sql

FRESH = timedelta(days=7)
"""How old a price may be that still counts."""
MOST_POINTS = 120


@dataclass(frozen=True, slots=True)
class CapacityPast:
    """now: the index of each grade. grade: whose past `days` is: moments with the index of then,
    None where nobody asked a price that was fresh enough."""

    now: tuple[CapacityIndex, ...]
    grade: Grade | None
    days: tuple[tuple[datetime, CapacityIndex | None], ...]


def capacity_past(sql: Sql, grade: str | None, since: datetime, known: datetime) -> CapacityPast:
    """Until `known`, as it was known then. grade: as it is written; None, or one that nobody sells
    now: the one that most sell. From books that have the market's tables; raises StoreError."""
    facts = Facts(sql, CAPACITY)
    latest = facts.all_as_of(known).values()
    now = tuple(indices(_fresh(latest, known)))
    chosen = next((one.grade for one in now if str(one.grade) == grade), None)
    if chosen is None and now:
        chosen = max(now, key=lambda one: (one.providers, one.prices)).grade
    if chosen is None:
        return CapacityPast(now, None, ())
    its = [one.subject for one in latest if one.said is not None and one.said.grade == chosen]
    by_series = {one: facts.changes(one, since - FRESH, known, known) for one in its}
    step = max((known - since) / MOST_POINTS, timedelta(days=1))
    moments = []
    at = known
    while at > since:
        moments.append(at)
        at -= step
    return CapacityPast(
        now, chosen, tuple((one, _index(by_series, one)) for one in reversed(moments))
    )


def _fresh(facts: Iterable[Fact[CapacityPrice]], at: datetime) -> list[CapacityPrice]:
    return [
        one.said for one in facts if one.said is not None and at - FRESH <= one.value_time <= at
    ]


def _index(
    by_series: Mapping[str, Sequence[Fact[CapacityPrice]]], at: datetime
) -> CapacityIndex | None:
    """Of the last word of each series by then."""
    last = []
    for facts in by_series.values():
        place = bisect_right(facts, at, key=lambda one: one.value_time)
        if place:
            last.append(facts[place - 1])
    return next(iter(indices(_fresh(last, at))), None)

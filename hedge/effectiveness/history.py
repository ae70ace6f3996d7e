"""History: the months that the books have, and the days of one, by their all-in cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from hedge.effectiveness.query import Query
from ledger.money import Money


@dataclass(frozen=True, slots=True)
class MonthCost:
    """month: its first day. cost: all in, so far."""

    month: date
    cost: Money
    is_over: bool


@dataclass(frozen=True, slots=True)
class DayCost:
    """cost: all in. sum: of the month up to this day, it included."""

    day: date
    cost: Money
    sum: Money


@dataclass(frozen=True, slots=True)
class History:
    """months: from the first with any cost up to the report's, without gaps. days: of the report's
    month, so far. queries: what was billed, and what records moved, by day; and of both the first
    day."""

    months: tuple[MonthCost, ...]
    days: tuple[DayCost, ...]
    queries: tuple[Query, ...]
